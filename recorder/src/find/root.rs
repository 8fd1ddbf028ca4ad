//! Files by the paths of a process, which may have another root folder and other mounts than the recorder, and works in a
//! folder of its own.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use crate::host::helper::board;
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat, openat2, readlinkat};
use rustix::io::Errno;

/// Links that the kernel follows for one path.
const MAX_LINKS: usize = 40;

/// Where the paths of a process begin.
#[derive(Debug)]
pub(crate) struct Root {
    /// The root folder; `None` for that of this process.
    folder: Option<OwnedFd>,
    /// The path of the root folder here: what the kernel puts before the paths of a process whose root was changed.
    prefix: PathBuf,
    /// What relative paths begin with.
    working: PathBuf,
    /// What `/proc/self` is to the process; `None` for this process.
    itself: Option<PathBuf>,
}

impl Root {
    /// Paths as this process sees them.
    pub(crate) fn own() -> Self {
        Self { folder: None, prefix: PathBuf::from("/"), working: PathBuf::new(), itself: None }
    }

    /// Paths as process `pid` sees them, as far as that can be said: those of this process if it is gone.
    pub(crate) fn of_process(pid: u32) -> Self {
        let link = |name: &str| PathBuf::from(format!("/proc/{pid}/{name}"));
        let (working, itself) = (link("cwd"), Some(link("")));
        if is_ours(pid) {
            return Self { working, itself, ..Self::own() };
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = openat(CWD, link("root"), flags, Mode::empty()).ok();
        Self { folder, prefix: fs::read_link(link("root")).unwrap_or_default(), working, itself }
    }

    /// Opens the regular file at `path` for reading, without waiting for anything. Symbolic links lead where they lead the
    /// process.
    ///
    /// # Errors
    /// As [`open`].
    pub(crate) fn open(&self, path: &Path) -> io::Result<File> {
        reopen(&self.place(path)?)
    }

    /// Whether a regular file that may be executed is at `path`.
    pub(crate) fn is_program(&self, path: &Path) -> bool {
        let facts = self.place(path).and_then(|place| Ok(fstat(place)?));
        facts.is_ok_and(|facts| {
            FileType::from_raw_mode(facts.st_mode) == FileType::RegularFile && facts.st_mode & 0o111 != 0
        })
    }

    /// What tells the folder at `path` from others: device and inode. `None` if there is none.
    pub(crate) fn folder_id(&self, path: &Path) -> Option<(u64, u64)> {
        let facts = fstat(self.place(path).ok()?).ok()?;
        let is_folder = FileType::from_raw_mode(facts.st_mode) == FileType::Directory;
        is_folder.then_some((facts.st_dev, facts.st_ino))
    }

    /// The first `max` entries of the folder at `path`, in the order that it has them, and whether each is a folder.
    ///
    /// # Errors
    /// If there is none, or it may not be read.
    pub(crate) fn entries(&self, path: &Path, max: usize) -> io::Result<Vec<(OsString, bool)>> {
        let place = self.place(path)?;
        let entries = fs::read_dir(format!("/proc/self/fd/{}", place.as_raw_fd()))?;
        let seen = |entry: io::Result<fs::DirEntry>| {
            let entry = entry.ok()?;
            Some((entry.file_name(), entry.file_type().is_ok_and(|kind| kind.is_dir())))
        };
        Ok(entries.map_while(seen).take(max).collect())
    }

    fn place(&self, path: &Path) -> io::Result<OwnedFd> {
        board::at(path);
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        if let (Some(itself), Some(inside)) = (&self.itself, of_itself(path)) {
            return Ok(openat(CWD, itself.join(inside), flags, Mode::empty())?);
        }
        let place = match &self.folder {
            Some(folder) if path.is_absolute() => {
                openat2(folder, path, flags, Mode::empty(), ResolveFlags::IN_ROOT)
            }
            _ if self.itself.is_some() => {
                let base = if path.is_absolute() { Path::new("/") } else { &self.working };
                let folder = openat(CWD, base, flags | OFlags::DIRECTORY, Mode::empty())?;
                openat2(folder, path, flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS)
            }
            _ => openat(CWD, path, flags, Mode::empty()),
        };
        match place {
            // A link may lead to a file that the process names by itself, which may not be there for this one.
            Err(Errno::LOOP | Errno::XDEV) => self.place_behind_links(path),
            Err(Errno::NOENT) if self.itself.is_some() && self.link(path).is_some() => {
                self.place_behind_links(path)
            }
            place => Ok(place?),
        }
    }

    /// The same, where links lead into `/proc`.
    fn place_behind_links(&self, path: &Path) -> io::Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let mut at = PathBuf::from("/");
        let mut rest = path.to_owned();
        if !path.is_absolute() {
            rest = self.inside(&fs::read_link(&self.working)?).join(path);
        }
        let mut links = 0;
        loop {
            if let (Some(itself), Some(inside)) = (&self.itself, of_itself(&at.join(&rest))) {
                return Ok(openat(CWD, itself.join(inside), flags, Mode::empty())?);
            }
            let mut parts = rest.components();
            let Some(part) = parts.next() else { break };
            let after = parts.as_path().to_owned();
            match part {
                Component::RootDir => at = PathBuf::from("/"),
                Component::ParentDir => drop(at.pop()),
                Component::CurDir | Component::Prefix(_) => {}
                Component::Normal(name) => match self.link(&at.join(name)) {
                    Some(target) if links < MAX_LINKS => {
                        links += 1;
                        rest = target.join(after);
                        continue;
                    }
                    Some(_) => return Err(Errno::LOOP.into()),
                    None => at.push(name),
                },
            }
            rest = after;
        }
        // What is left leads to another process, which has its own root.
        if self.folder.is_some() {
            Err(Errno::LOOP.into())
        } else {
            Ok(openat(CWD, &at, flags, Mode::empty())?)
        }
    }

