//! Pictures, files and sound.

use serde_json::{json, Map, Value};

use crate::apis::object::Object;
use crate::apis::ReadError;
use crate::representation::{Blob, Detail, Losses, PartKind};

/// `input_image`. `None`: it names no picture.
pub(super) fn read_image(object: &mut Object) -> Result<Option<PartKind>, ReadError> {
    let source = match object.text("image_url")? {
        Some(url) => url_or_data(url.value),
        None => match object.text("file_id")? {
            Some(id) => file(id.value),
            None => return Ok(None),
        },
    };
    let detail = object.text("detail")?;
    Ok(Some(PartKind::Image {
        source,
        detail: detail.map(|detail| Detail(detail.value)),
    }))
}

/// `input_file`. `None`: it names no file.
pub(super) fn read_file(object: &mut Object) -> Result<Option<PartKind>, ReadError> {
    let source = if let Some(data) = object.text("file_data")? {
        let (media_type, data) = match data_url(&data.value) {
            Some((media_type, data)) => (media_type.to_owned(), data.to_owned()),
            None => (String::new(), data.value),
        };
        Blob::Base64 { media_type, data }
    } else if let Some(url) = object.text("file_url")? {
        Blob::Url {
            url: url.value,
            media_type: None,
        }
    } else if let Some(id) = object.text("file_id")? {
        file(id.value)
    } else {
        return Ok(None);
    };
    Ok(Some(PartKind::Document {
        source,
        title: object.text("filename")?.map(|name| name.value),
        context: None,
        citations: None,
    }))
}

/// `input_audio`. `None`: it holds no sound.
pub(super) fn read_audio(object: &mut Object) -> Result<Option<PartKind>, ReadError> {
    let Some(value) = object.peek("input_audio").and_then(Value::as_object) else {
        return Ok(None);
    };
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    let (Some(data), Some(format), 2) = (text("data"), text("format"), value.len()) else {
        return Ok(None);
    };
    let source = Blob::Base64 {
        media_type: match format {
            "mp3" => "audio/mpeg".to_owned(),
            other => format!("audio/{other}"),
        },
        data: data.to_owned(),
    };
    object.take("input_audio");
    Ok(Some(PartKind::Audio {
        source,
        transcript: None,
    }))
}

fn file(id: String) -> Blob {
    Blob::File {
        id,
        media_type: None,
    }
}

fn url_or_data(url: String) -> Blob {
    match data_url(&url) {
        Some((media_type, data)) => Blob::Base64 {
            media_type: media_type.to_owned(),
            data: data.to_owned(),
        },
        None => Blob::Url {
            url,
            media_type: None,
        },
    }
}

/// MIME type and bytes of a `data:` address in base64.
fn data_url(url: &str) -> Option<(&str, &str)> {
    let (media_type, data) = url.strip_prefix("data:")?.split_once(";base64,")?;
    (!media_type.is_empty()).then_some((media_type, data))
}

fn as_data_url(media_type: &str, data: &str, otherwise: &str) -> String {
    let media_type = match media_type {
        "" => otherwise,
        known => known,
    };
    format!("data:{media_type};base64,{data}")
}

/// Writes `input_image`. `None`: the API has no place for it.
pub(super) fn write_image(source: Blob, detail: Option<Detail>, same: bool) -> Option<Value> {
    let mut object = Map::new();
    object.insert("type".to_owned(), "input_image".into());
    let (key, value) = match source {
        Blob::Base64 { media_type, data } => {
            ("image_url", as_data_url(&media_type, &data, "image/png"))
        }
        Blob::Url { url, media_type: _ } => ("image_url", url),
        Blob::File { id, media_type: _ } => ("file_id", id),
        Blob::Text(_) | Blob::Parts(_) => return None,
    };
    object.insert(key.to_owned(), value.into());
    match detail {
        Some(Detail(detail)) => {
            object.insert("detail".to_owned(), detail.into());
        }
        // The types of the API's clients require it; this is what its absence means.
        None if !same => {
            object.insert("detail".to_owned(), "auto".into());
        }
        None => {}
    }
    Some(Value::Object(object))
}

/// Writes `input_file`. `None`: the source is no file.
pub(super) fn write_file(source: Blob, title: Option<String>, same: bool) -> Option<Value> {
    let mut object = Map::new();
    object.insert("type".to_owned(), "input_file".into());
    let title = match &source {
        // A file that is given as bytes needs a name.
        Blob::Base64 { media_type, .. } if !same => title.or_else(|| {
            let ending = match media_type.as_str() {
                "application/pdf" => ".pdf",
                "text/plain" => ".txt",
                _ => "",
            };
            Some(format!("document{ending}"))
        }),
        _ => title,
    };
    if let Some(title) = title {
        object.insert("filename".to_owned(), title.into());
    }
    let (key, value) = match source {
        Blob::Base64 { media_type, data } if media_type.is_empty() && same => ("file_data", data),
        Blob::Base64 { media_type, data } => {
            let data = as_data_url(&media_type, &data, "application/pdf");
            ("file_data", data)
        }
        Blob::Url { url, media_type: _ } => ("file_url", url),
        Blob::File { id, media_type: _ } => ("file_id", id),
        Blob::Text(_) | Blob::Parts(_) => return None,
    };
    object.insert(key.to_owned(), value.into());
    Some(Value::Object(object))
}

/// Writes `input_audio`. `None`: the API has no place for it.
pub(super) fn write_audio(
    source: Blob,
    transcript: Option<String>,
    at: &str,
    losses: &mut Losses,
) -> Option<Value> {
    let Blob::Base64 { media_type, data } = source else {
        return None;
    };
    if transcript.is_some() {
        losses.dropped(at.to_owned(), "sound has no transcript beside it");
    }
    let format = match media_type.as_str() {
        "audio/mpeg" | "audio/mp3" => "mp3",
        "audio/x-wav" | "audio/wave" | "" => "wav",
        other => other.strip_prefix("audio/").unwrap_or(other),
    };
    Some(json!({"type": "input_audio", "input_audio": {"data": data, "format": format}}))
}
