//! Where a file is to stand: a name in an open folder, which stays that place whatever becomes of the path.
//!
//! A path may lead through folders in which other users can write. What those put there does not count: a symbolic link leads on only
//! if it belongs to one that is trusted, and nothing is followed that was not looked at.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, FlockOperation, Mode, OFlags, Stat};
use rustix::io::Errno;

/// As many links as Linux follows.
const MAX_LINKS: u32 = 40;

#[cfg(target_os = "linux")]
const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
#[cfg(not(target_os = "linux"))]
const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::CLOEXEC);

/// A name in an open folder.
#[derive(Debug)]
pub(super) struct Spot {
    folder: OwnedFd,
    name: OsString,
}

impl Spot {
    /// The place that a path stands for: where trusted symbolic links lead, also if nothing is there.
    ///
    /// # Errors
    /// If a folder on the way is not there, or a link is not trusted; [`io::ErrorKind::IsADirectory`] if it names no file.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let is_folder = || io::Error::from(Errno::ISDIR);
        let start = |path: &Path| open(&CWD, if path.is_absolute() { "/" } else { "." }.as_ref(), FOLDER);
        let mut names = parts(path)?;
        let (mut folder, mut links) = (start(path)?, 0);
        loop {
            let name = names.pop_front().ok_or_else(is_folder)?;
            let is_last = names.is_empty();
            let facts = match facts(&folder, &name) {
                Ok(Some(facts)) => facts,
                Ok(None) if is_last && name != ".." => return Ok(Self { folder, name }),
                Ok(None) => return Err(Errno::NOENT.into()),
                Err(error) => return Err(error),
            };
            if kind(&facts) != FileType::Symlink {
                if is_last {
                    return if name == ".." { Err(is_folder()) } else { Ok(Self { folder, name }) };
                }
                folder = open(&folder, &name, FOLDER | OFlags::NOFOLLOW)?;
                continue;
            }
            links += 1;
            if links > MAX_LINKS {
                return Err(Errno::LOOP.into());
            }
            check_link(&folder, &facts, &name, is_last)?;
            if leads_by_itself(&folder) && !is_last {
                folder = open(&folder, &name, FOLDER)?;
                continue;
            }
            let to = rustix::fs::readlinkat(&folder, &name, Vec::new())?;
            let to = PathBuf::from(<OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(to.as_bytes()));
            // What took the place of the link meanwhile was not looked at.
            if self::facts(&folder, &name)?.is_none_or(|now| id(&now) != id(&facts)) {
                return Err(Errno::AGAIN.into());
            }
            if to.is_absolute() {
                folder = start(&to)?;
            }
            let rest = std::mem::take(&mut names);
            names = parts(&to)?.into_iter().chain(rest).collect();
        }
    }

    /// What stands there, itself if it is a symbolic link; `None` if nothing does.
    pub(super) fn facts(&self) -> io::Result<Option<Stat>> {
        facts(&self.folder, &self.name)
    }

    /// Whether other users can put things beside it.
    pub(super) fn is_shared(&self) -> bool {
        is_shared(&self.folder)
    }

    /// The place of another name in the same folder.
    pub(super) fn beside(&self, name: OsString) -> io::Result<Self> {
        Ok(Self { folder: self.folder.try_clone()?, name })
    }

    /// Makes a file where nothing stands.
    pub(super) fn create(&self) -> io::Result<File> {
        create(&self.folder, &self.name)
    }

    /// The same, locked as long as it is open: so it is told from what a process left that was killed.
    pub(super) fn create_locked(&self) -> io::Result<File> {
        let file = self.create()?;
        // Not every file system has locks.
        if file.lock().is_ok() {
            let own = id(&rustix::fs::fstat(&file)?);
            // One that looked for such leavings may have been quicker.
            if self.facts()?.is_none_or(|facts| id(&facts) != own) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
        }
        Ok(file)
    }

    /// Whether no process has locked what stands there.
    pub(super) fn is_unlocked(&self) -> bool {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        open(&self.folder, &self.name, flags).is_ok_and(|file| File::from(file).try_lock().is_ok())
    }

    /// Its name in its folder.
    pub(super) fn name(&self) -> &OsStr {
        &self.name
    }

    /// Names in its folder, the first so many.
    pub(super) fn siblings(&self, most: usize) -> io::Result<Vec<OsString>> {
        names_in(open(&self.folder, ".".as_ref(), OFlags::DIRECTORY | OFlags::CLOEXEC)?, most)
    }

    /// Makes a folder where nothing stands, and opens it; it is locked as long as that is open.
    pub(super) fn create_folder(&self) -> io::Result<OwnedFd> {
        let mode = if rustix::process::geteuid().is_root() { 0o700 } else { 0o777 };
        rustix::fs::mkdirat(&self.folder, &self.name, Mode::from_raw_mode(mode))?;
        let folder = self.open_folder()?;
        // Not every file system has locks.
        let _ = rustix::fs::flock(&folder, FlockOperation::LockExclusive);
        give_to_invoker(&folder);
        Ok(folder)
    }

    /// Names of what is in the folder that stands there.
    pub(super) fn names(&self) -> io::Result<Vec<OsString>> {
        names_in(self.open_folder()?, usize::MAX)
    }

    /// Removes the folder that stands there, with its files.
    pub(super) fn remove_folder(&self) -> io::Result<()> {
        let files = self.open_folder()?;
        for name in self.names()? {
            rustix::fs::unlinkat(&files, &name, AtFlags::empty())?;
        }
        Ok(rustix::fs::unlinkat(&self.folder, &self.name, AtFlags::REMOVEDIR)?)
    }

    fn open_folder(&self) -> io::Result<OwnedFd> {
        open(&self.folder, &self.name, OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC)
    }

    /// Opens what stands there for writing, if it is what `looked_at` tells of.
    pub(super) fn open(&self, looked_at: &Stat) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = open(&self.folder, &self.name, flags)?;
        let is_same = id(&rustix::fs::fstat(&file)?) == id(looked_at);
        if is_same { Ok(file.into()) } else { Err(Errno::AGAIN.into()) }
    }

    /// Moves the file of another place in the same folder here, over whatever stands here.
    pub(super) fn replace_by(&self, other: &Self) -> io::Result<()> {
        Ok(rustix::fs::renameat(&other.folder, &other.name, &self.folder, &self.name)?)
    }

    /// Moves the file of another place in the same folder here, if nothing stands here.
    pub(super) fn fill_by(&self, other: &Self) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        {
            let flags = rustix::fs::RenameFlags::NOREPLACE;
            let moved =
                rustix::fs::renameat_with(&other.folder, &other.name, &self.folder, &self.name, flags);
            // Some file systems know no such flag.
            if !matches!(moved, Err(Errno::INVAL | Errno::NOSYS)) {
                return Ok(moved?);
            }
        }
        rustix::fs::linkat(&other.folder, &other.name, &self.folder, &self.name, AtFlags::empty())?;
        other.remove()
    }

    /// Removes the name.
    pub(super) fn remove(&self) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.folder, &self.name, AtFlags::empty())?)
    }
}

