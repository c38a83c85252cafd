//! What server and meter tell each other survives as text, and no text makes either fall over.

use std::time::Duration;

use meseta_limits::{
    Charge, Order, OrderError, Reservation, RuleName, Standing, Standings, StandingsError, Unit,
    MAX_CHARGES,
};
use proptest::prelude::*;

fn rule() -> impl Strategy<Value = RuleName> {
    "[a-z0-9_.-]{1,64}".prop_map(|name| RuleName::new(&name).unwrap())
}

fn order() -> impl Strategy<Value = Order> {
    let charges = prop::collection::vec((rule(), any::<u64>()), 0..=MAX_CHARGES);
    let amounts = (any::<u64>(), any::<u64>());
    ("[a-z]{1,16}", any::<bool>(), amounts, charges).prop_map(
        |(dialect, relayed, (input, output), charges)| {
            let order = Order::new(&dialect).unwrap();
            let mut order = order.relayed(relayed).tokens(input, output);
            for (rule, subject) in charges {
                order.charge(rule, subject).unwrap();
            }
            order
        },
    )
}

prop_compose! {
    fn standing()(
        rule in rule(),
        unit in prop::sample::select(Unit::ALL.to_vec()),
        [limit, capacity, remaining, window, reset] in any::<[u64; 5]>(),
    ) -> Standing {
        Standing {
            rule,
            unit,
            limit,
            capacity,
            window: Duration::from_nanos(window),
            remaining,
            reset_after: Duration::from_nanos(reset),
        }
    }
}

/// Text that is nearly one: the alphabet of all forms.
fn nearly() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "(v1)?(;?[a-z0-9_:./+-]{0,12}){0,24}",
        "v1;[a-z]{1,6};(direct|relay);[0-9:]{0,40}(;[a-z]{1,3}:[0-9a-f]{0,20}){0,20}",
    ]
}

proptest! {
    #[test]
    fn an_order_survives_as_text(order in order()) {
        let text = order.to_string();
        prop_assert!(text.len() <= Order::LONGEST);
        prop_assert!(text.bytes().all(|byte| byte.is_ascii_graphic()));
        prop_assert_eq!(text.parse::<Order>().unwrap(), order);
    }

    #[test]
    fn standings_survive_as_text(standings in prop::collection::vec(standing(), 0..=MAX_CHARGES)) {
        let text = Standings(standings.clone()).to_string();
        prop_assert!(text.len() <= Standings::LONGEST);
        prop_assert!(text.bytes().all(|byte| byte.is_ascii_graphic()));
        prop_assert_eq!(text.parse::<Standings>().unwrap().0, standings);
    }

    #[test]
    fn any_text_is_read_or_refused(text in nearly()) {
        if let Ok(order) = text.parse::<Order>() {
            prop_assert_eq!(order.to_string().parse::<Order>().unwrap(), order);
        }
        if let Ok(standings) = text.parse::<Standings>() {
            prop_assert_eq!(standings.to_string().parse::<Standings>().unwrap(), standings);
        }
        let _ = text.parse::<Reservation>();
    }

    #[test]
    fn a_damaged_order_is_read_or_refused(order in order(), at in any::<prop::sample::Index>(), with: char) {
        let mut text: Vec<char> = order.to_string().chars().collect();
        let at = at.index(text.len());
        text[at] = with;
        let _ = text.into_iter().collect::<String>().parse::<Order>();
    }
}

#[test]
fn an_order_is_readable() {
    let mut order = Order::new("openai")
        .unwrap()
        .relayed(true)
        .tokens(120, 4096);
    order
        .charge(RuleName::new("per-user").unwrap(), 0xbeef)
        .unwrap();
    order.charge(RuleName::new("all").unwrap(), 0).unwrap();
    assert_eq!(
        order.to_string(),
        "v1;openai;relay;120:4096;per-user:beef;all:0"
    );
    let charges: Vec<Charge<'_>> = order.charges().collect();
    assert_eq!(charges.len(), 2);
    assert_eq!(charges[0].subject_hash, 0xbeef);
    assert_eq!(order.amounts().requests, 1);
}

#[test]
fn what_is_no_order_says_why() {
    let reason = |text: &str| text.parse::<Order>().unwrap_err();
    assert_eq!(reason(""), OrderError::Version);
    assert_eq!(reason("v2;openai;direct;1:1"), OrderError::Version);
    assert_eq!(reason("v1"), OrderError::Form);
    assert_eq!(reason("v1;OpenAI;direct;1:1"), OrderError::Dialect);
    assert_eq!(reason("v1;openai;sideways;1:1"), OrderError::Form);
    assert_eq!(reason("v1;openai;direct;1"), OrderError::Form);
    assert_eq!(reason("v1;openai;direct;1:-1"), OrderError::Form);
    assert_eq!(reason("v1;openai;direct;1:1;"), OrderError::Form);
    assert_eq!(reason("v1;openai;direct;1:1;a:g"), OrderError::Form);
    let charges = ";a:1".repeat(MAX_CHARGES + 1);
    let text = format!("v1;openai;direct;1:1{charges}");
    assert_eq!(reason(&text), OrderError::TooMany);
    let text = "v".repeat(Order::LONGEST + 1);
    assert_eq!(reason(&text), OrderError::TooLong);
}

#[test]
fn what_is_no_standing_says_why() {
    let reason = |text: &str| text.parse::<Standings>().unwrap_err();
    assert_eq!(reason("v0"), StandingsError::Version);
    assert_eq!(reason("v1;a:requests:1:1:1:1"), StandingsError::Form);
    assert_eq!(reason("v1;a:apples:1:1:1:1:1"), StandingsError::Form);
    assert_eq!(reason("v1;a:requests:1:1:1:1:1:1"), StandingsError::Form);
    let many = ";a:requests:1:1:1:1:1".repeat(MAX_CHARGES + 1);
    assert_eq!(reason(&format!("v1{many}")), StandingsError::TooLong);
    assert_eq!("v1".parse::<Standings>().unwrap(), Standings::default());
}
