//! What all exchanges share to call providers themselves: connections, and what is known of targets.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use meseta_targets::MemoryHealth;

use crate::upstream::Upstreams;

/// Connections and health, over all configurations that are in service.
#[derive(Debug)]
pub(crate) struct Providers {
    pub(crate) upstreams: Upstreams,
    pub(crate) health: Arc<MemoryHealth>,
    began: Instant,
    /// Chance, a different one for each request and process.
    seed: AtomicU64,
}

impl Providers {
    pub(crate) fn new(upstreams: Upstreams) -> Self {
        Self {
            upstreams,
            health: Arc::new(MemoryHealth::new()),
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

    /// Whether calls go through Envoy's egress listener.
    pub(crate) fn through_envoy(&self) -> bool {
        matches!(self.upstreams, Upstreams::Envoy(_))
    }
}
