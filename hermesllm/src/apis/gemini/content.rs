//! Reading parts.

use serde_json::{json, Value};

use super::members::{Members, Reading};
use crate::apis::ReadError;
use crate::representation::{
    At, Blob, Extension, Part, PartKind, Pointer, Reasoning, ToolCall, ToolResult,
};

/// Members of a part that say what it is. What is not understood further is kept whole.
pub(super) const KINDS: [&str; 9] = [
    "text",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
    "toolCall",
    "toolResponse",
];

/// Where the Gemini API has files that were uploaded to it.
const OWN_FILES: [&str; 2] = ["https://generativelanguage.googleapis.com/", "files/"];

/// Reads parts.
pub(super) fn read(parts: Vec<At<Value>>, reading: Reading) -> Result<Vec<Part>, ReadError> {
    parts.into_iter().map(|part| one(part, reading)).collect()
}

fn one(part: At<Value>, reading: Reading) -> Result<Part, ReadError> {
    let At { value, at } = part;
    if reading == Reading::Lenient && !value.is_object() {
        return Ok(other("", value, at));
    }
    let mut part = Members::new(value, at.clone(), reading)?;
    let mut kinds = KINDS.into_iter().filter(|kind| part.has(kind));
    let kind = match (kinds.next(), kinds.next()) {
        (Some(kind), None) => kind,
        // A signature alone: it comes with nothing, or with an empty text.
        (None, _) if part.has("thoughtSignature") => "text",
        _ => return Ok(unknown(part, at)),
    };
    let read = match kind {
        "text" => text(&mut part)?,
        "inlineData" => inline(&mut part, reading)?,
        "fileData" => file(&mut part, reading)?,
        "functionCall" => call(&mut part)?,
        "functionResponse" => result(&mut part, reading)?,
        _ => None,
    };
    let Some((kind, mut extensions)) = read else {
        return Ok(unknown(part, at));
    };
    if part.peek("thought") == Some(&Value::Bool(false)) {
        part.take("thought");
    }
    let signature = part.text("thoughtSignature")?.map(|own| own.value);
    let (kind, signature) = match kind {
        PartKind::Reasoning(own) => {
            let own = Reasoning { signature, ..own };
            (PartKind::Reasoning(own), None)
        }
        kind => (kind, signature),
    };
    extensions.extend(part.rest());
    Ok(Part {
        kind,
        cache: None,
        signature,
        at,
        extensions,
    })
}

type Read = Result<Option<(PartKind, Vec<Extension>)>, ReadError>;

fn other(kind: &str, value: Value, at: Pointer) -> Part {
    let kind = PartKind::Other {
        kind: kind.to_owned(),
        value,
    };
    Part::new(kind, at)
}

/// A part that is kept whole.
fn unknown(part: Members, at: Pointer) -> Part {
    let known = KINDS.into_iter().find(|kind| part.has(kind));
    let members = part.rest();
    let first = members
        .iter()
        .map(|member| member.name.as_str())
        .find(|name| !name.starts_with("thought"));
    let kind = known.or(first).unwrap_or_default().to_owned();
    let members = members.into_iter().map(|own| (own.name, own.value));
    other(&kind, Value::Object(members.collect()), at)
}

fn text(part: &mut Members) -> Read {
    let Some(text) = part.text("text")? else {
        // Lenient: a text that is none stays.
        if part.has("text") {
            return Ok(None);
        }
        return Ok(Some((Part::text("", "").kind, Vec::new())));
    };
    if part.peek("thought") == Some(&Value::Bool(true)) {
        part.take("thought");
        let own = Reasoning {
            text: text.value,
            ..Reasoning::default()
        };
        return Ok(Some((PartKind::Reasoning(own), Vec::new())));
    }
    Ok(Some((Part::text(text.value, "").kind, Vec::new())))
}

fn inline(part: &mut Members, reading: Reading) -> Read {
    if reading == Reading::Lenient && !has_text(part.peek("inlineData"), &["data"]) {
        return Ok(None);
    }
    let Some(mut own) = part.object("inlineData")? else {
        return Ok(None);
    };
    let Some(data) = own.text("data")? else {
        return Err(own.missing("data"));
    };
    let media_type = own.text("mimeType")?.map(|own| own.value);
    let title = title(&mut own, media_type.as_deref())?;
    let source = Blob::Base64 {
        media_type: media_type.clone().unwrap_or_default(),
        data: data.value,
    };
    let kind = medium(source, media_type.as_deref(), title);
    Ok(Some((kind, own.rest())))
}

