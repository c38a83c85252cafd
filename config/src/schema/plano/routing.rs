//! `routing`, `routing_preferences`, `prompt_caching`, `state_storage` and `model_metrics_sources`.

use crate::schema::{Key, Kind, Named, Object};

pub(in crate::schema) const PROMPT_CACHING: Key = Key::planos(
    "prompt_caching",
    Kind::Object(&CACHING),
    "Use of the providers' prompt caches.",
)
.example("prompt_caching:\n  enabled: true");

const CACHING: Object = Object::new(
    "prompt caching",
    "Use of the providers' prompt caches.",
    &[
        Key::planos("enabled", Kind::Flag, "Whether it is on.")
            .default("false")
            .example("enabled: true"),
        Key::planos(
            "session_affinity",
            Kind::Flag,
            "Whether turns with the same beginning stay with the same model.",
        )
        .default("true")
        .example("session_affinity: true"),
        Key::planos(
            "inject_cache_control",
            Kind::Flag,
            "Whether cache marks are added for providers that need them.",
        )
        .default("true")
        .example("inject_cache_control: false"),
        Key::planos(
            "min_prefix_tokens",
            Kind::Integer,
            "Shorter beginnings get no marks.",
        )
        .default("1024")
        .example("min_prefix_tokens: 2048"),
        Key::planos(
            "session_ttl_seconds",
            Kind::Integer,
            "How long a session stays with its model.",
        )
        .otherwise("`routing.session_ttl_seconds`")
        .example("session_ttl_seconds: 3600"),
    ],
);

pub(in crate::schema) const ROUTING: Key = Key::planos(
    "routing",
    Kind::Object(&ROUTES),
    "How conversations stay with the model that was picked for them.",
)
.example("routing:\n  session_ttl_seconds: 600");

const ROUTES: Object = Object::new(
    "routing",
    "How conversations stay with the model that was picked for them.",
    &[
        Key::planos(
            "llm_provider",
            Kind::Text,
            "The provider of the picking model.",
        )
        .example("llm_provider: openai"),
        Key::planos("model", Kind::Text, "The picking model.").example("model: Plano-Orchestrator"),
        Key::planos(
            "session_ttl_seconds",
            Kind::Integer,
            "How long a session stays with its model.",
        )
        .default("600")
        .example("session_ttl_seconds: 600"),
        Key::planos(
            "session_max_entries",
            Kind::Integer,
            "How many sessions are remembered.",
        )
        .default("10000")
        .example("session_max_entries: 10000"),
        Key::planos(
            "session_cache",
            Kind::Object(&SESSION_CACHE),
            "Where sessions are remembered.",
        )
        .example("session_cache:\n  type: memory"),
        Key::planos(
            "routing_budget",
            Kind::Object(&BUDGET),
            "What leaving a warm prompt cache may cost.",
        )
        .example("routing_budget:\n  max_switch_spend_pct: 20"),
        Key::planos(
            "route_on_user_only",
            Kind::Flag,
            "Whether a model is picked anew only when the last message is a user's.",
        )
        .default("false")
        .example("route_on_user_only: true"),
    ],
);

const SESSION_CACHE: Object = Object::new(
    "session cache",
    "Where sessions are remembered.",
    &[
        Key::planos(
            "type",
            Kind::OneOf(&["memory", "redis"]),
            "In the process, or in Redis for all replicas.",
        )
        .default("memory")
        .example("type: redis\nurl: redis://localhost:6379"),
        Key::planos("url", Kind::Text, "Where Redis is.")
            .example("type: redis\nurl: redis://localhost:6379"),
        Key::planos(
            "tenant_header",
            Kind::Text,
            "The request header whose value keeps tenants apart.",
        )
        .example("type: memory\ntenant_header: x-org-id"),
    ],
);

