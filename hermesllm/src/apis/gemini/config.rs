//! `generationConfig`.

use serde_json::{Map, Number, Value};

use super::members::Members;
use super::schema::{to_json_schema, to_openapi};
use super::thinking;
use crate::apis::ReadError;
use crate::representation::{
    At, Losses, OutputFormat, ReasoningConfig, Request, Sampling, Setting,
};

/// The most stop sequences.
const MOST_STOPS: usize = 5;
const JSON: &str = "application/json";
const TEXT: &str = "text/plain";

/// Reads `generationConfig` into a request.
pub(super) fn read(mut config: Members, request: &mut Request) -> Result<(), ReadError> {
    request.max_output = config.whole("maxOutputTokens")?;
    request.choices = config.whole("candidateCount")?;
    request.sampling = Sampling {
        temperature: config.number("temperature")?,
        top_p: config.number("topP")?,
        top_k: config.number("topK")?,
        min_p: None,
        frequency_penalty: config.number("frequencyPenalty")?,
        presence_penalty: config.number("presencePenalty")?,
        seed: config.number("seed")?,
        logit_bias: None,
    };
    let stop = config.texts("stopSequences")?;
    request.stop = stop.filter(|stop| !stop.value.is_empty());
    request.logprobs = logprobs(&mut config)?;
    request.format = format(&mut config)?;
    request.modalities = config.texts("responseModalities")?.map(|mut own| {
        own.value
            .iter_mut()
            .for_each(|word| word.make_ascii_lowercase());
        own
    });
    if let Some(own) = config.object("thinkingConfig")? {
        request.reasoning = thinking::read(own)?;
    }
    request.extensions.extend(config.rest());
    Ok(())
}

fn logprobs(config: &mut Members) -> Result<Setting<u64>, ReadError> {
    if config.peek("responseLogprobs") == Some(&Value::Bool(false)) {
        config.take("responseLogprobs");
        return Ok(None);
    }
    let Some(asked) = config.flag("responseLogprobs")? else {
        return Ok(None);
    };
    let most = config.whole("logprobs")?;
    Ok(Some(At::new(most.map_or(0, |most| most.value), asked.at)))
}

/// A format is known by the place of its schema, so that it can be written so again.
fn format(config: &mut Members) -> Result<Setting<OutputFormat>, ReadError> {
    let media_type = config.text("responseMimeType")?;
    let schema = match config.take("responseJsonSchema") {
        Some(schema) => Some((schema.value, schema.at)),
        None => config
            .map("responseSchema")?
            .map(|schema| (Value::Object(schema.value), schema.at)),
    };
    let word = media_type.as_ref().map(|own| own.value.as_str());
    Ok(match (word, schema) {
        (None, None) => None,
        (Some(JSON) | None, Some((schema, at))) => {
            let schema = if is_openapi(&at) {
                to_json_schema(schema)
            } else {
                schema
            };
            let format = OutputFormat::Schema {
                name: None,
                description: None,
                schema,
                strict: None,
            };
            Some(At::new(format, at))
        }
        (_, schema) => media_type.map(|At { value, at }| {
            let format = match (value.as_str(), schema) {
                (JSON, None) => OutputFormat::Json,
                (TEXT, None) => OutputFormat::Text,
                (_, schema) => {
                    let mut own = Map::new();
                    own.insert("responseMimeType".to_owned(), value.into());
                    if let Some((schema, at)) = schema {
                        let key = if is_openapi(&at) {
                            "responseSchema"
                        } else {
                            "responseJsonSchema"
                        };
                        own.insert(key.to_owned(), schema);
                    }
                    OutputFormat::Other(Value::Object(own))
                }
            };
            At::new(format, at)
        }),
    })
}

fn is_openapi(at: &str) -> bool {
    at.ends_with("/responseSchema") || at.ends_with("/response_schema")
}

/// What `generationConfig` is written from.
pub(super) struct Settings {
    pub(super) max_output: Setting<u64>,
    pub(super) sampling: Sampling,
    pub(super) stop: Setting<Vec<String>>,
    pub(super) choices: Setting<u64>,
    pub(super) logprobs: Setting<u64>,
    pub(super) format: Setting<OutputFormat>,
    pub(super) reasoning: Option<ReasoningConfig>,
    pub(super) modalities: Setting<Vec<String>>,
}

