//! Calls against small servers of the test's own.
