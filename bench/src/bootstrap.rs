//! What is rendered, read and cut down to what a cell has.
//!
//! Owns what this program knows of the bootstrap's shape: one that is of another is refused, so that no
//! cell is measured with more or less than it should have. Does no I/O.

use anyhow::Context as _;
use serde_json::{json, Value};

use crate::cell::Cell;

/// The cluster of the external-processing server in what is rendered.
const SERVER_CLUSTER: &str = "meseta_server";
/// The listener that the server's own calls go through.
const EGRESS_LISTENER: &str = "meseta.egress";

/// Takes out of the rendered bootstrap what a cell does not have; returns the cluster of the provider
/// that answers, the first.
pub(crate) fn derive(cell: Cell, bootstrap: &mut Value) -> anyhow::Result<String> {
    let clusters = bootstrap
        .pointer_mut("/static_resources/clusters")
        .and_then(Value::as_array_mut)
        .context("the rendered bootstrap has no clusters")?;
    let provider = clusters
        .iter()
        .filter_map(|cluster| cluster["name"].as_str())
        .find(|name| *name != SERVER_CLUSTER)
        .context("the rendered bootstrap has no provider's cluster")?
        .to_owned();
    if cell == Cell::Alone {
        clusters.retain(|cluster| cluster["name"] != SERVER_CLUSTER);
    }
    let listeners = bootstrap
        .pointer_mut("/static_resources/listeners")
        .and_then(Value::as_array_mut)
        .context("the rendered bootstrap has no listeners")?;
    if matches!(cell, Cell::Alone | Cell::Noop) {
        listeners.retain(|listener| listener["name"] != EGRESS_LISTENER);
        anyhow::ensure!(listeners.len() == 1, "clients have more than one listener");
    }
    let connection_manager = listeners
        .iter_mut()
        .find(|listener| listener["name"] != EGRESS_LISTENER)
        .and_then(|listener| listener.pointer_mut("/filter_chains/0/filters/0/typed_config"))
        .context("the rendered bootstrap has no listener for clients")?;
    let filters = connection_manager["http_filters"]
        .as_array_mut()
        .context("the rendered listener has no HTTP filters")?;
    let without: &[&str] = match cell {
        Cell::Alone => &[".ext_proc.v3.ExternalProcessor", ".wasm.v3.Wasm"],
        Cell::Noop => &[".wasm.v3.Wasm"],
        _ => &[],
    };
    for kind in without {
        let before = filters.len();
        filters.retain(|filter| {
            !filter["typed_config"]["@type"]
                .as_str()
                .is_some_and(|url| url.ends_with(kind))
        });
        anyhow::ensure!(filters.len() + 1 == before, "not one filter is `{kind}`");
    }
    if cell == Cell::Alone {
        let action = connection_manager
            .pointer_mut("/route_config/virtual_hosts/0/routes/0/route")
            .and_then(Value::as_object_mut)
            .context("the rendered listener has no route")?;
        action
            .remove("cluster_header")
            .context("the rendered route names no cluster header")?;
        action.insert("cluster".to_owned(), json!(provider));
    }
    Ok(provider)
}

