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
mod usual_keys;

pub use found::Found;
pub(crate) use found::{HandOffRow, SpanRow};
pub(crate) use key_text::KeyTexts;
pub(crate) use keyed::FIRST_TOLD;
pub use pairer::{Pairer, WAITING_KEYS};
pub use remembered::RECENT_KEYS;
pub use sink::Sink;
pub(crate) use span::difference_ns;
pub use span::{Census, Class, Edge, HandOff, Point, Side, Span, UnderWay};
pub(crate) use usual_keys::UsualKeys;
pub use usual_keys::UsualOrder;
