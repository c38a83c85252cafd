//! What is compared: who stands between client and provider, and the configuration that makes it so.
//!
//! Owns the cells' names, what clients ask them for, and their `meseta.yaml`. Does no I/O.

use std::fmt::Write as _;
use std::net::SocketAddr;

/// The model that clients name, provider included.
pub(crate) const MODEL: &str = "openai/gpt-4o-mini";
/// The name with targets that clients ask relays for: as long as [`MODEL`], so that requests are too.
const POOL: &str = "gpt-4o-mini-pooled";
/// How many targets a name with fallbacks has.
pub(crate) const TARGETS: usize = 3;
/// The variable that holds the provider's key, and the key: nobody checks it.
pub(crate) const KEY: (&str, &str) = ("MESETA_BENCH_KEY", "bench");

/// What is in the way between client and provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, clap::ValueEnum)]
pub(crate) enum Cell {
    /// Envoy alone.
    #[value(name = "A")]
    Alone,
    /// Envoy and a server that decides nothing.
    #[value(name = "B")]
    Noop,
    /// The same with the meter in the chain.
    #[value(name = "M")]
    NoopMeter,
    /// The product; Envoy calls the provider.
    #[value(name = "C")]
    Meseta,
    /// The product; the server calls the provider through Envoy's egress listener.
    #[value(name = "R")]
    Relay,
    /// The product; the server calls the provider straight.
    #[value(name = "S")]
    Straight,
    /// [`Cell::Relay`] with fallbacks that nothing makes it use.
    #[value(name = "F")]
    Fallbacks,
    /// [`Cell::Straight`] with the same fallbacks.
    #[value(name = "H")]
    StraightFallbacks,
}

impl Cell {
    /// The letter that tables use.
    pub(crate) fn letter(self) -> &'static str {
        match self {
            Self::Alone => "A",
            Self::Noop => "B",
            Self::NoopMeter => "M",
            Self::Meseta => "C",
            Self::Relay => "R",
            Self::Straight => "S",
            Self::Fallbacks => "F",
            Self::StraightFallbacks => "H",
        }
    }

    /// What it is, in a line.
    pub(crate) fn description(self) -> &'static str {
        match self {
            Self::Alone => {
                "Envoy alone: C's bootstrap without ext_proc and meter, one fixed cluster"
            }
            Self::Noop => {
                "Envoy and a no-op ext_proc: C's bootstrap without the meter; the server names the \
                 cluster and echoes bodies"
            }
            Self::NoopMeter => "B with the meter in the chain, which C has",
            Self::Meseta => "us, direct: Envoy calls the provider",
            Self::Relay => {
                "us, relay: the server calls the provider through Envoy's egress listener"
            }
            Self::Straight => "us, relay: the server calls the provider straight",
            Self::Fallbacks => "R with two fallbacks, which are not needed",
            Self::StraightFallbacks => "S with two fallbacks, which are not needed",
        }
    }

    /// Whether it is the product as it is rendered.
    pub(crate) fn is_product(self) -> bool {
        !matches!(self, Self::Alone | Self::Noop | Self::NoopMeter)
    }

    /// Whether the server calls the provider.
    pub(crate) fn is_relay(self) -> bool {
        self.is_product() && self != Self::Meseta
    }

    /// Whether the server calls the provider through Envoy.
    pub(crate) fn is_relay_through_envoy(self) -> bool {
        matches!(self, Self::Relay | Self::Fallbacks)
    }

    /// What clients ask for.
    pub(crate) fn model(self) -> &'static str {
        if self.is_relay() {
            POOL
        } else {
            MODEL
        }
    }

    /// How many providers there are.
    fn targets(self) -> usize {
        match self {
            Self::Fallbacks | Self::StraightFallbacks => TARGETS,
            _ => 1,
        }
    }

    /// Its `meseta.yaml`. The first of the providers answers; the others are what a cell falls back
    /// to, if it does.
    pub(crate) fn configuration(self, providers: &[SocketAddr; TARGETS]) -> String {
        let key = KEY.0;
        let own = || providers.iter().take(self.targets()).enumerate();
        let mut text = String::new();
        if self.is_relay() && !self.is_relay_through_envoy() {
            text.push_str("server: {egress: direct}\n");
        }
        text.push_str(
            "listeners:\n  - {type: model, name: models, address: 127.0.0.1, port: 0}\n\
             model_providers:\n",
        );
        for (place, address) in own() {
            let (model, default) = (target(place), place == 0);
            let _ = writeln!(
                text,
                "  - {{model: {model}, access_key: ${key}, default: {default}, \
                 base_url: \"http://{address}/v1\"}}"
            );
        }
        if self.is_relay() {
            let _ = writeln!(text, "models:\n  {POOL}:\n    path: relay\n    targets:");
            for (place, _) in own() {
                let (model, priority) = (target(place), place + 1);
                let _ = writeln!(text, "      - {{model: {model}, priority: {priority}}}");
            }
        }
        text
    }
}

/// A target by its place.
fn target(place: usize) -> String {
    match place {
        0 => MODEL.to_owned(),
        place => format!("{MODEL}-{place}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum as _;
    use serde_yaml::Value;

    fn configuration(cell: Cell) -> Value {
        let providers = [1, 2, 3].map(|port| ([127, 0, 0, 1], port).into());
        serde_yaml::from_str(&cell.configuration(&providers)).expect("YAML")
    }

    #[test]
    fn a_cell_is_chosen_by_the_letter_that_tables_show() {
        for cell in Cell::value_variants() {
            assert_eq!(Cell::from_str(cell.letter(), false), Ok(*cell));
        }
    }

    #[test]
    fn all_requests_are_of_one_length() {
        for cell in Cell::value_variants() {
            assert_eq!(cell.model().len(), MODEL.len());
        }
    }

    #[test]
    fn the_floor_and_the_direct_way_have_one_provider_and_no_pool() {
        for cell in [Cell::Alone, Cell::Noop, Cell::NoopMeter, Cell::Meseta] {
            let config = configuration(cell);
            assert_eq!(
                config["model_providers"].as_sequence().map(Vec::len),
                Some(1)
            );
            assert_eq!(config.get("models"), None);
            assert_eq!(config.get("server"), None);
        }
    }

    #[test]
    fn only_straight_relays_go_without_envoy() {
        for cell in [Cell::Relay, Cell::Fallbacks] {
            assert_eq!(configuration(cell).get("server"), None);
        }
        for cell in [Cell::Straight, Cell::StraightFallbacks] {
            assert_eq!(configuration(cell)["server"]["egress"], "direct");
        }
    }

    #[test]
    fn fallbacks_are_other_providers_of_a_later_priority() {
        let relay = configuration(Cell::Relay);
        let own = relay["models"][POOL]["targets"].as_sequence();
        assert_eq!(own.map(Vec::len), Some(1));
        let config = configuration(Cell::Fallbacks);
        let targets = config["models"][POOL]["targets"].as_sequence();
        let targets = targets.expect("targets");
        let providers = config["model_providers"].as_sequence().expect("providers");
        assert_eq!((targets.len(), providers.len()), (3, 3));
        for (place, (target, provider)) in targets.iter().zip(providers).enumerate() {
            assert_eq!(target["priority"], place + 1);
            assert_eq!(target["model"], provider["model"]);
            let address = format!("http://127.0.0.1:{}/v1", place + 1);
            assert_eq!(provider["base_url"], address.as_str());
        }
    }
}
