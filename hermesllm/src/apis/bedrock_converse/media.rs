//! Pictures, sound, films and documents: Converse's formats and MIME types, and where bytes are.

use serde_json::{json, Map, Value};

use crate::apis::object::Object;
use crate::apis::ReadError;
use crate::representation::{Blob, Extension, Part};

/// Kinds of media. Each has formats of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Medium {
    Image,
    Audio,
    Video,
    Document,
}

/// Formats that Converse documents, with their MIME types. The first of a type is the one that is
/// written for it, the first of a format the one that it is read as.
const IMAGES: &[(&str, &str)] = &[
    ("png", "image/png"),
    ("jpeg", "image/jpeg"),
    ("jpeg", "image/jpg"),
    ("gif", "image/gif"),
    ("webp", "image/webp"),
];
const AUDIO: &[(&str, &str)] = &[
    ("mp3", "audio/mpeg"),
    ("mp3", "audio/mp3"),
    ("mpeg", "audio/mpeg"),
    ("mpga", "audio/mpeg"),
    ("opus", "audio/opus"),
    ("wav", "audio/wav"),
    ("wav", "audio/x-wav"),
    ("wav", "audio/wave"),
    ("aac", "audio/aac"),
    ("x-aac", "audio/x-aac"),
    ("flac", "audio/flac"),
    ("flac", "audio/x-flac"),
    ("mp4", "audio/mp4"),
    ("m4a", "audio/m4a"),
    ("m4a", "audio/x-m4a"),
    ("ogg", "audio/ogg"),
    ("mkv", "audio/x-matroska"),
    ("mka", "audio/mka"),
    ("pcm", "audio/pcm"),
    ("pcm", "audio/l16"),
    ("webm", "audio/webm"),
];
const VIDEOS: &[(&str, &str)] = &[
    ("mkv", "video/x-matroska"),
    ("mov", "video/quicktime"),
    ("mov", "video/mov"),
    ("mp4", "video/mp4"),
    ("webm", "video/webm"),
    ("flv", "video/x-flv"),
    ("mpeg", "video/mpeg"),
    ("mpg", "video/mpg"),
    ("wmv", "video/x-ms-wmv"),
    ("wmv", "video/wmv"),
    ("three_gp", "video/3gpp"),
];
const DOCUMENTS: &[(&str, &str)] = &[
    ("pdf", "application/pdf"),
    ("csv", "text/csv"),
    ("doc", "application/msword"),
    (
        "docx",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ),
    ("xls", "application/vnd.ms-excel"),
    (
        "xlsx",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ),
    ("html", "text/html"),
    ("txt", "text/plain"),
    ("md", "text/markdown"),
];

/// The format of texts, and of the pieces that a document consists of.
const TEXT: &str = "txt";

impl Medium {
    fn formats(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Image => IMAGES,
            Self::Audio => AUDIO,
            Self::Video => VIDEOS,
            Self::Document => DOCUMENTS,
        }
    }

    /// What MIME types of formats that are not in the table begin with.
    fn prefix(self) -> &'static str {
        match self {
            Self::Image => "image/",
            Self::Audio => "audio/",
            Self::Video => "video/",
            Self::Document => "application/",
        }
    }

    /// The MIME type of a format; empty for none.
    pub(super) fn media_type(self, format: &str) -> String {
        let mut known = self.formats().iter();
        match known.find(|(name, _)| *name == format) {
            Some((_, media_type)) => (*media_type).to_owned(),
            None if format.is_empty() => String::new(),
            None => format!("{}{format}", self.prefix()),
        }
    }

    /// The format of a MIME type; `any`: also one that Converse does not document.
    pub(super) fn format(self, media_type: &str, any: bool) -> Option<String> {
        let plain = media_type.split(';').next().unwrap_or_default().trim();
        let mut known = self.formats().iter();
        if let Some((format, _)) = known.find(|(_, name)| name.eq_ignore_ascii_case(plain)) {
            return Some((*format).to_owned());
        }
        media_type
            .strip_prefix(self.prefix())
            .filter(|_| any)
            .map(str::to_owned)
    }

    /// The format of a file with this name.
    fn format_of_name(self, name: &str) -> Option<String> {
        let (_, ending) = name.rsplit_once('.')?;
        let ending = ending.to_ascii_lowercase();
        let ending = match ending.as_str() {
            "jpg" => "jpeg",
            "3gp" => "three_gp",
            "htm" => "html",
            other => other,
        };
        let mut known = self.formats().iter();
        known
            .find(|(format, _)| *format == ending)
            .map(|(format, _)| (*format).to_owned())
    }

    /// The format of bytes in base64 whose kind nobody told, by how they begin.
    fn format_of_data(self, data: &str) -> Option<String> {
        let known = [
            (Self::Image, "iVBORw0KGgo", "png"),
            (Self::Image, "/9j/", "jpeg"),
            (Self::Image, "R0lGOD", "gif"),
            (Self::Image, "UklGR", "webp"),
            (Self::Audio, "UklGR", "wav"),
            (Self::Audio, "SUQz", "mp3"),
            (Self::Document, "JVBERi0", "pdf"),
        ];
        known
            .into_iter()
            .find(|(medium, start, _)| *medium == self && data.starts_with(start))
            .map(|(_, _, format)| format.to_owned())
    }
}

/// Whether a block has its bytes in a place that is understood.
pub(super) fn is_known(block: &Value) -> bool {
    let Some(source) = block.get("source").and_then(Value::as_object) else {
        return false;
    };
    let mut members = source.iter().filter(|(_, value)| !value.is_null());
    let (Some((key, value)), None) = (members.next(), members.next()) else {
        return false;
    };
    match key.as_str() {
        "bytes" | "text" => value.is_string(),
        "s3Location" => value.get("uri").is_some_and(Value::is_string),
        "content" => value.is_array(),
        _ => false,
    }
}