    /// Where the link at a path leads; `None` if it is none.
    fn link(&self, path: &Path) -> Option<PathBuf> {
        let Some(folder) = self.folder.as_ref().filter(|_| path.is_absolute()) else {
            return fs::read_link(self.working.join(path)).ok();
        };
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let place = openat2(folder, path, flags, Mode::empty(), ResolveFlags::IN_ROOT).ok()?;
        let target = readlinkat(place, c"", Vec::new()).ok()?;
        Some(OsString::from_vec(target.into_bytes()).into())
    }

    /// The path of a file of the process, which the kernel told this one, as the process sees it.
    pub(crate) fn inside(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&self.prefix).map_or_else(|_| path.to_owned(), |inside| Path::new("/").join(inside))
    }
}

/// Where in its folder of `/proc` a path leads a process that names itself: `/proc/self/fd/3`, `/dev/fd/3`, `/dev/stdin`. To this one
/// it would be another file.
pub(crate) fn of_itself(path: &Path) -> Option<PathBuf> {
    for (number, name) in ["stdin", "stdout", "stderr"].into_iter().enumerate() {
        if path == Path::new("/dev").join(name) {
            return Some(format!("fd/{number}").into());
        }
    }
    let inside = |folder: &str, to: &str| Some(Path::new(to).join(path.strip_prefix(folder).ok()?));
    inside("/proc/self", "").or_else(|| inside("/proc/thread-self", "")).or_else(|| inside("/dev/fd", "fd"))
}

/// Opens a regular file for reading without waiting for it or waking anything up: every file that a process may have chosen is
/// opened here.
///
/// # Errors
/// If there is none, or it may not be read; [`io::ErrorKind::InvalidInput`] for a device, a pipe or the like.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    reopen(&place(path)?)
}

/// The file at `path`, without access to it: closing that never waits.
///
/// # Errors
/// If there is none.
pub(crate) fn place(path: &Path) -> io::Result<OwnedFd> {
    board::at(path);
    Ok(openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?)
}

/// The same of an open file.
///
/// # Errors
/// When descriptors are short.
pub(crate) fn place_of(file: &File) -> io::Result<OwnedFd> {
    place(Path::new(&format!("/proc/self/fd/{}", file.as_raw_fd())))
}

