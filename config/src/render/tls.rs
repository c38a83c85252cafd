//! TLS towards clients.
//!
//! Envoy reads the files itself: no certificate and no key is ever in a rendering. In the files of
//! xDS each of them is a secret of its own ([`secrets`]), which Envoy reads again when something in
//! its directory is replaced by a rename; without xDS it reads them once, at its start.

use std::path::Path;
use std::time::Duration;

use super::yaml::{f, inline, list, map, why, Field, Yaml};
use super::{seconds, type_url};
use crate::config::{Listener, Tls};

/// How Envoy gets at certificates.
#[derive(Debug, Clone, Copy)]
pub(super) enum Secrets<'a> {
    /// Named in the listener, and read once.
    Inline,
    /// In the files of [`secrets`], which are in this directory.
    Files(&'a Path),
}

/// A client that does not finish the handshake is let go.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// The two kinds of secret that a listener may have, by the end of their names.
const CERTIFICATE: &str = "certificate";
const CLIENT_CA: &str = "client_ca";

/// What a filter chain needs to speak TLS; nothing for a listener that does not.
pub(super) fn of_filter_chain(listener: &Listener, secrets: Secrets<'_>) -> Vec<Field> {
    let Some(tls) = &listener.tls else {
        return Vec::new();
    };
    vec![
        f("transport_socket", transport_socket(listener, tls, secrets)),
        why(
            "A client that does not finish the handshake is let go.",
            f("transport_socket_connect_timeout", seconds(HANDSHAKE)),
        ),
    ]
}

/// The transport socket of a listener.
pub(super) fn transport_socket(listener: &Listener, tls: &Tls, secrets: Secrets<'_>) -> Yaml {
    map([
        f("name", "envoy.transport_sockets.tls"),
        f("typed_config", context(listener, tls, secrets)),
    ])
}

fn context(listener: &Listener, tls: &Tls, secrets: Secrets<'_>) -> Yaml {
    let kind = "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext";
    let mut common = vec![
        f(
            "tls_params",
            inline([f("tls_minimum_protocol_version", "TLSv1_2")]),
        ),
        f("alpn_protocols", list(["h2", "http/1.1"])),
    ];
    match secrets {
        Secrets::Inline => {
            common.push(f(
                "tls_certificates",
                list([Yaml::Map(certificate(tls).into())]),
            ));
            common.extend(tls.client_ca.as_deref().map(|authorities| {
                f(
                    "validation_context",
                    Yaml::Map(validation(authorities).into()),
                )
            }));
        }
        Secrets::Files(directory) => {
            let from = |kind| from_file(listener, kind, directory);
            common.push(f(
                "tls_certificate_sds_secret_configs",
                list([from(CERTIFICATE)]),
            ));
            if tls.client_ca.is_some() {
                common.push(f("validation_context_sds_secret_config", from(CLIENT_CA)));
            }
        }
    }
    let mut fields = vec![
        f("@type", type_url(kind)),
        f("common_tls_context", Yaml::Map(common)),
    ];
    if tls.client_ca.is_some() {
        fields.push(why(
            "No answer without a certificate of the client's own.",
            f("require_client_certificate", true),
        ));
    }
    Yaml::Map(fields)
}

/// Where Envoy finds a secret.
fn from_file(listener: &Listener, kind: &str, directory: &Path) -> Yaml {
    let path = directory.join(file_name(listener, kind));
    map([
        f("name", name(listener, kind)),
        f(
            "sds_config",
            map([
                f("resource_api_version", "V3"),
                f(
                    "path_config_source",
                    inline([f("path", path.display().to_string())]),
                ),
            ]),
        ),
    ])
}

/// The names of a listener's secrets, as Envoy knows them from the files of xDS.
pub fn secret_names(listener: &Listener) -> Vec<String> {
    let Some(tls) = &listener.tls else {
        return Vec::new();
    };
    let mut names = vec![name(listener, CERTIFICATE)];
    if tls.client_ca.is_some() {
        names.push(name(listener, CLIENT_CA));
    }
    names
}

/// The files of a listener's secrets: the name of each, and a discovery response with that one
/// secret. Their names and the listener that refers to them stay the same when the certificates do
/// not, so that a renewal never drains a listener.
pub(super) fn secrets(listener: &Listener) -> Vec<(String, Yaml)> {
    let Some(tls) = &listener.tls else {
        return Vec::new();
    };
    let own = certificate(tls).into();
    let mut all = vec![secret(
        listener,
        CERTIFICATE,
        "tls_certificate",
        own,
        &tls.certificate,
    )];
    all.extend(tls.client_ca.as_deref().map(|authorities| {
        let context = validation(authorities).into();
        secret(
            listener,
            CLIENT_CA,
            "validation_context",
            context,
            authorities,
        )
    }));
    all
}

