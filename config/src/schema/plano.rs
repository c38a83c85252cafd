//! Keys of Plano's that ours have no place for: without effect so far, but for `ratelimits`.
//!
//! The names of the others are checked all the way down; their values are not, because nothing reads
//! them.

mod prompts;
mod ratelimits;
mod routing;

use super::{Key, Kind, Named, Object};

pub(super) use prompts::{PROMPT_GUARDS, PROMPT_TARGETS, SYSTEM_PROMPT};
pub(super) use ratelimits::RATELIMITS;
pub(crate) use ratelimits::{AMOUNT, RATELIMIT, SELECTOR};
pub(super) use routing::{
    MODEL_METRICS_SOURCES, PROMPT_CACHING, ROUTING, ROUTING_PREFERENCES, STATE_STORAGE,
};

pub(super) const AGENTS: Key = Key::planos(
    "agents",
    Kind::List(&Kind::Object(&AGENT)),
    "Agents that are reached over HTTP.",
)
.example("agents:\n  - id: weather\n    url: http://localhost:10510");

const AGENT: Object = Object::new(
    "agent",
    "An agent.",
    &[
        Key::planos("id", Kind::Text, "Its name.").example("id: weather"),
        Key::planos("url", Kind::Url, "Where it is.")
            .example("id: weather\nurl: http://localhost:10510"),
    ],
);

pub(super) const FILTERS: Key = Key::planos(
    "filters",
    Kind::List(&Kind::Object(&FILTER)),
    "Services that look at requests or answers on their way.",
)
.example("filters:\n  - id: redaction\n    url: http://localhost:10500");

const FILTER: Object = Object::new(
    "filter",
    "A service that looks at requests or answers.",
    &[
        Key::planos("id", Kind::Text, "Its name.").example("id: redaction"),
        Key::planos("url", Kind::Url, "Where it is.")
            .example("id: redaction\nurl: http://localhost:10500"),
        Key::planos(
            "type",
            Kind::OneOf(&["mcp", "http"]),
            "The protocol that it speaks.",
        )
        .default("mcp")
        .example("id: redaction\ntype: http"),
        Key::planos(
            "transport",
            Kind::OneOf(&["streamable-http"]),
            "How MCP is carried.",
        )
        .default("streamable-http")
        .example("id: redaction\ntransport: streamable-http"),
        Key::planos("tool", Kind::Text, "The MCP tool to call.")
            .otherwise("the filter's `id`")
            .example("id: redaction\ntool: redact"),
    ],
);

pub(super) const ENDPOINTS: Key = Key::planos(
    "endpoints",
    Kind::Map(&Named {
        name: "ENDPOINT",
        example: "weather_api",
        value: Kind::Object(&ENDPOINT),
    }),
    "Services that prompt targets call.",
)
.example("endpoints:\n  weather_api:\n    endpoint: weather.example.com:443\n    protocol: https");

const ENDPOINT: Object = Object::new(
    "endpoint",
    "A service that prompt targets call.",
    &[
        Key::planos("endpoint", Kind::Text, "Host and port.")
            .example("endpoint: weather.example.com:443"),
        Key::planos(
            "connect_timeout",
            Kind::Duration,
            "How long a connection to it may take to be made.",
        )
        .example("endpoint: 127.0.0.1:80\nconnect_timeout: 1s"),
        Key::planos(
            "protocol",
            Kind::OneOf(&["http", "https"]),
            "Whether it is reached with TLS.",
        )
        .default("http")
        .example("endpoint: weather.example.com:443\nprotocol: https"),
        Key::planos("http_host", Kind::Text, "The host name to ask it for.")
            .example("endpoint: 10.0.0.5:80\nhttp_host: weather.example.com"),
        Key::planos(
            "prefix_affinity",
            Kind::Flag,
            "Sends prompts with the same beginning to the same replica.",
        )
        .default("false")
        .example("endpoint: vllm:8000\nprefix_affinity: true"),
    ],
);

pub(super) const MODE: Key = Key::planos(
    "mode",
    Kind::OneOf(&["llm", "prompt"]),
    "What the whole gateway is used for.",
)
.example("mode: llm");

// What listeners have.

pub(super) const ROUTER: Key = Key::planos(
    "router",
    Kind::OneOf(&["plano_orchestrator_v1"]),
    "What picks the agent for a request.",
)
.example("type: agent\nrouter: plano_orchestrator_v1");

pub(super) const MAX_RETRIES: Key = Key::planos(
    "max_retries",
    Kind::Integer,
    "How often a failed request is tried again.",
)
.example("max_retries: 3");

pub(super) const LISTENER_AGENTS: Key = Key::planos(
    "agents",
    Kind::List(&Kind::Object(&LISTENER_AGENT)),
    "The agents that an agent listener hands requests to.",
)
.example("type: agent\nagents:\n  - id: weather\n    description: knows the weather");

