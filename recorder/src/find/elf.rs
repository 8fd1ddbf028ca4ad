//! The few parts of an ELF file that discovery needs, read piece by piece from a file or from bytes.
//!
//! The file belongs to another user and may be hostile or shrink while it is read. So every length is compared
//! with a limit before anything is allocated for it, and bytes are copied with `pread`, never mapped: a mapping of a
//! file that its owner truncates kills the reader with SIGBUS.

pub(crate) mod dynamic;
pub mod note;
pub mod segment;
pub mod symbol;

use std::io;
use std::os::unix::fs::FileExt;

use object::LittleEndian as LE;
use object::elf::{self, FileHeader64, ProgramHeader64, SectionHeader64};
use object::pod;

use crate::arch::machine::Machine;
use crate::error::Damage;

/// Section headers in one file; a linked program has 30 to 60.
pub const MAX_SECTIONS: u64 = 1 << 16;
/// Bytes of the table of section names.
pub const MAX_SECTION_NAME_BYTES: u64 = 1 << 20;
/// Program headers in one file; a linked program has 10 to 15.
pub const MAX_SEGMENTS: u16 = 4096;
/// Bytes read at a time.
pub const STEP_BYTES: usize = 1 << 20;
const SECTION_BYTES: u64 = size_of::<SectionHeader64<LE>>() as u64;
const SEGMENT_BYTES: u64 = size_of::<ProgramHeader64<LE>>() as u64;
const _: () = assert!(SECTION_BYTES == 64 && SEGMENT_BYTES == 56);

/// Bytes in memory, read as if they were a file.
#[derive(Debug, Clone, Copy)]
pub struct Bytes<'a>(pub &'a [u8]);

impl FileExt for Bytes<'_> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let tail = usize::try_from(offset).ok().and_then(|start| self.0.get(start..)).unwrap_or_default();
        let len = tail.len().min(buffer.len());
        buffer[..len].copy_from_slice(&tail[..len]);
        Ok(len)
    }

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Headers of one 64-bit little-endian ELF program or shared library.
pub struct Elf<'a> {
    source: &'a dyn FileExt,
    header: FileHeader64<LE>,
    sections: Vec<SectionHeader64<LE>>,
    section_names: Vec<u8>,
}

impl<'a> Elf<'a> {
    /// Reads the file header and the section headers, of which a program that runs needs none; `None` if the bytes are no
    /// ELF file.
    ///
    /// # Errors
    /// If the headers are cut off, contradict each other or are over a limit, or if it is an ELF file of another
    /// class or byte order.
    pub fn read(source: &'a dyn FileExt) -> Result<Option<Self>, Damage> {
        let Some(mut found) = Self::read_header(source)? else { return Ok(None) };
        found.read_sections()?;
        Ok(Some(found))
    }

    /// Reads the file header only, as the kernel and the loader do; `None` if the bytes are no ELF file.
    ///
    /// # Errors
    /// If it is cut off, or of another class or byte order.
    pub fn read_header(source: &'a dyn FileExt) -> Result<Option<Self>, Damage> {
        let mut start = [0; size_of::<FileHeader64<LE>>()];
        let len = fill_at(source, &mut start, 0)?;
        if !start.starts_with(&elf::ELFMAG) || len < 20 {
            return Ok(None);
        }
        if start[4] != elf::ELFCLASS64 || start[5] != elf::ELFDATA2LSB {
            return Err(Damage::Class);
        }
        if len < start.len() {
            return Err(Damage::Truncated { what: "file header", offset: 0, len: start.len() as u64 });
        }
        let header: FileHeader64<LE> = *pod::from_bytes(&start)
            .map(|(header, _)| header)
            .map_err(|()| Damage::Content("file header"))?;
        Ok(Some(Elf { source, header, sections: Vec::new(), section_names: Vec::new() }))
    }

    fn read_sections(&mut self) -> Result<(), Damage> {
        let table = self.header.e_shoff.get(LE);
        if table == 0 {
            return Ok(());
        }
        if u64::from(self.header.e_shentsize.get(LE)) != SECTION_BYTES {
            return Err(Damage::Content("size of a section header"));
        }
        // The first header holds the counts that are too large for the file header.
        let mut headers: Vec<SectionHeader64<LE>> =
            self.table("section header table", table, SECTION_BYTES)?;
        let first = headers.remove(0);
        let count = match self.header.e_shnum.get(LE) {
            0 => first.sh_size.get(LE),
            count => u64::from(count),
        };
        if count > MAX_SECTIONS {
            return Err(Damage::Limit { what: "number of sections", found: count, max: MAX_SECTIONS });
        }
        self.sections = self.table("section header table", table, count * SECTION_BYTES)?;
        let index = match self.header.e_shstrndx.get(LE) {
            elf::SHN_XINDEX => first.sh_link.get(LE) as usize,
            index => usize::from(index),
        };
        if let Some(names) = self.sections.get(index).filter(|_| index != 0) {
            self.section_names = self.section_bytes(names, "section name table", MAX_SECTION_NAME_BYTES)?;
        }
        Ok(())
    }

