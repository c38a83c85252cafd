//! One configuration in service.
//!
//! A generation is replaced as a whole; an exchange keeps the configuration that it began with.

use std::sync::Arc;

use meseta_config::{Config, Listener};

use crate::meter::Meter;

/// How many listeners that are gone are still known. Their connections live on in Envoy for a while.
const MOST_RETIRED: usize = 64;

/// What new exchanges work with.
#[derive(Debug)]
pub(crate) struct Generation {
    /// 1 for the configuration that the server began with.
    pub(crate) number: u64,
    pub(crate) config: Arc<Config>,
    pub(crate) meter: Arc<Meter>,
    /// Those of the configuration.
    listeners: Vec<Arc<Listener>>,
    /// Those that earlier ones had: Envoy no longer listens there, but connections that clients
    /// hold may bring requests until Envoy has drained them.
    retired: Vec<Arc<Listener>>,
}

impl Generation {
    pub(crate) fn first(config: Config) -> Self {
        Self {
            number: 1,
            listeners: listeners(&config),
            retired: Vec::new(),
            meter: Arc::new(Meter::first(&config)),
            config: Arc::new(config),
        }
    }

    /// The generation after this one.
    pub(crate) fn next(&self, config: Config) -> Self {
        let listeners = listeners(&config);
        let gone = |old: &&Arc<Listener>| !listeners.iter().any(|new| new.name == old.name);
        let earlier = self.listeners.iter().chain(&self.retired);
        let retired = earlier.filter(gone).take(MOST_RETIRED).cloned().collect();
        Self {
            number: self.number + 1,
            meter: Arc::new(self.meter.next(&config)),
            listeners,
            retired,
            config: Arc::new(config),
        }
    }

    /// The listener of that name; one that is alone need not be named.
    pub(crate) fn listener(&self, name: Option<&str>) -> Option<Arc<Listener>> {
        let Some(name) = name else {
            return match self.listeners.as_slice() {
                [only] => Some(Arc::clone(only)),
                _ => None,
            };
        };
        let mut known = self.listeners.iter().chain(&self.retired);
        known.find(|listener| listener.name == name).cloned()
    }
}

fn listeners(config: &Config) -> Vec<Arc<Listener>> {
    config.listeners.iter().cloned().map(Arc::new).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use meseta_config::{load, Source};

    use super::*;

    fn config(listeners: &[(&str, u16)]) -> Config {
        let listeners: Vec<String> = listeners
            .iter()
            .map(|(name, port)| format!("{{name: {name}, port: {port}}}"))
            .collect();
        load(&Source {
            text: &format!("listeners: [{}]", listeners.join(", ")),
            name: "meseta.yaml",
            env: &|_| None,
            dir: Path::new("/"),
            file: &|_| Err(std::io::ErrorKind::NotFound.into()),
        })
        .unwrap()
    }

    #[test]
    fn a_listener_that_is_gone_is_known_until_one_of_its_name_comes_back() {
        let port = |generation: &Generation, name| generation.listener(name).map(|l| l.port);
        let first = Generation::first(config(&[("a", 1), ("b", 2)]));
        assert_eq!(port(&first, Some("a")), Some(1));
        assert_eq!(port(&first, None), None, "two: which?");
        let second = first.next(config(&[("b", 3)]));
        assert_eq!(second.number, 2);
        assert_eq!(port(&second, Some("a")), Some(1));
        assert_eq!(port(&second, Some("b")), Some(3));
        assert_eq!(port(&second, None), Some(3));
        let third = second.next(config(&[("a", 4)]));
        assert_eq!(port(&third, Some("a")), Some(4));
        assert_eq!(port(&third, Some("b")), Some(3));
        assert_eq!(port(&third, Some("c")), None);
    }
}
