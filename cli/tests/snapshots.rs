//! What commands print, whole: exit code, standard output, standard error. The expected texts are the files in `snapshots/`.
//!
//! To renew them: `INSTA_UPDATE=always cargo test -p meseta --test snapshots`, then read the difference.

#![allow(clippy::print_stderr, reason = "a skipped test is seen")]

#[path = "support/instance.rs"]
mod instance;
#[path = "support/place.rs"]
mod place;

use std::fmt::Write;
use std::path::Path;

use instance::{Instance, CONFIG};
use place::{Place, Run};

/// Compares a text with the file of that name.
fn check(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

/// A run as people would show it to each other.
fn shown(arguments: &[&str], run: &Run) -> String {
    let mut text = format!("$ meseta {}\n", arguments.join(" "));
    for (stream, said) in [("stdout", &run.stdout), ("stderr", &run.stderr)] {
        if !said.is_empty() {
            let _ = writeln!(text, "--- {stream}");
            text.push_str(said);
        }
        if !said.is_empty() && !said.ends_with('\n') {
            text.push_str("(no line feed)\n");
        }
    }
    let code = run
        .code
        .map_or("by a signal".to_owned(), |code| code.to_string());
    let _ = writeln!(text, "--- exit code {code}");
    text
}

/// Runs one command and compares all of it.
fn snapshot(name: &str, place: &Place, arguments: &[&str]) {
    let run = place.run(arguments);
    check(name, &shown(arguments, &run));
}

/// Several runs, one after the other.
fn snapshots(name: &str, place: &Place, runs: &[&[&str]]) {
    let texts: Vec<String> = runs
        .iter()
        .map(|arguments| shown(arguments, &place.run(arguments)))
        .collect();
    check(name, &texts.join("\n"));
}

#[test]
fn validate_of_a_good_file() {
    let mut place = Place::new();
    place.variable("OPENAI_API_KEY", "sk-place");
    place.file("meseta.yaml", CONFIG);
    snapshot("validate_ok", &place, &["validate"]);
}

#[test]
fn validate_of_a_file_with_notices() {
    let place = Place::new();
    place.file(
        "meseta.yaml",
        "\
version: v0.4.0
listeners:
  - {name: model, type: model, address: 0.0.0.0, port: 12000}
  - {name: agents, type: agent, port: 8001, agents: [{id: a}]}
model_providers:
  - {model: openai/gpt-4o-mini, access_key: $OPENAI_API_KEY}
  - {model: anthropic/claude-sonnet-4-5, access_key_file: keys/anthropic}
  - {model: groq/llama-3.1-8b-instant, access_key: gsk-in-the-file}
ratelimits: []
tracing: {random_sampling: 50}
",
    );
    snapshot("validate_notices", &place, &["validate"]);
}

#[test]
fn validate_of_a_file_with_problems() {
    let mut place = Place::new();
    place.variable("OPENAI_API_KEY", "sk-place");
    place.file(
        "bad.yaml",
        "\
listeners:
  - {name: model, port: 70000}
  - {name: model, type: modle, port: 12000}
model_providers:
  - {model: openai/gpt-4o, acess_key: $OPENAI_API_KEY}
  - {model: gpt-4o}
  - {model: openai/gpt-4o, base_url: 'ftp://x'}
model_aliases:
  fast: {target: nowhere}
server: {drain_timeout: soon, limits: {}}
",
    );
    snapshot("validate_problems", &place, &["validate", "bad.yaml"]);
}

#[test]
fn validate_of_what_is_no_configuration() {
    let place = Place::new();
    place.file("open.yaml", "listeners: [\n");
    place.file("list.yaml", "- a\n- b\n");
    place.file("empty.yaml", "");
    place.file("twice.yaml", "listeners: []\nlisteners: []\n");
    std::fs::write(place.path().join("latin.yaml"), b"# caf\xe9\n").unwrap();
    std::fs::create_dir(place.path().join("directory.yaml")).unwrap();
    snapshots(
        "validate_no_configuration",
        &place,
        &[
            &["validate", "open.yaml"],
            &["validate", "list.yaml"],
            &["validate", "empty.yaml"],
            &["validate", "twice.yaml"],
            &["validate", "latin.yaml"],
            &["validate", "directory.yaml"],
            &["validate", "absent.yaml"],
            &["validate"],
        ],
    );
}

#[test]
fn validate_of_every_plano_file() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let planos = std::env::var_os("MESETA_PLANO_CONFIGS").map_or_else(
        || repository.join("../shared/reference/plano-configs"),
        Into::into,
    );
    let Ok(entries) = std::fs::read_dir(&planos) else {
        eprintln!("skipped: no Plano configurations in {}", planos.display());
        return;
    };
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".yaml") && name != "SCHEMA.yaml")
        .collect();
    names.sort();
    let place = Place::new();
    let mut texts = Vec::new();
    for name in &names {
        std::fs::copy(planos.join(name), place.path().join(name)).unwrap();
        let arguments = ["validate", name];
        texts.push(shown(&arguments, &place.run(&arguments)));
    }
    check("validate_plano", &texts.join("\n"));
}

