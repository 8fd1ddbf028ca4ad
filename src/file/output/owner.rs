//! Whose the files are that root writes.

use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use super::spot::{self, Spot};

/// Gives what root made under `sudo` to the user that called it; not every file system can tell.
pub(crate) fn hand_over(path: &Path) {
    if let Some((uid, gid)) = spot::invoker().filter(|_| rustix::process::geteuid().is_root()) {
        let _ = std::os::unix::fs::lchown(path, Some(uid), Some(gid));
    }
}

/// Refuses a way to a folder that is there over a link of another user.
pub(crate) fn check_way(folder: &Path) -> io::Result<()> {
    Spot::of(&folder.join("new")).map(drop)
}

/// Refuses a folder in which another user could put something in the way of root.
pub(crate) fn check(folder: &Path) -> anyhow::Result<()> {
    check_way(folder)?;
    let facts = std::fs::metadata(folder)?;
    let is_root = rustix::process::geteuid().is_root();
    let uid = facts.uid();
    anyhow::ensure!(
        !is_root || spot::is_trusted(uid),
        "it belongs to another user (uid {uid}); run tracer as that user"
    );
    let is_open = facts.permissions().mode() & 0o002 != 0;
    anyhow::ensure!(
        !is_root || !is_open,
        "every user may write to it; root does so only where others may not"
    );
    Ok(())
}
