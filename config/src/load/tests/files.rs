//! What a document refers to by path: keys and certificates; and who may use the socket.

use std::io::ErrorKind;
use std::path::PathBuf;

use super::*;
use crate::Tls;

/// Reads a document in `/etc/meseta`, with what is in these files.
fn read_with(text: &str, files: &[(&str, &str)]) -> Result<Config, Problems> {
    let file = |path: &Path| {
        let named = |(name, _): &&(&str, &str)| Path::new(name) == path;
        match files.iter().find(named) {
            Some((_, "unreadable")) => Err(ErrorKind::PermissionDenied.into()),
            Some((_, content)) => Ok((*content).to_owned()),
            None => Err(ErrorKind::NotFound.into()),
        }
    };
    load(&Source {
        text,
        name: "meseta.yaml",
        env: &|name| match name {
            "RUN" => Some("/run/keys".to_owned()),
            "LEAKED" => Some("sk-leaked".to_owned()),
            other => env(other),
        },
        dir: Path::new("/etc/meseta"),
        file: &file,
    })
}

fn provider_with(entry: &str, files: &[(&str, &str)]) -> Config {
    let text = with_provider(entry);
    read_with(&text, files).unwrap_or_else(|problems| panic!("{entry}: {problems}"))
}

#[test]
fn a_key_is_read_from_its_file_and_the_file_is_one_to_watch() {
    for (path, file) in [
        ("openai.key", "/etc/meseta/openai.key"),
        ("/k/openai", "/k/openai"),
        ("${RUN}/openai", "/run/keys/openai"),
        ("$RUN/openai", "/run/keys/openai"),
    ] {
        let entry = format!("model: openai/x, access_key_file: '{path}'");
        let config = provider_with(&entry, &[(file, "sk-from-file\r\n")]);
        let provider = &config.providers[0];
        let key = provider.credential.as_ref().map(Secret::expose);
        assert_eq!(key, Some("sk-from-file"), "{path}");
        assert_eq!(provider.key_file.as_deref(), Some(Path::new(file)));
        assert_eq!(provider.key_variable, None);
        assert_eq!(config.files, [PathBuf::from(file)]);
        assert!(config.notices.is_empty(), "{:?}", config.notices);
        let shown = format!("{config:?}{}", config.redacted());
        assert!(!shown.contains("sk-from-file"), "{shown}");
        assert!(config.redacted().to_string().contains(file));
    }
}

#[test]
fn a_file_of_a_key_that_is_not_there_or_empty_disables_its_provider_only() {
    for files in [&[][..], &[("/etc/meseta/k", " \n")]] {
        let text = "model_providers: [{model: openai/x, access_key_file: k}, {model: openai/y, access_key_file: k}, {model: ollama/*}]";
        let config = read_with(text, files).unwrap();
        let provider = &config.providers[0];
        assert_eq!(provider.credential, None);
        assert!(provider.key_required);
        let expected = NoticeKind::MissingKeyFile {
            path: "/etc/meseta/k".into(),
            provider: "openai".to_owned(),
        };
        let kinds: Vec<_> = config.notices.iter().map(|notice| &notice.kind).collect();
        assert_eq!(kinds, [&expected], "said once");
        assert_eq!(config.notices[0].path, "model_providers[0].access_key_file");
        assert_eq!(config.files, [PathBuf::from("/etc/meseta/k")]);
    }
}

#[test]
fn a_variable_in_the_path_that_is_not_set_is_a_missing_key() {
    let config = provider_with("model: openai/x, access_key_file: '${UNSET}/k'", &[]);
    assert!(config.files.is_empty());
    let expected = NoticeKind::MissingKey {
        variable: "UNSET".to_owned(),
        provider: "openai".to_owned(),
    };
    assert_eq!(config.notices[0].kind, expected);
}

#[test]
fn a_server_of_ones_own_is_not_asked_without_the_key_that_the_file_names() {
    for (key, required) in [
        ("access_key: $UNSET", true),
        ("access_key_file: none", true),
        ("name: free", false),
    ] {
        let entry =
            format!("model: mine/x, base_url: 'http://h', provider_interface: openai, {key}");
        let provider = &provider_with(&entry, &[]).providers[0];
        assert_eq!(
            (&provider.credential, provider.key_required),
            (&None, required)
        );
    }
}

#[test]
fn what_is_no_key_or_cannot_be_read_is_a_problem_that_shows_neither_content_nor_path() {
    for (path, content, part) in [
        ("k", "sk-secret\nsk-more\n", "holds no key"),
        ("k", "sk-\u{1}secret", "holds no key"),
        ("k", "sk-secr\u{e9}t", "holds no key"),
        ("k", "unreadable", "cannot be read"),
        ("k/", "", "no path"),
        ("$LEAKED", "", "no absolute path"),
        ("\"sk-secret\\nsk-more\"", "", "no path"),
    ] {
        let text = with_provider(&format!("model: openai/x, access_key_file: {path}"));
        let problems = read_with(&text, &[("/etc/meseta/k", content)]).unwrap_err();
        assert_eq!(problems.0[0].path, "model_providers[0].access_key_file");
        let said = problems.to_string();
        assert!(said.contains(part), "{path}: {said}");
        assert!(!said.contains("sk-"), "{said}");
    }
}

