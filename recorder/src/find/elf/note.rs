//! The notes of `.note.stapsdt`: where the probes of a program or library are, as `sys/sdt.h` describes them.
//!
//! One note is one site: three addresses (instruction, base, semaphore) and three strings (provider, probe,
//! arguments). The linker may move a file after the notes were written (prelink); the address of the section
//! `.stapsdt.base` against the base in the note tells by how much.

use object::LittleEndian as LE;
use object::elf::{self, SectionHeader64};

use crate::error::Damage;
use crate::find::elf::Elf;

/// Sites in one file; the largest programs known have a few thousand.
pub const MAX_SITES: usize = 1 << 16;
/// Bytes of all note sections of one file.
pub const MAX_NOTES_BYTES: u64 = 16 << 20;
/// Bytes of a provider's or a probe's name; a trace holds no longer one.
pub const MAX_NAME_BYTES: usize = tracer_format::limits::MAX_NAME_BYTES;
/// Bytes of the argument text of one site. Names of C++ variables that are made of templates have thousands.
pub const MAX_SPEC_BYTES: usize = 64 << 10;

const SECTION: &str = ".note.stapsdt";
const BASE_SECTION: &str = ".stapsdt.base";
const OWNER: &[u8] = b"stapsdt\0";
const TYPE: u32 = 3;
const HEADER_BYTES: usize = 12;
const ADDRESSES_BYTES: usize = 24;

/// One note: a site as the linker left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Provider.
    pub provider: String,
    /// Probe, without the provider.
    pub probe: String,
    /// Virtual address of the instruction.
    pub address: u64,
    /// Virtual address that `.stapsdt.base` had when the note was written; 0 if unknown.
    pub base: u64,
    /// Virtual address of the semaphore; 0 if the probe has none.
    pub semaphore: u64,
    /// Argument text, such as `-8@%rdi 4@$1`.
    pub spec: String,
}

/// The notes of a file, and why some are not among them.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// Those that are understood, in their order in the file.
    pub notes: Vec<Note>,
    /// Those that are not.
    pub damaged: Vec<Damage>,
}

/// Whether a file has a section for them.
pub(crate) fn has_section(elf: &Elf<'_>) -> bool {
    elf.sections(SECTION).next().is_some()
}

/// All notes of a file, with addresses as linked now.
///
/// They are in the section that `sys/sdt.h` names; where a linker script merged it with others, in another section of notes;
/// and where there are no section headers, in a segment of notes.
///
/// # Errors
/// If the notes of probes are cut off or over a limit.
pub fn read(elf: &Elf<'_>) -> Result<Notes, Damage> {
    let place = |section: &SectionHeader64<LE>| (section.sh_offset.get(LE), section.sh_size.get(LE));
    let named: Vec<_> = elf.sections(SECTION).map(place).collect();
    let mut notes = Notes::default();
    if !named.is_empty() {
        read_places(elf, &named, &mut notes)?;
    } else if elf.has_sections() {
        let places: Vec<_> = elf.sections_of_type(elf::SHT_NOTE).map(place).collect();
        read_any(elf, &places, &mut notes)?;
    } else {
        let segments = elf.segments()?;
        let of_notes = segments.iter().filter(|segment| segment.p_type.get(LE) == elf::PT_NOTE);
        let places: Vec<_> =
            of_notes.map(|segment| (segment.p_offset.get(LE), segment.p_filesz.get(LE))).collect();
        read_any(elf, &places, &mut notes)?;
    }
    if let Some(base) = elf.sections(BASE_SECTION).next() {
        notes.notes.iter_mut().for_each(|note| rebase(note, base.sh_addr.get(LE)));
    }
    Ok(notes)
}

/// Reads places, as offset and length, that may hold the notes of probes: what is wrong with them counts only where they do.
fn read_any(elf: &Elf<'_>, places: &[(u64, u64)], notes: &mut Notes) -> Result<(), Damage> {
    for place in places {
        let before = notes.len();
        match read_places(elf, std::slice::from_ref(place), notes) {
            Err(damage) if notes.len() > before => return Err(damage),
            _ => {}
        }
    }
    Ok(())
}

