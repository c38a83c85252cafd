//! A shard: a bounded table of records, as bytes.
//!
//! Header, 8 bytes: `MLS`, the version, and the number of records (`u32`). Then the records, 32
//! bytes each, in the order of their keys. All numbers are little-endian. A record is
//!
//! | bytes | of a bucket | of a window |
//! | --- | --- | --- |
//! | 0..8 | key of rule and subject | the same |
//! | 8..16 | when it is full again, ns since the unix epoch | when it is over, likewise |
//! | 16..24 | zero | what has been counted |
//! | 24..31 | since when it has not been full, µs | where it begins, s |
//! | 31 | 1 | 2 |
//!
//! Bytes 8..16 are also the time after which a record means nothing: a full bucket and a window that
//! is over are as good as none. Records are let go [`GRACE`] later, so that a clock that is a little
//! behind still finds them, and only when a shard has no room: a shard is as large as it has once
//! been, and never larger than its capacity.
//!
//! Functions take bytes and give new ones: a shard is changed as a whole, by compare and swap.
//! Bytes that are no shard of this version are taken for an empty one.

use std::time::Duration;

/// How long a record is kept after it has lost its meaning.
pub const GRACE: Duration = Duration::from_secs(5);
/// The most records that a shard can have: it stays below 64 KiB.
pub const LARGEST_CAPACITY: usize = 2047;
/// The largest a shard can be, in bytes.
pub const LARGEST: usize = HEADER + RECORD * LARGEST_CAPACITY;

const HEADER: usize = 8;
const RECORD: usize = 32;
const MAGIC: [u8; 4] = [b'M', b'L', b'S', 1];
const GRACE_NANOS: u64 = 5_000_000_000;
/// Marks have 56 bits.
pub(crate) const MARK: u64 = (1 << 56) - 1;

/// The shard of a key, of so many: keys are spread evenly already.
pub fn shard_of(key: u64, shards: u32) -> u32 {
    let product = u128::from(key).saturating_mul(u128::from(shards));
    u32::try_from(product >> 64).unwrap_or(0)
}

/// What a record is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A token bucket.
    Bucket,
    /// A window of the calendar.
    Window,
}

/// What is known of one rule for one subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// Of rule and subject: [`Rule::key`](crate::Rule::key).
    pub key: u64,
    /// Of what.
    pub kind: Kind,
    /// When it loses its meaning, in nanoseconds since the unix epoch; of a bucket, its TAT.
    pub until: u64,
    /// What a window has counted.
    pub count: u64,
    /// Which run of a bucket or which window it is; 56 bits.
    pub mark: u64,
}

impl Record {
    fn encode(&self) -> [u8; RECORD] {
        let kind = match self.kind {
            Kind::Bucket => 1_u64,
            Kind::Window => 2_u64,
        };
        let words = [
            self.key,
            self.until,
            self.count,
            (kind << 56) | (self.mark & MARK),
        ];
        let mut bytes = [0; RECORD];
        for (to, word) in bytes.chunks_exact_mut(8).zip(words) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    fn decode(bytes: &[u8; RECORD]) -> Option<Self> {
        let mut words = [0_u64; 4];
        for (word, from) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *word = u64::from_le_bytes(*from);
        }
        let [key, until, count, last] = words;
        let kind = match last >> 56 {
            1 => Kind::Bucket,
            2 => Kind::Window,
            _ => return None,
        };
        let mark = last & MARK;
        Some(Self {
            key,
            kind,
            until,
            count,
            mark,
        })
    }

    fn key_of(bytes: &[u8; RECORD]) -> u64 {
        bytes
            .first_chunk()
            .map_or(0, |key| u64::from_le_bytes(*key))
    }

    fn until_of(bytes: &[u8; RECORD]) -> u64 {
        let (_, rest) = bytes.split_at(8);
        rest.first_chunk()
            .map_or(0, |until| u64::from_le_bytes(*until))
    }
}

