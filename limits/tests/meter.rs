//! Reserve and settle, over stores that retry, fail and fill up.

use std::cell::Cell;
use std::time::Duration;

use meseta_limits::shard::{shard_of, LARGEST};
use meseta_limits::{
    Admission, AdmitError, Amounts, Charge, MemoryStore, Meter, Per, Reason, Refused, Reservation,
    RuleName, RuleSet, Standing, Stats, Store,
};

const NOW: Duration = Duration::from_secs(1_795_000_000);
const SECOND: Duration = Duration::from_secs(1);

fn rules(text: &str) -> RuleSet {
    format!("v1 {text}").parse().unwrap()
}

fn meter(text: &str) -> Meter {
    Meter::new(rules(text), 8)
}

fn name(name: &str) -> RuleName {
    RuleName::new(name).unwrap()
}

fn tokens(output_tokens: u64) -> Amounts {
    Amounts {
        requests: 1,
        input_tokens: 0,
        output_tokens,
    }
}

fn admit(
    meter: &Meter,
    store: &impl Store,
    names: &[&RuleName],
    amounts: Amounts,
    now: Duration,
) -> Admission {
    let charges: Vec<_> = names
        .iter()
        .map(|rule| Charge {
            rule,
            subject_hash: 7,
        })
        .collect();
    meter.admit(store, &charges, amounts, now).unwrap()
}

#[track_caller]
fn admitted(admission: Admission) -> (Reservation, Vec<Standing>) {
    match admission {
        Admission::Admitted {
            reservation,
            standing,
            stats,
        } => {
            assert_eq!(stats, Stats::default());
            (reservation, standing)
        }
        Admission::Refused(refused) => panic!("{refused:?}"),
    }
}

#[track_caller]
fn refused(admission: Admission) -> Refused {
    match admission {
        Admission::Refused(refused) => refused,
        Admission::Admitted { .. } => panic!("{admission:?}"),
    }
}

fn remaining(meter: &Meter, store: &impl Store, rule: &RuleName, now: Duration) -> u64 {
    let charge = Charge {
        rule,
        subject_hash: 7,
    };
    meter.peek(store, &[charge], now).unwrap()[0].remaining
}

#[test]
fn what_is_reserved_is_corrected_to_what_is_used() {
    let meter = meter("a=tokens:1000/minute");
    let (store, a) = (MemoryStore::new(8), name("a"));
    let (reservation, standing) = admitted(admit(&meter, &store, &[&a], tokens(600), NOW));
    assert_eq!((standing[0].remaining, standing[0].limit), (400, 1000));
    assert_eq!(standing[0].reset_after, Duration::from_secs(36));
    let reservation: Reservation = reservation.to_string().parse().unwrap();
    let later = NOW + SECOND;
    let settled = meter
        .settle(&store, &reservation, tokens(100), later)
        .unwrap();
    assert_eq!(settled, Default::default());
    assert_eq!(remaining(&meter, &store, &a, later), 916);

    let (reservation, _) = admitted(admit(&meter, &store, &[&a], tokens(100), later));
    meter
        .settle(&store, &reservation, tokens(1100), later)
        .unwrap();
    assert_eq!(remaining(&meter, &store, &a, later), 0);
    let no = refused(admit(&meter, &store, &[&a], tokens(0), later));
    // 183 and a third of debt, at 60 ms each.
    assert_eq!((no.reason, no.remaining), (Reason::Spent, 0));
    assert_eq!(no.retry_after.unwrap().as_secs(), 11);
}

#[test]
fn two_meters_over_one_store_agree_whenever_they_were_made() {
    let store = MemoryStore::new(8);
    let a = name("a");
    let first = meter("a=requests:60/minute");
    for _ in 0..60 {
        admitted(admit(&first, &store, &[&a], tokens(0), NOW));
    }
    let later = NOW + Duration::from_secs(30);
    let second = meter("a=requests:60/minute");
    for _ in 0..30 {
        admitted(admit(&second, &store, &[&a], tokens(0), later));
    }
    for meter in [&first, &second] {
        let no = refused(admit(meter, &store, &[&a], tokens(0), later));
        assert_eq!(no.retry_after, Some(SECOND));
    }
}

