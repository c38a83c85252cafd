//! What holds whatever comes, in whichever order.

use std::sync::Arc;
use std::time::Duration;

use meseta_targets::{
    Ask, Attempt, Candidate, Failure, FailureKind, HealthPolicy, HealthStore, MemoryHealth, Next,
    Plan, Refused, Select, State, TargetId, Terms, Ticket, Verdict,
};
use proptest::prelude::*;
use proptest::sample::Index;

const SUCCESS: Verdict = Verdict::Success { first_token: None };
const POLICY: HealthPolicy = HealthPolicy {
    failures: 3,
    error_rate: 0.6,
    first: Duration::from_secs(10),
    longest: Duration::from_secs(60),
};

fn failure(retry_after: Option<Duration>) -> Failure {
    Failure {
        kind: match retry_after {
            Some(_) => FailureKind::RateLimited,
            None => FailureKind::Target,
        },
        reason: "on_purpose",
        retry_after,
    }
}

fn any_verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        2 => Just(SUCCESS),
        1 => (1_u64..5000).prop_map(|millis| Verdict::Success {
            first_token: Some(Duration::from_millis(millis)),
        }),
        4 => Just(Verdict::Failure(failure(None))),
        1 => (1_u64..30_000).prop_map(|millis| {
            Verdict::Failure(failure(Some(Duration::from_millis(millis))))
        }),
    ]
}

/// What happens to a target.
#[derive(Debug, Clone)]
enum Step {
    Pass(Duration),
    Begin(bool),
    End(Index, Verdict),
    Cancel(Index),
    Drain(bool),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0_u64..20_000).prop_map(|millis| Step::Pass(Duration::from_millis(millis))),
        6 => any::<bool>().prop_map(Step::Begin),
        6 => (any::<Index>(), any_verdict()).prop_map(|(which, verdict)| Step::End(which, verdict)),
        1 => any::<Index>().prop_map(Step::Cancel),
        1 => any::<bool>().prop_map(Step::Drain),
    ]
}

/// A target under attempts that come one after the other: all its history, read anew each time.
#[derive(Default)]
struct Naive {
    /// When each attempt was made, and whether it failed, since the last recovery.
    history: Vec<(Duration, bool)>,
    until: Option<Duration>,
    cooldowns: i32,
}

impl Naive {
    fn state(&self, now: Duration) -> State {
        match self.until {
            None => State::Ready,
            Some(until) if now < until => State::CoolingDown,
            Some(_) => State::ProbeDue,
        }
    }

    fn attempt(&mut self, verdict: &Verdict, now: Duration) {
        let Verdict::Failure(failure) = verdict else {
            if self.until.take().is_some() {
                self.history.clear();
            }
            self.cooldowns = 0;
            self.history.push((now, false));
            return;
        };
        self.history.push((now, true));
        let probe = self.until.is_some();
        if let Some(asked) = failure.retry_after {
            self.until = Some(now + asked);
        } else if probe || self.in_a_row() >= 3 || self.too_many(now) {
            let time = 10.0 * 2_f64.powi(self.cooldowns.min(10));
            self.until = Some(now + Duration::from_secs_f64(time.min(60.0)));
            self.cooldowns += 1;
        }
    }

    fn in_a_row(&self) -> usize {
        let backwards = self.history.iter().rev();
        backwards.take_while(|(_, failed)| *failed).count()
    }

    fn too_many(&self, now: Duration) -> bool {
        let slot = |time: Duration| time.as_secs() / 15;
        let recent = |(time, _): &&(Duration, bool)| slot(now) - slot(*time) <= 1;
        let attempts = self.history.iter().filter(recent).count();
        let failures = self.history.iter().filter(recent).filter(|row| row.1);
        attempts >= 10 && failures.count() as f64 / attempts as f64 >= 0.6
    }
}

/// A candidate as a test draws it: priority and weight.
fn candidates(drawn: &[(u32, u32)]) -> Arc<[Candidate]> {
    let candidate = |(index, (priority, weight)): (usize, &(u32, u32))| Candidate {
        id: TargetId::new(format!("provider/{index}")),
        provider: Arc::from("provider"),
        priority: *priority,
        weight: *weight,
        context_window: None,
    };
    drawn.iter().enumerate().map(candidate).collect()
}

fn any_weight() -> impl Strategy<Value = u32> {
    prop_oneof![4 => 1_u32..5, 1 => Just(0), 1 => Just(u32::MAX)]
}

