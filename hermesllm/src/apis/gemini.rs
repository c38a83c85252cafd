//! generateContent and streamGenerateContent (Gemini API, Vertex AI).
//!
//! Facts: the discovery document of the Gemini API (`v1beta`), the guides of both services where it
//! says nothing (thought signatures, thinking levels and budgets, `partialArgs`), and recorded traffic,
//! which is the judge.
//!
//! The model and whether the answer is streamed are in the path. Members come in camelCase and in
//! snake_case; a list may come as its only item.
//!
//! # Read and written back
//!
//! What is read from this API is written back to it JSON-equal but for these normalisations:
//!
//! | read | written |
//! | --- | --- |
//! | a member that is `null` | nothing |
//! | members in snake_case that are understood | in camelCase |
//! | a list's only item without the list | a list of one |
//! | an empty `generationConfig`, `stopSequences`, `functionCallingConfig`, tool | nothing |
//! | the role of `systemInstruction` | nothing: it has no meaning |
//! | the role `function`, or none | `user` |
//! | content without parts | with an empty list (requests), without (answers) |
//! | `thought: false`, `responseLogprobs: false`, `logprobs: 0` | nothing, the default |
//! | a signature without a text | with an empty text |
//! | `functionCall` without `args` | `args: {}` |
//! | `functionResponse` without `response` | `response: {}` |
//! | a schema without `responseMimeType` | `application/json` |
//! | words of enumerations in small letters, or their numbers (`mode`, `type`, `thinkingLevel`, `responseModalities`, `finishReason` up to 5) | the word in capitals |
//! | counts in OpenAPI schemas as text (`minItems: "1"`) | as numbers |
//! | `response` of a function without `parameters` | `responseJsonSchema` |
//! | a candidate without `index`, or content without role | `index`, `role: model` |
//! | parts of seconds in `createTime` | whole seconds |
//! | counts of usage that are zero | nothing, as this API has it |
//! | `jsonPath` pieces of a call's arguments | the whole arguments |
//!
//! Members that the representation has no field for come back to where they were read; parts that are
//! not understood in full are kept whole (`executableCode`, `codeExecutionResult`, `toolCall`,
//! `toolResponse`). `parameters` and `responseSchema`, in the form of OpenAPI, are JSON Schema in the
//! representation; the place of tool and format tells that they were OpenAPI. `response: {"output":
//! text}` and `{"error": text}` of a function are its text, any other is a structured answer. What a
//! text rests on (`groundingMetadata`, `citationMetadata`) is both a citation of the text and kept.
//! Numbers of tokens in log probabilities stand beside their texts (`token_id`).
//!
//! Usage: `promptTokenCount` has what was cached, but not what tools brought
//! (`toolUsePromptTokenCount`); `candidatesTokenCount` does not have thoughts (`thoughtsTokenCount`).
//! Chunks report the whole usage so far: one with a total takes the place of those before.
//!
//! # Written from other APIs
//!
//! | from | becomes |
//! | --- | --- |
//! | system and developer turns that lead | `systemInstruction`; without any other turn, the user's (approximated) |
//! | those that come later | turns of the user (approximated) |
//! | consecutive turns of one role | one content, functions' responses first |
//! | empty texts without a signature | nothing |
//! | a result without the function's name | the name of the latest call with that identifier, else the identifier (approximated) |
//! | arguments that are no JSON object | `{"arguments": "…"}` (approximated); none at all `{}` |
//! | free text of a custom tool | `{"input": "…"}`, and a function with that argument (approximated) |
//! | media in results | `parts` of the response; up to 2.5, behind it (approximated) |
//! | thoughts with a signature | a thought with `thoughtSignature`; without one nothing in requests (they cannot be replayed) |
//! | summaries of thoughts | thoughts, which are summaries here |
//! | the first call of a turn without a signature, for models from 3 on | the documented word for calls of other models in its place |
//! | JSON Schema | `parametersJsonSchema`, `responseJsonSchema`, never the OpenAPI subset |
//! | effort | `thinkingLevel`; up to 2.5 `thinkingBudget` (low 1,024, medium 8,192, high 24,576) |
//! | thinking that is switched on | shown (`includeThoughts`) unless it is told otherwise |
//! | a choice among some functions without having to | `VALIDATED` with their names |
//! | a document of text | `text/plain` in base64 |
//! | files of another provider, `metadata`, who the user is, cache hints | nothing (told) |
//! | citations | `groundingMetadata` in answers, nothing in requests (told) |
//! | an answer that does not tell why it ended | `STOP` (approximated) |
//! | an error | the status word of its status |
//!
//! Not reported, for they say nothing to a model or a client: identifiers of thoughts, names of
//! schemas, `store: false`, `n: 1`, parallel calls that are allowed, asking for usage or for encrypted
//! thoughts (both come always).

mod config;
mod content;
mod errors;
mod grounding;
mod logprobs;
mod members;
mod models;
mod parts;
pub mod request;
pub mod response;
mod schema;
pub mod stream;
mod thinking;
mod time;
mod tools;
mod usage;

use super::SupportedUpstreamAPIs;

/// The API of this codec.
const API: SupportedUpstreamAPIs = SupportedUpstreamAPIs::Gemini;