/// Opens what a place is, if it is a regular file. Opening a device can have effects, so what is looked at is what is opened,
/// whatever becomes of its path meanwhile.
///
/// # Errors
/// As [`open`].
pub(crate) fn reopen(place: &OwnedFd) -> io::Result<File> {
    if FileType::from_raw_mode(fstat(place)?.st_mode) != FileType::RegularFile {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    Ok(openat(CWD, format!("/proc/self/fd/{}", place.as_raw_fd()), flags, Mode::empty())?.into())
}

/// What tells the roots and mounts of processes apart: the root folder's device and inode, and the mount namespace; zeros where
/// the process is gone.
pub(crate) type Identity = (u64, u64, u64);

/// Root and mounts of a process.
pub(crate) fn identity(pid: &str) -> Identity {
    identity_in(&Path::new("/proc").join(pid))
}

/// The same, by the folder of the process in `/proc`.
pub(crate) fn identity_in(folder: &Path) -> Identity {
    let root = folder.join("root/");
    board::at(&root);
    let root = fs::metadata(root).map_or((0, 0), |facts| (facts.dev(), facts.ino()));
    // Asking what is behind the link would have the kernel make a file of it.
    let mounts = fs::read_link(folder.join("ns/mnt")).ok();
    let number = |name: PathBuf| name.to_str()?.strip_prefix("mnt:[")?.strip_suffix(']')?.parse().ok();
    (root.0, root.1, mounts.and_then(number).unwrap_or(0))
}

/// Whether paths mean the same files to `pid` as to this process, as far as can be said: also if it is gone.
fn is_ours(pid: u32) -> bool {
    let (theirs, ours) = (identity(&pid.to_string()), identity("self"));
    let differ = |theirs: u64, ours: u64| theirs != 0 && ours != 0 && theirs != ours;
    !differ(theirs.0, ours.0) && !differ(theirs.1, ours.1) && !differ(theirs.2, ours.2)
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_lead_where_they_lead_the_process() {
        let folder = std::env::temp_dir().join(format!("tracer-root-{}", std::process::id()));
        fs::create_dir_all(folder.join("etc")).unwrap();
        fs::write(folder.join("etc/file"), "inside").unwrap();
        symlink("/etc/file", folder.join("link")).unwrap();
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let root = Root {
            folder: Some(openat(CWD, &folder, flags, Mode::empty()).unwrap()),
            prefix: folder.clone(),
            working: folder.join("etc"),
            itself: Some(folder.clone()),
        };
        fs::create_dir_all(folder.join("fd")).unwrap();
        fs::write(folder.join("fd/0"), "inside").unwrap();
        fs::create_dir_all(folder.join("proc/self/fd")).unwrap();
        let links = [("/proc/self/fd/0", "itself"), ("../itself", "etc/twice"), ("/etc", "folder")];
        links.into_iter().for_each(|(to, name)| symlink(to, folder.join(name)).unwrap());
        // Not there for this process, as if that had fewer open files.
        symlink("/nowhere", folder.join("proc/self/fd/0")).unwrap();
        let paths = [
            "/etc/file",
            "/link",
            "/../../link",
            "file",
            "/proc/self/fd/0",
            "/dev/fd/0",
            "/dev/stdin",
            "/itself",
            "/folder/twice",
        ];
        for path in paths {
            let mut text = String::new();
            root.open(Path::new(path)).unwrap().read_to_string(&mut text).unwrap();
            assert_eq!(text, "inside", "{path}");
        }
        assert!(root.open(Path::new("/proc/self/exe")).is_err(), "outside of the root");
        assert_eq!(root.open(Path::new("/etc")).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        let made = std::process::Command::new("mkfifo").arg(folder.join("pipe")).status();
        assert!(made.unwrap().success());
        for path in [folder.join("pipe"), PathBuf::from("/dev/null"), PathBuf::from("/dev/tty")] {
            // A pipe that nothing writes to would be waited for.
            assert_eq!(open(&path).unwrap_err().kind(), io::ErrorKind::InvalidInput, "{path:?}");
        }
        assert_eq!(root.inside(&folder.join("bin/app")), Path::new("/bin/app"));
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn this_process_has_our_root() {
        assert!(is_ours(std::process::id()) && is_ours(u32::MAX));
        assert_eq!(identity("self").2, fs::metadata("/proc/self/ns/mnt").unwrap().ino());
        assert!(Root::of_process(std::process::id()).folder.is_none());
        assert_eq!(Root::own().inside(Path::new("/bin/app")), Path::new("/bin/app"));
    }
}
