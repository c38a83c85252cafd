//! `models`: names with several targets.

use super::{Key, Kind, Named, Object};

/// What every example of a pool needs.
const TARGETS: &str = "targets:\n  - ollama/llama3.2\n  - ollama/qwen3";

/// An entry of `models`.
pub(crate) const POOL: Object = Object::new(
    "model",
    "A name that clients may ask for, and the targets that serve it. It comes before a model of the \
     same name, so that a known name can have several targets.",
    &[
        Key::ours(
            "targets",
            Kind::List(&Kind::Either(&[Kind::Text, Kind::Object(&TARGET)])),
            "What is asked: each `provider/model`, the name of an entry of `model_providers`, a model \
             without its provider, or an alias that leads to a model. At least one; each once.",
        )
        .required()
        .example(TARGETS),
        Key::ours(
            "default",
            Kind::Flag,
            "Whether requests that name no model get this one. At most one entry of `models` and \
             `model_providers` together may say so.",
        )
        .default("false")
        .example("targets:\n  - ollama/llama3.2\n  - ollama/qwen3\ndefault: true"),
        Key::ours(
            "select",
            Kind::OneOf(&["weighted", "fastest", "least_busy"]),
            "How one of several targets of equal priority is chosen. `weighted`: by chance, in \
             proportion to the weights; `fastest`: the one with the shortest measured time to its \
             first token; `least_busy`: the one with the fewest requests under way, in proportion to \
             the weights.",
        )
        .default("weighted")
        .example("targets:\n  - ollama/llama3.2\n  - ollama/qwen3\nselect: fastest"),
        Key::ours(
            "sticky",
            Kind::Object(&STICKY),
            "Keeps a sender at one target of equal priority.",
        )
        .otherwise("the target is chosen anew for each request")
        .example("targets:\n  - ollama/llama3.2\n  - ollama/qwen3\nsticky:\n  header: x-user"),
        Key::ours(
            "rules",
            Kind::List(&Kind::Object(&RULE)),
            "Sends some requests elsewhere. The first rule that matches counts; the rules of the name \
             that it leads to are not read.",
        )
        .example(
            "targets:\n  - ollama/llama3.2\nrules:\n  - match:\n      header:\n        x-tier: gold\n    \
             use: ollama/qwen3",
        ),
        Key::ours(
            "mirror",
            Kind::Object(&MIRROR),
            "Sends copies of requests to a further model, whose answers no client sees. Each copy \
             costs what a request costs.",
        )
        .otherwise("no copies")
        .example(
            "targets:\n  - ollama/llama3.2\nmirror:\n  model: ollama/qwen3\n  percent: 10",
        ),
        Key::ours(
            "path",
            Kind::OneOf(&["direct", "relay"]),
            "Who calls the provider. `direct`: Envoy, once; `relay`: the server, which can try another \
             target. `direct` cannot be combined with several targets or with `failover`, `timeout`, \
             `hedge_after` or `resume`.",
        )
        .otherwise("a relay where something here needs one")
        .example("targets:\n  - ollama/llama3.2\npath: relay"),
        Key::ours(
            "failover",
            Kind::Object(&FAILOVER),
            "When another target is tried, and how often.",
        )
        .example("targets:\n  - ollama/llama3.2\n  - ollama/qwen3\nfailover:\n  max_attempts: 2"),
        Key::ours(
            "timeout",
            Kind::Object(&TIMEOUT),
            "How long each step may take. A target that takes longer has failed.",
        )
        .otherwise("as long as the listener allows")
        .example("targets:\n  - ollama/llama3.2\n  - ollama/qwen3\ntimeout:\n  first_token: 15s"),
        Key::ours(
            "hedge_after",
            Kind::Hedge,
            "When a second target is asked beside one that has not begun to answer: after a duration, \
             or after the time within which that share of its recent answers began (`p95`: 95 of \
             100). The first that begins is taken, and both may cost. Needs two targets.",
        )
        .otherwise("never")
        .example("targets:\n  - ollama/llama3.2\n  - ollama/qwen3\nhedge_after: p95"),
        Key::ours(
            "resume",
            Kind::Flag,
            "Whether a stream that breaks in the middle is continued by the next target, which is \
             given what has been said so far. Needs two targets.",
        )
        .default("false")
        .example("targets:\n  - ollama/llama3.2\n  - ollama/qwen3\nresume: true"),
    ],
);

