//! A shard: a bounded table of records, as bytes.
//!
//! Header, 8 bytes: `MLS`, the version, and the number of records (`u32`). Then the records, 32
//! bytes each, in the order of their keys. All numbers are little-endian. A record is
//!
//! | bytes | of a bucket | of a window |
//! | --- | --- | --- |
//! | 0..8 | key of rule and subject | the same |
//! | 8..16 | when it is full again, ns since the unix epoch | when it is over, likewise; zero when nothing has been counted |
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

/// After how many new records a shard is looked through for those that have lost their meaning.
const TIDY: usize = 64;
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
    /// larger than `capacity`, and each time that [`TIDY`] more have come, records that have lost
    /// their meaning go.
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
        if replaces || (count <= capacity && !count.is_multiple_of(TIDY)) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Duration = Duration::from_secs(1_795_000_000);

    fn record(key: u64, until: Duration) -> Record {
        Record {
            key,
            kind: Kind::Bucket,
            until: until.as_nanos() as u64,
            count: 0,
            mark: key & MARK,
        }
    }

    fn with(bytes: Option<&[u8]>, record: &Record, capacity: usize) -> Result<Vec<u8>, Full> {
        let (shard, corrupt) = Shard::read(bytes);
        assert!(!corrupt);
        shard.with(record, NOW, capacity)
    }

    #[test]
    fn a_full_shard_stays_below_64_kib() {
        assert_eq!(LARGEST, 64 * 1024 - 24);
    }

    #[test]
    fn records_without_meaning_make_room_when_there_is_none() {
        let live = NOW + Duration::from_secs(9);
        let over = NOW - GRACE;
        let mut bytes = with(None, &record(1, live), 3).unwrap();
        for key in [2, 3] {
            bytes = with(Some(&bytes), &record(key, over), 3).unwrap();
        }
        bytes = with(Some(&bytes), &record(4, live), 3).unwrap();
        let (shard, _) = Shard::read(Some(&bytes));
        assert_eq!(shard.len(), 2);
        assert_eq!(shard.find(1), Some(record(1, live)));
        assert_eq!(shard.find(2), None);
        assert_eq!(shard.find(4), Some(record(4, live)));
    }

    #[test]
    fn a_record_that_has_just_ended_is_kept_for_clocks_that_are_behind() {
        let ended = NOW - GRACE + Duration::from_nanos(1);
        let bytes = with(None, &record(1, ended), 1).unwrap();
        let until = NOW.as_nanos() as u64 + 1;
        assert_eq!(with(Some(&bytes), &record(2, NOW), 1), Err(Full { until }));
    }

    #[test]
    fn a_full_shard_evicts_nobody_and_still_updates_those_in_it() {
        let live = NOW + Duration::from_secs(9);
        let mut bytes = with(None, &record(1, live), 2).unwrap();
        bytes = with(Some(&bytes), &record(2, live + GRACE), 2).unwrap();
        let until = (live + GRACE).as_nanos() as u64;
        assert_eq!(with(Some(&bytes), &record(3, live), 2), Err(Full { until }));
        let updated = record(2, live + GRACE + GRACE);
        bytes = with(Some(&bytes), &updated, 2).unwrap();
        assert_eq!(Shard::read(Some(&bytes)).0.find(2), Some(updated));
    }

    #[test]
    fn what_has_lost_its_meaning_does_not_pile_up() {
        let mut bytes: Option<Vec<u8>> = None;
        for key in 0..10_000 {
            // A hundred a second, and each means something for one: 600 are kept at a time.
            let now = NOW + Duration::from_millis(10 * key);
            let (shard, _) = Shard::read(bytes.as_deref());
            assert!(shard.len() < 601 + TIDY, "{}", shard.len());
            let record = record(key, now + Duration::from_secs(1));
            let grown = shard.with(&record, now, LARGEST_CAPACITY).unwrap();
            bytes = Some(grown);
        }
        let (shard, _) = Shard::read(bytes.as_deref());
        assert!((9_400..10_000).all(|key| shard.find(key).is_some()));
    }

    #[test]
    fn a_foreign_version_is_an_empty_shard_and_said_to_be_none() {
        let mut bytes = with(None, &record(1, NOW), 2).unwrap();
        bytes[3] = 2;
        let (shard, corrupt) = Shard::read(Some(&bytes));
        assert!(corrupt && shard.is_empty());
        assert!(Shard::read(Some(&[])).1);
        assert!(!Shard::read(None).1);
    }

    #[test]
    fn keys_are_spread_evenly_over_shards() {
        assert_eq!(shard_of(0, 7), 0);
        assert_eq!(shard_of(u64::MAX, 7), 6);
        assert_eq!(shard_of(u64::MAX, 0), 0);
        assert_eq!(shard_of(1 << 63, 2), 1);
    }

    fn any_record() -> impl Strategy<Value = Record> {
        let kind = prop::sample::select(vec![Kind::Bucket, Kind::Window]);
        (0_u64..40, kind, any::<u64>(), any::<u64>(), 0..=MARK).prop_map(
            |(key, kind, until, count, mark)| Record {
                key: key.wrapping_mul(0x9e37_79b9_7f4a_7c15),
                kind,
                until,
                count,
                mark,
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_put_in_is_found(records in prop::collection::vec(any_record(), 1..100)) {
            let mut bytes: Option<Vec<u8>> = None;
            let mut model = std::collections::BTreeMap::new();
            for record in records {
                bytes = Some(with(bytes.as_deref(), &record, LARGEST_CAPACITY).unwrap());
                model.insert(record.key, record);
            }
            let (shard, _) = Shard::read(bytes.as_deref());
            prop_assert_eq!(shard.len(), model.len());
            for (key, record) in model {
                prop_assert_eq!(shard.find(key), Some(record));
            }
        }

        #[test]
        fn no_bytes_panic_and_what_comes_of_them_is_a_shard(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            head in any::<bool>(),
            record in any_record(),
        ) {
            let mut bytes = bytes;
            if head && bytes.len() >= HEADER {
                bytes[..4].copy_from_slice(&MAGIC);
                let count = ((bytes.len() - HEADER) / RECORD) as u32;
                bytes[4..8].copy_from_slice(&count.to_le_bytes());
                bytes.truncate(HEADER + count as usize * RECORD);
            }
            let (shard, _) = Shard::read(Some(&bytes));
            if let Ok(bytes) = shard.with(&record, NOW, 4) {
                let (shard, corrupt) = Shard::read(Some(&bytes));
                prop_assert!(!corrupt);
                prop_assert_eq!(shard.find(record.key), Some(record));
            }
        }
    }
}
