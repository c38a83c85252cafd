//! OpenAI's embeddings, and what others add.

use serde_json::{json, Map, Value};

use super::{
    own, refused, value, At, Embedding, EmbeddingRequest, EmbeddingResponse, Encoding, Input,
    Truncate, Usage, Vector,
};
use crate::apis::object::{items, put, put_extensions, wrong, Object};
use crate::apis::{ReadError, SupportedUpstreamAPIs as Api};
use crate::representation::{Extension, Losses};

/// How members of `usage` are named among the extensions.
const USAGE: &str = "usage/";

/// Reads a request.
pub(super) fn read_request(body: Value) -> Result<EmbeddingRequest, ReadError> {
    let mut object = Object::strict(body, "")?;
    let (inputs, lone) = match object.take("input") {
        Some(found) => inputs(found)?,
        None => return Err(object.missing("input")),
    };
    let word = object.peek_text("encoding_format");
    let encoding = word.and_then(Encoding::named);
    let encoding = encoding.and_then(|own| Some(At::new(own, object.take("encoding_format")?.at)));
    // Voyage's.
    let truncate = object.flag("truncation")?.map(|flag| {
        let truncate = if flag.value {
            Truncate::End
        } else {
            Truncate::Never
        };
        At::new(truncate, flag.at)
    });
    // One that is no number of dimensions is the provider's to refuse.
    let mut dimensions = None;
    for key in ["dimensions", "output_dimension"] {
        if dimensions.is_none() && object.peek(key).is_some_and(Value::is_u64) {
            dimensions = object.whole(key)?;
        }
    }
    Ok(EmbeddingRequest {
        api: Some(Api::OpenAiEmbeddings),
        model: object.text("model")?.map(|m| m.value).unwrap_or_default(),
        inputs,
        lone,
        dimensions,
        encoding,
        input_type: object.text("input_type")?,
        truncate,
        user: object.text("user")?,
        extensions: object.rest(),
    })
}

fn inputs(found: At<Value>) -> Result<(Vec<At<Input>>, bool), ReadError> {
    let At { value, at } = found;
    let list = match value {
        Value::String(text) => return Ok((vec![At::new(Input::Text(text), at)], true)),
        Value::Array(list) => list,
        _ => return Err(wrong(at, "must be a text or a list")),
    };
    // One text, as tokens.
    if !list.is_empty() && list.iter().all(Value::is_u64) {
        return Ok((vec![At::new(Input::Tokens(list.into()), at)], true));
    }
    let input = |item: At<Value>| {
        let input = match item.value {
            Value::String(text) => Input::Text(text),
            Value::Array(tokens) if tokens.iter().all(Value::is_u64) => {
                Input::Tokens(tokens.into())
            }
            other @ Value::Object(_) => Input::Mixed(other),
            _ => return Err(wrong(item.at, "must be a text or a list of tokens")),
        };
        Ok(At::new(input, item.at))
    };
    let inputs: Result<Vec<_>, _> = items(list, &at).into_iter().map(input).collect();
    Ok((inputs?, false))
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
        lone,
        dimensions,
        encoding,
        input_type,
        truncate,
        user,
        extensions,
    } = request;
    let same = api == Some(Api::OpenAiEmbeddings);
    let mut body = Map::new();
    if !model.is_empty() {
        body.insert("model".to_owned(), model.into());
    }
    let inputs: Result<Vec<Value>, ReadError> = inputs
        .into_iter()
        .map(|input| write_input(input, same, losses))
        .collect();
    let mut inputs = inputs?;
    let input = match inputs.pop() {
        Some(only) if lone && inputs.is_empty() => only,
        last => {
            inputs.extend(last);
            inputs.into()
        }
    };
    body.insert("input".to_owned(), input);
    if let Some(At { value, at }) = dimensions {
        let name = if same && at == "/output_dimension" {
            "output_dimension"
        } else {
            "dimensions"
        };
        body.insert(name.to_owned(), value.into());
    }
    put(
        &mut body,
        "encoding_format",
        value(encoding).map(Encoding::as_str),
    );
    if same {
        put(&mut body, "input_type", value(input_type));
        let truncates = value(truncate).map(|truncate| truncate != Truncate::Never);
        put(&mut body, "truncation", truncates);
    } else {
        let reason = "this API does not ask what vectors are for";
        losses.dropped_setting(input_type, reason);
        // Too long an input is an error here.
        let truncate = truncate.filter(|truncate| truncate.value != Truncate::Never);
        losses.dropped_setting(truncate, "this API does not cut inputs");
    }
    put(&mut body, "user", value(user));
    put_extensions(&mut body, extensions, same, &[], losses);
    Ok(body.into())
}

fn write_input(input: At<Input>, same: bool, losses: &mut Losses) -> Result<Value, ReadError> {
    let At { value, at } = input;
    match value {
        Input::Text(text) => Ok(text.into()),
        Input::Tokens(tokens) => Ok(tokens),
        Input::Mixed(whole) if same => Ok(whole),
        Input::Mixed(whole) => {
            let text = super::cohere::plain(&whole).ok_or_else(|| refused(at.clone()))?;
            losses.approximated(at, "texts that give one vector become one text");
            Ok(text.into())
        }
        Input::Image(_) => Err(refused(at)),
    }
}

