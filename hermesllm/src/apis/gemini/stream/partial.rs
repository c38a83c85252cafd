//! Arguments of a call that come in pieces, each with a path into the object that they add up to
//! (`partialArgs`, Vertex AI's `streamFunctionCallArguments`).

use serde_json::{Map, Value};

/// The longest list that pieces may make, and the deepest path.
const MOST_ITEMS: usize = 10_000;
const MOST_STEPS: usize = 64;

/// A call that is not whole yet.
#[derive(Debug, Default)]
pub(super) struct PartialCall(Map<String, Value>);

/// Whether more of a call is to come.
pub(super) fn will_continue(call: &Map<String, Value>) -> bool {
    let flag = call.get("willContinue").or(call.get("will_continue"));
    flag == Some(&Value::Bool(true))
}

/// The pieces of its arguments.
pub(super) fn pieces(call: &Map<String, Value>) -> Option<&Vec<Value>> {
    let list = call.get("partialArgs").or(call.get("partial_args"))?;
    list.as_array()
}

impl PartialCall {
    /// Takes the arguments of a part of the call, whole or in pieces.
    pub(super) fn add(&mut self, call: &Map<String, Value>) {
        if let Some(args) = call.get("args").and_then(Value::as_object) {
            let args = args.iter().map(|(key, value)| (key.clone(), value.clone()));
            self.0.extend(args);
        }
        for piece in pieces(call).into_iter().flatten() {
            self.piece(piece);
        }
    }

    /// The arguments as text.
    pub(super) fn arguments(self) -> String {
        Value::Object(self.0).to_string()
    }

    fn piece(&mut self, piece: &Value) {
        let get = |camel: &str, snake: &str| piece.get(camel).or(piece.get(snake));
        let Some(path) = get("jsonPath", "json_path").and_then(Value::as_str) else {
            return;
        };
        let text = get("stringValue", "string_value").and_then(Value::as_str);
        let other = get("numberValue", "number_value").or(get("boolValue", "bool_value"));
        // A path that is not understood names a member, so that its value is not lost.
        let steps = steps(path).unwrap_or_else(|| vec![Step::Member(path.to_owned())]);
        let mut root = Value::Object(std::mem::take(&mut self.0));
        if let Some(place) = place(&mut root, &steps) {
            match (text, place) {
                (Some(text), Value::String(before)) => before.push_str(text),
                (Some(text), place) => *place = text.into(),
                (None, place) => *place = other.cloned().unwrap_or_default(),
            }
        }
        if let Value::Object(root) = root {
            self.0 = root;
        }
    }
}

#[derive(Debug, PartialEq)]
enum Step {
    Member(String),
    Item(usize),
}

/// The steps of `$.a.b[0]['c']`.
fn steps(path: &str) -> Option<Vec<Step>> {
    let mut rest = path.strip_prefix('$').unwrap_or(path);
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if steps.len() >= MOST_STEPS {
            return None;
        }
        let step = if let Some(own) = rest.strip_prefix('[') {
            if let Some(quote) = own.chars().next().filter(|own| matches!(own, '\'' | '"')) {
                let own = own.get(1..)?;
                let (name, after) = own.split_once(quote)?;
                rest = after.strip_prefix(']')?;
                Step::Member(name.to_owned())
            } else {
                let (number, after) = own.split_once(']')?;
                rest = after;
                Step::Item(number.parse().ok().filter(|number| *number < MOST_ITEMS)?)
            }
        } else {
            let own = rest.strip_prefix('.').unwrap_or(rest);
            let end = own.find(['.', '[']).unwrap_or(own.len());
            let (name, after) = own.split_at_checked(end)?;
            if name.is_empty() {
                return None;
            }
            rest = after;
            Step::Member(name.to_owned())
        };
        steps.push(step);
    }
    let is_member = matches!(steps.first(), Some(Step::Member(_)));
    is_member.then_some(steps)
}

/// The value at the end of the steps, made on the way.
fn place<'v>(root: &'v mut Value, steps: &[Step]) -> Option<&'v mut Value> {
    let mut own = root;
    for step in steps {
        own = match step {
            Step::Member(name) => {
                if !own.is_object() {
                    *own = Value::Object(Map::new());
                }
                own.as_object_mut()?
                    .entry(name.as_str())
                    .or_insert(Value::Null)
            }
            Step::Item(number) => {
                if !own.is_array() {
                    *own = Value::Array(Vec::new());
                }
                let list = own.as_array_mut()?;
                if list.len() <= *number {
                    list.resize(number + 1, Value::Null);
                }
                list.get_mut(*number)?
            }
        };
    }
    Some(own)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn add_up(pieces: Value) -> String {
        let mut call = PartialCall::default();
        call.add(json!({ "partialArgs": pieces }).as_object().unwrap());
        call.arguments()
    }

    #[test]
    fn pieces_of_a_text_are_put_together_where_their_path_leads() {
        let pieces = json!([
            {"jsonPath": "$.id", "stringValue": "A", "willContinue": true},
            {"jsonPath": "$.id", "stringValue": "B"},
            {"jsonPath": "$.list[1].x", "numberValue": 2},
            {"jsonPath": "$.list[0]", "boolValue": true},
            {"jsonPath": "$['a.b'].c", "nullValue": null},
        ]);
        let expected = r#"{"id":"AB","list":[true,{"x":2}],"a.b":{"c":null}}"#;
        assert_eq!(add_up(pieces), expected);
    }

    #[test]
    fn paths_that_lead_nowhere_are_members() {
        for path in ["$[0]", "$.a[99999999]", "$..a", "$.a[", "$['é", ""] {
            let args = add_up(json!([{"jsonPath": path, "stringValue": "x"}]));
            assert_eq!(args, json!({ path: "x" }).to_string());
        }
        assert_eq!(add_up(json!([{}, 1])), "{}");
    }
}
