//! `listeners`, `server`, `tracing` and `overrides`.

use super::{plano, Key, Kind, Object};

/// An entry of `listeners`.
pub(crate) const LISTENER: Object = Object::new(
    "listener",
    "An address where clients connect. Listeners of the types `agent` and `prompt` are understood \
     and not opened yet; their keys are only checked for their names.",
    &[
        Key::shared(
            "name",
            Kind::Scalar,
            "Its name in logs and metrics: up to 100 letters, digits, spaces and `-`, `_`, `.`, \
             `/`. Unique.",
        )
        .default("model")
        .example("name: front"),
        Key::shared(
            "type",
            Kind::OneOf(&["model", "agent", "prompt"]),
            "What the listener serves. Only `model` has effect; `agent` and `prompt` are Plano's \
             and not yet active.",
        )
        .default("model")
        .example("type: model"),
        Key::shared(
            "address",
            Kind::Ip,
            "The address to listen on. Whoever reaches it spends the providers' keys, so an \
             address that is not of this machine alone gives a warning.",
        )
        .default("127.0.0.1")
        .example("address: 0.0.0.0"),
        Key::shared(
            "port",
            Kind::Port,
            "The port to listen on; with 0 the system picks one.",
        )
        .default("12000")
        .example("port: 8080"),
        Key::shared(
            "timeout",
            Kind::Duration,
            "How long an exchange may take as a whole, streams included; `0s` for no limit.",
        )
        .default("600s")
        .example("timeout: 15m"),
        Key::ours(
            "cors",
            Kind::Object(&CORS),
            "Which web pages may use the listener.",
        )
        .example("cors:\n  allow_origins:\n    - https://app.example.com"),
        Key::ours("tls", Kind::Object(&TLS), "Makes the listener speak HTTPS.")
            .otherwise("plain HTTP")
            .example("port: 12443\ntls:\n  certificate: certs/tls.crt\n  key: certs/tls.key"),
        plano::ROUTER,
        plano::MAX_RETRIES,
        plano::LISTENER_AGENTS,
        plano::INPUT_FILTERS,
        plano::OUTPUT_FILTERS,
    ],
)
.idle_when("type", &["agent", "prompt"]);

/// `cors` of a listener.
pub(crate) const CORS: Object = Object::new(
    "cors",
    "A request of a page with another origin is answered with status 403 and goes nowhere.",
    &[Key::ours(
        "allow_origins",
        Kind::Origins,
        "The origins whose pages may use the listener, as a browser sends them: scheme, host and \
         port. `*` allows any page.",
    )
    .otherwise("pages of this machine: `localhost`, `127.0.0.1` and `[::1]` with any port")
    .example("allow_origins:\n  - https://app.example.com\n  - http://localhost:3000")],
);

/// `tls` of a listener.
pub(crate) const TLS: Object = Object::new(
    "tls",
    "TLS 1.2 and newer, with HTTP/2 for clients that ask for it.",
    &[
        Key::ours(
            "certificate",
            Kind::Path,
            "The file with the certificate and those that lead to its authority, in PEM form. \
             Relative to the configuration file.",
        )
        .required()
        .example("certificate: certs/tls.crt\nkey: certs/tls.key"),
        Key::ours(
            "key",
            Kind::Path,
            "The file with the certificate's private key, in PEM form. Relative to the \
             configuration file.",
        )
        .required()
        .example("certificate: certs/tls.crt\nkey: certs/tls.key"),
        Key::ours(
            "client_ca",
            Kind::Path,
            "The file of authorities of which every client must show a certificate, in PEM form. \
             Relative to the configuration file.",
        )
        .otherwise("clients need no certificate")
        .example("certificate: certs/tls.crt\nkey: certs/tls.key\nclient_ca: certs/clients.crt"),
    ],
);

/// Plano's older form of `listeners`.
pub(crate) const LEGACY_LISTENERS: Object = Object::new(
    "older listeners",
    "Plano's older form of `listeners`: a map in place of a list.",
    &[
        Key::shared(
            "egress_traffic",
            Kind::Object(&LEGACY_LISTENER),
            "The model listener.",
        )
        .replaced_by("a list entry with `type: model`")
        .example("egress_traffic:\n  address: 127.0.0.1\n  port: 12000"),
        Key::planos(
            "ingress_traffic",
            Kind::Object(&LEGACY_LISTENER),
            "The listener for prompts.",
        )
        .replaced_by("a list entry with `type: prompt`")
        .example("ingress_traffic:\n  port: 10000"),
    ],
);

/// A listener of Plano's older form.
pub(crate) const LEGACY_LISTENER: Object = Object::new(
    "older listener",
    "A listener of Plano's older form.",
    &[
        Key::shared("address", Kind::Ip, "The address to listen on.")
            .default("127.0.0.1")
            .example("address: 127.0.0.1"),
        Key::shared("port", Kind::Port, "The port to listen on.")
            .default("12000")
            .example("port: 12000"),
        Key::shared(
            "message_format",
            Kind::Any,
            "Plano's name of an API. Every listener serves every API, whatever it says.",
        )
        .needless()
        .example("message_format: openai"),
        Key::shared(
            "timeout",
            Kind::Duration,
            "How long an exchange may take as a whole.",
        )
        .default("600s")
        .example("timeout: 30s"),
    ],
);

