//! The files that were looked at, and which of them are one: a program that is seen through several paths, mounts or overlays
//! is attached to once, and two programs never count as one.
//!
//! Device and inode tell a file from those that exist beside it. A file that took an inode later, or was written over
//! another, is told by its times and, if these differ, by what is in it. Whether a file of an overlay is
//! another one below is asked of the kernel.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::find::binary::Binary;
use crate::find::facts::{Facts, FileId};
use crate::kernel::twin;

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
    fn of(binary: &Binary, size: u64) -> Self {
        let places = binary.sites.iter().map(|site| (site.offset, site.semaphore_offset));
        let names = binary.sites.iter();
        let names = names.map(|site| [&site.provider, &site.probe, &site.spec].map(String::clone));
        Content { size, build_id: binary.build_id.clone(), places: places.collect(), names: names.collect() }
    }
}

/// A file with probes.
#[derive(Debug)]
struct Probed {
    /// As it is shown.
    path: String,
    content: Content,
    is_overlay: bool,
    /// Leads to the file also when its path does not.
    place: Option<OwnedFd>,
}

#[derive(Debug)]
struct KnownFile {
    facts: Facts,
    /// Whether a change since it was looked at would show.
    is_settled: bool,
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
    /// Paths of files that were the same as one of those, and are to be found again.
    parted: Vec<String>,
}

impl KnownFiles {
    /// The file with these facts, or the one that it is a path to, if it was looked at and nothing about it has changed.
    pub(crate) fn recall(&self, facts: &Facts) -> Option<FileId> {
        let known = self.files.get(&facts.id()).filter(|known| known.facts == *facts)?;
        Some(known.original).filter(|_| known.is_settled)
    }

    /// The file that this one is a path to, if it was looked at, whatever has become of it.
    pub(crate) fn original(&self, file: FileId) -> Option<FileId> {
        self.files.get(&file).map(|known| known.original)
    }

    /// The files with probes that are not what they were when this was last called.
    pub(crate) fn take_outdated(&mut self) -> Vec<FileId> {
        std::mem::take(&mut self.outdated)
    }

    /// Paths of the files that were the same as one of those.
    pub(crate) fn take_parted(&mut self) -> Vec<String> {
        std::mem::take(&mut self.parted)
    }

    /// Whether a file with this inode, on any device, was looked at.
    pub(crate) fn has_inode(&self, inode: u64) -> bool {
        self.files.keys().any(|(_, known)| *known == inode)
    }

    pub(crate) fn has_probes(&self, file: FileId) -> bool {
        self.files.get(&file).is_some_and(|known| known.probed.is_some())
    }

    /// Whether a file is as it was when it was read, and a change since would show.
    pub(crate) fn is_sure(&self, facts: &Facts) -> bool {
        self.files.get(&facts.id()).is_some_and(|known| known.is_settled && known.facts == *facts)
    }

    /// What the system said of a file with probes when it was read, and a descriptor that leads to it.
    pub(crate) fn probed(&self, file: FileId) -> Option<(&Facts, Option<BorrowedFd<'_>>)> {
        let known = self.files.get(&file)?;
        let place = known.probed.as_ref().and_then(|probed| probed.place.as_ref());
        Some((&known.facts, place.map(AsFd::as_fd)))
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
        facts: &Facts,
        binary: Option<&Binary>,
        is_overlay: bool,
    ) -> (Standing, io::Result<()>) {
        let (id, is_settled) = (facts.id(), facts.is_settled());
        let Some(binary) = binary else {
            self.insert(id, KnownFile { facts: *facts, is_settled, original: id, probed: None });
            return (Standing::Bare, Ok(()));
        };
        let content = Content::of(binary, facts.size);
        if let Some(known) = self.files.get_mut(&id)
            && known.probed.as_ref().is_some_and(|probed| probed.content == content)
        {
            (known.facts, known.is_settled) = (*facts, is_settled);
            return (Standing::Seen(known.original), Ok(()));
        }
        let (original, result) = match self.twin(binary, &content, is_overlay) {
            Ok(original) => (original.unwrap_or(id), Ok(())),
            Err(error) => (id, Err(error)),
        };
        let path = binary.path.to_string_lossy().into_owned();
        let place = binary.file.try_clone().map(OwnedFd::from).ok();
        let probed = Probed { path, content, is_overlay, place };
        self.insert(id, KnownFile { facts: *facts, is_settled, original, probed: Some(probed) });
        (if original == id { Standing::New } else { Standing::Seen(original) }, result)
    }

    /// Puts a file in the place of what was there. What was the same file as that is to be found again: the links are of one of them.
    fn insert(&mut self, file: FileId, known: KnownFile) {
        let was = self.files.insert(file, known);
        if let Some(was) = was.filter(|was| was.probed.is_some()) {
            self.outdated.push(was.original);
            let parted = &mut self.parted;
            self.files.retain(|id, other| {
                let is_parted = *id != file && other.original == was.original;
                parted.extend(other.probed.iter().filter(|_| is_parted).map(|probed| probed.path.clone()));
                !is_parted
            });
        }
    }

    /// The known file that the kernel takes this one for.
    fn twin(&self, binary: &Binary, content: &Content, is_overlay: bool) -> io::Result<Option<FileId>> {
        let this = (binary.dev, binary.ino);
        for (id, known) in self.files.iter().filter(|(id, known)| **id != this && known.original == **id) {
            // Nothing but an overlay shows one file as two.
            let alike = |probed: &&Probed| (is_overlay || probed.is_overlay) && probed.content == *content;
            let Some(probed) = known.probed.as_ref().filter(alike) else { continue };
            let place = probed.place.as_ref().ok_or(io::ErrorKind::NotFound)?;
            let offsets: Vec<u64> = binary.sites.iter().map(|site| site.offset).collect();
            if twin::is_same(place.as_fd(), binary.file.as_fd(), &offsets)? {
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
