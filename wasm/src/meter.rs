//! What the meter does with an exchange, free of the ABI.
//!
//! A [`Meter`] belongs to one configuration in one virtual machine (Envoy runs one per worker and one
//! on the main thread); what they count is in the host's shared data, so that a limit holds over all
//! of them. An [`Exchange`] is the filter's part in one exchange of one chain.
//!
//! Invariants:
//! - An exchange without an order costs one host call on its way in, and none on its way out.
//! - What is admitted is settled at most once: by the exchange that was admitted, or, where the
//!   server has taken the reservation over, by the one in front of the server.
//! - No failure of the host changes more than whether the exchange passes, which is then what the
//!   configuration says. An order that cannot be read is such a failure.
//! - A rule that is not known is passed over and counted: while a new configuration is taken, the
//!   server is ahead of the listeners for a moment.

use std::time::Duration;

use meseta_limits::{Admission, AdmitError, Amounts, Charge, Order, Reservation, Standings, Stats};
use meseta_proto::{headers, RequestMetadata, UsageMetadata};

use crate::configuration::Configuration;
use crate::counters::{Counter, Counters};
use crate::host::{Headers, Host, Level};
use crate::reply::{Dialect, Reply};
use crate::store::{Keys, SharedData};

/// What the access log says of the meter's answers. Those of our own begin so: Envoy's
/// configuration lets them pass as they are.
pub const DETAILS: &str = "meseta_meter";

/// The meter of one configuration.
pub struct Meter<H> {
    host: H,
    counters: Counters,
    rules: meseta_limits::Meter,
    keys: Keys,
    fail_closed: bool,
    configured: bool,
}

impl<H: Host> Meter<H> {
    /// A meter that counts nothing and refuses what it is to count, until it is
    /// [configured](Self::configure).
    pub fn new(host: H) -> Self {
        Self {
            host,
            counters: Counters::default(),
            rules: meseta_limits::Meter::new(meseta_limits::RuleSet::default(), 1),
            keys: Keys::default(),
            fail_closed: true,
            configured: false,
        }
    }

    /// Takes the configuration, of `size` bytes, and defines the counters. Without its counters the
    /// meter goes on, uncounted, and says so in the log.
    ///
    /// False where the configuration is none: the filter must not run then.
    pub fn configure(&mut self, size: usize) -> bool {
        let configuration = match self.host.configuration(size) {
            Ok(bytes) => Configuration::read(&bytes).map_err(|error| error.to_string()),
            Err(status) => Err(format!("the configuration is not there: {status}")),
        };
        let configuration = match configuration {
            Ok(configuration) => configuration,
            Err(error) => {
                let line = format!("meseta meter does not start: {error}");
                self.host.log(Level::Warn, &line);
                return false;
            }
        };
        let Configuration {
            rules,
            shards,
            fail_closed,
        } = configuration;
        let line = format!(
            "meseta meter {} in the chain, contract version {}, {} rules",
            env!("CARGO_PKG_VERSION"),
            meseta_proto::VERSION,
            rules.len()
        );
        self.rules = meseta_limits::Meter::new(rules, shards).with_fail_closed(fail_closed);
        self.keys = Keys::new(shards);
        self.fail_closed = fail_closed;
        self.configured = true;
        self.counters.define(&self.host);
        self.host.log(Level::Info, &line);
        true
    }

