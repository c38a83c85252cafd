//! What the meter asks of Envoy, as a trait, so that its logic runs natively under test.
//!
//! Invariant: every call returns a [`Status`] on failure. The SDK's own host calls panic on a
//! status that they do not expect; nothing here may.

use std::fmt;

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
            Self::INTERNAL_FAILURE => "internal failure",
            Self(code) => return write!(formatter, "status {code}"),
        };
        formatter.write_str(name)
    }
}

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

/// The host: Envoy in a running filter, a recording one in tests.
pub trait Host {
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
