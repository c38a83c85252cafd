//! The table against the loader: its examples, its defaults, its schema.

use std::path::Path;

use serde_yaml::{Mapping, Value};

use super::walk::{sections, Section};
use super::*;
use crate::problem::{NoticeKind, Problems};
use crate::{load, Config, Source};

fn read(text: &str) -> Result<Config, Problems> {
    load(&Source {
        text,
        name: "example",
        env: &|_| None,
        dir: Path::new("/etc/meseta"),
        file: &|_| Ok("sk-example\n".to_owned()),
    })
}

/// A document with providers, and with the limit that keys name.
fn completed(document: &str) -> String {
    if document.starts_with("keys:") {
        let limits = "limits: [{name: per-key, unit: tokens, limit: 1000, per: minute}]";
        return format!("{document}\n{limits}\nmodel_providers:\n  - model: ollama/*\n");
    }
    if document.contains("model_providers:") || document.contains("llm_providers:") {
        return format!("{document}\n");
    }
    format!("{document}\nmodel_providers:\n  - model: ollama/*\n")
}

/// Every key where it stands, with the document that its example makes.
fn examples() -> Vec<(Section, &'static Key, String)> {
    let mut examples = Vec::new();
    for section in sections() {
        for key in section.object.keys {
            let document = completed(&section.document(key.example));
            let path = section.path_of(key.name);
            // The place of the section again, because it has many keys.
            let place = sections().into_iter().find(|s| s.path() == section.path());
            examples.push((place.unwrap(), key, document));
            assert!(!path.is_empty());
        }
    }
    assert!(examples.len() > 100, "{}", examples.len());
    examples
}

fn mapping(yaml: &str) -> Mapping {
    serde_yaml::from_str(yaml).unwrap_or_else(|error| panic!("{yaml}: {error}"))
}

#[test]
fn every_key_has_an_example_with_itself_in_it_that_loads() {
    for (section, key, document) in examples() {
        let path = section.path_of(key.name);
        assert!(mapping(key.example).get(key.name).is_some(), "{path}");
        let loaded = read(&document);
        match section.status(key.status) {
            Status::NotBuilt => {
                let problems = loaded.unwrap_err().0;
                assert_eq!(problems.len(), 1, "{path}: {problems:?}");
                assert_eq!(problems[0].reason, "is not built yet", "{path}");
            }
            status => {
                let config = loaded.unwrap_or_else(|p| panic!("{path}:\n{document}\n{p}"));
                let inactive = config.notices.iter().any(|notice| {
                    let noticed = notice.path.replace("[0]", "[]");
                    notice.kind == NoticeKind::NotYetActive && path.starts_with(&noticed)
                });
                assert_eq!(inactive, status == Status::NotYetActive, "{path}");
            }
        }
    }
}

#[test]
fn an_example_fits_the_json_schema_unless_its_key_is_not_built() {
    let schema = jsonschema::validator_for(&json_schema()).unwrap();
    for (section, key, document) in examples() {
        let value: serde_json::Value = serde_yaml::from_str(&document).unwrap();
        let fits = key.status != Status::NotBuilt;
        assert_eq!(
            schema.is_valid(&value),
            fits,
            "{}",
            section.path_of(key.name)
        );
    }
}

#[test]
fn a_default_that_is_told_is_the_one_that_counts() {
    let shown = |config: &Config| {
        let listeners = (&config.listeners, &config.server, &config.tracing);
        format!(
            "{listeners:?} {:?} {:?}",
            config.upstream,
            config.redacted()
        )
    };
    let mut defaults = 0;
    for (section, key, _) in examples() {
        let Absence::Value(default) = &key.absence else {
            continue;
        };
        if section.status(key.status) != Status::Read {
            continue;
        }
        // What else the object needs is in the example.
        let mut object = mapping(key.example);
        object.shift_remove(key.name);
        let document = |object: &Mapping| {
            let yaml = serde_yaml::to_string(object).unwrap();
            read(&completed(&section.document(yaml.trim_end()))).unwrap()
        };
        let without = shown(&document(&object));
        let value: Value = serde_yaml::from_str(default).unwrap();
        object.insert(Value::from(key.name), value);
        assert_eq!(
            shown(&document(&object)),
            without,
            "{}",
            section.path_of(key.name)
        );
        defaults += 1;
    }
    assert!(defaults >= 14, "{defaults}");
}

#[test]
fn an_unknown_key_is_refused_by_the_loader_and_by_the_schema_wherever_it_stands() {
    let schema = jsonschema::validator_for(&json_schema()).unwrap();
    for (section, key, _) in examples() {
        if key.status == Status::NotBuilt {
            continue;
        }
        let example = format!("{}\nno_such_key: 1", key.example);
        let document = completed(&section.document(&example));
        let path = section.path_of(key.name);
        let Err(Problems(problems)) = read(&document) else {
            panic!("{path}: the loader takes any key beside it");
        };
        assert_eq!(problems.len(), 1, "{path}: {problems:?}");
        assert!(problems[0].path.ends_with("no_such_key"), "{path}");
        let value: serde_json::Value = serde_yaml::from_str(&document).unwrap();
        assert!(!schema.is_valid(&value), "{path}");
    }
}

#[test]
fn names_are_unique_and_texts_are_sentences() {
    let mut titles: Vec<&str> = Vec::new();
    for section in sections() {
        assert!(!titles.contains(&section.object.title));
        titles.push(section.object.title);
        assert!(section.object.about.ends_with('.'));
        for (at, key) in section.object.keys.iter().enumerate() {
            let path = section.path_of(key.name);
            assert!(key.about.ends_with('.'), "{path}");
            let before = section.object.keys.iter().take(at);
            assert!(before.clone().all(|other| other.name != key.name), "{path}");
        }
    }
}

#[test]
fn every_link_of_the_reference_leads_to_one_heading() {
    let text = reference();
    let headings = text.lines().filter_map(|line| line.strip_prefix('#'));
    let headings = headings.map(|line| line.trim_start_matches(['#', ' ']));
    let anchors: Vec<_> = headings.map(super::reference::anchor).collect();
    let links = text.split("](#").skip(1);
    let links: Vec<_> = links.filter_map(|rest| rest.split(')').next()).collect();
    assert!(links.len() > 30, "{links:?}");
    for link in links {
        let leads_to = anchors.iter().filter(|anchor| *anchor == link);
        assert_eq!(leads_to.count(), 1, "{link}");
    }
}

#[test]
fn the_reference_has_every_key_with_its_example() {
    let text = reference();
    for (section, key, _) in examples() {
        assert!(text.contains(&format!("\n### `{}`\n", section.path_of(key.name))));
        let document = section.document(key.example);
        assert_eq!(text.contains(&document), key.status != Status::NotBuilt);
    }
}
