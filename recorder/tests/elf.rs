//! Probes in ELF files: what is found in a good one, and that a hostile one costs an error and nothing more.

mod fixture;
mod target;

use std::cell::Cell;
use std::io;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use fixture::{BUILD_ID, CODE_OFFSET, DATA_OFFSET, LOADED_AT, Parts, elf, note};
use proptest::prelude::*;
use target::{Folder, compile};
use tracer_format::ArgKind;
use tracer_format::grammar::Request;
use tracer_recorder::arch::machine::Machine;
use tracer_recorder::arch::nop::NopForm;
use tracer_recorder::error::Damage;
use tracer_recorder::find::binary::{Contents, contents};
use tracer_recorder::find::elf::note::{MAX_NOTES_BYTES, MAX_SITES, MAX_SPEC_BYTES};
use tracer_recorder::find::elf::symbol::{MAX_COMPARED_BYTES, MAX_NAME_BYTES, MAX_TABLE_BYTES};
use tracer_recorder::find::elf::{Bytes, STEP_BYTES};
use tracer_recorder::site::argument::{self, Location, SpecContext};

fn requests(text: &str) -> Vec<Request> {
    vec![text.parse().unwrap()]
}

fn read(bytes: &[u8]) -> Contents {
    contents(&Bytes(bytes), &requests("*")).unwrap().unwrap()
}

fn refused(bytes: &[u8]) -> Damage {
    contents(&Bytes(bytes), &requests("*")).unwrap_err()
}

/// A file whose only note has these addresses (as linked) and strings.
fn with_note(address: u64, semaphore: u64, strings: &str) -> Vec<u8> {
    elf(&Parts { notes: note([address, 0, semaphore], strings), ..Parts::default() })
}

#[test]
fn sites_have_file_offsets_and_arguments_after_the_file_was_moved() {
    let found = read(&elf(&Parts::default()));
    assert_eq!(found.build_id, BUILD_ID);
    let [begin, end] = &found.sites[..] else { panic!("{found:?}") };
    assert_eq!((begin.provider.as_str(), begin.probe.as_str()), ("app", "begin"));
    assert_eq!((begin.address, begin.offset), (LOADED_AT + CODE_OFFSET, CODE_OFFSET));
    assert_eq!((begin.semaphore_offset, end.semaphore_offset), (DATA_OFFSET, 0));
    assert_eq!((begin.nop, end.nop), (NopForm::Nop, NopForm::NopNop5));
    assert!(end.arguments.is_empty());
    let [rdi, counter, twice] = begin.arguments[..] else { panic!("{begin:?}") };
    assert_eq!((rdi.kind, rdi.location), (ArgKind::Signed(8), Location::Register { slot: 5, shift: 0 }));
    // counter is at 0x340, the site at 0x200.
    let distance = Location::Memory {
        base: Some(16),
        index: None,
        scale_log2: 0,
        displacement: 0x140 + 40,
        of_thread: false,
    };
    assert_eq!((counter.kind, counter.location), (ArgKind::Unsigned(4), distance));
    assert_eq!(twice.location, Location::Unreadable, "the name stands for two addresses");
    assert_eq!(found.problem.unwrap(), "app:begin: arg2 '8@twice(%rip)' cannot be read");
}

#[test]
fn only_what_was_asked_for_is_kept() {
    let file = elf(&Parts::default());
    let some = contents(&Bytes(&file), &requests("app:e*")).unwrap().unwrap();
    assert_eq!(some.sites.iter().map(|site| site.probe.as_str()).collect::<Vec<_>>(), ["end"]);
    assert_eq!(some.problem, None, "a bad argument of a probe that is not wanted is no problem");
    assert_eq!(contents(&Bytes(&file), &requests("other")).unwrap(), Some(Contents::default()));
}

#[test]
fn string_arguments_are_those_that_were_asked_for() {
    let file = elf(&Parts::default());
    let found = contents(&Bytes(&file), &requests("app:begin(str,str)")).unwrap().unwrap();
    assert_eq!(found.sites[0].arguments[0].kind, ArgKind::Str);
    assert_eq!(found.sites[0].arguments[1].kind, ArgKind::Unsigned(4));
    let problem = found.problem.unwrap();
    assert_eq!(problem, "app:begin: arg2 '8@twice(%rip)' cannot be read (and 1 more like it)");
    let found =
        contents(&Bytes(&with_note(LOADED_AT + CODE_OFFSET, 0, "p\0n\0-4@%edi\0")), &requests("p:n(str)"));
    let problem = found.unwrap().unwrap().problem;
    assert_eq!(problem.as_deref(), Some("p:n: arg0 is i32, a string needs an address of 8 bytes"));
}