/// The port of the listener for clients, in what Envoy's admin interface says of its listeners; the
/// egress listener has a path instead.
pub(crate) fn client_port(listeners: &Value) -> Option<u16> {
    listeners["listener_statuses"]
        .as_array()?
        .iter()
        .filter_map(|listener| listener.pointer("/local_address/socket_address/port_value"))
        .filter_map(Value::as_u64)
        .find_map(|port| u16::try_from(port).ok().filter(|&port| port != 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum as _;

    fn rendered() -> Value {
        let filter = |kind: &str| json!({"name": kind, "typed_config": {"@type": kind}});
        let egress = json!({"name": "meseta.egress", "filter_chains": [{"filters": [{"typed_config": {
            "http_filters": [filter("x/a.wasm.v3.Wasm"), filter("x/a.router.v3.Router")],
        }}]}]});
        json!({"static_resources": {
            "listeners": [egress, {"name": "models", "filter_chains": [{"filters": [{"typed_config": {
                "http_filters": [
                    filter("x/a.ext_proc.v3.ExternalProcessor"),
                    filter("x/a.wasm.v3.Wasm"),
                    filter("x/a.router.v3.Router"),
                ],
                "route_config": {"virtual_hosts": [{"routes": [{"route": {
                    "cluster_header": "x-meseta-cluster", "timeout": "300s",
                }}]}]},
            }}]}]}],
            "clusters": [{"name": "meseta_server"}, {"name": "provider"}],
        }})
    }

    /// The names of the one listener's filters.
    fn filters(bootstrap: &Value) -> Vec<&str> {
        let listeners = bootstrap["static_resources"]["listeners"].as_array();
        assert_eq!(
            listeners.map(Vec::len),
            Some(1),
            "the egress listener is gone"
        );
        bootstrap
            .pointer(
                "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters",
            )
            .and_then(Value::as_array)
            .expect("filters")
            .iter()
            .filter_map(|filter| filter["name"].as_str())
            .collect()
    }

    #[test]
    fn envoy_alone_has_one_fixed_cluster_and_no_server() {
        let mut bootstrap = rendered();
        assert_eq!(
            derive(Cell::Alone, &mut bootstrap).expect("derived"),
            "provider"
        );
        assert_eq!(filters(&bootstrap), ["x/a.router.v3.Router"]);
        assert_eq!(
            bootstrap["static_resources"]["clusters"],
            json!([{"name": "provider"}])
        );
        let route = bootstrap
            .pointer("/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/route_config/virtual_hosts/0/routes/0/route");
        assert_eq!(
            route,
            Some(&json!({"cluster": "provider", "timeout": "300s"}))
        );
    }

    #[test]
    fn the_floor_lacks_the_meter_alone() {
        let mut bootstrap = rendered();
        derive(Cell::Noop, &mut bootstrap).expect("derived");
        assert_eq!(
            filters(&bootstrap),
            ["x/a.ext_proc.v3.ExternalProcessor", "x/a.router.v3.Router"]
        );
        let clusters = bootstrap["static_resources"]["clusters"].as_array();
        assert_eq!(clusters.map(Vec::len), Some(2));
    }

    #[test]
    fn the_product_is_measured_as_it_is_rendered() {
        let cells = Cell::value_variants().iter().copied();
        for cell in cells.filter(|cell| cell.is_product() || *cell == Cell::NoopMeter) {
            let mut bootstrap = rendered();
            derive(cell, &mut bootstrap).expect("derived");
            assert_eq!(bootstrap, rendered());
        }
    }

    #[test]
    fn a_bootstrap_of_another_shape_is_refused() {
        let mut bootstrap = rendered();
        derive(Cell::Noop, &mut bootstrap).expect("derived");
        assert!(derive(Cell::Noop, &mut bootstrap).is_err(), "no meter left");
        assert!(derive(Cell::Alone, &mut json!({})).is_err());
    }

    #[test]
    fn clients_find_the_listener_that_has_a_port() {
        let egress =
            json!({"name": "meseta.egress", "local_address": {"pipe": {"path": "/e.sock"}}});
        let models = |port: u16| {
            let address = json!({"address": "127.0.0.1", "port_value": port});
            json!({"name": "models", "local_address": {"socket_address": address}})
        };
        let statuses = |own: &[&Value]| json!({"listener_statuses": own});
        assert_eq!(client_port(&statuses(&[&egress, &models(7)])), Some(7));
        assert_eq!(client_port(&statuses(&[&models(7), &egress])), Some(7));
        assert_eq!(
            client_port(&statuses(&[&egress, &models(0)])),
            None,
            "not bound"
        );
        assert_eq!(client_port(&statuses(&[&egress])), None);
        assert_eq!(client_port(&json!({})), None);
    }
}
