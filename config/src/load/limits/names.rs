//! The names in `match`: what of them exists.

use serde_yaml::Value;

use super::super::document::{Map, Node};
use super::super::findings::Findings;
use super::super::pools;
use super::Known;
use crate::near;
use crate::pattern::Pattern;
use crate::pool::Destination;
use crate::resolve::Models;

/// Reads the names of a `match`. Each gives `None` where one is wrong, and a `None` in it where
/// none is wanted.
pub(super) struct Names<'a> {
    pub(super) known: Known<'a>,
}

type Patterns = Option<Option<Vec<Pattern>>>;

impl Names<'_> {
    pub(super) fn consumer(&self, map: &Map<'_>, findings: &mut Findings<'_>) -> Patterns {
        let known = &self.known;
        if let Some(node) = map.get("consumer") {
            if !known.has_source && known.consumers.is_empty() {
                let message =
                    "nothing says who the consumer is (`keys`, `consumer`): the limit is \
                               for no request";
                findings.warning(&node, message);
                return Some(list(&node, findings)?.map_to(|(_, text)| Pattern::new(text)));
            }
        }
        // What an earlier filter says may be any name.
        let names = (!known.has_source).then_some(known.consumers);
        listed(map, "consumer", "a name of `keys`", names, findings)
    }

    pub(super) fn provider(&self, map: &Map<'_>, findings: &mut Findings<'_>) -> Patterns {
        let names = self.known.providers.iter();
        let names: Vec<&str> = names.map(|provider| provider.name.as_str()).collect();
        let what = "a provider of `model_providers`";
        listed(map, "provider", what, Some(&names), findings)
    }

    pub(super) fn listener(&self, map: &Map<'_>, findings: &mut Findings<'_>) -> Patterns {
        let names = self.known.listeners.iter();
        let names: Vec<&str> = names.map(|listener| listener.name.as_str()).collect();
        let what = "a model listener";
        listed(map, "listener", what, Some(&names), findings)
    }

    pub(super) fn model(&self, map: &Map<'_>, findings: &mut Findings<'_>) -> Patterns {
        let Some(node) = map.get("model") else {
            return Some(None);
        };
        let models = self.known.models;
        let mut patterns = Vec::new();
        let mut all_known = true;
        for (node, text) in list(&node, findings)?.0 {
            let meant = model(text, models);
            if meant.is_empty() {
                unknown_model(&node, text, models, findings);
                all_known = false;
            }
            warn_of_none(&node, text, models, findings);
            patterns.extend(meant);
        }
        all_known.then_some(Some(patterns))
    }
}

/// A text or a list of texts, each with its place; not empty.
struct Listed<'a>(Vec<(Node<'a>, &'a str)>);

impl<'a> Listed<'a> {
    fn map_to<T>(self, to: impl FnMut((Node<'a>, &'a str)) -> T) -> Option<Vec<T>> {
        Some(self.0.into_iter().map(to).collect())
    }
}

/// Reads a text or a list of texts.
fn list<'a>(node: &Node<'a>, findings: &mut Findings<'_>) -> Option<Listed<'a>> {
    let items = match node.value {
        Value::Sequence(_) => node.list(findings)?,
        Value::String(_) => vec![node.clone()],
        _ => {
            findings.wrong_type(node, "a text or a list of texts");
            return None;
        }
    };
    if items.is_empty() {
        findings.problem_with(node, "lists nothing", "leave it out to mean all");
        return None;
    }
    let texts = items.into_iter().map(|item| {
        let text = item.text(findings)?;
        Some((item, text))
    });
    // Each of them is read, so that each problem is found.
    let texts: Vec<Option<_>> = texts.collect();
    texts.into_iter().collect::<Option<_>>().map(Listed)
}

/// The names of a key of `match`; those without a `*` have to be in `names`, where these are known.
fn listed(
    map: &Map<'_>,
    key: &str,
    what: &str,
    names: Option<&[&str]>,
    findings: &mut Findings<'_>,
) -> Patterns {
    let Some(node) = map.get(key) else {
        return Some(None);
    };
    let mut patterns = Vec::new();
    let mut all_known = true;
    for (node, text) in list(&node, findings)?.0 {
        let pattern = Pattern::new(text);
        if let Some(names) = names {
            if !names.iter().any(|name| pattern.matches(name)) {
                let near = near::matches(text, names.iter().copied(), 1);
                let hint = match near.first() {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("write {what}"),
                };
                findings.problem_with(&node, format!("is not {what}"), hint);
                all_known = false;
            }
        }
        patterns.push(pattern);
    }
    all_known.then_some(Some(patterns))
}

/// What a name of a model means in a limit: every model of that name, with its provider's, and
/// what the name leads to. Empty where it means nothing.
pub(super) fn model(text: &str, models: &Models) -> Vec<Pattern> {
    if text.contains('*') {
        return vec![Pattern::new(text)];
    }
    let mut names: Vec<String> = Vec::new();
    match models.named(text) {
        Some(Destination::Pool(name)) => names.push(name),
        Some(Destination::Model(model)) => names.push(model.id),
        None => {}
    }
    let same = models.known.iter().filter(|known| known.model == text);
    let same: Vec<String> = same.map(|known| known.id.clone()).collect();
    if !same.is_empty() && !text.contains('/') {
        // A provider that passes any model through may have it too.
        let passed = models.wildcards.iter();
        names.extend(passed.map(|(provider, _)| format!("{provider}/{text}")));
    }
    names.extend(same);
    let mut patterns: Vec<Pattern> = Vec::new();
    for name in names {
        let pattern = Pattern::new(name);
        if !patterns.contains(&pattern) {
            patterns.push(pattern);
        }
    }
    patterns
}

pub(in super::super) fn unknown_model(
    node: &Node<'_>,
    text: &str,
    models: &Models,
    findings: &mut Findings<'_>,
) {
    let further = models.pools.keys().chain(models.aliases.keys());
    pools::unknown(node, text, further.map(String::as_str), models, findings);
}

/// A pattern that fits no model that can be asked for is a slip of the pen.
pub(in super::super) fn warn_of_none(
    node: &Node<'_>,
    text: &str,
    models: &Models,
    findings: &mut Findings<'_>,
) {
    let pattern = Pattern::new(text);
    if pattern.is_exact() {
        return;
    }
    let passed = |(provider, _): &(String, usize)| pattern.may_begin(&format!("{provider}/"));
    let fits = models.names().any(|name| pattern.matches(name));
    if !fits && !models.wildcards.iter().any(passed) {
        findings.warning(node, "fits no model that is configured");
    }
}