#[test]
fn a_string_may_have_its_length_in_another_argument() {
    let file = with_note(LOADED_AT + CODE_OFFSET, 0, "p\0n\0 8@%rdi -4@%esi 8f@%xmm0 8@%gs:0\0");
    let strings = |request: &str| {
        let found = contents(&Bytes(&file), &requests(request)).unwrap().unwrap();
        (found.sites[0].strings.len(), found.sites[0].arguments[0].kind, found.problem.unwrap())
    };
    let unknown = "p:n: arg3 '8@%gs:0' cannot be read";
    assert_eq!(strings("p:n(str:arg1)"), (1, ArgKind::Str, unknown.to_owned()));
    let (count, kind, problem) = strings("p:n(str:arg2)");
    assert_eq!((count, kind), (0, ArgKind::Unsigned(8)));
    assert!(problem.starts_with(unknown) && problem.ends_with("(and 1 more like it)"), "{problem}");
    // What cannot be read is no length, as the argument's own problem says.
    assert_eq!(strings("p:n(str:arg3)"), (0, ArgKind::Unsigned(8), unknown.to_owned()));
    assert_eq!(strings("p:n(str:arg4)").0, 0);
}

#[test]
fn one_long_text_costs_no_other_site() {
    let long = "x".repeat(MAX_SPEC_BYTES);
    for (strings, problem) in [
        (format!("p\0n\0{long}x\0"), "its arguments do not end or are too long"),
        (format!("p\0{long}\0\0"), "its probe name does not end or is too long"),
    ] {
        let code = LOADED_AT + CODE_OFFSET;
        let notes = [note([code, 0, 0], &strings), note([code, 0, 0], "p\0other\0-4@%edi\0")].concat();
        let found = read(&elf(&Parts { notes, ..Parts::default() }));
        assert_eq!(found.sites.iter().map(|site| site.probe.as_str()).collect::<Vec<_>>(), ["other"]);
        assert_eq!(found.problem.unwrap(), format!("note at byte 0 of .note.stapsdt: {problem}"));
    }
}

#[test]
fn sites_and_semaphores_outside_of_their_segments_are_left_out_and_reported() {
    let code = LOADED_AT + CODE_OFFSET;
    let data = LOADED_AT + DATA_OFFSET;
    for (address, semaphore, expected) in [
        (0, 0, "p:n at 0x0 is not in an executable segment, left out"),
        (data, 0, "p:n at 0x400300 is not in an executable segment, left out"),
        (code + 0x100, 0, "p:n at 0x400300 is not in an executable segment, left out"),
        (u64::MAX, 0, "p:n at 0xffffffffffffffff is not in an executable segment, left out"),
        (code, code, "p:n: semaphore at 0x400200 is not in a writable segment, left out"),
        (code, u64::MAX, "p:n: semaphore at 0xffffffffffffffff is not in a writable segment, left out"),
    ] {
        // A base of 0 means that nothing was moved.
        let found = read(&with_note(address, semaphore, "p\0n\0\0"));
        assert_eq!((found.sites.len(), found.problem.as_deref()), (0, Some(expected)));
    }
}

#[test]
fn a_file_of_another_kind_or_machine_is_refused() {
    assert_eq!(refused(&elf(&Parts { elf_type: 1, ..Parts::default() })), Damage::Unlinked);
    let mut other = elf(&Parts::default());
    other[18] = 243;
    assert_eq!(
        refused(&other).to_string(),
        "ELF file for machine 243; tracer reads x86-64 (62) and aarch64 (183)"
    );
}

#[test]
fn a_program_with_a_thousand_sites_is_read_quickly() {
    let one = note([LOADED_AT + CODE_OFFSET, 0, 0], "app\0probe\0-8@%rdi -4@%esi 8@(%rax,%rbx,8)\0");
    let started = Instant::now();
    let found = read(&elf(&Parts { notes: one.repeat(1000), ..Parts::default() }));
    assert_eq!((found.sites.len(), found.problem), (1000, None));
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
}

#[test]
fn too_many_sites_are_refused() {
    let notes = note([LOADED_AT, 0, 0], "p\0n\0\0").repeat(MAX_SITES + 1);
    assert_eq!(
        refused(&elf(&Parts { notes, ..Parts::default() })).to_string(),
        "number of sites is 65537, over the limit of 65536"
    );
}

