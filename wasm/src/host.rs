//! What the meter asks of Envoy, as a trait, so that its logic runs natively under test.
//!
//! Invariant: every call returns a [`Status`] on failure. The SDK's own host calls panic on a
//! status that they do not expect; nothing here may.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

/// Why a host call failed: the ABI's status code, kept as the number it came as, because a host
/// may answer with one that no list here knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status(pub u32);

impl Status {
    /// The call worked.
    pub const OK: Self = Self(0);
    /// The host does not know the thing that was named.
    pub const NOT_FOUND: Self = Self(1);
    /// The host refused an argument.
    pub const BAD_ARGUMENT: Self = Self(2);
    /// What was to be replaced has been replaced by somebody else.
    pub const CAS_MISMATCH: Self = Self(8);
    /// The host failed.
    pub const INTERNAL_FAILURE: Self = Self(10);

    /// `Ok` for [`Status::OK`], the status itself as the error for everything else.
    pub fn ok(self) -> Result<(), Self> {
        if self == Self::OK {
            Ok(())
        } else {
            Err(self)
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match *self {
            Self::OK => "ok",
            Self::NOT_FOUND => "not found",
            Self::BAD_ARGUMENT => "bad argument",
            Self::CAS_MISMATCH => "cas mismatch",
            Self::INTERNAL_FAILURE => "internal failure",
            Self(code) => return write!(formatter, "status {code}"),
        };
        formatter.write_str(name)
    }
}

impl std::error::Error for Status {}

/// A counter of the host's, valid in the virtual machine that defined it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CounterId(pub u32);

/// How much a log line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Normal running.
    Info,
    /// Something does less than it should.
    Warn,
}

/// Whose headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Headers {
    /// The request's.
    Request,
    /// The answer's.
    Response,
}

/// A value of shared data, and the number that it can be replaced by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared {
    /// The value.
    pub value: Vec<u8>,
    /// Changes with each write of the value. Never zero: a write that names zero replaces whatever
    /// is there.
    pub cas: NonZeroU32,
}

/// The host: Envoy in a running filter, a recording one in tests.
pub trait Host {
    /// The filter's configuration, of `size` bytes.
    ///
    /// # Errors
    /// The host's status.
    fn configuration(&self, size: usize) -> Result<Vec<u8>, Status>;

    /// The time since the unix epoch.
    ///
    /// # Errors
    /// The host's status.
    fn now(&self) -> Result<Duration, Status>;

    /// The value of a header; `None` where there is none or it is empty.
    ///
    /// # Errors
    /// The host's status.
    fn header(&self, of: Headers, name: &str) -> Result<Option<Vec<u8>>, Status>;

    /// Adds a header, beside those of its name that are there.
    ///
    /// # Errors
    /// The host's status.
    fn add_header(&self, of: Headers, name: &str, value: &str) -> Result<(), Status>;

    /// Sets a header, in place of all of its name.
    ///
    /// # Errors
    /// The host's status.
    fn replace_header(&self, of: Headers, name: &str, value: &str) -> Result<(), Status>;

    /// Takes all headers of a name off.
    ///
    /// # Errors
    /// The host's status.
    fn remove_header(&self, of: Headers, name: &str) -> Result<(), Status>;

    /// Answers the request in place of the upstream. `details` are what the access log says of it.
    ///
    /// # Errors
    /// The host's status; the request has no answer then.
    fn send_local_response(
        &self,
        status: u16,
        details: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<(), Status>;

    /// A value that all virtual machines of this filter share, or `None` where there is none yet.
    ///
    /// # Errors
    /// The host's status.
    fn shared_data(&self, key: &str) -> Result<Option<Shared>, Status>;

    /// Replaces a shared value that still has this number. One that is not there yet is made,
    /// whatever the number.
    ///
    /// # Errors
    /// [`Status::CAS_MISMATCH`] where somebody else has replaced it, or the host's status.
    fn set_shared_data(&self, key: &str, value: &[u8], cas: NonZeroU32) -> Result<(), Status>;

    /// A property of the exchange by its path, or `None` where there is none.
    ///
    /// # Errors
    /// The host's status.
    fn property(&self, path: &[&str]) -> Result<Option<Vec<u8>>, Status>;

    /// Defines the counter `name`, or finds it again; the host adds its own prefix.
    ///
    /// # Errors
    /// The host's status.
    fn define_counter(&self, name: &str) -> Result<CounterId, Status>;

    /// Adds `by` to a counter.
    ///
    /// # Errors
    /// The host's status.
    fn increment(&self, counter: CounterId, by: u32) -> Result<(), Status>;

    /// Writes one line to the host's log. A line that the host does not take is dropped.
    fn log(&self, level: Level, message: &str);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_status_zero_is_success() {
        assert_eq!(Status(0).ok(), Ok(()));
        for code in [1, 2, 10, 12, u32::MAX] {
            assert_eq!(Status(code).ok(), Err(Status(code)));
        }
    }

    #[test]
    fn a_status_that_no_list_knows_is_shown_by_its_number() {
        assert_eq!(Status(2).to_string(), "bad argument");
        assert_eq!(Status(4711).to_string(), "status 4711");
    }
}
