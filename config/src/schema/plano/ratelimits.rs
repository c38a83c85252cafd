//! `ratelimits`, which has effect.

use crate::schema::{Key, Kind, Object};

const EXAMPLE: &str =
    "model: ollama/llama3.2\nselector:\n  key: x-user-id\n  value: \"*\"\nlimit:\n  \
                       tokens: 100000\n  unit: hour";

pub(in crate::schema) const RATELIMITS: Key = Key::shared(
    "ratelimits",
    Kind::List(&Kind::Object(&RATELIMIT)),
    "Limits of prompt tokens by model and request header, in Plano's form; `limits` can say more. Of \
     two with one model and header, the one with the very value comes before the one with any. The \
     header that `x-arch-ratelimit-selector` names need not be named: it has to be there.",
)
.example(
    "ratelimits:\n  - model: ollama/llama3.2\n    selector:\n      key: x-user-id\n      value: \
     \"*\"\n    limit:\n      tokens: 100000\n      unit: hour",
);

/// An entry of `ratelimits`.
pub(crate) const RATELIMIT: Object = Object::new(
    "rate limit",
    "A limit of prompt tokens.",
    &[
        Key::shared(
            "model",
            Kind::Text,
            "The model that it is for, with its provider or without; `*` for any.",
        )
        .required()
        .example(EXAMPLE),
        Key::shared(
            "selector",
            Kind::Object(&SELECTOR),
            "The requests that it is for.",
        )
        .required()
        .example(EXAMPLE),
        Key::shared("limit", Kind::Object(&AMOUNT), "How much is allowed.")
            .required()
            .example(EXAMPLE),
    ],
);

/// `selector` of a rate limit.
pub(crate) const SELECTOR: Object = Object::new(
    "selector",
    "The requests that a rate limit is for: those with this header.",
    &[
        Key::shared("key", Kind::Text, "The name of a request header.")
            .required()
            .example("key: x-user-id"),
        Key::shared(
            "value",
            Kind::Scalar,
            "Its value; `*` for any, each with a count of its own.",
        )
        .default("\"*\"")
        .example("key: x-user-id\nvalue: \"*\""),
    ],
);

/// `limit` of a rate limit.
pub(crate) const AMOUNT: Object = Object::new(
    "amount of a rate limit",
    "How much is allowed.",
    &[
        Key::shared("tokens", Kind::Integer, "How many prompt tokens; not zero.")
            .required()
            .example("tokens: 100000\nunit: hour"),
        Key::shared(
            "unit",
            Kind::OneOf(&["second", "minute", "hour", "day"]),
            "In which time. A day begins at midnight, UTC.",
        )
        .required()
        .example("tokens: 100000\nunit: day"),
    ],
);
