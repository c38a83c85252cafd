//! A place with a configuration and the real Envoy that `MESETA_ENVOY` names.

#![allow(dead_code, reason = "no test needs all of it")]

use super::place::Place;

pub const CONFIG: &str = "\
listeners:
  - {name: model, type: model, address: 127.0.0.1, port: 0}
model_providers:
  - {model: openai/gpt-4o-mini, access_key: $OPENAI_API_KEY, default: true}
model_aliases:
  fast: {target: openai/gpt-4o-mini}
server: {admin: \"127.0.0.1:0\", drain_timeout: 5s}
";

/// A place with a configuration and Envoy, for the state directory `s`; whatever runs in it is stopped when it goes.
pub struct Instance(pub Place);

impl Instance {
    /// `None`, and a line that says so, where there is no Envoy.
    pub fn new() -> Option<Self> {
        let Some(envoy) = std::env::var("MESETA_ENVOY")
            .ok()
            .filter(|envoy| !envoy.is_empty())
        else {
            eprintln!("skipped: MESETA_ENVOY names no Envoy");
            return None;
        };
        let mut place = Place::new();
        if place.run(&["version"]).stdout.contains("filter none") {
            eprintln!("skipped: this build carries no filter");
            return None;
        }
        place.variable("MESETA_ENVOY", &envoy);
        place.variable("OPENAI_API_KEY", "sk-in-the-environment");
        place.file("meseta.yaml", CONFIG);
        Some(Self(place))
    }

    /// What the running instance has written about itself.
    pub fn record(&self) -> serde_json::Value {
        let path = self.0.path().join("s/instance.json");
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }

    pub fn pid(&self, process: &str) -> i32 {
        let pid = &self.record()[process]["pid"];
        i32::try_from(pid.as_i64().unwrap()).unwrap()
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.0.run(&["down", "--state-dir", "s"]);
    }
}