const BUDGET: Object = Object::new(
    "routing budget",
    "What leaving a warm prompt cache may cost.",
    &[
        Key::planos(
            "max_switch_spend_pct",
            Kind::Percentage,
            "The most that changes of the model may add to a session's cost, in percent.",
        )
        .example("max_switch_spend_pct: 20"),
        Key::planos(
            "replenish_on_rebind",
            Kind::Flag,
            "Whether a session that was cold starts with a new budget.",
        )
        .default("true")
        .example("max_switch_spend_pct: 20\nreplenish_on_rebind: false"),
        Key::planos(
            "cache_read_discount",
            Kind::Number,
            "The price of a cached token as a share of the full one, where none is known.",
        )
        .default("0.1")
        .example("max_switch_spend_pct: 20\ncache_read_discount: 0.25"),
        Key::planos(
            "record_counterfactual",
            Kind::Flag,
            "Whether spans say which model was too expensive to change to.",
        )
        .default("false")
        .example("max_switch_spend_pct: 20\nrecord_counterfactual: true"),
    ],
);

pub(in crate::schema) const STATE_STORAGE: Key = Key::planos(
    "state_storage",
    Kind::Object(&STORAGE),
    "Where conversations of the Responses API are kept.",
)
.example("state_storage:\n  type: memory");

const STORAGE: Object = Object::new(
    "state storage",
    "Where conversations are kept.",
    &[
        Key::planos(
            "type",
            Kind::OneOf(&["memory", "postgres"]),
            "In the process, or in PostgreSQL.",
        )
        .example("type: memory"),
        Key::planos(
            "connection_string",
            Kind::Secret,
            "How PostgreSQL is reached; may refer to the environment.",
        )
        .example("type: postgres\nconnection_string: $DATABASE_URL"),
    ],
);

pub(in crate::schema) const ROUTING_PREFERENCES: Key = Key::planos(
    "routing_preferences",
    Kind::List(&Kind::Object(&PREFERENCE)),
    "Kinds of tasks and the models for them.",
)
.example(
    "routing_preferences:\n  - name: code review\n    description: comments on changes of code\n    \
     models: [ollama/qwen3]",
);

const PREFERENCE: Object = Object::new(
    "routing preference",
    "A kind of task and the models for it.",
    &[
        Key::planos("name", Kind::Text, "The name of the kind of task.")
            .example("name: code review"),
        Key::planos("description", Kind::Text, "What such a task looks like.")
            .example("name: code review\ndescription: comments on changes of code"),
        Key::planos("models", Kind::Texts, "The models for it, the best first.")
            .example("name: code review\nmodels: [ollama/qwen3]"),
        Key::planos(
            "selection_policy",
            Kind::Object(&POLICY),
            "How the models are put in order.",
        )
        .example("name: code review\nselection_policy:\n  prefer: cheapest"),
    ],
);

const POLICY: Object = Object::new(
    "selection policy",
    "How the models of a preference are put in order.",
    &[Key::planos(
        "prefer",
        Kind::OneOf(&["cheapest", "fastest", "none"]),
        "What counts.",
    )
    .example("prefer: cheapest")],
);

pub(in crate::schema) const MODEL_METRICS_SOURCES: Key = Key::planos(
    "model_metrics_sources",
    Kind::List(&Kind::Object(&SOURCE)),
    "Where prices and latencies of models come from.",
)
.example("model_metrics_sources:\n  - type: cost\n    provider: models.dev");

const SOURCE: Object = Object::new(
    "metrics source",
    "Where prices or latencies of models come from.",
    &[
        Key::planos(
            "type",
            Kind::OneOf(&["cost", "latency"]),
            "What it knows of.",
        )
        .example("type: cost"),
        Key::planos(
            "provider",
            Kind::OneOf(&["digitalocean", "models.dev", "prometheus"]),
            "What kind of source it is.",
        )
        .example("type: cost\nprovider: models.dev"),
        Key::planos("url", Kind::Url, "Where it is.")
            .example("type: latency\nprovider: prometheus\nurl: http://prometheus:9090"),
        Key::planos("query", Kind::Text, "What to ask Prometheus.")
            .example("type: latency\nquery: avg by (model_name) (model_latency_seconds)"),
        Key::planos(
            "refresh_interval",
            Kind::Integer,
            "How often it is asked, in seconds.",
        )
        .example("type: cost\nrefresh_interval: 3600"),
        Key::planos(
            "model_aliases",
            Kind::Map(&Named {
                name: "CATALOGUE NAME",
                example: "openai/gpt-4o",
                value: Kind::Text,
            }),
            "Models under the names that the source has for them.",
        )
        .example("type: cost\nmodel_aliases:\n  openai/gpt-4o: openai/gpt-4o"),
    ],
);
