//! What an exchange goes through in the meter, one after the other on a healthy host.

mod simulated;

use std::time::Duration;

use meseta_limits::{Reservation, Standings};
use meseta_proto::headers::{CHARGE, EXPLAIN, RESERVATION, STANDING};
use meseta_wasm::counters::Counter;
use meseta_wasm::meter::{Exchange, Meter, Verdict};
use simulated::{Call, Envoy, Faults, Worker};

const RULES: &str = "v1 all=requests:2/minute day=tokens:1000/day tpm=tokens:1000/minute";

fn remaining(worker: &Worker<'_>, meter: &Meter<&Worker<'_>>) -> u64 {
    let before = worker.response.borrow().clone();
    let mut looking = Exchange::default();
    worker.order("v1;openai;direct;0:0;tpm:1");
    assert_eq!(looking.request(meter), Verdict::Continue);
    looking.response(meter);
    let text = worker.response.borrow()[STANDING].clone();
    *worker.response.borrow_mut() = before;
    text.parse::<Standings>().unwrap().0[0].remaining
}

#[test]
fn without_an_order_an_exchange_costs_one_call_in_and_its_count() {
    let envoy = Envoy::new();
    let worker = Worker::new(&envoy, 0);
    let meter = worker.meter(RULES, "closed");
    let before = worker.calls.get();
    let mut exchange = Exchange::default();
    assert_eq!(exchange.request(&meter), Verdict::Continue);
    assert_eq!(worker.calls.get() - before, 1);
    exchange.response(&meter);
    assert_eq!(worker.calls.get() - before, 1);
    exchange.log(&meter);
    exchange.log(&meter);
    assert_eq!(worker.calls.get() - before, 2);
    assert_eq!(worker.count(Counter::Exchanges), 1);
    assert_eq!(envoy.size(), 0);
}

#[test]
fn a_request_rule_asks_for_nothing_when_the_exchange_is_over() {
    let envoy = Envoy::new();
    let worker = Worker::new(&envoy, 0);
    let meter = worker.meter(RULES, "closed");
    worker.order("v1;openai;direct;10:20;all:1");
    let mut exchange = Exchange::default();
    exchange.request(&meter);
    exchange.response(&meter);
    let before = worker.calls.get();
    exchange.log(&meter);
    assert_eq!(worker.calls.get() - before, 2, "two counters");
    assert_eq!(worker.count(Counter::Settled), 1);
}

