//! What all exchanges share to call providers themselves: connections, and what is known of targets.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use meseta_targets::MemoryHealth;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::upstream::Upstreams;

/// Connections and health, over all configurations that are in service.
#[derive(Debug)]
pub(crate) struct Providers {
    pub(crate) upstreams: Upstreams,
    pub(crate) health: Arc<MemoryHealth>,
    /// Work that no exchange waits for.
    pub(crate) background: TaskTracker,
    /// Fires when the server stops; work in the background ends then.
    pub(crate) stopped: CancellationToken,
    began: Instant,
    /// Chance, a different one for each request and process.
    seed: AtomicU64,
}

impl Providers {
    pub(crate) fn new(upstreams: Upstreams) -> Self {
        Self {
            upstreams,
            health: Arc::new(MemoryHealth::new()),
            background: TaskTracker::new(),
            stopped: CancellationToken::new(),
            began: Instant::now(),
            seed: AtomicU64::new(RandomState::new().build_hasher().finish()),
        }
    }

    /// The time of the health's clock: since this process began.
    pub(crate) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// A number that no other request gets.
    pub(crate) fn seed(&self) -> u64 {
        self.seed
            .fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed)
    }

    /// Whether chance has it, with this probability.
    pub(crate) fn chance(&self, probability: f64) -> bool {
        // The upper bits of a mixed seed (splitmix64) as a fraction.
        let mut mixed = self.seed();
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        #[allow(clippy::cast_precision_loss, reason = "53 bits fit a float exactly")]
        let drawn = (mixed >> 11) as f64 / (1_u64 << 53) as f64;
        drawn < probability
    }

    /// Whether calls go through Envoy's egress listener.
    pub(crate) fn through_envoy(&self) -> bool {
        matches!(self.upstreams, Upstreams::Envoy(_))
    }
}
