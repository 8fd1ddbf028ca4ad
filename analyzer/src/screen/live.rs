//! A recording that is still going on: its stages now and since its begin, for `tracer top`.
//!
//! Events come as they are recorded, are paired by the same [`Pairer`](crate::pair::Pairer) as those of a file, and go into
//! the same distributions, one since the begin and one for each second; so what is shown at the end is what `analyze` says.
//! Which stages there are, and which keys they have, is not known at the begin. The first events are kept: whenever they
//! tell another stage or key, all of them are paired anew. Memory is bounded, however long it goes on.

mod board;
mod figures;
mod held;
mod lives;
mod order;
mod seconds;
mod watching;

pub use board::{Board, BoardRow, RowKind, Worst};
pub use held::{Held, Snapshot};
pub use watching::{Given, Watching};
