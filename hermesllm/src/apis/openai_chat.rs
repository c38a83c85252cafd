//! Chat completions (OpenAI).