    /// Sections of this name that have bytes in the file.
    pub fn sections(&self, name: &str) -> impl Iterator<Item = &SectionHeader64<LE>> {
        self.sections.iter().filter(move |section| {
            let start = section.sh_name.get(LE) as usize;
            let found = self.section_names.get(start..).and_then(|tail| tail.strip_prefix(name.as_bytes()));
            found.is_some_and(|tail| tail.first() == Some(&0)) && section.sh_type.get(LE) != elf::SHT_NOBITS
        })
    }

    /// Whether there are section headers; a program runs without.
    #[must_use]
    pub fn has_sections(&self) -> bool {
        !self.sections.is_empty()
    }

    /// Virtual address of the first instruction; 0 in most libraries.
    #[must_use]
    pub(crate) fn entry(&self) -> u64 {
        self.header.e_entry.get(LE)
    }

    /// Bytes of a section.
    ///
    /// # Errors
    /// If it is larger than `max`, cut off, or cannot be read.
    pub fn section_bytes(
        &self,
        section: &SectionHeader64<LE>,
        what: &'static str,
        max: u64,
    ) -> Result<Vec<u8>, Damage> {
        self.bytes(what, section.sh_offset.get(LE), section.sh_size.get(LE), max)
    }

    /// Processor that the file is for.
    ///
    /// # Errors
    /// If it is another one than x86-64 or aarch64, or the file is neither a program nor a shared library.
    pub fn machine(&self) -> Result<Machine, Damage> {
        if !matches!(self.header.e_type.get(LE), elf::ET_EXEC | elf::ET_DYN) {
            return Err(Damage::Unlinked);
        }
        match self.header.e_machine.get(LE) {
            elf::EM_X86_64 => Ok(Machine::X86_64),
            elf::EM_AARCH64 => Ok(Machine::Aarch64),
            machine => Err(Damage::Machine(machine)),
        }
    }

    /// Whether the addresses in the file are relative to where it will be loaded.
    #[must_use]
    pub fn is_position_independent(&self) -> bool {
        self.header.e_type.get(LE) == elf::ET_DYN
    }

    /// Program headers.
    ///
    /// # Errors
    /// If they are cut off or over the limit.
    pub fn segments(&self) -> Result<Vec<ProgramHeader64<LE>>, Damage> {
        let count = self.header.e_phnum.get(LE);
        if count > MAX_SEGMENTS {
            let (found, max) = (count.into(), MAX_SEGMENTS.into());
            return Err(Damage::Limit { what: "number of program headers", found, max });
        }
        if count != 0 && u64::from(self.header.e_phentsize.get(LE)) != SEGMENT_BYTES {
            return Err(Damage::Content("size of a program header"));
        }
        self.table("program header table", self.header.e_phoff.get(LE), u64::from(count) * SEGMENT_BYTES)
    }

    /// Sections of a type that have bytes in the file.
    pub(crate) fn sections_of_type(&self, kind: u32) -> impl Iterator<Item = &SectionHeader64<LE>> {
        self.sections.iter().filter(move |section| section.sh_type.get(LE) == kind)
    }

    /// The section with this index.
    pub(crate) fn section_at(&self, index: u32) -> Option<&SectionHeader64<LE>> {
        self.sections.get(index as usize)
    }

    /// `len` bytes at `offset`, or an error that calls them `what`.
    pub(crate) fn bytes(
        &self,
        what: &'static str,
        offset: u64,
        len: u64,
        max: u64,
    ) -> Result<Vec<u8>, Damage> {
        let size = usize::try_from(len).unwrap_or(usize::MAX);
        if len > max {
            return Err(Damage::Limit { what, found: len, max });
        }
        // In steps, so that memory is taken for bytes that are there, not for those that a header claims.
        let mut bytes = Vec::new();
        while bytes.len() < size {
            let done = bytes.len();
            bytes.resize(size.min(done + STEP_BYTES), 0);
            let position = offset.saturating_add(done as u64);
            if done + fill_at(self.source, &mut bytes[done..], position)? < bytes.len() {
                return Err(Damage::Truncated { what, offset, len });
            }
        }
        Ok(bytes)
    }

