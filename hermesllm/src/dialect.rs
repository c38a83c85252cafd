//! Whose shapes a client reads.

/// The family of shapes that a client's library understands: error bodies, stream events, lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// OpenAI and all that speak its API.
    OpenAi,
    /// Anthropic.
    Anthropic,
}

impl Dialect {
    /// The name in metadata and configuration: `openai` or `anthropic`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
        }
    }
}