/// An entry of `targets` that says more than its model.
pub(crate) const TARGET: Object = Object::new(
    "target of a model",
    "A target with more than its model. A text alone is its `model`.",
    &[
        Key::ours("model", Kind::Text, "What is asked.")
            .required()
            .example("model: ollama/llama3.2"),
        Key::ours(
            "priority",
            Kind::Integer,
            "Targets with the lowest number are asked first; those with a higher one when none of \
             them is left. From 0 to 1000.",
        )
        .default("1")
        .example("model: ollama/llama3.2\npriority: 2"),
        Key::ours(
            "weight",
            Kind::Integer,
            "Its share among the targets of equal priority. From 1 to 10000.",
        )
        .default("1")
        .example("model: ollama/llama3.2\nweight: 9"),
        Key::ours(
            "context_window",
            Kind::Integer,
            "How many tokens it takes, request and answer together; not zero.",
        )
        .example("model: ollama/llama3.2\ncontext_window: 128000"),
    ],
);

/// `sticky`.
pub(crate) const STICKY: Object = Object::new(
    "sticky",
    "Requests with the same value go to the same target of equal priority, in proportion to the \
     weights, for as long as it works and the targets are the same.",
    &[
        Key::ours(
            "header",
            Kind::Text,
            "The request header that tells senders apart. Without it in a request, its target is \
             chosen anew.",
        )
        .example("header: x-user"),
        Key::ours(
            "consumer",
            Kind::Flag,
            "Whether who asks tells senders apart, in place of a header: by their key or by \
             `consumer`.",
        )
        .example("consumer: true"),
    ],
);

/// An entry of `rules`.
pub(crate) const RULE: Object = Object::new(
    "rule of a model",
    "Which requests go elsewhere, and where.",
    &[
        Key::ours("match", Kind::Object(&MATCH), "Which requests are meant.")
            .required()
            .example("match:\n  header:\n    x-tier: gold\nuse: ollama/qwen3"),
        Key::ours(
            "use",
            Kind::Text,
            "What is asked instead: another name of `models`, an alias, or a model.",
        )
        .required()
        .example("match:\n  header:\n    x-tier: gold\nuse: ollama/qwen3"),
    ],
);

/// `match` of a rule.
pub(crate) const MATCH: Object = Object::new(
    "match",
    "What a request must have. All of it has to fit.",
    &[
        Key::ours(
            "header",
            Kind::Map(&Named {
                name: "HEADER",
                example: "x-tier",
                value: Kind::Scalar,
            }),
            "Request headers and the value that each must have; `*` stands for any. A client can send \
             what it likes: where that matters, let something in front set the header.",
        )
        .example("header:\n  x-tier: gold"),
        Key::ours(
            "consumer",
            Kind::Either(&[Kind::Text, Kind::Texts]),
            "Who must ask, by the names of `keys` or of `consumer`: a name or several, each with `*` for \
             any characters.",
        )
        .example("consumer: gold-*"),
    ],
);

/// `mirror`.
pub(crate) const MIRROR: Object = Object::new(
    "mirror",
    "Copies of requests.",
    &[
        Key::ours(
            "model",
            Kind::Text,
            "What is asked: a model, or an alias that leads to one.",
        )
        .required()
        .example("model: ollama/qwen3\npercent: 10"),
        Key::ours(
            "percent",
            Kind::Share,
            "The share of requests that are copied; not zero.",
        )
        .required()
        .example("model: ollama/qwen3\npercent: 10"),
        Key::ours(
            "compare",
            Kind::Flag,
            "Whether what the answer comes to is compared with the client's answer.",
        )
        .default("false")
        .example("model: ollama/qwen3\npercent: 10\ncompare: true"),
    ],
);

