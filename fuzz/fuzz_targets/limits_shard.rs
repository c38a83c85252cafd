//! Bytes of a shard, and texts of rules and reservations: nothing panics, and what is written over
//! any bytes is a shard, in which what was admitted is counted.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use meseta_fuzz::divided;
use meseta_limits::shard::{Kind, Record, Shard, LARGEST};
use meseta_limits::{
    Admission, Amounts, Charge, MemoryStore, Meter, Reservation, RuleName, RuleSet, Store,
};

const RULES: &str = "v1 a=tokens:50/second b=tokens:1000/day c=output_tokens:9000000000/hour:77";

fn sound(bytes: Option<&[u8]>) -> bool {
    !Shard::read(bytes).1 && bytes.is_none_or(|bytes| bytes.len() <= LARGEST)
}

fuzz_target!(|input: &[u8]| {
    let Some((choices, bytes)) = divided(input) else {
        return;
    };
    let text = String::from_utf8_lossy(bytes);
    if let Ok(rules) = text.parse::<RuleSet>() {
        assert_eq!(rules.to_string().parse(), Ok(rules));
    }
    if let Ok(reservation) = text.parse::<Reservation>() {
        assert_eq!(reservation.to_string().parse(), Ok(reservation));
    }

    let [seconds, amount, actual, capacity] = choices;
    let now = Duration::from_secs(1_795_000_000 + u64::from(seconds) * 600);
    let (shard, _) = Shard::read(Some(bytes));
    let record = Record {
        key: u64::from(amount),
        kind: Kind::Window,
        until: u64::MAX,
        count: u64::from(actual),
        mark: 7,
    };
    if let Ok(bytes) = shard.with(&record, now, usize::from(capacity)) {
        let (shard, corrupt) = Shard::read(Some(&bytes));
        assert!(!corrupt);
        assert_eq!(shard.find(record.key), Some(record));
    }

    let store = MemoryStore::new(1);
    let Ok(()) = store.update(0, |_| (Some(bytes.to_vec()), ()));
    let meter = Meter::new(RULES.parse().expect("these are rules"), 1)
        .with_capacity(usize::from(capacity))
        .with_fail_closed(capacity % 2 == 0);
    let names = ["a", "b", "c"].map(|name| RuleName::new(name).expect("this is a name"));
    let charges = names.each_ref().map(|rule| Charge {
        rule,
        subject_hash: u64::from(amount),
    });
    let tokens = |output_tokens| Amounts {
        requests: 1,
        input_tokens: 0,
        output_tokens,
    };
    for now in [now, now.saturating_sub(Duration::from_secs(1)), now * 2] {
        let admission = meter
            .admit(&store, &charges, tokens(u64::from(amount)), now)
            .expect("the rules are there");
        if let Admission::Admitted { reservation, .. } = admission {
            let text = reservation.to_string();
            let reservation: Reservation = text.parse().expect("this is a reservation");
            let Ok(settled) = meter.settle(&store, &reservation, tokens(u64::from(actual)), now);
            assert!(settled.unknown.is_empty());
            if amount > 0 && !reservation.is_empty() {
                let Ok(sound) = store.update(0, |bytes| (None, sound(bytes)));
                assert!(sound);
            }
        }
    }
});
