//! What a target goes through, from ready to left alone and back.

use std::time::Duration;

use meseta_targets::{
    Ask, Failure, FailureKind, HealthPolicy, HealthStore, MemoryHealth, Refused, State, TargetId,
    Ticket, Verdict,
};

const SUCCESS: Verdict = Verdict::Success { first_token: None };
const FAILURE: Verdict = failure(FailureKind::Target, None);
const POLICY: HealthPolicy = HealthPolicy {
    failures: 3,
    error_rate: 0.5,
    first: Duration::from_secs(10),
    longest: Duration::from_secs(60),
};
const REGARDLESS: Ask = Ask {
    regardless: true,
    retry: false,
};

const fn failure(kind: FailureKind, retry_after: Option<Duration>) -> Verdict {
    Verdict::Failure(Failure {
        kind,
        reason: "status_503",
        retry_after,
    })
}

fn rate_limited(seconds: u64) -> Verdict {
    failure(FailureKind::RateLimited, Some(at(seconds)))
}

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// One target in a store.
struct One {
    store: MemoryHealth,
    id: TargetId,
}

impl One {
    fn new() -> Self {
        Self {
            store: MemoryHealth::new(),
            id: TargetId::new("openai/gpt-4o"),
        }
    }

    fn begin(&self, second: u64) -> Result<Ticket, Refused> {
        self.store.begin(&self.id, Ask::default(), at(second))
    }

    fn regardless(&self, second: u64) -> Ticket {
        self.store.begin(&self.id, REGARDLESS, at(second)).unwrap()
    }

    fn end(&self, ticket: Ticket, verdict: Verdict, second: u64) {
        self.store
            .end(&self.id, ticket, &verdict, &POLICY, at(second));
    }

    fn attempt(&self, verdict: Verdict, second: u64) {
        self.end(self.begin(second).unwrap(), verdict, second);
    }

    fn state(&self, second: u64) -> State {
        self.store.standing(&self.id, at(second)).state
    }

    /// Until when it is left alone, seen from this second.
    fn until(&self, second: u64) -> Option<u64> {
        let standing = self.store.standing(&self.id, at(second));
        standing.until.map(|until| until.as_secs())
    }

    /// In cool-down from second 0 to 10.
    fn cooling() -> Self {
        let one = Self::new();
        (0..3).for_each(|_| one.attempt(FAILURE, 0));
        one
    }
}

#[test]
fn so_many_failures_in_a_row_begin_a_cooldown() {
    let one = One::new();
    one.attempt(FAILURE, 0);
    one.attempt(FAILURE, 0);
    one.attempt(SUCCESS, 0);
    one.attempt(FAILURE, 0);
    one.attempt(FAILURE, 0);
    assert_eq!(one.state(0), State::Ready);
    one.attempt(FAILURE, 1);
    assert_eq!(one.state(1), State::CoolingDown);
    assert_eq!(one.state(10), State::CoolingDown);
    assert_eq!(one.state(11), State::ProbeDue);
    assert_eq!(one.begin(1), Err(Refused::CoolingDown));
}

#[test]
fn a_share_of_failures_among_ten_attempts_begins_a_cooldown() {
    let one = One::new();
    for _ in 0..4 {
        one.attempt(FAILURE, 0);
        one.attempt(SUCCESS, 0);
    }
    one.attempt(SUCCESS, 0);
    assert_eq!(one.state(0), State::Ready);
    one.attempt(FAILURE, 0);
    assert_eq!(one.state(0), State::CoolingDown);
    // What led to it does not lead to the next.
    one.attempt(SUCCESS, 10);
    one.attempt(FAILURE, 10);
    assert_eq!(one.state(10), State::Ready);
}

#[test]
fn a_cooldown_doubles_with_each_failed_probe_up_to_the_longest_and_success_resets_it() {
    let one = One::cooling();
    let mut second = 10;
    for length in [20, 40, 60, 60, 60] {
        assert_eq!(one.until(second), Some(second));
        one.attempt(FAILURE, second);
        second += length;
    }
    one.attempt(SUCCESS, second);
    assert_eq!(one.state(second), State::Ready);
    (0..3).for_each(|_| one.attempt(FAILURE, second));
    assert_eq!(one.until(second), Some(second + 10));
}

#[test]
fn one_probe_is_let_through_at_a_time() {
    let one = One::cooling();
    let probe = one.begin(10).unwrap();
    assert!(probe.is_probe());
    assert_eq!(one.state(10), State::Probing);
    assert_eq!(one.begin(10), Err(Refused::CoolingDown));
    let regardless = one.regardless(10);
    assert!(!regardless.is_probe());
    one.end(probe, FAILURE, 11);
    assert_eq!(one.until(11), Some(31));
    one.end(regardless, FAILURE, 12);
    assert_eq!(one.until(12), Some(31));
}

#[test]
fn a_cancelled_probe_makes_way_for_another_without_a_verdict() {
    let one = One::cooling();
    let probe = one.begin(10).unwrap();
    one.store.cancel(&one.id, probe);
    assert_eq!(one.state(10), State::ProbeDue);
    let health = one.store.snapshot(at(10)).remove(0);
    assert_eq!((health.successes, health.failures), (0, 3));
    assert!(one.begin(10).unwrap().is_probe());
}

