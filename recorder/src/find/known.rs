//! The files that were looked at, and which of them are one: a program that is seen through several paths, mounts or overlays
//! is attached to once, and two programs never count as one.
//!
//! Device and inode tell a file from those that exist beside it. A file that took an inode later, or was written over
//! another, is told by its times and, if these differ, by what is in it. Whether a file of an overlay is
//! another one below is asked of the kernel.

use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::find::binary::Binary;
use crate::kernel::twin;

/// Device and inode.
pub(crate) type FileId = (u64, u64);

/// Device and inode of a file.
pub(crate) fn id(facts: &Metadata) -> FileId {
    (facts.dev(), facts.ino())
}

/// When a file was written and changed, and its size: if none of it differs, it is as it was.
#[derive(Debug, Clone, Copy)]
struct Version {
    modified: (i64, i64),
    changed: (i64, i64),
    size: u64,
    /// Whether a change after this look would show.
    is_settled: bool,
}

/// The clock of files moves on in steps of up to 10 ms: one that was written less than this before it was looked at may
/// be written again without a trace.
const UNSETTLED: Duration = Duration::from_millis(50);

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        (self.modified, self.changed, self.size) == (other.modified, other.changed, other.size)
    }
}

impl Version {
    fn of(facts: &Metadata) -> Self {
        let age = |seconds: i64, nanoseconds: i64| {
            let time = Duration::new(u64::try_from(seconds).ok()?, u32::try_from(nanoseconds).ok()?);
            SystemTime::now().duration_since(UNIX_EPOCH + time).ok()
        };
        // A time in the future says nothing.
        let ages = [age(facts.mtime(), facts.mtime_nsec()), age(facts.ctime(), facts.ctime_nsec())];
        Version {
            is_settled: ages.iter().all(|age| age.is_some_and(|age| age > UNSETTLED)),
            modified: (facts.mtime(), facts.mtime_nsec()),
            changed: (facts.ctime(), facts.ctime_nsec()),
            size: facts.size(),
        }
    }
}

/// What of a file with probes tells it from others.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Content {
    size: u64,
    build_id: Vec<u8>,
    /// Offsets of sites and semaphores.
    places: Vec<(u64, u64)>,
    /// Providers, probes and argument texts of the sites.
    names: Vec<[String; 3]>,
}

impl Content {
    fn of(binary: &Binary, facts: &Metadata) -> Self {
        let places = binary.sites.iter().map(|site| (site.offset, site.semaphore_offset));
        let names = binary.sites.iter();
        let names = names.map(|site| [&site.provider, &site.probe, &site.spec].map(String::clone));
        Content {
            size: facts.size(),
            build_id: binary.build_id.clone(),
            places: places.collect(),
            names: names.collect(),
        }
    }
}

/// A file with probes.
#[derive(Debug)]
struct Probed {
    /// As it is shown.
    path: String,
    content: Content,
    is_overlay: bool,
    /// Keeps a way to the file that is no descriptor, and leads to it also when its path does not.
    anchor: Option<twin::Anchor>,
}

#[derive(Debug)]
struct KnownFile {
    version: Version,
    /// The file itself, or the one found first that is the same to the kernel.
    original: FileId,
    probed: Option<Probed>,
}

/// What a file is, once it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Without requested probes.
    Bare,
    /// Not seen before.
    New,
    /// As it was, though something about it changed, or another path to the known file `original`.
    Seen(FileId),
}

/// All files that were looked at and are still there.
#[derive(Debug, Default)]
pub(crate) struct KnownFiles {
    files: HashMap<FileId, KnownFile>,
    /// Files with probes that are not what they were.
    outdated: Vec<FileId>,
}

impl KnownFiles {
    /// The file with these facts, or the one that it is a path to, if it was looked at and nothing about it has changed.
    pub(crate) fn recall(&self, facts: &Metadata) -> Option<FileId> {
        let known = self.files.get(&id(facts)).filter(|known| known.version == Version::of(facts))?;
        Some(known.original).filter(|_| known.version.is_settled)
    }

    /// The file that this one is a path to, if it was looked at, whatever has become of it.
    pub(crate) fn original(&self, file: FileId) -> Option<FileId> {
        self.files.get(&file).map(|known| known.original)
    }

    /// The files with probes that are not what they were when this was last called.
    pub(crate) fn take_outdated(&mut self) -> Vec<FileId> {
        std::mem::take(&mut self.outdated)
    }