/// Whether an object has a text under one of these names.
fn has_text(own: Option<&Value>, names: &[&str]) -> bool {
    let text = |name: &&str| {
        own.and_then(|own| own.get(name))
            .is_some_and(Value::is_string)
    };
    names.iter().any(text)
}

fn file(part: &mut Members, reading: Reading) -> Read {
    let names = ["fileUri", "file_uri"];
    if reading == Reading::Lenient && !has_text(part.peek("fileData"), &names) {
        return Ok(None);
    }
    let Some(mut own) = part.object("fileData")? else {
        return Ok(None);
    };
    let Some(uri) = own.text("fileUri")? else {
        return Err(own.missing("fileUri"));
    };
    let uri = uri.value;
    let media_type = own.text("mimeType")?.map(|own| own.value);
    let likely = media_type.clone().or_else(|| type_of_address(&uri));
    let title = title(&mut own, likely.as_deref())?;
    let source = if OWN_FILES.iter().any(|start| uri.starts_with(start)) {
        Blob::File {
            id: uri,
            media_type,
        }
    } else {
        Blob::Url {
            url: uri,
            media_type,
        }
    };
    Ok(Some((medium(source, likely.as_deref(), title), own.rest())))
}

/// The name of a document; of other media it is a member without a field.
fn title(own: &mut Members, media_type: Option<&str>) -> Result<Option<String>, ReadError> {
    if !is_document(media_type) {
        return Ok(None);
    }
    Ok(own.text("displayName")?.map(|name| name.value))
}

fn is_document(media_type: Option<&str>) -> bool {
    let media_type = media_type.unwrap_or_default();
    let media = ["image/", "audio/", "video/"];
    !media.iter().any(|start| media_type.starts_with(start))
}

fn medium(source: Blob, media_type: Option<&str>, title: Option<String>) -> PartKind {
    let media_type = media_type.unwrap_or_default();
    match media_type.split('/').next() {
        Some("image") => PartKind::Image {
            source,
            detail: None,
        },
        Some("audio") => PartKind::Audio {
            source,
            transcript: None,
        },
        Some("video") => PartKind::Video(source),
        _ => PartKind::Document {
            source,
            title,
            context: None,
            citations: None,
        },
    }
}

/// The MIME type that an address tells.
pub(super) fn type_of_address(address: &str) -> Option<String> {
    let video = ["https://www.youtube.com/", "https://youtu.be/"];
    if video.iter().any(|start| address.starts_with(start)) {
        return Some("video/mp4".to_owned());
    }
    let path = address.split(['?', '#']).next().unwrap_or_default();
    let name = path.rsplit('/').next().unwrap_or_default();
    let (_, end) = name.rsplit_once('.')?;
    let media_type = match end.to_ascii_lowercase().as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "heic" => "image/heic",
        "heif" => "image/heif",
        "mp3" => "audio/mp3",
        "wav" => "audio/wav",
        "ogg" => "audio/ogg",
        "flac" => "audio/flac",
        "aac" => "audio/aac",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        "mov" => "video/mov",
        "mpeg" | "mpg" => "video/mpeg",
        "pdf" => "application/pdf",
        "txt" => "text/plain",
        "html" | "htm" => "text/html",
        "csv" => "text/csv",
        "md" => "text/markdown",
        _ => return None,
    };
    Some(media_type.to_owned())
}

fn call(part: &mut Members) -> Read {
    let is_piece = |own: &Value| {
        let has = |key: &str| own.get(key).is_some_and(|value| !value.is_null());
        has("partialArgs") || has("partial_args")
    };
    if part.peek("functionCall").is_some_and(is_piece) {
        return Ok(None);
    }
    let Some(mut own) = part.object("functionCall")? else {
        return Ok(None);
    };
    let id = own.text("id")?.map(|id| id.value).unwrap_or_default();
    let name = own.text("name")?.map(|name| name.value).unwrap_or_default();
    let args = own.map("args")?.map(|args| args.value).unwrap_or_default();
    let call = ToolCall {
        id,
        name,
        arguments: Value::Object(args).to_string(),
        custom: false,
        by_provider: false,
    };
    Ok(Some((PartKind::ToolCall(call), own.rest())))
}

