//! The keys that exist: which are read elsewhere, which of Plano's are understood and without
//! effect yet, which of ours are not built.
//!
//! A key that no table has is a problem with a near match, also inside of what has no effect yet:
//! a slip of the pen must not wait for the feature to be found.

use super::document::{Map, Node};
use super::findings::Findings;
use crate::near;

/// The form of what has no effect yet.
#[derive(Debug)]
pub(super) enum Shape {
    /// Anything.
    Any,
    /// A map with names of the user's.
    MapOf(&'static Shape),
    /// A list.
    ListOf(&'static Shape),
    /// A map with these keys.
    Keys(&'static [(&'static str, Shape)]),
}

use Shape::{Any, Keys, ListOf, MapOf};

const ROUTING_PREFERENCES: Shape = ListOf(&Keys(&[
    ("name", Any),
    ("description", Any),
    ("models", Any),
    ("selection_policy", Keys(&[("prefer", Any)])),
]));

/// What a listener may have beside what is read.
pub(super) const LISTENER: &[(&str, Shape)] = &[
    ("router", Any),
    ("max_retries", Any),
    (
        "agents",
        ListOf(&Keys(&[
            ("id", Any),
            ("description", Any),
            ("default", Any),
            ("input_filters", Any),
        ])),
    ),
    ("input_filters", Any),
    ("output_filters", Any),
];

/// What a model provider may have beside what is read.
pub(super) const PROVIDER: &[(&str, Shape)] = &[(
    "routing_preferences",
    ListOf(&Keys(&[("name", Any), ("description", Any)])),
)];

/// What `overrides` may have beside what is read.
pub(super) const OVERRIDES: &[(&str, Shape)] = &[
    ("prompt_target_intent_matching_threshold", Any),
    ("optimize_context_window", Any),
    ("use_agent_orchestrator", Any),
    ("disable_signals", Any),
    ("llm_routing_model", Any),
    ("agent_orchestration_model", Any),
    ("orchestrator_model_context_length", Any),
];

/// What `tracing` may have beside what is read.
pub(super) const TRACING: &[(&str, Shape)] = &[
    ("trace_arch_internal", Any),
    (
        "span_attributes",
        Keys(&[("header_prefixes", Any), ("static", MapOf(&Any))]),
    ),
    (
        "exporters",
        ListOf(&Keys(&[
            ("type", Any),
            ("url", Any),
            ("api_key", Any),
            ("distinct_id_header", Any),
            ("capture_messages", Any),
        ])),
    ),
];

/// Top-level keys that are read.
const READ: [&str; 8] = [
    "version",
    "listeners",
    "model_providers",
    "llm_providers",
    "model_aliases",
    "overrides",
    "tracing",
    "server",
];

/// Top-level keys of Plano's without effect yet.
const TOP_LEVEL: &[(&str, Shape)] = &[
    ("agents", ListOf(&Keys(&[("id", Any), ("url", Any)]))),
    (
        "filters",
        ListOf(&Keys(&[
            ("id", Any),
            ("url", Any),
            ("type", Any),
            ("transport", Any),
            ("tool", Any),
        ])),
    ),
    (
        "endpoints",
        MapOf(&Keys(&[
            ("endpoint", Any),
            ("connect_timeout", Any),
            ("protocol", Any),
            ("http_host", Any),
            ("prefix_affinity", Any),
        ])),
    ),
    (
        "prompt_caching",
        Keys(&[
            ("enabled", Any),
            ("session_affinity", Any),
            ("inject_cache_control", Any),
            ("min_prefix_tokens", Any),
            ("session_ttl_seconds", Any),
        ]),
    ),
    ("system_prompt", Any),
    (
        "prompt_targets",
        ListOf(&Keys(&[
            ("name", Any),
            ("default", Any),
            ("description", Any),
            ("auto_llm_dispatch_on_response", Any),
            (
                "parameters",
                ListOf(&Keys(&[
                    ("name", Any),
                    ("required", Any),
                    ("default", Any),
                    ("description", Any),
                    ("type", Any),
                    ("enum", Any),
                    ("in_path", Any),
                    ("format", Any),
                ])),
            ),
            (
                "endpoint",
                Keys(&[
                    ("name", Any),
                    ("path", Any),
                    ("http_method", Any),
                    ("http_headers", MapOf(&Any)),
                ]),
            ),
            ("system_prompt", Any),
        ])),
    ),
    (
        "ratelimits",
        ListOf(&Keys(&[
            ("model", Any),
            ("selector", Keys(&[("key", Any), ("value", Any)])),
            ("limit", Keys(&[("tokens", Any), ("unit", Any)])),
        ])),
    ),
    ("mode", Any),
    (
        "routing",
        Keys(&[
            ("llm_provider", Any),
            ("model", Any),
            ("session_ttl_seconds", Any),
            ("session_max_entries", Any),
            (
                "session_cache",
                Keys(&[("type", Any), ("url", Any), ("tenant_header", Any)]),
            ),
            (
                "routing_budget",
                Keys(&[
                    ("max_switch_spend_pct", Any),
                    ("replenish_on_rebind", Any),
                    ("cache_read_discount", Any),
                    ("record_counterfactual", Any),
                ]),
            ),
            ("route_on_user_only", Any),
        ]),
    ),
    (
        "state_storage",
        Keys(&[("type", Any), ("connection_string", Any)]),
    ),
    (
        "prompt_guards",
        Keys(&[(
            "input_guards",
            Keys(&[(
                "jailbreak",
                Keys(&[("on_exception", Keys(&[("message", Any)]))]),
            )]),
        )]),
    ),
    ("routing_preferences", ROUTING_PREFERENCES),
    (
        "model_metrics_sources",
        ListOf(&Keys(&[
            ("type", Any),
            ("provider", Any),
            ("url", Any),
            ("query", Any),
            ("refresh_interval", Any),
            ("model_aliases", MapOf(&Any)),
        ])),
    ),
];

