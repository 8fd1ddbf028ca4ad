//! What a stage is: the probes that begin and end it, and the key that its events have in common; how stages are written
//! (`--stage`, files with stages), and which ones an analysis has.

mod choose;
mod definition;
mod file;
mod key;
mod learn;

pub use choose::choose;
pub use definition::{ProbeName, Stage};
pub use file::parse;
pub use key::{Key, KeyPart, KeyValue, MAX_WORDS, Scope};
pub use learn::learn;
