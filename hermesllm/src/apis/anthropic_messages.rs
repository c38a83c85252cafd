//! Messages (Anthropic).
