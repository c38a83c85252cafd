//! A configuration without a file: what the environment has keys for.

use std::fmt::Write as _;

use hermesllm::providers::catalogue;

/// The text of a configuration for every provider of the catalogue whose key is set, and for a
/// local Ollama when there is one; it listens on 127.0.0.1. `None` when there is neither.
///
/// The text names variables, never their values.
pub fn detected(env: &dyn Fn(&str) -> Option<String>, ollama: bool) -> Option<String> {
    let is_set = |name: &str| env(name).is_some_and(|value| !value.trim().is_empty());
    let mut entries = String::new();
    for entry in catalogue().iter() {
        // Without an address of its own a key is not enough.
        if entry.base_url.is_none() {
            continue;
        }
        let mut variables = entry.key_env.iter();
        if let Some(variable) = variables.find(|name| is_set(name)) {
            let name = entry.id.as_str();
            // Writing to a String cannot fail.
            let _ = writeln!(entries, "  - model: {name}/*\n    access_key: ${variable}");
        }
    }
    if ollama {
        entries.push_str("  - model: ollama/*\n");
    }
    (!entries.is_empty()).then(|| {
        format!(
            "# Detected: the providers whose keys are in the environment.\n\
             listeners:\n  - {{type: model, name: model, address: 127.0.0.1, port: 12000}}\n\
             model_providers:\n{entries}"
        )
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn keys_and_a_local_ollama_make_a_configuration_that_loads() {
        let env = |name: &str| match name {
            "OPENAI_API_KEY" => Some("sk-1".to_owned()),
            "GOOGLE_API_KEY" => Some("g-1".to_owned()),
            "ANTHROPIC_API_KEY" => Some(" ".to_owned()),
            _ => None,
        };
        let text = detected(&env, true).unwrap();
        assert!(!text.contains("sk-1") && !text.contains("g-1"));
        let source = crate::Source {
            text: &text,
            name: "detected",
            env: &env,
            dir: Path::new("/"),
            file: &|_| Err(std::io::ErrorKind::NotFound.into()),
        };
        let config = crate::load(&source).unwrap();
        let names: Vec<_> = config.providers.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names, ["openai", "gemini", "ollama"]);
        assert!(config.notices.is_empty(), "{:?}", config.notices);
        assert!(config.listeners.iter().all(|l| l.address.is_loopback()));
        assert!(config
            .resolve(Some("ollama/anything:1b"), &crate::Sender::UNKNOWN)
            .is_ok());
    }

    #[test]
    fn nothing_detected_is_no_configuration() {
        assert_eq!(detected(&|_| None, false), None);
    }
}
