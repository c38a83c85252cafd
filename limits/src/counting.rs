//! A rule's arithmetic over records: a bucket or a window, whichever it is.

use std::time::Duration;

use crate::bucket::{since, Bucket, Correction, Denied, LATEST};
use crate::calendar::{span, Span};
use crate::rule::Rule;
use crate::shard::{Kind, Record, MARK};
use crate::standing::Standing;
use crate::window::{self, Counter};

/// What admitting or correcting does to the record of a rule and a subject.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Change {
    /// The record to be; `None` where the old one stays.
    pub(crate) record: Option<Record>,
    /// Which run of the bucket or which window it was counted in.
    pub(crate) mark: u64,
}

/// The time in nanoseconds since the unix epoch.
pub(crate) fn nanos(now: Duration) -> u64 {
    u64::try_from(now.as_nanos()).map_or(LATEST, |now| now.min(LATEST))
}

/// Charges an amount, or says why not.
pub(crate) fn admit(
    rule: &Rule,
    record: Option<Record>,
    key: u64,
    amount: u64,
    now: u64,
) -> Result<Change, Denied> {
    if let Some(scale) = rule.scale() {
        let bucket = bucket(record);
        let after = scale.admit(bucket, amount, now)?;
        return Ok(Change {
            record: changed(bucket, after).map(|bucket| of_bucket(key, bucket)),
            mark: since(after, now) & MARK,
        });
    }
    let before = counter(record);
    let after = window::admit(rule.per(), rule.limit(), before, amount, now)?;
    Ok(Change {
        record: (amount > 0).then(|| of_counter(rule, key, after)),
        mark: after.start & MARK,
    })
}

/// Corrects a reserved amount; `None` where that changes nothing.
pub(crate) fn correct(
    rule: &Rule,
    record: Option<Record>,
    key: u64,
    correction: Correction,
    mark: u64,
    now: u64,
) -> Option<Record> {
    if let Some(scale) = rule.scale() {
        let bucket = bucket(record);
        let after = scale.correct(bucket, correction, mark, now);
        return changed(bucket, after).map(|bucket| of_bucket(key, bucket));
    }
    let before = counter(record);
    let after = window::correct(rule.per(), before, correction, mark, now);
    let after = after.filter(|after| before.is_some() || after.count > 0);
    changed(before, after).map(|counter| of_counter(rule, key, counter))
}

/// Where the subject stands.
pub(crate) fn standing(rule: &Rule, record: Option<Record>, now: u64) -> Standing {
    if let (Some(scale), Some(period)) = (rule.scale(), rule.per().bucket()) {
        let bucket = bucket(record);
        let reset = bucket.map_or(0, |bucket| bucket.tat.saturating_sub(now));
        let remaining = scale.remaining(bucket, now);
        return Standing::new(rule, period, remaining, Duration::from_nanos(reset));
    }
    let (window, counter) = window::at(rule.per(), counter(record), now);
    let Span { start, end } = window;
    Standing::new(
        rule,
        Duration::from_secs(end.saturating_sub(start)),
        rule.limit().saturating_sub(counter.count),
        Duration::from_nanos(window::after(window, now)),
    )
}

/// What is after, if that is another than before.
fn changed<T: PartialEq>(before: Option<T>, after: Option<T>) -> Option<T> {
    if before == after {
        None
    } else {
        after
    }
}

/// A record of the other kind is of a rule that has changed, and says nothing of this one.
fn bucket(record: Option<Record>) -> Option<Bucket> {
    let record = record.filter(|record| record.kind == Kind::Bucket)?;
    Some(Bucket {
        tat: record.until.min(i64::MAX.unsigned_abs()),
        since: record.mark,
    })
}

fn of_bucket(key: u64, bucket: Bucket) -> Record {
    Record {
        key,
        kind: Kind::Bucket,
        until: bucket.tat,
        count: 0,
        mark: bucket.since & MARK,
    }
}

fn counter(record: Option<Record>) -> Option<Counter> {
    let record = record.filter(|record| record.kind == Kind::Window)?;
    Some(Counter {
        start: record.mark,
        count: record.count,
    })
}

/// A window with nothing in it is as good as none already.
fn of_counter(rule: &Rule, key: u64, counter: Counter) -> Record {
    let end = window::end(span(rule.per(), counter.start));
    Record {
        key,
        kind: Kind::Window,
        until: if counter.count == 0 { 0 } else { end },
        count: counter.count,
        mark: counter.start & MARK,
    }
}
