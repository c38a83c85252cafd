//! `system_prompt`, `prompt_targets` and `prompt_guards`.

use crate::schema::{Key, Kind, Named, Object};

pub(in crate::schema) const SYSTEM_PROMPT: Key = Key::planos(
    "system_prompt",
    Kind::Text,
    "The system prompt of every prompt target.",
)
.example("system_prompt: Answer in one sentence.");

pub(in crate::schema) const PROMPT_TARGETS: Key = Key::planos(
    "prompt_targets",
    Kind::List(&Kind::Object(&PROMPT_TARGET)),
    "Calls of services that a prompt may lead to.",
)
.example("prompt_targets:\n  - name: weather\n    description: tells the weather of a city");

const PROMPT_TARGET: Object = Object::new(
    "prompt target",
    "A call of a service that a prompt may lead to.",
    &[
        Key::planos("name", Kind::Text, "Its name.").example("name: weather"),
        Key::planos(
            "default",
            Kind::Flag,
            "Whether it gets the prompts that fit no other target.",
        )
        .default("false")
        .example("name: weather\ndefault: true"),
        Key::planos("description", Kind::Text, "Which prompts it is for.")
            .example("name: weather\ndescription: tells the weather of a city"),
        Key::planos(
            "auto_llm_dispatch_on_response",
            Kind::Flag,
            "Whether a model words the service's answer.",
        )
        .example("name: weather\nauto_llm_dispatch_on_response: true"),
        Key::planos(
            "parameters",
            Kind::List(&Kind::Object(&PARAMETER)),
            "What the call needs to know from the prompt.",
        )
        .example(
            "name: weather\nparameters:\n  - name: city\n    description: the name of a city\n    \
             type: string",
        ),
        Key::planos("endpoint", Kind::Object(&TARGET), "What is called.")
            .example("name: weather\nendpoint:\n  name: weather_api\n  path: /now"),
        Key::planos(
            "system_prompt",
            Kind::Text,
            "The system prompt in place of the common one.",
        )
        .example("name: weather\nsystem_prompt: Answer in one sentence."),
    ],
);

const PARAMETER: Object = Object::new(
    "parameter",
    "What a call needs to know from the prompt.",
    &[
        Key::planos("name", Kind::Text, "Its name.").example("name: city"),
        Key::planos("required", Kind::Flag, "Whether the call needs it.")
            .default("false")
            .example("name: city\nrequired: true"),
        Key::planos(
            "default",
            Kind::Any,
            "Its value when the prompt does not say.",
        )
        .example("name: days\ndefault: 3"),
        Key::planos("description", Kind::Text, "What it means.")
            .example("name: city\ndescription: the name of a city"),
        Key::planos("type", Kind::Text, "The type of its values.")
            .example("name: city\ntype: string"),
        Key::planos("enum", Kind::Any, "A list of the values that it may have.")
            .example("name: unit\nenum: [celsius, fahrenheit]"),
        Key::planos(
            "in_path",
            Kind::Flag,
            "Whether it stands in the path of the call.",
        )
        .default("false")
        .example("name: city\nin_path: true"),
        Key::planos("format", Kind::Text, "How its values are written.")
            .example("name: city\nformat: City, State"),
    ],
);

const TARGET: Object = Object::new(
    "target",
    "What a prompt target calls.",
    &[
        Key::planos("name", Kind::Text, "The name of an entry of `endpoints`.")
            .example("name: weather_api"),
        Key::planos("path", Kind::Text, "The path to ask for.")
            .example("name: weather_api\npath: /now"),
        Key::planos(
            "http_method",
            Kind::OneOf(&["GET", "POST"]),
            "The method of the call.",
        )
        .default("GET")
        .example("name: weather_api\nhttp_method: POST"),
        Key::planos(
            "http_headers",
            Kind::Map(&Named {
                name: "HEADER",
                example: "accept",
                value: Kind::Text,
            }),
            "Headers of the call.",
        )
        .example("name: weather_api\nhttp_headers:\n  accept: application/json"),
    ],
);

pub(in crate::schema) const PROMPT_GUARDS: Key = Key::planos(
    "prompt_guards",
    Kind::Object(&GUARDS),
    "Checks of prompts before they are served.",
)
.example(
    "prompt_guards:\n  input_guards:\n    jailbreak:\n      on_exception:\n        message: I \
     cannot help with that.",
);

const GUARDS: Object = Object::new(
    "prompt guards",
    "Checks of prompts before they are served.",
    &[Key::planos(
        "input_guards",
        Kind::Object(&INPUT_GUARDS),
        "Checks of what users write.",
    )
    .example(
        "input_guards:\n  jailbreak:\n    on_exception:\n      message: I cannot help with that.",
    )],
);

const INPUT_GUARDS: Object = Object::new(
    "input guards",
    "Checks of what users write.",
    &[Key::planos(
        "jailbreak",
        Kind::Object(&JAILBREAK),
        "The check for attempts to talk a model out of its rules.",
    )
    .example("jailbreak:\n  on_exception:\n    message: I cannot help with that.")],
);

const JAILBREAK: Object = Object::new(
    "jailbreak guard",
    "The check for attempts to talk a model out of its rules.",
    &[Key::planos(
        "on_exception",
        Kind::Object(&ON_EXCEPTION),
        "What happens when the check finds something.",
    )
    .example("on_exception:\n  message: I cannot help with that.")],
);

const ON_EXCEPTION: Object = Object::new(
    "guard exception",
    "What happens when a check finds something.",
    &[
        Key::planos("message", Kind::Text, "The answer that the user gets.")
            .example("message: I cannot help with that."),
    ],
);
