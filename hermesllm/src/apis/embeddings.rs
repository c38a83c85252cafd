//! Embeddings: texts and pictures as vectors, in OpenAI's API and in Cohere's (`/v2/embed`).
//!
//! Sources: the references of OpenAI and Cohere, and recorded exchanges with some ten providers that
//! speak OpenAI's API. They have little in common with conversations, hence a small representation
//! of their own: [`EmbeddingRequest`] and [`EmbeddingResponse`].
//!
//! | OpenAI | Cohere |
//! | --- | --- |
//! | `input`: a text | `texts`: a list of one |
//! | `input`: tokens | none: refused |
//! | none: refused | `images`, `inputs` with pictures |
//! | `dimensions`, `output_dimension` | `output_dimension` |
//! | `input_type`, of others than OpenAI: `query`, `document` | `input_type`: `search_query`, `search_document`; required, `search_document` where nothing is said |
//! | `truncation`, of others than OpenAI | `truncate`: `END` or `NONE`; where nothing is said `NONE`, since too long an input is an error there |
//! | `encoding_format` | `embedding_types`: floats, which are made base64 on the way back if the client asked for it |
//! | `usage.prompt_tokens`, `usage.total_tokens` | `meta.billed_units`: `input_tokens`, `image_tokens` |
//! | `model`, of an answer | none: what was asked for |
//!
//! An input that the other API cannot take is refused, not left out: the vectors would no longer be
//! those of the inputs. Other types of vectors than floats (`int8` …) are the API's own; to an API
//! that has floats only they go as numbers if there is nothing else, and this is told.
//!
//! Base64 is of the bytes of 32-bit floats, the least significant first. A float is written with the
//! fewest digits that give it back; numbers that are not made base64 stay as they were written.
//!
//! What is read and written again in the same API is as it was, without members that are `null`; an
//! OpenAI answer without `object` gets one.

mod cohere;
mod floats;
mod openai;
pub mod request;
pub mod response;

use serde_json::{Map, Number, Value};

use crate::apis::SupportedUpstreamAPIs as Api;
use crate::representation::{Extension, Setting};

/// What a client asks for.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EmbeddingRequest {
    /// The API that it was read from: its own writer gives everything back.
    pub api: Option<Api>,
    /// The model.
    pub model: String,
    /// What to embed, in order.
    pub inputs: Vec<At<Input>>,
    /// The one input stands for itself, not in a list.
    pub lone: bool,
    /// The length of the vectors.
    pub dimensions: Setting<u64>,
    /// How the vectors are written.
    pub encoding: Setting<Encoding>,
    /// What the vectors are for, in the API's word.
    pub input_type: Setting<String>,
    /// Whether too long an input is cut, and at which end.
    pub truncate: Setting<Truncate>,
    /// Who the end user is, as an opaque identifier.
    pub user: Setting<String>,
    /// Members without a field.
    pub extensions: Vec<Extension>,
}

pub use crate::representation::At;

/// Something to embed.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A text.
    Text(String),
    /// A text, as tokens.
    Tokens(Value),
    /// A picture, as an address that may hold its bytes.
    Image(String),
    /// Texts and pictures that give one vector: all of it, as it was read.
    Mixed(Value),
}

/// How vectors are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// As lists of numbers.
    Float,
    /// As base64 of 32-bit floats.
    Base64,
}

impl Encoding {
    /// The word of OpenAI's API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Float => "float",
            Self::Base64 => "base64",
        }
    }

    /// The encoding of that name.
    pub fn named(word: &str) -> Option<Self> {
        match word {
            "float" => Some(Self::Float),
            "base64" => Some(Self::Base64),
            _ => None,
        }
    }
}

/// What becomes of too long an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truncate {
    /// It is an error.
    Never,
    /// Its beginning is left out.
    Start,
    /// Its end is left out.
    End,
}

/// What a provider answered.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EmbeddingResponse {
    /// The API that it was read from: its own writer gives everything back.
    pub api: Option<Api>,
    /// The provider's identifier of the answer; empty where it gives none.
    pub id: String,
    /// The model that answered; empty where it is not told.
    pub model: String,
    /// The vectors, in the order of the inputs.
    pub vectors: Vec<Embedding>,
    /// Vectors of other types, by type: lists in the order of the inputs.
    pub others: Map<String, Value>,
    /// What it cost.
    pub usage: Usage,
    /// Members without a field.
    pub extensions: Vec<Extension>,
}

/// The vector of one input.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding {
    /// Its numbers.
    pub vector: Vector,
    /// Members without a field.
    pub extensions: Vec<Extension>,
}

/// The numbers of a vector.
#[derive(Debug, Clone, PartialEq)]
pub enum Vector {
    /// As they were written.
    Floats(Vec<Number>),
    /// The bytes of 32-bit floats, in base64.
    Base64(String),
    /// Neither.
    Other(Value),
}

/// What it cost, in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Everything that was read.
    pub input: Option<u64>,
    /// The total, where it is told.
    pub total: Option<u64>,
    /// Part of `input`: pictures.
    pub image: Option<u64>,
}

/// The value of a setting, whose place does not matter any more.
fn value<T>(setting: Setting<T>) -> Option<T> {
    setting.map(|setting| setting.value)
}

/// A member that says nothing to other APIs.
fn own(name: &str, value: Value) -> Extension {
    Extension {
        name: name.to_owned(),
        value,
        at: "".into(),
    }
}

/// That an input cannot be embedded there.
fn refused(at: crate::representation::Pointer) -> crate::apis::ReadError {
    crate::apis::object::wrong(
        at.into_owned(),
        "is an input that the provider's API does not take",
    )
}
