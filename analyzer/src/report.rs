//! What every report is made of: lines, tables, notes and figures; and its forms, text and Markdown.

mod direction;
mod figure;
mod json;
mod markdown;
mod model;
pub(crate) mod skipped;
mod text;
mod width;
mod wrap;

pub use direction::in_order;
pub(crate) use direction::{is_right_to_left, right_to_left_letters};
pub use figure::{counted, duration, latency, listed, lost, rate};
pub use json::{PlainJson, plain_json};
pub use markdown::markdown;
pub use model::{Align, Part, Report, Table};
pub use text::{text, text_within};
pub use width::{columns, short_names};
