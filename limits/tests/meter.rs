//! Reserve and settle.

#[path = "support/admission.rs"]
mod admission;

use std::time::Duration;

use admission::{admit, admitted, meter, name, refused, remaining, tokens, NOW, SECOND};
use meseta_limits::{Admission, AdmitError, Charge, MemoryStore, Per, Reason, Reservation};

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
