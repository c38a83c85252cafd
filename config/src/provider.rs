//! One upstream account: where requests go and with which credential.

use std::fmt;
use std::path::PathBuf;

use hermesllm::providers::{CatalogueEntry, ProviderId};

use crate::secret::{Secret, REDACTED};

/// `http` or `https`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Plain text, for providers on this machine or in a private network.
    Http,
    /// TLS, always with verification of the certificate.
    Https,
}

impl Scheme {
    /// As in a URL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port that a URL of this scheme has when it names none.
    pub fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// What to do with what is lost in translation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnLoss {
    /// Say so in a header of the answer.
    #[default]
    Warn,
    /// Nothing.
    Drop,
    /// Refuse the request.
    Reject,
}

impl OnLoss {
    /// As in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warn => "warn",
            Self::Drop => "drop",
            Self::Reject => "reject",
        }
    }
}

/// A text that is no [`OnLoss`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not known: write `warn`, `drop` or `reject`")]
pub struct OnLossError;

impl std::str::FromStr for OnLoss {
    type Err = OnLossError;

    fn from_str(text: &str) -> Result<Self, OnLossError> {
        match text {
            "warn" => Ok(Self::Warn),
            "drop" => Ok(Self::Drop),
            "reject" => Ok(Self::Reject),
            _ => Err(OnLossError),
        }
    }
}

/// A provider as configured: all entries of `model_providers` that agree in everything but the
/// model share one.
#[derive(Clone)]
pub struct Provider {
    /// The part before the slash in `provider/model`, as the file has it.
    pub name: String,
    /// Which provider of the catalogue it is.
    pub id: ProviderId,
    /// The Envoy cluster that reaches it.
    pub cluster: String,
    /// How it is reached.
    pub scheme: Scheme,
    /// Host name or IP address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Path of its base URL, without a final slash; empty when there is none.
    pub path_prefix: String,
    /// The `Host` header to send: `http_host` if configured, else the host of the base URL.
    pub authority: String,
    /// The name its certificate must carry, and the SNI when it is not an IP address.
    pub tls_name: String,
    /// The key, when there is one.
    pub credential: Option<Secret>,
    /// It is not asked without a key: it wants one, or the file names one for it.
    pub key_required: bool,
    /// The client's own credential is sent instead of ours.
    pub passthrough_auth: bool,
    /// What to do when its API has no place for something of a request.
    pub on_loss: OnLoss,
    /// Headers to send besides, names in lower case. Values may be secret.
    pub headers: Vec<(String, String)>,
    /// The environment variable from which the key comes or would come.
    pub key_variable: Option<String>,
    /// The file from which the key comes or would come, absolute.
    pub key_file: Option<PathBuf>,
    pub(crate) entry: &'static CatalogueEntry,
}

impl Provider {
    /// What the catalogue knows of it: paths, authentication, quirks.
    pub fn entry(&self) -> &'static CatalogueEntry {
        self.entry
    }

    /// Whether it cannot be called: it wants a key and has none.
    pub fn lacks_key(&self) -> bool {
        self.key_required && self.credential.is_none() && !self.passthrough_auth
    }

    /// Whether two entries of the file may share one provider.
    pub(crate) fn same_as(&self, other: &Self) -> bool {
        self.name == other.name
            && self.cluster == other.cluster
            && self.path_prefix == other.path_prefix
            && self.authority == other.authority
            && self.credential == other.credential
            && self.key_required == other.key_required
            && self.passthrough_auth == other.passthrough_auth
            && self.on_loss == other.on_loss
            && self.headers == other.headers
            && self.key_variable == other.key_variable
            && self.key_file == other.key_file
            && std::ptr::eq(self.entry, other.entry)
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<(&str, &str)> = self
            .headers
            .iter()
            .map(|(name, _)| (name.as_str(), REDACTED))
            .collect();
        f.debug_struct("Provider")
            .field("name", &self.name)
            .field("cluster", &self.cluster)
            .field("scheme", &self.scheme)
            .field("host", &self.host)
            .field("port", &self.port)
            .field("path_prefix", &self.path_prefix)
            .field("authority", &self.authority)
            .field("credential", &self.credential)
            .field("passthrough_auth", &self.passthrough_auth)
            .field("on_loss", &self.on_loss)
            .field("headers", &headers)
            .field("key_variable", &self.key_variable)
            .field("key_file", &self.key_file)
            .finish_non_exhaustive()
    }
}
