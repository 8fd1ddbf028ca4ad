//! What a stage is: the probes that begin and end it, and the key that its events have in common; how stages are written
//! (`--stage`, files with stages), which ones an analysis has, and which keys they have.

pub mod choice;

mod choose;
mod definition;
mod draft;
pub(crate) mod file;
mod key;
pub(crate) mod key_index;
mod lasting;
mod learn;
mod preset;
mod roles;

pub use choose::choose;
pub use definition::{ProbeName, Stage};
pub use draft::Draft;
pub use file::{parse, write};
pub(crate) use key::number_of;
pub use key::{Key, KeyPart, KeyValue, MAX_WORDS, Scope};
pub use lasting::Lasting;
pub use learn::learn;
pub(crate) use learn::{is_word_of_names, pieces};
pub use preset::{PRESETS, Preset};
pub(crate) use roles::{Role, Roles, SiteUses};
