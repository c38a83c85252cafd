//! The bodies of the model list, in the dialects that have one.
//!
//! Owns their shapes and Anthropic's pages. Order is the caller's; times are not known and are
//! always the epoch, so that the same configuration gives the same bytes.
//!
//! Follows OpenAI's `GET /v1/models` (one list, no pages) and Anthropic's (`limit` from 1 to 1000,
//! 20 if not given; `after_id` and `before_id` are exclusive), and Gemini's `GET /v1beta/models`,
//! whose pages have any length that the server likes: all is one page.

use serde_json::{json, Value};

use crate::dialect::Dialect;
use crate::endpoint::percent_decoded;
use crate::error::{ApiError, ErrorCode};

/// What a client is told of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelCard<'a> {
    /// The name to ask for.
    pub id: &'a str,
    /// The provider.
    pub owned_by: &'a str,
    /// The name to show.
    pub display_name: &'a str,
}

/// Models on a page of Anthropic's list, unless the client says otherwise.
const PAGE: usize = 20;

/// The most models on a page of Anthropic's list.
const LARGEST_PAGE: usize = 1000;

/// The body of the model list.
///
/// `query` is the request's query string; OpenAI's list has no parameters and ignores it, and so
/// does Gemini's. Bedrock's runtime has no list, it gets OpenAI's.
///
/// # Errors
/// [`ErrorCode::InvalidRequest`] for a `limit` out of range, a cursor that is no model of the
/// list, or both cursors at once (Anthropic only).
pub fn model_list(
    dialect: Dialect,
    cards: &[ModelCard<'_>],
    query: Option<&str>,
) -> Result<Vec<u8>, ApiError> {
    let list = match dialect {
        Dialect::OpenAi | Dialect::Bedrock => {
            json!({ "object": "list", "data": values(dialect, cards) })
        }
        Dialect::Gemini => json!({ "models": values(dialect, cards) }),
        Dialect::Anthropic => {
            let (page, has_more) = Page::of_query(query)?.cut(cards)?;
            json!({
                "data": values(dialect, page),
                "has_more": has_more,
                "first_id": page.first().map(|card| card.id),
                "last_id": page.last().map(|card| card.id),
            })
        }
    };
    Ok(list.to_string().into_bytes())
}

/// The body for one model.
pub fn model_info(dialect: Dialect, card: &ModelCard<'_>) -> Vec<u8> {
    value(dialect, card).to_string().into_bytes()
}

fn values(dialect: Dialect, cards: &[ModelCard<'_>]) -> Vec<Value> {
    cards.iter().map(|card| value(dialect, card)).collect()
}

fn value(dialect: Dialect, card: &ModelCard<'_>) -> Value {
    match dialect {
        Dialect::OpenAi | Dialect::Bedrock => json!({
            "id": card.id,
            "object": "model",
            "created": 0,
            "owned_by": card.owned_by,
        }),
        Dialect::Anthropic => json!({
            "type": "model",
            "id": card.id,
            "display_name": card.display_name,
            "created_at": "1970-01-01T00:00:00Z",
        }),
        Dialect::Gemini => json!({
            "name": format!("models/{}", card.id),
            "displayName": card.display_name,
            "supportedGenerationMethods": ["generateContent", "streamGenerateContent"],
        }),
    }
}

/// Which part of the list is asked for.
struct Page {
    limit: usize,
    cursor: Option<Cursor>,
}

/// Where a page begins or ends; the model named is not on it.
enum Cursor {
    After(String),
    Before(String),
}

impl Page {
    fn of_query(query: Option<&str>) -> Result<Self, ApiError> {
        let mut page = Self {
            limit: PAGE,
            cursor: None,
        };
        for pair in query.unwrap_or_default().split('&') {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            if value.is_empty() {
                continue;
            }
            let value = percent_decoded(value);
            let cursor = match key {
                "limit" => {
                    page.limit = limit(&value)?;
                    continue;
                }
                "after_id" => Cursor::After(value.into_owned()),
                "before_id" => Cursor::Before(value.into_owned()),
                _ => continue,
            };
            if page.cursor.replace(cursor).is_some() {
                return Err(invalid(
                    "after_id",
                    "only one of `after_id` and `before_id` can be given, and only once",
                ));
            }
        }
        Ok(page)
    }

    /// The models on the page, and whether there are more beyond it in its direction.
    fn cut<'c, 'm>(
        &self,
        cards: &'c [ModelCard<'m>],
    ) -> Result<(&'c [ModelCard<'m>], bool), ApiError> {
        let place = |id: &str, param| {
            cards
                .iter()
                .position(|card| card.id == id)
                .ok_or_else(|| invalid(param, format!("`{param}` names no model of the list")))
        };
        let (start, end) = match &self.cursor {
            None => (0, self.limit),
            Some(Cursor::After(id)) => {
                let start = place(id, "after_id")? + 1;
                (start, start + self.limit)
            }
            Some(Cursor::Before(id)) => {
                let end = place(id, "before_id")?;
                (end.saturating_sub(self.limit), end)
            }
        };
        let end = end.min(cards.len());
        let page = cards.get(start..end).unwrap_or_default();
        let has_more = match self.cursor {
            Some(Cursor::Before(_)) => start > 0,
            _ => end < cards.len(),
        };
        Ok((page, has_more))
    }
}

