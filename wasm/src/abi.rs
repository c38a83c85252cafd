//! The host calls that the meter makes, straight on the proxy-wasm ABI, and the filter's entry
//! point.
//!
//! The only module with `unsafe`. It exists because the SDK's wrappers panic on a status that they
//! do not expect, and a panic kills the virtual machine; here every status comes back as a value.
//! Statuses are taken as plain numbers: a number outside the SDK's enum would be undefined
//! behaviour as that enum.
//!
//! What goes to the host is read by it within the call. What comes from the host lies in memory
//! that it has got from the SDK's `proxy_on_memory_allocate`, for whoever made the call to keep.

#![allow(unsafe_code, reason = "the ABI is foreign functions and raw pointers")]

use std::num::NonZeroU32;
use std::ptr::null_mut;
use std::time::Duration;

use crate::host::{CounterId, Headers, Host, Level, Shared, Status};
use crate::wire;

/// The ABI's number of a counter among metric types.
const COUNTER: u32 = 0;

/// The ABI's numbers of log levels.
const INFO: u32 = 2;
const WARN: u32 = 3;

/// The ABI's numbers of header maps.
const REQUEST_HEADERS: u32 = 0;
const RESPONSE_HEADERS: u32 = 2;

/// The ABI's number of the configuration among buffers.
const PLUGIN_CONFIGURATION: u32 = 7;

