//! What is shown of an analysis, and of two side by side: as a report, which has a form for the terminal and one in
//! Markdown, as JSON, and as a page with plots.

pub mod diff;
pub mod html;
pub mod junit;
pub mod live;
pub mod plot;

mod analysis;
mod budget;
mod diagnosis;
mod groups;
mod json;
mod tree;
mod verdict;

pub use analysis::{Detail, report};
pub use json::{VERSION, json};
