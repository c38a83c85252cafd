//! `meseta keys` on files, byte for byte.

#[path = "support/place.rs"]
mod place;

use std::fmt::Write;
use std::os::unix::fs::PermissionsExt;

use place::{Place, Run};
use sha2::{Digest, Sha256};

const CONFIG: &str = "\
# Everything that we run.
model_providers:
  - {model: ollama/llama3.2}
models:
  smart: {targets: [ollama/llama3.2]}   # what people ask for
limits:
  - {name: per-key, unit: requests, limit: 100, per: minute}
keys:
  # The search page; ask Ada before you touch it.
  - name: search
    hash: sha256:90dc80b6a30157ea270d6fa7e7514ae9ca8fbef699c82da413d6147c32cc61f4
    labels: {team: search}

# The server itself.
server: {log: text}
";

fn place() -> Place {
    let place = Place::new();
    place.file("meseta.yaml", CONFIG);
    place
}

fn text(place: &Place) -> String {
    std::fs::read_to_string(place.path().join("meseta.yaml")).unwrap()
}

fn hash(key: &str) -> String {
    let mut text = "sha256:".to_owned();
    for byte in Sha256::digest(key) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// The key that a run has printed, and nothing else on standard output.
fn key(run: &Run) -> &str {
    let key = run.stdout.strip_suffix('\n').unwrap();
    assert!(key.starts_with("mk-") && key.len() == 46, "{run:?}");
    assert!(!run.stderr.contains(key), "{}", run.stderr);
    key
}

fn check(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text.trim_end()));
}

#[test]
fn a_key_is_printed_once_and_its_hash_is_all_that_the_file_gets() {
    let place = place();
    let path = place.path().join("meseta.yaml");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let run = place.run(&[
        "keys",
        "create",
        "alice",
        "--models",
        "smart,ollama/*",
        "--limits",
        "per-key",
        "--expires",
        "2999-12-31T00:00:00Z",
        "--label",
        "team=ml",
        "--label",
        "note=a: b",
    ]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stderr.starts_with("added `alice` to meseta.yaml\n"));
    let entry = format!(
        "  - name: alice\n    hash: {}\n    models: [smart, \"ollama/*\"]\n    limits: [per-key]\n    \
         expires: \"2999-12-31T00:00:00Z\"\n    labels: {{team: ml, note: \"a: b\"}}\n",
        hash(key(&run))
    );
    let at = "    labels: {team: search}\n";
    assert_eq!(text(&place), CONFIG.replace(at, &format!("{at}{entry}")));
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o640);

    let run = place.run(&["keys", "revoke", "alice"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(text(&place), CONFIG);
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1);
}

