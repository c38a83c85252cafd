//! Why an answer ended: `status`, `incomplete_details` and `error`.

use serde_json::{json, Map, Value};

use crate::apis::object::Object;
use crate::apis::openai_responses::members::word;
use crate::representation::{Losses, StopKind, StopReason};

const MAX_TOKENS: &str = "max_output_tokens";
const FILTER: &str = "content_filter";

/// How an answer ended, in the API's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::apis::openai_responses) struct Ending {
    status: String,
    /// Why it is incomplete.
    reason: Option<String>,
}

impl Ending {
    /// An answer in whole.
    pub(in crate::apis::openai_responses) fn completed() -> Self {
        Self::of("completed")
    }

    /// An answer that broke off.
    pub(in crate::apis::openai_responses) fn failed() -> Self {
        Self::of("failed")
    }

    fn of(status: &str) -> Self {
        Self {
            status: status.to_owned(),
            reason: None,
        }
    }

    fn incomplete(reason: &str) -> Self {
        Self {
            status: "incomplete".to_owned(),
            reason: Some(reason.to_owned()),
        }
    }

    pub(in crate::apis::openai_responses) fn is_incomplete(&self) -> bool {
        self.status == "incomplete"
    }

    /// Puts it into an answer.
    pub(super) fn put(&self, body: &mut Map<String, Value>, same: bool) {
        body.insert("status".to_owned(), self.status.as_str().into());
        match &self.reason {
            Some(reason) => {
                let details = json!({"reason": reason});
                body.insert("incomplete_details".to_owned(), details);
            }
            None if same => {}
            None => {
                body.insert("incomplete_details".to_owned(), Value::Null);
            }
        }
    }
}

/// Reads why an answer ended; `None` where it has not. `calls`: it calls tools of the client's.
pub(in crate::apis::openai_responses) fn read(
    object: &mut Object,
    calls: bool,
) -> Option<StopReason> {
    let status = object.peek_text("status")?.to_owned();
    let (kind, raw) = match status.as_str() {
        // Calls wait for results.
        "completed" if calls => (StopKind::ToolCalls, status),
        "completed" => (StopKind::End, status),
        "incomplete" => {
            let details = object.peek("incomplete_details");
            let only = details
                .and_then(Value::as_object)
                .is_some_and(|d| d.len() == 1);
            let reason = details.and_then(|details| word(details, "reason"));
            match reason.map(str::to_owned).filter(|_| only) {
                Some(reason) => {
                    object.take("incomplete_details");
                    let kind = match reason.as_str() {
                        MAX_TOKENS => StopKind::MaxTokens,
                        FILTER => StopKind::ContentFilter,
                        _ => StopKind::Other,
                    };
                    (kind, reason)
                }
                None => (StopKind::Other, status),
            }
        }
        "failed" | "cancelled" => (StopKind::Other, status),
        _ => return None,
    };
    object.take("status");
    Some(StopReason {
        kind,
        raw,
        sequence: None,
    })
}

/// Writes why an answer ended.
pub(in crate::apis::openai_responses) fn write(
    stop: StopReason,
    same: bool,
    losses: &mut Losses,
) -> Ending {
    let StopReason {
        kind,
        raw,
        sequence,
    } = stop;
    if same {
        return match raw.as_str() {
            "completed" | "incomplete" | "failed" | "cancelled" => Ending::of(&raw),
            reason => Ending::incomplete(reason),
        };
    }
    if sequence.is_some() {
        losses.dropped("/stop_sequence", "which text ended an answer is not told");
    }
    let mut near = |ending| {
        losses.approximated("/stop_reason", "there is no word for why the answer ended");
        ending
    };
    match kind {
        StopKind::End | StopKind::StopSequence | StopKind::ToolCalls => Ending::completed(),
        StopKind::MaxTokens => Ending::incomplete(MAX_TOKENS),
        StopKind::ContentFilter => Ending::incomplete(FILTER),
        StopKind::Refusal => near(Ending::incomplete(FILTER)),
        StopKind::ContextWindow => near(Ending::incomplete(MAX_TOKENS)),
        StopKind::Pause | StopKind::Malformed | StopKind::Other => near(Ending::completed()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stop(kind: StopKind) -> StopReason {
        StopReason {
            kind,
            raw: "x".to_owned(),
            sequence: None,
        }
    }

    #[test]
    fn status_and_details_tell_why_an_answer_ended() {
        let read = |value: Value, calls| {
            let stop = read(&mut Object::lenient(value, ""), calls)?;
            Some((stop.kind, stop.raw))
        };
        let completed = json!({"status": "completed", "incomplete_details": null});
        let of = |kind, raw: &str| Some((kind, raw.to_owned()));
        assert_eq!(
            read(completed.clone(), false),
            of(StopKind::End, "completed")
        );
        let filtered =
            json!({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}});
        assert_eq!(read(filtered, false), of(StopKind::ContentFilter, FILTER));
        let cut =
            json!({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}});
        assert_eq!(read(cut, false), of(StopKind::MaxTokens, MAX_TOKENS));
        assert_eq!(read(json!({"status": "queued"}), false), None);
        assert_eq!(read(completed, true), of(StopKind::ToolCalls, "completed"));
    }

    #[test]
    fn each_meaning_has_a_word_and_those_without_are_reported() {
        let mut losses = Losses::new();
        let write = |kind, losses: &mut Losses| write(stop(kind), false, losses);
        for kind in [StopKind::End, StopKind::StopSequence, StopKind::ToolCalls] {
            assert_eq!(write(kind, &mut losses), Ending::completed());
        }
        assert_eq!(
            write(StopKind::MaxTokens, &mut losses),
            Ending::incomplete(MAX_TOKENS)
        );
        assert_eq!(
            write(StopKind::ContentFilter, &mut losses),
            Ending::incomplete(FILTER)
        );
        assert!(losses.is_empty());
        assert_eq!(write(StopKind::Pause, &mut losses), Ending::completed());
        assert!(!losses.is_empty());
    }
}