#[test]
fn of_several_rules_all_are_charged_or_none() {
    let meter = meter("a=requests:10/minute b=tokens:100/day c=output_tokens:50/hour");
    let store = MemoryStore::new(8);
    let names = [name("b"), name("a"), name("c")];
    let names: Vec<_> = names.iter().collect();
    let (reservation, standing) = admitted(admit(&meter, &store, &names, tokens(30), NOW));
    let all: Vec<_> = standing.iter().map(|standing| standing.remaining).collect();
    assert_eq!(all, [70, 9, 20]);
    assert_eq!(reservation.rules().count(), 3);
    let no = refused(admit(&meter, &store, &names, tokens(30), NOW));
    assert_eq!((no.rule.as_str(), no.limit, no.remaining), ("c", 50, 20));
    // 10 tokens of 50 an hour.
    assert_eq!(no.retry_after, Some(Duration::from_secs(720)));
    let all: Vec<_> = no
        .standing
        .iter()
        .map(|standing| standing.remaining)
        .collect();
    assert_eq!(all, [70, 9, 20]);
}

#[test]
fn the_rule_that_refuses_for_longest_speaks() {
    let meter = meter("a=requests:1/second b=requests:1/hour c=requests:1/minute");
    let store = MemoryStore::new(8);
    let names = [name("a"), name("b"), name("c")];
    let names: Vec<_> = names.iter().collect();
    admitted(admit(&meter, &store, &names, tokens(0), NOW));
    let no = refused(admit(&meter, &store, &names, tokens(0), NOW));
    assert_eq!(no.rule.as_str(), "b");
    assert_eq!(no.retry_after, Some(Duration::from_secs(3600)));
}

#[test]
fn more_than_a_whole_bucket_never_passes_and_is_told_so() {
    for text in [
        "a=tokens:1000/minute:100",
        "a=tokens:100/day",
        "a=tokens:100/month",
    ] {
        let meter = meter(text);
        let (store, a) = (MemoryStore::new(8), name("a"));
        let no = refused(admit(&meter, &store, &[&a], tokens(101), NOW));
        assert_eq!((no.reason, no.retry_after), (Reason::TooLarge, None));
        admitted(admit(&meter, &store, &[&a], tokens(100), NOW));
    }
}

#[test]
fn a_rule_that_is_named_twice_is_charged_once() {
    let meter = meter("a=requests:10/minute");
    let (store, a) = (MemoryStore::new(8), name("a"));
    let (reservation, standing) = admitted(admit(&meter, &store, &[&a, &a], tokens(0), NOW));
    assert_eq!((standing.len(), standing[0].remaining), (1, 9));
    assert_eq!(reservation.rules().count(), 1);
}

#[test]
fn subjects_are_apart() {
    let meter = meter("a=requests:1/hour");
    let (store, a) = (MemoryStore::new(8), name("a"));
    for subject_hash in 0..100 {
        let charge = Charge {
            rule: &a,
            subject_hash,
        };
        admitted(meter.admit(&store, &[charge], tokens(0), NOW).unwrap());
        refused(meter.admit(&store, &[charge], tokens(0), NOW).unwrap());
    }
}

#[test]
fn unknown_rules_are_told_and_nothing_is_charged() {
    let before = meter("a=tokens:100/minute b=tokens:100/minute c=tokens:100/minute");
    let after = meter("a=tokens:100/minute c=tokens:100/hour");
    let (store, a, b, c) = (MemoryStore::new(8), name("a"), name("b"), name("c"));
    let charges = [&a, &b].map(|rule| Charge {
        rule,
        subject_hash: 7,
    });
    let error = after.admit(&store, &charges, tokens(10), NOW).unwrap_err();
    assert_eq!(error.to_string(), "there is no rule b");
    assert_eq!(remaining(&after, &store, &a, NOW), 100);

    let (reservation, _) = admitted(admit(&before, &store, &[&a, &b, &c], tokens(10), NOW));
    let settled = after.settle(&store, &reservation, tokens(1), NOW).unwrap();
    assert_eq!(settled.unknown, [b, c]);
    assert_eq!(remaining(&after, &store, &a, NOW), 99);
}

