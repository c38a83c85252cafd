//! From the model a client names to the provider that serves it.
//!
//! Invariant: everything is decided when the configuration is loaded; [`Config::resolve`] only
//! looks up. An alias is already followed to its end, and the first entry of the file wins where
//! one name means several models.

use std::borrow::Cow;
use std::collections::HashMap;

use indexmap::IndexMap;

use crate::config::Config;
use crate::near;
use crate::provider::Provider;

/// How many near matches an unknown model gets.
const NEAR: usize = 3;

/// Where a request goes.
#[derive(Debug, Clone)]
pub struct Target<'a> {
    /// The provider.
    pub provider: &'a Provider,
    /// The model as the provider knows it: what goes in the body.
    pub model: Cow<'a, str>,
    /// The model as we know it: `provider/model`.
    pub id: String,
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
    pub(crate) known: Vec<Model>,
    /// `provider/model`, entry names and bare model ids: the index in `known`.
    pub(crate) by_name: HashMap<String, usize>,
    /// Aliases: what the file says, and where it leads.
    pub(crate) aliases: IndexMap<String, Alias>,
    /// Providers that pass any model through: the part before the slash, the index in
    /// `Config::providers`.
    pub(crate) wildcards: Vec<(String, usize)>,
    /// What a request without a model gets.
    pub(crate) default: Option<Model>,
}

/// A model of a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Model {
    /// The index in `Config::providers`.
    pub(crate) provider: usize,
    /// The model as the provider knows it.
    pub(crate) model: String,
    /// `provider/model`.
    pub(crate) id: String,
}

/// A name that stands for a model.
#[derive(Debug, Clone)]
pub(crate) struct Alias {
    /// What the file says.
    pub(crate) target: String,
    /// The model at the end of the chain.
    pub(crate) model: Model,
}

impl Models {
    /// The model of a name that is no alias.
    pub(crate) fn find(&self, name: &str) -> Option<Cow<'_, Model>> {
        if let Some(model) = self.by_name.get(name).and_then(|at| self.known.get(*at)) {
            return Some(Cow::Borrowed(model));
        }
        let (prefix, model) = name.split_once('/')?;
        let (_, provider) = self
            .wildcards
            .iter()
            .find(|(wildcard, _)| wildcard == prefix)?;
        (!model.is_empty() && model != "*").then(|| {
            Cow::Owned(Model {
                provider: *provider,
                model: model.to_owned(),
                id: name.to_owned(),
            })
        })
    }

    /// All names, aliases first: they are what people choose to be used.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let aliases = self.aliases.keys().map(String::as_str);
        aliases.chain(self.known.iter().map(|model| model.id.as_str()))
    }
}

impl Config {
    /// Finds the provider of the model that a request names: an alias, then `provider/model` or a
    /// bare model id, then a provider with a wildcard; without a name the default.
    ///
    /// # Errors
    /// [`ResolveError::Missing`] without a name or default, [`ResolveError::Unknown`] for a name
    /// that is none of these.
    pub fn resolve<'a>(&'a self, requested: Option<&'a str>) -> Result<Target<'a>, ResolveError> {
        let model = match requested.filter(|name| !name.is_empty()) {
            None => self.models.default.as_ref().map(Cow::Borrowed),
            Some(name) => match self.models.aliases.get(name) {
                Some(alias) => Some(Cow::Borrowed(&alias.model)),
                None => self.models.find(name),
            },
        };
        let target = model.and_then(|model| {
            let provider = self.providers.get(model.provider)?;
            Some(match model {
                Cow::Borrowed(model) => Target {
                    provider,
                    model: Cow::Borrowed(&model.model),
                    id: model.id.clone(),
                },
                Cow::Owned(model) => Target {
                    provider,
                    model: Cow::Owned(model.model),
                    id: model.id,
                },
            })
        });
        target.ok_or_else(|| match requested.filter(|name| !name.is_empty()) {
            None => ResolveError::Missing,
            Some(name) => {
                let near = near::matches(name, self.models.names(), NEAR);
                ResolveError::Unknown {
                    near: near.into_iter().map(str::to_owned).collect(),
                }
            }
        })
    }

    /// The models to list: configured ones and the known ones of wildcards in the order of the
    /// file, then aliases.
    pub fn models(&self) -> Vec<ListedModel> {
        let owner = |model: &Model| {
            let provider = self.providers.get(model.provider);
            provider.map_or_else(String::new, |provider| provider.name.clone())
        };
        let known = self.models.known.iter().map(|model| ListedModel {
            id: model.id.clone(),
            owned_by: owner(model),
        });
        let aliases = self.models.aliases.iter().map(|(name, alias)| ListedModel {
            id: name.clone(),
            owned_by: owner(&alias.model),
        });
        let known_or_alias = known.filter(|model| !self.models.aliases.contains_key(&model.id));
        known_or_alias.chain(aliases).collect()
    }

    /// Aliases and what the file says they stand for, in the order of the file.
    pub fn aliases(&self) -> impl Iterator<Item = (&str, &str)> {
        self.models
            .aliases
            .iter()
            .map(|(name, alias)| (name.as_str(), alias.target.as_str()))
    }

    /// The model that a request without one gets, as `provider/model`.
    pub fn default_model(&self) -> Option<&str> {
        self.models.default.as_ref().map(|model| model.id.as_str())
    }
}