    pub(crate) fn has_probes(&self, file: FileId) -> bool {
        self.files.get(&file).is_some_and(|known| known.probed.is_some())
    }

    /// Whether a file is as it was when it was read, and a change since would show.
    pub(crate) fn is_sure(&self, facts: &Metadata) -> bool {
        let known = self.files.get(&id(facts));
        known.is_some_and(|known| known.version.is_settled && known.version == Version::of(facts))
    }

    /// Whether a file with probes is another one now than when it was read. It is, where it cannot be found any more.
    pub(crate) fn has_changed(&self, file: FileId) -> bool {
        let Some(known) = self.files.get(&file) else { return false };
        let anchor = known.probed.as_ref().and_then(|probed| probed.anchor.as_ref());
        let now =
            anchor.and_then(|anchor| anchor.open().ok()?.metadata().ok()).map(|facts| Version::of(&facts));
        now.is_none_or(|now| now != known.version)
    }

    /// Path of a file with probes, as it was found.
    pub(crate) fn path(&self, file: FileId) -> &str {
        let probed = self.files.get(&file).and_then(|known| known.probed.as_ref());
        probed.map_or("", |probed| &probed.path)
    }

    /// Offsets of sites and semaphores of a file.
    pub(crate) fn places(&self, file: FileId) -> &[(u64, u64)] {
        let probed = self.files.get(&file).and_then(|known| known.probed.as_ref());
        probed.map_or(&[], |probed| &probed.content.places)
    }

    /// Takes a file that was read now: `binary`, if it has requested probes. Fails, after taking it as new, where the kernel
    /// does not say whether it is a known one.
    pub(crate) fn enrol(
        &mut self,
        file: &File,
        facts: &Metadata,
        binary: Option<&Binary>,
    ) -> (Standing, io::Result<()>) {
        let (id, version) = (id(facts), Version::of(facts));
        let Some(binary) = binary else {
            self.insert(id, KnownFile { version, original: id, probed: None });
            return (Standing::Bare, Ok(()));
        };
        let content = Content::of(binary, facts);
        if let Some(known) = self.files.get_mut(&id)
            && known.probed.as_ref().is_some_and(|probed| probed.content == content)
        {
            known.version = version;
            return (Standing::Seen(known.original), Ok(()));
        }
        let is_overlay = twin::is_overlay(file);
        let twin = self.twin(file, binary, &content, is_overlay);
        let (original, result) = match twin {
            Ok(original) => (original.unwrap_or(id), Ok(())),
            Err(error) => (id, Err(error)),
        };
        let path = binary.path.to_string_lossy().into_owned();
        let probed = Probed { path, content, is_overlay, anchor: twin::Anchor::of(file).ok() };
        self.insert(id, KnownFile { version, original, probed: Some(probed) });
        (if original == id { Standing::New } else { Standing::Seen(original) }, result)
    }

    fn insert(&mut self, file: FileId, known: KnownFile) {
        let was = self.files.insert(file, known);
        self.outdated.extend(was.filter(|was| was.probed.is_some()).map(|was| was.original));
    }

    /// The known file that the kernel takes this one for.
    fn twin(
        &self,
        file: &File,
        binary: &Binary,
        content: &Content,
        is_overlay: bool,
    ) -> io::Result<Option<FileId>> {
        let this = (binary.dev, binary.ino);
        for (id, known) in self.files.iter().filter(|(id, known)| **id != this && known.original == **id) {
            // Nothing but an overlay shows one file as two.
            let alike = |probed: &&Probed| (is_overlay || probed.is_overlay) && probed.content == *content;
            let Some(probed) = known.probed.as_ref().filter(alike) else { continue };
            let other = probed.anchor.as_ref().ok_or(io::ErrorKind::NotFound)?.open()?;
            let offsets = binary.sites.iter().map(|site| site.offset);
            if twin::is_same(&other, file, offsets)? {
                return Ok(Some(*id));
            }
        }
        Ok(None)
    }

    /// Files that are known.
    pub(crate) fn len(&self) -> usize {
        self.files.len()
    }

    /// Forgets a file, and the ones that are the same to the kernel.
    pub(crate) fn forget(&mut self, file: FileId) {
        self.files.retain(|_, known| known.original != file);
    }

    /// Forgets files without probes that `is_alive` does not know, so that memory stays bounded by what runs.
    pub(crate) fn keep(&mut self, is_alive: impl Fn(&FileId) -> bool) {
        self.files.retain(|file, known| known.probed.is_some() || is_alive(file));
    }
}