/// What `on` may name beside statuses.
pub(crate) const CONDITIONS: &[&str] = &[
    "connect",
    "headers_timeout",
    "first_token_timeout",
    "idle_timeout",
    "reset",
    "bad_answer",
    "context_length",
    "content_filter",
];

/// `failover`.
pub(crate) const FAILOVER: Object = Object::new(
    "failover",
    "When another target is tried. A switch is silent until content has gone to the client.",
    &[
        Key::ours(
            "on",
            Kind::Conditions,
            "What counts as a failure, in place of the default. Statuses from 400 to 599, `4xx` or \
             `5xx` for all of a kind; `connect`: no connection; `headers_timeout`, \
             `first_token_timeout`, `idle_timeout`: what `timeout` says has passed; `reset`: the \
             connection broke; `bad_answer`: a success that is none; `context_length`: the request \
             is larger than the model's window; `content_filter`: the provider's filter refused.",
        )
        .default(
            "[429, 500, 502, 503, 504, 529, connect, reset, headers_timeout, first_token_timeout, \
             idle_timeout, bad_answer]",
        )
        .example("on: [429, 5xx, connect, context_length]"),
        Key::ours(
            "max_attempts",
            Kind::Integer,
            "How many attempts there are at most, the first included. From 1 to 10.",
        )
        .default("3")
        .example("max_attempts: 2"),
        Key::ours(
            "retry_budget",
            Kind::Share,
            "Attempts after the first that a target gets at most, as a share of the requests for \
             this name; a few each second are always granted.",
        )
        .default("50%")
        .example("retry_budget: 20%"),
        Key::ours(
            "cooldown",
            Kind::Object(&COOLDOWN),
            "How long a target that fails is left alone.",
        )
        .example("cooldown:\n  failures: 5"),
    ],
);

/// `cooldown` of `failover`.
pub(crate) const COOLDOWN: Object = Object::new(
    "cooldown",
    "A target in cool-down is tried after all others. When its time has passed, one request probes \
     it.",
    &[
        Key::ours(
            "failures",
            Kind::Integer,
            "So many failures in a row start it. From 1 to 1000.",
        )
        .default("3")
        .example("failures: 5"),
        Key::ours(
            "error_rate",
            Kind::Share,
            "Or this share of failures among at least ten recent attempts; not zero.",
        )
        .default("50%")
        .example("error_rate: 30%"),
        Key::ours(
            "first",
            Kind::Duration,
            "For how long, the first time; it doubles with each probe that fails. Not zero.",
        )
        .default("10s")
        .example("first: 5s"),
        Key::ours(
            "longest",
            Kind::Duration,
            "For how long at most; not less than `first`.",
        )
        .default("5m")
        .example("longest: 2m"),
    ],
);

/// `timeout` of a pool.
pub(crate) const TIMEOUT: Object = Object::new(
    "timeouts",
    "How long the steps of one attempt, or the whole exchange, may take. None may be zero.",
    &[
        Key::ours(
            "headers",
            Kind::Duration,
            "Until the answer's headers. Of an answer that is not streamed they come with its end.",
        )
        .example("headers: 20s"),
        Key::ours(
            "first_token",
            Kind::Duration,
            "Until the first content of a stream.",
        )
        .example("first_token: 15s"),
        Key::ours("idle", Kind::Duration, "Between two pieces of a stream.").example("idle: 60s"),
        Key::ours(
            "total",
            Kind::Duration,
            "The whole exchange, all attempts included.",
        )
        .otherwise("the listener's `timeout`")
        .example("total: 5m"),
    ],
);