/// Takes format and source out of a block that is [known](is_known).
pub(super) fn read(
    medium: Medium,
    block: &mut Object,
    extensions: &mut Vec<Extension>,
    pieces: impl FnOnce(Vec<crate::representation::At<Value>>) -> Result<Vec<Part>, ReadError>,
) -> Result<Blob, ReadError> {
    let format = block.text("format")?;
    let source = block.object("source")?;
    let Some(mut source) = source else {
        return Err(block.missing("source"));
    };
    let name = format.as_ref().map_or("", |format| &format.value);
    let media_type = medium.media_type(name);
    if let Some(data) = source.text("bytes")? {
        return Ok(Blob::Base64 {
            media_type,
            data: data.value,
        });
    }
    if let Some(mut place) = source.object("s3Location")? {
        let url = place.text("uri")?.map(|uri| uri.value).unwrap_or_default();
        extensions.extend(place.rest());
        return Ok(Blob::Url {
            url,
            media_type: Some(media_type).filter(|name| !name.is_empty()),
        });
    }
    // Texts have no format but their own.
    if let Some(format) = format.filter(|format| format.value != TEXT) {
        extensions.push(Extension {
            name: "format".to_owned(),
            value: Value::String(format.value),
            at: format.at,
        });
    }
    if let Some(text) = source.text("text")? {
        return Ok(Blob::Text(text.value));
    }
    let content = source.list("content")?.unwrap_or_default();
    Ok(Blob::Parts(pieces(content)?))
}

/// Format and source of a block; or why Converse cannot have it.
pub(super) fn write(
    medium: Medium,
    source: Blob,
    same: bool,
    pieces: impl FnOnce(Vec<Part>) -> Vec<Value>,
) -> Result<Map<String, Value>, &'static str> {
    let (format, source) = match source {
        Blob::Base64 { media_type, data } => {
            let format = if media_type.is_empty() {
                medium.format_of_data(&data)
            } else {
                medium.format(&media_type, same)
            };
            (format, json!({ "bytes": data }))
        }
        Blob::Url { url, media_type } if url.starts_with("s3://") || same => {
            let format = match &media_type {
                Some(media_type) => medium.format(media_type, same),
                None => medium.format_of_name(&url),
            };
            (format, json!({"s3Location": {"uri": url}}))
        }
        Blob::Url { .. } => return Err("Converse fetches nothing but S3 objects"),
        Blob::File { .. } => return Err("Converse has no uploaded files"),
        Blob::Text(text) if medium == Medium::Document => {
            (Some(TEXT.to_owned()), json!({ "text": text }))
        }
        Blob::Parts(parts) if medium == Medium::Document => {
            (Some(TEXT.to_owned()), json!({"content": pieces(parts)}))
        }
        Blob::Text(_) | Blob::Parts(_) => return Err("Converse has text in documents alone"),
    };
    let mut block = Map::new();
    match format {
        Some(format) => {
            block.insert("format".to_owned(), Value::String(format));
        }
        None if same || medium == Medium::Document && is_anonymous(&source) => {}
        None => return Err("Converse does not take this format"),
    }
    block.insert("source".to_owned(), source);
    Ok(block)
}

/// Documents of S3 may be of a format that is not told.
fn is_anonymous(source: &Value) -> bool {
    source.get("s3Location").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_format_has_a_mime_type_and_comes_back() {
        for medium in [
            Medium::Image,
            Medium::Audio,
            Medium::Video,
            Medium::Document,
        ] {
            for (format, _) in medium.formats() {
                let media_type = medium.media_type(format);
                // MP3 has three names.
                let expected = match *format {
                    "mpeg" | "mpga" if medium == Medium::Audio => "mp3",
                    other => other,
                };
                assert_eq!(medium.format(&media_type, false).as_deref(), Some(expected));
            }
        }
    }

    #[test]
    fn a_format_that_is_new_comes_back_to_its_own_api_alone() {
        let media_type = Medium::Image.media_type("avif");
        assert_eq!(media_type, "image/avif");
        assert_eq!(Medium::Image.format(&media_type, true).unwrap(), "avif");
        assert_eq!(Medium::Image.format(&media_type, false), None);
    }

    #[test]
    fn mime_types_may_have_parameters_and_capitals() {
        let format = Medium::Document.format("Text/Plain; charset=utf-8", false);
        assert_eq!(format.as_deref(), Some("txt"));
    }

    #[test]
    fn bytes_of_an_untold_kind_are_known_by_how_they_begin() {
        let written = |data: &str| {
            let source = Blob::Base64 {
                media_type: String::new(),
                data: data.to_owned(),
            };
            write(Medium::Image, source, false, |_| Vec::new())
        };
        assert_eq!(
            Value::Object(written("/9j/4AAQ").unwrap()),
            json!({"format": "jpeg", "source": {"bytes": "/9j/4AAQ"}})
        );
        assert_eq!(written("AAAA"), Err("Converse does not take this format"));
    }

    #[test]
    fn addresses_outside_of_s3_are_not_fetched() {
        let at = |url: &str| Blob::Url {
            url: url.to_owned(),
            media_type: None,
        };
        let written = |url| write(Medium::Image, at(url), false, |_| Vec::new());
        assert_eq!(
            Value::Object(written("s3://bucket/kiwi.JPG").unwrap()),
            json!({"format": "jpeg", "source": {"s3Location": {"uri": "s3://bucket/kiwi.JPG"}}})
        );
        assert!(written("https://example.com/kiwi.jpg").is_err());
    }
}
