//! What requests for embeddings, and their answers, may have.

use serde_json::{json, Number, Value};

use super::probe::{feature, unreadable, Passage, Probe};
use super::{Direction, Group, Verdict};
use crate::apis::embeddings::{
    request, response, At, Embedding, EmbeddingRequest, EmbeddingResponse, Encoding, Input,
    Truncate, Usage, Vector,
};
use crate::apis::SupportedUpstreamAPIs as Api;
use crate::representation::Losses;

/// The groups of features.
pub(super) fn groups() -> [Group; 2] {
    let all = || Api::ALL.into_iter();
    let apis: Vec<_> = all().filter(|api| api.is_of_embeddings()).collect();
    let requests = REQUESTS.iter();
    let requests = requests.map(|probe| feature(probe, &apis, &Requests));
    let answers = ANSWERS.iter();
    let answers = answers.map(|probe| feature(probe, &apis, &Answers));
    [
        Group {
            title: "Embeddings: requests",
            direction: Direction::ToProvider,
            features: requests.collect(),
            apis: apis.clone(),
        },
        Group {
            title: "Embeddings: answers",
            direction: Direction::ToClient,
            features: answers.collect(),
            apis: apis.clone(),
        },
    ]
}

/// A vector, and the same in base64.
const NUMBERS: [f64; 2] = [0.5, -0.25];
const IN_BASE64: &str = "AAAAPwAAgL4=";

const REQUESTS: &[Probe<EmbeddingRequest>] = &[
    Probe::new(
        "texts",
        |_| {
            let texts = ["Hello.", "Bye."];
            asking(texts.map(|text| Input::Text(text.to_owned())))
        },
        |request| inputs(request, |input| matches!(input, Input::Text(_))),
    ),
    Probe::new(
        "tokens",
        |_| asking([Input::Tokens(json!([1, 2, 3]))]),
        |request| inputs(request, |input| matches!(input, Input::Tokens(_))),
    ),
    Probe::new(
        "pictures",
        |_| {
            asking([Input::Image(
                "data:image/png;base64,iVBORw0KGgo=".to_owned(),
            )])
        },
        |request| inputs(request, |input| matches!(input, Input::Image(_))),
    ),
    Probe::new(
        "texts and pictures as one",
        |_| {
            asking([Input::Mixed(json!({"content": [
                {"type": "text", "text": "A cat."},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
            ]}))])
        },
        |request| inputs(request, |input| matches!(input, Input::Mixed(_))),
    )
    .native(),
    Probe::new(
        "dimensions",
        |_| with(|request| request.dimensions = set(256)),
        |request| request.dimensions.as_ref().map(|own| own.value).into(),
    ),
    Probe::new(
        "type of the input",
        |api| {
            let word = match api {
                Api::CohereEmbed => "search_query",
                _ => "query",
            };
            with(|request| request.input_type = set(word.to_owned()))
        },
        |request| {
            let word = request.input_type.as_ref().map(|own| own.value.as_str());
            word.map(|word| word.trim_start_matches("search_")).into()
        },
    )
    .native(),
    Probe::new(
        "truncation",
        |_| with(|request| request.truncate = set(Truncate::End)),
        |request| {
            let own = request.truncate.as_ref().map(|own| own.value);
            (own == Some(Truncate::End)).then_some("end").into()
        },
    )
    .native(),
    Probe::new(
        "vectors in base64",
        |_| with(|request| request.encoding = set(Encoding::Base64)),
        |request| {
            request
                .encoding
                .as_ref()
                .map(|own| own.value.as_str())
                .into()
        },
    )
    // Numbers are asked for, and written in base64 on the way back.
    .implied_by(&[Api::CohereEmbed]),
    Probe::new(
        "user",
        |_| with(|request| request.user = set("user-1".to_owned())),
        |request| request.user.as_ref().map(|own| own.value.clone()).into(),
    ),
];

