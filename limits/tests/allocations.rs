//! Admitting is on the path of each request: what it allocates is counted.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Duration;

use meseta_limits::{Admission, Amounts, Charge, MemoryStore, Meter, RuleName};

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

/// The shard that is written, the charges in their order, the reservation, and the standings.
#[test]
fn an_admission_allocates_four_times_and_settling_it_once() {
    let rules = "v1 all=requests:1000/second per-user=tokens:1000000/day";
    let meter = Meter::new(rules.parse().unwrap(), 8);
    let store = MemoryStore::new(8);
    let amounts = Amounts {
        requests: 1,
        input_tokens: 100,
        output_tokens: 200,
    };
    for name in ["all", "per-user"] {
        let rule = RuleName::new(name).unwrap();
        let now = Duration::from_secs(1_795_000_000);
        for subject_hash in 0..2000 {
            let charge = Charge {
                rule: &rule,
                subject_hash,
            };
            let before = ALLOCATIONS.get();
            let admission = meter.admit(&store, &[charge], amounts, now).unwrap();
            assert_eq!(ALLOCATIONS.get() - before, 4, "{name}");
            let Admission::Admitted { reservation, .. } = admission else {
                panic!("{admission:?}");
            };
            let before = ALLOCATIONS.get();
            let actual = Amounts {
                requests: 2,
                output_tokens: 20,
                ..amounts
            };
            meter.settle(&store, &reservation, actual, now).unwrap();
            assert_eq!(ALLOCATIONS.get() - before, 1, "{name}");
        }
    }
}
