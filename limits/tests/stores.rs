//! A meter over stores that retry, fail, fill up and are shared.

#[path = "support/admission.rs"]
mod admission;

use std::cell::Cell;
use std::time::Duration;

use admission::{admit, admitted, meter, name, refused, remaining, rules, tokens, NOW, SECOND};
use meseta_limits::shard::{shard_of, LARGEST};
use meseta_limits::{Admission, AdmitError, Amounts, Charge, MemoryStore, Meter, Reason, Store};

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