fn result(part: &mut Members, reading: Reading) -> Read {
    let Some(mut own) = part.object("functionResponse")? else {
        return Ok(None);
    };
    let call_id = own.text("id")?.map(|id| id.value).unwrap_or_default();
    let name = own.text("name")?.map(|name| name.value);
    let at = own.pointer("response");
    let mut parts = Vec::new();
    let mut structured = None;
    let mut is_error = false;
    if let Some(response) = own.map("response")? {
        let mut response = response.value;
        is_error = response.contains_key("error");
        let only = match response.len() {
            1 => response.shift_remove(if is_error { "error" } else { "output" }),
            _ => None,
        };
        match only {
            Some(Value::String(text)) => {
                let key = if is_error { "error" } else { "output" };
                parts.push(Part::text(text, format!("{at}/{key}")));
            }
            // An object would not be told from a response that has no member of this name.
            Some(Value::Object(object)) => {
                let key = if is_error { "error" } else { "output" };
                structured = Some(json!({ key: object }));
            }
            Some(value) if is_error => structured = Some(json!({ "error": value })),
            Some(value) => structured = Some(value),
            None => structured = Some(Value::Object(response)),
        }
    }
    if let Some(list) = own.many("parts")? {
        parts.extend(read(list, reading)?);
    }
    let result = ToolResult {
        call_id,
        name,
        parts,
        structured,
        is_error,
        custom: false,
    };
    Ok(Some((PartKind::ToolResult(result), own.rest())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(value: Value) -> Part {
        one(At::new(value, "/p"), Reading::Strict).unwrap()
    }

    #[test]
    fn a_text_is_a_thought_if_it_says_so_and_has_its_signature() {
        let own = part(json!({"text": "a", "thought": true, "thoughtSignature": "s"}));
        let expected = Reasoning {
            text: "a".to_owned(),
            signature: Some("s".to_owned()),
            ..Reasoning::default()
        };
        assert_eq!(own.kind, PartKind::Reasoning(expected));
        let own = part(json!({"text": "a", "thought": false, "thought_signature": "s"}));
        assert_eq!(own.kind, Part::text("a", "").kind);
        assert_eq!(own.signature.as_deref(), Some("s"));
        assert!(own.extensions.is_empty());
    }

    #[test]
    fn media_are_told_apart_by_their_type_and_files_by_their_address() {
        let image = part(json!({"inline_data": {"mime_type": "image/png", "data": "AA=="}}));
        assert!(matches!(image.kind, PartKind::Image { .. }));
        let own = "https://generativelanguage.googleapis.com/v1beta/files/x";
        let file = part(json!({"fileData": {"fileUri": own, "mimeType": "application/pdf"}}));
        let PartKind::Document { source, .. } = file.kind else {
            panic!("no document")
        };
        assert!(matches!(source, Blob::File { .. }));
        let film = part(json!({"fileData": {"fileUri": "https://youtu.be/x"},
            "videoMetadata": {"fps": 1}}));
        assert!(matches!(film.kind, PartKind::Video(Blob::Url { .. })));
        assert_eq!(film.extensions[0].at, "/p/videoMetadata");
    }

    #[test]
    fn a_result_is_text_where_it_is_nothing_else() {
        let result = |response: Value| {
            let own = part(json!({"functionResponse": {"name": "f", "response": response}}));
            match own.kind {
                PartKind::ToolResult(result) => result,
                other => panic!("{other:?}"),
            }
        };
        let own = result(json!({"output": "x"}));
        assert_eq!(
            own.parts,
            [Part::text("x", "/p/functionResponse/response/output")]
        );
        assert_eq!((own.structured, own.is_error), (None, false));
        let own = result(json!({"error": "x"}));
        assert_eq!(own.parts.len(), 1);
        assert!(own.is_error);
        for whole in [
            json!({"result": "x"}),
            json!({"output": {"a": 1}}),
            json!({"error": 1, "b": 2}),
            json!({"error": {"a": 1}}),
            json!({}),
        ] {
            assert_eq!(result(whole.clone()).structured, Some(whole));
        }
        assert_eq!(result(json!({"output": [1]})).structured, Some(json!([1])));
    }

    #[test]
    fn what_is_not_known_is_kept_whole() {
        for (value, name) in [
            (
                json!({"executableCode": {"code": "1"}, "thoughtSignature": "s"}),
                "executableCode",
            ),
            (json!({"newThing": 1}), "newThing"),
            (json!({"text": "a", "inlineData": {}}), "text"),
            (json!({}), ""),
            (
                json!({"functionCall": {"partialArgs": [{}]}}),
                "functionCall",
            ),
        ] {
            let expected = PartKind::Other {
                kind: name.to_owned(),
                value: value.clone(),
            };
            assert_eq!(part(value).kind, expected);
        }
    }

    #[test]
    fn a_call_keeps_the_order_of_its_arguments() {
        let own = part(json!({"function_call": {"name": "f", "args": {"z": 1, "a": {}}}}));
        let PartKind::ToolCall(call) = own.kind else {
            panic!("no call")
        };
        assert_eq!(call.arguments, r#"{"z":1,"a":{}}"#);
    }
}
