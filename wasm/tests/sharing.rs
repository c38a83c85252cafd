//! Workers that count in common: exactly, whatever they do to each other, and in bounded memory.

mod simulated;

use std::thread;
use std::time::Duration;

use meseta_limits::shard;
use meseta_wasm::counters::Counter;
use meseta_wasm::meter::{Exchange, Verdict};
use proptest::prelude::*;
use simulated::{Envoy, Worker};

const WORKERS: usize = 4;

/// Each worker makes so many exchanges while all take turns at every host call; how many passed.
fn hammer(envoy: &Envoy, rules: &str, order: &str, exchanges: usize, usage: Option<u64>) -> u64 {
    thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS)
            .map(|number| {
                scope.spawn(move || {
                    let worker = Worker::new(envoy, number);
                    let meter = worker.meter(rules, "closed");
                    for _ in 0..exchanges {
                        worker.order(order);
                        if let Some(used) = usage {
                            worker.usage(used, 0, true);
                        }
                        let mut exchange = Exchange::default();
                        exchange.request(&meter);
                        exchange.response(&meter);
                        exchange.log(&meter);
                    }
                    let failures = worker.count(Counter::StoreFailures);
                    let admitted = worker.count(Counter::Admitted);
                    worker.leave();
                    assert_eq!(failures, 0, "no try of many gets through");
                    admitted
                })
            })
            .collect();
        let admitted = workers.into_iter().map(|worker| worker.join());
        admitted.map(Result::unwrap).sum()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn four_workers_admit_exactly_what_the_formula_says(seed: u64, steps in prop::collection::vec(0_u64..45, 1..4)) {
        // A unit each 10 ms, and 50 at once.
        let rules = "v1 all=requests:100/second:50";
        let order = "v1;openai;direct;1:1;all:1";
        let envoy = Envoy::interleaved(WORKERS, seed);
        let admitted = hammer(&envoy, rules, order, 20, None);
        prop_assert_eq!(admitted, 50);
        let data = std::mem::take(&mut *envoy.data.lock().unwrap());
        let (mut data, mut nanos) = (data, envoy.nanos.into_inner());
        for step in steps {
            let envoy = Envoy::interleaved(WORKERS, seed ^ step);
            *envoy.data.lock().unwrap() = data;
            nanos += step * 10_000_000;
            envoy.nanos.store(nanos, std::sync::atomic::Ordering::Relaxed);
            let admitted = hammer(&envoy, rules, order, 20, None);
            prop_assert_eq!(admitted, step);
            data = std::mem::take(&mut *envoy.data.lock().unwrap());
        }
    }

    #[test]
    fn of_windows_and_buckets_together_the_narrower_one_holds(seed: u64) {
        let rules = "v1 all=requests:1000/minute day=requests:37/day";
        let envoy = Envoy::interleaved(WORKERS, seed);
        let order = "v1;openai;direct;1:1;all:1;day:1";
        prop_assert_eq!(hammer(&envoy, rules, order, 20, None), 37);
    }

    #[test]
    fn what_workers_settle_is_never_lost(seed: u64) {
        // Each reserves 100 of 8000 and uses 7.
        let rules = "v1 day=tokens:8000/day";
        let order = "v1;openai;direct;100:0;day:1";
        let envoy = Envoy::interleaved(WORKERS, seed);
        let admitted = hammer(&envoy, rules, order, 20, Some(7));
        prop_assert_eq!(admitted, 80);
        let alone = Envoy::new();
        *alone.data.lock().unwrap() = std::mem::take(&mut *envoy.data.lock().unwrap());
        let worker = Worker::new(&alone, 0);
        let meter = worker.meter(rules, "closed");
        let left = 8000 - 80 * 7;
        let order = |tokens: u64| format!("v1;openai;direct;{tokens}:0;day:1");
        prop_assert_eq!(worker.exchange(&meter, &order(left + 1)), Verdict::Refused);
        prop_assert_eq!(worker.exchange(&meter, &order(left)), Verdict::Continue);
    }
}

#[test]
fn a_million_subjects_stay_within_the_bound() {
    let envoy = Envoy::new();
    let worker = Worker::new(&envoy, 0);
    let shards = 16;
    let text = format!(r#"{{"version":1,"rules":"v1 user=requests:1/hour","shards":{shards}}}"#);
    let meter = worker.configured(&text).unwrap();
    let bound = shards * shard::LARGEST;
    for subject in 0..1_000_000_u64 {
        worker.order(&format!("v1;openai;direct;1:1;user:{subject:x}"));
        let _ = Exchange::default().request(&meter);
        worker.answers.borrow_mut().clear();
        if subject % 100_000 == 0 {
            // What has lost its meaning makes room.
            envoy.advance(Duration::from_secs(3700));
            assert!(envoy.size() <= bound, "{} of {bound}", envoy.size());
        }
    }
    assert!(envoy.size() <= bound, "{} of {bound}", envoy.size());
    assert_eq!(envoy.data.lock().unwrap().0.len(), shards);
    assert!(worker.count(Counter::ShardFull) > 0);
    assert!(worker.count(Counter::Admitted) > 100_000);
}
