//! Names with several targets, and what happens when one of them fails.
//!
//! A [`Pool`] is an entry of `models`; its [`Policy`] says how its targets are called. A name that is
//! no pool has one target and the default policy.

use std::sync::Arc;
use std::time::Duration;

use crate::pattern::Pattern;

/// A model of a provider, in a configuration that it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ModelRef {
    /// The index in [`Config::providers`](crate::Config::providers).
    pub provider: usize,
    /// The model as the provider knows it.
    pub model: String,
    /// `provider/model`.
    pub id: String,
}

/// A name that clients may use, and the targets that serve it: an entry of `models`.
#[derive(Debug, Clone, PartialEq)]
pub struct Pool {
    /// The name.
    pub name: String,
    /// In the order of the file; at least one.
    pub targets: Vec<PoolTarget>,
    /// How one of several targets of equal priority is chosen.
    pub select: Select,
    /// What keeps a sender at one target of equal priority; without it, or in a request without it, the
    /// target is chosen anew.
    pub sticky: Option<Sticky>,
    /// The first that matches sends the request elsewhere.
    pub rules: Vec<Rule>,
    /// Where copies of requests go.
    pub mirror: Option<Mirror>,
    /// How its targets are called.
    pub policy: Arc<Policy>,
}

/// A target of a pool.
#[derive(Debug, Clone, PartialEq)]
pub struct PoolTarget {
    /// What is asked.
    pub model: ModelRef,
    /// The lower number is asked first.
    pub priority: u32,
    /// The share among those of equal priority; not zero.
    pub weight: u32,
    /// How many tokens it takes, where the file says so.
    pub context_window: Option<u64>,
}

/// How one of several targets of equal priority is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Select {
    /// By chance, in proportion to the weights.
    #[default]
    Weighted,
    /// The one with the shortest measured time to its first token.
    Fastest,
    /// The one with the fewest requests under way, in proportion to the weights.
    LeastBusy,
}

/// What tells senders apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sticky {
    /// The value of a request header, in lower case.
    Header(String),
    /// Who asks.
    Consumer,
}

/// What is known of the sender of a request when its targets are looked for.
#[derive(Clone, Copy)]
pub struct Sender<'a> {
    /// The value of a request header, named in lower case.
    pub header: &'a dyn Fn(&str) -> Option<&'a str>,
    /// Who asks.
    pub consumer: Option<&'a str>,
}

impl Sender<'_> {
    /// One of whom nothing is known.
    pub const UNKNOWN: Sender<'static> = Sender {
        header: &|_| None,
        consumer: None,
    };
}

impl std::fmt::Debug for Sender<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sender")
            .field("consumer", &self.consumer)
            .finish_non_exhaustive()
    }
}

/// Sends some requests for a pool to another name.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Who must ask; `None`: anybody.
    pub consumer: Option<Vec<Pattern>>,
    /// Request headers, in lower case, with the value that each must have; `None`: any.
    pub headers: Vec<(String, Option<String>)>,
    /// Where the request goes.
    pub to: Destination,
}

impl Rule {
    /// Whether a request of this sender is meant.
    pub fn matches(&self, sender: &Sender<'_>) -> bool {
        let is_consumer = self.consumer.as_ref().is_none_or(|wanted| {
            let name = sender.consumer;
            name.is_some_and(|name| wanted.iter().any(|pattern| pattern.matches(name)))
        });
        let mut headers = self.headers.iter();
        is_consumer
            && headers.all(|(name, wanted)| {
                let value = (sender.header)(name);
                match wanted {
                    Some(wanted) => value == Some(wanted),
                    None => value.is_some(),
                }
            })
    }
}

/// What a name or a rule leads to.
#[derive(Debug, Clone, PartialEq)]
pub enum Destination {
    /// The pool of this name, whose own rules are not read.
    Pool(String),
    /// One model.
    Model(ModelRef),
}

/// Copies of requests for a target whose answers no client sees.
#[derive(Debug, Clone, PartialEq)]
pub struct Mirror {
    /// What is asked.
    pub model: ModelRef,
    /// The share of requests that are copied, above 0 and at most 1.
    pub share: f64,
    /// What its answer comes to is compared with the client's.
    pub compare: bool,
}

/// How the targets of a name are called.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Policy {
    /// Who calls the provider; `None` leaves it to what is asked for.
    pub path: Option<UpstreamPath>,
    /// When another target is tried.
    pub failover: Failover,
    /// How long each step may take.
    pub timeout: Timeouts,
    /// When a second target is asked beside one that is slow to begin.
    pub hedge: Option<Hedge>,
    /// An answer that breaks in the middle is continued by the next target.
    pub resume: bool,
}

