//! The top level.

use super::limits::{CONSUMER, CONSUMER_KEY, LIMIT};
use super::providers::{ALIAS, PROVIDER};
use super::settings::{LEGACY_LISTENERS, LISTENER, OVERRIDES, SERVER, TRACING};
use super::{plano, Key, Kind, Named, Object, POOL};

/// The versions of Plano's schema. Files of ours need none.
pub(crate) const VERSIONS: &[&str] = &["v0.1", "v0.1.0", "0.1-beta", "0.2.0", "v0.3.0", "v0.4.0"];

/// The whole document.
pub(crate) const ROOT: Object = Object::new(
    "configuration",
    "The top level of `meseta.yaml`. Plano's configuration files are read as they are.",
    &[
        Key::shared(
            "version",
            Kind::Version(VERSIONS),
            "The version of Plano's schema that the file was written for. It changes nothing but \
             one warning: Plano listens on every address by default, Meseta on this machine alone.",
        )
        .example("version: v0.4.0"),
        Key::shared(
            "listeners",
            Kind::Either(&[
                Kind::List(&Kind::Object(&LISTENER)),
                Kind::Object(&LEGACY_LISTENERS),
            ]),
            "Where clients connect. Each listener serves every model and every API.",
        )
        .otherwise("one model listener on `127.0.0.1:12000`")
        .example("listeners:\n  - name: front\n    port: 12000"),
        Key::shared(
            "model_providers",
            Kind::List(&Kind::Object(&PROVIDER)),
            "The models that can be asked for, and where each of them is. Without an entry every \
             model is unknown.",
        )
        .example(
            "model_providers:\n  - model: openai/gpt-4o-mini\n    default: true\n  - model: ollama/*",
        ),
        Key::shared(
            "llm_providers",
            Kind::List(&Kind::Object(&PROVIDER)),
            "The old name of `model_providers`. Only one of the two may be there.",
        )
        .replaced_by("model_providers")
        .example("llm_providers:\n  - model: ollama/*"),
        Key::shared(
            "model_aliases",
            Kind::Map(&Named {
                name: "ALIAS",
                example: "fast",
                value: Kind::Object(&ALIAS),
            }),
            "Further names for models. A client may ask for an alias wherever it may ask for a \
             model.",
        )
        .example("model_aliases:\n  fast:\n    target: ollama/llama3.2"),
        Key::ours(
            "models",
            Kind::Map(&Named {
                name: "MODEL",
                example: "smart",
                value: Kind::Object(&POOL),
            }),
            "Names with targets of their own, and what happens when one of them fails. A name has up \
             to 100 characters, none of them a space, and is no alias. A name that is not here has \
             one target.",
        )
        .example("models:\n  smart:\n    targets:\n      - ollama/llama3.2\n      - ollama/qwen3"),
        Key::shared(
            "overrides",
            Kind::Object(&OVERRIDES),
            "How Envoy reaches providers, and switches of Plano's.",
        )
        .example("overrides:\n  upstream_connect_timeout: 10s"),
        Key::shared("tracing", Kind::Object(&TRACING), "Export of spans.")
            .example("tracing:\n  otlp_endpoint: http://localhost:4317"),
        Key::ours(
            "server",
            Kind::Object(&SERVER),
            "The server that Envoy calls for each exchange.",
        )
        .example("server:\n  log: text\n  max_request_bytes: 64MiB"),
        Key::ours(
            "limits",
            Kind::List(&Kind::Object(&LIMIT)),
            "How many requests and tokens are allowed, to whom.",
        )
        .otherwise("nothing is limited")
        .example("limits:\n  - name: all\n    unit: requests\n    limit: 100\n    per: second"),
        Key::ours(
            "keys",
            Kind::List(&Kind::Object(&CONSUMER_KEY)),
            "Keys for clients. Where this is there, every listener wants one of them, or what `consumer` \
             names, and answers other requests with status 401.",
        )
        .otherwise("whoever reaches a listener may use it")
        .example(
            "keys:\n  - name: search\n    hash: \
             sha256:60dd8f316b63319f2a55409b3a742c73c11ea4652d6b090b72ecfc212286064a",
        ),
        Key::ours(
            "consumer",
            Kind::Object(&CONSUMER),
            "Who asks, where something in front knows it.",
        )
        .example("consumer:\n  header: x-user-id"),
        plano::AGENTS,
        plano::FILTERS,
        plano::ENDPOINTS,
        plano::PROMPT_CACHING,
        plano::SYSTEM_PROMPT,
        plano::PROMPT_TARGETS,
        plano::RATELIMITS,
        plano::MODE,
        plano::ROUTING,
        plano::STATE_STORAGE,
        plano::PROMPT_GUARDS,
        plano::ROUTING_PREFERENCES,
        plano::MODEL_METRICS_SOURCES,
        Key::not_built("stores", "Where limits and sessions are kept.").example("stores: {}"),
    ],
);
