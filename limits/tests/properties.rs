//! Any sequence of requests and settlements, against models that keep a list of all that happened
//! and decide by the formula itself, in exact numbers.

use std::collections::BTreeMap;
use std::time::Duration;

use meseta_limits::{
    Admission, Amounts, Charge, MemoryStore, Meter, Per, Reservation, Rule, RuleName, RuleSet, Unit,
};
use proptest::prelude::*;

const SECOND: i128 = 1_000_000_000;
const NOW: i128 = 1_795_000_000 * SECOND;

fn time(nanos: i128) -> Duration {
    Duration::from_nanos(u64::try_from(nanos).unwrap())
}

fn tokens(output_tokens: u64) -> Amounts {
    Amounts {
        requests: 1,
        input_tokens: 0,
        output_tokens,
    }
}

fn rule(limit: u64, per: Per, burst: Option<u64>) -> Rule {
    Rule::new(RuleName::new("a").unwrap(), Unit::Tokens, limit, per, burst).unwrap()
}

fn meter(rule: &Rule) -> Meter {
    Meter::new(RuleSet::new(vec![rule.clone()]).unwrap(), 4)
}

/// One thing that happens.
#[derive(Debug, Clone)]
enum Step {
    /// A request, after some time, of a subject.
    Admit {
        after: i128,
        subject: u64,
        amount: u64,
    },
    /// One of the requests that are under way ends, and has used so much.
    Settle {
        after: i128,
        which: usize,
        actual: u64,
    },
    /// One of them is never settled.
    Drop { which: usize },
}

fn steps(
    amounts: u64,
    times: impl Strategy<Value = i128> + Clone,
) -> impl Strategy<Value = Vec<Step>> {
    let admit =
        (times.clone(), 0..3_u64, 0..=amounts).prop_map(|(after, subject, amount)| Step::Admit {
            after,
            subject,
            amount,
        });
    let settle = (
        times,
        any::<usize>(),
        prop_oneof![Just(0), 0..=amounts, 0..=amounts * 2],
    )
        .prop_map(|(after, which, actual)| Step::Settle {
            after,
            which,
            actual,
        });
    let drop = any::<usize>().prop_map(|which| Step::Drop { which });
    prop::collection::vec(prop_oneof![6 => admit, 4 => settle, 1 => drop], 1..60)
}

/// A request that is under way.
struct Open {
    reservation: Reservation,
    subject: u64,
    amount: u64,
    /// Its place in the list of the subject.
    at: usize,
}

/// What was charged, at its time; a refund is less than nothing.
#[derive(Debug, Clone, Copy)]
struct Event {
    at: i128,
    amount: i128,
    admission: bool,
}

/// What a subject owes to the formula at a time: the most, over all beginnings of an interval, of
/// what was charged in it less what its length allows. In tokens times nanoseconds of the period.
fn owed(events: &[Event], limit: i128, period: i128, now: i128) -> i128 {
    let (mut sum, mut most) = (0, 0);
    for event in events.iter().rev() {
        sum += event.amount * period;
        most = most.max(sum - (now - event.at) * limit);
    }
    most
}

/// Whether the bucket was full at some time since this event, and before now.
fn full_since(events: &[Event], from: usize, limit: i128, period: i128, now: i128) -> bool {
    let arrivals = events.iter().enumerate().skip(from + 1);
    let mut times = arrivals
        .map(|(at, event)| (at, event.at))
        .chain([(events.len(), now)]);
    times.any(|(at, time)| owed(&events[..at], limit, period, time) == 0)
}

/// The formula, over every interval that ends with an admission.
fn formula_holds(events: &[Event], limit: i128, period: i128, burst: i128) -> bool {
    (0..events.len()).all(|end| {
        let last = events[end];
        !last.admission || {
            let mut sum = 0;
            events[..=end].iter().rev().all(|first| {
                sum += first.amount;
                sum * period <= burst * period + limit * (last.at - first.at)
            })
        }
    })
}

