//! What the system says of a file.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::host::helper::wire::{Listed, wire_struct};

/// Device and inode.
pub(crate) type FileId = (u64, u64);

/// What tells a file from all others, and from itself after a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Facts {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    /// User that it belongs to.
    pub(crate) owner: u32,
    /// Bytes.
    pub(crate) size: u64,
    /// Seconds and nanoseconds.
    pub(crate) modified: (i64, i64),
    pub(crate) changed: (i64, i64),
}

wire_struct! { Facts { device, inode, owner, size, modified, changed } }
impl Listed for Facts {}

/// The clock of files moves on in steps of up to 10 ms: one that was written less than this before it was looked at may
/// be written again without a trace.
const UNSETTLED: Duration = Duration::from_millis(50);

impl Facts {
    pub(crate) fn of(facts: &Metadata) -> Self {
        Self {
            device: facts.dev(),
            inode: facts.ino(),
            owner: facts.uid(),
            size: facts.size(),
            modified: (facts.mtime(), facts.mtime_nsec()),
            changed: (facts.ctime(), facts.ctime_nsec()),
        }
    }

    pub(crate) fn id(&self) -> FileId {
        (self.device, self.inode)
    }

    /// Whether a change from now on would show.
    pub(crate) fn is_settled(&self) -> bool {
        let age = |(seconds, nanoseconds): (i64, i64)| {
            let time = Duration::new(u64::try_from(seconds).ok()?, u32::try_from(nanoseconds).ok()?);
            SystemTime::now().duration_since(UNIX_EPOCH.checked_add(time)?).ok()
        };
        // A time in the future says nothing.
        [self.modified, self.changed].into_iter().all(|time| age(time).is_some_and(|age| age > UNSETTLED))
    }
}
