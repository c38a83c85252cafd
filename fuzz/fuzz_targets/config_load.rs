//! Configurations: any text gives one that renders, or problems that are in places which exist; and
//! no secret of the environment, of a key file or of the text itself shows anywhere.
#![no_main]

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

use libfuzzer_sys::fuzz_target;
use meseta_config::render::{discovery_response, dynamic_bootstrap, resources};
use meseta_config::{
    bootstrap, load, snippet, AccessLog, Config, EgressSocket, ListenAddress, RenderOptions,
    Sender, Source,
};
use serde_yaml::Value;

/// What a key is in the environment and in files. With its blank it can be sent in a header, and is
/// no part of an address, where references are meant to show.
const SECRET: &str = "pl4nted s3cret";

/// The environment. What it has of each kind is told by the name, so that texts reach them all. An
/// address may show, but for the password in it.
fn variable(name: &str) -> Option<String> {
    match name {
        "HOST" => Some("models.example".to_owned()),
        "PORT" => Some("8080".to_owned()),
        _ if name.ends_with("ENDPOINT") => Some(format!("http://user:{SECRET}@models.example")),
        "BROKEN" => Some(format!("{SECRET}\nbreak")),
        _ if name.starts_with("UNSET") || name.starts_with("GROQ") => None,
        _ => Some(SECRET.to_owned()),
    }
}

fn file(path: &Path) -> io::Result<String> {
    match path.extension() {
        Some(end) if end == "none" => Err(io::ErrorKind::NotFound.into()),
        Some(end) if end == "empty" => Ok("\n".to_owned()),
        _ => Ok(format!("{SECRET}\n")),
    }
}

/// The paths of all values, as problems name them.
fn places(value: &Value, path: String, found: &mut HashSet<String>) {
    match value {
        Value::Sequence(items) => {
            for (index, item) in items.iter().enumerate() {
                places(item, format!("{path}[{index}]"), found);
            }
        }
        Value::Mapping(map) => {
            for (key, value) in map {
                let key = match key {
                    Value::String(text) => text.clone(),
                    Value::Number(number) => number.to_string(),
                    Value::Bool(flag) => flag.to_string(),
                    _ => continue,
                };
                let below = if path.is_empty() {
                    key
                } else {
                    format!("{path}.{key}")
                };
                places(value, below, found);
            }
        }
        _ => {}
    }
    found.insert(path);
}

/// Whether a problem can be there: at a value, or at a key that a map lacks.
fn is_place(path: &str, places: &HashSet<String>) -> bool {
    let above = path.rsplit_once('.').map_or("", |(above, _)| above);
    places.contains(path) || places.contains(above)
}

/// The keys and header values that the text itself holds, of those that look like keys and are
/// there once: nothing else may show the same text rightly.
fn literal_secrets<'v>(document: &'v Value, text: &str) -> Vec<&'v str> {
    let mut found = Vec::new();
    let entries = ["model_providers", "llm_providers"]
        .iter()
        .filter_map(|key| document.get(key)?.as_sequence())
        .flatten();
    for entry in entries {
        found.extend(entry.get("access_key"));
        let headers = entry.get("headers").and_then(Value::as_mapping);
        found.extend(headers.into_iter().flat_map(|headers| headers.values()));
    }
    let mut secrets: Vec<&str> = found.iter().filter_map(|value| value.as_str()).collect();
    secrets.retain(|secret| {
        let once = text.matches(*secret).count() == 1;
        secret.starts_with("sk-") && secret.len() >= 8 && !secret.contains('$') && once
    });
    secrets
}

fn hidden(text: &str, secrets: &[&str], place: &str) {
    for secret in secrets {
        assert!(!text.contains(secret), "a secret in {place}: {text}");
    }
}

fn renders(config: &Config, secrets: &[&str], pick: usize) {
    let options = RenderOptions {
        server: ListenAddress::Unix(PathBuf::from("/run/server.sock")),
        filter: PathBuf::from("/filter.wasm"),
        admin: ListenAddress::Unix(PathBuf::from("/run/admin.sock")),
        access_log: AccessLog::Stdout,
        egress: EgressSocket::of(&config.server, &config.server.listen),
    };
    let directory = Path::new("/xds");
    let render = || {
        let parts = resources(config, &options, directory);
        let mut texts = vec![
            bootstrap(config, &options),
            snippet(config, &options),
            dynamic_bootstrap(&options, directory),
            discovery_response("1", &parts.clusters),
            discovery_response("1", &parts.listeners),
        ];
        texts.extend(parts.secrets.into_iter().map(|secret| secret.text));
        texts
    };
    let texts = render();
    for text in &texts {
        hidden(text, secrets, "what Envoy reads");
    }
    // Reading them all would be most of the work; inputs enough pick each of them.
    let picked = &texts[pick % texts.len()];
    if let Err(error) = serde_yaml::from_str::<Value>(picked) {
        panic!("what Envoy reads is no YAML: {error}\n{picked}");
    }
    assert_eq!(texts, render(), "the same configuration, the same text");
    for notice in &config.notices {
        hidden(&notice.to_string(), secrets, "a notice");
        hidden(&format!("{notice:?}"), secrets, "a notice");
    }
    hidden(&format!("{config:?}"), secrets, "debug output");
    hidden(&config.redacted().to_string(), secrets, "what is shown");
    for model in config.models() {
        let resolved = config.resolve(Some(&model.id), &Sender::UNKNOWN);
        assert!(resolved.is_ok(), "{} is listed and unknown", model.id);
    }
    for (alias, _) in config.aliases() {
        assert!(
            config.resolve(Some(alias), &Sender::UNKNOWN).is_ok(),
            "{alias} leads nowhere"
        );
    }
    let default = config.resolve(None, &Sender::UNKNOWN);
    assert_eq!(default.is_ok(), config.default_model().is_some());
}

fuzz_target!(|text: &str| {
    if text.contains(SECRET) {
        return;
    }
    let outcome = load(&Source {
        text,
        name: "meseta.yaml",
        env: &variable,
        dir: Path::new("/etc/meseta"),
        file: &file,
    });
    let document = serde_yaml::from_str::<Value>(text).ok();
    let document = document.and_then(|mut document| {
        document.apply_merge().ok()?;
        Some(document)
    });
    let mut secrets = vec![SECRET];
    if let Some(document) = &document {
        secrets.extend(literal_secrets(document, text));
    }
    match outcome {
        Ok(config) => renders(&config, &secrets, text.len()),
        Err(problems) => {
            assert!(!problems.0.is_empty(), "a refusal has a reason");
            let mut known = HashSet::new();
            places(
                document.as_ref().unwrap_or(&Value::Null),
                String::new(),
                &mut known,
            );
            for problem in &problems.0 {
                assert!(is_place(&problem.path, &known), "nowhere: {problem}");
                hidden(&problem.to_string(), &secrets, "a problem");
            }
            hidden(&format!("{problems:?}"), &secrets, "debug output");
        }
    }
});
