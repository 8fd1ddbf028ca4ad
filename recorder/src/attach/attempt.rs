//! Attaches to the sites of one file. A site that the kernel refuses does not cost the others.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use crate::error::{Error, Result};
use crate::host::helper::wire::{Listed, Wire, wire_struct};
use crate::kernel::link::{self, AttachMode, Link, Place};
use crate::kernel::program::Program;

/// After so many refused sites and none attached, the rest of the file counts as refused.
const MAX_HOPELESS: usize = 32;

/// A site that is not recorded, or not whole.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// Index among the places that were to be attached to.
    pub(crate) place: u64,
    pub(crate) reason: Reason,
}

/// Why a site is not recorded, or not whole.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Reason {
    /// The kernel refuses it, even alone.
    #[error("the kernel refuses to attach: {0}")]
    Refused(io::Error),
    /// It is attached, but its semaphore is not raised: what the program fires only while it is raised is missed.
    #[error("attached without its semaphore: {0}; what is fired only while it is raised is missed")]
    Lowered(Cause),
}

/// Why a semaphore is not raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Cause {
    /// The kernel counts in whole words of two bytes.
    #[error("it is at an odd address, where the kernel raises none")]
    Odd,
    /// The kernel raises one semaphore for an address, and this is another probe's.
    #[error("another probe at the same address (identical code folding) has one as well")]
    Folded,
    /// The kernel has a breakpoint there already that goes with another semaphore, or none.
    #[error("another tool has attached there without it")]
    Foreign,
}

wire_struct! { Refusal { place, reason } }
impl Listed for Refusal {}

impl Wire for Reason {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Refused(error) => {
                0u8.put(out);
                error.put(out);
            }
            Self::Lowered(Cause::Odd) => 1u8.put(out),
            Self::Lowered(Cause::Folded) => 2u8.put(out),
            Self::Lowered(Cause::Foreign) => 3u8.put(out),
        }
    }
    fn take(bytes: &mut &[u8]) -> Option<Self> {
        Some(match u8::take(bytes)? {
            0 => Self::Refused(Wire::take(bytes)?),
            1 => Self::Lowered(Cause::Odd),
            2 => Self::Lowered(Cause::Folded),
            3 => Self::Lowered(Cause::Foreign),
            _ => return None,
        })
    }
}

/// What is attached to in one file.
#[derive(Debug, Default)]
pub(super) struct AttachedSites {
    pub(super) links: Vec<Link>,
    /// The sites that are not recorded or not whole.
    pub(super) refusals: Vec<Refusal>,
}

/// Attaches to `places` of the file at `path`: for all processes, or for each of `pids`.
///
/// # Errors
/// If attaching is impossible as such. A refused site is not an error but a refusal.
pub(super) fn attach(
    program: &Program,
    mode: AttachMode,
    pids: Option<&[u32]>,
    path: &Path,
    places: &[Place],
) -> Result<AttachedSites> {
    let (places, agreed) = agreed(places);
    let mut attached = AttachedSites { links: Vec::new(), refusals: agreed };
    let before = attached.refusals.len();
    let all = pids.is_none().then_some(None);
    for pid in pids.unwrap_or_default().iter().map(|pid| Some(*pid)).chain(all) {
        // Each refuses the same sites.
        attached.refusals.truncate(before);
        Attempt { program, mode, attached: &mut attached, path, pid, hopeless: 0, count: 0 }
            .attach(&places, 0)?;
    }
    attached.refusals.sort_by_key(|refusal| refusal.place);
    Ok(attached)
}

/// The places with one semaphore for each address, which is all the kernel supports, and those that lose theirs.
fn agreed(places: &[Place]) -> (Vec<Place>, Vec<Refusal>) {
    let mut raised: HashMap<u64, u64> = HashMap::new();
    let mut refusals = Vec::new();
    let mut lower =
        |place: usize, cause| refusals.push(Refusal { place: place as u64, reason: Reason::Lowered(cause) });
    for (index, place) in places.iter().enumerate().filter(|(_, place)| place.semaphore_offset != 0) {
        if !place.semaphore_offset.is_multiple_of(2) {
            lower(index, Cause::Odd);
        } else if *raised.entry(place.offset).or_insert(place.semaphore_offset) != place.semaphore_offset {
            lower(index, Cause::Folded);
        }
    }
    let semaphore = |place: &Place| raised.get(&place.offset).copied().unwrap_or(0);
    let places = places.iter().map(|place| Place { semaphore_offset: semaphore(place), ..*place }).collect();
    (places, refusals)
}

/// Attaches to one file, halving the list of places until each refused one stands alone.
struct Attempt<'a> {
    program: &'a Program,
    mode: AttachMode,
    attached: &'a mut AttachedSites,
    path: &'a Path,
    pid: Option<u32>,
    /// Sites that were refused, and that were attached.
    hopeless: usize,
    count: usize,
}

impl Attempt<'_> {
    /// Attaches to `places`, the first of which has the index `first`.
    fn attach(&mut self, places: &[Place], first: usize) -> Result<()> {
        let source = match self.try_link(places) {
            Ok(()) => return Ok(()),
            Err(Error::Attach { source, .. }) => source,
            Err(error) => return Err(error),
        };
        if self.pid.is_some() && source.raw_os_error() == Some(libc::ESRCH) {
            // The process has ended.
            return Ok(());
        }
        if let [place] = places {
            return self.attach_lowered(*place, first, source);
        }
        if self.count == 0 && self.hopeless >= MAX_HOPELESS {
            let refused = |place: usize| {
                let source =
                    source.raw_os_error().map_or_else(|| source.kind().into(), io::Error::from_raw_os_error);
                Refusal { place: place as u64, reason: Reason::Refused(source) }
            };
            self.attached.refusals.extend((first..first + places.len()).map(refused));
            return Ok(());
        }
        let (left, right) = places.split_at(places.len() / 2);
        self.attach(left, first)?;
        self.attach(right, first + left.len())
    }

    /// Attaches to a place that was refused, without its semaphore if it has one.
    fn attach_lowered(&mut self, place: Place, index: usize, source: io::Error) -> Result<()> {
        let lowered = Place { semaphore_offset: 0, ..place };
        let reason = match place.semaphore_offset {
            0 => Reason::Refused(source),
            _ => match self.try_link(&[lowered]) {
                Ok(()) => Reason::Lowered(Cause::Foreign),
                Err(Error::Attach { .. }) => Reason::Refused(source),
                Err(error) => return Err(error),
            },
        };
        self.hopeless += usize::from(matches!(reason, Reason::Refused(_)));
        self.attached.refusals.retain(|refusal| refusal.place != index as u64);
        self.attached.refusals.push(Refusal { place: index as u64, reason });
        Ok(())
    }

    fn try_link(&mut self, places: &[Place]) -> Result<()> {
        let link = link::attach_filtered(self.program, self.mode, self.path, places, self.pid)?;
        self.count += places.len();
        self.attached.links.push(link);
        Ok(())
    }
}
