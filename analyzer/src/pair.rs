//! Which events belong together: begins and ends become spans, and spans of one key hand on to each other.

mod found;
mod identity;
mod key_text;
mod keyed;
mod nested;
mod out;
mod pairer;
mod remembered;
mod sink;
mod source;
mod span;

pub use found::Found;
pub(crate) use found::{HandOffRow, SpanRow};
pub(crate) use key_text::KeyTexts;
pub use pairer::{Pairer, WAITING_KEYS};
pub use remembered::RECENT_KEYS;
pub use sink::Sink;
pub(crate) use span::difference_ns;
pub use span::{Census, Class, Edge, HandOff, Point, Side, Span, UnderWay};
