//! What is said of keys that are not just keys: the cloud providers have credentials of several
//! kinds, and only one of them works.

use hermesllm::providers::CatalogueEntry;

use super::super::document::Map;
use super::super::findings::Findings;
use super::credential::{Credential, FILE, INLINE};

/// Says what the provider wants when it has no key, has something else in its place, or has one
/// that will not last.
pub(super) fn check(
    map: &Map<'_>,
    entry: &CatalogueEntry,
    credential: &Credential,
    provider: &str,
    findings: &mut Findings<'_>,
) {
    let Some(note) = entry.key_note.filter(|_| !credential.passthrough) else {
        return;
    };
    let named = map.get(INLINE).or_else(|| map.get(FILE));
    let node = named.unwrap_or_else(|| map.absent(INLINE));
    let Some(secret) = &credential.secret else {
        findings.warning_once(&node, format!("of the key of `{provider}`: {note}"));
        return;
    };
    if entry.is_no_key(secret.expose()) {
        let reason = format!("is no key of `{provider}`");
        findings.secret_problem(&node, reason, Some(note.to_owned()));
        return;
    }
    // What is in a file can be replaced while the server runs.
    if let (Some(lifetime), None) = (entry.key_lifetime, &credential.file) {
        findings.warning_once(
            &node,
            format!(
                "a key of `{provider}` lasts {lifetime}: keep a fresh one in a file and name that \
                 with `access_key_file`"
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::{load, Config, Problems, Source};

    const VERTEX: &str = "base_url: 'https://us-central1-aiplatform.googleapis.com/v1/projects/p/locations/us-central1/endpoints/openapi'";
    const BEDROCK: &str = "base_url: 'https://bedrock-runtime.us-east-1.amazonaws.com'";

    fn read(entries: &[&str], variable: (&str, &str)) -> Result<Config, Problems> {
        let entries: String = entries.iter().map(|e| format!("  - {{{e}}}\n")).collect();
        load(&Source {
            text: &format!("model_providers:\n{entries}"),
            name: "any",
            env: &|name| (name == variable.0).then(|| variable.1.to_owned()),
            dir: Path::new("/"),
            file: &|_| Ok("ya29.hidden\n".to_owned()),
        })
    }

    fn said(config: &Config) -> Vec<String> {
        let notices = config.notices.iter();
        notices
            .map(|notice| format!("{}: {}", notice.path, notice.message))
            .collect()
    }

    #[test]
    fn aws_keys_are_said_not_to_work_once_and_api_keys_work_without_a_word() {
        let entries = ["a", "b"].map(|model| format!("model: amazon_bedrock/{model}, {BEDROCK}"));
        let entries = [entries[0].as_str(), entries[1].as_str()];
        let config = read(&entries, ("AWS_ACCESS_KEY_ID", "AKIAHIDDEN")).unwrap();
        let said = said(&config);
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].contains("`AWS_BEARER_TOKEN_BEDROCK` is not set"));
        assert!(said[1].starts_with("model_providers[0].access_key: of the key of"));
        assert!(said[1].contains("signed requests"), "{said:?}");

        let config = read(&entries, ("AWS_BEARER_TOKEN_BEDROCK", "bedrock-api-key-1")).unwrap();
        assert!(config.notices.is_empty(), "{:?}", config.notices);
        assert!(config.providers[0].credential.is_some());
    }

    #[test]
    fn what_is_taken_for_a_key_is_a_problem_that_does_not_show_it() {
        let bedrock = format!("model: bedrock_mantle/a, {BEDROCK}, access_key: $MINE");
        let vertex = format!("model: vertexai/google/a, {VERTEX}, access_key: $MINE");
        for (entry, value) in [(bedrock, "AKIAHIDDEN"), (vertex, r#"{"type": "HIDDEN"}"#)] {
            let problems = read(&[&entry], ("MINE", value)).unwrap_err();
            assert_eq!(problems.0.len(), 1, "{problems}");
            assert_eq!(
                problems.0[0].path.to_string(),
                "model_providers[0].access_key"
            );
            let text = problems.to_string();
            assert!(text.contains("is no key of"), "{text}");
            assert!(text.contains("not used yet"), "{text}");
            assert!(!text.contains("HIDDEN"), "{text}");
        }
    }

    #[test]
    fn a_token_for_an_hour_is_said_to_belong_into_a_file() {
        let none = format!("model: vertexai/google/a, {VERTEX}");
        let config = read(&[&none], ("", "")).unwrap();
        assert!(said(&config)[0].contains("gcloud auth print-access-token"));

        let written = format!("{none}, access_key: $TOKEN");
        let config = read(&[&written], ("TOKEN", "ya29.hidden")).unwrap();
        assert!(said(&config)[0].contains("lasts an hour"), "{config:?}");

        let file = format!("{none}, access_key_file: token");
        let config = read(&[&file], ("", "")).unwrap();
        assert!(config.notices.is_empty(), "{:?}", config.notices);
    }
}
