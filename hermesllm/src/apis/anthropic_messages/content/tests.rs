use serde_json::json;

use super::*;
use crate::representation::Losses;

fn read(block: Value) -> Part {
    read_part(At::new(block, "/b"), false).unwrap()
}

fn writer(same: bool, losses: &mut Losses) -> BlockWriter<'_> {
    BlockWriter {
        scope: Scope::Request(Ids::default()),
        same,
        losses,
    }
}

/// Writes parts of another API into a request.
fn foreign(parts: Vec<Part>, assistant: bool) -> (Vec<Value>, Vec<String>) {
    let mut losses = Losses::new();
    let blocks = writer(false, &mut losses).parts(parts, assistant);
    (blocks, lines(&losses))
}

/// Writes parts of another API into an answer.
fn answer(parts: Vec<Part>) -> (Vec<Value>, Vec<String>) {
    let mut losses = Losses::new();
    let mut writer = writer(false, &mut losses);
    writer.scope = Scope::Answer {
        id: "msg".to_owned(),
        calls: 0,
    };
    let blocks = writer.parts(parts, true);
    (blocks, lines(&losses))
}

fn lines(losses: &Losses) -> Vec<String> {
    let losses = losses.as_slice().iter();
    losses
        .map(|l| format!("{} {}", l.path, l.kind.as_str()))
        .collect()
}

fn part(kind: PartKind) -> Part {
    Part::new(kind, "/p")
}

fn call(id: &str, arguments: &str) -> ToolCall {
    ToolCall {
        id: id.to_owned(),
        name: "f".to_owned(),
        arguments: arguments.to_owned(),
        custom: false,
        by_provider: false,
    }
}

