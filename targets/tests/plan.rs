//! The attempts of one request.

use std::sync::Arc;
use std::time::Duration;

use meseta_targets::{
    Ask, Attempt, Candidate, Exhausted, Failure, FailureKind, HealthPolicy, HealthStore,
    MemoryHealth, Next, Plan, Select, TargetId, Terms, Verdict,
};

const TERMS: Terms = Terms {
    select: Select::Weighted,
    sticky: None,
    max_attempts: 3,
    retry_budget: 0.5,
    health: HealthPolicy {
        failures: 3,
        error_rate: 0.5,
        first: Duration::from_secs(10),
        longest: Duration::from_secs(300),
    },
};
const NOW: Duration = Duration::from_secs(1000);

const fn failure(kind: FailureKind) -> Failure {
    Failure {
        kind,
        reason: "on_purpose",
        retry_after: None,
    }
}

const FAILURE: Failure = failure(FailureKind::Target);

/// `provider/model`, in an order of priorities.
fn in_order(names: &[&str]) -> Vec<Candidate> {
    let candidate = |(priority, name): (usize, &&str)| Candidate {
        id: TargetId::new(*name),
        provider: Arc::from(name.split('/').next().unwrap()),
        priority: priority as u32,
        weight: 1,
        context_window: None,
    };
    names.iter().enumerate().map(candidate).collect()
}

fn plan(store: &Arc<MemoryHealth>, candidates: &[Candidate], terms: Terms) -> Plan {
    let store: Arc<dyn HealthStore> = Arc::<MemoryHealth>::clone(store);
    Plan::new(store, candidates.into(), terms, 42, NOW)
}

#[track_caller]
fn attempt(plan: &mut Plan, now: Duration) -> Attempt {
    match plan.next(now) {
        Next::Attempt(attempt) => attempt,
        Next::Exhausted(why) => panic!("no attempt: {why:?}"),
    }
}

#[track_caller]
fn exhausted(plan: &mut Plan) -> Exhausted {
    match plan.next(NOW) {
        Next::Attempt(attempt) => panic!("an attempt: {attempt:?}"),
        Next::Exhausted(why) => why,
    }
}

/// Fails the next attempt; its index and its delay.
#[track_caller]
fn fail(plan: &mut Plan, failure: Failure) -> (usize, Duration) {
    let attempt = attempt(plan, NOW);
    let (index, delay) = (attempt.index(), attempt.delay());
    attempt.end(&Verdict::Failure(failure), NOW);
    plan.failed(index, &failure, NOW);
    (index, delay)
}

fn cool_down(store: &MemoryHealth, candidate: &Candidate, asked: Duration) {
    let ticket = store.begin(&candidate.id, Ask::default(), NOW).unwrap();
    let verdict = Verdict::Failure(Failure {
        retry_after: Some(asked),
        ..failure(FailureKind::RateLimited)
    });
    store.end(&candidate.id, ticket, &verdict, &TERMS.health, NOW);
}

fn in_flight(store: &MemoryHealth) -> u32 {
    store.snapshot(NOW).iter().map(|one| one.in_flight).sum()
}

#[test]
fn targets_are_asked_by_priority_and_each_once() {
    let store = Arc::new(MemoryHealth::new());
    let mut plan = plan(&store, &in_order(&["a/m", "b/m", "c/m"]), TERMS);
    for index in 0..3 {
        assert_eq!(fail(&mut plan, FAILURE), (index, Duration::ZERO));
    }
    assert_eq!(exhausted(&mut plan), Exhausted::Attempts);
    assert_eq!(plan.attempts(), 3);
}

#[test]
fn a_further_round_comes_after_a_pause_up_to_twice_as_long_as_that_before() {
    let terms = Terms {
        max_attempts: 9,
        ..TERMS
    };
    let mut longest = [Duration::ZERO; 9];
    for seed in 0..2000 {
        let store = Arc::new(MemoryHealth::new());
        let candidates = in_order(&["a/m"]);
        let mut plan = Plan::new(store, candidates.into(), terms, seed, NOW);
        for longest in &mut longest {
            *longest = fail(&mut plan, FAILURE).1.max(*longest);
        }
    }
    let expected = [0, 100, 200, 400, 800, 1600, 2000, 2000, 2000];
    for (longest, millis) in longest.into_iter().zip(expected) {
        let allowed = Duration::from_millis(millis);
        assert!(longest <= allowed, "{longest:?} > {allowed:?}");
        assert!(longest >= allowed.mul_f64(0.99), "{longest:?}");
    }
}

