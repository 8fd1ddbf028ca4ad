//! The parts of a file that are loaded: where an address of the running program is in the file.

use object::LittleEndian as LE;
use object::elf::{self, ProgramHeader64};

use crate::find::elf::{Elf, dynamic};

/// What a segment must allow for an address in it to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Instructions.
    Execute,
    /// Variables.
    Write,
    /// Instructions that the program may overwrite.
    Both,
    /// Anything that is in the file.
    Any,
}

/// File offset of `address` if a segment that is loaded from the file and allows `access` covers it.
#[must_use]
pub fn file_offset(segments: &[ProgramHeader64<LE>], address: u64, access: Access) -> Option<u64> {
    let flags = match access {
        Access::Execute => elf::PF_X,
        Access::Write => elf::PF_W,
        Access::Both => elf::PF_X | elf::PF_W,
        Access::Any => 0,
    };
    segments.iter().find_map(|segment| {
        let within = address.checked_sub(segment.p_vaddr.get(LE))?;
        let covered = segment.p_type.get(LE) == elf::PT_LOAD
            && segment.p_flags.get(LE) & flags == flags
            && within < segment.p_filesz.get(LE);
        covered.then(|| segment.p_offset.get(LE).checked_add(within))?
    })
}

/// Whether the page of the file with the variable at `address` is part of an earlier writable segment as well, as lld and
/// mold lay out small programs. When a program is loaded, the kernel raises a semaphore in the first mapping of the page that
/// it may write to, and the program looks at the other one.
#[must_use]
pub fn is_shadowed(segments: &[ProgramHeader64<LE>], address: u64, page_bytes: u64) -> bool {
    let writable = || {
        segments.iter().filter(|segment| {
            segment.p_type.get(LE) == elf::PT_LOAD && segment.p_flags.get(LE) & elf::PF_W != 0
        })
    };
    let Some(offset) = file_offset(segments, address, Access::Write) else { return false };
    let (page, own) = (offset / page_bytes, |segment: &&ProgramHeader64<LE>| {
        address.wrapping_sub(segment.p_vaddr.get(LE)) < segment.p_filesz.get(LE)
    });
    let begin = writable().find(own).map_or(0, |segment| segment.p_vaddr.get(LE));
    writable().filter(|segment| segment.p_vaddr.get(LE) < begin).any(|segment| {
        let (first, len) = (segment.p_offset.get(LE), segment.p_filesz.get(LE));
        len > 0 && (first / page_bytes..first.saturating_add(len).div_ceil(page_bytes)).contains(&page)
    })
}

/// Where the thread-local variables of a program begin, from what the thread's memory is addressed by; `None` if it has
/// none, or is a library, whose place among others the loader chooses.
///
/// A program's stand right before that address on x86-64, as its linker reckons with.
#[must_use]
pub(crate) fn thread_block(elf: &Elf<'_>, segments: &[ProgramHeader64<LE>]) -> Option<i64> {
    let block = segments.iter().find(|segment| segment.p_type.get(LE) == elf::PT_TLS)?;
    let (bytes, align) = (block.p_memsz.get(LE), block.p_align.get(LE).max(1));
    let begin = bytes.checked_next_multiple_of(align)?;
    // What begins in the middle of its alignment, linkers place in different ways.
    let is_usual = block.p_vaddr.get(LE).is_multiple_of(align);
    (is_usual && is_program(elf, segments)).then(|| i64::try_from(begin).ok()?.checked_neg())?
}

/// Whether the file is a program and not a library: it is loaded as linked, names its loader, or says that it is one.
fn is_program(elf: &Elf<'_>, segments: &[ProgramHeader64<LE>]) -> bool {
    let has_loader = segments.iter().any(|segment| segment.p_type.get(LE) == elf::PT_INTERP);
    !elf.is_position_independent() || has_loader || dynamic::is_marked_as_program(elf, segments)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A segment that may be written to: offset, address, bytes.
    fn writable(offset: u64, address: u64, bytes: u64) -> ProgramHeader64<LE> {
        use object::endian::{U32, U64};
        let number = |value| U64::new(LE, value);
        ProgramHeader64 {
            p_type: U32::new(LE, elf::PT_LOAD),
            p_flags: U32::new(LE, elf::PF_R | elf::PF_W),
            p_offset: number(offset),
            p_vaddr: number(address),
            p_paddr: number(address),
            p_filesz: number(bytes),
            p_memsz: number(bytes),
            p_align: number(0x1000),
        }
    }

    #[test]
    fn a_page_of_two_writable_segments_hides_what_is_in_the_later_one() {
        // As lld does: the part that becomes read-only, then, a page on in memory, what follows in the file.
        let lld = [writable(0x760, 0x2760, 0x1b0), writable(0x910, 0x3910, 0x40)];
        assert!(is_shadowed(&lld, 0x3920, 0x1000));
        assert!(!is_shadowed(&lld, 0x2770, 0x1000), "the first of them");
        assert!(!is_shadowed(&lld, 0x5000, 0x1000), "in none of them");
        let apart = [writable(0x760, 0x2760, 0x1b0), writable(0x1910, 0x3910, 0x40)];
        assert!(!is_shadowed(&apart, 0x3920, 0x1000), "pages of their own");
        assert!(
            !is_shadowed(&[writable(0x2db8, 0x3db8, 0x260)], 0x4010, 0x1000),
            "one segment, as ld.bfd does"
        );
    }
}
