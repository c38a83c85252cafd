//! Cohere's embeddings.

use serde_json::{json, Map, Value};

use super::{
    openai, own, refused, value, At, Embedding, EmbeddingRequest, EmbeddingResponse, Encoding,
    Input, Truncate, Usage, Vector,
};
use crate::apis::object::{put, put_extensions, Object};
use crate::apis::{ReadError, SupportedUpstreamAPIs as Api};
use crate::representation::{Extension, Losses, Setting};

/// How members of `meta` and `meta.billed_units` are named among the extensions.
const META: &str = "meta/";
const BILLED: &str = "meta/billed_units/";

/// Members that clients of the other API may name as this one does.
const KNOWN: [&str; 2] = ["embedding_types", "priority"];

/// Reads a request.
pub(super) fn read_request(body: Value) -> Result<EmbeddingRequest, ReadError> {
    let mut object = Object::strict(body, "")?;
    let mut inputs = Vec::new();
    if let Some(At { value, at }) = object.texts("texts")? {
        let texts = value.into_iter().enumerate();
        inputs
            .extend(texts.map(|(index, text)| At::new(Input::Text(text), format!("{at}/{index}"))));
    }
    if let Some(At { value, at }) = object.texts("images")? {
        let images = value.into_iter().enumerate();
        inputs
            .extend(images.map(|(index, url)| At::new(Input::Image(url), format!("{at}/{index}"))));
    }
    for item in object.list("inputs")?.unwrap_or_default() {
        inputs.push(At::new(Input::Mixed(item.value), item.at));
    }
    Ok(EmbeddingRequest {
        api: Some(Api::CohereEmbed),
        model: object.text("model")?.map(|m| m.value).unwrap_or_default(),
        inputs,
        lone: false,
        dimensions: object.whole("output_dimension")?,
        encoding: encoding(&mut object),
        input_type: object.text("input_type")?,
        truncate: truncate(&mut object),
        user: None,
        extensions: object.rest(),
    })
}

/// The one type that is asked for, if the other API has it; several stay where they are.
fn encoding(object: &mut Object) -> Setting<Encoding> {
    let types = object.peek("embedding_types")?.as_array()?;
    let [only] = types.as_slice() else {
        return None;
    };
    let encoding = Encoding::named(only.as_str()?)?;
    Some(At::new(encoding, object.take("embedding_types")?.at))
}

fn truncate(object: &mut Object) -> Setting<Truncate> {
    let truncate = match object.peek_text("truncate")? {
        "NONE" => Truncate::Never,
        "START" => Truncate::Start,
        "END" => Truncate::End,
        _ => return None,
    };
    Some(At::new(truncate, object.take("truncate")?.at))
}

/// Writes a request.
pub(super) fn write_request(
    request: EmbeddingRequest,
    losses: &mut Losses,
) -> Result<Value, ReadError> {
    let EmbeddingRequest {
        api,
        model,
        inputs,
        // All are lists.
        lone: _,
        dimensions,
        encoding,
        input_type,
        truncate,
        user,
        extensions,
    } = request;
    let same = api == Some(Api::CohereEmbed);
    let mut body = Map::new();
    if !model.is_empty() {
        body.insert("model".to_owned(), model.into());
    }
    write_inputs(&mut body, inputs, same)?;
    match input_type {
        Some(At { value, at: _ }) if same => {
            body.insert("input_type".to_owned(), value.into());
        }
        Some(At { value, at: _ }) => {
            body.insert("input_type".to_owned(), purpose(value).into());
        }
        None if same => {}
        // Required by the API.
        None => {
            body.insert("input_type".to_owned(), "search_document".into());
        }
    }
    put(&mut body, "output_dimension", value(dimensions));
    // Floats are what base64 is made of on the way back.
    let types = match (encoding, same) {
        (Some(encoding), true) => Some(json!([encoding.value.as_str()])),
        (None, true) => None,
        (_, false) => Some(json!([Encoding::Float.as_str()])),
    };
    let truncate = value(truncate).or_else(|| (!same).then_some(Truncate::Never));
    let truncate = truncate.map(|truncate| match truncate {
        Truncate::Never => "NONE",
        Truncate::Start => "START",
        Truncate::End => "END",
    });
    put(&mut body, "truncate", truncate);
    losses.dropped_setting(user, "this API does not ask for the end user");
    put_extensions(&mut body, extensions, same, &KNOWN, losses);
    if let Some(types) = types {
        body.entry("embedding_types").or_insert(types);
    }
    Ok(body.into())
}

fn write_inputs(
    body: &mut Map<String, Value>,
    inputs: Vec<At<Input>>,
    same: bool,
) -> Result<(), ReadError> {
    let (mut texts, mut images, mut mixed) = (Vec::new(), Vec::new(), Vec::new());
    for At { value, at } in inputs {
        match value {
            Input::Text(text) => texts.push(Value::from(text)),
            Input::Image(url) => images.push(Value::from(url)),
            Input::Mixed(whole) if same => mixed.push(whole),
            Input::Mixed(_) | Input::Tokens(_) => return Err(refused(at)),
        }
    }
    for (key, list) in [("texts", texts), ("images", images), ("inputs", mixed)] {
        if !list.is_empty() {
            body.insert(key.to_owned(), list.into());
        }
    }
    Ok(())
}

/// What vectors are for, in this API's words.
fn purpose(word: String) -> String {
    match word.as_str() {
        "query" => "search_query".to_owned(),
        "document" | "passage" => "search_document".to_owned(),
        _ => word,
    }
}