#[test]
fn every_block_comes_back_as_it_was() {
    let cited = json!({"type": "page_location", "cited_text": "c", "document_title": "d", "start_page_number": 1});
    for block in [
        json!({"type": "text", "text": "", "cache_control": {"type": "ephemeral", "ttl": "1h"}}),
        json!({"type": "text", "text": "t", "citations": [cited], "cache_control": {"type": "ephemeral", "scope": "x"}}),
        json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA", "new": 1}}),
        json!({"type": "image", "source": {"type": "url", "url": "u"}}),
        json!({"type": "image", "source": {"type": "file", "file_id": "f"}, "new": {"a": 1}}),
        json!({"type": "image", "source": {"type": "later"}}),
        json!({"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "AA"}, "title": "t", "context": "c", "citations": {"enabled": true, "new": 1}}),
        json!({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "AA"}}),
        json!({"type": "document", "source": {"type": "text", "media_type": "text/html", "data": "AA"}}),
        json!({"type": "document", "source": {"type": "content", "content": "as text"}}),
        json!({"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "as list"}]}}),
        json!({"type": "tool_use", "id": "a.b", "name": "f", "input": {"z": 1, "a": [1.0]}, "caller": {"type": "direct"}}),
        json!({"type": "tool_use", "id": "i", "name": "f", "input": "no object"}),
        json!({"type": "server_tool_use", "id": "i", "name": "web_search", "input": {}}),
        json!({"type": "mcp_tool_use", "id": "i", "name": "f", "input": {}, "server_name": "s"}),
        json!({"type": "mcp_tool_result", "tool_use_id": "i", "is_error": false, "content": []}),
        json!({"type": "tool_result", "tool_use_id": "i"}),
        json!({"type": "tool_result", "tool_use_id": "i", "content": "as text", "is_error": true}),
        json!({"type": "tool_result", "tool_use_id": "i", "content": [{"type": "text", "text": "as list"}]}),
        json!({"type": "thinking", "thinking": "", "signature": "s"}),
        json!({"type": "redacted_thinking", "data": "d"}),
        json!({"type": "search_result", "source": "s", "title": "t", "content": [], "cache_control": {"type": "ephemeral"}}),
        json!({"type": "container_upload", "file_id": "f"}),
        json!({"type": "of tomorrow", "any": null}),
    ] {
        let mut losses = Losses::new();
        let blocks = writer(true, &mut losses).parts(vec![read(block.clone())], false);
        assert_eq!(blocks, [block]);
        assert!(losses.is_empty());
    }
}

#[test]
fn wrong_blocks_of_requests_are_refused_and_those_of_answers_kept_whole() {
    for (block, at) in [
        (json!("x"), "/b: must be an object"),
        (json!({"text": "x"}), "/b/type: must be a text"),
        (
            json!({"type": "text", "text": 1}),
            "/b/text: must be a text",
        ),
        (
            json!({"type": "tool_use", "id": "i"}),
            "/b/name: must be a text",
        ),
        (
            json!({"type": "tool_result"}),
            "/b/tool_use_id: must be a text",
        ),
        (json!({"type": "thinking"}), "/b/thinking: must be a text"),
        (
            json!({"type": "redacted_thinking"}),
            "/b/data: must be a text",
        ),
    ] {
        let error = read_part(At::new(block.clone(), "/b"), false).unwrap_err();
        assert_eq!(error.to_string(), at);
        let kept = read_part(At::new(block.clone(), "/b"), true).unwrap();
        assert!(matches!(kept.kind, PartKind::Other { value, .. } if value == block));
    }
    let result = json!({"type": "tool_result", "tool_use_id": "i", "content": 7});
    let error = read_part(At::new(result, "/b"), false).unwrap_err();
    assert_eq!(error.at, "/b/content");
}

#[test]
fn cache_hints_have_a_time_or_none() {
    let hint =
        |control: Value| read(json!({"type": "text", "text": "t", "cache_control": control})).cache;
    assert_eq!(
        hint(json!({"type": "ephemeral"})),
        Some(CacheHint { ttl: None })
    );
    let hour = Some(CacheTtl::OneHour);
    assert_eq!(
        hint(json!({"type": "ephemeral", "ttl": "1h"})),
        Some(CacheHint { ttl: hour })
    );
    assert_eq!(hint(json!({"type": "ephemeral", "ttl": "1d"})), None);
    assert_eq!(hint(json!("x")), None);
}

#[test]
fn citations_name_page_and_text() {
    let raw = json!({"type": "search_result_location", "source": "https://a", "title": "t", "cited_text": "c"});
    let citation = read_citation(raw.clone());
    assert_eq!(citation.url.as_deref(), Some("https://a"));
    assert_eq!(citation.title.as_deref(), Some("t"));
    assert_eq!(citation.cited_text.as_deref(), Some("c"));
    assert!(is_own_citation(&raw));
    assert!(!is_own_citation(&json!({"type": "url_citation"})));
}

#[test]
fn citations_of_other_apis_are_written_in_answers_only() {
    let text = || {
        part(PartKind::Text {
            text: "t".to_owned(),
            citations: vec![Citation {
                url: Some("https://a".to_owned()),
                ..Citation::default()
            }],
        })
    };
    let (blocks, losses) = answer(vec![text()]);
    assert_eq!(blocks[0]["citations"][0]["url"], "https://a");
    assert_eq!(losses, ["/p approximated"]);
    let (blocks, losses) = foreign(vec![text()], true);
    assert_eq!(blocks, [json!({"type": "text", "text": "t"})]);
    assert_eq!(losses, ["/p dropped"]);
}

#[test]
fn empty_texts_of_other_apis_are_left_out() {
    let (blocks, losses) = foreign(vec![Part::text("", "/p"), Part::text(" \n", "/q")], false);
    assert_eq!(blocks, [Value::Null; 0]);
    assert_eq!(losses, ["/q dropped"]);
    assert_eq!(answer(vec![Part::text(" ", "/p")]).0.len(), 1);
}

#[test]
fn sound_becomes_what_is_said_and_is_lost_without_it() {
    let audio = |transcript: Option<&str>| {
        let source = Blob::Url {
            url: "u".to_owned(),
            media_type: None,
        };
        part(PartKind::Audio {
            source,
            transcript: transcript.map(str::to_owned),
        })
    };
    let (blocks, losses) = foreign(vec![audio(Some("hi"))], false);
    assert_eq!(blocks, [json!({"type": "text", "text": "hi"})]);
    assert_eq!(losses, ["/p approximated"]);
    let video = part(PartKind::Video(Blob::Text(String::new())));
    for lost in [audio(None), video] {
        assert_eq!(
            foreign(vec![lost], false),
            (vec![], vec!["/p dropped".to_owned()])
        );
    }
}

#[test]
fn pictures_are_the_users_alone() {
    let image = || {
        let source = Blob::Url {
            url: "https://a".to_owned(),
            media_type: None,
        };
        let detail = Some(crate::representation::Detail("high".to_owned()));
        part(PartKind::Image { source, detail })
    };
    let (blocks, losses) = foreign(vec![image()], false);
    assert_eq!(
        blocks[0]["source"],
        json!({"type": "url", "url": "https://a"})
    );
    assert_eq!(losses, ["/p dropped"], "how closely to look");
    let (blocks, losses) = foreign(vec![image()], true);
    assert!(blocks.is_empty());
    assert_eq!(losses.len(), 2);
}

#[test]
fn arguments_that_are_no_object_stand_in_one() {
    for (arguments, input, lost) in [
        ("{\"a\": 1}", json!({"a": 1}), 0),
        ("", json!({}), 0),
        ("{\"a\":", json!({"arguments": "{\"a\":"}), 1),
        ("[1]", json!({"arguments": "[1]"}), 1),
    ] {
        let (blocks, losses) = foreign(vec![part(PartKind::ToolCall(call("i", arguments)))], true);
        assert_eq!(blocks[0]["input"], input);
        assert_eq!(losses.len(), lost);
    }
    let free = ToolCall {
        custom: true,
        ..call("i", "free \"text\"")
    };
    let (blocks, losses) = foreign(vec![part(PartKind::ToolCall(free))], true);
    assert_eq!(blocks[0]["input"], json!({"input": "free \"text\""}));
    assert_eq!(losses, ["/p approximated"]);
}

#[test]
fn calls_of_the_providers_tools_are_kept_in_answers_only() {
    let search = || {
        part(PartKind::ToolCall(ToolCall {
            by_provider: true,
            ..call("", "{}")
        }))
    };
    assert_eq!(foreign(vec![search()], true).1, ["/p dropped"]);
    let (blocks, losses) = answer(vec![search(), search()]);
    assert_eq!(blocks[0]["type"], "server_tool_use");
    assert_eq!(
        (&blocks[0]["id"], &blocks[1]["id"]),
        (&json!("call_msg_0"), &json!("call_msg_1"))
    );
    assert!(losses.is_empty());
}

#[test]
fn results_are_text_or_blocks_and_structured_ones_their_json() {
    let result = |parts: Vec<Part>, structured: Option<Value>| {
        part(PartKind::ToolResult(ToolResult {
            call_id: "i.1".to_owned(),
            name: Some("f".to_owned()),
            parts,
            structured,
            is_error: true,
            custom: false,
        }))
    };
    let (blocks, losses) = foreign(vec![result(vec![Part::text("t", "/t")], None)], false);
    assert_eq!(
        blocks,
        [json!({"type": "tool_result", "tool_use_id": "i_1", "content": "t", "is_error": true})]
    );
    assert!(losses.is_empty());
    let (blocks, _) = foreign(vec![result(vec![], Some(json!({"a": 1})))], false);
    assert_eq!(blocks[0]["content"], "{\"a\":1}");
}

#[test]
fn thoughts_are_replayed_with_a_signature_only() {
    let thoughts = |reasoning: Reasoning| part(PartKind::Reasoning(reasoning));
    let plain = || Reasoning {
        text: "t".to_owned(),
        ..Reasoning::default()
    };
    assert_eq!(
        foreign(vec![thoughts(plain())], true),
        (vec![], vec!["/p dropped".to_owned()])
    );
    assert_eq!(
        answer(vec![thoughts(plain())]).0,
        [json!({"type": "thinking", "thinking": "t", "signature": ""})]
    );
    let signed = Reasoning {
        signature: Some("s".to_owned()),
        ..plain()
    };
    let (blocks, losses) = foreign(vec![thoughts(signed)], true);
    assert_eq!(
        blocks,
        [json!({"type": "thinking", "thinking": "t", "signature": "s"})]
    );
    assert!(losses.is_empty());
    let encrypted = Reasoning {
        encrypted: Some("e".to_owned()),
        summary: vec!["a".to_owned(), "b".to_owned()],
        id: Some("rs".to_owned()),
        ..Reasoning::default()
    };
    let redacted = json!({"type": "redacted_thinking", "data": "e"});
    let (blocks, losses) = foreign(vec![thoughts(encrypted.clone())], true);
    assert_eq!(blocks, std::slice::from_ref(&redacted));
    assert_eq!(losses, ["/p dropped", "/p approximated", "/p dropped"]);
    let (blocks, _) = answer(vec![thoughts(encrypted)]);
    let summary = json!({"type": "thinking", "thinking": "a\n\nb", "signature": ""});
    assert_eq!(blocks, [summary, redacted]);
    assert!(foreign(vec![thoughts(Reasoning::default())], true)
        .1
        .is_empty());
}

#[test]
fn what_has_no_place_here_is_reported() {
    let mut signed = Part::text("t", "/p");
    signed.signature = Some("s".to_owned());
    assert_eq!(foreign(vec![signed], true).1, ["/p dropped"]);
    let (blocks, losses) = foreign(vec![part(PartKind::Refusal("no".to_owned()))], true);
    assert_eq!(blocks, [json!({"type": "text", "text": "no"})]);
    assert_eq!(losses, ["/p approximated"]);
    let other = PartKind::Other {
        kind: "x".to_owned(),
        value: json!({"type": "x"}),
    };
    assert_eq!(foreign(vec![part(other)], true).1, ["/p dropped"]);
}
