//! Where keys come from, and to whom they go.

use super::*;

#[test]
fn a_key_comes_from_the_file_the_named_variable_or_the_usual_one() {
    let key = |entry: &str| {
        let config = good(&with_provider(entry));
        let provider = &config.providers[0];
        let secret = provider
            .credential
            .as_ref()
            .map(|key| key.expose().to_owned());
        (secret, provider.key_variable.clone(), config.notices)
    };
    let (secret, variable, told) = key("model: openai/x, access_key: $OTHER");
    assert_eq!(secret.as_deref(), Some("sk-other"));
    assert_eq!(variable.as_deref(), Some("OTHER"));
    assert!(told.is_empty());
    let (secret, variable, told) = key("model: openai/x");
    assert_eq!(secret.as_deref(), Some("sk-openai"));
    assert_eq!(variable.as_deref(), Some("OPENAI_API_KEY"));
    assert!(told.is_empty());
    let (secret, _, told) = key("model: openai/x, access_key: sk-literal");
    assert_eq!(secret.as_deref(), Some("sk-literal"));
    assert_eq!(told[0].kind, NoticeKind::Warning);
    assert!(!told[0].message.contains("sk-literal"));
    for entry in [
        "model: groq/x",
        "model: groq/x, access_key: '${GROQ_API_KEY}'",
    ] {
        let (secret, variable, told) = key(entry);
        assert_eq!((secret, variable.as_deref()), (None, Some("GROQ_API_KEY")));
        let expected = NoticeKind::MissingKey {
            variable: "GROQ_API_KEY".to_owned(),
            provider: "groq".to_owned(),
        };
        assert_eq!((told.len(), &told[0].kind), (1, &expected));
    }
    let (secret, _, told) = key("model: ollama/x");
    assert_eq!((secret, told.len()), (None, 0));
    let problems = bad(&with_provider("model: openai/x, access_key: $BROKEN"));
    assert_eq!(problems[0].value, None);
}

#[test]
fn the_key_of_a_known_provider_is_not_sent_elsewhere_unasked() {
    let elsewhere = good(&with_provider(
        "model: openai/x, base_url: 'http://$HOST/v1'",
    ));
    let provider = &elsewhere.providers[0];
    assert_eq!(provider.credential, None);
    assert!(!provider.entry().key_required);
    assert_eq!(provider.host, "models.example");
    let home = good(&with_provider(
        "model: openai/x, base_url: 'https://api.openai.com/v2/'",
    ));
    assert!(home.providers[0].credential.is_some());
    assert_eq!(home.providers[0].path_prefix, "/v2");
    let named = good(&with_provider(
        "model: openai/x, access_key: $OPENAI_API_KEY, base_url: 'http://h'",
    ));
    assert!(named.providers[0].credential.is_some());
}

#[test]
fn a_provider_without_a_key_of_ours_is_asked_with_the_clients() {
    let config = good(&with_provider("model: chatgpt/*"));
    let provider = &config.providers[0];
    assert!(provider.passthrough_auth && provider.credential.is_none());
    let asked = good(&with_provider(
        "model: openai/x, passthrough_auth: true, access_key: $OPENAI_API_KEY",
    ));
    let provider = &asked.providers[0];
    assert!(provider.passthrough_auth && provider.credential.is_none());
    assert_eq!(asked.notices[0].path, "model_providers[0].access_key");
}

#[test]
fn the_collector_that_the_environment_names_is_checked_and_never_shown() {
    let read = |value: &'static str| {
        load(&Source {
            text: "model_providers: []\ntracing: {}\n",
            name: "meseta.yaml",
            env: &move |name| (name == "OTEL_TRACING_GRPC_ENDPOINT").then(|| value.to_owned()),
            dir: Path::new("/"),
            file: &|_| Err(std::io::ErrorKind::NotFound.into()),
        })
    };
    let config = read("http://collector:4317").unwrap();
    let endpoint = config.tracing.otlp_endpoint;
    assert_eq!(endpoint.as_deref(), Some("http://collector:4317"));
    let problems = read("user:secret@collector").unwrap_err();
    assert_eq!(problems.0[0].path, "tracing.otlp_endpoint");
    assert!(!problems.to_string().contains("secret"), "{problems}");
}
