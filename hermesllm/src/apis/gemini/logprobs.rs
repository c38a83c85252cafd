//! Log probabilities: `logprobsResult` here, a list of tokens in the representation.

use serde_json::{json, Map, Value};

/// The list of a `logprobsResult`, and what is left of it; `None` if it is not understood.
pub(super) fn read(result: &Value) -> Option<(Value, Map<String, Value>)> {
    let mut rest = result.as_object()?.clone();
    let chosen = rest.shift_remove("chosenCandidates")?;
    let chosen = chosen.as_array()?;
    let top = rest.shift_remove("topCandidates");
    let top = match &top {
        Some(top) => top.as_array()?.as_slice(),
        None => &[],
    };
    if !top.is_empty() && top.len() != chosen.len() {
        return None;
    }
    let mut list = Vec::new();
    for (at, token) in chosen.iter().enumerate() {
        let mut own = read_token(token)?;
        let mut others = Vec::new();
        if let Some(step) = top.get(at) {
            let step = step.as_object()?;
            let is_known = step.keys().all(|key| key == "candidates");
            let candidates = step.get("candidates").filter(|_| is_known)?.as_array()?;
            for other in candidates {
                others.push(Value::Object(read_token(other)?));
            }
        }
        own.insert("top_logprobs".to_owned(), others.into());
        list.push(Value::Object(own));
    }
    Some((Value::Array(list), rest))
}

/// The number of a token has no place in the form of others and stands beside.
fn read_token(token: &Value) -> Option<Map<String, Value>> {
    let token = token.as_object()?;
    let known = ["token", "tokenId", "logProbability"];
    if !token.keys().all(|key| known.contains(&key.as_str())) {
        return None;
    }
    let mut own = Map::new();
    let text = match token.get("token") {
        Some(text) => text.as_str()?,
        None => "",
    };
    own.insert("token".to_owned(), text.into());
    // Zero is not written.
    let logprob = token.get("logProbability").cloned();
    own.insert("logprob".to_owned(), logprob.unwrap_or_else(|| 0.into()));
    own.insert("bytes".to_owned(), text.as_bytes().to_vec().into());
    if let Some(number) = token.get("tokenId") {
        own.insert("token_id".to_owned(), number.clone());
    }
    Some(own)
}

/// The `logprobsResult` of a list; `None` if it is none.
pub(super) fn write(list: &Value) -> Option<Value> {
    let list = list.as_array()?;
    let mut chosen = Vec::new();
    let mut top = Vec::new();
    for token in list {
        chosen.push(write_token(token)?);
        let others = token.get("top_logprobs").and_then(Value::as_array);
        let others: Option<Vec<Value>> = others.into_iter().flatten().map(write_token).collect();
        top.push(others?);
    }
    let mut result = Map::new();
    if top.iter().any(|others| !others.is_empty()) {
        let steps = top.into_iter();
        let steps: Vec<Value> = steps.map(|own| json!({ "candidates": own })).collect();
        result.insert("topCandidates".to_owned(), steps.into());
    }
    result.insert("chosenCandidates".to_owned(), chosen.into());
    Some(Value::Object(result))
}

fn write_token(token: &Value) -> Option<Value> {
    let mut own = Map::new();
    own.insert("token".to_owned(), token.get("token")?.clone());
    if let Some(number) = token.get("token_id") {
        own.insert("tokenId".to_owned(), number.clone());
    }
    own.insert("logProbability".to_owned(), token.get("logprob")?.clone());
    Some(Value::Object(own))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_a_list_of_tokens_and_comes_back() {
        let token = json!({"token": "a", "tokenId": 7, "logProbability": -0.5});
        let result = json!({
            "topCandidates": [{"candidates": [token]}],
            "chosenCandidates": [token],
            "logProbabilitySum": -0.5,
        });
        let (list, rest) = read(&result).unwrap();
        let own = json!({"token": "a", "logprob": -0.5, "bytes": [97], "token_id": 7});
        let mut expected = own.clone();
        expected["top_logprobs"] = json!([own]);
        assert_eq!(list, json!([expected]));
        assert_eq!(Value::Object(rest), json!({"logProbabilitySum": -0.5}));
        let mut written = write(&list).unwrap();
        written["logProbabilitySum"] = json!(-0.5);
        assert_eq!(written, result);
    }

    #[test]
    fn what_is_not_understood_is_left_as_it_is() {
        for result in [
            json!({"chosenCandidates": [{"new": 1}]}),
            json!({"chosenCandidates": [{}], "topCandidates": [{}, {}]}),
            json!({}),
            json!([]),
        ] {
            assert_eq!(read(&result), None);
        }
        assert_eq!(write(&json!([{"token": "a"}])), None);
    }
}
