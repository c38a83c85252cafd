//! Questions to a running Envoy's admin interface: its listeners and clusters, what it made of files,
//! its running requests; draining.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hyper::{Method, StatusCode};
use meseta_config::render::SERVER_CLUSTER;
use meseta_config::AdminAddress;
use serde::Deserialize;

use crate::plain_http::{self, CallError, Peer};

/// Envoy answers from its main thread: anything slower than this is no answer.
const LIMIT: Duration = Duration::from_secs(2);

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdminError {
    /// Envoy does not answer.
    #[error("Envoy's admin: {0}")]
    Call(#[from] CallError),
    /// Envoy answers with an error.
    #[error("Envoy's admin: {path}: {status}")]
    Status {
        /// What was asked.
        path: String,
        /// What it answered.
        status: StatusCode,
    },
    /// The answer is none that we know.
    #[error("Envoy's admin: {0}")]
    Shape(#[from] serde_json::Error),
}

impl AdminError {
    /// Whether nobody is there to answer; one that is slow is there.
    pub fn is_absence(&self) -> bool {
        matches!(self, Self::Call(CallError::Connection(_)))
    }
}

type Result<T> = std::result::Result<T, AdminError>;

/// What Envoy reads from files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResourceKind {
    /// Clusters (CDS).
    Clusters,
    /// Listeners (LDS).
    Listeners,
}

impl ResourceKind {
    fn statistics(self) -> &'static str {
        match self {
            Self::Clusters => "cluster_manager.cds",
            Self::Listeners => "listener_manager.lds",
        }
    }
}

/// What Envoy made of the files of one kind of resource.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Subscription {
    /// The version that it took last; empty before the first.
    pub version: String,
    /// How many files it has refused so far.
    pub rejected: u64,
}

/// A client of one Envoy's admin interface.
#[derive(Debug, Clone)]
pub struct Admin {
    peer: Peer,
}

impl Admin {
    /// The admin interface at an address.
    pub fn at(address: AdminAddress) -> Self {
        let peer = match address {
            AdminAddress::Unix(socket) => Peer::Unix(socket),
            AdminAddress::Tcp(address) => Peer::Tcp(address),
        };
        Self { peer }
    }

    /// Names and real addresses of the listeners that take connections.
    pub async fn listeners(&self) -> Result<Vec<(String, SocketAddr)>> {
        parse_listeners(&self.call(Method::GET, "/listeners?format=json").await?)
    }

    /// How many requests are running on all listeners.
    pub async fn running_requests(&self) -> Result<u64> {
        let path = "/stats?format=json&filter=downstream_rq_active";
        parse_running(&self.call(Method::GET, path).await?)
    }

    /// What Envoy made of the files of one kind of resource.
    pub async fn subscription(&self, kind: ResourceKind) -> Result<Subscription> {
        let prefix = kind.statistics();
        let path = format!("/stats?type=All&filter={prefix}.(version_text%7Cupdate_rejected)");
        let body = self.call(Method::GET, &path).await?;
        Ok(parse_subscription(prefix, &String::from_utf8_lossy(&body)))
    }

    /// The names of the clusters that take requests.
    pub async fn clusters(&self) -> Result<BTreeSet<String>> {
        parse_clusters(&self.call(Method::GET, "/clusters?format=json").await?)
    }

    /// Whether requests can reach the server: it is there, and healthy as far as Envoy knows.
    pub async fn has_server(&self) -> Result<bool> {
        let name = format!("cluster.{SERVER_CLUSTER}.membership_healthy");
        let path = format!("/stats?filter=%5E{name}%24");
        let body = self.call(Method::GET, &path).await?;
        let text = String::from_utf8_lossy(&body);
        let mut lines = text.lines().filter_map(|line| line.split_once(": "));
        Ok(lines.any(|(key, value)| key == name && value.trim() != "0"))
    }

    /// The names of the secrets (certificates and authorities) that Envoy has taken from files.
    pub async fn secrets(&self) -> Result<BTreeSet<String>> {
        let path = "/stats?filter=%5Esds%5C..*update_success%24";
        let body = self.call(Method::GET, path).await?;
        Ok(parse_secrets(&String::from_utf8_lossy(&body)))
    }