const ANSWERS: &[Probe<EmbeddingResponse>] = &[
    Probe::new("vectors", |_| answer(), vectors),
    Probe::new(
        "vectors in base64",
        |_| {
            let mut answer = answer();
            for own in &mut answer.vectors {
                own.vector = Vector::Base64(IN_BASE64.to_owned());
            }
            answer
        },
        vectors,
    )
    .of(&[Api::OpenAiEmbeddings]),
    Probe::new(
        "vectors of other types",
        |_| {
            let mut answer = answer();
            answer.others.insert("int8".to_owned(), json!([[1, 2]]));
            answer
        },
        |answer| answer.others.get("int8").cloned().unwrap_or_default(),
    ),
    Probe::new("usage", |_| answer(), |answer| answer.usage.input.into()),
    Probe::new(
        "model",
        |_| {
            let mut answer = answer();
            answer.model = "a-model".to_owned();
            answer
        },
        |answer| {
            Some(answer.model.as_str())
                .filter(|own| !own.is_empty())
                .into()
        },
    )
    .bookkeeping(),
    Probe::new(
        "identifier",
        |_| {
            let mut answer = answer();
            answer.id = "an-id".to_owned();
            answer
        },
        |answer| {
            Some(answer.id.as_str())
                .filter(|own| !own.is_empty())
                .into()
        },
    )
    .bookkeeping(),
];

struct Requests;

impl Passage<EmbeddingRequest> for Requests {
    fn own(
        &self,
        api: Api,
        mut sample: EmbeddingRequest,
        native: bool,
    ) -> Option<EmbeddingRequest> {
        sample.api = native.then_some(api);
        let body = request::write(api, sample, &mut Losses::new()).ok()?;
        request::read(api, body).ok()
    }

    fn other(
        &self,
        _from: Api,
        to: Api,
        own: EmbeddingRequest,
        losses: &mut Losses,
    ) -> Result<EmbeddingRequest, Verdict> {
        // What the vectors are of cannot be left out: the request is refused.
        let body = request::write(to, own, losses)
            .map_err(|error| Verdict::Impossible(vec![error.reason]))?;
        request::read(to, body).map_err(|error| unreadable(&error))
    }
}

struct Answers;

impl Passage<EmbeddingResponse> for Answers {
    fn own(
        &self,
        api: Api,
        mut sample: EmbeddingResponse,
        native: bool,
    ) -> Option<EmbeddingResponse> {
        sample.api = native.then_some(api);
        let body = response::write(api, sample, &mut Losses::new()).ok()?;
        response::read(api, body).ok()
    }

    fn other(
        &self,
        _from: Api,
        to: Api,
        own: EmbeddingResponse,
        losses: &mut Losses,
    ) -> Result<EmbeddingResponse, Verdict> {
        let body =
            response::deliver(own, to, None, None, losses).map_err(|error| unreadable(&error))?;
        response::read(to, body).map_err(|error| unreadable(&error))
    }
}

fn set<T>(value: T) -> Option<At<T>> {
    Some(At::new(value, ""))
}

fn asking<const N: usize>(inputs: [Input; N]) -> EmbeddingRequest {
    EmbeddingRequest {
        model: "a-model".to_owned(),
        inputs: inputs.map(|input| At::new(input, "")).into(),
        ..EmbeddingRequest::default()
    }
}

fn with(change: impl FnOnce(&mut EmbeddingRequest)) -> EmbeddingRequest {
    let mut request = asking([Input::Text("Hello.".to_owned())]);
    change(&mut request);
    request
}

fn inputs(request: &EmbeddingRequest, is_one: impl Fn(&Input) -> bool) -> Value {
    let inputs = request.inputs.iter().map(|input| &input.value);
    let own: Vec<_> = inputs.filter(|input| is_one(input)).collect();
    (!own.is_empty()).then(|| format!("{own:?}")).into()
}

fn answer() -> EmbeddingResponse {
    let numbers = NUMBERS.into_iter().filter_map(Number::from_f64);
    EmbeddingResponse {
        vectors: vec![Embedding {
            vector: Vector::Floats(numbers.collect()),
            extensions: Vec::new(),
        }],
        usage: Usage {
            input: Some(3),
            total: Some(3),
            image: None,
        },
        ..EmbeddingResponse::default()
    }
}

/// The numbers of the vectors, however they are written.
fn vectors(answer: &EmbeddingResponse) -> Value {
    let vectors = answer.vectors.iter().map(|own| match &own.vector {
        Vector::Floats(numbers) => json!(numbers),
        Vector::Base64(text) if text == IN_BASE64 => json!(NUMBERS),
        Vector::Base64(text) => json!(text),
        Vector::Other(value) => value.clone(),
    });
    vectors.collect::<Vec<_>>().into()
}
