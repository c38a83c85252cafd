//! Stop reasons.

use crate::representation::{Losses, Pointer, StopKind, StopReason};

const WORDS: [(&str, StopKind); 7] = [
    ("end_turn", StopKind::End),
    ("stop_sequence", StopKind::StopSequence),
    ("max_tokens", StopKind::MaxTokens),
    ("model_context_window_exceeded", StopKind::ContextWindow),
    ("tool_use", StopKind::ToolCalls),
    ("refusal", StopKind::Refusal),
    ("pause_turn", StopKind::Pause),
];

/// What a word means.
pub(in crate::apis::anthropic_messages) fn read_stop(
    raw: String,
    sequence: Option<String>,
) -> StopReason {
    let known = WORDS.iter().find(|(word, _)| *word == raw);
    StopReason {
        kind: known.map_or(StopKind::Other, |(_, kind)| *kind),
        raw,
        sequence,
    }
}

/// The word for a meaning. `calls`: tools of the client's are called, which some providers do not
/// tell by the reason; clients of this API wait for it.
pub(in crate::apis::anthropic_messages) fn write_stop(
    stop: StopReason,
    calls: bool,
    same: bool,
    losses: &mut Losses,
) -> String {
    let StopReason {
        kind,
        raw,
        // Written beside.
        sequence: _,
    } = stop;
    if same {
        return raw;
    }
    let kind = match kind {
        StopKind::End if calls => StopKind::ToolCalls,
        other => other,
    };
    if let Some((word, _)) = WORDS.iter().find(|(_, known)| *known == kind) {
        return (*word).to_owned();
    }
    let at = Pointer::Borrowed("/choices/0/finish_reason");
    losses.approximated(at, "the other API has another word for why an answer ended");
    match kind {
        StopKind::ContentFilter => "refusal".to_owned(),
        _ if calls => "tool_use".to_owned(),
        _ => "end_turn".to_owned(),
    }
}

/// Whether a word is one of this API's.
pub(in crate::apis::anthropic_messages) fn is_own(word: &str) -> bool {
    WORDS.iter().any(|(own, _)| *own == word) || word == "compaction"
}
