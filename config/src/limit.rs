//! Limits: which rules a request falls under, and whose bucket each of them charges.
//!
//! How much is left in a bucket is for `meseta-limits` to know; here is decided who and what.
//! Invariant: every [`Limit`] has its rule in [`Config::rules`], and the other way round.

use meseta_limits::{Rule, RuleName, RuleSet};
use sha2::{Digest as _, Sha256};

use crate::config::Config;
use crate::consumer::ConsumerKey;
use crate::pattern::Pattern;

/// How many parts the state of the meter has. The same wherever it runs, or none finds what
/// another has counted.
pub const METER_SHARDS: u32 = 1024;

/// A rule, and the requests that it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// What is counted, and how much of it is allowed.
    pub rule: Rule,
    /// The requests.
    pub when: LimitMatch,
    /// Keys name it: it is for the consumers of these alone.
    pub by_key: bool,
    /// It is of `ratelimits`, where a value of its own comes before any value.
    pub(crate) of_plano: bool,
}

/// What a request must have: all of what is there, and of a list one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LimitMatch {
    /// The consumer's name.
    pub consumer: Option<Vec<Pattern>>,
    /// `provider/model` of the model that serves, or the name of the pool.
    pub model: Option<Vec<Pattern>>,
    /// The name of the provider that serves.
    pub provider: Option<Vec<Pattern>>,
    /// The listener's name.
    pub listener: Option<Vec<Pattern>>,
    /// A request header, in lower case.
    pub header: Option<LimitField>,
    /// A claim: the names that lead to it, with dots between them.
    pub claim: Option<LimitField>,
}

/// Something of a request that has a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitField {
    /// Its name.
    pub name: String,
    /// The value that it must have; `None` for any, each with a bucket of its own.
    pub value: Option<String>,
}

/// What is known of a request when its limits are looked for.
#[derive(Clone, Copy)]
pub struct LimitFacts<'a> {
    /// Who asks.
    pub consumer: Option<&'a str>,
    /// The key that was presented.
    pub key: Option<&'a ConsumerKey>,
    /// The model that serves, as `provider/model`.
    pub model: &'a str,
    /// The pool that was asked for.
    pub pool: Option<&'a str>,
    /// The provider that serves.
    pub provider: &'a str,
    /// The listener.
    pub listener: &'a str,
    /// The value of a request header, named in lower case.
    pub header: &'a dyn Fn(&str) -> Option<&'a str>,
    /// The value of a claim, by its path.
    pub claim: &'a dyn Fn(&str) -> Option<String>,
}

/// Whose bucket of a rule it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    rule: RuleName,
    kind: SubjectKind,
    value: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SubjectKind {
    All,
    Consumer,
    Header,
    Claim,
}

impl SubjectKind {
    /// In hashes: it must never change.
    fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Consumer => "consumer",
            Self::Header => "header",
            Self::Claim => "claim",
        }
    }
}

impl Subject {
    /// What stands for it where buckets are kept: the first eight bytes, the highest first, of the
    /// SHA-256 of rule, kind and value with a zero byte between them. The same in every process.
    pub fn hash(&self) -> u64 {
        let mut hasher = Sha256::new();
        hasher.update(self.rule.as_str());
        hasher.update([0]);
        hasher.update(self.kind.as_str());
        hasher.update([0]);
        hasher.update(&self.value);
        let bytes = hasher.finalize();
        let first = bytes.iter().take(8);
        first.fold(0, |hash, byte| (hash << 8) | u64::from(*byte))
    }
}

impl Limit {
    /// Whether it is for whoever asks with this key, or without one.
    pub(crate) fn is_of(&self, key: Option<&ConsumerKey>) -> bool {
        !self.by_key || key.is_some_and(|key| key.limits.contains(self.rule.name()))
    }
}

impl LimitMatch {
    /// Whether this consumer is meant.
    pub(crate) fn asks(&self, consumer: Option<&str>) -> bool {
        listed(self.consumer.as_deref(), consumer)
    }

