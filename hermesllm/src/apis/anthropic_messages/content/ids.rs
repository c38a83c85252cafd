//! Identifiers of tool calls, where the source has none or not such as this API takes.

use std::collections::VecDeque;

/// Gives each call and its result the same identifier, by their places in the conversation.
#[derive(Debug, Default)]
pub(in crate::apis::anthropic_messages) struct Ids {
    /// How many calls there were.
    calls: usize,
    /// Calls that have no result yet: name and identifier.
    open: VecDeque<(String, String)>,
}

impl Ids {
    /// The identifier of a call.
    pub(super) fn call(&mut self, id: &str, name: &str) -> String {
        let id = if id.is_empty() {
            format!("call_{}", self.calls)
        } else {
            allowed(id)
        };
        self.calls += 1;
        self.open.push_back((name.to_owned(), id.clone()));
        id
    }

    /// The identifier of the call that a result answers.
    pub(super) fn result(&mut self, id: &str, name: Option<&str>) -> String {
        let allowed = allowed(id);
        let found = self.open.iter().position(|(open_name, open_id)| {
            if id.is_empty() {
                name.is_none_or(|name| name.is_empty() || name == open_name)
            } else {
                *open_id == allowed
            }
        });
        let answered = found.and_then(|index| self.open.remove(index));
        match answered {
            Some((_, open_id)) => open_id,
            None if id.is_empty() => format!("call_{}", self.calls),
            None => allowed,
        }
    }
}

/// An identifier of an answer's call: the provider's, or one by its place.
pub(in crate::apis::anthropic_messages) fn in_answer(
    id: &str,
    answer: &str,
    number: usize,
) -> String {
    match (id, answer) {
        ("", "") => format!("call_{number}"),
        ("", answer) => format!("call_{}_{number}", allowed(answer)),
        (id, _) => id.to_owned(),
    }
}

/// This API takes letters, digits, `_` and `-`.
fn allowed(id: &str) -> String {
    let allowed = |c: char| {
        if c.is_ascii_alphanumeric() || c == '-' {
            c
        } else {
            '_'
        }
    };
    id.chars().map(allowed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_without_identifiers_and_their_results_get_them_by_their_places() {
        let mut ids = Ids::default();
        assert_eq!(ids.call("", "a"), "call_0");
        assert_eq!(ids.call("functions.b:1", "b"), "functions_b_1");
        assert_eq!(ids.call("", "a"), "call_2");
        assert_eq!(ids.result("functions.b:1", None), "functions_b_1");
        assert_eq!(ids.result("", Some("a")), "call_0");
        assert_eq!(ids.result("", None), "call_2");
        assert_eq!(ids.result("", None), "call_3");
    }

    #[test]
    fn identifiers_of_answers_stay_or_name_answer_and_place() {
        assert_eq!(in_answer("functions.b:1", "x", 0), "functions.b:1");
        assert_eq!(in_answer("", "resp/1", 2), "call_resp_1_2");
        assert_eq!(in_answer("", "", 2), "call_2");
    }
}