fn read_places(elf: &Elf<'_>, places: &[(u64, u64)], notes: &mut Notes) -> Result<(), Damage> {
    // Places may overlap, so it is the sum that is limited.
    let mut total: u64 = 0;
    for &(offset, len) in places {
        let what = "size of .note.stapsdt";
        total = total.saturating_add(len);
        if total > MAX_NOTES_BYTES {
            return Err(Damage::Limit { what, found: total, max: MAX_NOTES_BYTES });
        }
        parse(&elf.bytes(what, offset, len, MAX_NOTES_BYTES)?, notes)?;
    }
    Ok(())
}

impl Notes {
    fn len(&self) -> usize {
        self.notes.len() + self.damaged.len()
    }
}

/// Appends the notes in the bytes of one section; notes of other owners are skipped, and one that is not understood costs
/// no other.
///
/// # Errors
/// If a note is cut off, or there are more than [`MAX_SITES`].
pub fn parse(section: &[u8], notes: &mut Notes) -> Result<(), Damage> {
    let mut offset = 0;
    while let Some(rest) = section.get(offset..).filter(|rest| !rest.is_empty()) {
        let bad = |what| Damage::Note { offset: offset as u64, what };
        let (owner, kind, content, len) = split(rest).ok_or_else(|| bad("it is cut off"))?;
        if owner == OWNER && kind == TYPE {
            if notes.len() == MAX_SITES {
                let (found, max) = (notes.len() as u64 + 1, MAX_SITES as u64);
                return Err(Damage::Limit { what: "number of sites", found, max });
            }
            match describe(content) {
                Ok(note) => notes.notes.push(note),
                Err(what) => notes.damaged.push(bad(what)),
            }
        }
        offset += len;
    }
    Ok(())
}

/// Owner, type and content of the first note in `bytes`, and how many bytes it takes with its padding.
fn split(bytes: &[u8]) -> Option<(&[u8], u32, &[u8], usize)> {
    let word = |at: usize| bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
    let (owner_len, content_len, kind) = (word(0)? as usize, word(4)? as usize, word(8)?);
    let owner_end = HEADER_BYTES.checked_add(owner_len)?;
    let content_start = owner_end.checked_next_multiple_of(4)?;
    let content_end = content_start.checked_add(content_len)?;
    let content = bytes.get(content_start..content_end)?;
    // The padding of the last note may be missing.
    Some((&bytes[HEADER_BYTES..owner_end], kind, content, content_end.checked_next_multiple_of(4)?))
}

/// The site that a note's content describes.
fn describe(content: &[u8]) -> Result<Note, &'static str> {
    let Some((addresses, strings)) = content.split_at_checked(ADDRESSES_BYTES) else {
        return Err("shorter than its three addresses");
    };
    let address =
        |at: usize| addresses[at..at + 8].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte));
    let (provider, rest) =
        string(strings, MAX_NAME_BYTES).ok_or("its provider does not end or is too long")?;
    let (probe, rest) = string(rest, MAX_NAME_BYTES).ok_or("its probe name does not end or is too long")?;
    let (spec, _) = string(rest, MAX_SPEC_BYTES).ok_or("its arguments do not end or are too long")?;
    if provider.is_empty() || probe.is_empty() {
        return Err("its provider or probe has no name");
    }
    // Some tools write a lone ":" for no arguments.
    let spec = if spec.starts_with(':') { String::new() } else { spec };
    Ok(Note { provider, probe, address: address(0), base: address(8), semaphore: address(16), spec })
}

/// Splits off a string that ends with NUL, if it has at most `max` bytes.
fn string(bytes: &[u8], max: usize) -> Option<(String, &[u8])> {
    let end = bytes.iter().take(max + 1).position(|byte| *byte == 0)?;
    // What is not UTF-8 takes three bytes for one.
    let text = String::from_utf8_lossy(&bytes[..end]).into_owned();
    (text.len() <= max).then(|| (text, &bytes[end + 1..]))
}

