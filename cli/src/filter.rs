//! The filter that this build carries.
//!
//! Owns nothing but the bytes: `build.rs` decides where they come from. Whoever needs the filter
//! and finds none fails with [`ABSENT`]; nothing falls back to running without it.

/// What to tell a user when [`embedded`] is `None`.
pub const ABSENT: &str = "this build carries no filter: run `cargo xtask wasm` and build again";

#[cfg(meseta_filter)]
static FILTER: Option<&[u8]> = Some(include_bytes!(concat!(
    env!("OUT_DIR"),
    "/meseta_meter.wasm"
)));
#[cfg(not(meseta_filter))]
static FILTER: Option<&[u8]> = None;

/// The meter as a WebAssembly module, or `None` when it was not built before the binary.
pub fn embedded() -> Option<&'static [u8]> {
    FILTER
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_embedded_filter_is_a_webassembly_module() {
        match embedded() {
            Some(filter) => assert!(filter.starts_with(b"\0asm\x01\0\0\0")),
            None => eprintln!("skipped: {ABSENT}"),
        }
    }
}