    /// Whether requests to this listener that this model serves are meant.
    pub(crate) fn serves(
        &self,
        model: &str,
        pool: Option<&str>,
        provider: &str,
        listener: &str,
    ) -> bool {
        listed(self.provider.as_deref(), Some(provider))
            && listed(self.listener.as_deref(), Some(listener))
            && (listed(self.model.as_deref(), Some(model)) || listed(self.model.as_deref(), pool))
    }

    /// Whether everything fits but header and claim.
    fn fits(&self, facts: &LimitFacts<'_>) -> bool {
        let LimitFacts { model, pool, .. } = *facts;
        self.asks(facts.consumer) && self.serves(model, pool, facts.provider, facts.listener)
    }
}

/// Whether a name is one of those wanted, if any are.
fn listed(wanted: Option<&[Pattern]>, name: Option<&str>) -> bool {
    let is_one = |wanted: &[Pattern]| {
        name.is_some_and(|name| wanted.iter().any(|pattern| pattern.matches(name)))
    };
    wanted.is_none_or(is_one)
}

impl LimitField {
    /// The value, when it is one that is meant.
    fn of<V: AsRef<str>>(&self, value: Option<V>) -> Option<V> {
        let wanted = self.value.as_deref();
        value.filter(|value| wanted.is_none_or(|wanted| wanted == value.as_ref()))
    }
}

impl Config {
    /// The limits, in the order of the file; those of `ratelimits` last.
    pub fn limits(&self) -> &[Limit] {
        &self.limits
    }

    /// The rules of all limits.
    pub fn rules(&self) -> &RuleSet {
        &self.rules
    }

    /// The rules that a request falls under, each with whose bucket it is. More than
    /// [`MAX_CHARGES`](meseta_limits::MAX_CHARGES) of them cannot be admitted.
    pub fn charges(&self, facts: &LimitFacts<'_>) -> Vec<(RuleName, Subject)> {
        let mut charges = Vec::new();
        for limit in &self.limits {
            if let Some((kind, value)) = self.subject(limit, facts) {
                let rule = limit.rule.name().clone();
                let subject = Subject {
                    rule: rule.clone(),
                    kind,
                    value,
                };
                charges.push((rule, subject));
            }
        }
        charges
    }

    /// Whose bucket of a limit a request charges, if it falls under it.
    fn subject(&self, limit: &Limit, facts: &LimitFacts<'_>) -> Option<(SubjectKind, String)> {
        let when = &limit.when;
        if !limit.is_of(facts.key) || !when.fits(facts) {
            return None;
        }
        let header = match &when.header {
            Some(header) => Some(header.of((facts.header)(&header.name))?),
            None => None,
        };
        let claim = match &when.claim {
            Some(claim) => Some(claim.of((facts.claim)(&claim.name))?),
            None => None,
        };
        if let (true, Some(header), Some(value)) = (limit.of_plano, &when.header, header) {
            if header.value.is_none() && self.has_own_value(&header.name, value, facts) {
                return None;
            }
        }
        let consumer = match (limit.by_key, facts.key) {
            (true, Some(key)) => Some(key.name.as_str()),
            _ => facts.consumer.filter(|_| when.consumer.is_some()),
        };
        Some(match (header, claim, consumer) {
            (Some(value), _, _) => (SubjectKind::Header, value.to_owned()),
            (None, Some(value), _) => (SubjectKind::Claim, value),
            (None, None, Some(name)) => (SubjectKind::Consumer, name.to_owned()),
            (None, None, None) => (SubjectKind::All, String::new()),
        })
    }

    /// Whether an entry of `ratelimits` is for this model and this very value.
    fn has_own_value(&self, header: &str, value: &str, facts: &LimitFacts<'_>) -> bool {
        let is_own = |limit: &Limit| {
            let field = limit.when.header.as_ref();
            let is_it =
                |own: &LimitField| own.name == header && own.value.as_deref() == Some(value);
            limit.of_plano && field.is_some_and(is_it) && limit.when.fits(facts)
        };
        self.limits.iter().any(is_own)
    }
}
