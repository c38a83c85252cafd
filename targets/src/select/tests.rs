use std::time::Duration;

use super::*;

fn candidate(name: &str, weight: u32) -> Candidate {
    Candidate {
        id: TargetId::new(name),
        provider: Arc::from("some"),
        priority: 0,
        weight,
        context_window: None,
    }
}

fn standing(in_flight: u32, first_token: Option<u64>) -> Standing {
    Standing {
        in_flight,
        first_token: first_token.map(Duration::from_millis),
        ..Standing::UNKNOWN
    }
}

fn choices<'a>(
    candidates: &'a [Candidate],
    standings: &'a [Standing],
) -> impl Iterator<Item = Choice<'a>> + Clone {
    let pairs = candidates.iter().zip(standings).enumerate();
    pairs.map(|(index, (candidate, standing))| Choice {
        index,
        candidate,
        standing,
    })
}

/// How often each is chosen in so many times.
fn counts(
    candidates: &[Candidate],
    standings: &[Standing],
    select: Select,
    times: u64,
) -> Vec<u32> {
    let mut chance = Chance::new(7);
    let mut counts = vec![0; candidates.len()];
    for _ in 0..times {
        let among = choices(candidates, standings);
        counts[choose(among, select, None, &mut chance).unwrap()] += 1;
    }
    counts
}

fn home(candidates: &[Candidate], key: u64) -> usize {
    let standings = vec![Standing::UNKNOWN; candidates.len()];
    let among = choices(candidates, &standings);
    choose(among, Select::Fastest, Some(key), &mut Chance::new(0)).unwrap()
}

const KEYS: u64 = 100_000;

#[track_caller]
fn assert_near(counts: &[u32], shares: &[f64]) {
    let total: u32 = counts.iter().sum();
    for (count, share) in counts.iter().zip(shares) {
        let got = f64::from(*count) / f64::from(total);
        assert!((got - share).abs() < 0.01, "{counts:?} for {shares:?}");
    }
}

#[test]
fn chance_gives_each_its_share() {
    let all = [candidate("a", 1), candidate("b", 2), candidate("c", 7)];
    let got = counts(&all, &[Standing::UNKNOWN; 3], Select::Weighted, KEYS);
    assert_near(&got, &[0.1, 0.2, 0.7]);
}

#[test]
fn keys_give_each_its_share() {
    let all = [
        candidate("openai/gpt-4o", 1),
        candidate("azure/gpt-4o", 2),
        candidate("openai/gpt-4o#2", 7),
    ];
    let mut got = [0; 3];
    (0..KEYS).for_each(|key| got[home(&all, key)] += 1);
    assert_near(&got, &[0.1, 0.2, 0.7]);
}

#[test]
fn when_a_target_goes_only_its_keys_move_and_they_spread_by_weight() {
    let all = [candidate("a", 5), candidate("b", 2), candidate("c", 1)];
    let rest = [all[1].clone(), all[2].clone()];
    let mut moved = [0; 2];
    for key in 0..KEYS {
        let (before, after) = (home(&all, key), home(&rest, key));
        match before {
            0 => moved[after] += 1,
            _ => assert_eq!(after, before - 1),
        }
    }
    assert_near(&moved, &[2.0 / 3.0, 1.0 / 3.0]);
}

#[test]
fn when_a_weight_grows_keys_move_to_that_target_alone() {
    let before = [candidate("a", 2), candidate("b", 2)];
    let after = [candidate("a", 2), candidate("b", 6)];
    let mut at_first = 0;
    for key in 0..KEYS {
        let (old, new) = (home(&before, key), home(&after, key));
        assert!(new == old || new == 1);
        at_first += u32::from(new == 0);
    }
    assert_near(&[at_first, KEYS as u32 - at_first], &[0.25, 0.75]);
}

#[test]
fn a_weight_of_zero_is_for_when_there_is_no_other() {
    let all = [candidate("a", 0), candidate("b", 1)];
    for select in [Select::Weighted, Select::LeastBusy] {
        let standings = [Standing::UNKNOWN, standing(u32::MAX, None)];
        assert_eq!(counts(&all, &standings, select, 1000), [0, 1000]);
    }
    assert!((0..1000).all(|key| home(&all, key) == 1));

    let none = [candidate("a", 0), candidate("b", 0)];
    let unknown = [Standing::UNKNOWN; 2];
    assert_near(&counts(&none, &unknown, Select::Weighted, KEYS), &[0.5; 2]);
    assert_near(&counts(&none, &unknown, Select::LeastBusy, KEYS), &[0.5; 2]);
    let mut got = [0; 2];
    (0..KEYS).for_each(|key| got[home(&none, key)] += 1);
    assert_near(&got, &[0.5; 2]);
}

#[test]
fn the_largest_weights_keep_their_shares() {
    let all = [candidate("a", u32::MAX), candidate("b", u32::MAX)];
    let busy = [standing(u32::MAX, None), standing(u32::MAX, None)];
    assert_near(&counts(&all, &busy, Select::Weighted, KEYS), &[0.5; 2]);
    assert_near(&counts(&all, &busy, Select::LeastBusy, KEYS), &[0.5; 2]);
}

#[test]
fn the_fastest_is_chosen_and_one_in_twenty_by_weight() {
    let all = [candidate("a", 1), candidate("b", 1)];
    let standings = [standing(9, Some(300)), standing(9, Some(200))];
    let got = counts(&all, &standings, Select::Fastest, KEYS);
    assert_near(&got, &[0.025, 0.975]);
}

#[test]
fn one_that_was_never_measured_is_tried_by_one_request_at_a_time() {
    let all = [candidate("a", 1), candidate("b", 1)];
    let idle = [standing(9, Some(1)), standing(0, None)];
    let got = counts(&all, &idle, Select::Fastest, KEYS);
    assert_near(&got, &[0.025, 0.975]);
    let being_tried = [standing(9, Some(1)), standing(1, None)];
    let got = counts(&all, &being_tried, Select::Fastest, KEYS);
    assert_near(&got, &[0.975, 0.025]);
    let all_being_tried = [standing(1, None), standing(1, None)];
    let got = counts(&all, &all_being_tried, Select::Fastest, KEYS);
    assert_near(&got, &[0.5, 0.5]);
}

#[test]
fn the_least_busy_for_its_weight_is_chosen_and_among_equals_by_weight() {
    let all = [candidate("a", 1), candidate("b", 3), candidate("c", 1)];
    let standings = [standing(2, None), standing(5, None), standing(9, None)];
    assert_eq!(
        counts(&all, &standings, Select::LeastBusy, 100),
        [0, 100, 0]
    );
    let equal = [standing(2, None), standing(6, None), standing(3, None)];
    let got = counts(&all, &equal, Select::LeastBusy, KEYS);
    assert_near(&got, &[0.25, 0.75, 0.0]);
}

#[test]
fn nothing_is_chosen_of_none() {
    for select in [Select::Weighted, Select::Fastest, Select::LeastBusy] {
        for sticky in [None, Some(1)] {
            let among = choices(&[], &[]);
            assert_eq!(choose(among, select, sticky, &mut Chance::new(0)), None);
        }
    }
}
