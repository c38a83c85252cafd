//! The catalogue of providers as a page.

use hermesllm::endpoint::Endpoint;
use hermesllm::providers::{catalogue, Auth, CatalogueEntry};

const INTRODUCTION: &str = "\
# Providers

What may stand before the slash in `provider/model`. A provider that is not here is used with
`base_url` and `provider_interface`. The first variable that is set has the key, unless
`access_key` names another.

| provider | address | key | sent as | APIs | notes |
| --- | --- | --- | --- | --- | --- |
";

/// The page.
pub fn page() -> String {
    let mut text = INTRODUCTION.to_owned();
    for entry in catalogue().iter() {
        text.push_str(&row(entry));
    }
    text.push_str("\n## Models\n\n");
    text.push_str(
        "`provider/*` lists these models; any other that the provider has works as well.\n",
    );
    for entry in catalogue().iter().filter(|entry| !entry.models.is_empty()) {
        let models: Vec<_> = entry.models.iter().map(|m| format!("`{m}`")).collect();
        text.push_str(&format!("\n- **{}**: {}", entry.id, models.join(", ")));
    }
    text.push('\n');
    text
}

fn row(entry: &CatalogueEntry) -> String {
    let address = match entry.base_url {
        Some(url) => format!("`{url}`"),
        None => "`base_url` is required".to_owned(),
    };
    let variables: Vec<_> = entry.key_env.iter().map(|v| format!("`{v}`")).collect();
    let key = match (variables.is_empty(), entry.key_required) {
        (false, true) => variables.join(", "),
        (false, false) => format!("{} (optional)", variables.join(", ")),
        (true, true) if entry.base_url.is_some() => "the client's own, or `access_key`".to_owned(),
        (true, true) => "`access_key` or `access_key_file`".to_owned(),
        (true, false) => "none needed".to_owned(),
    };
    let apis: Vec<_> = entry.endpoints().map(Endpoint::as_str).collect();
    format!(
        "| `{}` | {address} | {key} | {} | {} | {} |\n",
        entry.id,
        sent_as(entry),
        apis.join(", "),
        notes(entry).join("; "),
    )
}

/// Where the key goes; APIs that differ from the first are named.
fn sent_as(entry: &CatalogueEntry) -> String {
    let mut ways: Vec<(String, Vec<&str>)> = Vec::new();
    for endpoint in entry.endpoints() {
        let way = match entry.auth(endpoint) {
            Auth::Bearer => "`authorization: Bearer`".to_owned(),
            Auth::Header(name) => format!("`{name}`"),
            Auth::Query(name) => format!("query `{name}`"),
            Auth::None => "not sent".to_owned(),
        };
        match ways.iter_mut().find(|(known, _)| *known == way) {
            Some((_, apis)) => apis.push(endpoint.as_str()),
            None => ways.push((way, vec![endpoint.as_str()])),
        }
    }
    let mut text = Vec::new();
    for (at, (way, apis)) in ways.into_iter().enumerate() {
        text.push(if at == 0 {
            way
        } else {
            format!("{way} for {}", apis.join(", "))
        });
    }
    text.join("; ")
}

fn notes(entry: &CatalogueEntry) -> Vec<String> {
    let mut notes = Vec::new();
    notes.extend(entry.key_note.map(|note| format!("of the key: {note}")));
    notes.extend(entry.key_lifetime.map(|time| format!("a key lasts {time}")));
    for (name, value) in &entry.headers {
        notes.push(format!("sends `{name}: {value}`"));
    }
    if !entry.stream_usage {
        notes.push("does not take `stream_options`".to_owned());
    }
    if !entry.http2 {
        notes.push("HTTP/1.1 only".to_owned());
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_provider_has_a_row_that_says_how_to_use_it() {
        let text = page();
        for entry in catalogue().iter() {
            let start = format!("\n| `{}` | ", entry.id);
            let row = text.split(&start).nth(1).unwrap().lines().next().unwrap();
            assert_eq!(row.matches(" | ").count(), 4, "{row}");
            for variable in entry.key_env {
                assert!(row.contains(variable), "{row}");
            }
        }
        assert!(text.contains("`x-api-key`; `authorization: Bearer` for chat_completions"));
    }
}
