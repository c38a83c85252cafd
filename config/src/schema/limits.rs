//! `limits`, `keys` and `consumer`.

use super::{Key, Kind, Named, Object};

/// One name or several, each exact or with `*`.
const NAMES: Kind = Kind::Either(&[Kind::Text, Kind::Texts]);

/// An entry of `limits`.
pub(crate) const LIMIT: Object = Object::new(
    "limit",
    "How much of something is allowed in some time. Every limit that matches a request has to let \
     it pass.",
    &[
        Key::ours(
            "name",
            Kind::Text,
            "Its name, unique: up to 64 of `a-z`, `0-9`, `_`, `.` and `-`. Clients see it.",
        )
        .required()
        .example("name: per-user\nunit: tokens\nlimit: 100000\nper: minute"),
        Key::ours(
            "match",
            Kind::Object(&LIMIT_MATCH),
            "The requests that it is for, and whose count it is.",
        )
        .otherwise("all requests, with one count")
        .example(
            "name: per-user\nmatch:\n  header: x-user\nunit: tokens\nlimit: 100000\nper: minute",
        ),
        Key::ours(
            "unit",
            Kind::OneOf(UNITS),
            "What is counted. `tokens` are those of prompt and answer together.",
        )
        .required()
        .example("name: per-user\nunit: requests\nlimit: 60\nper: minute"),
        Key::ours(
            "limit",
            Kind::Integer,
            "How much of it is allowed in the time; not zero.",
        )
        .required()
        .example("name: per-user\nunit: requests\nlimit: 60\nper: minute"),
        Key::ours(
            "per",
            Kind::OneOf(PERIODS),
            "In which time. Up to an hour it comes back little by little; a day or a month begins at \
             midnight, UTC.",
        )
        .required()
        .example("name: per-user\nunit: requests\nlimit: 1000\nper: day"),
        Key::ours(
            "burst",
            Kind::Integer,
            "How much may pass at once, for `second`, `minute` and `hour`; not zero.",
        )
        .otherwise("`limit`")
        .example("name: per-user\nunit: requests\nlimit: 60\nper: minute\nburst: 10"),
    ],
);

/// What `unit` may be.
const UNITS: &[&str] = &["requests", "tokens", "input_tokens", "output_tokens"];

/// What `per` may be.
const PERIODS: &[&str] = &["second", "minute", "hour", "day", "month"];

/// `match` of a limit.
pub(crate) const LIMIT_MATCH: Object = Object::new(
    "match of a limit",
    "What a request must have: all of what is here, and one of each list. In names, `*` stands for any \
     characters. A header or a claim gives each value a count of its own, a consumer each consumer; \
     without any of them there is one count.",
    &[
        Key::ours(
            "consumer",
            NAMES,
            "Who asks: a name of `keys`, or what `consumer` at the top finds.",
        )
        .example("consumer: \"*\""),
        Key::ours(
            "model",
            NAMES,
            "The model that serves, as `provider/model`, or the name of `models` that was asked for.",
        )
        .example("model: [ollama/llama3.2, ollama/qwen*]"),
        Key::ours("provider", NAMES, "The provider that serves.").example("provider: ollama"),
        Key::ours("listener", NAMES, "The listener that the request came to.")
            .example("listener: model"),
        Key::ours(
            "header",
            Kind::Either(&[
                Kind::Text,
                Kind::Map(&Named {
                    name: "HEADER",
                    example: "x-team",
                    value: Kind::Scalar,
                }),
            ]),
            "A request header, or one with the value that it must have. Not beside `claim`. A client \
             can send what it likes: where that matters, let something in front set the header.",
        )
        .example("header: x-team"),
        Key::ours(
            "claim",
            Kind::Either(&[
                Kind::Text,
                Kind::Map(&Named {
                    name: "CLAIM",
                    example: "sub",
                    value: Kind::Scalar,
                }),
            ]),
            "A claim that an earlier filter of Envoy's has found in a token, or one with the value that \
             it must have: the names that lead to it in the dynamic metadata that \
             `consumer.metadata` names, with dots between them. Not beside `header`.",
        )
        .example("claim: jwt_payload.sub"),
    ],
);

/// An entry of `keys`.
pub(crate) const CONSUMER_KEY: Object = Object::new(
    "key",
    "A key that opens the listeners, and the consumer that it belongs to. The key itself is not here.",
    &[
        Key::ours(
            "name",
            Kind::Text,
            "The consumer's name, unique: up to 100 characters, none of them a space.",
        )
        .required()
        .example(KEY),
        Key::ours(
            "hash",
            Kind::Hash,
            "The SHA-256 of the key: `printf %s KEY | sha256sum`. A key that is guessed opens as much \
             as one that is stolen: make it of 128 random bits at least.",
        )
        .required()
        .example(KEY),
        Key::ours(
            "models",
            Kind::Texts,
            "What it may ask for: names of `models`, aliases and models, also with `*`.",
        )
        .otherwise("everything")
        .example(
            "name: search\nhash: sha256:60dd8f316b63319f2a55409b3a742c73c11ea4652d6b090b72ecfc212286064a\n\
             models: [ollama/llama3.2, ollama/qwen*]",
        ),
        Key::ours(
            "limits",
            Kind::Texts,
            "Names of `limits`. A limit that a key names is for the consumers of such keys alone, each \
             with a count of its own.",
        )
        .otherwise("those limits alone that no key names")
        .example(
            "name: search\nhash: sha256:60dd8f316b63319f2a55409b3a742c73c11ea4652d6b090b72ecfc212286064a\n\
             limits: [per-key]",
        ),
        Key::ours(
            "expires",
            Kind::Time,
            "When it ends, with its offset to UTC (RFC 3339).",
        )
        .otherwise("never")
        .example(
            "name: search\nhash: sha256:60dd8f316b63319f2a55409b3a742c73c11ea4652d6b090b72ecfc212286064a\n\
             expires: \"2030-01-01T00:00:00Z\"",
        ),
        Key::ours(
            "labels",
            Kind::Map(&Named {
                name: "LABEL",
                example: "team",
                value: Kind::Scalar,
            }),
            "What else is to be known of it. Not secret.",
        )
        .example(
            "name: search\nhash: sha256:60dd8f316b63319f2a55409b3a742c73c11ea4652d6b090b72ecfc212286064a\n\
             labels:\n  team: search",
        ),
    ],
);

/// A key, with what it needs.
const KEY: &str = "name: search\nhash: \
                   sha256:60dd8f316b63319f2a55409b3a742c73c11ea4652d6b090b72ecfc212286064a";

/// `consumer`.
pub(crate) const CONSUMER: Object = Object::new(
    "consumer",
    "Who asks, as something in front has found out: `header` or `claim`, one of the two. A key that \
     is presented comes first.",
    &[
        Key::ours(
            "header",
            Kind::Text,
            "The request header with the consumer's name. Whoever sets it is believed: something in \
             front has to set it or take it off, for every request.",
        )
        .example("header: x-user-id"),
        Key::ours(
            "claim",
            Kind::Text,
            "The claim with the consumer's name, in dynamic metadata that an earlier filter of Envoy's \
             has set: the names that lead to it, with dots between them.",
        )
        .example("claim: jwt_payload.sub"),
        Key::ours(
            "metadata",
            Kind::Text,
            "The namespace of the metadata with the claim.",
        )
        .default("envoy.filters.http.jwt_authn")
        .example("claim: jwt_payload.sub\nmetadata: envoy.filters.http.jwt_authn"),
    ],
);