/// The renderings of one small configuration.
fn render(name: &str, further: &[&str]) {
    let mut place = Place::new();
    place.variable("OPENAI_API_KEY", "sk-place");
    place.file("meseta.yaml", &CONFIG.replace("port: 0}", "port: 12000}"));
    let mut arguments = vec![
        "render",
        "envoy",
        "--server",
        "unix:/run/meseta/server.sock",
        "--filter",
        "/usr/lib/meseta/meseta_meter.wasm",
    ];
    arguments.extend(further);
    snapshot(name, &place, &arguments);
}

#[test]
fn the_bootstrap_of_a_small_configuration() {
    render("render_envoy", &[]);
}

#[test]
fn the_snippet_of_a_small_configuration() {
    render("render_envoy_snippet", &["--snippet"]);
}

#[test]
fn the_bootstrap_that_takes_its_resources_from_files() {
    render("render_envoy_xds", &["--xds", "/run/meseta/xds"]);
}

#[test]
fn wrong_usage() {
    let place = Place::new();
    snapshots(
        "wrong_usage",
        &place,
        &[
            &[],
            &["frobnicate"],
            &["up", "--nonsense"],
            &["up", "a.yaml", "b.yaml"],
            &["validate", "--json"],
            &["render"],
            &["render", "envoy", "--snippet", "--xds", "d"],
            &["serve", "--listen", "12000"],
            &["logs", "noise"],
            &["logs", "-n", "many"],
        ],
    );
}

#[test]
fn up_where_nothing_can_be_written() {
    let mut place = Place::new();
    place.variable("OPENAI_API_KEY", "sk-place");
    if place.run(&["version"]).stdout.contains("filter none") {
        eprintln!("skipped: this build carries no filter");
        return;
    }
    place.file("meseta.yaml", CONFIG);
    place.file("file", "");
    let long = format!("/tmp/{}", "x".repeat(120));
    snapshots(
        "up_nowhere",
        &place,
        &[
            &["up", "--state-dir", "file"],
            &["up", "--state-dir", &long],
            &["up", "--state-dir", "s", "--envoy", "file"],
        ],
    );
    place.variable("HOME", &place.path().join("file").display().to_string());
    snapshot("up_without_a_home", &place, &["up"]);
}

#[test]
fn what_is_said_when_nothing_runs() {
    let place = Place::new();
    snapshots(
        "nothing_runs",
        &place,
        &[
            &["status", "--state-dir", "s"],
            &["status", "--state-dir", "s", "--json"],
            &["down", "--state-dir", "s"],
            &["logs", "--state-dir", "s"],
            &["logs", "--state-dir", "s", "access"],
            &["logs", "--state-dir", "s", "--follow"],
        ],
    );
    place.file(
        "s/logs/supervisor.log",
        "error: envoy ended\n  | of old age\n",
    );
    snapshots(
        "nothing_runs_any_more",
        &place,
        &[
            &["status", "--state-dir", "s"],
            &["status", "--state-dir", "s", "--json"],
            &["down", "--state-dir", "s"],
            &["logs", "--state-dir", "s"],
            &["logs", "--state-dir", "s", "access"],
        ],
    );
}

#[test]
fn logs_of_all_and_of_one() {
    let place = Place::new();
    place.file("s/logs/supervisor.log", "");
    place.file("s/logs/server.log", "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n");
    place.file("s/logs/envoy.log", "[warning] one\n[warning] two");
    place.file("s/logs/access.log", "{\"path\":\"/v1/models\"}\n");
    snapshots(
        "logs",
        &place,
        &[
            &["logs", "--state-dir", "s"],
            &["logs", "--state-dir", "s", "-n", "1"],
            &["logs", "--state-dir", "s", "--lines", "2", "server"],
            &["logs", "--state-dir", "s", "envoy"],
            &["logs", "--state-dir", "s", "-n", "0", "access"],
        ],
    );
}

