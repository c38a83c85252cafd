//! A host whose every call may fail, or answer with garbage: the meter gives the answer that its
//! configuration says, and never falls over.

mod simulated;

use meseta_wasm::counters::Counter;
use meseta_wasm::meter::{Exchange, Meter, Verdict};
use proptest::prelude::*;
use simulated::{Envoy, Faults, Random, Worker};

const RULES: &str = "v1 all=requests:20/minute day=tokens:100000/day tpm=tokens:10000/minute:20000";

fn order(random: &mut Random) -> String {
    let subject = random.below(3);
    let way = ["direct", "relay"][usize::try_from(random.below(2)).unwrap()];
    let dialects = ["openai", "anthropic", "gemini", "bedrock", "other"];
    let dialect = dialects[usize::try_from(random.below(5)).unwrap()];
    let (input, output) = (random.below(1000), random.below(1000));
    match random.below(8) {
        0 => String::new(),
        1 => "garbage".to_owned(),
        2 => format!("v1;{dialect};{way};{input}:{output};gone:{subject:x}"),
        3 => format!("v1;{dialect};{way};{input}:{output};all:{subject:x}"),
        _ => format!(
            "v1;{dialect};{way};{input}:{output};all:{subject:x};tpm:{subject:x};day:{subject:x}"
        ),
    }
}

/// Callbacks in any order, as a host might make them that is not itself.
fn any_exchange(worker: &Worker<'_>, meter: &Meter<&Worker<'_>>, random: &mut Random) {
    worker.order(&order(random));
    if random.below(2) == 0 {
        worker.usage(random.below(5000), random.below(5000), random.below(2) == 0);
    }
    if random.below(2) == 0 {
        let text = b"v1;tpm:tm:1:500:abc;all:rm:1:1:abc";
        worker.property_bytes("meseta.request", "reservation", text);
    }
    let mut exchange = Exchange::default();
    for _ in 0..random.below(6) {
        match random.below(3) {
            0 => drop(exchange.request(meter)),
            1 => exchange.response(meter),
            _ => exchange.log(meter),
        }
    }
}

proptest! {
    #[test]
    fn no_failure_of_the_host_makes_the_meter_fall_over(seed: u64, one_in in 1_u64..12) {
        let envoy = Envoy::new();
        let worker = Worker::new(&envoy, 0);
        let mut random = Random(seed);
        for fail in ["closed", "open"] {
            worker.faults.set(Faults::AnyOneIn(one_in));
            let text = format!(r#"{{"version":1,"rules":"{RULES}","fail":"{fail}"}}"#);
            let meter = worker.configured(&text).unwrap_or_else(|| Meter::new(&worker));
            for _ in 0..40 {
                any_exchange(&worker, &meter, &mut random);
            }
        }
    }

    #[test]
    fn what_is_admitted_is_settled_at_most_once(seed: u64, one_in in 2_u64..30) {
        let envoy = Envoy::new();
        let worker = Worker::new(&envoy, 0);
        let meter = worker.meter(RULES, "closed");
        let mut random = Random(seed);
        for _ in 0..60 {
            worker.faults.set(Faults::OneIn(one_in));
            worker.order(&order(&mut random));
            let before = (worker.count(Counter::Admitted), worker.count(Counter::Settled));
            let answers = worker.answers.borrow().len();
            let mut exchange = Exchange::default();
            let verdict = exchange.request(&meter);
            if random.below(3) > 0 {
                exchange.response(&meter);
            }
            exchange.log(&meter);
            exchange.log(&meter);
            let admitted = worker.count(Counter::Admitted) - before.0;
            let settled = worker.count(Counter::Settled) - before.1;
            prop_assert!(admitted <= 1 && settled <= admitted);
            prop_assert!(verdict == Verdict::Continue || admitted == 0);
            // Whoever is refused has an answer, unless the host failed twice.
            let answered = worker.answers.borrow().len() - answers;
            prop_assert!(answered <= usize::from(verdict == Verdict::Refused));
        }
    }

    /// Without garbage in the state, and with settling that works, all comes back.
    #[test]
    fn what_failed_on_its_way_in_is_charged_nowhere(seed: u64) {
        let envoy = Envoy::new();
        let worker = Worker::new(&envoy, 0);
        let meter = worker.meter("v1 a=tokens:10/day b=tokens:10/month", "closed");
        let mut random = Random(seed);
        let order = "v1;openai;direct;1:0;a:1;b:1";
        for _ in 0..10 {
            if random.below(2) == 0 {
                // The clock fails: nothing has been charged yet.
                worker.faults.set(Faults::Always(simulated::Call::Now));
                prop_assert_eq!(worker.exchange(&meter, order), Verdict::Refused);
            }
            worker.faults.set(Faults::Nothing);
            prop_assert_eq!(worker.exchange(&meter, order), Verdict::Continue);
        }
        prop_assert_eq!(worker.exchange(&meter, order), Verdict::Refused);
    }
}
