//! From the model a client names to the provider that serves it.
//!
//! Invariant: everything is decided when the configuration is loaded; [`Config::resolve`] only
//! looks up. An alias is already followed to its end, and the first entry of the file wins where
//! one name means several models.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;

use crate::config::Config;
use crate::near;
use crate::pool::{Destination, ModelRef, Policy, Pool, PoolTarget, Sender, UpstreamPath};
use crate::provider::Provider;

/// How many near matches an unknown model gets.
const NEAR: usize = 3;

/// Where an attempt goes.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The provider.
    pub provider: &'a Provider,
    /// The model as the provider knows it: what goes in the body.
    pub model: &'a str,
    /// The model as we know it: `provider/model`.
    pub id: &'a str,
}

/// What the name that a request asks for means for this request.
#[derive(Debug, Clone)]
pub struct Resolved<'a> {
    /// The pool, when the name leads to one.
    pub pool: Option<&'a Pool>,
    /// How its targets are called.
    pub policy: &'a Arc<Policy>,
    /// In the order of the file; at least one.
    pub targets: Cow<'a, [PoolTarget]>,
}

impl Resolved<'_> {
    /// Who calls the provider.
    pub fn path(&self) -> UpstreamPath {
        match self.pool {
            Some(pool) => pool.path(),
            None => self.policy.path(self.targets.len()),
        }
    }
}

/// Why a request goes nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResolveError {
    /// The request names no model and no default is configured.
    Missing,
    /// No such model; the names it resembles, the nearest first, at most three.
    Unknown {
        /// Names that do exist.
        near: Vec<String>,
    },
}

/// A model as clients see it in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedModel {
    /// `provider/model`, or an alias.
    pub id: String,
    /// The provider's name.
    pub owned_by: String,
}

/// Every name by which a model can be asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Models {
    /// Configured models and the known ones of wildcards, in the order of the file.
    pub(crate) known: Vec<ModelRef>,
    /// `provider/model`, entry names and bare model ids: the index in `known`.
    pub(crate) by_name: HashMap<String, usize>,
    /// Aliases: what the file says, and where it leads.
    pub(crate) aliases: IndexMap<String, Alias>,
    /// Providers that pass any model through: the part before the slash, the index in
    /// `Config::providers`.
    pub(crate) wildcards: Vec<(String, usize)>,
    /// Names with targets of their own. They come before all others.
    pub(crate) pools: IndexMap<String, Pool>,
    /// What a request without a model gets.
    pub(crate) default: Option<Destination>,
}

/// A name that stands for a model.
#[derive(Debug, Clone)]
pub(crate) struct Alias {
    /// What the file says.
    pub(crate) target: String,
    /// The end of the chain.
    pub(crate) leads_to: Destination,
}

impl Models {
    /// What a name means: a pool, an alias, a model.
    pub(crate) fn named(&self, name: &str) -> Option<Destination> {
        if self.pools.contains_key(name) {
            return Some(Destination::Pool(name.to_owned()));
        }
        if let Some(alias) = self.aliases.get(name) {
            return Some(alias.leads_to.clone());
        }
        let model = self.find(name)?;
        Some(Destination::Model(model.into_owned()))
    }

    /// The model of a name that is no alias.
    pub(crate) fn find(&self, name: &str) -> Option<Cow<'_, ModelRef>> {
        if let Some(model) = self.by_name.get(name).and_then(|at| self.known.get(*at)) {
            return Some(Cow::Borrowed(model));
        }
        let (prefix, model) = name.split_once('/')?;
        let (_, provider) = self
            .wildcards
            .iter()
            .find(|(wildcard, _)| wildcard == prefix)?;
        (!model.is_empty() && model != "*").then(|| {
            Cow::Owned(ModelRef {
                provider: *provider,
                model: model.to_owned(),
                id: name.to_owned(),
            })
        })
    }

    /// All names, pools and aliases first: they are what people choose to be used.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let pools = self.pools.keys().map(String::as_str);
        let aliases = self.aliases.keys().map(String::as_str);
        let chosen = pools.chain(aliases);
        chosen.chain(self.known.iter().map(|model| model.id.as_str()))
    }
}

