//! Content: what a turn or an answer consists of.

use serde_json::Value;

use super::{Extension, Pointer};

/// A piece of content.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// What it is.
    pub kind: PartKind,
    /// Everything up to and with this part is worth caching.
    pub cache: Option<CacheHint>,
    /// A signature of the provider's that belongs to this part and has to come back with it
    /// (Gemini's `thoughtSignature`). Reasoning has its own.
    pub signature: Option<String>,
    /// Where it was read.
    pub at: Pointer,
    /// Members without a field.
    pub extensions: Vec<Extension>,
}

impl Part {
    /// A part with nothing beside its content.
    pub fn new(kind: PartKind, at: impl Into<Pointer>) -> Self {
        Self {
            kind,
            cache: None,
            signature: None,
            at: at.into(),
            extensions: Vec::new(),
        }
    }

    /// A text.
    pub fn text(text: impl Into<String>, at: impl Into<Pointer>) -> Self {
        let kind = PartKind::Text {
            text: text.into(),
            citations: Vec::new(),
        };
        Self::new(kind, at)
    }
}

/// Kinds of content.
#[derive(Debug, Clone, PartialEq)]
pub enum PartKind {
    /// Text, with what it rests on.
    Text {
        /// The text.
        text: String,
        /// What it rests on.
        citations: Vec<Citation>,
    },
    /// The model declines, in these words.
    Refusal(String),
    /// A picture.
    Image {
        /// Where it is.
        source: Blob,
        /// How closely to look.
        detail: Option<Detail>,
    },
    /// Sound.
    Audio {
        /// Where it is.
        source: Blob,
        /// What is said in it, where that is known.
        transcript: Option<String>,
    },
    /// Moving pictures.
    Video(Blob),
    /// A document: PDF, text, or pieces of content.
    Document {
        /// Where it is.
        source: Blob,
        /// Its title or file name.
        title: Option<String>,
        /// What is said about it without being cited.
        context: Option<String>,
        /// Whether answers may cite it.
        citations: Option<bool>,
    },
    /// The model calls a tool.
    ToolCall(ToolCall),
    /// What a tool answered.
    ToolResult(ToolResult),
    /// The model thinks.
    Reasoning(Reasoning),
    /// Content that only its own API has (a search result block, a computer call …): whole, as it
    /// was read.
    Other {
        /// The API's own name for it.
        kind: String,
        /// All of it.
        value: Value,
    },
}

/// Where the bytes of an image, sound or document are.
#[derive(Debug, Clone, PartialEq)]
pub enum Blob {
    /// Here, in base64.
    Base64 {
        /// MIME type: `image/png`; empty when the document does not say.
        media_type: String,
        /// The bytes, in base64 as they were written.
        data: String,
    },
    /// At an address.
    Url {
        /// The address.
        url: String,
        /// MIME type, where it is told.
        media_type: Option<String>,
    },
    /// A file that was uploaded to the provider.
    File {
        /// The provider's identifier.
        id: String,
        /// MIME type, where it is told.
        media_type: Option<String>,
    },
    /// Text (documents).
    Text(String),
    /// Pieces of content (documents).
    Parts(Vec<Part>),
}

/// How closely to look at a picture, in OpenAI's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detail(pub String);

/// The model calls a tool.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolCall {
    /// By which the result is found; empty where the API has none (Gemini may not).
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// The arguments as JSON text, as the model wrote them: they may be no valid JSON. Of a custom
    /// tool, its free text.
    pub arguments: String,
    /// Free text instead of JSON (OpenAI's custom tools).
    pub custom: bool,
    /// A tool that the provider runs itself (Anthropic's `server_tool_use`).
    pub by_provider: bool,
}

/// What a tool answered.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolResult {
    /// The call that it answers.
    pub call_id: String,
    /// The tool's name, where the API tells (Gemini does, Anthropic does not). A codec that needs
    /// it and has none looks for the call.
    pub name: Option<String>,
    /// Text, images, documents; `Other` for a structured answer.
    pub parts: Vec<Part>,
    /// A structured answer (Gemini's `response`, Bedrock's `json`), when it is no text.
    pub structured: Option<Value>,
    /// The tool failed.
    pub is_error: bool,
    /// It answers a custom tool (OpenAI).
    pub custom: bool,
}

/// The model thinks.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reasoning {
    /// The provider's identifier of it.
    pub id: Option<String>,
    /// The thoughts.
    pub text: String,
    /// What is told of them instead.
    pub summary: Vec<String>,
    /// The provider's signature: without it the thoughts cannot be replayed.
    pub signature: Option<String>,
    /// Thoughts that only the provider can read: encrypted or redacted.
    pub encrypted: Option<String>,
}

/// What a piece of text rests on.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Citation {
    /// The address of a web page.
    pub url: Option<String>,
    /// The title of page or document.
    pub title: Option<String>,
    /// The text that is cited.
    pub cited_text: Option<String>,
    /// The part of the answer's text that rests on it, in characters: start and end.
    pub span: Option<(u64, u64)>,
    /// All of it, in the words of the API that it was read from.
    pub raw: Option<Value>,
}

/// Content that is worth caching.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CacheHint {
    /// For how long.
    pub ttl: Option<CacheTtl>,
}

/// How long content is cached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheTtl {
    /// Five minutes.
    FiveMinutes,
    /// An hour.
    OneHour,
}

impl CacheTtl {
    /// `5m` or `1h`, as Anthropic and Bedrock write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FiveMinutes => "5m",
            Self::OneHour => "1h",
        }
    }

    /// The time of that name.
    pub fn named(text: &str) -> Option<Self> {
        match text {
            "5m" => Some(Self::FiveMinutes),
            "1h" => Some(Self::OneHour),
            _ => None,
        }
    }
}
