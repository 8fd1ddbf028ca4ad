//! Files on their way into a dataset: in a folder that is locked as long as the process lives that writes them.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use crate::file::output::owner;

/// A folder for files that are being written; it goes away with this.
#[derive(Debug)]
pub(super) struct Staging {
    pub(super) folder: PathBuf,
    _lock: File,
}

impl Staging {
    /// Begins one below `own`; the dataset's lock is held, so that nobody takes it for left over.
    pub(super) fn begin(own: &Path) -> io::Result<Self> {
        static BEGUN: AtomicU32 = AtomicU32::new(0);
        let number = BEGUN.fetch_add(1, Ordering::Relaxed);
        let folder = own.join(format!("draft-{}-{number}", std::process::id()));
        make_folder(&folder)?;
        let lock = File::open(&folder)?;
        lock.lock()?;
        Ok(Self { folder, _lock: lock })
    }

    /// Begins a file.
    pub(super) fn create(&self, name: &str) -> io::Result<File> {
        let path = self.folder.join(name);
        let file = File::options().create_new(true).write(true).open(&path)?;
        owner::hand_over(&path);
        Ok(file)
    }

    /// Removes what is at `path` if it is a folder of a process that died; the dataset's lock is held.
    pub(super) fn remove_if_left(path: &Path) {
        let is_draft = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("draft-"));
        // It is in nobody's way if it cannot be removed.
        if is_draft && File::open(path).is_ok_and(|folder| folder.try_lock().is_ok()) {
            let _ = fs::remove_dir_all(path);
        }
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Makes a folder, and those above it that are not there.
pub(super) fn make_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(above) = path.parent().filter(|above| !above.as_os_str().is_empty()) {
        make_folder(above)?;
    }
    // What root records is for root alone, and for the user of sudo.
    let mode = if rustix::process::geteuid().is_root() { 0o700 } else { 0o777 };
    match fs::DirBuilder::new().mode(mode).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => return Ok(()),
        made => made?,
    }
    owner::hand_over(path);
    Ok(())
}

/// Has files and folders reach the disk, all at the same time: that takes as long as one.
pub(super) fn sync(files: &[File]) -> io::Result<()> {
    thread::scope(|scope| {
        let syncing: Vec<_> = files.iter().map(|file| scope.spawn(|| file.sync_all())).collect();
        // Each is waited for, whatever came of the others.
        let synced: Vec<_> =
            syncing.into_iter().map(|one| one.join().expect("sync_all does not panic")).collect();
        synced.into_iter().collect()
    })
}