#[test]
fn too_many_rules_are_an_error() {
    let meter = meter("a=requests:1/hour");
    let a = name("a");
    let charge = Charge {
        rule: &a,
        subject_hash: 7,
    };
    let charges = [charge; meseta_limits::MAX_CHARGES + 1];
    let outcome = meter.admit(&MemoryStore::new(8), &charges, tokens(0), NOW);
    assert!(matches!(
        outcome,
        Err(AdmitError::TooManyCharges { count: 17 })
    ));
}

#[test]
fn settling_late_or_twice_never_gives_more_than_all() {
    for per in ["minute", "hour", "day", "month"] {
        let meter = meter(&format!("a=tokens:100/{per}"));
        let (store, a) = (MemoryStore::new(8), name("a"));
        let (reservation, _) = admitted(admit(&meter, &store, &[&a], tokens(60), NOW));
        for _ in 0..3 {
            meter.settle(&store, &reservation, tokens(0), NOW).unwrap();
        }
        assert_eq!(remaining(&meter, &store, &a, NOW), 100, "{per}");
        let (reservation, _) = admitted(admit(&meter, &store, &[&a], tokens(60), NOW));
        let later = NOW + Duration::from_secs(40 * 86_400);
        admitted(admit(&meter, &store, &[&a], tokens(100), later));
        meter
            .settle(&store, &reservation, tokens(0), later)
            .unwrap();
        assert_eq!(remaining(&meter, &store, &a, later), 0, "{per}");
    }
}

#[test]
fn a_changed_limit_goes_on_with_what_is_known() {
    let (store, a) = (MemoryStore::new(8), name("a"));
    admitted(admit(
        &meter("a=tokens:100/minute"),
        &store,
        &[&a],
        tokens(50),
        NOW,
    ));
    assert_eq!(
        remaining(&meter("a=tokens:200/minute"), &store, &a, NOW),
        100
    );
    // Another kind of limit begins anew.
    let day = meter("a=tokens:100/day");
    assert_eq!(remaining(&day, &store, &a, NOW), 100);
    admitted(admit(&day, &store, &[&a], tokens(1), NOW));
    assert_eq!(remaining(&day, &store, &a, NOW), 99);
}

/// Counts the records of a store, and its bytes.
fn size(store: &MemoryStore, shards: u32) -> (usize, usize) {
    let sizes = (0..shards).map(|shard| {
        store
            .update(shard, |bytes| (None, bytes.map_or(0, <[u8]>::len)))
            .unwrap()
    });
    sizes.fold((0, 0), |(sum, largest), size| {
        (sum + size, size.max(largest))
    })
}

#[test]
fn a_million_subjects_do_not_grow_anything() {
    let meter = Meter::new(rules("a=requests:1/second"), 4).with_capacity(16);
    let (store, a) = (MemoryStore::new(4), name("a"));
    let mut refusals = 0;
    for subject_hash in 0..1_000_000 {
        let charge = Charge {
            rule: &a,
            subject_hash,
        };
        let now = NOW + Duration::from_millis(subject_hash * 100);
        if let Admission::Refused(refused) = meter.admit(&store, &[charge], tokens(0), now).unwrap()
        {
            assert_eq!(refused.reason, Reason::Crowded);
            refusals += 1;
        }
    }
    assert!(size(&store, 4).1 <= 8 + 16 * 32);
    // Ten a second, each kept for 6 seconds, and there is room for 64.
    assert!((1..250_000).contains(&refusals), "{refusals}");
}

#[test]
fn the_largest_shards_stay_within_their_bound() {
    let meter = Meter::new(rules("a=requests:1/day"), 1).with_capacity(usize::MAX);
    let (store, a) = (MemoryStore::new(1), name("a"));
    for subject_hash in 0..3000 {
        let charge = Charge {
            rule: &a,
            subject_hash,
        };
        let _ = meter.admit(&store, &[charge], tokens(0), NOW).unwrap();
    }
    assert_eq!(size(&store, 1).1, LARGEST);
}