#[test]
fn a_key_has_one_place() {
    let text = with_provider("model: openai/x, access_key: $OTHER, access_key_file: k");
    let problems = read_with(&text, &[("/etc/meseta/k", "sk-1")]).unwrap_err();
    assert_eq!(problems.0[0].path, "model_providers[0].access_key_file");
    let passthrough = "model: openai/x, access_key_file: k, passthrough_auth: true";
    let config = provider_with(passthrough, &[("/etc/meseta/k", "sk-1")]);
    assert_eq!(config.providers[0].credential, None);
    assert_eq!(config.notices[0].kind, NoticeKind::Warning);
    assert!(config.files.is_empty(), "nothing depends on it");
}

#[test]
fn providers_with_different_keys_are_different_providers() {
    let text = "model_providers: [{model: openai/a, access_key_file: a}, {model: openai/b, access_key_file: b}, {model: openai/c, access_key_file: a}]";
    let config = read_with(
        text,
        &[("/etc/meseta/a", "sk-a"), ("/etc/meseta/b", "sk-b")],
    )
    .unwrap();
    assert_eq!(config.providers.len(), 2);
    assert_eq!(config.files.len(), 2);
}

fn listeners(entry: &str) -> String {
    format!("{SMALL}listeners: [{{name: front, {entry}}}]\n")
}

#[test]
fn a_listener_has_tls_with_paths_beside_the_configuration() {
    let config = read_with(
        &listeners("tls: {certificate: tls/own.crt, key: $RUN/own.key, client_ca: /ca.crt}"),
        &[],
    )
    .unwrap();
    let expected = Tls {
        certificate: "/etc/meseta/tls/own.crt".into(),
        key: "/run/keys/own.key".into(),
        client_ca: Some("/ca.crt".into()),
    };
    assert_eq!(config.listeners[0].tls.as_ref(), Some(&expected));
    assert!(config.files.is_empty(), "Envoy reads them, not the server");
    let shown = &config.redacted()["listeners"][0]["tls"];
    assert_eq!(shown["client_ca"], "/ca.crt");
    assert_eq!(good(SMALL).listeners[0].tls, None);
}

#[test]
fn half_of_tls_is_a_problem_and_never_less_protection() {
    let at = "listeners[0].tls";
    for (tls, path) in [
        ("tls: {}", ".certificate"),
        ("tls: {certificate: c}", ".key"),
        ("tls: {key: k}", ".certificate"),
        ("tls: ~", ""),
        ("tls: {certificate: c, key: k, client_ca: }", ".client_ca"),
        ("tls: {certificate: c, key: }", ".key"),
        ("tls: {certificate: c, key: $UNSET/k}", ".key"),
        (
            "tls: {certificate: c, key: k, client_cas: x}",
            ".client_cas",
        ),
        ("tls: true", ""),
        (
            "tls: {certificate: c, key: \"-----BEGIN\\nsk-secret\"}",
            ".key",
        ),
    ] {
        let problems = read_with(&listeners(tls), &[]).unwrap_err();
        assert_eq!(problems.0[0].path, format!("{at}{path}"), "{tls}");
        assert!(!problems.to_string().contains("sk-secret"));
    }
}

#[test]
fn a_public_listener_that_wants_certificates_of_clients_is_not_called_open() {
    let warning = |tls: &str| {
        let text = listeners(&format!("address: 0.0.0.0{tls}"));
        read_with(&text, &[]).unwrap().notices[0].message.clone()
    };
    assert!(warning("").contains("no client authentication"));
    assert!(warning(", tls: {certificate: c, key: k}").contains("no client authentication"));
    let known = warning(", tls: {certificate: c, key: k, client_ca: a}");
    assert!(known.contains("certificate of `client_ca`"), "{known}");
}

#[test]
fn the_socket_is_for_its_owner_and_at_most_a_group() {
    let mode = |mode: &str| read(&format!("{SMALL}server: {{socket_mode: {mode}}}\n"));
    assert_eq!(good(SMALL).server.socket_mode, 0o600);
    for (text, expected) in [
        ("'0600'", 0o600),
        ("\"0660\"", 0o660),
        ("0600", 0o600),
        ("0660", 0o660),
    ] {
        let config = mode(text).unwrap_or_else(|problems| panic!("{text}: {problems}"));
        assert_eq!(config.server.socket_mode, expected, "{text}");
        assert_eq!(
            config.redacted()["server"]["socket_mode"],
            format!("{expected:04o}")
        );
    }
    for text in [
        "'0666'", "0777", "'0400'", "'0640'", "384", "0o600", "''", "rw", "'1600'",
    ] {
        let problems = mode(text).map(|_| ()).unwrap_err();
        assert_eq!(problems.0[0].path, "server.socket_mode", "{text}");
    }
}

#[test]
fn addresses_at_which_others_reach_keys_or_settings_are_warned_of() {
    for (server, path, part) in [
        ("listen: 'tcp:127.0.0.1:1'", "server.listen", "every user"),
        ("listen: 'tcp:0.0.0.0:1'", "server.listen", "everyone"),
        ("admin: '0.0.0.0:1'", "server.admin", "everyone"),
    ] {
        let config = good(&format!("{SMALL}server: {{{server}}}\n"));
        let notice = &config.notices[0];
        assert_eq!(
            (notice.path.as_str(), &notice.kind),
            (path, &NoticeKind::Warning)
        );
        assert!(notice.message.contains(part), "{}", notice.message);
    }
    let config = good(&format!("{SMALL}server: {{admin: '[::1]:1'}}\n"));
    assert!(config.notices.is_empty(), "{:?}", config.notices);
}
