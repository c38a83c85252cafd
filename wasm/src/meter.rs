//! What the meter does, free of the ABI.
//!
//! Owns the counter of exchanges. A [`Meter`] belongs to one virtual machine (Envoy runs one per
//! worker and one on the main thread); the host adds their counts up.
//!
//! Invariant: an exchange is counted at most once, when it is logged, however it ended; and no
//! failure of the host changes what happens to an exchange.

use std::cell::Cell;

use crate::host::{CounterId, Host, Level};

/// The counter of exchanges. Envoy shows it with its own prefix, `wasmcustom.`.
pub const EXCHANGES: &str = "meseta_meter_exchanges";

/// The meter of one virtual machine.
pub struct Meter<H> {
    host: H,
    exchanges: Cell<Option<CounterId>>,
}

impl<H: Host> Meter<H> {
    /// A meter that counts nothing until it is [configured](Self::configure).
    pub fn new(host: H) -> Self {
        Self {
            host,
            exchanges: Cell::new(None),
        }
    }

    /// Defines the counters. Envoy calls this once per virtual machine and again when the filter's
    /// configuration changes.
    ///
    /// Without its counter the meter goes on, uncounted, and says so in the log.
    pub fn configure(&self) {
        match self.host.define_counter(EXCHANGES) {
            Ok(counter) => {
                self.exchanges.set(Some(counter));
                self.host.log(
                    Level::Info,
                    &format!(
                        "meseta meter {} in the chain, contract version {}",
                        env!("CARGO_PKG_VERSION"),
                        meseta_proto::VERSION
                    ),
                );
            }
            Err(status) => {
                self.exchanges.set(None);
                self.host.log(
                    Level::Warn,
                    &format!("counter {EXCHANGES} not defined: {status}; exchanges go uncounted"),
                );
            }
        }
    }

    /// Counts one exchange. The first failure is logged and ends the counting, so that a host
    /// that refuses does not fill the log.
    fn count(&self) {
        let Some(counter) = self.exchanges.get() else {
            return;
        };
        if let Err(status) = self.host.increment(counter, 1) {
            self.exchanges.set(None);
            self.host.log(
                Level::Warn,
                &format!("counter {EXCHANGES} not counted: {status}; exchanges go uncounted"),
            );
        }
    }
}

/// One exchange, from its request headers to its log line.
#[derive(Debug, Default)]
pub struct Exchange {
    logged: bool,
}

impl Exchange {
    /// The exchange is over and is being logged: after an answer, a local reply or a disconnect.
    pub fn log<H: Host>(&mut self, meter: &Meter<H>) {
        if !self.logged {
            self.logged = true;
            meter.count();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::host::Status;

    /// A host that records what it was asked and fails where told.
    #[derive(Default)]
    struct Recording {
        defined: RefCell<Vec<String>>,
        increments: RefCell<Vec<(CounterId, u32)>>,
        lines: RefCell<Vec<(Level, String)>>,
        refuse_define: Cell<Option<Status>>,
        refuse_increment: Cell<Option<Status>>,
    }

    impl Host for &Recording {
        fn define_counter(&self, name: &str) -> Result<CounterId, Status> {
            if let Some(status) = self.refuse_define.get() {
                return Err(status);
            }
            self.defined.borrow_mut().push(name.to_owned());
            Ok(CounterId(7))
        }

        fn increment(&self, counter: CounterId, by: u32) -> Result<(), Status> {
            self.increments.borrow_mut().push((counter, by));
            self.refuse_increment.get().map_or(Ok(()), Err)
        }

        fn log(&self, level: Level, message: &str) {
            self.lines.borrow_mut().push((level, message.to_owned()));
        }
    }

    fn warnings(host: &Recording) -> Vec<String> {
        let lines = host.lines.borrow();
        let warnings = lines.iter().filter(|(level, _)| *level == Level::Warn);
        warnings.map(|(_, line)| line.clone()).collect()
    }

    #[test]
    fn each_exchange_counts_once_however_often_it_is_logged() {
        let host = Recording::default();
        let meter = Meter::new(&host);
        meter.configure();
        for _ in 0..3 {
            let mut exchange = Exchange::default();
            exchange.log(&meter);
            exchange.log(&meter);
        }
        assert_eq!(*host.defined.borrow(), [EXCHANGES]);
        assert_eq!(*host.increments.borrow(), [(CounterId(7), 1); 3]);
        assert_eq!(warnings(&host), Vec::<String>::new());
    }

    #[test]
    fn a_running_meter_says_in_the_log_that_it_is_in_the_chain() {
        let host = Recording::default();
        Meter::new(&host).configure();
        let lines = host.lines.borrow();
        assert_eq!(lines.len(), 1);
        assert!(lines[0].1.contains("in the chain"), "{}", lines[0].1);
    }

    #[test]
    fn without_its_counter_exchanges_go_on_uncounted() {
        let host = Recording::default();
        host.refuse_define.set(Some(Status::INTERNAL_FAILURE));
        let meter = Meter::new(&host);
        meter.configure();
        Exchange::default().log(&meter);
        assert!(host.increments.borrow().is_empty());
        assert_eq!(
            warnings(&host),
            ["counter meseta_meter_exchanges not defined: internal failure; exchanges go uncounted"]
        );
    }

    #[test]
    fn a_refused_increment_is_logged_once_and_not_tried_again() {
        let host = Recording::default();
        host.refuse_increment.set(Some(Status::NOT_FOUND));
        let meter = Meter::new(&host);
        meter.configure();
        Exchange::default().log(&meter);
        Exchange::default().log(&meter);
        assert_eq!(host.increments.borrow().len(), 1);
        assert_eq!(
            warnings(&host),
            ["counter meseta_meter_exchanges not counted: not found; exchanges go uncounted"]
        );
    }

    #[test]
    fn a_new_configuration_starts_the_counting_again() {
        let host = Recording::default();
        host.refuse_increment.set(Some(Status::NOT_FOUND));
        let meter = Meter::new(&host);
        meter.configure();
        Exchange::default().log(&meter);
        host.refuse_increment.set(None);
        meter.configure();
        Exchange::default().log(&meter);
        assert_eq!(host.increments.borrow().len(), 2);
    }

    #[test]
    fn an_unconfigured_meter_asks_nothing_of_the_host() {
        let host = Recording::default();
        Exchange::default().log(&Meter::new(&host));
        assert!(host.increments.borrow().is_empty());
        assert!(host.lines.borrow().is_empty());
    }
}