#[test]
fn what_is_over_the_limit_is_refused_with_all_that_a_client_needs() {
    let envoy = Envoy::new();
    let worker = Worker::new(&envoy, 0);
    let meter = worker.meter(RULES, "closed");
    let order = |dialect: &str| format!("v1;{dialect};direct;1:1;all:7f");
    for _ in 0..2 {
        assert_eq!(worker.exchange(&meter, &order("openai")), Verdict::Continue);
    }
    for (dialect, kind) in [
        ("openai", r#""code":"rate_limit_exceeded""#),
        ("anthropic", r#""type":"rate_limit_error""#),
        ("gemini", r#""status":"RESOURCE_EXHAUSTED""#),
        ("bedrock", r#""__type":"ThrottlingException""#),
    ] {
        assert_eq!(worker.exchange(&meter, &order(dialect)), Verdict::Refused);
        let answer = worker.answers.borrow_mut().pop().unwrap();
        assert_eq!(answer.status, 429);
        assert!(answer.body.contains(kind), "{}", answer.body);
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.header("x-meseta-meter"), Some("refused"));
        assert_eq!(answer.header("retry-after"), Some("30"));
        assert_eq!(answer.header("ratelimit"), Some("\"all\";r=0;t=30"));
        assert_eq!(answer.header("ratelimit-policy"), Some("\"all\";q=2;w=60"));
        assert_eq!(answer.header("x-ratelimit-limit-requests"), Some("2"));
        let bedrock = (dialect == "bedrock").then_some("ThrottlingException");
        assert_eq!(answer.header("x-amzn-errortype"), bedrock);
        assert!(worker.response.borrow().is_empty(), "no internal header");
        let texts = answer.headers.iter().map(|(_, value)| value);
        assert!(texts.chain([&answer.body]).all(|text| !text.contains("7f")));
    }
    assert_eq!(worker.count(Counter::Admitted), 2);
    assert_eq!(worker.count(Counter::Refused), 4);
    assert_eq!(worker.count(Counter::Settled), 2);
    assert_eq!(worker.count(Counter::Exchanges), 6);
}

#[test]
fn a_direct_exchange_settles_with_the_usage_that_came_last() {
    let envoy = Envoy::new();
    let worker = Worker::new(&envoy, 0);
    let meter = worker.meter(RULES, "closed");
    worker.order("v1;openai;direct;100:400;tpm:1");
    let mut exchange = Exchange::default();
    exchange.request(&meter);
    exchange.response(&meter);
    assert!(!worker.response.borrow().contains_key(RESERVATION));
    assert_eq!(remaining(&worker, &meter), 500);
    worker.usage(90, 10, true);
    exchange.log(&meter);
    assert_eq!(remaining(&worker, &meter), 900);
}

#[test]
fn more_than_reserved_is_charged_too() {
    let envoy = Envoy::new();
    let worker = Worker::new(&envoy, 0);
    let meter = worker.meter(RULES, "closed");
    worker.order("v1;openai;direct;100:400;tpm:1");
    let mut exchange = Exchange::default();
    exchange.request(&meter);
    worker.usage(300, 600, true);
    exchange.log(&meter);
    assert_eq!(remaining(&worker, &meter), 100);
}

#[test]
fn without_usage_the_prompt_stays_charged_and_the_answer_does_not() {
    let envoy = Envoy::new();
    let worker = Worker::new(&envoy, 0);
    let meter = worker.meter(RULES, "closed");
    worker.order("v1;openai;direct;100:400;tpm:1");
    let mut exchange = Exchange::default();
    exchange.request(&meter);
    exchange.log(&meter);
    assert_eq!(remaining(&worker, &meter), 900);
}

#[test]
fn usage_of_nothing_is_final_only_when_it_is_complete() {
    for (complete, expected) in [(true, 1000), (false, 900)] {
        let envoy = Envoy::new();
        let worker = Worker::new(&envoy, 0);
        let meter = worker.meter(RULES, "closed");
        worker.order("v1;openai;direct;100:400;tpm:1");
        let mut exchange = Exchange::default();
        exchange.request(&meter);
        worker.usage(0, 0, complete);
        exchange.log(&meter);
        assert_eq!(remaining(&worker, &meter), expected, "{complete}");
    }
}

#[test]
fn a_relayed_exchange_is_settled_in_front_of_the_server_and_only_there() {
    let envoy = Envoy::new();
    let (egress, front) = (Worker::new(&envoy, 0), Worker::new(&envoy, 1));
    let egress_meter = egress.meter(RULES, "closed");
    let front_meter = front.meter(RULES, "closed");
    egress.order("v1;openai;relay;100:400;tpm:1");
    let mut call = Exchange::default();
    call.request(&egress_meter);
    call.response(&egress_meter);
    let reservation = egress.response.borrow()[RESERVATION].clone();
    assert!(reservation.parse::<Reservation>().is_ok());
    call.log(&egress_meter);
    assert_eq!(egress.count(Counter::Settled), 0);
    assert_eq!(remaining(&front, &front_meter), 500);

    let mut exchange = Exchange::default();
    front.order("");
    front.property_bytes("meseta.request", "reservation", reservation.as_bytes());
    front.usage(100, 50, true);
    exchange.response(&front_meter);
    exchange.log(&front_meter);
    exchange.log(&front_meter);
    assert_eq!(front.count(Counter::Settled), 1);
    assert_eq!(remaining(&front, &front_meter), 850);
}

#[test]
fn a_relayed_exchange_without_usage_keeps_the_prompt_that_the_server_has_counted() {
    let envoy = Envoy::new();
    let worker = Worker::new(&envoy, 0);
    let meter = worker.meter(RULES, "closed");
    worker.order("v1;openai;relay;100:400;tpm:1");
    let mut call = Exchange::default();
    call.request(&meter);
    call.response(&meter);
    let reservation = worker.response.borrow()[RESERVATION].clone();
    worker.order("");
    worker.property_bytes("meseta.request", "reservation", reservation.as_bytes());
    worker.number_property("meseta.request", "input_tokens", 100.0);
    Exchange::default().log(&meter);
    assert_eq!(remaining(&worker, &meter), 900);
}

#[test]
fn a_relayed_call_whose_answer_never_came_is_settled_where_it_was_made() {
    let envoy = Envoy::new();
    let worker = Worker::new(&envoy, 0);
    let meter = worker.meter(RULES, "closed");
    worker.order("v1;openai;relay;100:400;tpm:1");
    let mut call = Exchange::default();
    call.request(&meter);
    call.log(&meter);
    assert_eq!(worker.count(Counter::Settled), 1);
    assert_eq!(remaining(&worker, &meter), 900);
}

#[test]
fn a_reservation_that_cannot_be_handed_over_is_settled_where_it_was_made() {
    let envoy = Envoy::new();
    let worker = Worker::new(&envoy, 0);
    let meter = worker.meter(RULES, "closed");
    worker.order("v1;openai;relay;100:400;tpm:1");
    let mut call = Exchange::default();
    call.request(&meter);
    worker.faults.set(Faults::Always(Call::ReplaceHeader));
    call.response(&meter);
    worker.faults.set(Faults::Nothing);
    call.log(&meter);
    assert_eq!(worker.count(Counter::Settled), 1);
}

#[test]
fn an_exchange_that_saw_its_request_takes_no_reservation_from_metadata() {
    let envoy = Envoy::new();
    let worker = Worker::new(&envoy, 0);
    let meter = worker.meter(RULES, "closed");
    worker.order("");
    worker.property_bytes("meseta.request", "reservation", b"v1;tpm:tm:1:500:1");
    let mut exchange = Exchange::default();
    exchange.request(&meter);
    exchange.log(&meter);
    assert_eq!(worker.count(Counter::Settled), 0);
}

#[test]
fn a_rule_that_is_not_known_is_passed_over_and_counted() {
    let envoy = Envoy::new();
    let worker = Worker::new(&envoy, 0);
    let meter = worker.meter(RULES, "closed");
    let order = "v1;openai;direct;1:1;newer:1;all:1";
    assert_eq!(worker.exchange(&meter, order), Verdict::Continue);
    assert_eq!(worker.exchange(&meter, order), Verdict::Continue);
    assert_eq!(worker.exchange(&meter, order), Verdict::Refused);
    assert_eq!(worker.count(Counter::UnknownRule), 3);
    let order = "v1;openai;direct;1:1;newer:1";
    assert_eq!(worker.exchange(&meter, order), Verdict::Continue);
    assert_eq!(worker.count(Counter::Admitted), 2);
}

#[test]
fn an_order_that_cannot_be_read_is_a_failure() {
    for (fail, verdict) in [("closed", Verdict::Refused), ("open", Verdict::Continue)] {
        let envoy = Envoy::new();
        let worker = Worker::new(&envoy, 0);
        let meter = worker.meter(RULES, fail);
        for order in ["v2;openai;direct;1:1;all:1", "1", "v1;openai;direct;1:1;"] {
            assert_eq!(worker.exchange(&meter, order), verdict, "{order}");
        }
        let bytes = vec![0xff, 0xfe];
        worker.request.borrow_mut().insert(CHARGE.into(), bytes);
        assert_eq!(Exchange::default().request(&meter), verdict);
        assert_eq!(worker.count(Counter::Unreadable), 4);
        let answers = worker.answers.borrow();
        assert!(answers.iter().all(|answer| answer.status == 503));
    }
}

#[test]
fn state_that_fails_is_as_the_configuration_says() {
    for call in [Call::Now, Call::Read, Call::Write, Call::Swap] {
        for (fail, verdict) in [("closed", Verdict::Refused), ("open", Verdict::Continue)] {
            let envoy = Envoy::new();
            let worker = Worker::new(&envoy, 0);
            let meter = worker.meter(RULES, fail);
            worker.faults.set(Faults::Always(call));
            let order = "v1;anthropic;direct;1:1;all:1";
            assert_eq!(worker.exchange(&meter, order), verdict, "{call:?}");
            assert_eq!(worker.count(Counter::StoreFailures), 1, "{call:?}");
            assert!(worker.calls.get() < 200, "{call:?}: tries are bounded");
            for answer in worker.answers.borrow().iter() {
                assert_eq!(answer.status, 503);
                assert_eq!(answer.header("x-meseta-meter"), Some("refused"));
                assert!(answer.body.contains("overloaded_error"));
            }
        }
    }
}

#[test]
fn a_refusal_that_cannot_be_sent_does_not_let_the_request_pass() {
    let envoy = Envoy::new();
    let worker = Worker::new(&envoy, 0);
    let meter = worker.meter("v1 all=requests:1/minute", "closed");
    let order = "v1;openai;direct;1:1;all:1";
    worker.exchange(&meter, order);
    worker.faults.set(Faults::Always(Call::SendLocalResponse));
    assert_eq!(worker.exchange(&meter, order), Verdict::Refused);
    assert_eq!(worker.warnings().len(), 1);
}

#[test]
fn a_configuration_that_is_not_understood_does_not_start() {
    let envoy = Envoy::new();
    let worker = Worker::new(&envoy, 0);
    for text in [
        "",
        "{}",
        r#"{"version":2}"#,
        r#"{"version":1,"rules":"v9"}"#,
    ] {
        assert!(worker.configured(text).is_none(), "{text}");
    }
    assert_eq!(worker.warnings().len(), 4);
    worker.faults.set(Faults::Always(Call::Configuration));
    assert!(worker.configured(r#"{"version":1}"#).is_none());
}

#[test]
fn a_meter_that_is_not_configured_lets_nothing_pass_that_is_to_be_counted() {
    let envoy = Envoy::new();
    let worker = Worker::new(&envoy, 0);
    let meter = Meter::new(&worker);
    let order = "v1;openai;direct;1:1;all:1";
    assert_eq!(worker.exchange(&meter, ""), Verdict::Continue);
    assert_eq!(worker.exchange(&meter, order), Verdict::Refused);
    assert!(worker.counts.borrow().is_empty());
}

#[test]
fn what_has_been_used_survives_another_configuration() {
    let envoy = Envoy::new();
    let worker = Worker::new(&envoy, 0);
    let meter = worker.meter(RULES, "closed");
    let order = "v1;openai;direct;1:1;all:1";
    worker.exchange(&meter, order);
    let more = "v1 all=requests:2/minute more=requests:1/hour";
    let meter = worker.meter(more, "closed");
    assert_eq!(worker.exchange(&meter, order), Verdict::Continue);
    assert_eq!(worker.exchange(&meter, order), Verdict::Refused);
    envoy.advance(Duration::from_secs(30));
    assert_eq!(worker.exchange(&meter, order), Verdict::Continue);
}

#[test]
fn a_running_meter_says_in_the_log_that_it_is_in_the_chain() {
    let envoy = Envoy::new();
    let worker = Worker::new(&envoy, 0);
    worker.meter(RULES, "closed");
    let lines = worker.lines.borrow();
    assert_eq!(lines.len(), 1);
    assert!(lines[0].1.contains("in the chain"), "{}", lines[0].1);
}

#[test]
fn without_its_counters_exchanges_go_on_uncounted() {
    let envoy = Envoy::new();
    let worker = Worker::new(&envoy, 0);
    worker.faults.set(Faults::Always(Call::DefineCounter));
    let meter = worker.meter(RULES, "closed");
    worker.faults.set(Faults::Nothing);
    let order = "v1;openai;direct;1:1;all:1";
    assert_eq!(worker.exchange(&meter, order), Verdict::Continue);
    assert!(worker.counts.borrow().is_empty());
    assert_eq!(worker.warnings().len(), Counter::ALL.len());
}

#[test]
fn a_counter_that_is_refused_is_logged_once_and_not_tried_again() {
    let envoy = Envoy::new();
    let worker = Worker::new(&envoy, 0);
    let meter = worker.meter(RULES, "closed");
    worker.faults.set(Faults::Always(Call::Increment));
    worker.exchange(&meter, "");
    worker.exchange(&meter, "");
    worker.faults.set(Faults::Nothing);
    worker.exchange(&meter, "");
    assert_eq!(worker.count(Counter::Exchanges), 0);
    assert_eq!(
        worker.warnings(),
        ["counter meseta_meter_exchanges not counted: internal failure; it is given up"]
    );
    let meter = worker.meter(RULES, "closed");
    worker.exchange(&meter, "");
    assert_eq!(worker.count(Counter::Exchanges), 1);
}

/// What a question with this order is answered.
fn asked(worker: &Worker<'_>, meter: &Meter<&Worker<'_>>, order: &str) -> Verdict {
    worker.order(order);
    let header = (EXPLAIN.to_owned(), b"1".to_vec());
    worker.request.borrow_mut().extend([header]);
    let mut exchange = Exchange::default();
    let verdict = exchange.request(meter);
    exchange.response(meter);
    exchange.log(meter);
    verdict
}

#[test]
fn a_question_is_answered_where_its_subjects_stand_and_charges_nothing() {
    let envoy = Envoy::new();
    let worker = Worker::new(&envoy, 0);
    let meter = worker.meter(RULES, "closed");
    worker.exchange(&meter, "v1;openai;direct;0:0;all:7");
    let before = worker.counts.borrow().clone();
    for (order, expected) in [
        (
            "v1;openai;direct;0:0;all:7;tpm:7",
            &[("all", 1), ("tpm", 1000)][..],
        ),
        ("v1;openai;direct;0:0;all:7;later:7", &[("all", 1)]),
        ("v1;openai;direct;0:0;all:8", &[("all", 2)]),
    ] {
        for _ in 0..3 {
            assert_eq!(asked(&worker, &meter, order), Verdict::Refused);
            let answer = worker.answers.borrow_mut().pop().unwrap();
            assert_eq!((answer.status, answer.body.as_str()), (200, ""));
            let standing: Standings = answer.header(STANDING).unwrap().parse().unwrap();
            let standing = standing.0.iter();
            let told: Vec<(&str, u64)> = standing
                .map(|own| (own.rule.as_str(), own.remaining))
                .collect();
            assert_eq!(told, expected, "{order}");
        }
    }
    let mut after = worker.counts.borrow().clone();
    after.remove(Counter::UnknownRule.name());
    let mut before = before;
    before.remove(Counter::UnknownRule.name());
    assert_eq!(after, before, "a question is no exchange");
}

#[test]
fn an_order_of_tokens_is_no_question() {
    let envoy = Envoy::new();
    let worker = Worker::new(&envoy, 0);
    let meter = worker.meter(RULES, "closed");
    let order = "v1;openai;direct;1:0;all:7";
    assert_eq!(asked(&worker, &meter, order), Verdict::Continue);
    assert_eq!(worker.count(Counter::Admitted), 1);
}

#[test]
fn a_question_that_cannot_be_answered_is_told_so_even_where_requests_would_pass() {
    let envoy = Envoy::new();
    let worker = Worker::new(&envoy, 0);
    let meter = worker.meter(RULES, "open");
    worker.faults.set(Faults::Always(Call::Read));
    let order = "v1;openai;direct;0:0;all:7";
    assert_eq!(asked(&worker, &meter, order), Verdict::Refused);
    assert_eq!(worker.answers.borrow()[0].status, 503);
}
