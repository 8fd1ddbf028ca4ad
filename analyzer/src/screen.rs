//! An analysis as it is shown: for the terminal, as Markdown, and as JSON.

pub mod diff;

mod diagnosis;
mod json;
mod markdown;
mod text;
mod verdict;

pub use json::{VERSION, json};
pub use markdown::markdown;
pub use text::text;