/// One secret, read again whenever something in the directory of its file is replaced.
fn secret(
    listener: &Listener,
    kind: &str,
    field: &str,
    mut body: Vec<Field>,
    file: &Path,
) -> (String, Yaml) {
    let directory = file.parent().unwrap_or(Path::new("/"));
    body.push(f(
        "watched_directory",
        inline([f("path", directory.display().to_string())]),
    ));
    let of = "envoy.extensions.transport_sockets.tls.v3.Secret";
    let response = map([f(
        "resources",
        list([map([
            f("@type", type_url(of)),
            f("name", name(listener, kind)),
            f(field, Yaml::Map(body)),
        ])]),
    )]);
    (file_name(listener, kind), response)
}

fn certificate(tls: &Tls) -> [Field; 2] {
    [
        f("certificate_chain", file(&tls.certificate)),
        f("private_key", file(&tls.key)),
    ]
}

fn validation(authorities: &Path) -> [Field; 1] {
    [f("trusted_ca", file(authorities))]
}

fn file(path: &Path) -> Yaml {
    inline([f("filename", path.display().to_string())])
}

fn name(listener: &Listener, kind: &str) -> String {
    format!("{}/{kind}", listener.name)
}

/// The name of a secret's file: the listener's, without what a file's may not or should not have.
/// Different listeners have different ones.
fn file_name(listener: &Listener, kind: &str) -> String {
    let own = listener.name.replace('/', "~").replace(' ', "+");
    format!("sds.{own}.{kind}.yaml")
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::path::PathBuf;

    use serde_yaml::Value;

    use super::*;
    use crate::config::Cors;

    fn listener(client_ca: Option<&str>) -> Listener {
        Listener {
            name: "my front/1".to_owned(),
            address: Ipv4Addr::LOCALHOST.into(),
            port: 0,
            timeout: Duration::ZERO,
            cors: Cors::Any,
            tls: Some(Tls {
                certificate: "/certs/tls.crt".into(),
                key: "/keys/tls.key".into(),
                client_ca: client_ca.map(PathBuf::from),
            }),
        }
    }

    fn chain(listener: &Listener, secrets: Secrets<'_>) -> Value {
        let fields = Yaml::Map(of_filter_chain(listener, secrets));
        let tree: Value = serde_yaml::from_str(&fields.to_text()).unwrap();
        assert_eq!(tree["transport_socket_connect_timeout"], "10s");
        tree["transport_socket"]["typed_config"].clone()
    }

    #[test]
    fn without_xds_the_listener_names_the_files() {
        let context = chain(&listener(Some("/certs/ca.crt")), Secrets::Inline);
        let common = &context["common_tls_context"];
        let own = &common["tls_certificates"][0];
        assert_eq!(own["certificate_chain"]["filename"], "/certs/tls.crt");
        assert_eq!(own["private_key"]["filename"], "/keys/tls.key");
        let trusted = &common["validation_context"]["trusted_ca"];
        assert_eq!(trusted["filename"], "/certs/ca.crt");
        assert_eq!(context["require_client_certificate"], true);
        let least = &common["tls_params"]["tls_minimum_protocol_version"];
        assert_eq!(least, "TLSv1_2");
    }

    #[test]
    fn with_xds_each_secret_is_a_file_that_the_listener_refers_to() {
        let listener = listener(Some("/certs/ca.crt"));
        let context = chain(&listener, Secrets::Files(Path::new("/run/xds")));
        let common = &context["common_tls_context"];
        let references = [
            &common["tls_certificate_sds_secret_configs"][0],
            &common["validation_context_sds_secret_config"],
        ];
        let files = secrets(&listener);
        assert_eq!(files.len(), references.len());
        let (mut watched, mut names) = (Vec::new(), Vec::new());
        for ((file, response), reference) in files.iter().zip(references) {
            let path = &reference["sds_config"]["path_config_source"]["path"];
            assert_eq!(*path, format!("/run/xds/{file}"));
            let response: Value = serde_yaml::from_str(&response.to_text()).unwrap();
            let resources = response["resources"].as_sequence().unwrap();
            assert_eq!(resources.len(), 1, "Envoy takes one secret from a file");
            assert_eq!(resources[0]["name"], reference["name"]);
            names.push(resources[0]["name"].as_str().unwrap().to_owned());
            for kind in ["tls_certificate", "validation_context"] {
                let directory = &resources[0][kind]["watched_directory"]["path"];
                watched.extend(directory.as_str().map(str::to_owned));
            }
        }
        assert_eq!(watched, ["/certs", "/certs"]);
        assert_eq!(names, secret_names(&listener));
        let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "sds.my+front~1.certificate.yaml",
                "sds.my+front~1.client_ca.yaml"
            ]
        );
    }

    #[test]
    fn clients_need_a_certificate_only_when_their_authorities_are_named() {
        let context = chain(&listener(None), Secrets::Inline);
        assert!(context.get("require_client_certificate").is_none());
        assert!(context["common_tls_context"]
            .get("validation_context")
            .is_none());
        let plain = Listener {
            tls: None,
            ..listener(None)
        };
        assert!(of_filter_chain(&plain, Secrets::Inline).is_empty());
        assert!(secrets(&plain).is_empty());
    }
}