#[test]
fn a_target_is_not_asked_before_it_wants_to_be_and_not_again_if_that_is_late() {
    let asking = |millis| Failure {
        retry_after: Some(Duration::from_millis(millis)),
        ..failure(FailureKind::RateLimited)
    };
    let store = Arc::new(MemoryHealth::new());
    let mut soon = plan(&store, &in_order(&["soon/m"]), TERMS);
    fail(&mut soon, asking(1900));
    assert_eq!(fail(&mut soon, FAILURE), (0, Duration::from_millis(1900)));
    let mut late = plan(&store, &in_order(&["late/m", "other/m"]), TERMS);
    fail(&mut late, asking(2001));
    assert_eq!(fail(&mut late, FAILURE).0, 1);
    assert_eq!(fail(&mut late, asking(2001)).0, 1);
    let terms = Terms {
        max_attempts: 9,
        ..TERMS
    };
    let mut none = plan(&store, &in_order(&["none/m"]), terms);
    fail(&mut none, asking(2001));
    assert_eq!(exhausted(&mut none), Exhausted::Targets);
}

#[test]
fn a_target_in_cooldown_is_asked_after_those_that_are_ready() {
    let store = Arc::new(MemoryHealth::new());
    let all = in_order(&["a/m", "b/m", "c/m"]);
    cool_down(&store, &all[0], Duration::from_secs(20));
    cool_down(&store, &all[1], Duration::from_secs(10));
    let mut plan = plan(&store, &all, TERMS);
    // The ready one, then the one whose cool-down ends first.
    assert_eq!(fail(&mut plan, FAILURE).0, 2);
    assert_eq!(fail(&mut plan, FAILURE).0, 1);
    assert_eq!(fail(&mut plan, FAILURE).0, 0);
}

#[test]
fn a_target_whose_cooldown_is_over_takes_a_probe_in_its_turn() {
    let store = Arc::new(MemoryHealth::new());
    let all = in_order(&["a/m", "b/m"]);
    cool_down(&store, &all[0], Duration::from_secs(10));
    let later = NOW + Duration::from_secs(10);
    let probe = attempt(&mut plan(&store, &all, TERMS), later);
    assert!(probe.is_probe());
    assert_eq!(probe.index(), 0);
    // Another request passes by.
    let other = attempt(&mut plan(&store, &all, TERMS), later);
    assert!(!other.is_probe());
    assert_eq!(other.index(), 1);
    // The client of the first goes.
    drop(probe);
    let probe = attempt(&mut plan(&store, &all, TERMS), later);
    assert!(probe.is_probe());
    probe.end(&Verdict::Success { first_token: None }, later);
    let after = attempt(&mut plan(&store, &all, TERMS), later);
    assert_eq!((after.index(), after.is_probe()), (0, false));
}

#[test]
fn a_drained_target_is_never_asked() {
    let store = Arc::new(MemoryHealth::new());
    let all = in_order(&["a/m", "b/m"]);
    store.drain(&all[0].id);
    let mut one_left = plan(&store, &all, TERMS);
    (0..3).for_each(|_| assert_eq!(fail(&mut one_left, FAILURE).0, 1));
    store.drain(&all[1].id);
    assert_eq!(
        exhausted(&mut plan(&store, &all, TERMS)),
        Exhausted::Drained
    );
    store.undrain(&all[0].id);
    assert_eq!(fail(&mut plan(&store, &all, TERMS), FAILURE).0, 0);
}

#[test]
fn no_targets_make_no_attempt() {
    let store = Arc::new(MemoryHealth::new());
    assert_eq!(exhausted(&mut plan(&store, &[], TERMS)), Exhausted::Targets);
}

#[test]
fn a_hedge_goes_to_another_target_and_counts() {
    let store = Arc::new(MemoryHealth::new());
    let mut plan = plan(&store, &in_order(&["a/m", "b/m"]), TERMS);
    let first = attempt(&mut plan, NOW);
    let hedge = attempt(&mut plan, NOW);
    assert_eq!((first.index(), hedge.index()), (0, 1));
    assert_eq!(hedge.delay(), Duration::ZERO);
    assert_eq!(exhausted(&mut plan), Exhausted::Targets);
    hedge.end(&Verdict::Failure(FAILURE), NOW);
    plan.failed(1, &FAILURE, NOW);
    let third = attempt(&mut plan, NOW);
    assert_eq!(third.index(), 1);
    assert_eq!(exhausted(&mut plan), Exhausted::Attempts);
    assert_eq!(in_flight(&store), 2);
    drop((first, third));
    assert_eq!(in_flight(&store), 0);
}

