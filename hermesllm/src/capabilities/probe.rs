//! How a probe is judged.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Feature, Verdict};
use crate::apis::SupportedUpstreamAPIs as Api;
use crate::representation::{LossKind, Losses};
use crate::translate::{without_mark, TranslateError, Translated};

/// A document that has a feature, and what of it is compared.
pub(super) struct Probe<T: 'static> {
    name: &'static str,
    sample: fn(Api) -> T,
    aspect: fn(&T) -> Value,
    of: &'static [Api],
    native: bool,
    implied_by: &'static [Api],
    bookkeeping: bool,
}

impl<T> Probe<T> {
    /// A feature by its name for people, a document that has it, to be written in an API (some
    /// features have other words in each), and what of it is compared: `null` where it is not there.
    pub(super) const fn new(
        name: &'static str,
        sample: fn(Api) -> T,
        aspect: fn(&T) -> Value,
    ) -> Self {
        Self {
            name,
            sample,
            aspect,
            of: &Api::ALL,
            native: false,
            implied_by: &[],
            bookkeeping: false,
        }
    }

    /// Only these APIs have it; the others may know it in another form, which has a row of its own.
    pub(super) const fn of(self, apis: &'static [Api]) -> Self {
        Self { of: apis, ..self }
    }

    /// An API that does not take it from others has it all the same.
    pub(super) const fn native(self) -> Self {
        Self {
            native: true,
            ..self
        }
    }

    /// In these APIs it is so by itself, or by what else is said: nothing has to be written.
    pub(super) const fn implied_by(self, apis: &'static [Api]) -> Self {
        Self {
            implied_by: apis,
            ..self
        }
    }

    /// It is the provider's bookkeeping: where it has no place it is left out, and nobody is told.
    pub(super) const fn bookkeeping(self) -> Self {
        Self {
            bookkeeping: true,
            ..self
        }
    }

    fn verdict(&self, to: Api, before: &Value, after: &Value, losses: &Losses) -> Verdict {
        match verdict(before, after, losses) {
            Verdict::Untold { .. } if self.implied_by.contains(&to) => Verdict::Works,
            Verdict::Untold { .. } if self.bookkeeping && after.is_null() => {
                Verdict::Impossible(vec![BOOKKEEPING])
            }
            verdict => verdict,
        }
    }
}

const BOOKKEEPING: &str = "the API has no place for it; as it changes no answer, this is not told";

/// How documents of a kind are written and read.
pub(super) trait Passage<T> {
    /// The document as an API keeps it: written in it and read back; `None` where it cannot be.
    /// `native`: written as one that was read from this API.
    fn own(&self, api: Api, sample: T, native: bool) -> Option<T>;

    /// A document of one API, written in another and read there; or why it cannot be.
    fn other(&self, from: Api, to: Api, own: T, losses: &mut Losses) -> Result<T, Verdict>;
}

/// What becomes of a feature between each two APIs.
pub(super) fn feature<T: Clone + 'static>(
    probe: &Probe<T>,
    apis: &[Api],
    passage: &impl Passage<T>,
) -> Feature {
    let mut verdicts = BTreeMap::new();
    for &from in apis.iter().filter(|from| probe.of.contains(from)) {
        let sample = (probe.sample)(from);
        let meant = (probe.aspect)(&sample);
        let has = |own: &T| !meant.is_null() && (probe.aspect)(own) == meant;
        let foreign = passage.own(from, sample.clone(), false).filter(has);
        let native = || passage.own(from, sample, true).filter(has);
        let Some(own) = foreign.or_else(|| native().filter(|_| probe.native)) else {
            continue;
        };
        for &to in apis.iter().filter(|to| **to != from) {
            let mut losses = Losses::new();
            let verdict = match passage.other(from, to, own.clone(), &mut losses) {
                Ok(read) => probe.verdict(to, &meant, &(probe.aspect)(&read), &losses),
                Err(verdict) => verdict,
            };
            verdicts.insert((from, to), verdict);
        }
    }
    Feature {
        name: probe.name,
        verdicts,
    }
}

/// What two readings and the losses between them come to.
fn verdict(before: &Value, after: &Value, losses: &Losses) -> Verdict {
    let mut reasons: Vec<&'static str> = Vec::new();
    for loss in losses.as_slice() {
        if !reasons.contains(&loss.reason) {
            reasons.push(loss.reason);
        }
    }
    let dropped = |kind: LossKind| kind == LossKind::Dropped;
    match (before == after, reasons.is_empty()) {
        (true, true) => Verdict::Works,
        (false, true) => Verdict::Untold {
            before: before.to_string(),
            after: after.to_string(),
        },
        (false, false)
            if after.is_null() && losses.as_slice().iter().all(|loss| dropped(loss.kind)) =>
        {
            Verdict::Impossible(reasons)
        }
        _ => Verdict::Lossy(reasons),
    }
}

/// The document that a translation gives; what is lost on the way goes to `losses`.
pub(super) fn document(
    translated: Result<Translated, TranslateError>,
    losses: &mut Losses,
) -> Result<Value, Verdict> {
    let translated = translated.map_err(|error| unreadable(&error))?;
    losses.extend(translated.losses);
    serde_json::from_slice(&translated.body).map_err(|error| unreadable(&error))
}

/// A signature, or encrypted thoughts, without the mark that says whose they are.
pub(super) fn secret(own: Option<&String>) -> Value {
    own.map(|own| without_mark(own)).into()
}

/// That a document could not be read again.
pub(super) fn unreadable(error: &dyn std::fmt::Display) -> Verdict {
    Verdict::Untold {
        before: "a document".to_owned(),
        after: error.to_string(),
    }
}
