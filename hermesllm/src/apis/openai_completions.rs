//! Completions (OpenAI, legacy).
