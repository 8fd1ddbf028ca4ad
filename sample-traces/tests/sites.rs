//! The probe sites of the demo programs: a recorder may attach to a one-byte nop on every kernel, so that is what they are.

use object::{Object, ObjectSection};

/// A `stapsdt` note: address, semaphore, provider:name, argument specs.
type Note = (u64, u64, String, String);

/// Notes of `.note.stapsdt`: name size, description size, type 3, "stapsdt\0", three addresses and three strings.
fn notes(mut section: &[u8]) -> Vec<Note> {
    let word =
        |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes")) as usize;
    let long = |bytes: &[u8], at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
    let mut notes = Vec::new();
    while section.len() >= 20 {
        assert_eq!((word(section, 0), word(section, 8), &section[12..20]), (8, 3, &b"stapsdt\0"[..]));
        let end = 20 + word(section, 4);
        let description = &section[20..end];
        let strings: Vec<_> = description[24..].split(|&b| b == 0).map(String::from_utf8_lossy).collect();
        let probe = format!("{}:{}", strings[0], strings[1]);
        notes.push((long(description, 0), long(description, 16), probe, strings[2].to_string()));
        section = &section[end.next_multiple_of(4)..];
    }
    notes
}

/// The byte at a virtual address.
fn byte_at(file: &object::File<'_>, address: u64) -> u8 {
    let mut found = file.sections().filter_map(|s| s.data_range(address, 1).ok().flatten());
    found.next().expect("the site lies in a section")[0]
}

#[test]
fn every_site_is_a_plain_nop_with_a_64_bit_argument_and_no_semaphore() {
    let programs = [
        (env!("CARGO_BIN_EXE_source"), &["buffer_tracker:beg_global"][..]),
        (
            env!("CARGO_BIN_EXE_processor"),
            &[
                "buffer_tracker:beg_awe",
                "buffer_tracker:beg_writing",
                "buffer_tracker:end_awe",
                "buffer_tracker:end_writing",
            ],
        ),
        (env!("CARGO_BIN_EXE_sink"), &["buffer_tracker:end_global"]),
        (env!("CARGO_BIN_EXE_hammer"), &["hammer:hit"]),
    ];
    for (path, expected) in programs {
        let bytes = std::fs::read(path).expect("the program is readable");
        let file = object::File::parse(&*bytes).expect("an ELF file");
        let section = file.section_by_name(".note.stapsdt").expect("the program has probes");
        let notes = notes(section.data().expect("not compressed"));
        let mut probes: Vec<&str> = notes.iter().map(|n| n.2.as_str()).collect();
        probes.sort_unstable();
        probes.dedup();
        assert_eq!(probes, expected, "{path}");
        for (address, semaphore, probe, arguments) in notes {
            assert_eq!(byte_at(&file, address), 0x90, "{probe} at {address:#x}");
            assert_eq!(semaphore, 0, "{probe}");
            assert!(arguments.starts_with("-8@%r"), "{probe}: {arguments}");
        }
    }
}
