use super::*;
use serde_json::json;

fn partial(text: &str) -> Partial {
    Partial {
        text: text.to_owned(),
    }
}

fn asked(
    client: Api,
    body: &Value,
    text: &str,
    target: (Api, Prefill),
) -> Result<Value, TranslateError> {
    let body = body.to_string();
    let options = RequestOptions::default();
    let written = continuation((client, body.as_bytes()), &partial(text), target, &options)?;
    Ok(serde_json::from_slice(&written.body).unwrap())
}

fn chat() -> Value {
    json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]})
}

#[test]
fn each_api_goes_on_in_its_own_way() {
    let ask = |to, prefill| asked(Api::OpenAiChat, &chat(), "Hel lo \n", (to, prefill)).unwrap();
    let body = ask(Api::AnthropicMessages, Prefill::None);
    assert_eq!(body["messages"][1]["role"], "assistant");
    assert_eq!(body["messages"][1]["content"], "Hel lo", "{body}");
    let body = ask(Api::BedrockConverse, Prefill::None);
    assert_eq!(
        body["messages"][1],
        json!({"role": "assistant", "content": [{"text": "Hel lo"}]})
    );
    let body = ask(Api::Gemini, Prefill::None);
    assert_eq!(
        body["contents"][1],
        json!({"role": "model", "parts": [{"text": "Hel lo"}]})
    );
    let message = |extra: &str| {
        let mut message = json!({"role": "assistant", "content": "Hel lo"});
        if !extra.is_empty() {
            message[extra] = true.into();
        }
        message
    };
    for (prefill, extra) in [
        (Prefill::Assistant, ""),
        (Prefill::Prefix, "prefix"),
        (Prefill::Partial, "partial"),
        (Prefill::ContinueFinalMessage, ""),
    ] {
        let body = ask(Api::OpenAiChat, prefill);
        assert_eq!(body["messages"][1], message(extra), "{prefill:?}");
        let flags = (
            body.get("continue_final_message"),
            body.get("add_generation_prompt"),
        );
        let expected =
            (prefill == Prefill::ContinueFinalMessage).then_some((true.into(), false.into()));
        assert_eq!(
            flags.0.zip(flags.1),
            expected
                .as_ref()
                .map(|(one, other): &(Value, Value)| (one, other))
        );
    }
}

#[test]
fn what_cannot_be_continued_is_refused() {
    let refuses = |client, body: &Value, target: (Api, Prefill)| {
        let found = asked(client, body, "Hello", target);
        assert_eq!(
            found,
            Err(TranslateError::NotContinued { to: target.0 }),
            "{body}"
        );
    };
    for to in [
        Api::OpenAiChat,
        Api::OpenAiResponses,
        Api::CohereChat,
        Api::OpenAiCompletions,
    ] {
        refuses(Api::OpenAiChat, &chat(), (to, Prefill::None));
    }
    let mut several = chat();
    several["n"] = 2.into();
    refuses(Api::OpenAiChat, &several, (Api::Gemini, Prefill::None));
    let thinking = json!({
        "model": "m", "max_tokens": 9000, "messages": [{"role": "user", "content": "hi"}],
        "thinking": {"type": "enabled", "budget_tokens": 2000},
    });
    for to in [Api::AnthropicMessages, Api::BedrockConverse] {
        refuses(Api::AnthropicMessages, &thinking, (to, Prefill::None));
    }
    let mut without = thinking.clone();
    without["thinking"] = json!({"type": "disabled"});
    assert!(asked(
        Api::AnthropicMessages,
        &without,
        "Hello",
        (Api::AnthropicMessages, Prefill::None)
    )
    .is_ok());
    assert!(asked(
        Api::AnthropicMessages,
        &thinking,
        "Hello",
        (Api::Gemini, Prefill::None)
    )
    .is_ok());
    let mut effort = chat();
    effort["reasoning_effort"] = "high".into();
    refuses(
        Api::OpenAiChat,
        &effort,
        (Api::AnthropicMessages, Prefill::None),
    );
}

#[test]
fn where_nothing_has_come_anyone_is_asked_as_the_client_asked() {
    for to in Api::ALL.into_iter().filter(|api| api.has_codec()) {
        let asked = asked(Api::OpenAiChat, &chat(), " \n", (to, Prefill::None)).unwrap();
        let own = super::super::request(
            Api::OpenAiChat,
            to,
            chat().to_string().as_bytes(),
            &RequestOptions::default(),
        );
        assert_eq!(
            asked,
            serde_json::from_slice::<Value>(&own.unwrap().body).unwrap()
        );
    }
}

#[test]
fn the_clients_own_beginning_stays_in_front() {
    let mut body = chat();
    body["messages"]
        .as_array_mut()
        .unwrap()
        .push(json!({"role": "assistant", "content": "Well, "}));
    let body = asked(
        Api::OpenAiChat,
        &body,
        "hel",
        (Api::AnthropicMessages, Prefill::None),
    )
    .unwrap();
    assert_eq!(body["messages"].as_array().unwrap().len(), 2);
    assert_eq!(body["messages"][1]["content"], "Well, hel", "{body}");
}

#[test]
fn the_catalogue_says_which_chat_goes_on() {
    let entry = |name: &str| {
        let mut all = crate::providers::catalogue().iter();
        all.find(|entry| entry.id.as_str() == name).unwrap()
    };
    assert!(can_continue(entry("mistral"), Api::OpenAiChat));
    assert!(can_continue(entry("anthropic"), Api::AnthropicMessages));
    assert!(!can_continue(entry("anthropic"), Api::OpenAiChat));
    assert!(!can_continue(entry("openai"), Api::OpenAiChat));
    assert!(!can_continue(entry("openai"), Api::OpenAiResponses));
    assert!(!can_continue(entry("cohere"), Api::CohereChat));
    assert!(can_continue(entry("gemini"), Api::Gemini));
}
