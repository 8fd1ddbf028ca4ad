//! Ids: positions of definitions in their lists. Each kind is a type of its own, so that none is taken for another.

/// An id type for each kind of definition that others refer to.
macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u32);

        impl $name {
            /// No definition: lists are never this long.
            pub const NONE: Self = Self(u32::MAX);

            /// The id of the definition at this position.
            #[must_use]
            pub fn at(index: usize) -> Self {
                u32::try_from(index).map_or(Self::NONE, Self)
            }

            /// Position in the list.
            #[must_use]
            pub const fn index(self) -> usize {
                self.0 as usize
            }

            /// The id of the definition so many places further on.
            #[must_use]
            pub(crate) const fn plus(self, count: u32) -> Self {
                Self(self.0.saturating_add(count))
            }
        }

        impl From<$name> for u64 {
            fn from(id: $name) -> Self {
                id.0.into()
            }
        }
    )*};
}

ids! {
    /// Position of a host in [`Definitions::hosts`](super::Definitions::hosts).
    HostId
    /// Position of a process in [`Definitions::processes`](super::Definitions::processes).
    ProcessId
    /// Position of a thread in [`Definitions::threads`](super::Definitions::threads).
    ThreadId
    /// Position of a site in [`Definitions::sites`](super::Definitions::sites).
    SiteId
}
