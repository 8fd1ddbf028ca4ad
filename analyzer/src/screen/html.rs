//! An analysis as a page for the browser: one file that loads nothing, made from the same report as the text.
//!
//! Axes and plots are SVG that is drawn here. The script (`html/page.js`) only sorts tables and shows the values under the pointer;
//! without it everything is still there. A content security policy names the digests of the script and the style, and allows
//! nothing else. Every text of a trace stays text, and is cut where it is very long. What a page holds is limited, so it
//! is small whatever the trace is.

mod cdf;
mod distribution;
mod document;
mod figures;
mod over_time;
mod page;
mod parts;
mod path;
mod svg;
mod text;
mod threads;
mod waterfall;

pub use page::{MAX_BYTES, Recording, page};
