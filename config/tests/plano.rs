//! Real configuration files of Plano's, which `MESETA_PLANO_CONFIGS` or a directory beside the
//! repository holds. Skipped visibly without them.

#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

#[path = "support/files.rs"]
mod files;

use std::path::Path;

use meseta_config::{load, Source};

#[test]
fn every_file_of_planos_loads_and_its_models_and_aliases_are_found() {
    for (name, text) in files::planos() {
        let source = Source {
            text: &text,
            name: &name,
            env: &|_| None,
            dir: Path::new("/"),
            file: &|_| Err(std::io::ErrorKind::NotFound.into()),
        };
        let config = load(&source).unwrap_or_else(|problems| panic!("{name}: {problems}"));
        assert!(!config.listeners.is_empty(), "{name}");
        // The text says how many models and aliases there have to be.
        let document: serde_yaml::Value = serde_yaml::from_str(&text).unwrap();
        let entries = document.get("model_providers");
        let entries = entries.or_else(|| document.get("llm_providers"));
        let entries = entries.and_then(|entries| entries.as_sequence()).unwrap();
        for entry in entries {
            let model = entry["model"].as_str().unwrap().replace('*', "any");
            let found = config
                .resolve(Some(&model), &meseta_config::Sender::UNKNOWN)
                .unwrap();
            assert_eq!(found.targets[0].model.id, model, "{name}");
            if entry["default"] == true {
                assert_eq!(config.default_model(), Some(model.as_str()), "{name}");
            }
        }
        if let Some(aliases) = document.get("model_aliases") {
            for (alias, target) in aliases.as_mapping().unwrap() {
                let found = config
                    .resolve(alias.as_str(), &meseta_config::Sender::UNKNOWN)
                    .unwrap();
                let found = &found.targets[0].model;
                let target = target["target"].as_str().unwrap();
                assert!(found.id.ends_with(target), "{name}: {alias:?}");
            }
        }
    }
}
