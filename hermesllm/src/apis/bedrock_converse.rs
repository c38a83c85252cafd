//! Converse and ConverseStream (Amazon Bedrock).
//!
//! Facts: the service's model (`bedrock-runtime`, 2023-09-30), the user guide where the model says
//! nothing (names of documents, order of roles, `toolConfig` wherever tools were called), and recorded
//! traffic, which is the judge. Streams are frames of AWS ([`frames`]), not Server-Sent Events.
//!
//! The model and whether the answer is streamed are in the path, the answer's identifier is in a
//! header: bodies have none of them.
//!
//! # Read and written back
//!
//! What is read from this API is written back to it JSON-equal but for these normalisations:
//!
//! | read | written |
//! | --- | --- |
//! | a member that is `null` | nothing |
//! | an empty `system`, `inferenceConfig`, `stopSequences`, `toolConfig`, `tools`, `outputConfig`, `additionalModelRequestFields`, `cacheDetails`, `serverToolUsage` | nothing |
//! | `status: success` of a tool result | nothing, the default |
//! | `type: tool_use` of a call | nothing, the default |
//! | a call without `input` | `input: {}` |
//! | a tool without `inputSchema` | the schema of no arguments |
//! | `citationsContent` in several pieces | in one |
//! | `citationsContent` without citations | `text` |
//! | the text of a schema | the same schema without spaces |
//! | sound in the formats `mpeg` and `mpga` | `mp3`, which they are |
//! | a document of text without a format | `txt` |
//! | `cacheReadInputTokenCount`, `cacheWriteInputTokenCount` | nothing: the same figures are in `…InputTokens` |
//! | the padding `p` of a stream's events | nothing |
//! | an error's type in a header | `__type` in the body |
//!
//! Members that the representation has no field for come back to where they were read;
//! blocks that are not understood in full are kept whole. `cachePoint` is a hint on the block before
//! it. `guardContent` is its content, with an extension that says so. `redactedContent` is read out
//! of its base64, so that other APIs of the same model have it in their own form.
//!
//! # Written from other APIs
//!
//! | from | becomes |
//! | --- | --- |
//! | system and developer turns that lead | `system` |
//! | those that come later | turns of the user (approximated: few models take `role: system` here) |
//! | consecutive turns of one role | one message, tool results first |
//! | a conversation that the model begins | begins with a message of the user that says "Continue." |
//! | empty texts | nothing |
//! | a call without an identifier | `call_0`, `call_1` … by its place; a result without one answers the oldest open call of its name |
//! | an identifier that is too long or has other characters than `[a-zA-Z0-9_.:-]` | its beginning and a checksum |
//! | arguments that are no JSON object | `{"arguments": "…"}`; in streams as they are |
//! | free text of a custom tool | `{"input": "…"}`, and a tool with that argument |
//! | the name of a document | letters, digits, single spaces, `-()[]`; without one `document 1`, `document 2` … by its place |
//! | pictures, films and documents at an address | nothing unless it is one of S3 |
//! | cache hints inside of a tool result | a cache point after it |
//! | the tool choice "none" | no tools, where none were called; else nothing |
//! | a choice among some tools | these tools alone |
//! | a conversation with calls and without tools | tools of the names that were called |
//! | `top_k`, thinking | `additionalModelRequestFields` in the words of the model's family |
//! | thoughts without a signature | nothing in requests (they cannot be replayed) |
//! | citations | nothing in requests (models take back their own); address, title and cited text in answers |
//! | an answer that does not tell why it ended | `tool_use` if it calls tools, else `end_turn` (approximated) |
//! | an error | the type of its status (`__type`); in streams one of the five exceptions of ConverseStream |
//!
//! Not reported, for they say nothing to a model or a client: identifiers, model and date of an
//! answer, identifiers of thoughts, names of tools in results, `store: false`, `n: 1`, parallel calls
//! that are allowed, asking for usage or for encrypted thoughts (both come always).

mod blob;
mod blocks;
mod content;
mod errors;
mod extra;
pub mod frames;
mod ids;
mod media;
mod place;
pub mod request;
pub mod response;
pub mod stream;
mod tools;
mod usage;

pub(crate) use errors::type_of;

use super::SupportedUpstreamAPIs;

/// The API of this codec.
const API: SupportedUpstreamAPIs = SupportedUpstreamAPIs::BedrockConverse;
