//! Every recorded request, from its own API to every other and back: its core is as it was, or the
//! loss is told.

use std::collections::BTreeMap;

use super::conversation::{Aspect, Core};
use super::{conversations, recordings};
use crate::representation::Losses;
use crate::translate::{request, RequestOptions};

#[test]
fn every_recorded_request_keeps_its_core_there_and_back() {
    let Some(recordings) = recordings::all() else {
        return;
    };
    let (mut compared, mut told, mut wrong) = (0, 0, Vec::new());
    let mut by_pair = BTreeMap::<_, usize>::new();
    for recording in &recordings {
        let Some(body) = &recording.request else {
            continue;
        };
        let from = recording.api;
        // What a provider refused as well is judged elsewhere.
        let Ok(own) = from.read_request(body.clone()).unwrap() else {
            continue;
        };
        let before = Core::of(&own);
        for to in conversations().filter(|to| *to != from) {
            compared += 1;
            let options = RequestOptions::default();
            let there = request(from, to, body.to_string().as_bytes(), &options).unwrap();
            let back = request(to, from, &there.body, &options)
                .unwrap_or_else(|error| panic!("{} -> {to}: {error}", recording.id));
            let mut losses: Losses = there.losses;
            losses.extend(back.losses);
            let read = serde_json::from_slice(&back.body).unwrap();
            let read = from.read_request(read).unwrap().unwrap();
            let after = Core::of(&read);
            for aspect in Aspect::ALL {
                if before.same(&after, aspect) {
                    continue;
                }
                if losses.as_slice().iter().any(|loss| aspect.covers(loss)) {
                    told += 1;
                    continue;
                }
                *by_pair.entry((from, to, aspect)).or_default() += 1;
                wrong.push(format!(
                    "{} -> {to}: {aspect:?}\n    {}\n    {}\n    {:?}",
                    recording.id,
                    before.show(aspect),
                    after.show(aspect),
                    losses.as_slice()
                ));
            }
        }
    }
    println!("requests there and back: {compared}, of which {told} aspects differ and are told");
    for ((from, to, aspect), count) in &by_pair {
        println!("  {from} -> {to}: {aspect:?} differs in {count}");
    }
    for wrong in wrong.iter().take(40) {
        println!("  {wrong}");
    }
    assert!(wrong.is_empty(), "{} of {compared} differ", wrong.len());
    assert!(compared > 500, "a corpus holds more");
}
