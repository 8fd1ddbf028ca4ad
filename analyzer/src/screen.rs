//! What is shown of an analysis, and of two side by side: as a report, which has a form for the terminal and one in
//! Markdown, and as JSON.

pub mod diff;
pub mod junit;

mod analysis;
mod budget;
mod diagnosis;
mod groups;
mod json;
mod tree;
mod verdict;

pub use analysis::{Detail, report};
pub use json::{VERSION, json};
