//! Responses (OpenAI).
