//! Turns, and what persons and operators put into them.

use serde_json::{json, Value};

use super::{asking, base64, conversation, list, set, some_part, text, turn};
use crate::apis::SupportedUpstreamAPIs as Api;
use crate::capabilities::probe::Probe;
use crate::representation::{Blob, Detail, Part, PartKind, Request, Role};

const PNG: &str = "iVBORw0KGgo=";
const PDF: &str = "JVBERi0xLjQK";
const TEXT: &str = "All men are mortal.";
const TEXT_IN_BASE64: &str = "QWxsIG1lbiBhcmUgbW9ydGFsLg==";
const WAV: &str = "UklGRiQAAABXQVZF";

pub(super) const PROBES: &[Probe<Request>] = &[
    Probe::new("text", |_| asking(|_| {}), turns),
    Probe::new(
        "several turns",
        |_| {
            conversation([
                turn(Role::User, [text("Hello.")]),
                turn(Role::Assistant, [text("Hello to you.")]),
                turn(Role::User, [text("Bye.")]),
            ])
        },
        turns,
    ),
    Probe::new("system turn", |_| operated(Role::System), turns),
    Probe::new("developer turn", |_| operated(Role::Developer), turns),
    Probe::new(
        "developer turn amid the conversation",
        |_| {
            conversation([
                turn(Role::User, [text("Hello.")]),
                turn(Role::Assistant, [text("Hello to you.")]),
                turn(Role::Developer, [text("Be brief.")]),
                turn(Role::User, [text("Bye.")]),
            ])
        },
        turns,
    ),
    Probe::new(
        "name of the speaker",
        |_| {
            asking(|request| {
                for turn in &mut request.turns {
                    turn.name = set("ada".to_owned());
                }
            })
        },
        |request| {
            let names = request.turns.iter().filter_map(|turn| turn.name.as_ref());
            list(names.map(|name| name.value.clone().into()))
        },
    ),
    Probe::new(
        "image by URL",
        |_| image(url("https://example.com/a.png", "image/png"), None),
        media,
    ),
    Probe::new(
        "image in base64",
        |_| image(base64("image/png", PNG), None),
        media,
    ),
    Probe::new(
        "image by file id",
        |api| image(file(api, "image/png"), None),
        media,
    )
    .native(),
    Probe::new(
        "detail of an image",
        |_| image(base64("image/png", PNG), Some("low")),
        |request| {
            some_part(request, |kind| match kind {
                PartKind::Image {
                    detail: Some(detail),
                    ..
                } => Some(detail.0.clone().into()),
                _ => None,
            })
        },
    ),
    Probe::new(
        "audio in base64",
        |_| {
            showing(PartKind::Audio {
                source: base64("audio/wav", WAV),
                transcript: None,
            })
        },
        media,
    ),
    Probe::new(
        "video by URL",
        |api| {
            let place = match api {
                Api::BedrockConverse => "s3://bucket/a.mp4",
                _ => "https://example.com/a.mp4",
            };
            showing(PartKind::Video(url(place, "video/mp4")))
        },
        media,
    ),
    Probe::new(
        "PDF by URL",
        |_| document(url("https://example.com/a.pdf", "application/pdf"), None),
        media,
    ),
    Probe::new(
        "PDF in base64",
        |_| document(base64("application/pdf", PDF), None),
        media,
    ),
    Probe::new(
        "PDF by file id",
        |api| document(file(api, "application/pdf"), None),
        media,
    )
    .native(),
    Probe::new(
        "document of text",
        |_| document(Blob::Text(TEXT.to_owned()), None),
        media,
    )
    // Text is read as text by any model.
    .implied_by(&[Api::OpenAiChat]),
    Probe::new(
        "title of a document",
        |_| titled(None),
        |request| {
            some_part(request, |kind| match kind {
                PartKind::Document { title, .. } => title.clone().map(Value::from),
                _ => None,
            })
        },
    )
    .native(),
    Probe::new(
        "citations of a document wanted",
        |_| titled(Some(true)),
        |request| {
            some_part(request, |kind| match kind {
                PartKind::Document { citations, .. } => citations.map(Value::from),
                _ => None,
            })
        },
    ),
];

fn operated(role: Role) -> Request {
    conversation([
        turn(role, [text("Be brief.")]),
        turn(Role::User, [text("Hello.")]),
    ])
}

fn showing(kind: PartKind) -> Request {
    conversation([turn(Role::User, [text("What is this?"), kind])])
}

fn image(source: Blob, detail: Option<&str>) -> Request {
    let detail = detail.map(|detail| Detail(detail.to_owned()));
    showing(PartKind::Image { source, detail })
}

fn document(source: Blob, title: Option<&str>) -> Request {
    showing(PartKind::Document {
        source,
        title: title.map(str::to_owned),
        context: None,
        citations: None,
    })
}

fn titled(citations: Option<bool>) -> Request {
    showing(PartKind::Document {
        source: base64("application/pdf", PDF),
        title: Some("Report".to_owned()),
        context: None,
        citations,
    })
}

fn url(url: &str, media_type: &str) -> Blob {
    Blob::Url {
        url: url.to_owned(),
        media_type: Some(media_type.to_owned()),
    }
}

/// A file that was uploaded, as the provider of an API names it.
fn file(api: Api, media_type: &str) -> Blob {
    let id = match api {
        Api::Gemini => "https://generativelanguage.googleapis.com/v1beta/files/abc",
        _ => "file-abc",
    };
    Blob::File {
        id: id.to_owned(),
        media_type: Some(media_type.to_owned()),
    }
}

/// Who says what. Whether the operator is called system or developer makes no difference.
fn turns(request: &Request) -> Value {
    let turns = request.turns.iter().map(|turn| {
        let role = match turn.role {
            Role::System | Role::Developer => "operator",
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        json!([role, words(&turn.parts)])
    });
    list(turns)
}

fn words(parts: &[Part]) -> String {
    let texts = parts.iter().filter_map(|part| match &part.kind {
        PartKind::Text { text, .. } => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}

/// What is shown: its kind and where it is.
fn media(request: &Request) -> Value {
    some_part(request, |kind| {
        Some(match kind {
            PartKind::Image { source, .. } => json!(["image", place(source)]),
            PartKind::Audio { source, .. } => json!(["audio", place(source)]),
            PartKind::Video(source) => json!(["video", place(source)]),
            PartKind::Document { source, .. } => json!(["document", place(source)]),
            _ => return None,
        })
    })
}

/// Where bytes are. Their type is compared where they are here: elsewhere the place tells it.
fn place(source: &Blob) -> Value {
    match source {
        Blob::Base64 { data, .. } if data == TEXT_IN_BASE64 => json!({ "text": TEXT }),
        Blob::Base64 { media_type, data } => json!({"base64": data, "type": media_type}),
        Blob::Url { url, .. } => json!({ "url": url }),
        Blob::File { id, .. } => json!({ "file": id }),
        Blob::Text(text) => json!({ "text": text }),
        Blob::Parts(parts) => json!({"parts": words(parts)}),
    }
}