/// Bytes that count how much of them is read.
struct Counted<'a> {
    bytes: Bytes<'a>,
    total: Cell<u64>,
    largest: Cell<usize>,
}

impl<'a> Counted<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Counted { bytes: Bytes(bytes), total: Cell::new(0), largest: Cell::new(0) }
    }
}

impl FileExt for Counted<'_> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.largest.set(self.largest.get().max(buffer.len()));
        let len = self.bytes.read_at(buffer, offset)?;
        self.total.set(self.total.get() + len as u64);
        Ok(len)
    }

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[test]
fn sections_that_overlap_cost_no_more_than_the_limit() {
    // 60 000 sections that are all the same 256 KB of another owner's notes: 15 GB if they were all read.
    let mut notes = vec![0; 256 << 10];
    notes[4..8].copy_from_slice(&(256_u32 << 10).wrapping_sub(12).to_le_bytes());
    let file = elf(&Parts { notes, note_sections: 60_000, ..Parts::default() });
    let counted = Counted::new(&file);
    let damage = contents(&counted, &requests("*")).unwrap_err();
    assert!(
        damage.to_string().starts_with("size of .note.stapsdt is 17039360, over the limit of 16777216"),
        "{damage}"
    );
    assert!(counted.total.get() < MAX_NOTES_BYTES + file.len() as u64, "{}", counted.total.get());
}

#[test]
fn lengths_that_are_only_claimed_take_no_memory() {
    let file = elf(&Parts::default());
    let sections = usize::try_from(u64::from_le_bytes(file[40..48].try_into().unwrap())).unwrap();
    for (at, huge) in
        (sections..file.len()).step_by(64).flat_map(|at| [(at, MAX_NOTES_BYTES), (at, u64::MAX)])
    {
        let mut file = file.clone();
        file[at + 32..at + 40].copy_from_slice(&huge.to_le_bytes());
        let counted = Counted::new(&file);
        let _ = contents(&counted, &requests("*"));
        assert!(counted.largest.get() <= STEP_BYTES);
        assert!(counted.total.get() < 4 * file.len() as u64);
    }
}

/// Bytes that go on as zeros for ever, as a sparse file does.
struct Endless<'a>(Bytes<'a>);

impl FileExt for Endless<'_> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        buffer.fill(0);
        self.0.read_at(buffer, offset)?;
        Ok(buffer.len())
    }

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[test]
fn without_a_usable_symbol_table_only_the_arguments_that_need_it_are_lost() {
    for (section, len, expected) in [
        (3, MAX_TABLE_BYTES + 24, "size of the symbol table is 100663320, over the limit of 100663296"),
        (4, MAX_NAME_BYTES + 1, "symbol name table is 33554433, over the limit of 33554432"),
    ] {
        let mut file = with_note(LOADED_AT + CODE_OFFSET, 0, "p\0n\0-8@%rdi 8@counter(%rip)\0");
        let sections = usize::try_from(u64::from_le_bytes(file[40..48].try_into().unwrap())).unwrap();
        let at = sections + section * 64 + 32;
        file[at..at + 8].copy_from_slice(&len.to_le_bytes());
        let found = contents(&Endless(Bytes(&file)), &requests("*")).unwrap().unwrap();
        assert_eq!(found.problem, Some(format!("{expected} (and 1 more like it)")));
        let locations: Vec<Location> =
            found.sites[0].arguments.iter().map(|argument| argument.location).collect();
        assert_eq!(locations, [Location::Register { slot: 5, shift: 0 }, Location::Unreadable]);
    }
}

/// A file with one probe at a variable of this name, and `symbols` variables of that name but for its last byte.
fn with_symbols(name: &str, symbols: usize) -> Vec<u8> {
    let mut file = with_note(LOADED_AT + CODE_OFFSET, 0, &format!("p\0n\0-8@%rdi 8@{name}(%rip)\0"));
    let sections = usize::try_from(u64::from_le_bytes(file[40..48].try_into().unwrap())).unwrap();
    // Name, kind, section, address, size.
    let symbol = [&1_u32.to_le_bytes()[..], &[1, 0], &1_u16.to_le_bytes(), &[0; 16]].concat();
    let names = format!("\0{}\0", &name[..name.len() - 1]);
    for (section, bytes) in [(3, symbol.repeat(symbols)), (4, names.into_bytes())] {
        let at = sections + section * 64 + 24;
        let place = [file.len() as u64, bytes.len() as u64].map(u64::to_le_bytes).concat();
        file[at..at + 16].copy_from_slice(&place);
        file.extend(bytes);
    }
    file
}