fn any_select() -> impl Strategy<Value = Select> {
    prop_oneof![
        Just(Select::Weighted),
        Just(Select::Fastest),
        Just(Select::LeastBusy)
    ]
}

/// What happens while a request is tried.
#[derive(Debug, Clone)]
enum Event {
    Next,
    Fail(Index, Option<Duration>),
    /// Another request fails at a target.
    Elsewhere(Index, Option<Duration>),
    Drain(Index, bool),
    Pass(Duration),
}

fn any_event() -> impl Strategy<Value = Event> {
    let asked = || prop::option::of((0_u64..4000).prop_map(Duration::from_millis));
    prop_oneof![
        6 => Just(Event::Next),
        5 => (any::<Index>(), asked()).prop_map(|(which, asked)| Event::Fail(which, asked)),
        4 => (any::<Index>(), asked()).prop_map(|(which, asked)| Event::Elsewhere(which, asked)),
        1 => (any::<Index>(), any::<bool>()).prop_map(|(which, on)| Event::Drain(which, on)),
        1 => (0_u64..15_000).prop_map(|millis| Event::Pass(Duration::from_millis(millis))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn a_target_goes_through_what_its_history_says(
        steps in prop::collection::vec((0_u64..9000, any_verdict()), 1..120),
    ) {
        let store = MemoryHealth::new();
        let id = TargetId::new("some/model");
        let mut naive = Naive::default();
        let mut now = Duration::from_secs(1000);
        for (millis, verdict) in steps {
            now += Duration::from_millis(millis);
            let standing = store.standing(&id, now);
            prop_assert_eq!(standing.state, naive.state(now));
            prop_assert_eq!(standing.until, naive.until);
            match store.begin(&id, Ask::default(), now) {
                Ok(ticket) => {
                    prop_assert_eq!(ticket.is_probe(), standing.state == State::ProbeDue);
                    store.end(&id, ticket, &verdict, &POLICY, now);
                    naive.attempt(&verdict, now);
                }
                Err(refused) => {
                    prop_assert_eq!(refused, Refused::CoolingDown);
                    prop_assert_eq!(standing.state, State::CoolingDown);
                }
            }
        }
    }

    #[test]
    fn attempts_are_counted_and_probes_are_alone_whatever_overlaps(
        steps in prop::collection::vec(any_step(), 1..200),
    ) {
        let store = MemoryHealth::new();
        let id = TargetId::new("some/model");
        let mut under_way: Vec<Ticket> = Vec::new();
        let mut drained = false;
        let mut now = Duration::ZERO;
        for step in steps {
            let before = store.standing(&id, now);
            match step {
                Step::Pass(time) => now += time,
                Step::Begin(regardless) => {
                    let ask = Ask { regardless, retry: false };
                    let begun = store.begin(&id, ask, now);
                    let closed = matches!(before.state, State::CoolingDown | State::Probing);
                    prop_assert_eq!(begun.is_ok(), !drained && (regardless || !closed));
                    under_way.extend(begun);
                }
                Step::End(which, verdict) if !under_way.is_empty() => {
                    let ticket = under_way.swap_remove(which.index(under_way.len()));
                    store.end(&id, ticket, &verdict, &POLICY, now);
                }
                Step::Cancel(which) if !under_way.is_empty() => {
                    let ticket = under_way.swap_remove(which.index(under_way.len()));
                    store.cancel(&id, ticket);
                    prop_assert_eq!(store.standing(&id, now).until, before.until);
                }
                Step::End(..) | Step::Cancel(_) => {}
                Step::Drain(on) => {
                    drained = on;
                    if on { store.drain(&id) } else { store.undrain(&id) }
                }
            }
            let after = store.standing(&id, now);
            prop_assert_eq!(after.in_flight as usize, under_way.len());
            let probes = under_way.iter().filter(|ticket| ticket.is_probe()).count();
            prop_assert!(probes <= 1);
        }
        for ticket in under_way {
            store.cancel(&id, ticket);
        }
        prop_assert_eq!(store.standing(&id, now).in_flight, 0);
    }

    #[test]
    fn a_plan_keeps_its_limits_and_its_order(
        drawn in prop::collection::vec((0_u32..3, any_weight()), 1..6),
        select in any_select(),
        sticky in prop::option::of(any::<u64>()),
        max_attempts in 0_u32..8,
        seed in any::<u64>(),
        events in prop::collection::vec(any_event(), 1..60),
    ) {
        let store = Arc::new(MemoryHealth::new());
        let shared: Arc<dyn HealthStore> = Arc::<MemoryHealth>::clone(&store);
        let all = candidates(&drawn);
        let terms = Terms { select, sticky, max_attempts, retry_budget: 100.0, health: POLICY };
        let mut now = Duration::from_secs(77);
        let mut plan = Plan::new(shared, Arc::clone(&all), terms, seed, now);
        let mut under_way: Vec<Attempt> = Vec::new();
        let mut asked = vec![0_u32; all.len()];
        for event in events {
            match event {
                Event::Pass(time) => now += time,
                Event::Drain(which, on) => {
                    let id = &all[which.index(all.len())].id;
                    if on { store.drain(id) } else { store.undrain(id) }
                }
                Event::Elsewhere(which, retry_after) => {
                    let id = &all[which.index(all.len())].id;
                    if let Ok(ticket) = store.begin(id, Ask::default(), now) {
                        let verdict = Verdict::Failure(failure(retry_after));
                        store.end(id, ticket, &verdict, &POLICY, now);
                    }
                }
                Event::Fail(which, retry_after) if !under_way.is_empty() => {
                    let attempt = under_way.swap_remove(which.index(under_way.len()));
                    let (index, failure) = (attempt.index(), failure(retry_after));
                    attempt.end(&Verdict::Failure(failure), now);
                    plan.failed(index, &failure, now);
                }
                Event::Fail(..) => {}
                Event::Next => {
                    let standings: Vec<_> =
                        all.iter().map(|one| store.standing(&one.id, now)).collect();
                    let Next::Attempt(attempt) = plan.next(now) else { continue };
                    let index = attempt.index();
                    let state = standings[index].state;
                    prop_assert_ne!(state, State::Drained);
                    prop_assert_eq!(attempt.is_probe(), state == State::ProbeDue);
                    prop_assert!(under_way.iter().all(|other| other.index() != index));
                    prop_assert!(attempt.delay() <= Duration::from_secs(2));
                    prop_assert!(asked[index] > 0 || attempt.delay().is_zero());
                    for other in 0..all.len() {
                        let untried = asked[other] == 0 && standings[other].state.is_open();
                        let first = all[other].priority < all[index].priority;
                        let closed = !state.is_open() || asked[index] > 0;
                        prop_assert!(other == index || !untried || !(first || closed));
                    }
                    asked[index] += 1;
                    under_way.push(attempt);
                }
            }
            prop_assert!(asked.iter().sum::<u32>() <= max_attempts);
            prop_assert_eq!(asked.iter().sum::<u32>(), plan.attempts());
        }
        drop(under_way);
        prop_assert!(store.snapshot(now).iter().all(|target| target.in_flight == 0));
    }

    #[test]
    fn a_dead_target_costs_three_attempts_and_then_one_for_each_cooldown(
        select in any_select(),
        same_priority in any::<bool>(),
        seed in any::<u64>(),
        steps in prop::collection::vec(0_u64..6000, 1..300),
    ) {
        let store = Arc::new(MemoryHealth::new());
        let all = candidates(&[(0, 1), (u32::from(!same_priority), 1)]);
        let terms =
            Terms { select, sticky: None, max_attempts: 3, retry_budget: 0.5, health: POLICY };
        let mut now = Duration::from_secs(77);
        let mut wasted: Vec<Duration> = Vec::new();
        for (number, millis) in steps.into_iter().enumerate() {
            now += Duration::from_millis(millis);
            let shared: Arc<dyn HealthStore> = Arc::<MemoryHealth>::clone(&store);
            let seed = seed.wrapping_add(number as u64);
            let mut plan = Plan::new(shared, Arc::clone(&all), terms, seed, now);
            loop {
                let Next::Attempt(attempt) = plan.next(now) else {
                    return Err(TestCaseError::fail("the other target was not asked"));
                };
                if attempt.index() == 1 {
                    attempt.end(&SUCCESS, now);
                    break;
                }
                wasted.push(now);
                attempt.end(&Verdict::Failure(failure(None)), now);
                plan.failed(0, &failure(None), now);
            }
        }
        for (number, pair) in wasted.windows(2).skip(2).enumerate() {
            let cooldown = 10.0 * 2_f64.powi(number.min(10) as i32);
            prop_assert!((pair[1] - pair[0]).as_secs_f64() >= cooldown.min(60.0));
        }
    }
}
