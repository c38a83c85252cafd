//! The meter's own answers, in the client's dialect.
//!
//! Owns their statuses, headers and bodies. The bodies are those of `hermesllm`'s error table. That
//! crate is not in the filter, because each change of a provider or a codec would be one of the
//! filter, and build it anew; a test holds the two together.
//!
//! Invariant: a body is well-formed JSON, whatever the message. Nothing of subjects is in an answer.

use meseta_limits::{headers, Refused, Rule, Standings};

/// In whose shapes a client reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// OpenAI and all that speak its API.
    OpenAi,
    /// Anthropic.
    Anthropic,
    /// Gemini.
    Gemini,
    /// Amazon Bedrock.
    Bedrock,
}

impl Dialect {
    /// The dialect of this name. OpenAI's for one that is not known, as everywhere.
    pub fn named(name: &str) -> Self {
        match name {
            "anthropic" => Self::Anthropic,
            "gemini" => Self::Gemini,
            "bedrock" => Self::Bedrock,
            _ => Self::OpenAi,
        }
    }
}

/// What a code is called in each dialect.
struct Names {
    status: u16,
    openai: (&'static str, &'static str),
    anthropic: &'static str,
    gemini: &'static str,
    bedrock: &'static str,
}

const RATE_LIMITED: Names = Names {
    status: 429,
    openai: ("rate_limit_error", "rate_limit_exceeded"),
    anthropic: "rate_limit_error",
    gemini: "RESOURCE_EXHAUSTED",
    bedrock: "ThrottlingException",
};

const OVERLOADED: Names = Names {
    status: 503,
    openai: ("server_error", "overloaded"),
    anthropic: "overloaded_error",
    gemini: "UNAVAILABLE",
    bedrock: "ServiceUnavailableException",
};

/// Bedrock's type of an error is also a header.
const AWS_ERROR_TYPE: &str = "x-amzn-errortype";

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: Vec<(&'static str, String)>,
    /// The body: JSON.
    pub body: String,
}

impl Reply {
    /// A rule's refusal.
    pub fn refused(dialect: Dialect, refused: &Refused, rule: Option<&Rule>) -> Self {
        let mut reply = Self::new(dialect, &RATE_LIMITED, &refused.message(rule));
        reply
            .headers
            .extend(headers::of(&refused.standing, Some(refused)));
        reply
    }

    /// The refusal of a request that cannot be counted.
    pub fn unavailable(dialect: Dialect) -> Self {
        let message = "the request cannot be counted against its limits now";
        let mut reply = Self::new(dialect, &OVERLOADED, message);
        reply.headers.push(("retry-after", "1".to_owned()));
        reply
    }

    /// The answer to the server's question where subjects stand.
    pub fn standing(standing: &Standings) -> Self {
        Self {
            status: 200,
            headers: vec![(meseta_proto::headers::STANDING, standing.to_string())],
            body: String::new(),
        }
    }

    fn new(dialect: Dialect, names: &Names, message: &str) -> Self {
        let mut headers = Vec::with_capacity(16);
        headers.push(("content-type", "application/json".to_owned()));
        headers.push((meseta_proto::headers::METER, "refused".to_owned()));
        if dialect == Dialect::Bedrock {
            headers.push((AWS_ERROR_TYPE, names.bedrock.to_owned()));
        }
        Self {
            status: names.status,
            headers,
            body: body(dialect, names, message),
        }
    }
}

/// The JSON of an error. The message is the only part that is not fixed.
fn body(dialect: Dialect, names: &Names, message: &str) -> String {
    let message = serde_json::Value::from(message);
    let Names {
        status,
        openai: (kind, code),
        anthropic,
        gemini,
        bedrock,
    } = names;
    match dialect {
        Dialect::OpenAi => format!(
            r#"{{"error":{{"message":{message},"type":"{kind}","param":null,"code":"{code}"}}}}"#
        ),
        Dialect::Anthropic => {
            format!(r#"{{"type":"error","error":{{"type":"{anthropic}","message":{message}}}}}"#)
        }
        Dialect::Gemini => {
            format!(r#"{{"error":{{"code":{status},"message":{message},"status":"{gemini}"}}}}"#)
        }
        Dialect::Bedrock => format!(r#"{{"__type":"{bedrock}","message":{message}}}"#),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hermesllm::error::{ApiError, ErrorCode};
    use meseta_limits::{Per, Reason, RuleName, Stats, Unit};

    use super::*;

    fn refused(reason: Reason, retry_after: Option<Duration>) -> (Refused, Rule) {
        let name = RuleName::new("per-user").unwrap();
        let rule = Rule::new(
            name.clone(),
            Unit::InputTokens,
            1000,
            Per::Minute,
            Some(2000),
        );
        let refused = Refused {
            rule: name,
            unit: Unit::InputTokens,
            reason,
            limit: 1000,
            remaining: 0,
            retry_after,
            standing: Vec::new(),
            stats: Stats::default(),
        };
        (refused, rule.unwrap())
    }

    #[test]
    fn bodies_are_those_of_the_servers_errors_in_every_dialect() {
        for theirs in hermesllm::dialect::Dialect::ALL {
            let ours = Dialect::named(theirs.as_str());
            for (names, code) in [
                (&RATE_LIMITED, ErrorCode::RateLimited),
                (&OVERLOADED, ErrorCode::Overloaded),
            ] {
                for message in ["plain", "\"quoted\"\n\\ \u{1}\u{20ac}"] {
                    let body = body(ours, names, message);
                    let expected = ApiError::new(code, message).body(theirs);
                    assert_eq!(body.as_bytes(), expected, "{theirs:?} {code:?}");
                }
                assert_eq!(names.status, code.status());
                assert_eq!(names.bedrock, code.bedrock_type());
            }
        }
    }

    #[test]
    fn bedrock_alone_gets_the_type_as_a_header() {
        for (dialect, expected) in [
            (Dialect::Bedrock, Some("ThrottlingException")),
            (Dialect::OpenAi, None),
        ] {
            let (refused, rule) = refused(Reason::Spent, None);
            let reply = Reply::refused(dialect, &refused, Some(&rule));
            let mut headers = reply.headers.iter();
            let kind = headers.find(|(name, _)| *name == "x-amzn-errortype");
            assert_eq!(kind.map(|(_, value)| value.as_str()), expected);
        }
    }

    #[test]
    fn a_refusal_says_which_rule_and_until_when() {
        let (spent, rule) = refused(Reason::Spent, Some(Duration::from_millis(11_001)));
        assert_eq!(
            spent.message(Some(&rule)),
            "rate limit per-user reached: 1000 input tokens per minute; try again in 12 s"
        );
        let (large, rule) = refused(Reason::TooLarge, None);
        assert_eq!(
            large.message(Some(&rule)),
            "the request is larger than rate limit per-user ever lets pass: 1000 input tokens per \
             minute, 2000 at once"
        );
        let reply = Reply::refused(Dialect::OpenAi, &large, Some(&rule));
        assert!(reply.headers.iter().all(|(name, _)| *name != "retry-after"));
    }

    #[test]
    fn a_dialect_that_is_not_known_is_openais() {
        assert_eq!(Dialect::named("klingon"), Dialect::OpenAi);
    }
}