/// Writes `generationConfig`; may be empty.
pub(super) fn write(
    settings: Settings,
    model: &str,
    same: bool,
    losses: &mut Losses,
) -> Map<String, Value> {
    let Settings {
        max_output,
        sampling,
        stop,
        choices,
        logprobs,
        format,
        reasoning,
        modalities,
    } = settings;
    let mut config = Map::new();
    if let Some(most) = max_output {
        config.insert("maxOutputTokens".to_owned(), most.value.into());
    }
    write_sampling(sampling, same, &mut config, losses);
    if let Some(texts) = stop.and_then(|stop| write_stop(stop, same, losses)) {
        config.insert("stopSequences".to_owned(), texts.into());
    }
    // One is what is given anyway.
    if let Some(own) = choices.filter(|own| same || own.value != 1) {
        config.insert("candidateCount".to_owned(), own.value.into());
    }
    if let Some(most) = logprobs {
        config.insert("responseLogprobs".to_owned(), true.into());
        if most.value > 0 {
            config.insert("logprobs".to_owned(), most.value.into());
        }
    }
    if let Some(format) = format {
        write_format(format, same, &mut config, losses);
    }
    // Text is what is given anyway.
    let modalities = modalities.filter(|own| same || own.value != ["text"]);
    if let Some(own) = modalities {
        let words = own.value.into_iter();
        let words: Vec<Value> = words.map(|word| word.to_uppercase().into()).collect();
        config.insert("responseModalities".to_owned(), words.into());
    }
    if let Some(reasoning) = reasoning {
        let own = if same {
            thinking::own(reasoning, losses)
        } else {
            thinking::foreign(reasoning, model, losses)
        };
        if !own.is_empty() || same {
            config.insert("thinkingConfig".to_owned(), own.into());
        }
    }
    config
}

fn write_sampling(
    sampling: Sampling,
    same: bool,
    config: &mut Map<String, Value>,
    losses: &mut Losses,
) {
    let Sampling {
        temperature,
        top_p,
        top_k,
        min_p,
        frequency_penalty,
        presence_penalty,
        seed,
        logit_bias,
    } = sampling;
    let fits = |seed: &Number| {
        let number = seed.as_i64();
        number.is_some_and(|number| i32::try_from(number).is_ok())
    };
    let seed = match seed {
        Some(seed) if !same && !fits(&seed.value) => {
            losses.dropped(seed.at, "a seed of this API is a number of 32 bits");
            None
        }
        seed => seed,
    };
    for (key, number) in [
        ("temperature", temperature),
        ("topP", top_p),
        ("topK", top_k),
        ("frequencyPenalty", frequency_penalty),
        ("presencePenalty", presence_penalty),
        ("seed", seed),
    ] {
        if let Some(number) = number {
            config.insert(key.to_owned(), number.value.into());
        }
    }
    losses.dropped_setting(min_p, "this API has no such way to choose tokens");
    losses.dropped_setting(logit_bias, "this API has no such way to choose tokens");
}

fn write_stop(stop: At<Vec<String>>, same: bool, losses: &mut Losses) -> Option<Vec<String>> {
    let At {
        value: mut texts,
        at,
    } = stop;
    if !same {
        texts.retain(|text| !text.is_empty());
        if texts.len() > MOST_STOPS {
            losses.approximated(at, "this API takes five stop sequences");
            texts.truncate(MOST_STOPS);
        }
    }
    (!texts.is_empty()).then_some(texts)
}

fn write_format(
    format: At<OutputFormat>,
    same: bool,
    config: &mut Map<String, Value>,
    losses: &mut Losses,
) {
    let At { value, at } = format;
    let mut put = |key: &str, value: Value| config.insert(key.to_owned(), value);
    match value {
        OutputFormat::Text => {
            // What is given anyway.
            if same {
                put("responseMimeType", TEXT.into());
            }
        }
        OutputFormat::Json => {
            put("responseMimeType", JSON.into());
        }
        OutputFormat::Schema {
            // Names of schemas are needed by others alone.
            name: _,
            description,
            mut schema,
            strict: _,
        } => {
            // A description has its place in the schema.
            if let (Some(text), Some(own)) = (description, schema.as_object_mut()) {
                own.entry("description").or_insert_with(|| text.into());
            }
            put("responseMimeType", JSON.into());
            if same && is_openapi(&at) {
                put("responseSchema", to_openapi(schema));
            } else {
                put("responseJsonSchema", schema);
            }
        }
        OutputFormat::Other(Value::Object(members)) if same => config.extend(members),
        OutputFormat::Other(_) => {
            losses.dropped(at, "only its own API has answers of this form");
        }
    }
}

#[cfg(test)]
mod tests;