/// Top-level keys of ours that are not built.
const NOT_BUILT: [&str; 4] = ["models", "limits", "keys", "stores"];

/// Checks the keys of the document.
pub(super) fn check_top_level(top: &Map<'_>, findings: &mut Findings<'_>) {
    check(top, &READ, TOP_LEVEL, &NOT_BUILT, findings);
}

/// Checks the keys of a map: `read` ones are left to their readers, `inactive` ones give a notice,
/// `not_built` and unknown ones a problem.
pub(super) fn check(
    map: &Map<'_>,
    read: &[&str],
    inactive: &'static [(&'static str, Shape)],
    not_built: &[&str],
    findings: &mut Findings<'_>,
) {
    for (key, node) in map.nodes() {
        if read.contains(&key.as_str()) {
            continue;
        }
        if let Some((_, shape)) = inactive.iter().find(|(known, _)| *known == key) {
            if !node.value.is_null() {
                check_shape(&node, shape, findings);
                findings.not_yet_active(&node);
            }
        } else if not_built.contains(&key.as_str()) {
            findings.problem_at_key(&node, "is not built yet", Some("take it out".to_owned()));
        } else {
            let known = inactive.iter().map(|(known, _)| *known);
            unknown(&node, &key, read.iter().copied().chain(known), findings);
        }
    }
}

/// Looks for unknown keys inside of what has no effect yet.
fn check_shape(node: &Node<'_>, shape: &'static Shape, findings: &mut Findings<'_>) {
    if node.value.is_null() {
        return;
    }
    match shape {
        Any => {}
        ListOf(shape) => {
            for item in node.list(findings).unwrap_or_default() {
                check_shape(&item, shape, findings);
            }
        }
        MapOf(shape) => {
            let entries = node.map(findings).map(|map| map.nodes());
            for (_, entry) in entries.unwrap_or_default() {
                check_shape(&entry, shape, findings);
            }
        }
        Keys(keys) => {
            let entries = node.map(findings).map(|map| map.nodes());
            for (key, entry) in entries.unwrap_or_default() {
                match keys.iter().find(|(known, _)| *known == key) {
                    Some((_, shape)) => check_shape(&entry, shape, findings),
                    None => unknown(&entry, &key, keys.iter().map(|(known, _)| *known), findings),
                }
            }
        }
    }
}

fn unknown<'k>(
    node: &Node<'_>,
    key: &str,
    known: impl Iterator<Item = &'k str>,
    findings: &mut Findings<'_>,
) {
    let known: Vec<&str> = known.collect();
    let hint = match near::matches(key, known.iter().copied(), 1).first() {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known keys: {}", known.join(", ")),
    };
    findings.problem_at_key(node, "unknown key", Some(hint));
}
