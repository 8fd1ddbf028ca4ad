//! Which events belong together: begins and ends become spans, and spans of one key hand on to each other.

mod cell;
mod edge_map;
mod hand_off;
mod pairer;
mod sink;
mod slots;
mod span;

pub(crate) use edge_map::EdgeMap;
pub use pairer::{Pairer, RECENT_KEYS, WAITING_SLOTS};
pub use sink::Sink;
pub use span::{Class, Edge, HandOff, Point, Side, Span};