#[test]
fn a_full_shard_refuses_new_subjects_or_passes_them_uncounted() {
    let closed = Meter::new(rules("a=requests:9/day b=requests:9/hour"), 1).with_capacity(2);
    let open = closed.clone().with_fail_closed(false);
    let (store, a, b) = (MemoryStore::new(1), name("a"), name("b"));
    let charges = |subject_hash| [&a, &b].map(|rule| Charge { rule, subject_hash });
    admitted(closed.admit(&store, &charges(1), tokens(0), NOW).unwrap());

    let no = refused(closed.admit(&store, &charges(2), tokens(0), NOW).unwrap());
    assert_eq!(no.reason, Reason::Crowded);
    assert_eq!(no.stats.crowded_refused, 1);
    // The bucket of the one who is in it is full after 400 s, and kept for 5 more.
    assert_eq!(no.retry_after, Some(Duration::from_secs(405)));

    match open.admit(&store, &charges(2), tokens(0), NOW).unwrap() {
        Admission::Admitted {
            reservation,
            standing,
            stats,
        } => {
            assert!(reservation.is_empty());
            assert_eq!(standing.len(), 2);
            assert_eq!(stats.crowded_uncounted, 2);
        }
        Admission::Refused(refused) => panic!("{refused:?}"),
    }
    for meter in [&open, &closed] {
        admitted(meter.admit(&store, &charges(1), tokens(0), NOW).unwrap());
    }
    assert!(closed
        .admit(&store, &charges(2), tokens(0), NOW + 405 * SECOND)
        .is_ok());
}

#[test]
fn a_window_with_nothing_in_it_makes_room() {
    let meter = Meter::new(rules("a=requests:9/month"), 1).with_capacity(1);
    let (store, a) = (MemoryStore::new(1), name("a"));
    let charge = |subject_hash| Charge {
        rule: &a,
        subject_hash,
    };
    for subject_hash in 0..9 {
        let admission = meter.admit(&store, &[charge(subject_hash)], tokens(0), NOW);
        let (reservation, _) = admitted(admission.unwrap());
        meter
            .settle(&store, &reservation, Amounts::default(), NOW)
            .unwrap();
    }
}

#[test]
fn corrupt_shards_are_taken_for_empty_and_counted() {
    let meter = Meter::new(rules("a=requests:2/hour"), 1);
    let (store, a) = (MemoryStore::new(1), name("a"));
    let write = |bytes: &[u8]| store.update(0, |_| (Some(bytes.to_vec()), ())).unwrap();
    write(b"nonsense");
    match admit(&meter, &store, &[&a], tokens(0), NOW) {
        Admission::Admitted { stats, .. } => assert_eq!(stats.corrupt, 1),
        Admission::Refused(refused) => panic!("{refused:?}"),
    }
    let (_, standing) = admitted(admit(&meter, &store, &[&a], tokens(0), NOW));
    assert_eq!(standing[0].remaining, 0);
}

/// Asks each change with what is no longer there first, as compare and swap does.
struct Retrying(MemoryStore);

impl Store for Retrying {
    type Error = std::convert::Infallible;

    fn update<R>(
        &self,
        shard: u32,
        mut change: impl FnMut(Option<&[u8]>) -> (Option<Vec<u8>>, R),
    ) -> Result<R, Self::Error> {
        let _ = change(None);
        let _ = change(Some(b"of another"));
        self.0.update(shard, change)
    }
}

