//! Tells when a file is written to that is attached to: its breakpoints are wrong in what it becomes.

use std::collections::{HashMap, HashSet};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};

use crate::find::facts::FileId;

/// Watches files.
#[derive(Debug)]
pub(crate) struct Written {
    inotify: OwnedFd,
    watches: Mutex<Watches>,
}

#[derive(Debug, Default)]
struct Watches {
    /// The files, by the number that the kernel calls them by.
    files: HashMap<i32, FileId>,
    /// What was written to, and is of no file that is known.
    early: HashSet<i32>,
}

impl Written {
    /// Watches no file yet.
    ///
    /// # Errors
    /// When descriptors, or what a user may have of these, are short.
    pub(crate) fn new() -> io::Result<Self> {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        Ok(Self { inotify, watches: Mutex::default() })
    }

    /// To be called before helpers [`watch`](Self::watch) files.
    pub(crate) fn begin(&self) {
        self.watches().early.clear();
    }

    /// Watches a file from now on, and gives the number that is to be [`called`](Self::call). It may have to wait for the file, so a
    /// helper does it, which has the same descriptor. Writes through a mapping are not told, nor are those on another machine.
    ///
    /// # Errors
    /// When there are too many watches.
    pub(crate) fn watch(&self, file: &impl AsFd) -> io::Result<i32> {
        let path = format!("/proc/self/fd/{}", file.as_fd().as_raw_fd());
        Ok(inotify::add_watch(&self.inotify, path, WatchFlags::MODIFY)?)
    }

    /// Calls a watched file `id` from now on; false if it was written to before.
    pub(crate) fn call(&self, number: i32, id: FileId) -> bool {
        let mut watches = self.watches();
        watches.files.insert(number, id);
        !watches.early.remove(&number)
    }

    /// Watches these files no more.
    pub(crate) fn forget(&self, gone: &[FileId]) {
        self.watches().files.retain(|number, id| {
            let is_gone = gone.contains(id);
            if is_gone {
                // It may have been deleted meanwhile.
                let _ = inotify::remove_watch(&self.inotify, *number);
            }
            !is_gone
        });
    }

    /// The files that were written to since the last call, each once.
    pub(crate) fn take(&self) -> Vec<FileId> {
        let mut room = [MaybeUninit::uninit(); 4096];
        let mut reader = Reader::new(&self.inotify, &mut room);
        let (mut watches, mut written) = (self.watches(), Vec::new());
        let Watches { files, early } = &mut *watches;
        while let Ok(event) = reader.next() {
            if event.events().contains(ReadFlags::QUEUE_OVERFLOW) {
                written.extend(files.values());
            }
            if event.events().contains(ReadFlags::MODIFY) {
                match files.get(&event.wd()) {
                    Some(file) => written.push(*file),
                    None => drop(early.insert(event.wd())),
                }
            }
        }
        written.sort_unstable();
        written.dedup();
        written
    }

    fn watches(&self) -> MutexGuard<'_, Watches> {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsFd for Written {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;

    use super::*;

    #[test]
    fn what_is_written_to_is_told_once_and_what_is_read_is_not() {
        let folder = std::env::temp_dir().join(format!("tracer-written-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let paths = ["one", "two", "three"].map(|name| folder.join(name));
        let written = Written::new().unwrap();
        for (number, path) in (0..).zip(&paths) {
            std::fs::write(path, "old").unwrap();
            let watch = written.watch(&File::open(path).unwrap()).unwrap();
            assert!(written.call(watch, (1, number)));
        }
        assert_eq!(written.take(), []);
        std::fs::read(&paths[0]).unwrap();
        // Truncated, and written twice.
        let mut two = File::create(&paths[1]).unwrap();
        two.write_all(b"new").unwrap();
        two.write_all(b"er").unwrap();
        assert_eq!(written.take(), [(1, 1)]);
        written.forget(&[(1, 1)]);
        two.write_all(b"est").unwrap();
        File::create(&paths[2]).unwrap();
        assert_eq!(written.take(), [(1, 2)]);
        // Between watching and knowing.
        written.begin();
        let early = folder.join("early");
        let mut file = File::create(&early).unwrap();
        let watch = written.watch(&file).unwrap();
        file.write_all(b"new").unwrap();
        assert_eq!(written.take(), []);
        assert!(!written.call(watch, (1, 3)));
        std::fs::remove_dir_all(folder).unwrap();
    }
}
