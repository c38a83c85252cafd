//! The commands that start nothing, run as a user runs them: exit codes, standard output, standard error.

#![allow(clippy::print_stderr, reason = "a skipped test is seen")]

#[path = "support/place.rs"]
mod place;

use place::{Place, Run};

/// One provider whose key comes from the environment, an alias, a port that the system picks.
const GOOD: &str = "\
listeners:
  - {name: model, type: model, address: 127.0.0.1, port: 0}
model_providers:
  - {model: openai/gpt-4o-mini, access_key: $OPENAI_API_KEY, default: true}
model_aliases:
  fast: {target: openai/gpt-4o-mini}
";

fn ran(code: i32, stdout: &str, stderr: &str) -> Run {
    Run {
        code: Some(code),
        stdout: stdout.to_owned(),
        stderr: stderr.to_owned(),
    }
}

#[test]
fn validate_says_ok_and_nothing_else_about_a_good_file() {
    let mut place = Place::new();
    place.variable("OPENAI_API_KEY", "sk-place");
    place.file("meseta.yaml", GOOD);
    assert_eq!(place.run(&["validate"]), ran(0, "ok\n", ""));
    assert_eq!(place.run(&["validate", "meseta.yaml"]), ran(0, "ok\n", ""));
}

#[test]
fn validate_finds_files_by_their_names_in_order() {
    let mut place = Place::new();
    place.variable("OPENAI_API_KEY", "sk-place");
    place.file("arch_config.yaml", GOOD);
    assert_eq!(place.run(&["validate"]).code, Some(0));
    place.file("plano_config.yaml", "listeners: 7\n");
    let run = place.run(&["validate"]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("plano_config.yaml"), "{}", run.stderr);
    place.file("meseta.yaml", GOOD);
    assert_eq!(place.run(&["validate"]).code, Some(0));
}

#[test]
fn no_file_at_all_names_what_was_looked_for() {
    let expected = "\
error: no configuration file here: looked for `meseta.yaml`, `plano_config.yaml`, `arch_config.yaml`
hint: name the file, or run `meseta up` without one to use the providers whose keys are set
";
    let place = Place::new();
    for arguments in [&["validate"][..], &["render", "envoy"], &["serve"]] {
        assert_eq!(place.run(arguments), ran(2, "", expected), "{arguments:?}");
    }
}

#[test]
fn a_missing_file_is_named_with_the_reason() {
    let place = Place::new();
    let expected = "error: cannot read `absent.yaml`: No such file or directory (os error 2)\n";
    assert_eq!(
        place.run(&["validate", "absent.yaml"]),
        ran(2, "", expected)
    );
    assert_eq!(place.run(&["up", "absent.yaml"]), ran(2, "", expected));
    let serve = place.run(&["serve", "--config", "absent.yaml"]);
    assert_eq!(serve, ran(2, "", expected));
}

#[test]
fn text_that_is_no_yaml_is_one_problem_with_its_place() {
    let place = Place::new();
    place.file("bad.yaml", "listeners: [\n");
    let run = place.run(&["validate", "bad.yaml"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""));
    assert!(
        run.stderr.starts_with("error: bad.yaml: 1 problem\n"),
        "{}",
        run.stderr
    );
    assert!(run.stderr.contains("line"), "{}", run.stderr);
}

#[test]
fn all_problems_of_a_file_are_printed_at_once() {
    let place = Place::new();
    place.file(
        "bad.yaml",
        "\
model_providers:
  - {model: openai/gpt-4o, acess_key: $OPENAI_API_KEY}
model_aliases:
  fast: {target: nowhere}
server: {drain_timeout: soon}
",
    );
    let run = place.run(&["validate", "bad.yaml"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""));
    for expected in [
        "error: bad.yaml: 3 problems\n",
        "\n  model_providers[0].acess_key",
        "access_key",
        "\n  model_aliases.fast.target = nowhere\n",
        "\n  server.drain_timeout = soon\n",
    ] {
        assert!(run.stderr.contains(expected), "{expected}: {}", run.stderr);
    }
}

#[test]
fn a_missing_key_and_what_is_not_built_are_told_without_failing() {
    let place = Place::new();
    place.file("meseta.yaml", &format!("{GOOD}agents: []\n"));
    let run = place.run(&["validate"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "ok\n"));
    let told = |text: &str| run.stderr.lines().any(|line| line.starts_with(text));
    assert!(told("not yet active: agents"), "{}", run.stderr);
    assert!(
        told("warning: ") && run.stderr.contains("OPENAI_API_KEY"),
        "{}",
        run.stderr
    );
}

