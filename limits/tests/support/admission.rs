//! Rules, amounts and what a meter says of them, in a few words.

use std::time::Duration;

use meseta_limits::{
    Admission, Amounts, Charge, Meter, Refused, Reservation, RuleName, RuleSet, Standing, Stats,
    Store,
};

pub(crate) const NOW: Duration = Duration::from_secs(1_795_000_000);
pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn rules(text: &str) -> RuleSet {
    format!("v1 {text}").parse().unwrap()
}

pub(crate) fn meter(text: &str) -> Meter {
    Meter::new(rules(text), 8)
}

pub(crate) fn name(name: &str) -> RuleName {
    RuleName::new(name).unwrap()
}

pub(crate) fn tokens(output_tokens: u64) -> Amounts {
    Amounts {
        requests: 1,
        input_tokens: 0,
        output_tokens,
    }
}

pub(crate) fn admit(
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
pub(crate) fn admitted(admission: Admission) -> (Reservation, Vec<Standing>) {
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
pub(crate) fn refused(admission: Admission) -> Refused {
    match admission {
        Admission::Refused(refused) => refused,
        Admission::Admitted { .. } => panic!("{admission:?}"),
    }
}

pub(crate) fn remaining(meter: &Meter, store: &impl Store, rule: &RuleName, now: Duration) -> u64 {
    let charge = Charge {
        rule,
        subject_hash: 7,
    };
    meter.peek(store, &[charge], now).unwrap()[0].remaining
}
