//! What the documentation shows is so: every YAML block and every example loads, every link leads
//! somewhere. (`envoy.rs` shows what is meant for Envoy to Envoy.)
//!
//! A block whose fence says `yaml` is a whole configuration. The fence may say otherwise:
//! `yaml fragment` (some keys of one, or some providers), `yaml envoy` (Envoy's configuration) or
//! `yaml compose` (a file of Docker Compose).

#[path = "support/markdown.rs"]
mod markdown;

use std::path::{Path, PathBuf};

use markdown::{files, root, shown, split, Block};
use meseta_config::{bootstrap, load, snippet, AccessLog, Config, RenderOptions, Source};
use serde_yaml::Value;

/// What fragments are completed with.
const PROVIDERS: &str = "
model_providers:
  - {model: openai/gpt-4o, access_key: $OPENAI_API_KEY}
  - {model: ollama/*}
";

/// What fragments with keys are completed with.
const LIMITS: &str = "
limits: [{name: per-key, unit: tokens, limit: 100000, per: minute}]
";
const MODELS: &str = "
models: {smart: {targets: [openai/gpt-4o]}}
";

/// Loads with every variable set and every file there.
fn read(place: &str, text: &str) -> Config {
    let source = Source {
        text,
        name: place,
        // Keys, and one variable that is an address.
        env: &|name| (!name.ends_with("_ENDPOINT")).then(|| format!("value-of-{name}")),
        dir: Path::new("/etc/meseta"),
        file: &|_| Ok("content-of-a-file\n".to_owned()),
    };
    load(&source).unwrap_or_else(|problems| panic!("{place}: {problems}"))
}

fn yaml(block: &Block) -> Value {
    serde_yaml::from_str(&block.text).unwrap_or_else(|error| panic!("{}: {error}", block.place))
}

/// A fragment as a whole configuration.
fn completed(block: &Block) -> String {
    let text = &block.text;
    match yaml(block) {
        // Some providers, as they stand in their list.
        Value::Sequence(_) => format!("model_providers:\n{text}"),
        Value::Mapping(map) => {
            let has = |name: &str| map.contains_key(name);
            let mut text = text.clone();
            if !has("model_providers") && !has("llm_providers") {
                text.push_str(PROVIDERS);
            }
            if has("keys") && !has("limits") {
                text.push_str(LIMITS);
            }
            if has("keys") && !has("models") {
                text.push_str(MODELS);
            }
            text
        }
        _ => panic!("{}: neither keys nor a list", block.place),
    }
}

fn texts() -> Vec<PathBuf> {
    let mut texts = files("docs", "md");
    let top = std::fs::read_dir(root()).unwrap();
    let top = top.map(|entry| entry.unwrap().path());
    texts.extend(top.filter(|path| path.extension().is_some_and(|is| is == "md")));
    texts.extend(["demo", "tests"].map(|place| root().join(place).join("README.md")));
    texts
}

#[test]
fn every_yaml_block_is_what_its_fence_says() {
    let mut whole = 0;
    for path in texts() {
        let (blocks, _) = split(&path);
        for block in blocks {
            let fence: Vec<&str> = block.fence.iter().map(String::as_str).collect();
            match fence[..] {
                ["yaml"] => {
                    read(&block.place, &block.text);
                    whole += 1;
                }
                ["yaml", "fragment"] => {
                    read(&block.place, &completed(&block));
                }
                ["yaml", "envoy"] => {
                    assert!(yaml(&block).is_mapping(), "{}", block.place);
                }
                ["yaml", "compose"] => {
                    assert!(yaml(&block)["services"].is_mapping(), "{}", block.place);
                }
                ["yaml" | "yml", ..] => panic!("{}: what is {fence:?}?", block.place),
                _ => {}
            }
        }
    }
    assert!(whole >= 5, "only {whole} whole configurations are shown");
}

#[test]
fn every_example_loads_without_a_notice_and_renders_without_a_secret() {
    let examples = files("docs/examples", "yaml");
    assert!(examples.len() >= 5, "{examples:?}");
    let options = RenderOptions {
        server: "unix:/run/meseta/server.sock".parse().unwrap(),
        filter: PathBuf::from("/etc/envoy/meseta_meter.wasm"),
        admin: "tcp:127.0.0.1:9901".parse().unwrap(),
        access_log: AccessLog::Stdout,
        egress: None,
    };
    for path in examples {
        let place = shown(&path);
        let config = read(&place, &std::fs::read_to_string(&path).unwrap());
        assert!(config.notices.is_empty(), "{place}: {:?}", config.notices);
        assert!(!config.listeners.is_empty(), "{place}");
        for text in [bootstrap(&config, &options), snippet(&config, &options)] {
            assert!(!text.contains("value-of-"), "{place}: a variable is shown");
            assert!(!text.contains("content-of-"), "{place}: a file is shown");
        }
    }
}

#[test]
fn every_example_is_linked_in_the_documentation() {
    let index = std::fs::read_to_string(root().join("docs/README.md")).unwrap();
    let guides = files("docs/guide", "md");
    let examples = files("docs/examples", "yaml");
    for path in guides.into_iter().chain(examples) {
        let path = shown(&path);
        let link = format!("]({})", path.trim_start_matches("docs/"));
        assert!(index.contains(&link), "docs/README.md does not link {path}");
    }
}

#[test]
fn the_guide_to_providers_has_each_of_them_with_its_variables() {
    let guide = std::fs::read_to_string(root().join("docs/guide/providers.md")).unwrap();
    for entry in hermesllm::providers::catalogue().iter() {
        let name = entry.id.as_str();
        let as_word = guide.contains(&format!("`{name}`"));
        let as_entry = guide.contains(&format!("model: {name}/"));
        assert!(as_word || as_entry, "{name}");
        for variable in entry.key_env {
            assert!(guide.contains(&format!("`{variable}`")), "{variable}");
        }
        if entry.base_url.is_none() {
            assert!(as_entry, "{name} needs an example: it has no address");
        }
    }
}

#[test]
fn every_link_within_the_repository_leads_somewhere() {
    let mut checked = 0;
    for path in texts() {
        let (_, prose) = split(&path);
        for link in links(&prose) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            checked += 1;
            let (file, anchor) = match link.split_once('#') {
                Some((file, anchor)) => (file, Some(anchor)),
                None => (link, None),
            };
            let target = match file {
                "" => path.clone(),
                file => path.parent().unwrap().join(file),
            };
            let place = shown(&path);
            assert!(target.exists(), "{place}: there is no `{link}`");
            if let Some(anchor) = anchor {
                let (_, prose) = split(&target);
                let mut headings = prose.lines().filter(|line| line.starts_with('#'));
                let found = headings.any(|heading| slug(heading) == anchor);
                assert!(found, "{place}: there is no heading for `{link}`");
            }
        }
    }
    assert!(checked >= 10, "only {checked} links were checked");
}

/// What stands in `](…)`.
fn links(prose: &str) -> impl Iterator<Item = &str> {
    let ends = prose.split("](").skip(1);
    ends.filter_map(|rest| rest.split(')').next())
        .filter(|link| !link.contains(char::is_whitespace))
}

/// How a heading is called in a link: lower case, words joined by `-`.
fn slug(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter_map(|c| match c {
        ' ' => Some('-'),
        c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
        _ => None,
    });
    kept.collect()
}