    fn store(&self) -> SharedData<'_, H> {
        SharedData::new(&self.host, &self.keys)
    }

    fn count(&self, counter: Counter, by: u32) {
        self.counters.add(&self.host, counter, by);
    }

    fn count_stats(&self, stats: Stats) {
        let full = stats
            .crowded_refused
            .saturating_add(stats.crowded_uncounted);
        self.count(Counter::ShardFull, full);
        self.count(Counter::StoreFailures, stats.corrupt);
    }

    /// What is to be done with a request that cannot be counted.
    fn fail(&self, dialect: Dialect) -> Verdict {
        if self.fail_closed {
            self.refuse(&Reply::unavailable(dialect))
        } else {
            Verdict::Continue
        }
    }

    fn refuse(&self, reply: &Reply) -> Verdict {
        self.count(Counter::Refused, 1);
        self.answer(reply)
    }

    fn answer(&self, reply: &Reply) -> Verdict {
        let headers: Vec<(&str, &str)> = reply
            .headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let send = |headers: &[(&str, &str)], body: &[u8]| {
            self.host
                .send_local_response(reply.status, DETAILS, headers, body)
        };
        if send(&headers, reply.body.as_bytes()).is_err() {
            // The bare status is better than a client that waits.
            if let Err(status) = send(&[], &[]) {
                let line = format!("an answer cannot be sent: {status}");
                self.host.log(Level::Warn, &line);
            }
        }
        Verdict::Refused
    }

    /// Whether the server only asks where subjects stand. It alone can: what clients send of that name
    /// is taken off before. An order of tokens is none, and is spared the look.
    fn is_question(&self, order: &Order) -> bool {
        let amounts = order.amounts();
        if amounts.input_tokens > 0 || amounts.output_tokens > 0 {
            return false;
        }
        let header = self.host.header(Headers::Request, headers::EXPLAIN);
        matches!(header, Ok(Some(_)))
    }

    /// Answers where subjects stand. Nothing is charged, and the request goes no further.
    fn explain(&self, charges: &[Charge<'_>], now: Duration) -> Verdict {
        let Ok(standing) = self.rules.peek(&self.store(), charges, now) else {
            self.count(Counter::StoreFailures, 1);
            return self.answer(&Reply::unavailable(Dialect::OpenAi));
        };
        self.answer(&Reply::standing(&Standings(standing)))
    }

    /// Corrects a reservation to what was used.
    fn settle(&self, reservation: &Reservation, used: impl FnOnce() -> Amounts) {
        // Of requests alone there is nothing to correct, and nobody to ask.
        if reservation.counts_tokens() {
            let Ok(now) = self.host.now() else {
                self.count(Counter::StoreFailures, 1);
                return;
            };
            match self.rules.settle(&self.store(), reservation, used(), now) {
                Ok(settled) => {
                    self.count_stats(settled.stats);
                    let unknown = u32::try_from(settled.unknown.len()).unwrap_or(u32::MAX);
                    self.count(Counter::UnknownRule, unknown);
                }
                Err(_) => {
                    self.count(Counter::StoreFailures, 1);
                    return;
                }
            }
        }
        self.count(Counter::Settled, 1);
    }

    /// What the server says that was used, last. Where it has said nothing: the prompt as it was
    /// reserved, and nothing of an answer, as nobody has seen one.
    fn used(&self, reserved_input: impl FnOnce() -> u64) -> Amounts {
        let read = |field| self.number(UsageMetadata::NAMESPACE, field);
        let input = read(UsageMetadata::INPUT_TOKENS);
        let output = read(UsageMetadata::OUTPUT_TOKENS);
        let input_tokens = match input {
            Some(input) if input > 0 => input,
            // That nothing was used is final when the exchange has come to its end.
            Some(_) if self.flag(UsageMetadata::NAMESPACE, UsageMetadata::COMPLETE) => 0,
            _ => reserved_input(),
        };
        Amounts {
            requests: 1,
            input_tokens,
            output_tokens: output.unwrap_or(0),
        }
    }

    /// A field of dynamic metadata. One that cannot be read is as good as none.
    fn field(&self, namespace: &str, field: &str) -> Option<Vec<u8>> {
        let path = ["metadata", "filter_metadata", namespace, field];
        self.host.property(&path).ok().flatten()
    }

    fn text(&self, namespace: &str, field: &str) -> Option<String> {
        String::from_utf8(self.field(namespace, field)?).ok()
    }

    fn number(&self, namespace: &str, field: &str) -> Option<u64> {
        let bytes = self.field(namespace, field)?;
        let number = f64::from_le_bytes(*bytes.first_chunk()?);
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked before; what is too large becomes the largest"
        )]
        (bytes.len() == 8 && number >= 0.0).then_some(number as u64)
    }

    fn flag(&self, namespace: &str, field: &str) -> bool {
        let bytes = self.field(namespace, field);
        bytes.is_some_and(|bytes| matches!(*bytes, [flag] if flag != 0))
    }
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on.
    Continue,
    /// It has its answer already: a refusal, or what the server has asked.
    Refused,
}

/// One exchange, from its request headers to its log line.
#[derive(Debug, Default)]
pub struct Exchange {
    /// Whether the request has come by: a relayed one never passes the chain in front.
    seen: bool,
    admitted: Option<Admitted>,
    logged: bool,
}

/// A request that has been let through by its order.
#[derive(Debug)]
struct Admitted {
    reservation: Reservation,
    standing: Standings,
    input_tokens: u64,
    relayed: bool,
    /// Whether the server has the reservation now, and settles.
    handed_over: bool,
}