#[test]
fn what_began_before_a_cooldown_does_not_end_it() {
    let one = One::new();
    let before = one.begin(0).unwrap();
    (0..3).for_each(|_| one.attempt(FAILURE, 0));
    one.end(before, SUCCESS, 1);
    assert_eq!(one.state(1), State::CoolingDown);
    let during = one.regardless(1);
    one.end(during, SUCCESS, 2);
    assert_eq!(one.state(2), State::Ready);
}

#[test]
fn a_failure_of_before_a_recovery_does_not_count_after_it() {
    let one = One::new();
    let before: Vec<_> = (0..3).map(|_| one.begin(0).unwrap()).collect();
    (0..3).for_each(|_| one.attempt(FAILURE, 0));
    one.attempt(SUCCESS, 10);
    for ticket in before {
        one.end(ticket, FAILURE, 11);
    }
    assert_eq!(one.state(11), State::Ready);
    let health = one.store.snapshot(at(11)).remove(0);
    assert_eq!((health.failures, health.consecutive_failures), (6, 0));
}

#[test]
fn a_rate_limit_that_says_for_how_long_is_heeded_at_once() {
    let one = One::new();
    one.attempt(rate_limited(7), 0);
    assert_eq!(one.until(0), Some(7));
    // As long as it asks for, but no more than ten minutes.
    one.attempt(rate_limited(86_400), 7);
    assert_eq!(one.until(7), Some(607));
    // It was no cool-down for failures, so that the first of those is the shortest.
    one.attempt(FAILURE, 607);
    assert_eq!(one.until(607), Some(617));
}

#[test]
fn a_rate_limit_that_does_not_say_for_how_long_is_a_failure_like_others() {
    let one = One::new();
    one.attempt(failure(FailureKind::RateLimited, None), 0);
    one.attempt(rate_limited(0), 0);
    assert_eq!(one.state(0), State::Ready);
    one.attempt(FAILURE, 0);
    assert_eq!(one.state(0), State::CoolingDown);
}

#[test]
fn a_request_that_is_too_long_or_refused_says_nothing_against_the_target() {
    let one = One::cooling();
    one.attempt(failure(FailureKind::ContextLength, None), 10);
    assert_eq!(one.state(10), State::Ready);
    (0..9).for_each(|_| one.attempt(failure(FailureKind::ContentFilter, None), 10));
    assert_eq!(one.state(10), State::Ready);
}

#[test]
fn a_drained_target_begins_nothing_and_comes_back_as_it_was() {
    let one = One::cooling();
    one.store.drain(&one.id);
    assert_eq!(one.state(0), State::Drained);
    let forced = one.store.begin(&one.id, REGARDLESS, at(0));
    assert_eq!(forced, Err(Refused::Drained));
    one.store.undrain(&one.id);
    assert_eq!(one.state(0), State::CoolingDown);
    assert_eq!(one.state(10), State::ProbeDue);
}

#[test]
fn a_retry_is_paid_for_by_the_budget() {
    let one = One::new();
    let retry = Ask {
        regardless: false,
        retry: true,
    };
    let begin = || one.store.begin(&one.id, retry, at(0));
    let tickets: Vec<_> = (0..10).map(|_| begin().unwrap()).collect();
    assert_eq!(begin(), Err(Refused::Budget));
    assert_eq!(one.store.standing(&one.id, at(0)).in_flight, 10);
    one.store.deposit(&one.id, 1.0, at(0));
    assert!(begin().is_ok());
    for ticket in tickets {
        one.store.cancel(&one.id, ticket);
    }
    assert_eq!(one.store.standing(&one.id, at(0)).in_flight, 1);
}

#[test]
fn a_snapshot_tells_all() {
    let one = One::new();
    for millis in 1..=20 {
        let first_token = Some(Duration::from_millis(millis));
        one.attempt(Verdict::Success { first_token }, 0);
    }
    let _under_way = one.begin(0).unwrap();
    (0..3).for_each(|_| one.attempt(FAILURE, 0));
    let all = one.store.snapshot(at(4));
    assert_eq!(all.len(), 1);
    let health = &all[0];
    assert_eq!(health.id.as_str(), "openai/gpt-4o");
    assert_eq!(health.state.as_str(), "cooling_down");
    assert_eq!(health.cooldown_remaining, Some(at(6)));
    assert_eq!(health.in_flight, 1);
    assert_eq!((health.successes, health.failures), (20, 3));
    assert_eq!(health.consecutive_failures, 3);
    assert_eq!(health.error_rate, Some(3.0 / 23.0));
    assert_eq!(health.first_token, Some(Duration::from_micros(10_500)));
    assert_eq!(health.first_token_p95, Some(Duration::from_millis(19)));
    assert_eq!(
        one.store.percentile(&one.id, 50),
        Some(Duration::from_millis(10))
    );
    assert_eq!(health.last_failure, Some("status_503"));
    let later = one.store.snapshot(at(60)).remove(0);
    assert_eq!((later.error_rate, later.cooldown_remaining), (None, None));
    assert_eq!(later.state, State::ProbeDue);
}
