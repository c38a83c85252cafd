//! What translation keeps, as a page: the table that `hermesllm` measures.

use hermesllm::apis::SupportedUpstreamAPIs as Api;
use hermesllm::capabilities::{table, Direction, Feature, Group, Verdict};
use hermesllm::endpoint::Endpoint;

const INTRODUCTION: &str = "\
# What translation keeps

A provider that serves the client's API is asked in it, and what passes is not touched. Any other is
asked in its own API, and what becomes of each feature on the way is here: measured by writing and
reading a sample of it, not written by hand. What is lost on the way of a real request or answer is
told for each one with its place.

One table for each API that clients use; the columns are the APIs of providers. Requests go from
the client's API to the provider's; answers, streams and errors come from the provider's to the
client's.

- ✓ works: it means the same, and nothing is lost.
- ~ lossy: kept in part, or in another form; the notes below say what is lost.
- ✗ impossible: left out; the notes say why.
- – the API that it comes from does not have it.

Signatures and encrypted thoughts reach the client with a mark of whose they are, and go back to a
provider of that kind alone ([why](../adr/012-signatures-are-marked-with-whose-they-are.md)); this
counts as the same.

Rows that would be all – are left out, and features with the same cells share a row. In the notes,
\"this API\" and \"the other API\" are the one that is written: the provider's for requests, the
client's for answers.
";

/// The page.
pub fn page() -> String {
    let table = table();
    let mut page = Page::default();
    page.text.push_str(INTRODUCTION);
    for client in clients() {
        let groups = table.groups.iter();
        page.client(client, groups.filter(|group| group.apis.contains(&client)));
    }
    page.finish()
}

/// The APIs that clients use.
fn clients() -> Vec<Api> {
    let endpoints = Endpoint::ALL.into_iter();
    let apis = endpoints
        .filter(|own| own.is_of_clients())
        .filter_map(Endpoint::api);
    let mut clients: Vec<Api> = apis.collect();
    clients.sort();
    clients.dedup();
    clients
}

/// The page as it is written.
#[derive(Default)]
struct Page {
    text: String,
    /// The reasons so far, in the order of their numbers.
    notes: Vec<&'static str>,
}

impl Page {
    fn client<'a>(&mut self, client: Api, groups: impl Iterator<Item = &'a Group>) {
        let groups: Vec<_> = groups.collect();
        let apis = groups.first().map(|group| group.apis.as_slice());
        let others = apis.unwrap_or_default().iter().copied();
        let providers: Vec<Api> = others.filter(|api| *api != client).collect();
        let names: Vec<_> = providers.iter().map(|api| api.as_str()).collect();
        let (names, rule) = (names.join(" | "), " --- |".repeat(names.len()));
        let head = format!("\n## Clients of `{client}`\n\n| feature | {names} |\n| --- |{rule}\n");
        self.text.push_str(&head);
        for group in groups {
            let rows = self.rows(client, &providers, group);
            if rows.is_empty() {
                continue;
            }
            let blank = " |".repeat(providers.len());
            self.text
                .push_str(&format!("| **{}** |{blank}\n", group.title));
            for (cells, names) in rows {
                self.text
                    .push_str(&format!("| {} | {cells} |\n", names.join("; ")));
            }
        }
    }

    /// The rows of a group: features with the same cells have one in common.
    fn rows(
        &mut self,
        client: Api,
        providers: &[Api],
        group: &Group,
    ) -> Vec<(String, Vec<&'static str>)> {
        let mut rows: Vec<(String, Vec<&'static str>)> = Vec::new();
        for feature in &group.features {
            let verdicts = providers
                .iter()
                .map(|provider| verdict(feature, group.direction, client, *provider));
            let verdicts: Vec<_> = verdicts.collect();
            if verdicts.iter().all(Option::is_none) {
                continue;
            }
            let cells: Vec<_> = verdicts.into_iter().map(|own| self.cell(own)).collect();
            let cells = cells.join(" | ");
            match rows.iter_mut().find(|(known, _)| *known == cells) {
                Some((_, names)) => names.push(feature.name),
                None => rows.push((cells, vec![feature.name])),
            }
        }
        rows
    }

    fn cell(&mut self, verdict: Option<&Verdict>) -> String {
        match verdict {
            None => "–".to_owned(),
            Some(Verdict::Works) => "✓".to_owned(),
            Some(Verdict::Lossy(reasons)) => format!("~ {}", self.numbers(reasons)),
            Some(Verdict::Impossible(reasons)) => format!("✗ {}", self.numbers(reasons)),
            Some(Verdict::Untold { .. }) => "differs".to_owned(),
        }
    }

    /// The numbers of reasons; new ones get the next.
    fn numbers(&mut self, reasons: &[&'static str]) -> String {
        let numbers = reasons.iter().map(|reason| {
            let known = self.notes.iter().position(|own| own == reason);
            let index = known.unwrap_or_else(|| {
                self.notes.push(reason);
                self.notes.len() - 1
            });
            (index + 1).to_string()
        });
        numbers.collect::<Vec<_>>().join(", ")
    }

    fn finish(mut self) -> String {
        self.text
            .push_str("\n## Notes\n\n| | | | |\n| --- | --- | --- | --- |\n");
        let half = self.notes.len().div_ceil(2);
        let (left, right) = self.notes.split_at(half.min(self.notes.len()));
        for (index, note) in left.iter().enumerate() {
            let number = index + 1;
            let beside = match right.get(index) {
                Some(note) => format!(" {} | {note} |", number + half),
                None => " | |".to_owned(),
            };
            self.text
                .push_str(&format!("| {number} | {note} |{beside}\n"));
        }
        self.text
    }
}

/// What becomes of a feature between a client and a provider.
fn verdict(
    feature: &Feature,
    direction: Direction,
    client: Api,
    provider: Api,
) -> Option<&Verdict> {
    match direction {
        Direction::ToProvider => feature.verdict(client, provider),
        Direction::ToClient => feature.verdict(provider, client),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_api_of_clients_has_its_tables_and_every_note_its_number() {
        let page = page();
        for client in clients() {
            assert!(page.contains(&format!("## Clients of `{client}`\n\n| feature |")));
        }
        let (tables, notes) = page.split_once("## Notes").unwrap();
        let numbers = notes.split('|').filter_map(|own| own.trim().parse().ok());
        let numbers: BTreeSet<usize> = numbers.collect();
        let last = numbers.len();
        assert_eq!(numbers, (1..=last).collect());
        for line in tables.lines().filter(|line| line.starts_with('|')) {
            assert!(!line.contains("differs"), "{line}");
            for cell in line.split('|').filter(|cell| cell.contains(['~', '✗'])) {
                let numbers = cell.trim().trim_start_matches(['~', '✗', ' ']);
                for number in numbers.split(", ") {
                    assert!((1..=last).contains(&number.parse().unwrap()), "{line}");
                }
            }
        }
    }

    #[test]
    fn the_page_is_the_same_each_time_and_short_enough_to_read() {
        let page = page();
        assert_eq!(page, super::page());
        assert!(page.lines().count() < 600, "{}", page.lines().count());
    }
}
