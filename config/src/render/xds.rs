//! The same resources as files of Envoy's filesystem xDS: what may change while Envoy runs.
//!
//! Listeners and the clusters of providers are in files that Envoy reads again whenever they are
//! replaced by a rename. The egress listener is one of them: its meter has the rules. The server's own
//! cluster never changes and stays in the bootstrap, because the listeners refer to it. Certificates are
//! secrets in files of their own.

use std::path::Path;

use super::tls::{self, Secrets};
use super::yaml::{f, inline, list, map, why, Field, Yaml};
use super::{admin, cluster, egress, listener, overload, type_url, RenderOptions, EGRESS_LISTENER};
use crate::config::Config;

/// The file of the clusters, in the directory that Envoy watches.
pub const CLUSTERS_FILE: &str = "cds.yaml";
/// The file of the listeners.
pub const LISTENERS_FILE: &str = "lds.yaml";

/// The first line of each file.
const WRITTEN: &str = "# Written by `meseta serve --xds`: change meseta.yaml, not this file.\n";

/// One resource: a listener or a cluster, under the name that Envoy knows it by.
#[derive(Debug, Clone, PartialEq)]
pub struct Resource {
    name: String,
    kind: &'static str,
    body: Yaml,
}

impl Resource {
    /// Its name in Envoy.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// What a configuration gives Envoy beside the bootstrap.
#[derive(Debug, Clone, PartialEq)]
pub struct Resources {
    /// One for each address of a provider.
    pub clusters: Vec<Resource>,
    /// One for each listener, that of the server's own calls first.
    pub listeners: Vec<Resource>,
    /// What the listeners refer to: it has to be there before them.
    pub secrets: Vec<SecretFile>,
}

/// A file that says where a certificate is: Envoy reads it again when it is replaced by a rename,
/// and the certificate when something in its directory is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretFile {
    /// Its name in the directory that Envoy watches.
    pub name: String,
    /// Its content.
    pub text: String,
}

/// The resources of a configuration, in the order of the file, for the directory that Envoy watches.
pub fn resources(config: &Config, options: &RenderOptions, directory: &Path) -> Resources {
    let clusters = cluster::of_providers(config).map(|(name, body)| Resource {
        name,
        kind: "envoy.config.cluster.v3.Cluster",
        body,
    });
    let of_clients = config.listeners.iter().map(|own| {
        let body = listener::listener(config, own, options, Secrets::Files(directory));
        (own.name.clone(), body)
    });
    // No request comes in before it can go out.
    let egress = egress::listener(config, options);
    let egress = egress.map(|body| (EGRESS_LISTENER.to_owned(), body));
    let listeners = egress.into_iter().chain(of_clients);
    let listeners = listeners.map(|(name, body)| Resource {
        name,
        kind: "envoy.config.listener.v3.Listener",
        body,
    });
    let secrets = config.listeners.iter().flat_map(tls::secrets);
    let secrets = secrets.map(|(name, response)| SecretFile {
        name,
        text: format!("{WRITTEN}{}", response.to_text()),
    });
    Resources {
        clusters: clusters.collect(),
        listeners: listeners.collect(),
        secrets: secrets.collect(),
    }
}

/// A file of resources, as Envoy's `path_config_source` reads it. `version` has to differ from the
/// one before for Envoy to say that it has taken this one.
pub fn discovery_response<'a>(
    version: &str,
    resources: impl IntoIterator<Item = &'a Resource>,
) -> String {
    let resources = resources.into_iter().map(|resource| {
        let mut fields = vec![f("@type", type_url(resource.kind))];
        match &resource.body {
            Yaml::Map(own) => fields.extend(own.iter().cloned()),
            other => fields.push(f("value", other.clone())),
        }
        Yaml::Map(fields)
    });
    let tree = map([f("version_info", version), f("resources", list(resources))]);
    format!("{WRITTEN}{}", tree.to_text())
}

/// A bootstrap whose listeners and providers come from the files in `directory`.
pub fn dynamic_bootstrap(options: &RenderOptions, directory: &Path) -> String {
    let clusters = list([cluster::server(&options.server)]);
    let tree = map([
        f("node", inline([f("id", "meseta"), f("cluster", "meseta")])),
        f("admin", admin(&options.admin)),
        f("static_resources", map([f("clusters", clusters)])),
        why(
            "Replaced by rename: clusters before the server uses them, and taken away after it.",
            f(
                "dynamic_resources",
                map([
                    source("cds_config", directory, CLUSTERS_FILE),
                    source("lds_config", directory, LISTENERS_FILE),
                ]),
            ),
        ),
        f("overload_manager", overload()),
    ]);
    format!(
        "# Envoy 1.40 for Meseta, with its resources in files. Rendered by `meseta render envoy \
         --xds`.\n{}",
        tree.to_text()
    )
}

fn source(name: &'static str, directory: &Path, file: &str) -> Field {
    let path = directory.join(file).display().to_string();
    f(
        name,
        map([
            f("resource_api_version", "V3"),
            f("path_config_source", inline([f("path", path)])),
        ]),
    )
}