impl Exchange {
    /// The request's headers have come.
    pub fn request<H: Host>(&mut self, meter: &Meter<H>) -> Verdict {
        self.seen = true;
        let text = match meter.host.header(Headers::Request, headers::CHARGE) {
            Ok(None) => return Verdict::Continue,
            Ok(Some(text)) => text,
            // There may have been an order.
            Err(_) => {
                meter.count(Counter::Unreadable, 1);
                return meter.fail(Dialect::OpenAi);
            }
        };
        let order = std::str::from_utf8(&text)
            .ok()
            .and_then(|text| text.parse::<Order>().ok());
        match order {
            Some(order) => self.admit(meter, &order),
            None => {
                meter.count(Counter::Unreadable, 1);
                meter.fail(Dialect::OpenAi)
            }
        }
    }

    fn admit<H: Host>(&mut self, meter: &Meter<H>, order: &Order) -> Verdict {
        let dialect = Dialect::named(order.dialect());
        if !meter.configured {
            return meter.fail(dialect);
        }
        let rules = meter.rules.rules();
        let known = |charge: &Charge<'_>| rules.find(charge.rule).is_some();
        let charges: Vec<Charge<'_>> = order.charges().filter(known).collect();
        let unknown = order.charges().count().saturating_sub(charges.len());
        meter.count(
            Counter::UnknownRule,
            u32::try_from(unknown).unwrap_or(u32::MAX),
        );
        let is_question = meter.is_question(order);
        if charges.is_empty() && !is_question {
            return Verdict::Continue;
        }
        let Ok(now) = meter.host.now() else {
            meter.count(Counter::StoreFailures, 1);
            return meter.fail(dialect);
        };
        let amounts = order.amounts();
        if is_question {
            // It is no exchange.
            self.logged = true;
            return meter.explain(&charges, now);
        }
        match meter.rules.admit(&meter.store(), &charges, amounts, now) {
            Ok(Admission::Admitted {
                reservation,
                standing,
                stats,
            }) => {
                meter.count_stats(stats);
                meter.count(Counter::Admitted, 1);
                self.admitted = Some(Admitted {
                    reservation,
                    standing: Standings(standing),
                    input_tokens: amounts.input_tokens,
                    relayed: order.is_relayed(),
                    handed_over: false,
                });
                Verdict::Continue
            }
            Ok(Admission::Refused(refused)) => {
                meter.count_stats(refused.stats);
                let rule = rules.find(&refused.rule);
                meter.refuse(&Reply::refused(dialect, &refused, rule))
            }
            Err(AdmitError::Store(_)) => {
                meter.count(Counter::StoreFailures, 1);
                meter.fail(dialect)
            }
            Err(_) => {
                meter.count(Counter::Unreadable, 1);
                meter.fail(dialect)
            }
        }
    }

    /// The answer's headers have come, from a provider or from Envoy itself.
    pub fn response<H: Host>(&mut self, meter: &Meter<H>) {
        let Some(admitted) = &mut self.admitted else {
            return;
        };
        let set = |name, value: String| meter.host.replace_header(Headers::Response, name, &value);
        // Without it the client does not read where it stands; nothing else is amiss.
        let _ = set(headers::STANDING, admitted.standing.to_string());
        if admitted.relayed {
            let handed = set(headers::RESERVATION, admitted.reservation.to_string());
            admitted.handed_over = handed.is_ok();
        }
    }

    /// The exchange is over and is being logged: after an answer, a local reply or a disconnect.
    pub fn log<H: Host>(&mut self, meter: &Meter<H>) {
        if self.logged {
            return;
        }
        self.logged = true;
        meter.count(Counter::Exchanges, 1);
        match self.admitted.take() {
            Some(admitted) if admitted.handed_over => {}
            Some(Admitted {
                reservation,
                input_tokens,
                ..
            }) => meter.settle(&reservation, || meter.used(|| input_tokens)),
            None if !self.seen => settle_relayed(meter),
            None => {}
        }
    }
}

/// Settles what a relayed call has reserved in another chain, if there has been one.
fn settle_relayed<H: Host>(meter: &Meter<H>) {
    let request = RequestMetadata::NAMESPACE;
    let Some(text) = meter.text(request, RequestMetadata::RESERVATION) else {
        return;
    };
    match text.parse::<Reservation>() {
        Ok(reservation) => meter.settle(&reservation, || {
            let input = || meter.number(request, RequestMetadata::INPUT_TOKENS);
            meter.used(|| input().unwrap_or(0))
        }),
        Err(_) => meter.count(Counter::Unreadable, 1),
    }
}
