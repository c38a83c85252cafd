//! The commands, one file each: arguments and what they do.

pub mod down;
pub mod keys;
pub mod launch;
pub mod limits;
pub mod logs;
pub mod reference;
pub mod render;
pub mod serve;
pub mod status;
pub mod supervise;
pub mod targets;
pub mod translate;
pub mod up;
pub mod validate;
pub mod version;