/// Names of what is in a folder, the first so many.
fn names_in(folder: OwnedFd, most: usize) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for found in rustix::fs::Dir::read_from(folder)?.take(most) {
        let name =
            <OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(found?.file_name().to_bytes()).to_owned();
        if name != "." && name != ".." {
            names.push(name);
        }
    }
    Ok(names)
}

/// Makes a file in a folder in which nothing is called so.
pub(super) fn create(folder: &OwnedFd, name: &OsStr) -> io::Result<File> {
    // What root records is of programs of all users: strings, command lines.
    let mode = if rustix::process::geteuid().is_root() { 0o600 } else { 0o666 };
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(folder, name, flags, Mode::from_raw_mode(mode))?;
    give_to_invoker(&file);
    Ok(file.into())
}

/// Opens a file in a folder to add to its end.
pub(super) fn append(folder: &OwnedFd, name: &OsStr) -> io::Result<File> {
    Ok(open(folder, name, OFlags::WRONLY | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::CLOEXEC)?.into())
}

/// Under `sudo`, what is made belongs to the user that called it; not every file system can tell.
fn give_to_invoker(made: &impl AsFd) {
    if let Some((uid, gid)) = invoker().filter(|_| rustix::process::geteuid().is_root()) {
        let _ = std::os::unix::fs::fchown(made, Some(uid), Some(gid));
    }
}

