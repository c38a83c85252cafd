//! `model_providers` and `model_aliases`.

use super::{Key, Kind, Named, Object};

/// An entry of `model_providers`.
pub(crate) const PROVIDER: Object = Object::new(
    "model provider",
    "A model, or with `provider/*` every model of a provider. Entries that agree in everything \
     but the model are one provider.",
    &[
        Key::shared(
            "name",
            Kind::Scalar,
            "Another name by which clients may ask for this model. Unique.",
        )
        .example("model: openai/gpt-4o-mini\nname: small"),
        Key::shared(
            "access_key",
            Kind::Secret,
            "The provider's key. Write `$NAME` or `${NAME}` to take it from the environment or \
             from `.env`; a key that stands in the file itself is taken with a warning.",
        )
        .otherwise(
            "the provider's usual variable (see the list of providers), unless `base_url` leads \
             elsewhere",
        )
        .example("model: openai/gpt-4o-mini\naccess_key: $OPENAI_API_KEY"),
        Key::ours(
            "access_key_file",
            Kind::Path,
            "A file that holds the provider's key and nothing else, in place of `access_key`. \
             Relative to the configuration file; `$NAME` and `${NAME}` refer to the environment.",
        )
        .example("model: openai/*\naccess_key_file: secrets/openai"),
        Key::shared(
            "model",
            Kind::Model,
            "The provider and the model as the provider calls it. `*` in place of the model \
             passes any model through. A provider that is not in the list of providers needs \
             `base_url` and `provider_interface`.",
        )
        .required()
        .example("model: anthropic/claude-sonnet-4-5"),
        Key::shared(
            "default",
            Kind::Flag,
            "Whether requests that name no model get this one. At most one entry, of `models` as \
             well, and none with `*`, may say so.",
        )
        .default("false")
        .example("model: openai/gpt-4o-mini\ndefault: true"),
        Key::shared(
            "base_url",
            Kind::Url,
            "Where the provider is, path included. `$NAME` and `${NAME}` refer to the \
             environment. The usual key of a provider is never sent to an address that is not \
             its own.",
        )
        .otherwise("the provider's own address; providers without one need this key")
        .example("model: vllm/*\nbase_url: http://10.0.0.5:8000/v1"),
        Key::shared(
            "passthrough_auth",
            Kind::Flag,
            "Sends the client's own credential to the provider in place of `access_key`.",
        )
        .default("false")
        .example("model: openai/*\npassthrough_auth: true"),
        Key::ours(
            "on_loss",
            Kind::OneOf(&["warn", "drop", "reject"]),
            "What to do when a request is translated to the API that the provider speaks and that \
             API has no place for something in it. `warn`: the answer's header `x-meseta-loss` \
             names up to five places, and `x-meseta-answer-loss` as many of an answer that is not \
             streamed; `drop`: nothing is said; `reject`: the request is refused with 400 and all \
             places.",
        )
        .default("warn")
        .example("model: anthropic/*\non_loss: reject"),
        Key::shared(
            "http_host",
            Kind::Text,
            "The host name to ask the provider for, where it differs from the one in `base_url`. \
             Behind an IP address it is also the name that the certificate must carry.",
        )
        .otherwise("the host of `base_url`")
        .example("model: vllm/*\nbase_url: https://10.0.0.5:8443\nhttp_host: models.internal"),
        Key::shared(
            "provider_interface",
            Kind::Interface,
            "Which known provider a server of your own behaves like: its APIs, its paths, where \
             it takes the key. Only for providers that are not in the list.",
        )
        .example(
            "model: inhouse/*\nbase_url: https://models.example.com/v1\nprovider_interface: openai",
        ),
        Key::shared(
            "headers",
            Kind::Map(&Named {
                name: "HEADER",
                example: "x-team",
                value: Kind::Scalar,
            }),
            "Headers to send with each request. Values may refer to the environment; a header \
             whose variable is not set is left out.",
        )
        .example("model: openai/*\nheaders:\n  openai-organization: $OPENAI_ORGANIZATION"),
        Key::planos(
            "routing_preferences",
            Kind::List(&Kind::Object(&PREFERENCE)),
            "What this model is good at; an old form of the top-level `routing_preferences`.",
        )
        .example(
            "model: openai/gpt-4o\nrouting_preferences:\n  - name: code review\n    description: \
             comments on changes of code",
        ),
    ],
);

const PREFERENCE: Object = Object::new(
    "preference of a provider",
    "A kind of task that the model is meant for.",
    &[
        Key::planos("name", Kind::Text, "The name of the kind of task.")
            .example("name: code review"),
        Key::planos("description", Kind::Text, "What such a task looks like.")
            .example("name: code review\ndescription: comments on changes of code"),
    ],
);

/// An entry of `model_aliases`.
pub(crate) const ALIAS: Object = Object::new(
    "alias",
    "Another name for a model.",
    &[Key::shared(
        "target",
        Kind::Text,
        "What the alias stands for: `provider/model`, the name of an entry, a name of `models`, or \
         another alias.",
    )
    .required()
    .example("target: ollama/llama3.2")],
);