    /// Why Envoy refuses listeners: what it says of each that it does.
    pub async fn refused_listeners(&self) -> Result<Vec<String>> {
        let path = "/config_dump?resource=dynamic_listeners";
        parse_refusals(&self.call(Method::GET, path).await?)
    }

    /// Stops taking connections of clients; requests on open connections go on, and so do the server's
    /// own calls to providers.
    pub async fn stop_listening(&self) -> Result<()> {
        self.call(Method::POST, "/drain_listeners?inboundonly")
            .await
            .map(drop)
    }

    async fn call(&self, method: Method, path: &str) -> Result<Vec<u8>> {
        let answer = plain_http::call(&self.peer, method, path, LIMIT).await?;
        if !answer.status.is_success() {
            return Err(AdminError::Status {
                path: path.to_owned(),
                status: answer.status,
            });
        }
        Ok(answer.body.into())
    }
}

fn parse_listeners(body: &[u8]) -> Result<Vec<(String, SocketAddr)>> {
    #[derive(Deserialize)]
    struct Listeners {
        #[serde(default)]
        listener_statuses: Vec<Status>,
    }
    #[derive(Deserialize)]
    struct Status {
        name: String,
        local_address: Address,
    }
    #[derive(Deserialize)]
    struct Address {
        socket_address: Option<SocketAddress>,
    }
    #[derive(Deserialize)]
    struct SocketAddress {
        address: IpAddr,
        port_value: u16,
    }
    let listeners: Listeners = serde_json::from_slice(body)?;
    let statuses = listeners.listener_statuses.into_iter();
    Ok(statuses
        .filter_map(|status| {
            let at = status.local_address.socket_address?;
            Some((status.name, SocketAddr::new(at.address, at.port_value)))
        })
        .collect())
}

fn parse_running(body: &[u8]) -> Result<u64> {
    #[derive(Deserialize)]
    struct Stats {
        stats: Vec<Stat>,
    }
    // Histograms come in the same list without a name.
    #[derive(Deserialize)]
    struct Stat {
        #[serde(default)]
        name: String,
        value: Option<u64>,
    }
    let stats: Stats = serde_json::from_slice(body)?;
    let ours = |stat: &Stat| {
        stat.name.starts_with("http.")
            && !stat.name.starts_with("http.admin.")
            // The server's own calls belong to requests that are counted already.
            && !stat.name.starts_with("http.meseta.egress.")
            && stat.name.ends_with(".downstream_rq_active")
    };
    let running = stats.stats.iter().filter(|stat| ours(stat));
    Ok(running.filter_map(|stat| stat.value).sum())
}

fn parse_subscription(prefix: &str, text: &str) -> Subscription {
    let value = |name: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once(": "));
        lines.find_map(|(key, value)| {
            let rest = key.strip_prefix(prefix)?.strip_prefix('.')?;
            (rest == name).then_some(value.trim())
        })
    };
    Subscription {
        version: value("version_text")
            .unwrap_or_default()
            .trim_matches('"')
            .to_owned(),
        rejected: value("update_rejected")
            .and_then(|count| count.parse().ok())
            .unwrap_or(0),
    }
}

fn parse_clusters(body: &[u8]) -> Result<BTreeSet<String>> {
    #[derive(Deserialize)]
    struct Clusters {
        #[serde(default)]
        cluster_statuses: Vec<Named>,
    }
    #[derive(Deserialize)]
    struct Named {
        name: String,
    }
    let clusters: Clusters = serde_json::from_slice(body)?;
    let names = clusters.cluster_statuses.into_iter();
    Ok(names.map(|cluster| cluster.name).collect())
}

fn parse_secrets(text: &str) -> BTreeSet<String> {
    let taken = text.lines().filter_map(|line| {
        let (key, count) = line.rsplit_once(": ")?;
        let name = key.strip_prefix("sds.")?.strip_suffix(".update_success")?;
        (count.trim() != "0").then(|| name.to_owned())
    });
    taken.collect()
}