#[test]
fn the_first_key_of_a_file_is_told_to_close_it_and_the_last_one_stays_unless_told_otherwise() {
    let place = Place::new();
    let before = "model_providers: [{model: ollama/llama3.2}]\n";
    place.file("meseta.yaml", before);
    let run = place.run(&["keys", "create", "alice"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(
        run.stderr.contains("each request needs a key"),
        "{}",
        run.stderr
    );
    let hash = hash(key(&run));
    let after = format!("{before}keys:\n  - name: alice\n    hash: {hash}\n");
    assert_eq!(text(&place), after);

    let run = place.run(&["keys", "revoke", "alice"]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("--leave-none"), "{}", run.stderr);
    assert_eq!(text(&place), after);
    let run = place.run(&["keys", "revoke", "alice", "--leave-none"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(text(&place), format!("{before}keys: []\n"));

    let run = place.run(&["keys", "create", "bob"]);
    assert!(!run.stderr.contains("warning"), "{}", run.stderr);
    assert!(text(&place).starts_with(&format!("{before}keys:\n  - name: bob\n")));
}

#[test]
fn a_file_that_would_not_load_is_not_written() {
    let place = place();
    for (arguments, reason) in [
        (
            &["create", "bob", "--models", "smrt"][..],
            "did you mean `smart`",
        ),
        (
            &["create", "bob", "--limits", "per-kye"],
            "did you mean `per-key`",
        ),
        (&["create", "two words"], "is no name for a consumer"),
        (&["create", "search"], "there is a key for `search` already"),
        (
            &["create", "bob", "--expires", "2001-01-01T00:00:00Z"],
            "has passed",
        ),
        (&["create", "bob", "--label", "team"], "name=value"),
        (
            &["revoke", "bob"],
            "there is no key for `bob` in meseta.yaml",
        ),
    ] {
        let run = place.run(&[&["keys"], arguments].concat());
        assert_eq!(run.code, Some(2), "{arguments:?}: {}", run.stderr);
        assert_eq!(run.stdout, "", "{arguments:?}");
        assert!(run.stderr.contains(reason), "{arguments:?}: {}", run.stderr);
        assert_eq!(text(&place), CONFIG, "{arguments:?}");
    }
}

#[test]
fn a_key_that_the_rest_of_the_file_needs_stays() {
    let place = place();
    let needed = CONFIG.replace("per: minute}", "per: minute, match: {consumer: search}}");
    place.file("meseta.yaml", &needed);
    let run = place.run(&["keys", "create", "bob"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let before = text(&place);
    let run = place.run(&["keys", "revoke", "search"]);
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    assert!(
        run.stderr.contains("limits[0].match.consumer"),
        "{}",
        run.stderr
    );
    assert_eq!(text(&place), before);
}

#[test]
fn a_limit_that_means_others_from_now_on_is_told() {
    let place = place();
    let run = place.run(&["keys", "create", "alice", "--limits", "per-key"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let expected =
        "warning: the limit `per-key` was for all and is now for the keys alone that name it";
    assert!(run.stderr.contains(expected), "{}", run.stderr);
    let run = place.run(&["keys", "revoke", "alice"]);
    let expected = "warning: no key names the limit `per-key` any more: it is for all now";
    assert!(run.stderr.contains(expected), "{}", run.stderr);
    assert_eq!(text(&place), CONFIG);
}

#[test]
fn a_list_in_another_form_is_left_to_its_owner_with_the_entry_to_add() {
    let place = Place::new();
    let before = "model_providers: [{model: ollama/x}]\nkeys: [{name: a, hash: \
                  sha256:90dc80b6a30157ea270d6fa7e7514ae9ca8fbef699c82da413d6147c32cc61f4}]\n";
    place.file("meseta.yaml", before);
    let run = place.run(&["keys", "create", "bob"]);
    assert_eq!(run.code, Some(2));
    let hash = hash(key(&run));
    let expected = format!(
        "  - name: bob\n    hash: {hash}\nerror: `meseta.yaml` is unchanged: its `keys` are written in a form that \
         is not edited here\nhint: add the entry above to `keys`; the key for it has been printed\n"
    );
    assert_eq!(run.stderr, expected);
    let run = place.run(&["keys", "revoke", "a", "--leave-none"]);
    assert_eq!(run.code, Some(2));
    assert!(
        run.stderr.contains("take the entry of `a` out"),
        "{}",
        run.stderr
    );
    assert_eq!(text(&place), before);
}

#[test]
fn printing_changes_no_file_and_needs_none() {
    let place = place();
    let run = place.run(&["keys", "create", "bob", "--print", "--limits", "per-key"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let entry = format!(
        "  - name: bob\n    hash: {}\n    limits: [per-key]\n",
        hash(key(&run))
    );
    assert_eq!(run.stderr, entry);
    assert_eq!(text(&place), CONFIG);
    assert_eq!(
        place.run(&["keys", "create", "search", "--print"]).code,
        Some(2)
    );
    let nowhere = Place::new();
    assert_eq!(
        nowhere.run(&["keys", "create", "bob", "--print"]).code,
        Some(0)
    );
    assert_eq!(nowhere.run(&["keys", "create", "bob"]).code, Some(2));
}

#[test]
fn keys_are_listed_without_their_hashes() {
    let place = place();
    let more = "    labels: {team: search}\n  - name: old\n    hash: \
                sha256:01dc80b6a30157ea270d6fa7e7514ae9ca8fbef699c82da413d6147c32cc61f4\n    models: [smart, ollama/*]\n    \
                limits: [per-key]\n    expires: \"2020-02-29T12:00:00+01:00\"\n";
    place.file(
        "meseta.yaml",
        &CONFIG.replace("    labels: {team: search}\n", more),
    );
    let mut shown = String::new();
    for arguments in [&["keys", "list"][..], &["keys", "list", "--hashes"]] {
        let run = place.run(arguments);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        let _ = writeln!(shown, "$ meseta {}\n{}", arguments.join(" "), run.stdout);
    }
    check("keys_list", &shown);
    place.file("meseta.yaml", "model_providers: [{model: ollama/x}]\n");
    assert!(place
        .run(&["keys", "list"])
        .stdout
        .contains("whoever reaches a listener"));
    place.file(
        "meseta.yaml",
        "model_providers: [{model: ollama/x}]\nkeys: []\n",
    );
    assert!(place
        .run(&["keys", "list"])
        .stdout
        .contains("nobody may pass"));
}
