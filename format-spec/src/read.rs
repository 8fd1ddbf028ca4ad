//! Opens a trace, whole or while it comes, and walks its events in order of time, on one thread or several.

mod ahead;
mod block_ref;
mod by_index;
mod gathering;
mod known;
mod ordered;
mod part;
mod scan;
mod share;
mod steps;
mod stream;
mod trace;

pub use ahead::{Outbox, Worker};
pub use block_ref::BlockRef;
pub use known::Known;
pub use ordered::{Batch, Batches};
pub use scan::{DamagedRange, Found, Scanner};
pub use share::Share;
pub use steps::{Maker, Steps, pieces};
pub use stream::{Rest, Step, Stream};
pub use trace::Trace;