const LISTENER_AGENT: Object = Object::new(
    "agent of a listener",
    "An agent that a listener hands requests to.",
    &[
        Key::planos("id", Kind::Text, "The name of an entry of `agents`.").example("id: weather"),
        Key::planos("description", Kind::Text, "What the agent can do.")
            .example("id: weather\ndescription: knows the weather"),
        Key::planos(
            "default",
            Kind::Flag,
            "Whether it gets the requests that no other agent fits.",
        )
        .default("false")
        .example("id: weather\ndefault: true"),
        Key::planos(
            "input_filters",
            Kind::Texts,
            "The filters that look at its requests.",
        )
        .example("id: weather\ninput_filters: [redaction]"),
    ],
);

pub(super) const INPUT_FILTERS: Key = Key::planos(
    "input_filters",
    Kind::Texts,
    "The filters that look at requests.",
)
.example("input_filters: [redaction]");

pub(super) const OUTPUT_FILTERS: Key = Key::planos(
    "output_filters",
    Kind::Texts,
    "The filters that look at answers.",
)
.example("output_filters: [redaction]");

// What `tracing` has.

pub(super) const TRACE_ARCH_INTERNAL: Key = Key::planos(
    "trace_arch_internal",
    Kind::Flag,
    "Whether requests of the gateway's own get spans too.",
)
.default("false")
.example("trace_arch_internal: true");

pub(super) const SPAN_ATTRIBUTES: Key = Key::planos(
    "span_attributes",
    Kind::Object(&ATTRIBUTES),
    "Attributes that every span gets.",
)
.example("span_attributes:\n  static:\n    environment: production");

const ATTRIBUTES: Object = Object::new(
    "span attributes",
    "Attributes that every span gets.",
    &[
        Key::planos(
            "header_prefixes",
            Kind::Texts,
            "Request headers whose names begin so become attributes.",
        )
        .example("header_prefixes: [x-team-]"),
        Key::planos(
            "static",
            Kind::Map(&Named {
                name: "ATTRIBUTE",
                example: "environment",
                value: Kind::Text,
            }),
            "Attributes with the same value on every span.",
        )
        .example("static:\n  environment: production"),
    ],
);

pub(super) const EXPORTERS: Key = Key::planos(
    "exporters",
    Kind::List(&Kind::Object(&EXPORTER)),
    "Further receivers of what spans hold.",
)
.example(
    "exporters:\n  - type: posthog\n    url: https://posthog.example.com\n    api_key: $POSTHOG_API_KEY",
);

const EXPORTER: Object = Object::new(
    "exporter",
    "A receiver of what spans hold.",
    &[
        Key::planos("type", Kind::OneOf(&["posthog"]), "What it is.").example("type: posthog"),
        Key::planos("url", Kind::Url, "Where it is.")
            .example("type: posthog\nurl: https://posthog.example.com"),
        Key::planos("api_key", Kind::Secret, "Its key.")
            .example("type: posthog\napi_key: $POSTHOG_API_KEY"),
        Key::planos(
            "distinct_id_header",
            Kind::Text,
            "The request header that says who asks.",
        )
        .example("type: posthog\ndistinct_id_header: x-user-id"),
        Key::planos(
            "capture_messages",
            Kind::Flag,
            "Whether the user's message is sent along.",
        )
        .default("false")
        .example("type: posthog\ncapture_messages: false"),
    ],
);

// What `overrides` has.

pub(super) const INTENT_THRESHOLD: Key = Key::planos(
    "prompt_target_intent_matching_threshold",
    Kind::Number,
    "How sure a prompt target must be meant before it is called, from 0 to 1.",
)
.example("prompt_target_intent_matching_threshold: 0.7");

pub(super) const OPTIMIZE_CONTEXT_WINDOW: Key = Key::planos(
    "optimize_context_window",
    Kind::Flag,
    "Whether long conversations are shortened to what the model can take.",
)
.example("optimize_context_window: true");

pub(super) const USE_AGENT_ORCHESTRATOR: Key = Key::planos(
    "use_agent_orchestrator",
    Kind::Flag,
    "Whether a model picks the agent for a request.",
)
.example("use_agent_orchestrator: true");

pub(super) const DISABLE_SIGNALS: Key = Key::planos(
    "disable_signals",
    Kind::Flag,
    "Whether answers are not looked through for signs of how a conversation goes.",
)
.default("false")
.example("disable_signals: true");

pub(super) const LLM_ROUTING_MODEL: Key = Key::planos(
    "llm_routing_model",
    Kind::Text,
    "The model that picks the model for a request.",
)
.example("llm_routing_model: Plano-Orchestrator");

pub(super) const AGENT_ORCHESTRATION_MODEL: Key = Key::planos(
    "agent_orchestration_model",
    Kind::Text,
    "The model that picks the agent for a request.",
)
.example("agent_orchestration_model: Plano-Orchestrator");

pub(super) const ORCHESTRATOR_CONTEXT_LENGTH: Key = Key::planos(
    "orchestrator_model_context_length",
    Kind::Integer,
    "How many tokens the picking model is shown.",
)
.default("8192")
.example("orchestrator_model_context_length: 8192");