/// Moves a note's addresses by what the file was moved since the note was written.
fn rebase(note: &mut Note, base: u64) {
    if note.base == 0 {
        return;
    }
    let moved = base.wrapping_sub(note.base);
    note.address = note.address.wrapping_add(moved);
    if note.semaphore != 0 {
        note.semaphore = note.semaphore.wrapping_add(moved);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A note as the assembler writes it.
    fn note(owner: &[u8], kind: u32, content: &[u8]) -> Vec<u8> {
        let len = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap().to_le_bytes();
        let mut bytes = [&len(owner)[..], &len(content), &kind.to_le_bytes(), owner].concat();
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes.extend(content);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn content(addresses: [u64; 3], strings: &str) -> Vec<u8> {
        [&addresses.map(u64::to_le_bytes).concat(), strings.as_bytes()].concat()
    }

    fn site(strings: &str) -> Vec<u8> {
        note(OWNER, TYPE, &content([0x1000, 0, 0], strings))
    }

    /// All notes, or the first that is not understood.
    fn parsed(section: &[u8]) -> Result<Vec<Note>, Damage> {
        let mut notes = Notes::default();
        parse(section, &mut notes)?;
        notes.damaged.first().map_or(Ok(notes.notes), |damage| Err(*damage))
    }

    fn error(section: &[u8]) -> String {
        parsed(section).unwrap_err().to_string()
    }

    #[test]
    fn a_note_gives_its_addresses_and_names() {
        let bytes = note(OWNER, TYPE, &content([0x1139, 0x2004, 0x4010], "app\0begin\0-8@%rdi 4@$1\0"));
        let expected = Note {
            provider: "app".into(),
            probe: "begin".into(),
            address: 0x1139,
            base: 0x2004,
            semaphore: 0x4010,
            spec: "-8@%rdi 4@$1".into(),
        };
        assert_eq!(parsed(&bytes).unwrap(), [expected]);
    }

    #[test]
    fn notes_of_others_are_skipped() {
        let section = [
            note(b"GNU\0", 3, &[7; 21]),
            site("a\0b\0\0"),
            note(OWNER, 4, b"another type"),
            note(b"", TYPE, b""),
            site("a\0c\0:\0"),
        ]
        .concat();
        let notes = parsed(&section).unwrap();
        assert_eq!(notes.iter().map(|note| note.probe.as_str()).collect::<Vec<_>>(), ["b", "c"]);
        assert!(notes.iter().all(|note| note.spec.is_empty()));
    }

    #[test]
    fn the_last_note_may_lack_its_padding() {
        let mut bytes = note(OWNER, TYPE, &content([1, 2, 3], "a\0b\0-1@%al\0"));
        while bytes.ends_with(&[0, 0]) {
            bytes.pop();
        }
        assert_eq!(parsed(&bytes).unwrap().len(), 1);
    }

    #[test]
    fn every_truncation_is_an_error_or_fewer_notes() {
        let one = site("app\0begin\0-8@%rdi\0");
        let two = [one.clone(), one.clone()].concat();
        for len in 0..two.len() {
            match parsed(&two[..len]) {
                Ok(notes) => assert!(notes.len() <= len / (one.len() - 3), "{len}"),
                Err(damage) => assert!(damage.to_string().contains("cut off"), "{len}: {damage}"),
            }
        }
        assert_eq!(
            error(&two[..one.len() + 5]),
            format!("note at byte {} of .note.stapsdt: it is cut off", one.len())
        );
    }

    #[test]
    fn malformed_notes_are_named() {
        for (content, what) in [
            (content([1, 2, 3], "")[..23].to_vec(), "shorter than its three addresses"),
            (content([1, 2, 3], ""), "its provider does not end or is too long"),
            (content([1, 2, 3], "app\0begin"), "its probe name does not end or is too long"),
            (content([1, 2, 3], "app\0begin\0"), "its arguments do not end or are too long"),
            (content([1, 2, 3], "\0begin\0\0"), "its provider or probe has no name"),
        ] {
            assert_eq!(
                error(&note(OWNER, TYPE, &content)),
                format!("note at byte 0 of .note.stapsdt: {what}")
            );
        }
    }

    #[test]
    fn a_note_that_is_not_understood_costs_no_other() {
        let long = "x".repeat(MAX_NAME_BYTES + 1);
        let section = [site("p\0first\0\0"), site(&format!("p\0{long}\0\0")), site("p\0last\0\0")].concat();
        let mut notes = Notes::default();
        parse(&section, &mut notes).unwrap();
        assert_eq!(notes.notes.iter().map(|note| note.probe.as_str()).collect::<Vec<_>>(), ["first", "last"]);
        let what = "its probe name does not end or is too long";
        assert_eq!(notes.damaged, [Damage::Note { offset: site("p\0first\0\0").len() as u64, what }]);
    }

    #[test]
    fn each_limit_holds_and_one_above_is_refused() {
        let name = |len: usize| site(&format!("{}\0{}\0{}\0", "p".repeat(len), "n".repeat(len), "1@%al"));
        assert_eq!(parsed(&name(MAX_NAME_BYTES)).unwrap()[0].provider.len(), MAX_NAME_BYTES);
        assert!(error(&name(MAX_NAME_BYTES + 1)).contains("provider does not end or is too long"));
        // Found by fuzzing: bytes that are no text were counted as they stand in the file, and took three times as many.
        let mut bytes = name(MAX_NAME_BYTES);
        bytes.iter_mut().filter(|byte| **byte == b'n').for_each(|byte| *byte = 0xff);
        assert!(error(&bytes).contains("probe name does not end or is too long"));
        let spec = |len: usize| site(&format!("p\0n\0{}\0", "x".repeat(len)));
        assert_eq!(parsed(&spec(MAX_SPEC_BYTES)).unwrap()[0].spec.len(), MAX_SPEC_BYTES);
        assert!(error(&spec(MAX_SPEC_BYTES + 1)).contains("arguments do not end or are too long"));
        let many = |count: usize| site("p\0n\0\0").repeat(count);
        assert_eq!(parsed(&many(MAX_SITES)).unwrap().len(), MAX_SITES);
        assert_eq!(error(&many(MAX_SITES + 1)), "number of sites is 65537, over the limit of 65536");
    }

    #[test]
    fn lengths_at_the_end_of_the_number_range_are_cut_off_not_added_up() {
        for (owner, content) in [(u32::MAX, 8), (8, u32::MAX), (u32::MAX, u32::MAX), (u32::MAX - 11, 0)] {
            let mut bytes = site("p\0n\0\0");
            bytes[..4].copy_from_slice(&owner.to_le_bytes());
            bytes[4..8].copy_from_slice(&content.to_le_bytes());
            assert!(error(&bytes).ends_with("it is cut off"));
        }
    }

    #[test]
    fn prelink_moves_the_site_and_its_semaphore() {
        let moved = |base, semaphore| {
            let content = content([0x1139, base, semaphore], "p\0n\0\0");
            let mut notes = parsed(&note(OWNER, TYPE, &content)).unwrap();
            rebase(&mut notes[0], 0x30_0000_2004);
            (notes[0].address, notes[0].semaphore)
        };
        assert_eq!(moved(0x2004, 0x4010), (0x30_0000_1139, 0x30_0000_4010));
        assert_eq!(moved(0x2004, 0), (0x30_0000_1139, 0), "no semaphore stays none");
        assert_eq!(moved(0, 0x4010), (0x1139, 0x4010), "no base, nothing to compare with");
        assert_eq!(
            moved(u64::MAX, 1).0,
            0x30_0000_1139 + 0x2005,
            "wraps, and is refused later if no segment has it"
        );
    }
}
