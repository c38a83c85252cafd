//! The host calls that the meter makes, straight on the proxy-wasm ABI, and the filter's entry
//! point.
//!
//! The only module with `unsafe`. It exists because the SDK's wrappers panic on a status that they
//! do not expect, and a panic kills the virtual machine; here every status comes back as a value.
//! Statuses are taken as plain numbers: a number outside the SDK's enum would be undefined
//! behaviour as that enum.

#![allow(unsafe_code, reason = "the ABI is foreign functions and raw pointers")]

use crate::host::{CounterId, Host, Level, Status};

/// The ABI's number of a counter among metric types.
const COUNTER: u32 = 0;

/// The ABI's numbers of log levels.
const INFO: u32 = 2;
const WARN: u32 = 3;

#[link(wasm_import_module = "env")]
extern "C" {
    fn proxy_define_metric(
        metric_type: u32,
        name_data: *const u8,
        name_size: usize,
        return_id: *mut u32,
    ) -> u32;
    fn proxy_increment_metric(metric_id: u32, offset: i64) -> u32;
    fn proxy_log(level: u32, message_data: *const u8, message_size: usize) -> u32;
}

/// Envoy, by its host calls.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Envoy;

impl Host for Envoy {
    fn define_counter(&self, name: &str) -> Result<CounterId, Status> {
        let mut id = 0;
        // SAFETY: the host reads `name.len()` bytes at `name`, which outlives the call, and writes
        // four bytes at `id`, which is ours alone. It keeps neither pointer.
        let status = unsafe { proxy_define_metric(COUNTER, name.as_ptr(), name.len(), &mut id) };
        Status(status).ok()?;
        Ok(CounterId(id))
    }

    fn increment(&self, counter: CounterId, by: u32) -> Result<(), Status> {
        // SAFETY: no pointers; an unknown counter is answered by a status.
        let status = unsafe { proxy_increment_metric(counter.0, i64::from(by)) };
        Status(status).ok()
    }

    fn log(&self, level: Level, message: &str) {
        let level = match level {
            Level::Info => INFO,
            Level::Warn => WARN,
        };
        // SAFETY: the host reads `message.len()` bytes at `message`, which outlives the call, and
        // keeps no pointer. The status is not looked at: there is nowhere left to say it.
        let _status = unsafe { proxy_log(level, message.as_ptr(), message.len()) };
    }
}

// Exports `_initialize`, which the host calls once per virtual machine, before anything else.
proxy_wasm::main! {{
    crate::filter::install();
}}
