//! What the kernel can reach of a file's probes in one process: it puts breakpoints only where code of the file itself is mapped
//! and cannot be written, and switches the semaphores of only one copy of the file on.

use std::fmt;

use crate::find::mapping::MappedPart;

/// Why some probes of a file do not fire in a process, though the file was attached to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Problem {
    /// Their code was moved to other memory, or unmapped.
    Moved { sites: usize, of: usize },
    /// Their code may be written.
    Writable { sites: usize, of: usize },
    /// The file is loaded more than once.
    Copies(usize),
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Moved { sites, of } => write!(
                out,
                "the code of {sites} of {of} sites is not mapped from the file (moved to other memory), where the kernel cannot \
                 attach"
            ),
            Self::Writable { sites, of } => write!(
                out,
                "the code of {sites} of {of} sites is in writable memory, where the kernel cannot attach"
            ),
            Self::Copies(copies) => write!(
                out,
                "it is loaded {copies} times, and the kernel switches the semaphores of one copy on; probes of the others that \
                 have one do not fire"
            ),
        }
    }
}

/// What keeps probes of a file from firing where `parts` of it are mapped; `places` are offsets of sites and semaphores.
pub(crate) fn problem(places: &[(u64, u64)], parts: &[MappedPart]) -> Option<Problem> {
    let covers = |offset: u64, is_so: &dyn Fn(&MappedPart) -> bool| {
        parts.iter().filter(|part| part.covers(offset) && is_so(part)).count()
    };
    let of = places.len();
    let unseen: Vec<u64> = places
        .iter()
        .map(|(site, _)| *site)
        .filter(|site| covers(*site, &MappedPart::takes_breakpoints) == 0)
        .collect();
    if !unseen.is_empty() {
        let is_writable = |part: &MappedPart| part.is_executable && part.is_writable;
        let writable = unseen.iter().filter(|site| covers(**site, &is_writable) > 0).count();
        return Some(if writable > 0 {
            Problem::Writable { sites: writable, of }
        } else {
            Problem::Moved { sites: unseen.len(), of }
        });
    }
    let guarded = places.iter().filter(|(_, semaphore)| *semaphore != 0);
    let copies = guarded.map(|(site, _)| covers(*site, &MappedPart::takes_breakpoints)).max().unwrap_or(0);
    (copies > 1).then_some(Problem::Copies(copies))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(offset: u64, permissions: &str) -> MappedPart {
        let has = |letter| permissions.contains(letter);
        MappedPart {
            offset,
            len: 0x1000,
            is_executable: has('x'),
            is_writable: has('w'),
            is_shared: has('s'),
        }
    }

    #[test]
    fn probes_fire_where_code_of_the_file_is_mapped_once() {
        let places = [(0x1010, 0x3000), (0x1fff, 0)];
        for (parts, expected) in [
            (vec![part(0, ""), part(0x1000, "x"), part(0x3000, "w")], None),
            // A library without semaphores may be loaded twice.
            (vec![part(0x1000, "x"), part(0x3000, "w"), part(0x3000, "w")], None),
            (vec![part(0, ""), part(0x3000, "w")], Some(Problem::Moved { sites: 2, of: 2 })),
            (vec![], Some(Problem::Moved { sites: 2, of: 2 })),
            (vec![part(0x1000, "wx")], Some(Problem::Writable { sites: 2, of: 2 })),
            (vec![part(0x1000, "x"), part(0x1000, "x")], Some(Problem::Copies(2))),
        ] {
            assert_eq!(problem(&places, &parts), expected, "{parts:?}");
        }
        assert_eq!(problem(&places[1..], &[part(0x1000, "x"), part(0x1000, "x")]), None);
        assert_eq!(
            problem(&[(0x10, 0), (0x1010, 0)], &[part(0, "x")]),
            Some(Problem::Moved { sites: 1, of: 2 })
        );
    }
}
