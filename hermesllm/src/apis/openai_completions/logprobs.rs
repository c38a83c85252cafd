//! Log probabilities: four lists, each with an item for each token.

use serde_json::{json, Map, Value};

/// Reads them into OpenAI's newer form; `None` where they have another form. A token without a
/// probability, as the first of a prompt that is repeated, is left out.
pub(super) fn read(value: &Value) -> Option<Value> {
    let tokens = value.get("tokens")?.as_array()?;
    let numbers = value.get("token_logprobs")?.as_array()?;
    let nearest = value.get("top_logprobs").and_then(Value::as_array);
    let mut items = Vec::with_capacity(tokens.len());
    for (index, (token, number)) in tokens.iter().zip(numbers).enumerate() {
        let text = token.as_str()?;
        if number.is_null() {
            continue;
        }
        let near = nearest.and_then(|all| all.get(index)?.as_object());
        let near: Vec<Value> = near
            .into_iter()
            .flatten()
            .map(|(text, number)| item(text, number, None))
            .collect();
        items.push(item(text, number, Some(near)));
    }
    Some(items.into())
}

fn item(text: &str, number: &Value, near: Option<Vec<Value>>) -> Value {
    let mut item = json!({"token": text, "logprob": number, "bytes": text.as_bytes()});
    if let (Some(near), Some(members)) = (near, item.as_object_mut()) {
        members.insert("top_logprobs".to_owned(), near.into());
    }
    item
}

/// Writes them from OpenAI's newer form. `offset` is where the text begins, in characters, and is
/// moved to where it ends.
pub(super) fn write(list: &Value, offset: &mut usize) -> Value {
    let (mut tokens, mut numbers, mut nearest, mut offsets) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for item in list.as_array().into_iter().flatten() {
        let text = item.get("token").and_then(Value::as_str);
        let text = text.unwrap_or_default();
        tokens.push(Value::from(text));
        numbers.push(item.get("logprob").cloned().unwrap_or_default());
        let mut near = Map::new();
        let all = item.get("top_logprobs").and_then(Value::as_array);
        for one in all.into_iter().flatten() {
            if let Some(token) = one.get("token").and_then(Value::as_str) {
                let number = one.get("logprob").cloned().unwrap_or_default();
                near.insert(token.to_owned(), number);
            }
        }
        nearest.push(Value::Object(near));
        offsets.push(*offset);
        *offset = offset.saturating_add(text.chars().count());
    }
    json!({
        "tokens": tokens,
        "token_logprobs": numbers,
        "top_logprobs": nearest,
        "text_offset": offsets,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_lists_become_one_and_four_again() {
        let four = json!({
            "tokens": ["ä", " b"], "token_logprobs": [-0.5, -1.0],
            "top_logprobs": [{"ä": -0.5, "c": -2.0}, {}], "text_offset": [0, 1],
        });
        let one = read(&four).unwrap();
        assert_eq!(one[0]["token"], "ä");
        assert_eq!(one[0]["top_logprobs"][1]["logprob"], -2.0);
        assert_eq!(write(&one, &mut 0), four);
    }

    #[test]
    fn a_token_without_a_probability_is_left_out_and_odd_forms_are_none() {
        let first = json!({"tokens": ["a", "b"], "token_logprobs": [null, -1.0]});
        assert_eq!(read(&first).unwrap().as_array().unwrap().len(), 1);
        assert_eq!(read(&json!({"content": []})), None);
    }
}
