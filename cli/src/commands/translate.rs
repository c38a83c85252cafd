//! `meseta translate`: one document or stream from one API to another, with what is lost on the way.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context, Result};
use clap::ValueEnum;
use hermesllm::apis::{SupportedUpstreamAPIs as Api, WriteOptions};
use hermesllm::endpoint::Endpoint;
use hermesllm::providers::{catalogue, ProviderId};
use hermesllm::representation::Losses;
use hermesllm::request::{ProviderRequest, RequestEdits};
use hermesllm::translate::{self, RequestOptions, StreamEnd, StreamTranslator, TranslateError};

use crate::failure::Failure;
use crate::terminal::Terminal;

/// The largest event of a stream: images come in one.
const MAX_EVENT_BYTES: usize = 64 << 20;

/// Arguments of `meseta translate`.
#[derive(Debug, clap::Args)]
pub struct Translate {
    /// The API of the input; of an answer, the provider's
    #[arg(long, value_name = "API", value_parser = api)]
    from: Api,
    /// The API of the output; of an answer, the client's
    #[arg(long, value_name = "API", value_parser = api)]
    to: Api,
    /// What the input is
    #[arg(long, value_enum)]
    kind: Kind,
    /// The provider that a request is for: what it does not take is left out
    #[arg(long, value_name = "NAME", value_parser = ProviderId::from_str)]
    provider: Option<ProviderId>,
    /// The model to put into a request; of an answer, the one that the client asked for
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// Feed a stream so many bytes at a time
    #[arg(long, value_name = "BYTES", default_value_t = 65_536, value_parser = clap::value_parser!(u64).range(1..))]
    chunk: u64,
    /// File to read [default: standard input]
    file: Option<PathBuf>,
}

/// What the input is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// A request's body
    Request,
    /// An answer's body, or an error's
    Response,
    /// The bytes of a streamed answer
    Stream,
}

impl Translate {
    /// Writes the translation to standard output and each loss as a line of JSON to standard error. Exit code 0, 2 for input
    /// that cannot be read, 3 when something was lost.
    pub fn run(self, terminal: &Terminal) -> Result<()> {
        let input = self.input()?;
        let mut output = Vec::new();
        let losses = match self.kind {
            Kind::Request => self.request(&input, &mut output),
            Kind::Response => self.response(&input, &mut output),
            Kind::Stream => self.stream(&input, &mut output),
        }?;
        let mut stdout = std::io::stdout().lock();
        stdout
            .write_all(&output)
            .and_then(|()| stdout.flush())
            .context("cannot write the translation")?;
        for loss in losses.as_slice() {
            terminal.info(&loss.to_json());
        }
        if losses.is_empty() {
            Ok(())
        } else {
            // The lines have said it.
            Err(Failure::lossy().into())
        }
    }

    fn input(&self) -> Result<Vec<u8>> {
        let mut input = Vec::new();
        match &self.file {
            Some(path) => {
                input = std::fs::read(path).map_err(|error| {
                    Failure::usage(format!("cannot read `{}`: {error}", path.display()))
                })?;
            }
            None => {
                let mut stdin = std::io::stdin().lock();
                stdin
                    .read_to_end(&mut input)
                    .context("cannot read standard input")?;
            }
        }
        Ok(input)
    }

    fn request(&self, input: &[u8], output: &mut Vec<u8>) -> Result<Losses> {
        if self.from == self.to {
            *output = self.edited(input)?;
            return Ok(Losses::new());
        }
        let entry = self.provider.and_then(|id| catalogue().entry(&id));
        let options = RequestOptions {
            model: self.model.as_deref(),
            stream: None,
            ask_usage: entry.is_some_and(|entry| entry.stream_usage),
            max_completion_tokens: entry.is_some_and(|entry| entry.max_completion_tokens),
        };
        let translated = translate::request(self.from, self.to, input, &options);
        let translated = translated.map_err(unreadable)?;
        *output = translated.body;
        Ok(translated.losses)
    }

    /// The same API: nothing but the model is touched.
    fn edited(&self, input: &[u8]) -> Result<Vec<u8>> {
        let of_the_api = |endpoint: &Endpoint| endpoint.api() == Some(self.from);
        let endpoint = Endpoint::ALL.into_iter().find(of_the_api);
        let endpoint = endpoint.unwrap_or(Endpoint::ChatCompletions);
        let request = ProviderRequest::parse(endpoint, input.to_vec().into());
        let request = request.map_err(|error| Failure::usage(error.message))?;
        let edits = RequestEdits {
            model: self.model.as_deref(),
            ask_usage: false,
        };
        let segments = request.edit(&edits).into_segments();
        Ok(segments.concat())
    }

    fn response(&self, input: &[u8], output: &mut Vec<u8>) -> Result<Losses> {
        if self.from == self.to {
            *output = input.to_vec();
            return Ok(Losses::new());
        }
        let translated = translate::response(self.from, self.to, 200, input, &self.options());
        let translated = translated.map_err(unreadable)?;
        *output = translated.body;
        Ok(translated.losses)
    }

    fn stream(&self, input: &[u8], output: &mut Vec<u8>) -> Result<Losses> {
        if self.from == self.to {
            *output = input.to_vec();
            return Ok(Losses::new());
        }
        let translator = StreamTranslator::new(self.from, self.to, self.options(), MAX_EVENT_BYTES);
        let mut translator = translator.ok_or_else(|| {
            unreadable(TranslateError::NoWay {
                from: self.from,
                to: self.to,
            })
        })?;
        let step = usize::try_from(self.chunk).unwrap_or(usize::MAX);
        for chunk in input.chunks(step) {
            translator.push(chunk, output);
        }
        if translator.finish(output) == StreamEnd::Truncated && translator.observed().events == 0 {
            return Err(Failure::usage("the input holds no event of a stream").into());
        }
        Ok(translator.losses().clone())
    }

    /// No clock and no chance: the same input gives the same output.
    fn options(&self) -> WriteOptions {
        WriteOptions {
            model: self.model.clone().unwrap_or_default(),
            created: 0,
            id: "translated".to_owned(),
            include_usage: true,
            ..WriteOptions::default()
        }
    }
}

fn api(text: &str) -> Result<Api, String> {
    let known = Api::ALL
        .into_iter()
        .filter(|api| translate::is_way(*api, *api));
    let mut names = Vec::new();
    for api in known {
        if api.as_str() == text {
            return Ok(api);
        }
        names.push(api.as_str());
    }
    Err(format!("is no API: write one of {}", names.join(", ")))
}

fn unreadable(error: TranslateError) -> anyhow::Error {
    Failure::usage(error.to_string()).into()
}