/// `server`.
pub(crate) const SERVER: Object = Object::new(
    "server",
    "The settings of `meseta serve`. The command line overrides those that it has options for.",
    &[
        Key::ours(
            "listen",
            Kind::Listen,
            "Where Envoy calls the server. Whoever can call it can ask for the providers' keys: a \
             Unix socket has permissions, a TCP port has none.",
        )
        .default("unix:/run/meseta/server.sock")
        .example("listen: unix:/run/meseta/server.sock"),
        Key::ours(
            "admin",
            Kind::Socket,
            "Where health, metrics and the resolved configuration are served over HTTP. Nothing \
             there is secret, and nothing there asks who one is.",
        )
        .default("127.0.0.1:9902")
        .example("admin: 127.0.0.1:9902"),
        Key::ours(
            "max_request_bytes",
            Kind::Size,
            "The largest body of a request; larger ones are answered with status 413.",
        )
        .default("32MiB")
        .example("max_request_bytes: 64MiB"),
        Key::ours(
            "max_event_bytes",
            Kind::Size,
            "The largest single event of a streamed answer that is held in memory; a larger one passes \
             in pieces.",
        )
        .default("16MiB")
        .example("max_event_bytes: 16MiB"),
        Key::ours(
            "max_response_bytes",
            Kind::Size,
            "The largest answer that the server relays: Envoy holds what a slow client has not read. \
             Answers that Envoy fetches itself have no such limit.",
        )
        .default("64MiB")
        .example("max_response_bytes: 64MiB"),
        Key::ours(
            "egress",
            Kind::Egress,
            "How the server's own calls reach providers. `envoy`: through a listener of Envoy's, at \
             the socket `egress.sock` beside the server's own; `unix:PATH`: the same at this socket; \
             `direct`: without Envoy, which is also what a server on a TCP port does when no socket \
             is named.",
        )
        .default("envoy")
        .example("egress: unix:/run/meseta/egress.sock"),
        Key::ours(
            "heartbeat",
            Kind::Duration,
            "How long a relayed stream may be silent before the client is told that it lives; `0s` \
             for never.",
        )
        .default("15s")
        .example("heartbeat: 30s"),
        Key::ours(
            "drain_timeout",
            Kind::Duration,
            "How long running exchanges may take to end when the server stops.",
        )
        .default("30s")
        .example("drain_timeout: 2m"),
        Key::ours(
            "log",
            Kind::OneOf(&["json", "text"]),
            "The form of log lines: one JSON object each, or text for people.",
        )
        .default("json")
        .example("log: text"),
        Key::ours(
            "socket_mode",
            Kind::Mode,
            "The permissions of the Unix socket: `0600` for the server's own user, `0660` for its \
             group too. Put it in quotes.",
        )
        .default("\"0600\"")
        .example("socket_mode: \"0660\""),
        Key::ours(
            "meter",
            Kind::OneOf(&["wasm", "native", "off"]),
            "Where limits are kept. `wasm`: in Envoy, by the filter, shared by its workers; relayed calls \
             have to go through Envoy then. `native`: in the server, and Envoy has no filter. `off`: \
             nowhere, so that nothing is limited.",
        )
        .default("wasm")
        .example("meter: native"),
        Key::ours(
            "meter_failure",
            Kind::OneOf(&["closed", "open"]),
            "What happens to a request that limits are for when it cannot be counted: `closed`, it is \
             refused; `open`, it passes.",
        )
        .default("closed")
        .example("meter_failure: open"),
    ],
);

/// `tracing`.
pub(crate) const TRACING: Object = Object::new(
    "tracing",
    "Spans of exchanges over OTLP. Without an endpoint none are made.",
    &[
        Key::ours(
            "otlp_endpoint",
            Kind::Url,
            "The gRPC endpoint of an OpenTelemetry collector. `$NAME` and `${NAME}` refer to the \
             environment.",
        )
        .otherwise("the variable `OTEL_TRACING_GRPC_ENDPOINT`, when `tracing` is there")
        .example("otlp_endpoint: http://localhost:4317"),
        Key::shared(
            "opentracing_grpc_endpoint",
            Kind::Url,
            "Plano's name of `otlp_endpoint`. Only one of the two may be there.",
        )
        .replaced_by("otlp_endpoint")
        .example("opentracing_grpc_endpoint: http://localhost:4317"),
        Key::shared(
            "random_sampling",
            Kind::Percentage,
            "The share of exchanges that get a span, in percent.",
        )
        .default("100")
        .example("otlp_endpoint: http://localhost:4317\nrandom_sampling: 10"),
        plano::TRACE_ARCH_INTERNAL,
        plano::SPAN_ATTRIBUTES,
        plano::EXPORTERS,
    ],
);

/// `overrides`.
pub(crate) const OVERRIDES: Object = Object::new(
    "overrides",
    "How Envoy reaches providers. The other keys are Plano's and without effect so far.",
    &[
        Key::shared(
            "upstream_connect_timeout",
            Kind::Duration,
            "How long a connection to a provider may take to be made, TLS included. Not zero.",
        )
        .default("5s")
        .example("upstream_connect_timeout: 10s"),
        Key::shared(
            "upstream_tls_ca_path",
            Kind::Path,
            "The file of certificate authorities that providers are checked against, where Envoy \
             runs.",
        )
        .default("/etc/ssl/certs/ca-certificates.crt")
        .example("upstream_tls_ca_path: /etc/ssl/certs/ca-certificates.crt"),
        plano::INTENT_THRESHOLD,
        plano::OPTIMIZE_CONTEXT_WINDOW,
        plano::USE_AGENT_ORCHESTRATOR,
        plano::DISABLE_SIGNALS,
        plano::LLM_ROUTING_MODEL,
        plano::AGENT_ORCHESTRATION_MODEL,
        plano::ORCHESTRATOR_CONTEXT_LENGTH,
    ],
);