#[test]
fn names_that_many_symbols_share_cost_bounded_work() {
    let name = "n".repeat(1 << 15);
    let symbols = MAX_COMPARED_BYTES / (name.len() - 1);
    let unreadable = format!("p:n: arg1 '8@{}...' cannot be read", &name[..58]);
    assert_eq!(read(&with_symbols(&name, symbols)).problem, Some(unreadable));
    let problem = read(&with_symbols(&name, symbols + 1)).problem.unwrap();
    let found = (symbols + 1) * (name.len() - 1);
    assert!(problem.starts_with(&format!("length of all names of symbols is {found}, over the limit of")));
}

#[test]
fn every_prefix_and_every_byte_flip_is_survived() {
    let file = elf(&Parts::default());
    for len in 0..file.len() {
        let _ = contents(&Bytes(&file[..len]), &requests("*"));
    }
    let mut flipped = file.clone();
    for at in 0..file.len() {
        for value in [0, 1, 0x7f, 0x80, 0xff, file[at] ^ 1, file[at] ^ 0x80] {
            flipped[at] = value;
            if let Ok(Some(found)) = contents(&Bytes(&flipped), &requests("*")) {
                assert!(found.sites.len() <= 2);
            }
        }
        flipped[at] = file[at];
    }
}

/// A number that is likely to break something.
fn extreme() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(u64::MAX),
        Just(u64::MAX - 7),
        Just(u64::from(u32::MAX)),
        Just(1 << 63),
        Just(0),
        0..0x800u64,
        any::<u64>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_files_cost_bounded_work(changes in prop::collection::vec((any::<prop::sample::Index>(), extreme(), 1usize..9), 1..12)) {
        let mut file = elf(&Parts::default());
        for (at, value, len) in changes {
            let at = at.index(file.len() - 8);
            file[at..at + len].copy_from_slice(&value.to_le_bytes()[..len]);
        }
        let counted = Counted::new(&file);
        if let Ok(Some(found)) = contents(&counted, &requests("*")) {
            for site in &found.sites {
                prop_assert!(site.arguments.len() <= 12);
                prop_assert!(!site.provider.is_empty() && !site.probe.is_empty());
            }
        }
        // Sections may overlap, four symbol tables with their names may each be the whole file.
        prop_assert!(counted.total.get() <= 64 * file.len() as u64, "{}", counted.total.get());
        prop_assert!(counted.largest.get() <= STEP_BYTES);
    }

    #[test]
    fn random_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let _ = contents(&Bytes(&bytes), &requests("*"));
        let mut file = elf(&Parts::default());
        file.splice(64.., bytes);
        let _ = contents(&Bytes(&file), &requests("*"));
    }

    #[test]
    fn any_argument_text_is_survived(text in r"([-0-9f@%$()\[\], .+a-z]|%r[a-z0-9]+|%fs:|@tpoff|8@|x[0-9]+|counter|\PC){0,60}", arm in any::<bool>()) {
        let machine = if arm { Machine::Aarch64 } else { Machine::X86_64 };
        let place = SpecContext {
            machine,
            site_address: u64::MAX,
            position_independent: false,
            symbol: &|_| Some(u64::MAX),
            thread_symbol: &|_| Some(i64::MIN),
        };
        let parsed = argument::parse(&text, &place);
        prop_assert!(parsed.arguments.len() <= 12);
        for argument in &parsed.arguments {
            if let Location::Memory { base, index, scale_log2, .. } = argument.location {
                let highest = if arm { 31 } else { 16 };
                prop_assert!(base.unwrap_or(0) <= highest && index.unwrap_or(0) <= highest && scale_log2 <= 3);
            }
        }
        let unreadable = parsed.arguments.iter().any(|argument| argument.location == Location::Unreadable);
        prop_assert!(!unreadable || parsed.problem.is_some(), "nothing is lost in silence");
    }
}