#[test]
fn a_dotenv_file_beside_the_configuration_or_here_gives_what_the_environment_does_not() {
    let mut place = Place::new();
    place.file("sub/meseta.yaml", GOOD);
    let missing = |place: &Place| {
        let run = place.run(&["validate", "sub/meseta.yaml"]);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        run.stderr.contains("OPENAI_API_KEY")
    };
    assert!(missing(&place));
    place.file(".env", "# keys\nexport OPENAI_API_KEY='sk-here' # mine\n");
    assert!(!missing(&place));
    std::fs::remove_file(place.path().join(".env")).unwrap();
    place.file(
        "sub/.env",
        "OPENAI_API_KEY=\"sk-beside\"\nsk-not-an-assignment\n",
    );
    let run = place.run(&["validate", "sub/meseta.yaml"]);
    let expected = "warning: <dir>/sub/.env:2: ignored: it is not NAME=value\n";
    assert_eq!(run, ran(0, "ok\n", expected));
    place.variable("OPENAI_API_KEY", "");
    assert!(missing(&place), "what is set to nothing stays so");
}

#[test]
fn a_rendered_bootstrap_goes_to_standard_output_and_holds_no_secret() {
    let mut place = Place::new();
    place.variable("OPENAI_API_KEY", "sk-never-rendered");
    place.file("meseta.yaml", GOOD);
    let run = place.run(&[
        "render",
        "envoy",
        "--server",
        "unix:/run/m.sock",
        "--filter",
        "/lib/f.wasm",
        "--admin",
        "unix:/run/admin.sock",
        "--access-log",
        "/var/log/access.log",
    ]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    for expected in [
        "static_resources:",
        "/run/m.sock",
        "/lib/f.wasm",
        "/run/admin.sock",
        "/var/log/access.log",
        "x-meseta-cluster",
        "api.openai.com",
    ] {
        assert!(run.stdout.contains(expected), "{expected}: {}", run.stdout);
    }
    assert!(!run.stdout.contains("sk-never-rendered"));
}

#[test]
fn a_snippet_is_a_part_of_what_the_bootstrap_has() {
    let mut place = Place::new();
    place.variable("OPENAI_API_KEY", "sk-place");
    place.file("meseta.yaml", GOOD);
    let run = place.run(&[
        "render",
        "envoy",
        "--snippet",
        "--server",
        "tcp:127.0.0.1:9901",
    ]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    assert!(
        run.stdout.contains("FULL_DUPLEX_STREAMED"),
        "{}",
        run.stdout
    );
    assert!(!run.stdout.contains("\nadmin:"), "{}", run.stdout);
}

#[test]
fn an_address_that_is_none_is_refused_before_anything_else() {
    let place = Place::new();
    let run = place.run(&["render", "envoy", "--server", "http://x"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""));
    assert!(
        run.stderr
            .contains("'--server <unix:PATH|tcp:ADDRESS:PORT>'"),
        "{}",
        run.stderr
    );
}

#[test]
fn version_tells_the_release_and_the_filter() {
    let place = Place::new();
    let run = place.run(&["version"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    let release = format!("meseta {}\n", env!("CARGO_PKG_VERSION"));
    assert!(
        run.stdout.starts_with(&format!("{release}filter ")),
        "{}",
        run.stdout
    );
    assert_eq!(place.run(&["--version"]), ran(0, &release, ""));
}

#[test]
fn the_filter_is_written_as_version_describes_it_or_its_absence_is_told() {
    let place = Place::new();
    let version = place.run(&["version"]).stdout;
    let run = place.run(&["render", "filter", "--output", "f.wasm"]);
    if version.contains("filter none") {
        let expected =
            "error: this build carries no filter: run `cargo xtask wasm` and build again\n";
        assert_eq!(run, ran(1, "", expected));
        return;
    }
    let wasm = std::fs::read(place.path().join("f.wasm")).unwrap();
    assert!(wasm.starts_with(b"\0asm"));
    assert!(
        version.contains(&format!("filter {} bytes, ", wasm.len())),
        "{version}"
    );
    let told = format!("wrote {} bytes to f.wasm\n", wasm.len());
    assert_eq!(run, ran(0, "", &told));
}

#[test]
fn up_without_a_file_or_a_key_names_the_variables_it_looks_for() {
    if std::net::TcpStream::connect("127.0.0.1:11434").is_ok() {
        eprintln!("skipped: something listens where Ollama does");
        return;
    }
    let run = Place::new().run(&["up"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""));
    for expected in ["OPENAI_API_KEY", "ANTHROPIC_API_KEY", "Ollama", "\nhint: "] {
        assert!(run.stderr.contains(expected), "{expected}: {}", run.stderr);
    }
}

#[test]
fn down_and_status_of_nothing_are_told_apart_by_their_exit_codes() {
    let place = Place::new();
    let told = "nothing runs (state directory <dir>/.local/state/meseta)\n";
    assert_eq!(place.run(&["down"]), ran(0, "", told));
    assert_eq!(
        place.run(&["status"]),
        ran(3, "", &format!("error: {told}"))
    );
    assert!(
        !place.path().join(".local").exists(),
        "asking creates nothing"
    );
    let told = "nothing runs (state directory <dir>/s)\n";
    assert_eq!(place.run(&["down", "--state-dir", "s"]), ran(0, "", told));
}