/// Reads an answer.
pub(super) fn read_response(body: Value) -> EmbeddingResponse {
    let mut object = Object::lenient(body, "");
    if object.peek_text("object") == Some("list") {
        object.take("object");
    }
    let text = |object: &mut Object, key: &str| {
        let text = object.text(key).ok().flatten();
        text.map(|text| text.value).unwrap_or_default()
    };
    let mut answer = EmbeddingResponse {
        api: Some(Api::OpenAiEmbeddings),
        id: text(&mut object, "id"),
        model: text(&mut object, "model"),
        ..EmbeddingResponse::default()
    };
    for item in object.list("data").ok().flatten().unwrap_or_default() {
        answer.vectors.push(vector(item));
    }
    // They are in the order of the inputs, but the number counts.
    let number = |own: &Embedding| {
        let index = own.extensions.iter().find(|own| own.name == "index");
        index.and_then(|index| index.value.as_u64())
    };
    if answer.vectors.iter().all(|own| number(own).is_some()) {
        answer.vectors.sort_by_key(number);
    }
    if let Ok(Some(mut usage)) = object.object("usage") {
        let mut whole = |key: &str| usage.whole(key).ok().flatten().map(|count| count.value);
        answer.usage = Usage {
            input: whole("prompt_tokens"),
            total: whole("total_tokens"),
            image: None,
        };
        let rest = usage.rest().into_iter();
        answer.extensions.extend(rest.map(|extension| Extension {
            name: format!("{USAGE}{}", extension.name),
            ..extension
        }));
    }
    answer.extensions.extend(object.rest());
    answer
}

fn vector(item: At<Value>) -> Embedding {
    let mut object = Object::lenient(item.value, item.at);
    let whole = object.take("embedding").map(|found| found.value);
    let vector = match whole.unwrap_or_default() {
        Value::String(text) => Vector::Base64(text),
        Value::Array(list) => floats(list),
        other => Vector::Other(other),
    };
    // Bookkeeping, both of them.
    let kind = object.take("object").map(|kind| own("object", kind.value));
    let index = object.take("index").map(|index| own("index", index.value));
    let mut extensions = object.rest();
    extensions.extend(index);
    extensions.extend(kind);
    Embedding { vector, extensions }
}

/// A list of numbers.
pub(super) fn floats(list: Vec<Value>) -> Vector {
    let is_numbers = list.iter().all(Value::is_number);
    if !is_numbers {
        return Vector::Other(list.into());
    }
    let numbers = list.into_iter().filter_map(|item| match item {
        Value::Number(number) => Some(number),
        _ => None,
    });
    Vector::Floats(numbers.collect())
}

/// Writes an answer, its vectors as they are.
pub(super) fn write_response(answer: EmbeddingResponse, losses: &mut Losses) -> Value {
    let EmbeddingResponse {
        api,
        id,
        model,
        mut vectors,
        mut others,
        usage,
        extensions,
    } = answer;
    let same = api == Some(Api::OpenAiEmbeddings);
    if vectors.is_empty() {
        vectors = instead(&mut others, losses);
    }
    for kind in others.keys() {
        let at = format!("/embeddings/{kind}");
        losses.dropped(at, "this API has vectors of one type");
    }
    let mut body = Map::new();
    if !id.is_empty() {
        body.insert("id".to_owned(), id.into());
    }
    body.insert("object".to_owned(), "list".into());
    let vectors = vectors.into_iter().enumerate();
    let data: Vec<Value> = vectors
        .map(|(index, own)| write_vector(index, own, same, losses))
        .collect();
    body.insert("data".to_owned(), data.into());
    if !(same && model.is_empty()) {
        body.insert("model".to_owned(), model.into());
    }
    let Usage {
        input,
        total,
        // Counted in.
        image: _,
    } = usage;
    let mut counts = Map::new();
    // Required by the API.
    let needed = |count: Option<u64>| count.or_else(|| (!same).then_some(0));
    put(&mut counts, "prompt_tokens", needed(input));
    put(
        &mut counts,
        "total_tokens",
        needed(total.or(input.filter(|_| !same))),
    );
    let mut beside = Vec::new();
    for extension in extensions {
        match extension.name.strip_prefix(USAGE) {
            Some(name) if same => {
                counts.insert(name.to_owned(), extension.value);
            }
            _ => beside.push(extension),
        }
    }
    if !counts.is_empty() {
        body.insert("usage".to_owned(), counts.into());
    }
    put_extensions(&mut body, beside, same, &[], losses);
    body.into()
}

/// Vectors of another type, where there are no floats.
fn instead(others: &mut Map<String, Value>, losses: &mut Losses) -> Vec<Embedding> {
    let Some(kind) = others.keys().next().cloned() else {
        return Vec::new();
    };
    let Some(Value::Array(list)) = others.shift_remove(&kind) else {
        return Vec::new();
    };
    let at = format!("/embeddings/{kind}");
    losses.approximated(at, "this API does not say of which type vectors are");
    let vector = |item: Value| Embedding {
        vector: match item {
            Value::Array(list) => floats(list),
            other => Vector::Other(other),
        },
        extensions: Vec::new(),
    };
    list.into_iter().map(vector).collect()
}

fn write_vector(index: usize, own: Embedding, same: bool, losses: &mut Losses) -> Value {
    let Embedding { vector, extensions } = own;
    let value = match vector {
        Vector::Floats(numbers) => numbers.into_iter().map(Value::Number).collect(),
        Vector::Base64(text) => text.into(),
        Vector::Other(other) => other,
    };
    if !same {
        losses.dropped_extensions(extensions);
        return json!({"object": "embedding", "index": index, "embedding": value});
    }
    let mut object = Map::new();
    put(
        &mut object,
        "embedding",
        Some(value).filter(|own| !own.is_null()),
    );
    put_extensions(&mut object, extensions, same, &[], losses);
    object.into()
}