    /// At most `max` bytes at `offset`; fewer at the end of the file.
    pub(crate) fn bytes_up_to(&self, offset: u64, max: usize) -> Result<Vec<u8>, Damage> {
        let mut bytes = vec![0; max];
        let len = fill_at(self.source, &mut bytes, offset)?;
        bytes.truncate(len);
        Ok(bytes)
    }

    /// `len` bytes at `offset` as a list of `T`; the caller has checked `len` against a limit.
    pub(crate) fn table<T: pod::Pod>(
        &self,
        what: &'static str,
        offset: u64,
        len: u64,
    ) -> Result<Vec<T>, Damage> {
        let bytes = self.bytes(what, offset, len, len)?;
        pod::slice_from_all_bytes(&bytes).map(<[T]>::to_vec).map_err(|()| Damage::Content(what))
    }
}

/// Reads until the buffer is full or the source ends; returns how many bytes there were.
fn fill_at(source: &dyn FileExt, buffer: &mut [u8], offset: u64) -> Result<usize, Damage> {
    let mut filled = 0;
    while filled < buffer.len() {
        let Some(position) = offset.checked_add(filled as u64) else { break };
        match source.read_at(&mut buffer[filled..], position) {
            Ok(0) => break,
            Ok(len) => filled += len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // An offset above i64::MAX: past the end of any file.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => break,
            Err(error) => return Err(Damage::Unreadable(error.kind())),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An ELF file header with nothing behind it.
    fn header() -> Vec<u8> {
        let mut bytes = vec![0; 64];
        bytes[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1, 1]);
        bytes[16] = 3;
        bytes[18] = 62;
        bytes
    }

    fn error(bytes: &[u8]) -> String {
        Elf::read(&Bytes(bytes)).err().expect("must be refused").to_string()
    }

    #[test]
    fn what_is_not_elf_is_skipped_without_an_error() {
        for bytes in
            [&b""[..], b"\x7fEL", b"#!/bin/sh\necho a long enough script file here, more than a header\n"]
        {
            assert!(Elf::read(&Bytes(bytes)).unwrap().is_none());
        }
    }

    #[test]
    fn a_program_without_section_headers_is_one() {
        let bytes = header();
        let source = Bytes(&bytes);
        let elf = Elf::read(&source).unwrap().unwrap();
        assert!(!elf.has_sections() && elf.segments().unwrap().is_empty());
    }

    #[test]
    fn what_the_kernel_does_not_look_at_does_not_keep_from_the_header() {
        let mut bytes = header();
        bytes[40..48].copy_from_slice(&(u64::MAX - 3).to_le_bytes());
        bytes[58] = 64;
        assert!(Elf::read(&Bytes(&bytes)).is_err());
        assert_eq!(Elf::read_header(&Bytes(&bytes)).unwrap().unwrap().machine(), Ok(Machine::X86_64));
    }

    #[test]
    fn other_classes_are_refused_with_a_reason() {
        let mut bytes = header();
        bytes[4] = 1;
        assert_eq!(
            error(&bytes),
            "a 32-bit or big-endian program, not a 64-bit little-endian one; tracer records only those"
        );
        assert_eq!(error(&header()[..40]), "file header is cut off: 64 bytes expected at byte 0");
    }

    #[test]
    fn header_counts_are_checked_before_they_are_believed() {
        let mut bytes = header();
        bytes[40..48].copy_from_slice(&64u64.to_le_bytes());
        assert_eq!(error(&bytes), "size of a section header: contradicts the rest of the file");
        bytes[58] = 64;
        assert_eq!(error(&bytes), "section header table is cut off: 64 bytes expected at byte 64");
        // No count in the file header: it is the size of the first section.
        let mut section = [0; 64];
        section[32..40].copy_from_slice(&(MAX_SECTIONS + 1).to_le_bytes());
        bytes.extend(section);
        assert_eq!(error(&bytes), "number of sections is 65537, over the limit of 65536");
    }

    #[test]
    fn an_offset_at_the_end_of_the_number_range_is_just_missing() {
        let mut bytes = header();
        bytes[40..48].copy_from_slice(&(u64::MAX - 3).to_le_bytes());
        bytes[58] = 64;
        assert!(error(&bytes).starts_with("section header table is cut off"));
    }
}
