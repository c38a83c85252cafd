//! How one of several targets of equal priority is chosen.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::chance::{fraction, mix, Chance};
use crate::health::Standing;
use crate::target::TargetId;

/// A target of a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Which.
    pub id: TargetId,
    /// Whose; another provider may pass what this one's filter refuses.
    pub provider: Arc<str>,
    /// The lower number is asked first.
    pub priority: u32,
    /// The share among those of equal priority. One of zero is asked when there is no other.
    pub weight: u32,
    /// How many tokens it takes, where that is declared.
    pub context_window: Option<u64>,
}

/// How one of several targets of equal priority is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Select {
    /// By chance, in proportion to the weights.
    #[default]
    Weighted,
    /// The one with the shortest mean time to its first token. One that was never measured goes
    /// before, one request at a time; and one choice in twenty is by weight, so that figures stay
    /// fresh.
    Fastest,
    /// The one with the fewest attempts under way for its weight; among equals by weight.
    LeastBusy,
}

/// One of those to choose from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Choice<'a> {
    pub(crate) index: usize,
    pub(crate) candidate: &'a Candidate,
    pub(crate) standing: &'a Standing,
}

/// One choice in so many of [`Select::Fastest`] is by weight.
const FRESHEN: u64 = 20;

/// The index of the one to ask; `None` of none. A sticky key decides alone.
pub(crate) fn choose<'a>(
    among: impl Iterator<Item = Choice<'a>> + Clone,
    select: Select,
    sticky: Option<u64>,
    chance: &mut Chance,
) -> Option<usize> {
    if let Some(key) = sticky {
        return at_home(among, key);
    }
    match select {
        Select::Weighted => by_weight(among, chance),
        Select::Fastest => fastest(among, chance),
        Select::LeastBusy => {
            let least = among.clone().min_by(|a, b| compare_load(*a, *b))?;
            let equal = among.filter(|choice| compare_load(*choice, least).is_eq());
            by_weight(equal, chance)
        }
    }
}

fn by_weight<'a>(
    among: impl Iterator<Item = Choice<'a>> + Clone,
    chance: &mut Chance,
) -> Option<usize> {
    let weight = |choice: &Choice<'a>| u64::from(choice.candidate.weight);
    let total = among
        .clone()
        .fold(0_u64, |total, choice| total.saturating_add(weight(&choice)));
    if total == 0 {
        let count = among.clone().count();
        let place = chance.below(count as u64);
        return among.map(|choice| choice.index).nth(place as usize);
    }
    let mut drawn = chance.below(total);
    for choice in among {
        match drawn.checked_sub(weight(&choice)) {
            Some(rest) => drawn = rest,
            None => return Some(choice.index),
        }
    }
    None
}

fn fastest<'a>(
    among: impl Iterator<Item = Choice<'a>> + Clone,
    chance: &mut Chance,
) -> Option<usize> {
    if chance.below(FRESHEN) == 0 {
        return by_weight(among, chance);
    }
    // Not all requests may wait for the first answer of one that may turn out to be slow.
    let unmeasured = among
        .clone()
        .filter(|choice| choice.standing.first_token.is_none() && choice.standing.in_flight == 0);
    if let Some(index) = by_weight(unmeasured, chance) {
        return Some(index);
    }
    among
        .clone()
        .filter_map(|choice| Some((choice.standing.first_token?, choice.index)))
        .min()
        .map(|(_, index)| index)
        .or_else(|| by_weight(among, chance))
}

/// Compares attempts under way for each unit of weight; without weight is the busiest.
fn compare_load(a: Choice<'_>, b: Choice<'_>) -> Ordering {
    let (weight_a, weight_b) = (a.candidate.weight, b.candidate.weight);
    let product = |in_flight: u32, weight: u32| u64::from(in_flight) * u64::from(weight);
    (weight_a == 0).cmp(&(weight_b == 0)).then_with(|| {
        // With both weights zero, the attempts alone.
        let (weight_a, weight_b) = (weight_a.max(1), weight_b.max(1));
        product(a.standing.in_flight, weight_b).cmp(&product(b.standing.in_flight, weight_a))
    })
}

/// Weighted rendezvous hashing: each target draws a number from its name and the key, and the
/// highest wins. When a target goes, only its keys move; when one comes, only those that it wins.
fn at_home<'a>(among: impl Iterator<Item = Choice<'a>>, key: u64) -> Option<usize> {
    let key = mix(key);
    let score = |choice: &Choice<'a>| {
        let drawn = fraction(mix(key ^ choice.candidate.id.number()));
        (-f64::from(choice.candidate.weight) / drawn.ln(), drawn)
    };
    among
        .map(|choice| (score(&choice), choice.index))
        .max_by(|((a, drawn_a), _), ((b, drawn_b), _)| {
            a.total_cmp(b).then_with(|| drawn_a.total_cmp(drawn_b))
        })
        .map(|(_, index)| index)
}

#[cfg(test)]
mod tests;