/// What differs from run to run, and what it is called.
fn named(instance: &Instance, text: &str) -> String {
    let record = instance.record();
    let mut names = vec![(
        record["listeners"][0]["bound"].as_str().unwrap().to_owned(),
        "<listener>",
    )];
    names.push((record["admin"].as_str().unwrap().to_owned(), "<admin>"));
    for (process, name) in [
        ("supervisor", "<supervisor>"),
        ("server", "<server>"),
        ("envoy", "<envoy>"),
    ] {
        names.push((format!("pid {}", instance.pid(process)), name));
        names.push((format!("\"pid\": {},", instance.pid(process)), name));
    }
    // A number may begin with another one.
    names.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
    let mut text = text.to_owned();
    for (value, name) in names {
        text = text.replace(&value, name);
    }
    for seconds in 0..60 {
        text = text.replace(&format!(", for {seconds}s"), ", for <age>");
        text = text.replace(&format!("\"uptime_seconds\": {seconds}\n"), "<age>\n");
    }
    text
}

#[test]
fn the_life_of_an_instance() {
    let Some(instance) = Instance::new() else {
        return;
    };
    let Instance(place) = &instance;
    // A second provider, whose key is not there.
    let providers = "model_providers:\n  - {model: anthropic/claude-sonnet-4-5}\n";
    place.file(
        "meseta.yaml",
        &CONFIG.replace("model_providers:\n", providers),
    );
    place.file("other.yaml", CONFIG);
    let mut texts = Vec::new();
    for arguments in [
        &["up", "--state-dir", "s"][..],
        &["up", "--state-dir", "s"],
        &["up", "--state-dir", "s", "other.yaml"],
        &["up", "--state-dir", "s", "--foreground"],
        &["up", "--state-dir", "s", "--", "--concurrency", "1"],
        &["status", "--state-dir", "s"],
        &["status", "--state-dir", "s", "--json"],
        &["logs", "--state-dir", "s", "supervisor"],
    ] {
        let run = place.run(arguments);
        texts.push(named(&instance, &shown(arguments, &run)));
    }
    for arguments in [
        &["down", "--state-dir", "s"][..],
        &["down", "--state-dir", "s"],
        &["status", "--state-dir", "s"],
    ] {
        texts.push(shown(arguments, &place.run(arguments)));
    }
    check("life_of_an_instance", &texts.join("\n"));
}

#[test]
fn an_envoy_that_does_not_start() {
    let Some(instance) = Instance::new() else {
        return;
    };
    let Instance(place) = &instance;
    let script = place.file("envoy", "#!/bin/sh\necho 'envoy  version: 0/1.40.0/Clean/RELEASE/BoringSSL'\n[ \"$1\" = --version ] && exit\necho 'the last word' >&2\nexit 7\n");
    let mut mode = std::fs::metadata(&script).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut mode, 0o755);
    std::fs::set_permissions(&script, mode).unwrap();
    snapshots(
        "up_crash",
        place,
        &[
            &["up", "--state-dir", "s", "--envoy", "envoy"],
            &["status", "--state-dir", "s"],
        ],
    );
}

#[test]
fn limits_of_a_configuration() {
    let place = Place::new();
    place.file(
        "meseta.yaml",
        "\
model_providers: [{model: ollama/x}]
models: {smart: {targets: [ollama/x]}}
limits:
  - {name: per-key, unit: tokens, limit: 100000, per: minute, burst: 200000}
  - {name: all, unit: requests, limit: 10, per: second}
  - {name: teams, unit: input_tokens, limit: 1000, per: day, match: {header: x-team, model: [smart, 'ollama/*']}}
  - {name: red, unit: requests, limit: 5, per: month, match: {header: {x-team: red-and-secret}, provider: ollama}}
  - {name: alone, unit: requests, limit: 5, per: hour, match: {consumer: alice, claim: jwt_payload.sub}}
keys:
  - name: alice
    hash: sha256:90dc80b6a30157ea270d6fa7e7514ae9ca8fbef699c82da413d6147c32cc61f4
    limits: [per-key]
",
    );
    place.file("none.yaml", "model_providers: [{model: ollama/x}]\n");
    snapshots(
        "limits_list",
        &place,
        &[
            &["limits", "list"],
            &["limits", "list", "--config", "none.yaml"],
        ],
    );
}