impl Config {
    /// Finds the targets of the name that a request asks for: a pool or an alias, then `provider/model`
    /// or a bare model id, then a provider with a wildcard; without a name the default. The sender is
    /// for the rules of pools.
    ///
    /// # Errors
    /// [`ResolveError::Missing`] without a name or default, [`ResolveError::Unknown`] for a name
    /// that is none of these.
    pub fn resolve(
        &self,
        requested: Option<&str>,
        sender: &Sender<'_>,
    ) -> Result<Resolved<'_>, ResolveError> {
        let requested = requested.filter(|name| !name.is_empty());
        let found = match requested {
            None => self.models.default.clone(),
            Some(name) => self.models.named(name),
        };
        let Some(found) = found else {
            return Err(match requested {
                None => ResolveError::Missing,
                Some(name) => {
                    let near = near::matches(name, self.models.names(), NEAR);
                    let near = near.into_iter().map(str::to_owned).collect();
                    ResolveError::Unknown { near }
                }
            });
        };
        let ruled = match &found {
            Destination::Pool(name) => self.models.pools.get(name).and_then(|pool| {
                let mut rules = pool.rules.iter();
                rules.find(|rule| rule.matches(sender))
            }),
            Destination::Model(_) => None,
        };
        let destination = ruled.map_or(found, |rule| rule.to.clone());
        Ok(self.at(destination))
    }

    fn at(&self, destination: Destination) -> Resolved<'_> {
        match destination {
            Destination::Pool(name) => {
                let pool = self.models.pools.get(&name);
                Resolved {
                    pool,
                    policy: pool.map_or(&self.policy, |pool| &pool.policy),
                    targets: pool.map_or_else(Cow::default, |pool| Cow::Borrowed(&*pool.targets)),
                }
            }
            Destination::Model(model) => Resolved {
                pool: None,
                policy: &self.policy,
                targets: Cow::Owned(vec![PoolTarget {
                    model,
                    priority: 1,
                    weight: 1,
                    context_window: None,
                }]),
            },
        }
    }

    /// What a reference means; `None` for one of another configuration.
    pub fn target<'a>(&'a self, model: &'a ModelRef) -> Option<Target<'a>> {
        Some(Target {
            provider: self.providers.get(model.provider)?,
            model: &model.model,
            id: &model.id,
        })
    }

    /// Every pool, in the order of the file.
    pub fn pools(&self) -> impl Iterator<Item = &Pool> {
        self.models.pools.values()
    }

    /// The models to list: configured ones and the known ones of wildcards in the order of the
    /// file, then pools, then aliases.
    pub fn models(&self) -> Vec<ListedModel> {
        let owner = |model: &ModelRef| {
            let provider = self.providers.get(model.provider);
            provider.map_or_else(String::new, |provider| provider.name.clone())
        };
        let listed = |id: &str, to: &Destination| ListedModel {
            id: id.to_owned(),
            owned_by: match to {
                Destination::Pool(_) => "meseta".to_owned(),
                Destination::Model(model) => owner(model),
            },
        };
        let models = &self.models;
        let renamed =
            |id: &String| models.pools.contains_key(id) || models.aliases.contains_key(id);
        let known = models.known.iter().filter(|model| !renamed(&model.id));
        let known = known.map(|model| ListedModel {
            id: model.id.clone(),
            owned_by: owner(model),
        });
        let pools = models.pools.keys();
        let pools = pools.map(|name| listed(name, &Destination::Pool(name.clone())));
        let aliases = models.aliases.iter();
        let aliases = aliases.map(|(name, alias)| listed(name, &alias.leads_to));
        known.chain(pools).chain(aliases).collect()
    }

    /// Aliases and what the file says they stand for, in the order of the file.
    pub fn aliases(&self) -> impl Iterator<Item = (&str, &str)> {
        self.models
            .aliases
            .iter()
            .map(|(name, alias)| (name.as_str(), alias.target.as_str()))
    }

    /// What a request without a model gets: a pool's name, or `provider/model`.
    pub fn default_model(&self) -> Option<&str> {
        self.models.default.as_ref().map(|default| match default {
            Destination::Pool(name) => name.as_str(),
            Destination::Model(model) => model.id.as_str(),
        })
    }
}
