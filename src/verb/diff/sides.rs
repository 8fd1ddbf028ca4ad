//! Traces that are compared by mistake: with themselves, or as several runs where there was one.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};

use crate::file::input::name;

/// The traces of both sides, by their bytes.
#[derive(Default)]
pub(super) struct Sides {
    base: HashMap<u64, PathBuf>,
    new: HashMap<u64, PathBuf>,
    is_new: bool,
}

/// A number that stands for the bytes of a trace.
pub(super) fn identity(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

impl Sides {
    /// The traces that follow are of the other side.
    pub(super) fn begin_new(&mut self) {
        self.is_new = true;
    }

    /// Notes a trace; false, and a message, if its side has it already: it is no run more.
    pub(super) fn is_new(&mut self, path: &Path, identity: u64) -> bool {
        let side = if self.is_new { &mut self.new } else { &mut self.base };
        if let Some(first) = side.get(&identity) {
            say!("{} is the same trace as {}: taken once", name(path), name(first));
            return false;
        }
        side.insert(identity, path.to_owned());
        true
    }

    /// Which traces are on both sides, if some are: of those nothing is learned.
    pub(super) fn with_itself(&self) -> Option<String> {
        let of_both = |(identity, new)| Some((new, self.base.get(identity)?));
        let mut both: Vec<(&PathBuf, &PathBuf)> = self.new.iter().filter_map(of_both).collect();
        both.sort();
        match both[..] {
            [] => None,
            [(new, base)] if new == base => {
                Some(format!("{} is on both sides: it was compared with itself", name(new)))
            }
            [(new, base)] => {
                let (new, base) = (name(new), name(base));
                Some(format!("{new} is the same trace as {base}: it was compared with itself"))
            }
            [(first, _), ..] => Some(format!(
                "{} and {} more are on both sides: they were compared with themselves",
                name(first),
                both.len() - 1
            )),
        }
    }
}
