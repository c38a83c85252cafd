//! Responses (OpenAI).
//!
//! Facts: OpenAI's API description, its documentation, and recorded traffic of OpenAI, Azure, xAI,
//! OpenRouter, DeepSeek, Bedrock, Copilot, ChatGPT, llama.cpp and mistral.rs.
//!
//! A document that is read and written again is the same but for these normalisations:
//!
//! | where | read | written |
//! | --- | --- | --- |
//! | anywhere | a member that is `null` | no member |
//! | request: messages | no `type` | `"type": "message"` |
//! | request | `"stream": false` | no member |
//! | request: `include` | any order | reasoning, log probabilities, the others; none if empty |
//! | request | `top_logprobs` without `include` | with it; no member if zero |
//! | request | `"reasoning": {}`, `"text": {}`, `"tools": []`, `"input": []` | no member |
//! | answer: texts | no `annotations` or `logprobs` | empty lists |
//! | request: texts | empty `annotations` or `logprobs` | no member |
//! | reasoning | no `summary`; an empty `content` | an empty list; no member |
//!
//! What this API requires and others leave out: `store` is `false` (others store only when asked),
//! `strict` of a function is `false` (others are strict only when asked), a function without
//! parameters has an empty schema, a schema without a name is called `response`, a limit below 16
//! output tokens is 16 (reported).
//!
//! A signature of another provider's reasoning goes to clients in `encrypted_content`, marked, and
//! is known again when it comes back.

mod content;
mod items;
mod members;
pub mod request;
pub mod response;
pub mod stream;
mod tools;
mod usage;