/// Numbers that are different at every call, and the same in every run.
fn next(seed: &mut u64) -> u64 {
    // splitmix64
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*seed ^ *seed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

#[test]
#[ignore = "needs sys/sdt.h"]
fn a_compiled_program_with_changed_headers_notes_and_symbols_is_survived() {
    let folder = Folder::new("mutated");
    let source = "#include <sys/sdt.h>\nlong counter[9];\nint main(int c, char **v) {\n\
        STAP_PROBE3(app, one, c, v[1], counter[5]); counter[c] = 1; STAP_PROBE2(app, two, c, 'x'); return 0; }\n";
    let path = compile(&folder, "app", source, &[]);
    let file = std::fs::read(&path).unwrap();
    let good = read(&file);
    assert_eq!((good.sites.len(), good.problem), (2, None));
    let word = |at: usize| usize::try_from(u64::from_le_bytes(file[at..at + 8].try_into().unwrap())).unwrap();
    let (headers, note) = (word(40), file.windows(8).position(|bytes| bytes == b"stapsdt\0").unwrap());
    // File header and program headers, notes, section headers, and now and then anything.
    let regions = [0..600, note - 12..note + 200, headers..file.len(), 0..file.len()];
    let mut seed = 7;
    let mut refused = 0;
    for _ in 0..20_000 {
        let mut changed = file.clone();
        for _ in 0..=next(&mut seed) % 3 {
            let region = regions[usize::try_from(next(&mut seed) % 4).unwrap()].clone();
            let len = 1 << (next(&mut seed) % 4);
            let at = region.start + usize::try_from(next(&mut seed)).unwrap() % (region.len() - len);
            let value = match next(&mut seed) % 3 {
                0 => u64::MAX,
                1 => next(&mut seed) % 0x5000,
                _ => next(&mut seed),
            };
            changed[at..at + len].copy_from_slice(&value.to_le_bytes()[..len]);
        }
        let counted = Counted::new(&changed);
        let found = contents(&counted, &requests("*"));
        refused += u32::from(found.is_err());
        assert!(counted.total.get() <= 64 * file.len() as u64 && counted.largest.get() <= STEP_BYTES);
        if let Ok(Some(found)) = found {
            assert!(found.sites.iter().all(|site| site.arguments.len() <= 12));
        }
    }
    assert!((100..19_900).contains(&refused), "{refused}: changes must hit, but not always");
}

/// The file without section headers, and with a segment that holds its notes of probes and its build id.
fn without_sections(mut file: Vec<u8>) -> Vec<u8> {
    let number = |file: &[u8], at: usize, len: usize| {
        file[at..at + len].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
    };
    let headers = usize::try_from(number(&file, 40, 8)).unwrap();
    let of_notes = (headers..file.len()).step_by(64).filter(|header| number(&file, header + 4, 4) == 7);
    let places: Vec<(u64, u64)> =
        of_notes.map(|at| (number(&file, at + 24, 8), number(&file, at + 32, 8))).collect();
    file[40..48].fill(0);
    file[58..64].fill(0);
    for (segment, (offset, len)) in places.iter().enumerate() {
        let at = 64 + 56 * (2 + segment);
        file[at..at + 4].copy_from_slice(&4_u32.to_le_bytes());
        file[at + 8..at + 16].copy_from_slice(&offset.to_le_bytes());
        file[at + 32..at + 40].copy_from_slice(&len.to_le_bytes());
    }
    file[56] = u8::try_from(2 + places.len()).unwrap();
    file
}

#[test]
fn notes_are_found_by_program_headers_where_there_are_no_sections() {
    let place = |offset: u64| LOADED_AT + offset;
    let notes = note([place(CODE_OFFSET), 0, place(DATA_OFFSET)], "app\0begin\0-8@%rdi\0");
    let whole = elf(&Parts { notes, ..Parts::default() });
    let bare = without_sections(whole.clone());
    assert_eq!(read(&bare), read(&whole));
    assert_eq!(read(&bare).build_id, BUILD_ID);
    // Damaged section headers are as good as none, as long as the notes are found.
    let mut damaged = bare;
    damaged[40..48].fill(0x7f);
    assert_eq!(read(&damaged), read(&whole));
    let mut lost = whole;
    lost[40..48].fill(0x7f);
    assert!(refused(&lost).to_string().starts_with("section header"), "there may be probes");
}

#[test]
fn notes_are_found_in_a_section_of_another_name() {
    let mut file = elf(&Parts::default());
    let at = file.windows(13).position(|bytes| bytes == b".note.stapsdt").unwrap();
    file[at..at + 13].copy_from_slice(b".note.merged\0");
    assert_eq!(read(&file), read(&elf(&Parts::default())));
}

#[test]
fn sites_that_the_program_may_write_over_are_left_out() {
    let mut file = elf(&Parts::default());
    file[68] = 7;
    let found = read(&file);
    assert_eq!(found.sites, []);
    let expected = "app:begin at 0x400200 is in a writable segment, where the kernel puts no breakpoint, left out (and 1 more like it)";
    assert_eq!(found.problem.as_deref(), Some(expected));
}