/// The ABI's way to say that an answer has no gRPC status.
const NO_GRPC_STATUS: i32 = -1;

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
    fn proxy_get_current_time_nanoseconds(return_time: *mut u64) -> u32;
    fn proxy_get_buffer_bytes(
        buffer_type: u32,
        start: usize,
        max_size: usize,
        return_data: *mut *mut u8,
        return_size: *mut usize,
    ) -> u32;
    fn proxy_get_header_map_value(
        map_type: u32,
        key_data: *const u8,
        key_size: usize,
        return_data: *mut *mut u8,
        return_size: *mut usize,
    ) -> u32;
    fn proxy_add_header_map_value(
        map_type: u32,
        key_data: *const u8,
        key_size: usize,
        value_data: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_replace_header_map_value(
        map_type: u32,
        key_data: *const u8,
        key_size: usize,
        value_data: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_remove_header_map_value(map_type: u32, key_data: *const u8, key_size: usize) -> u32;
    fn proxy_send_local_response(
        status_code: u32,
        details_data: *const u8,
        details_size: usize,
        body_data: *const u8,
        body_size: usize,
        headers_data: *const u8,
        headers_size: usize,
        grpc_status: i32,
    ) -> u32;
    fn proxy_get_shared_data(
        key_data: *const u8,
        key_size: usize,
        return_data: *mut *mut u8,
        return_size: *mut usize,
        return_cas: *mut u32,
    ) -> u32;
    fn proxy_set_shared_data(
        key_data: *const u8,
        key_size: usize,
        value_data: *const u8,
        value_size: usize,
        cas: u32,
    ) -> u32;
    fn proxy_get_property(
        path_data: *const u8,
        path_size: usize,
        return_data: *mut *mut u8,
        return_size: *mut usize,
    ) -> u32;
}

/// Envoy, by its host calls.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Envoy;

/// Bytes that the host returns.
struct Returned {
    data: *mut u8,
    size: usize,
}

impl Returned {
    const NOTHING: Self = Self {
        data: null_mut(),
        size: 0,
    };

    /// Takes what the host has left here, where there is anything.
    ///
    /// # Safety
    /// `data` and `size` must be untouched or be set by one host call that returned success.
    unsafe fn take(self) -> Vec<u8> {
        if self.data.is_null() || self.size == 0 {
            return Vec::new();
        }
        // SAFETY: the host allocated `size` bytes through `proxy_on_memory_allocate`, a boxed slice
        // of this allocator with exactly this capacity, filled them, and keeps no pointer.
        unsafe { Vec::from_raw_parts(self.data, self.size, self.size) }
    }
}

/// `None` for what the host does not know, which is no failure.
fn known(status: u32) -> Result<bool, Status> {
    match Status(status) {
        Status::OK => Ok(true),
        Status::NOT_FOUND => Ok(false),
        status => Err(status),
    }
}

fn map(of: Headers) -> u32 {
    match of {
        Headers::Request => REQUEST_HEADERS,
        Headers::Response => RESPONSE_HEADERS,
    }
}

impl Host for Envoy {
    fn configuration(&self, size: usize) -> Result<Vec<u8>, Status> {
        let mut to = Returned::NOTHING;
        // SAFETY: the host writes a pointer and a size, which are ours alone.
        let status = unsafe {
            proxy_get_buffer_bytes(PLUGIN_CONFIGURATION, 0, size, &mut to.data, &mut to.size)
        };
        let known = known(status)?;
        // SAFETY: the call succeeded, or has touched nothing.
        Ok(if known {
            unsafe { to.take() }
        } else {
            Vec::new()
        })
    }

    fn now(&self) -> Result<Duration, Status> {
        let mut nanos = 0;
        // SAFETY: the host writes eight bytes at `nanos`, which is ours alone.
        Status(unsafe { proxy_get_current_time_nanoseconds(&mut nanos) }).ok()?;
        Ok(Duration::from_nanos(nanos))
    }

    fn header(&self, of: Headers, name: &str) -> Result<Option<Vec<u8>>, Status> {
        let mut to = Returned::NOTHING;
        // SAFETY: the host reads `name.len()` bytes at `name`, which outlives the call, and writes a
        // pointer and a size, which are ours alone.
        let status = unsafe {
            proxy_get_header_map_value(
                map(of),
                name.as_ptr(),
                name.len(),
                &mut to.data,
                &mut to.size,
            )
        };
        if !known(status)? {
            return Ok(None);
        }
        // SAFETY: the call succeeded.
        let value = unsafe { to.take() };
        Ok((!value.is_empty()).then_some(value))
    }

    fn add_header(&self, of: Headers, name: &str, value: &str) -> Result<(), Status> {
        // SAFETY: the host reads both texts, which outlive the call.
        let status = unsafe {
            proxy_add_header_map_value(
                map(of),
                name.as_ptr(),
                name.len(),
                value.as_ptr(),
                value.len(),
            )
        };
        Status(status).ok()
    }

    fn replace_header(&self, of: Headers, name: &str, value: &str) -> Result<(), Status> {
        // SAFETY: the host reads both texts, which outlive the call.
        let status = unsafe {
            proxy_replace_header_map_value(
                map(of),
                name.as_ptr(),
                name.len(),
                value.as_ptr(),
                value.len(),
            )
        };
        Status(status).ok()
    }

    fn remove_header(&self, of: Headers, name: &str) -> Result<(), Status> {
        // SAFETY: the host reads `name`, which outlives the call.
        let status = unsafe { proxy_remove_header_map_value(map(of), name.as_ptr(), name.len()) };
        Status(status).ok()
    }

    fn send_local_response(
        &self,
        status: u16,
        details: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<(), Status> {
        let headers = wire::pairs(headers);
        // SAFETY: the host reads three texts, which outlive the call; it copies them, because it
        // answers when the callback that we are in has returned.
        let status = unsafe {
            proxy_send_local_response(
                u32::from(status),
                details.as_ptr(),
                details.len(),
                body.as_ptr(),
                body.len(),
                headers.as_ptr(),
                headers.len(),
                NO_GRPC_STATUS,
            )
        };
        Status(status).ok()
    }

    fn shared_data(&self, key: &str) -> Result<Option<Shared>, Status> {
        let mut to = Returned::NOTHING;
        let mut cas = 0;
        // SAFETY: the host reads `key`, which outlives the call, and writes a pointer, a size and a
        // number, which are ours alone.
        let status = unsafe {
            proxy_get_shared_data(
                key.as_ptr(),
                key.len(),
                &mut to.data,
                &mut to.size,
                &mut cas,
            )
        };
        if !known(status)? {
            return Ok(None);
        }
        // SAFETY: the call succeeded.
        let value = unsafe { to.take() };
        let cas = NonZeroU32::new(cas).ok_or(Status::INTERNAL_FAILURE)?;
        Ok(Some(Shared { value, cas }))
    }

    fn set_shared_data(&self, key: &str, value: &[u8], cas: NonZeroU32) -> Result<(), Status> {
        // SAFETY: the host reads both, which outlive the call.
        let status = unsafe {
            proxy_set_shared_data(
                key.as_ptr(),
                key.len(),
                value.as_ptr(),
                value.len(),
                cas.get(),
            )
        };
        Status(status).ok()
    }

    fn property(&self, path: &[&str]) -> Result<Option<Vec<u8>>, Status> {
        let path = wire::path(path);
        let mut to = Returned::NOTHING;
        // SAFETY: the host reads `path`, which outlives the call, and writes a pointer and a size,
        // which are ours alone.
        let status =
            unsafe { proxy_get_property(path.as_ptr(), path.len(), &mut to.data, &mut to.size) };
        if !known(status)? {
            return Ok(None);
        }
        // SAFETY: the call succeeded.
        Ok(Some(unsafe { to.take() }))
    }

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
