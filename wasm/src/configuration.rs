//! The filter's configuration: JSON, rendered with Envoy's.
//!
//! `{"version": 1, "rules": "v1 all=requests:10/second", "fail": "closed", "shards": 1024}`, all but
//! the version with defaults: no rules, closed, 1024.
//!
//! Invariant: what is not understood as a whole is refused as a whole. A filter that half understands
//! its rules would let pass what it should not.

use meseta_limits::{RuleSet, RuleSetError};
use serde::Deserialize;

/// The most shards that there can be.
pub const MOST_SHARDS: u32 = 4096;
/// How many shards there are, unless that is set. A shard is copied for each charge, so many small
/// ones are faster than few large ones: with 1024, of 50 000 subjects each has 50, which is 1.6 KiB.
/// All shards together never take more than 32 MiB.
pub const SHARDS: u32 = 1024;

/// What the filter is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration {
    /// The rules that it can be ordered to execute.
    pub rules: RuleSet,
    /// Over how many shards subjects are spread.
    pub shards: u32,
    /// Whether a request that cannot be counted is refused.
    pub fail_closed: bool,
}

/// As it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    version: u32,
    #[serde(default)]
    rules: Option<String>,
    #[serde(default)]
    fail: Fail,
    #[serde(default)]
    shards: Option<u32>,
}

#[derive(Deserialize, Default, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Fail {
    #[default]
    Closed,
    Open,
}

/// The version alone, of whatever else there may be.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

impl Configuration {
    /// Reads a configuration.
    ///
    /// # Errors
    /// [`ConfigurationError`]; no part of it is to be executed then.
    pub fn read(bytes: &[u8]) -> Result<Self, ConfigurationError> {
        let Versioned { version } = serde_json::from_slice(bytes)?;
        if version != meseta_proto::VERSION {
            return Err(ConfigurationError::Version { version });
        }
        let written: Written = serde_json::from_slice(bytes)?;
        debug_assert_eq!(written.version, version);
        let shards = written.shards.unwrap_or(SHARDS);
        if shards == 0 || shards > MOST_SHARDS {
            return Err(ConfigurationError::Shards { shards });
        }
        let rules = written.rules.map(|rules| rules.parse()).transpose()?;
        Ok(Self {
            rules: rules.unwrap_or_default(),
            shards,
            fail_closed: written.fail == Fail::Closed,
        })
    }
}

/// Why a configuration is none.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigurationError {
    /// It is not the JSON that is expected.
    #[error("the configuration cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    /// It is of another version of the contract.
    #[error(
        "the configuration is of version {version} of the contract, this filter knows {}",
        meseta_proto::VERSION
    )]
    Version {
        /// Its version.
        version: u32,
    },
    /// The rules.
    #[error("rules: {0}")]
    Rules(#[from] RuleSetError),
    /// The number of shards.
    #[error("shards must be 1 to {MOST_SHARDS}, not {shards}")]
    Shards {
        /// The number.
        shards: u32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        Configuration::read(text.as_bytes())
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn a_version_alone_is_a_configuration_without_rules_that_fails_closed() {
        let configuration = Configuration::read(br#"{"version":1}"#).unwrap();
        assert!(configuration.rules.is_empty());
        assert!(configuration.fail_closed);
        assert_eq!(configuration.shards, SHARDS);
    }

    #[test]
    fn all_members_are_read() {
        let text =
            br#"{"version":1,"rules":"v1 all=requests:10/second","fail":"open","shards":64}"#;
        let configuration = Configuration::read(text).unwrap();
        assert_eq!(configuration.rules.to_string(), "v1 all=requests:10/second");
        assert!(!configuration.fail_closed);
        assert_eq!(configuration.shards, 64);
    }

    #[test]
    fn another_version_is_refused_whatever_else_is_in_it() {
        let text = r#"{"version":2,"rules":{"new":"shape"},"more":true}"#;
        assert!(refusal(text).contains("version 2"), "{}", refusal(text));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for text in [
            "",
            "{}",
            "[]",
            r#"{"version":"1"}"#,
            r#"{"version":1"#,
            r#"{"version":1,"fail":"ajar"}"#,
            r#"{"version":1,"rule":"v1"}"#,
            r#"{"version":1,"rules":""}"#,
            r#"{"version":1,"rules":"v1 all=apples:10/second"}"#,
            r#"{"version":1,"shards":0}"#,
            r#"{"version":1,"shards":4097}"#,
        ] {
            assert_ne!(refusal(text), "", "{text}");
        }
    }
}