impl Pool {
    /// Who calls its targets.
    pub fn path(&self) -> UpstreamPath {
        match self.mirror {
            Some(_) => UpstreamPath::Relay,
            None => self.policy.path(self.targets.len()),
        }
    }
}

impl Policy {
    /// Who calls so many targets: what is said, else the server where only that will do.
    pub(crate) fn path(&self, targets: usize) -> UpstreamPath {
        let default = match targets > 1 || self.needs_relay() {
            true => UpstreamPath::Relay,
            false => UpstreamPath::Direct,
        };
        self.path.unwrap_or(default)
    }

    /// Whether it asks for what only a relay can do, however many targets there are.
    pub fn needs_relay(&self) -> bool {
        self.resume
            || self.hedge.is_some()
            || self.timeout.headers.is_some()
            || self.timeout.first_token.is_some()
            || self.timeout.idle.is_some()
            || self.timeout.total.is_some()
    }
}

/// Who calls the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpstreamPath {
    /// Envoy, and its answer passes the server.
    Direct,
    /// The server itself.
    Relay,
}

impl UpstreamPath {
    /// As in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Relay => "relay",
        }
    }
}

/// When another target is tried, and how often.
#[derive(Debug, Clone, PartialEq)]
pub struct Failover {
    /// What counts as a failure.
    pub on: Conditions,
    /// How many attempts there are at most, the first included; not zero.
    pub max_attempts: u32,
    /// Attempts after the first that a target gets at most, as a share of the requests for its pool;
    /// a few each second are always granted.
    pub retry_budget: f64,
    /// How long a target that fails is left alone.
    pub cooldown: Cooldown,
}

impl Default for Failover {
    fn default() -> Self {
        Self {
            on: Conditions::default(),
            max_attempts: 3,
            retry_budget: 0.5,
            cooldown: Cooldown::default(),
        }
    }
}

/// When a target is left alone, and for how long.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cooldown {
    /// So many failures in a row.
    pub failures: u32,
    /// Or this share of failures, above 0 and at most 1, among at least ten recent attempts.
    pub error_rate: f64,
    /// For how long, the first time; it doubles with each failed probe.
    pub first: Duration,
    /// For how long at most.
    pub longest: Duration,
}

impl Default for Cooldown {
    fn default() -> Self {
        Self {
            failures: 3,
            error_rate: 0.5,
            first: Duration::from_secs(10),
            longest: Duration::from_secs(300),
        }
    }
}

/// What counts as a failure that another target may mend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conditions {
    /// Statuses, in order, each once.
    pub statuses: Vec<u16>,
    /// No connection could be made.
    pub connect: bool,
    /// The connection broke before the answer was complete.
    pub reset: bool,
    /// [`Timeouts::headers`] passed.
    pub headers_timeout: bool,
    /// [`Timeouts::first_token`] passed.
    pub first_token_timeout: bool,
    /// [`Timeouts::idle`] passed.
    pub idle_timeout: bool,
    /// A success that is none: its first event is an error, or its body is not what its type says.
    pub bad_answer: bool,
    /// The request is larger than the model's window.
    pub context_length: bool,
    /// The provider's filter refused the request or the answer.
    pub content_filter: bool,
}

impl Conditions {
    /// Whether an answer of this status is a failure, whatever it says.
    pub fn has_status(&self, status: u16) -> bool {
        self.statuses.contains(&status)
    }
}

impl Default for Conditions {
    fn default() -> Self {
        Self {
            statuses: vec![429, 500, 502, 503, 504, 529],
            connect: true,
            reset: true,
            headers_timeout: true,
            first_token_timeout: true,
            idle_timeout: true,
            bad_answer: true,
            context_length: false,
            content_filter: false,
        }
    }
}

/// How long the steps of one attempt, or the whole exchange, may take; `None` for as long as the
/// listener allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timeouts {
    /// Until the answer's headers. Of an answer that is not streamed they come with its end.
    pub headers: Option<Duration>,
    /// Until the first content of a stream.
    pub first_token: Option<Duration>,
    /// Between two pieces of a stream.
    pub idle: Option<Duration>,
    /// The whole exchange, all attempts included.
    pub total: Option<Duration>,
}

/// When a second target is asked beside one that is slow to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hedge {
    /// After the time within which this share of its recent answers began, in percent: 50 to 99. Not
    /// before twenty of them are known.
    Percentile(u8),
    /// After this time.
    After(Duration),
}
