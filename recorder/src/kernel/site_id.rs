//! The number of a site in a recording.

/// Number of a site: what its events carry, where its plan stands among those of all sites, and its id in the trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SiteId(pub u32);

impl SiteId {
    /// Where the site stands among all of them.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }

    /// What the kernel gives to the program when the site is hit.
    pub(crate) fn cookie(self) -> u64 {
        self.0.into()
    }
}