#[test]
fn retries_go_where_a_budget_is_left() {
    let store = Arc::new(MemoryHealth::new());
    let all = in_order(&["a/m", "b/m", "c/m"]);
    let terms = Terms {
        retry_budget: 0.0,
        ..TERMS
    };
    // Ten retries are granted at once to each of those that are asked second and third.
    for _ in 0..10 {
        let mut plan = plan(&store, &all, terms);
        let attempts: Vec<_> = (0..3).map(|_| attempt(&mut plan, NOW)).collect();
        drop(attempts);
    }
    let mut first = plan(&store, &all, terms);
    let _first = attempt(&mut first, NOW);
    assert_eq!(exhausted(&mut first), Exhausted::Budget);
    // One that has not spent its own is asked in their place.
    let mut second = plan(&store, &in_order(&["a/m", "b/m", "d/m"]), terms);
    let attempts = [attempt(&mut second, NOW), attempt(&mut second, NOW)];
    assert_eq!(attempts.map(|attempt| attempt.index()), [0, 2]);
}

#[test]
fn after_a_request_was_too_long_only_larger_windows_are_asked() {
    let store = Arc::new(MemoryHealth::new());
    let mut all = in_order(&["a/m", "b/m", "c/m", "d/m", "e/m"]);
    let windows = [Some(8000), Some(4000), Some(8000), Some(16_000), None];
    for (candidate, window) in all.iter_mut().zip(windows) {
        candidate.context_window = window;
    }
    let terms = Terms {
        max_attempts: 9,
        ..TERMS
    };
    let mut plan = plan(&store, &all, terms);
    let too_long = failure(FailureKind::ContextLength);
    assert_eq!(fail(&mut plan, too_long).0, 0);
    assert_eq!(fail(&mut plan, too_long).0, 3);
    assert_eq!(fail(&mut plan, too_long).0, 4);
    assert_eq!(exhausted(&mut plan), Exhausted::Targets);
}

#[test]
fn after_a_content_filter_only_other_providers_are_asked() {
    let store = Arc::new(MemoryHealth::new());
    let all = in_order(&["azure/a", "azure/b", "openai/a", "azure/c"]);
    let mut plan = plan(&store, &all, TERMS);
    let filtered = failure(FailureKind::ContentFilter);
    assert_eq!(fail(&mut plan, filtered).0, 0);
    assert_eq!(fail(&mut plan, filtered).0, 2);
    assert_eq!(exhausted(&mut plan), Exhausted::Targets);
}

#[test]
fn a_sticky_key_has_the_same_second_target_too() {
    let store = Arc::new(MemoryHealth::new());
    let mut all = in_order(&["a/m", "b/m", "c/m"]);
    all.iter_mut().for_each(|candidate| candidate.priority = 0);
    let order = |seed| {
        let terms = Terms {
            sticky: Some(4711),
            ..TERMS
        };
        let store: Arc<dyn HealthStore> = Arc::<MemoryHealth>::clone(&store);
        let mut plan = Plan::new(store, all.clone().into(), terms, seed, NOW);
        let attempts = [(); 3].map(|()| attempt(&mut plan, NOW));
        attempts.map(|attempt| attempt.index())
    };
    let first = order(0);
    assert!((1..10).all(|seed| order(seed) == first));
}

#[test]
fn no_number_is_too_large_and_none_too_small() {
    for number in [0, u32::MAX] {
        let time = Duration::from_secs(u64::from(number));
        for time in [time, Duration::MAX] {
            let health = HealthPolicy {
                failures: number,
                error_rate: f64::NAN,
                first: time,
                longest: time,
            };
            let terms = Terms {
                max_attempts: u32::MAX,
                retry_budget: f64::INFINITY,
                health,
                ..TERMS
            };
            let store = Arc::new(MemoryHealth::new());
            let mut all = in_order(&["a/m", "b/m"]);
            for candidate in &mut all {
                candidate.weight = number;
                candidate.priority = number;
            }
            let mut plan = plan(&store, &all, terms);
            for _ in 0..50 {
                if let Next::Attempt(attempt) = plan.next(time) {
                    let index = attempt.index();
                    let failure = Failure {
                        retry_after: Some(time),
                        ..FAILURE
                    };
                    attempt.end(&Verdict::Failure(failure), time);
                    plan.failed(index, &failure, time);
                }
            }
            assert_eq!(in_flight(&store), 0);
        }
    }
}