fn parse_refusals(body: &[u8]) -> Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Dump {
        #[serde(default)]
        configs: Vec<Listener>,
    }
    // Envoy lists a refused listener twice, once without its name.
    #[derive(Deserialize)]
    struct Listener {
        #[serde(default)]
        name: String,
        error_state: Option<ErrorState>,
    }
    #[derive(Deserialize)]
    struct ErrorState {
        #[serde(default)]
        details: String,
    }
    let dump: Dump = serde_json::from_slice(body)?;
    let listeners = dump.configs.into_iter();
    Ok(listeners
        .filter(|listener| !listener.name.is_empty())
        .filter_map(|listener| {
            let details = listener.error_state?.details;
            Some(format!("listener `{}`: {details}", listener.name))
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_that_were_taken_are_read_from_statistics() {
        let text = "sds.my front/1.5/certificate.update_success: 2\n\
                    sds.my front/1.5/client_ca.update_success: 0\n\
                    cluster_manager.cds.update_success: 1\n";
        let taken: Vec<String> = parse_secrets(text).into_iter().collect();
        assert_eq!(taken, ["my front/1.5/certificate"]);
    }

    #[test]
    fn the_state_of_files_is_read_from_statistics() {
        let text = "cluster_manager.cds.version_text: \"17-2\"\n\
                    cluster_manager.cds.update_rejected: 3\n\
                    listener_manager.lds.version_text: \"\"\n\
                    listener_manager.lds.update_rejected: 0\n";
        let clusters = parse_subscription(ResourceKind::Clusters.statistics(), text);
        assert_eq!((clusters.version.as_str(), clusters.rejected), ("17-2", 3));
        let listeners = parse_subscription(ResourceKind::Listeners.statistics(), text);
        assert_eq!(listeners, Subscription::default());
    }

    #[test]
    fn refused_listeners_say_why_once() {
        let body = br#"{"configs":[{"name":"fine","active_state":{}},
            {"name":"taken","error_state":{"details":"cannot bind"}},{"error_state":{"details":"cannot bind"}}]}"#;
        assert_eq!(
            parse_refusals(body).unwrap(),
            ["listener `taken`: cannot bind"]
        );
        assert!(parse_refusals(b"{}").unwrap().is_empty());
    }

    #[test]
    fn clusters_are_read_by_name() {
        let body = br#"{"cluster_statuses":[{"name":"b","host_statuses":[]},{"name":"a"}]}"#;
        let names: Vec<_> = parse_clusters(body).unwrap().into_iter().collect();
        assert_eq!(names, ["a", "b"]);
    }

    #[test]
    fn listeners_are_read_with_their_real_ports_and_pipes_are_left_out() {
        let body = br#"{"listener_statuses":[
            {"name":"model","local_address":{"socket_address":{"address":"127.0.0.1","port_value":40123}},"additional_local_addresses":[]},
            {"name":"egress","local_address":{"pipe":{"path":"/tmp/e.sock"}}},
            {"name":"six","local_address":{"socket_address":{"address":"::1","port_value":1}}}]}"#;
        let expected = [
            ("model".to_owned(), "127.0.0.1:40123".parse().unwrap()),
            ("six".to_owned(), "[::1]:1".parse().unwrap()),
        ];
        assert_eq!(parse_listeners(body).unwrap(), expected);
        assert_eq!(parse_listeners(b"{}").unwrap(), []);
        assert!(parse_listeners(b"model::127.0.0.1:1").is_err());
    }

    #[test]
    fn running_requests_are_counted_without_the_admin_interface_itself() {
        let body = br#"{"stats":[{"name":"http.admin.downstream_rq_active","value":1},
            {"name":"http.a.downstream_rq_active","value":2},{"name":"http.b.downstream_rq_active","value":3},
            {"name":"http.meseta.egress.downstream_rq_active","value":4},{"name":"cluster.x.downstream_rq_active","value":9},{"histograms":{}}]}"#;
        assert_eq!(parse_running(body).unwrap(), 5);
    }
}
