//! The limits of an exchange: which rules it falls under, what is reserved, and what it used.
//!
//! The server decides who and what; a meter executes: this process's own, or the filter in Envoy, which
//! is told by an internal header. What the filter has reserved, it settles.

use hermesllm::endpoint::Endpoint;
use hermesllm::error::{ApiError, ErrorCode};
use meseta_config::{LimitFacts, MeterPlace, Target};
use meseta_limits::{headers, Amounts, Order, RuleName, Standings};

use super::consumer;
use super::onward::Asked;
use super::Context;

/// The headers that tell a client of its limits.
pub(crate) type LimitHeaders = Vec<(&'static str, String)>;

/// What a request falls under.
#[derive(Debug)]
pub(crate) struct Charges {
    rules: Vec<(RuleName, u64)>,
    amounts: Amounts,
}

/// A request that may not pass.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) error: ApiError,
    pub(crate) headers: LimitHeaders,
}

impl Charges {
    /// The rules that a request for this target falls under; `None` under none.
    pub(crate) fn of(
        context: &Context,
        asked: &Asked,
        target: &Target<'_>,
        pool: Option<&str>,
    ) -> Option<Self> {
        let config = &context.config;
        if config.limits().is_empty() || config.server.meter == MeterPlace::Off {
            return None;
        }
        let consumer = context.consumer.as_ref();
        let charges = config.charges(&LimitFacts {
            consumer: consumer.map(|own| own.name.as_str()),
            key: consumer.and_then(|own| own.key(config)),
            model: target.id,
            pool,
            provider: &target.provider.name,
            listener: &context.listener.name,
            header: &|name| asked.head.all.text(name),
            claim: &|path| consumer::claim(context.claims.as_ref()?, path),
        });
        if charges.is_empty() {
            return None;
        }
        let rules = charges.into_iter();
        Some(Self {
            rules: rules
                .map(|(rule, subject)| (rule, subject.hash()))
                .collect(),
            amounts: expected(context, asked, target),
        })
    }

    /// What the filter is told.
    fn order(&self, dialect: &str, relayed: bool) -> Option<String> {
        let Amounts {
            input_tokens,
            output_tokens,
            ..
        } = self.amounts;
        let order = Order::new(dialect).ok()?;
        let mut order = order.relayed(relayed).tokens(input_tokens, output_tokens);
        for (rule, subject) in &self.rules {
            order.charge(rule.clone(), *subject).ok()?;
        }
        Some(order.to_string())
    }
}

/// Has the limits of an exchange executed: the value of the header that tells the filter to, or nothing
/// where this process has, or where there are none.
///
/// # Errors
/// When the request may not pass.
pub(crate) fn admit(
    context: &mut Context,
    asked: &Asked,
    target: &Target<'_>,
    pool: Option<&str>,
    relayed: bool,
) -> Result<Option<String>, Box<Refusal>> {
    let Some(charges) = Charges::of(context, asked, target, pool) else {
        return Ok(None);
    };
    context.outcome.is_metered = true;
    context.outcome.estimated_input = charges.amounts.input_tokens;
    if context.config.server.meter == MeterPlace::Wasm {
        let order = charges.order(asked.client.dialect.as_str(), relayed);
        return order.map(Some).ok_or_else(uncounted);
    }
    match context.meter.admit(&charges.rules, charges.amounts) {
        Some(Ok((reserved, standing))) => {
            context.outcome.limit_headers = headers::of(&standing, None);
            context.outcome.reserved = Some(reserved);
            Ok(None)
        }
        Some(Err(refused)) => {
            let message = context.meter.message(&refused);
            Err(Box::new(Refusal {
                error: ApiError::new(ErrorCode::RateLimited, message),
                headers: headers::of(&refused.standing, Some(&refused)),
            }))
        }
        None => Err(uncounted()),
    }
}

/// What a client is told, by what the filter in Envoy says.
pub(crate) fn told(standing: &str) -> LimitHeaders {
    let standings = standing.parse::<Standings>();
    standings.map_or_else(|_| Vec::new(), |own| headers::of(&own.0, None))
}

/// Nobody can say whether the limits hold: the request does not pass.
fn uncounted() -> Box<Refusal> {
    let message = "the limits of this request cannot be counted";
    Box::new(Refusal {
        error: ApiError::new(ErrorCode::Internal, message),
        headers: Vec::new(),
    })
}

/// What the request is expected to use.
fn expected(context: &Context, asked: &Asked, target: &Target<'_>) -> Amounts {
    let request = &asked.request;
    let input_tokens = (request.prompt_bytes() as u64).div_ceil(4);
    let (input_tokens, output_tokens) = match asked.client.endpoint {
        // What is counted on request is not used.
        Endpoint::CountTokens => (0, 0),
        Endpoint::Embeddings => (input_tokens, 0),
        _ => {
            let mean = || context.meter.expected_output(target.id);
            (
                input_tokens,
                request.max_output_tokens().unwrap_or_else(mean),
            )
        }
    };
    Amounts {
        requests: 1,
        input_tokens,
        output_tokens,
    }
}
