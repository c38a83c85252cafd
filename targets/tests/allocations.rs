//! Planning is on the path of each request: what it allocates is counted.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use meseta_targets::{
    Candidate, HealthPolicy, HealthStore, MemoryHealth, Next, Plan, Select, TargetId, Terms,
    Verdict,
};

/// The system's allocator, which counts.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u32> = const { Cell::new(0) };
}

// SAFETY: all is left to the system's allocator; the counter is a plain cell that needs no memory.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_request_that_goes_well_allocates_once() {
    let store: Arc<dyn HealthStore> = Arc::new(MemoryHealth::new());
    let candidates: Arc<[Candidate]> = (0..8)
        .map(|index| Candidate {
            id: TargetId::new(format!("provider/model-{index}")),
            provider: Arc::from("provider"),
            priority: index / 4,
            weight: 1 + index,
            context_window: None,
        })
        .collect();
    let request = |select, sticky, seed| {
        let terms = Terms {
            select,
            sticky,
            max_attempts: 3,
            retry_budget: 0.5,
            health: HealthPolicy::default(),
        };
        let now = Duration::from_millis(seed);
        let mut plan = Plan::new(
            Arc::clone(&store),
            Arc::clone(&candidates),
            terms,
            seed,
            now,
        );
        if let Next::Attempt(attempt) = plan.next(now) {
            let first_token = Some(Duration::from_millis(seed % 900));
            attempt.end(&Verdict::Success { first_token }, now);
        }
    };
    for seed in 0..5000 {
        request(Select::Weighted, None, seed);
    }
    for (select, sticky) in [
        (Select::Weighted, None),
        (Select::Fastest, None),
        (Select::LeastBusy, None),
        (Select::Weighted, Some(7)),
    ] {
        let before = ALLOCATIONS.get();
        request(select, sticky, 6000);
        assert_eq!(ALLOCATIONS.get() - before, 1, "{select:?} {sticky:?}");
    }
}