/// The text of an input of several parts; `None` where there is more than text.
pub(super) fn plain(whole: &Value) -> Option<String> {
    let parts = whole.get("content")?.as_array()?;
    let text = |part: &Value| {
        let is_text = part.get("type").is_some_and(|kind| kind == "text");
        let text = part.get("text").filter(|_| is_text)?;
        text.as_str().map(str::to_owned)
    };
    let texts: Option<Vec<String>> = parts.iter().map(text).collect();
    Some(texts?.join("\n"))
}

/// Reads an answer.
pub(super) fn read_response(body: Value) -> EmbeddingResponse {
    let mut object = Object::lenient(body, "");
    let id = object.text("id").ok().flatten();
    let mut answer = EmbeddingResponse {
        api: Some(Api::CohereEmbed),
        id: id.map(|id| id.value).unwrap_or_default(),
        ..EmbeddingResponse::default()
    };
    // An echo of what was asked, and the form of what is answered.
    for key in ["texts", "images", "response_type"] {
        let found = object.take(key).map(|found| own(key, found.value));
        answer.extensions.extend(found);
    }
    if let Ok(Some(At { value, .. })) = object.map("embeddings") {
        answer.others = value;
    }
    for key in ["float", "base64"] {
        if !answer.vectors.is_empty() || !answer.others.get(key).is_some_and(Value::is_array) {
            continue;
        }
        if let Some(Value::Array(list)) = answer.others.shift_remove(key) {
            answer.vectors = list.into_iter().map(vector).collect();
        }
    }
    if let Ok(Some(mut meta)) = object.object("meta") {
        if let Ok(Some(billed)) = meta.object("billed_units") {
            answer.usage = usage(&billed);
            answer.extensions.extend(named(BILLED, billed));
        }
        answer.extensions.extend(named(META, meta));
    }
    answer.extensions.extend(object.rest());
    answer
}

/// Pictures are counted beside the texts.
fn usage(billed: &Object) -> Usage {
    let count = |key: &str| billed.peek(key).and_then(Value::as_u64);
    let (texts, image) = (count("input_tokens"), count("image_tokens"));
    let input = match (texts, image) {
        (None, None) => None,
        (texts, image) => Some(texts.unwrap_or(0).saturating_add(image.unwrap_or(0))),
    };
    Usage {
        input,
        total: None,
        image,
    }
}

/// What is left of `meta`: the provider's bookkeeping, but for its warnings and further counts.
fn named(prefix: &str, object: Object) -> Vec<Extension> {
    let rest = object.rest().into_iter();
    rest.map(|extension| Extension {
        at: match extension.name.as_str() {
            "api_version" | "input_tokens" | "image_tokens" => "".into(),
            _ => extension.at,
        },
        name: format!("{prefix}{}", extension.name),
        ..extension
    })
    .collect()
}

fn vector(item: Value) -> Embedding {
    Embedding {
        vector: match item {
            Value::String(text) => Vector::Base64(text),
            Value::Array(list) => openai::floats(list),
            other => Vector::Other(other),
        },
        extensions: Vec::new(),
    }
}

/// Writes an answer, its vectors as they are.
pub(super) fn write_response(answer: EmbeddingResponse, losses: &mut Losses) -> Value {
    let EmbeddingResponse {
        api,
        id,
        // Answers do not name it.
        model: _,
        vectors,
        others,
        usage,
        extensions,
    } = answer;
    let same = api == Some(Api::CohereEmbed);
    let mut body = Map::new();
    if !(same && id.is_empty()) {
        body.insert("id".to_owned(), id.into());
    }
    let mut by_type = Map::new();
    let is_text = |own: &Embedding| matches!(own.vector, Vector::Base64(_));
    let kind = if vectors.iter().any(is_text) {
        "base64"
    } else {
        "float"
    };
    let mut list = Vec::new();
    for Embedding { vector, extensions } in vectors {
        losses.dropped_extensions(extensions);
        list.push(match vector {
            Vector::Floats(numbers) => numbers.into_iter().map(Value::Number).collect(),
            Vector::Base64(text) => text.into(),
            Vector::Other(other) => other,
        });
    }
    if !list.is_empty() {
        by_type.insert(kind.to_owned(), list.into());
    }
    by_type.extend(others);
    body.insert("embeddings".to_owned(), by_type.into());
    let (mut meta, mut billed) = (Map::new(), Map::new());
    let mut beside = Vec::new();
    for extension in extensions {
        let name = extension.name.as_str();
        let place = match (name.strip_prefix(BILLED), name.strip_prefix(META)) {
            (Some(name), _) if same => Some((&mut billed, name.to_owned())),
            (None, Some(name)) if same => Some((&mut meta, name.to_owned())),
            _ => None,
        };
        match place {
            Some((object, name)) => {
                object.insert(name, extension.value);
            }
            None => beside.push(extension),
        }
    }
    if !same {
        body.insert("response_type".to_owned(), "embeddings_by_type".into());
        let Usage {
            input,
            total: _,
            image,
        } = usage;
        let texts = input.map(|input| input.saturating_sub(image.unwrap_or(0)));
        put(&mut billed, "input_tokens", texts);
        put(&mut billed, "image_tokens", image);
    }
    if !billed.is_empty() {
        meta.insert("billed_units".to_owned(), billed.into());
    }
    if !meta.is_empty() {
        body.insert("meta".to_owned(), meta.into());
    }
    put_extensions(&mut body, beside, same, &[], losses);
    body.into()
}
