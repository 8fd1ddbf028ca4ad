//! A file whose sites the program knows, but is not attached to yet.

use crate::find::binary::Binary;
use crate::kernel::link::Place;
use crate::site::plan::PlannedSite;

/// A file whose sites the program knows, but is not attached to yet.
pub(crate) struct Prepared {
    pub(super) binary: Binary,
    pub(super) places: Vec<Place>,
    /// The sites, by the index that their events carry.
    pub(crate) sites: Vec<PlannedSite>,
}

impl Prepared {
    /// Probes in the file; a probe may have several sites.
    pub(crate) fn probes(&self) -> usize {
        let mut names: Vec<String> = self.sites.iter().map(|site| site.site.name()).collect();
        names.sort_unstable();
        names.dedup();
        names.len()
    }
}