/// What tells a file from others.
pub(super) fn id(facts: &Stat) -> (u64, u64) {
    #[allow(clippy::unnecessary_cast, clippy::cast_sign_loss, reason = "its type differs between systems")]
    (facts.st_dev as u64, facts.st_ino)
}

pub(super) fn kind(facts: &Stat) -> FileType {
    FileType::from_raw_mode(facts.st_mode)
}

/// Whether what belongs to this user does what the caller wants: the caller's own, root's, and under `sudo` those of the user that
/// called it.
pub(super) fn is_trusted(uid: u32) -> bool {
    let own = rustix::process::geteuid();
    uid == 0 || uid == own.as_raw() || own.is_root() && invoker().is_some_and(|(invoker, _)| uid == invoker)
}

/// User and group that called `sudo`.
pub(super) fn invoker() -> Option<(u32, u32)> {
    let id = |name: &str| std::env::var(name).ok()?.parse::<u32>().ok();
    id("SUDO_UID").zip(id("SUDO_GID"))
}

fn parts(path: &Path) -> io::Result<VecDeque<OsString>> {
    if path.as_os_str().is_empty() {
        return Err(Errno::NOENT.into());
    }
    let mut names: VecDeque<OsString> = path
        .components()
        .filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir))
        .map(|part| part.as_os_str().to_owned())
        .collect();
    // A folder, in the eyes of the one that wrote it.
    if path.as_os_str().as_encoded_bytes().ends_with(b"/") {
        names.push_back("..".into());
    }
    Ok(names)
}

fn open(folder: &impl AsFd, name: &OsStr, flags: OFlags) -> io::Result<OwnedFd> {
    Ok(rustix::fs::openat(folder, name, flags, Mode::empty())?)
}

fn facts(folder: &OwnedFd, name: &OsStr) -> io::Result<Option<Stat>> {
    match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(facts) => Ok(Some(facts)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn is_shared(folder: &OwnedFd) -> bool {
    let shared = Mode::SVTX | Mode::WOTH;
    rustix::fs::fstat(folder).is_ok_and(|facts| Mode::from_raw_mode(facts.st_mode).intersects(shared))
}

/// Refuses a symbolic link that another user put there. On the way to the last name, and for all but root, those count that
/// the owner of a folder put into it, as an administrator does, if others cannot.
fn check_link(folder: &OwnedFd, link: &Stat, name: &OsStr, is_last: bool) -> io::Result<()> {
    let is_owners = || rustix::fs::fstat(folder).is_ok_and(|facts| facts.st_uid == link.st_uid);
    let is_usual = !is_last && !rustix::process::geteuid().is_root() && !is_shared(folder) && is_owners();
    if is_usual || is_trusted(link.st_uid) {
        return Ok(());
    }
    let name = tracer_format::log::escape(&name.to_string_lossy()).into_owned();
    let (uid, what) = (link.st_uid, "expected one of your own, or the path that it leads to");
    Err(io::Error::other(format!("{name} is a symbolic link of another user (uid {uid}), {what}")))
}

/// Whether the links in this folder lead where their text does not say: those of `/proc/PID`.
fn leads_by_itself(folder: &OwnedFd) -> bool {
    #[cfg(target_os = "linux")]
    return rustix::fs::fstatfs(folder).is_ok_and(|facts| facts.f_type == rustix::fs::PROC_SUPER_MAGIC);
    #[cfg(not(target_os = "linux"))]
    {
        let _ = folder;
        false
    }
}