fn limit(value: &str) -> Result<usize, ApiError> {
    match value.parse() {
        Ok(limit) if (1..=LARGEST_PAGE).contains(&limit) => Ok(limit),
        _ => Err(invalid(
            "limit",
            format!("`limit` has to be a number from 1 to {LARGEST_PAGE}"),
        )),
    }
}

fn invalid(param: &str, message: impl Into<String>) -> ApiError {
    ApiError::new(ErrorCode::InvalidRequest, message).with_param(param)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(dialect: Dialect, ids: &[String], query: Option<&str>) -> Result<Value, ApiError> {
        let cards: Vec<_> = ids
            .iter()
            .map(|id| ModelCard {
                id,
                owned_by: "acme",
                display_name: "A model",
            })
            .collect();
        let body = model_list(dialect, &cards, query)?;
        Ok(serde_json::from_slice(&body).unwrap())
    }

    fn ids(count: usize) -> Vec<String> {
        (0..count).map(|n| format!("acme/m{n}")).collect()
    }

    fn shown(list: &Value) -> Vec<&str> {
        let data = list["data"].as_array().unwrap();
        data.iter()
            .map(|card| card["id"].as_str().unwrap())
            .collect()
    }

    #[test]
    fn openai_clients_get_one_list_in_the_given_order() {
        let ids = ids(30);
        let list = list(Dialect::OpenAi, &ids, Some("limit=0")).unwrap();
        assert_eq!(list["object"], "list");
        assert_eq!(shown(&list), ids);
        assert_eq!(
            list["data"][3],
            json!({"id": "acme/m3", "object": "model", "created": 0, "owned_by": "acme"})
        );
    }

    #[test]
    fn anthropic_clients_get_pages() {
        let ids = ids(30);
        for (query, from, to, has_more) in [
            (None, 0, 20, true),
            (Some("limit=30"), 0, 30, false),
            (Some("limit=1000&beta=true"), 0, 30, false),
            (Some("after_id=acme%2Fm19"), 20, 30, false),
            (Some("limit=5&after_id=acme/m19"), 20, 25, true),
            (Some("limit=3&before_id=acme/m5"), 2, 5, true),
            (Some("before_id=acme/m5&limit=9"), 0, 5, false),
            (Some("after_id=acme/m29"), 30, 30, false),
            (Some("limit=&after_id="), 0, 20, true),
        ] {
            let list = list(Dialect::Anthropic, &ids, query).unwrap();
            assert_eq!(shown(&list), ids[from..to], "{query:?}");
            assert_eq!(list["has_more"], has_more, "{query:?}");
            assert_eq!(
                list["first_id"].as_str(),
                ids[from..to].first().map(String::as_str)
            );
            assert_eq!(
                list["last_id"].as_str(),
                ids[from..to].last().map(String::as_str)
            );
        }
    }

    #[test]
    fn following_the_pages_shows_every_model_once() {
        let ids = ids(7);
        let (mut seen, mut query) = (Vec::new(), "limit=3".to_owned());
        loop {
            let page = list(Dialect::Anthropic, &ids, Some(&query)).unwrap();
            seen.extend(shown(&page).into_iter().map(str::to_owned));
            if page["has_more"] == false {
                break;
            }
            query = format!("limit=3&after_id={}", page["last_id"].as_str().unwrap());
        }
        assert_eq!(seen, ids);
    }

    #[test]
    fn a_page_that_cannot_be_is_refused() {
        for (query, param) in [
            ("limit=0", "limit"),
            ("limit=1001", "limit"),
            ("limit=x", "limit"),
            ("after_id=nobody", "after_id"),
            ("before_id=nobody", "before_id"),
            ("before_id=acme/m1&after_id=acme/m1", "after_id"),
        ] {
            let error = list(Dialect::Anthropic, &ids(3), Some(query)).unwrap_err();
            assert_eq!(error.code, ErrorCode::InvalidRequest, "{query}");
            assert_eq!(error.param.as_deref(), Some(param), "{query}");
        }
    }

    #[test]
    fn an_empty_list_is_a_list() {
        let list = list(Dialect::Anthropic, &[], None).unwrap();
        assert_eq!(
            list,
            json!({"data": [], "has_more": false, "first_id": null, "last_id": null})
        );
    }

    #[test]
    fn one_model_has_the_shape_that_it_has_in_the_list() {
        let card = ModelCard {
            id: "smart",
            owned_by: "acme",
            display_name: "Smart",
        };
        for (dialect, member) in [
            (Dialect::OpenAi, "data"),
            (Dialect::Anthropic, "data"),
            (Dialect::Gemini, "models"),
        ] {
            let list: Value =
                serde_json::from_slice(&model_list(dialect, &[card], None).unwrap()).unwrap();
            let one: Value = serde_json::from_slice(&model_info(dialect, &card)).unwrap();
            assert_eq!(one, list[member][0]);
        }
    }
}
