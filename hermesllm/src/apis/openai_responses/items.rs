//! Items: what input and output consist of.
//!
//! | item | becomes |
//! | --- | --- |
//! | `message` | the parts of its content |
//! | `reasoning` | [`Reasoning`](PartKind::Reasoning); a further piece of `content` one more |
//! | `function_call`, `custom_tool_call` | [`ToolCall`](PartKind::ToolCall) |
//! | `function_call_output`, `custom_tool_call_output` | [`ToolResult`](PartKind::ToolResult) |
//! | any other | [`Other`](PartKind::Other), whole |
//!
//! Where an item was read tells what its parts belonged to: a text at `/input/3/content` was the
//! whole content, texts at `/input/3/content/0` and `/input/3/content/1` are of one message.

mod read;
mod write;

pub(super) use read::{read, Who};
pub(super) use write::{Mode, Writer};

#[cfg(doc)]
use crate::representation::PartKind;

/// What stands before the signature of another provider's reasoning, in the one place that comes
/// back as it was: `encrypted_content`.
const SIGNED: &str = "meseta.signature:";

/// The signature that stands in the place of encrypted reasoning.
pub(super) fn signature_of(secret: &str) -> Option<&str> {
    secret.strip_prefix(SIGNED)
}

/// What stands in the place of encrypted reasoning for a signature.
pub(super) fn signed(signature: &str) -> String {
    format!("{SIGNED}{signature}")
}

/// Where the item of a part is.
fn item_of(at: &str) -> &str {
    if let Some(item) = at.strip_suffix("/content") {
        return item;
    }
    let of_list = |(list, _): (&'_ str, &'_ str)| list.strip_suffix("/content").map(str::len);
    match at.rsplit_once('/').and_then(of_list) {
        Some(length) => at.get(..length).unwrap_or(at),
        None => at,
    }
}

/// Items of the API that hold something a model or provider did, and that no other API has.
pub(super) fn is_own(kind: &str) -> bool {
    matches!(
        kind,
        "web_search_call"
            | "file_search_call"
            | "computer_call"
            | "computer_call_output"
            | "code_interpreter_call"
            | "image_generation_call"
            | "local_shell_call"
            | "local_shell_call_output"
            | "shell_call"
            | "shell_call_output"
            | "apply_patch_call"
            | "apply_patch_call_output"
            | "mcp_call"
            | "mcp_list_tools"
            | "mcp_approval_request"
            | "mcp_approval_response"
            | "tool_search_call"
            | "tool_search_output"
            | "additional_tools"
            | "program"
            | "program_output"
            | "compaction"
            | "message"
            | "function_call"
            | "function_call_output"
            | "custom_tool_call_output"
            | "reasoning"
    )
}

#[cfg(test)]
mod tests;
