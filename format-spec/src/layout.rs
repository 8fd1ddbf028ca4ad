//! What lies on disk in fixed places: headers and rows, field by field as SPEC.md section 5 has them.

pub mod block;
mod clock;
mod gap;
pub mod header;
pub mod index;

pub use clock::StoredClock;
pub use gap::StoredGap;
pub(crate) use gap::bounds;