/// There is no room: all records are live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full {
    /// When there will be, in nanoseconds since the unix epoch.
    pub until: u64,
}

/// A shard that is read.
#[derive(Debug, Clone, Copy)]
pub struct Shard<'a> {
    records: &'a [[u8; RECORD]],
}

impl<'a> Shard<'a> {
    /// Reads a shard; `None` is an empty one. Also whether the bytes were of no shard, and are taken
    /// for an empty one.
    pub fn read(bytes: Option<&'a [u8]>) -> (Self, bool) {
        let empty = Self { records: &[] };
        match bytes {
            None => (empty, false),
            Some(bytes) => Self::parse(bytes).map_or((empty, true), |shard| (shard, false)),
        }
    }

    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (magic, rest) = bytes.split_first_chunk::<4>()?;
        let (count, rest) = rest.split_first_chunk::<4>()?;
        let (records, tail) = rest.as_chunks::<RECORD>();
        let count = usize::try_from(u32::from_le_bytes(*count)).ok()?;
        let sound = *magic == MAGIC
            && tail.is_empty()
            && records.len() == count
            && count <= LARGEST_CAPACITY
            && records.is_sorted_by(|one, other| Record::key_of(one) < Record::key_of(other));
        sound.then_some(Self { records })
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The record of a key, whether it still means something or not.
    pub fn find(&self, key: u64) -> Option<Record> {
        let at = self.position(key).ok()?;
        Record::decode(self.records.get(at)?)
    }

    fn position(&self, key: u64) -> Result<usize, usize> {
        self.records.binary_search_by_key(&key, Record::key_of)
    }

    /// The shard with this record in it, in place of an older one of its key. Where that makes it
    /// larger than `capacity`, records that have lost their meaning go.
    ///
    /// # Errors
    /// [`Full`] where none has: nothing is evicted, because who is forgotten may use up again what
    /// they have used.
    pub fn with(&self, record: &Record, now: Duration, capacity: usize) -> Result<Vec<u8>, Full> {
        let capacity = capacity.clamp(1, LARGEST_CAPACITY);
        let (before, after) = match self.position(record.key) {
            Ok(at) => (self.records.split_at(at).0, self.records.split_at(at).1),
            Err(at) => self.records.split_at(at),
        };
        let replaces = after
            .first()
            .is_some_and(|next| Record::key_of(next) == record.key);
        let after = after.get(usize::from(replaces)..).unwrap_or_default();
        let count = before.len().saturating_add(after.len()).saturating_add(1);
        let encoded = record.encode();
        if replaces || count <= capacity {
            return Ok(join(before, &encoded, after, count, |_| true));
        }
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let lives =
            |bytes: &[u8; RECORD]| Record::until_of(bytes).saturating_add(GRACE_NANOS) > now;
        let living = before.iter().chain(after).filter(|bytes| lives(bytes));
        let count = living.clone().count().saturating_add(1);
        if count > capacity {
            let until = living.map(Record::until_of).min().unwrap_or(u64::MAX);
            let until = until.saturating_add(GRACE_NANOS);
            return Err(Full { until });
        }
        Ok(join(before, &encoded, after, count, lives))
    }
}

fn join(
    before: &[[u8; RECORD]],
    record: &[u8; RECORD],
    after: &[[u8; RECORD]],
    count: usize,
    keeps: impl Fn(&[u8; RECORD]) -> bool,
) -> Vec<u8> {
    let size = count.saturating_mul(RECORD).saturating_add(HEADER);
    let mut bytes = Vec::with_capacity(size);
    bytes.extend_from_slice(&MAGIC);
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    bytes.extend_from_slice(&count.to_le_bytes());
    for part in before.iter().filter(|bytes| keeps(bytes)) {
        bytes.extend_from_slice(part);
    }
    bytes.extend_from_slice(record);
    for part in after.iter().filter(|bytes| keeps(bytes)) {
        bytes.extend_from_slice(part);
    }
    bytes
}