#[test]
fn a_change_that_is_asked_again_counts_once() {
    let meter = meter("a=tokens:100/minute b=tokens:100/day");
    let (a, b) = (name("a"), name("b"));
    let (plain, retrying) = (MemoryStore::new(8), Retrying(MemoryStore::new(8)));
    for amount in [10, 50, 90, 40, 0, 7] {
        let once = admit(&meter, &plain, &[&a, &b], tokens(amount), NOW);
        let again = admit(&meter, &retrying, &[&a, &b], tokens(amount), NOW);
        assert_eq!(once, again);
        if let Admission::Admitted { reservation, .. } = once {
            for actual in [amount / 2, amount] {
                let once = meter
                    .settle(&plain, &reservation, tokens(actual), NOW)
                    .unwrap();
                let again = meter
                    .settle(&retrying, &reservation, tokens(actual), NOW)
                    .unwrap();
                assert_eq!(once, again);
            }
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the store is gone")]
struct Gone;

/// Fails at the shards above one.
struct Failing {
    store: MemoryStore,
    from: Cell<u32>,
}

impl Store for Failing {
    type Error = Gone;

    fn update<R>(
        &self,
        shard: u32,
        change: impl FnMut(Option<&[u8]>) -> (Option<Vec<u8>>, R),
    ) -> Result<R, Gone> {
        if shard >= self.from.get() {
            return Err(Gone);
        }
        self.store
            .update(shard, change)
            .map_err(|never| match never {})
    }
}

#[test]
fn what_was_charged_before_a_store_failed_is_given_back() {
    let meter = meter("a=requests:10/minute b=requests:10/minute c=requests:10/minute");
    let names = [name("a"), name("b"), name("c")];
    let charges: Vec<_> = names
        .iter()
        .map(|rule| Charge {
            rule,
            subject_hash: 7,
        })
        .collect();
    let last = charges
        .iter()
        .map(|charge| shard_of(meter.rules().find(charge.rule).unwrap().key(7), 8))
        .max();
    let store = Failing {
        store: MemoryStore::new(8),
        from: Cell::new(last.unwrap()),
    };
    let outcome = meter.admit(&store, &charges, tokens(0), NOW);
    assert!(matches!(outcome, Err(AdmitError::Store(Gone))));
    store.from.set(8);
    for name in &names {
        assert_eq!(remaining(&meter, &store, name, NOW), 10);
    }
}

#[test]
fn threads_that_share_a_store_admit_as_much_as_one() {
    let (store, a, b) = (MemoryStore::new(8), name("a"), name("b"));
    let one = meter("a=requests:1000/minute b=requests:700/day");
    let total: usize = std::thread::scope(|scope| {
        let run = || {
            let meter = one.clone();
            let admits = |_: &usize| {
                let admission = admit(&meter, &store, &[&a, &b], tokens(0), NOW);
                matches!(admission, Admission::Admitted { .. })
            };
            (0..400).filter(admits).count()
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(run)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    // What a refused request holds for a moment may refuse another, and never passes more.
    assert_eq!(total, 700);
    assert_eq!(remaining(&one, &store, &a, NOW), 300);
}

#[test]
fn each_rule_per_time_counts() {
    for per in Per::ALL {
        let meter = meter(&format!("a=requests:2/{}", per.as_str()));
        let (store, a) = (MemoryStore::new(8), name("a"));
        for _ in 0..2 {
            admitted(admit(&meter, &store, &[&a], tokens(0), NOW));
        }
        let no = refused(admit(&meter, &store, &[&a], tokens(0), NOW));
        let retry = NOW + no.retry_after.unwrap();
        refused(admit(
            &meter,
            &store,
            &[&a],
            tokens(0),
            retry - Duration::from_nanos(1),
        ));
        admitted(admit(&meter, &store, &[&a], tokens(0), retry));
    }
}

#[test]
fn a_clock_that_is_a_little_behind_gains_nothing() {
    for per in Per::ALL {
        let meter = meter(&format!("a=requests:2/{}", per.as_str()));
        let (store, a) = (MemoryStore::new(8), name("a"));
        let once = |now| {
            matches!(
                admit(&meter, &store, &[&a], tokens(0), now),
                Admission::Admitted { .. }
            )
        };
        let behind = NOW - SECOND;
        let admitted = [NOW, behind, behind, NOW, behind, NOW].map(once);
        assert_eq!(
            admitted.iter().filter(|admitted| **admitted).count(),
            2,
            "{per:?}"
        );
    }
}

#[test]
fn no_time_panics() {
    for per in Per::ALL {
        let meter = meter(&format!("a=tokens:9/{}", per.as_str()));
        let (store, a) = (MemoryStore::new(8), name("a"));
        for now in [
            Duration::MAX,
            Duration::ZERO,
            NOW,
            Duration::from_secs(u64::MAX / 2),
        ] {
            for _ in 0..3 {
                let admission = admit(&meter, &store, &[&a], tokens(4), now);
                if let Admission::Admitted { reservation, .. } = admission {
                    let actual = tokens(u64::MAX);
                    meter.settle(&store, &reservation, actual, now).unwrap();
                }
            }
        }
    }
}
