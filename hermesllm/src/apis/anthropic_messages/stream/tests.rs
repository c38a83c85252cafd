mod reading;
mod writing;

use std::borrow::Cow;

use serde_json::{json, Value};

use super::{Reader, Writer};
use crate::apis::{ReadEvents, WriteEvents, WriteOptions};
use crate::representation::{
    BlockKind, Citation, Delta, Losses, PartKind, ProviderResponse,
    ProviderStreamResponse as Event, StopKind, StopReason, TokenUsage,
};
use crate::translate::{Collector, Grammar, Order};

fn delta(block: u32, delta: Delta<'static>) -> Event<'static> {
    Event::Delta {
        choice: 0,
        block,
        delta,
    }
}
