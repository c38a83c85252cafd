//! Files before and after, byte for byte.

use proptest::prelude::*;

use super::*;

const PROVIDERS: &str = "model_providers: [{model: ollama/x}]\n";

fn entry(name: &str) -> Entry {
    Entry {
        name: name.to_owned(),
        hash: format!("sha256:{}", "ab".repeat(32)),
        models: vec![],
        limits: vec![],
        expires: None,
        labels: vec![],
    }
}

fn key(name: &str, digits: &str) -> String {
    format!("name: {name}\n    hash: sha256:{}", digits.repeat(32))
}

#[test]
fn an_entry_comes_after_the_last_one_and_comments_stay_where_they_are() {
    let one = key("one", "01");
    let before = format!(
        "# ours\nkeys:   # of clients\n  # the first\n  - {one}\n    # until it moves\n\n# providers\n{PROVIDERS}"
    );
    let added = "  - name: new\n    hash: sha256:".to_owned() + &"ab".repeat(32) + "\n";
    let after = before.replace("    # until", &format!("{added}    # until"));
    assert_eq!(add(&before, &entry("new")).unwrap(), after);
    assert_eq!(remove(&after, 1).unwrap(), before);
    assert!(add(&before, &entry("new")).is_some());
}

#[test]
fn a_list_that_is_not_there_is_put_at_the_end() {
    for (before, between) in [
        (PROVIDERS.to_owned(), ""),
        (PROVIDERS.trim_end().to_owned(), "\n"),
    ] {
        let after = add(&before, &entry("new")).unwrap();
        let hash = "ab".repeat(32);
        let expected = format!("{before}{between}keys:\n  - name: new\n    hash: sha256:{hash}\n");
        assert_eq!(after, expected);
        assert_eq!(
            remove(&after, 0).unwrap(),
            format!("{before}{between}keys: []\n")
        );
    }
}

#[test]
fn the_list_of_none_gets_entries_and_is_one_again() {
    for line in [
        "keys: []\n",
        "keys: [] # nobody\n",
        "keys: []",
        "keys: []\r\n",
    ] {
        let before = format!("listeners: []\n{line}");
        let after = add(&before, &entry("new")).unwrap();
        assert!(after.contains("keys:"), "{after}");
        assert!(!after.contains("[]\n  -"), "{after}");
        assert_eq!(remove(&after, 0).unwrap(), before);
    }
}

#[test]
fn lines_end_as_the_others_do_and_are_indented_like_them() {
    let before = format!("keys:\r\n- {}", key("one", "01").replace("\n  ", "\r\n"));
    let after = add(&before, &entry("new")).unwrap();
    let hash = "ab".repeat(32);
    assert_eq!(
        after,
        format!("{before}\r\n- name: new\r\n  hash: sha256:{hash}")
    );
    assert_eq!(remove(&after, 1).unwrap(), before);
}

#[test]
fn an_entry_in_the_middle_goes_with_the_comments_inside_it_alone() {
    let (one, two) = (key("one", "01"), key("two", "02"));
    let text = format!(
        "keys:\n  # one\n  - {{name: zero, hash: x}}\n  # two\n  - {one}\n    # inside\n    labels:\n      a: |\n        # text\n\n  # three\n  - {two}\n"
    );
    let after = format!("keys:\n  # one\n  - {{name: zero, hash: x}}\n  # two\n        # text\n\n  # three\n  - {two}\n");
    // What looks like a comment and is a text stays behind as a comment.
    assert_eq!(remove(&text, 1).unwrap(), after);
    assert_eq!(remove(&text, 3), None);
}

#[test]
fn what_is_written_otherwise_is_left_alone() {
    let one = "{name: one, hash: x}";
    for text in [
        format!("keys: [{one}]\n"),
        format!("keys: [\n  {one}\n]\n"),
        format!("keys: &all\n  - {one}\n"),
        format!("keys: !!seq\n  - {one}\n"),
        format!("\"keys\":\n  - {one}\n"),
        format!("? keys\n: - {one}\n"),
        format!("{{keys: [{one}]}}\n"),
        format!("  keys:\n    - {one}\n"),
        format!("keys:\n  -  {one}\n - {one}\n"),
        format!("keys:\n  - {one}\n...\n"),
        format!("keys:\n  - {one}\n---\na: b\n"),
        "keys: text\n".to_owned(),
        "keys:\n  text\n".to_owned(),
        "keys: {}\n".to_owned(),
        "a: \"x\nkeys:\n  - y\"\n".to_owned(),
        "keys: [\n".to_owned(),
        "# nothing\n".to_owned(),
        String::new(),
    ] {
        assert_eq!(add(&text, &entry("new")), None, "{text}");
        assert_eq!(remove(&text, 0), None, "{text}");
    }
}

#[test]
fn an_entry_that_others_refer_to_is_left_alone() {
    let text = "keys:\n  - name: a\n    limits: &l [x]\n    hash: y\n  - name: b\n    limits: *l\n    hash: z\n";
    assert_eq!(remove(text, 0), None);
    assert!(remove(text, 1).is_some());
    assert!(add(text, &entry("new")).is_some());
}