fn period(per: Per) -> i128 {
    match per {
        Per::Second => SECOND,
        Per::Minute => 60 * SECOND,
        _ => 3600 * SECOND,
    }
}

/// Runs steps over a meter and its model. `exact` where the rule is one that whole nanoseconds and
/// single units express.
fn run(rule: &Rule, steps: Vec<Step>, exact: bool) {
    let (limit, burst) = (i128::from(rule.limit()), i128::from(rule.capacity()));
    let period = period(rule.per());
    // Two meters take turns, as two processes over one store do.
    let meters = [meter(rule), meter(rule)];
    let store = MemoryStore::new(4);
    let mut events = BTreeMap::<u64, Vec<Event>>::new();
    let mut open = Vec::<Open>::new();
    let mut now = NOW;
    for (turn, step) in steps.into_iter().enumerate() {
        let meter = &meters[turn % 2];
        match step {
            Step::Admit {
                after,
                subject,
                amount,
            } => {
                now += after;
                let events = events.entry(subject).or_default();
                let fits = owed(events, limit, period, now) + i128::from(amount) * period
                    <= burst * period;
                let charge = Charge {
                    rule: rule.name(),
                    subject_hash: subject,
                };
                let admission = meter
                    .admit(&store, &[charge], tokens(amount), time(now))
                    .unwrap();
                let admitted = matches!(admission, Admission::Admitted { .. });
                assert!(
                    fits || !admitted,
                    "more than the formula: {amount} at {now}"
                );
                assert!(
                    !exact || fits == admitted,
                    "less than the formula: {amount} at {now}"
                );
                if let Admission::Refused(refused) = &admission {
                    let never = i128::from(amount) > burst;
                    assert!(!exact || refused.retry_after.is_none() == never);
                }
                if let Admission::Admitted { reservation, .. } = admission {
                    let reservation = reservation.to_string().parse().unwrap();
                    let at = events.len();
                    open.push(Open {
                        reservation,
                        subject,
                        amount,
                        at,
                    });
                    events.push(Event {
                        at: now,
                        amount: i128::from(amount),
                        admission: true,
                    });
                }
            }
            Step::Settle {
                after,
                which,
                actual,
            } => {
                now += after;
                if open.is_empty() {
                    continue;
                }
                let Open {
                    reservation,
                    subject,
                    amount,
                    at,
                } = open.swap_remove(which % open.len());
                meter
                    .settle(&store, &reservation, tokens(actual), time(now))
                    .unwrap();
                let events = events.entry(subject).or_default();
                let refund = actual < amount;
                // Where time is not told exactly, the model gives back all that it might have.
                if exact && refund && full_since(events, at, limit, period, now) {
                    continue;
                }
                let most = owed(events, limit, period, now);
                let mut change = i128::from(actual) - i128::from(amount);
                if exact && -change * period > most {
                    // Never above full. What is left over of a token is a fraction of one.
                    change = -(most / period);
                    let rest = most % period;
                    if rest > 0 {
                        change -= 1;
                    }
                }
                events.push(Event {
                    at: now,
                    amount: change,
                    admission: false,
                });
            }
            Step::Drop { which } => {
                if !open.is_empty() {
                    open.swap_remove(which % open.len());
                }
            }
        }
    }
    for events in events.values() {
        assert!(formula_holds(events, limit, period, burst));
    }
}

