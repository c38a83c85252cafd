//! Chat, version 2 (Cohere).