/// A piece of a file.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("\n".to_owned()),
        Just("# a comment\n".to_owned()),
        Just("  # - name: in a comment\n".to_owned()),
        Just(PROVIDERS.to_owned()),
        Just("model_aliases:\n  fast: {target: ollama/x}\n".to_owned()),
        Just("server:\n  log: text   # for people\n".to_owned()),
        Just("listeners:\n- name: a\n  port: 0\n".to_owned()),
        Just("limits:\n  - {name: all, unit: requests, limit: 9, per: day}\n".to_owned()),
        Just("---\n".to_owned()),
        Just("...\n".to_owned()),
        Just("version: |+\n  v0.4.0\n\n".to_owned()),
    ]
}

/// The list, in one of its forms.
fn list() -> impl Strategy<Value = String> {
    let item = (0..4_usize, 0..5_usize).prop_map(|(form, comment)| {
        let hash = "$HASH";
        let comment = ["", "\n", "    # inside\n", "# at the edge\n", "\n  # before the next\n"][comment];
        let fields = match form {
            0 => format!("  - name: $NAME\n    hash: {hash}\n"),
            1 => format!("  - {{name: $NAME, hash: {hash}}}\n"),
            2 => format!("  -\n    hash: {hash}\n    # of whom\n    name: '$NAME'\n"),
            _ => format!("  - hash: \"{hash}\"\n    labels:\n      note: |\n        - name: a\n\n        # b\n    name: $NAME\n"),
        };
        format!("{fields}{comment}")
    });
    let items = proptest::collection::vec(item, 0..4);
    (items, 0..5_usize, any::<bool>()).prop_map(|(items, head, is_left)| {
        let mut text = match head {
            0 => return "keys: []\n".to_owned(),
            1 => return "keys: [] # nobody\n".to_owned(),
            2 if items.is_empty() => return String::new(),
            2 => "keys: # clients\n".to_owned(),
            _ => "keys:\n".to_owned(),
        };
        for (at, item) in items.into_iter().enumerate() {
            let hash = format!("sha256:{}", format!("{at:02x}").repeat(32));
            text += &item
                .replace("$NAME", &format!("key-{at}"))
                .replace("$HASH", &hash);
        }
        if is_left {
            text = text.replace("\n  ", "\n");
        }
        text
    })
}

fn file() -> impl Strategy<Value = String> {
    let pieces = || proptest::collection::vec(piece(), 0..4);
    let ends = (any::<bool>(), any::<bool>());
    (pieces(), list(), pieces(), ends).prop_map(|(before, list, after, (is_dos, is_cut))| {
        let mut text = before.concat() + &list + &after.concat();
        if is_cut {
            text.truncate(text.trim_end().len());
        }
        if is_dos {
            text = text.replace('\n', "\r\n");
        }
        text
    })
}

fn loaded(text: &str) -> Option<meseta_config::Config> {
    meseta_config::load(&meseta_config::Source {
        text,
        name: "meseta.yaml",
        env: &|_| None,
        dir: std::path::Path::new("/"),
        file: &|_| Err(std::io::ErrorKind::NotFound.into()),
    })
    .ok()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn an_entry_that_is_added_and_removed_leaves_the_same_bytes(text in file()) {
        let Some(before) = loaded(&text) else {
            return Ok(());
        };
        let Some(added) = add(&text, &entry("new")) else {
            return Ok(());
        };
        let after = loaded(&added).unwrap();
        let names = |config: &meseta_config::Config| -> Vec<String> {
            config.keys().iter().map(|key| key.name.clone()).collect()
        };
        let mut expected = names(&before);
        expected.push("new".to_owned());
        prop_assert_eq!(names(&after), expected);
        let place = before.keys().len();
        let back = remove(&added, place);
        if place > 0 || before.needs_consumer() {
            prop_assert_eq!(back, Some(text));
        } else {
            // Nobody's file is opened to everybody: a list of none stays.
            prop_assert!(loaded(&back.unwrap()).unwrap().needs_consumer());
        }
    }

    #[test]
    fn each_entry_can_be_removed_and_no_other_goes(text in file()) {
        let Some(before) = loaded(&text) else {
            return Ok(());
        };
        for place in 0..before.keys().len() {
            let Some(removed) = remove(&text, place) else {
                continue;
            };
            let after = loaded(&removed).unwrap();
            let left: Vec<_> = after.keys().iter().map(|key| key.hash).collect();
            let mut expected: Vec<_> = before.keys().iter().map(|key| key.hash).collect();
            expected.remove(place);
            prop_assert_eq!(left, expected);
            prop_assert!(after.needs_consumer());
        }
    }

    #[test]
    fn no_text_makes_an_edit_fail_otherwise_than_by_refusing(text in "[ -~\n]{0,80}", place in 0..3_usize) {
        let _ = add(&text, &entry("new"));
        let _ = remove(&text, place);
        let _ = add(&format!("keys:{text}"), &entry("new"));
        let _ = remove(&format!("keys:{text}"), place);
    }
}