/// Steps of some milliseconds, and some much longer.
fn times() -> impl Strategy<Value = i128> + Clone {
    let millis = prop_oneof![4 => 0..2000_i128, 2 => 0..60_000_i128, 1 => 0..7_200_000_i128];
    millis.prop_map(|millis| millis * 1_000_000)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_bucket_decides_as_the_formula_does(
        limit in prop::sample::select(vec![1_u64, 6, 10, 60, 100, 1000]),
        per in prop::sample::select(vec![Per::Second, Per::Minute, Per::Hour]),
        burst in prop::option::of(1_u64..400),
        steps in steps(120, times()),
    ) {
        prop_assume!(period(per) % i128::from(limit) == 0);
        run(&rule(limit, per, burst), steps, true);
    }

    #[test]
    fn rounding_never_admits_more_than_the_formula(
        limit in prop_oneof![1_u64..2000, 1_u64..20_000_000_000],
        per in prop::sample::select(vec![Per::Second, Per::Minute, Per::Hour]),
        steps in steps(300_000, times()),
    ) {
        run(&rule(limit, per, Some((limit * 8000).min(200_000))), steps, false);
    }

    #[test]
    fn larger_units_never_admit_more_than_the_formula(
        limit in 100_000_000_u64..20_000_000_000,
        burst in 2048_u64..100_000,
        steps in steps(5000, 0..5000_i128),
    ) {
        run(&rule(limit, Per::Second, Some(burst)), steps, false);
    }

    #[test]
    fn a_window_admits_its_limit_even_where_clocks_go_back_a_little(
        per in prop::sample::select(vec![Per::Day, Per::Month]),
        from in prop::sample::select(vec![
            1_709_078_400_i128, // 2024-02-28
            1_709_164_800, // 2024-02-29
            1_677_542_400, // 2023-02-28
            1_767_139_200, // 2025-12-31
            4_107_456_000, // 2100-02-28
        ]),
        steps in steps(60, prop_oneof![-900..900_i128, 0..40_000_i128].prop_map(|seconds| seconds * SECOND)),
    ) {
        let rule = rule(100, per, None);
        let meters = [meter(&rule), meter(&rule)];
        let store = MemoryStore::new(4);
        let mut counts = BTreeMap::<(u64, (i128, i128)), i128>::new();
        let mut windows = BTreeMap::<u64, (i128, i128)>::new();
        let mut open = Vec::new();
        let mut now = from * SECOND;
        for (turn, step) in steps.into_iter().enumerate() {
            let meter = &meters[turn % 2];
            match step {
                Step::Admit { after, subject, amount } => {
                    now += after;
                    // A window that was begun by a clock ahead counts on.
                    let mut window = window_of(per, now / SECOND);
                    if amount > 0 {
                        let seen = windows.entry(subject).or_insert(window);
                        window = window.max(*seen);
                    } else if let Some(seen) = windows.get(&subject) {
                        window = window.max(*seen);
                    }
                    let count = counts.entry((subject, window)).or_default();
                    let fits = *count + i128::from(amount) <= 100;
                    let charge = Charge { rule: rule.name(), subject_hash: subject };
                    let admission = meter
                        .admit(&store, &[charge], tokens(amount), time(now))
                        .unwrap();
                    prop_assert_eq!(matches!(admission, Admission::Admitted { .. }), fits);
                    if let Admission::Admitted { reservation, .. } = admission {
                        *count += i128::from(amount);
                        if amount > 0 {
                            windows.insert(subject, window);
                        }
                        open.push((reservation, subject, amount, window));
                    }
                }
                Step::Settle { after, which, actual } => {
                    now += after;
                    if open.is_empty() {
                        continue;
                    }
                    let (reservation, subject, amount, window) =
                        open.swap_remove(which % open.len());
                    meter
                        .settle(&store, &reservation, tokens(actual), time(now))
                        .unwrap();
                    let mut current = window_of(per, now / SECOND);
                    if let Some(seen) = windows.get(&subject) {
                        current = current.max(*seen);
                    }
                    if current == window && actual != amount {
                        let count = counts.entry((subject, window)).or_default();
                        *count += i128::from(actual) - i128::from(amount);
                        windows.insert(subject, window);
                    }
                }
                Step::Drop { which } => {
                    if !open.is_empty() {
                        open.swap_remove(which % open.len());
                    }
                }
            }
        }
    }
}

/// Year and month, or day, of a second: by the algorithm of Howard Hinnant's `civil_from_days`,
/// which has nothing in common with the one that is tested.
fn window_of(per: Per, second: i128) -> (i128, i128) {
    let days = second.div_euclid(86_400);
    if per == Per::Day {
        return (0, days);
    }
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day = shifted.rem_euclid(146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let (month, carry) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    (year + era * 400 + carry, month)
}
