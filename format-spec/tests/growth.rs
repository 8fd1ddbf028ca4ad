//! What a later version may add without a new number: this one reads past it, or says what it lacks (SPEC.md section 13).

mod hostile;

use hostile::{Hostile, events_of_constants};
use tracer_format::block::{BLOCK_HEADER_BYTES, BlockHeader, flag, kind};
use tracer_format::header::FileHeader;
use tracer_format::index::{FOOTER_BLOCK_BYTES, Footer, IndexRow};
use tracer_format::log::LogWriter;
use tracer_format::{Arg, ArgKind, Batch, Copier, Damage, Error, Result, Trace, Writer, WriterOptions};
use zerocopy::{FromBytes, IntoBytes};

/// A kind of block that no version has.
const UNKNOWN: u8 = 77;

/// Process, thread and site of [`Hostile::defined`], as bodies of their definitions.
const PROCESS: [u8; 7] = [0; 7];
const THREAD: [u8; 2] = [0, 7];

fn site(arg: u8) -> Vec<u8> {
    vec![1, b'a', 1, b'b', 0, 0, 0, 0, 0, 0, 0, 0, 1, arg]
}

fn one_event(hostile: Hostile) -> Hostile {
    let (content, _) = events_of_constants(1, 1);
    hostile.block(kind::EVENTS, 1, &content)
}

/// Both ways to open a trace.
fn opened(bytes: &[u8]) -> [Result<Trace<'_>>; 2] {
    [Trace::open(bytes), Trace::scan(bytes)]
}

/// The events that can be read, and what is wrong with the others.
fn read(trace: &Trace<'_>) -> (usize, Vec<Damage>) {
    let (mut events, mut batches) = (0, trace.batches());
    let mut damage: Vec<Damage> = trace.damage.iter().map(|range| range.damage).collect();
    while let Some(batch) = batches.next() {
        match batch {
            Batch::Events { rows, .. } => events += rows.len(),
            Batch::Damaged(range) => damage.push(range.damage),
            Batch::Gap(_) => {}
        }
    }
    (events, damage)
}

#[track_caller]
fn one_event_and_no_damage(bytes: &[u8]) {
    for trace in opened(bytes) {
        assert_eq!(read(&trace.expect("a trace")), (1, vec![]));
    }
}

/// A complete trace of one event with a block of an unknown kind, with these flags, in front of it.
fn with_unknown(flags: u8, is_damaged: bool) -> Vec<u8> {
    let mut file = Hostile::new();
    let at = file.bytes.len();
    file.header(UNKNOWN, |header| {
        header.flags = flags;
        header.stored_bytes = 3.into();
        header.content_checksum = crc32fast::hash(b"new").into();
    });
    file.bytes.extend_from_slice(if is_damaged { b"nex" } else { b"new" });
    let file = file.defined(1);
    let event_at = file.bytes.len();
    let file = one_event(file);
    let stored_bytes = u32::try_from(file.bytes.len() - event_at - BLOCK_HEADER_BYTES).expect("a few bytes");
    let mut row = 0;
    let rows = std::cell::RefCell::new(&mut row);
    let file = file.restate().defined(1).index(2, |to, _| {
        let mut row = rows.borrow_mut();
        (to.offset, to.kind, to.flags, to.stored_bytes, to.count) = match **row {
            0 => ((at as u64).into(), UNKNOWN, flags, 3.into(), 0.into()),
            _ => ((event_at as u64).into(), kind::EVENTS, flag::REQUIRED, stored_bytes.into(), 1.into()),
        };
        **row += 1;
    });
    file.bytes
}

#[test]
fn unknown_blocks_are_skipped() {
    let bytes = with_unknown(0, false);
    assert!(Trace::open(&bytes).expect("a trace").by_index);
    one_event_and_no_damage(&bytes);
}

#[test]
fn unknown_required_blocks_are_refused() {
    for trace in opened(&with_unknown(flag::REQUIRED, false)) {
        let refused = trace.expect_err("required");
        assert!(matches!(refused, Error::UnknownRequired { offset: 32, kind: UNKNOWN }));
        let text = "block at byte 32: kind 77 is required but unknown; upgrade tracer";
        assert_eq!(refused.to_string(), text);
    }
}

#[test]
fn unknown_required_blocks_that_are_damaged_are_damage() {
    for trace in opened(&with_unknown(flag::REQUIRED, true)) {
        let (events, damage) = read(&trace.expect("a trace"));
        assert!(events == 1 && matches!(damage[..], [Damage::Checksum { .. }]), "{events} {damage:?}");
    }
}

#[test]
fn unknown_definitions_are_skipped() {
    let file = Hostile::new().definition(2, 0, &PROCESS).definition(200, 9, b"what is this");
    let file = file.definition(3, 0, &THREAD).definition(4, 0, &site(0x18));
    one_event_and_no_damage(&one_event(file).bytes);
}

#[test]
fn definitions_may_have_more_fields() {
    let longer = |body: &[u8]| [body, b"more"].concat();
    let file = Hostile::new().definition(2, 0, &longer(&PROCESS)).definition(3, 0, &longer(&THREAD));
    let file = one_event(file.definition(4, 0, &longer(&site(0x18))));
    one_event_and_no_damage(&file.bytes);
    let trace = Trace::open(&file.bytes).expect("a trace");
    assert_eq!((trace.definitions.threads[0].tid, trace.definitions.sites[0].args.len()), (7, 1));
}

#[test]
fn values_of_unknown_kinds_are_unreadable() {
    let file = Hostile::new().definition(2, 0, &PROCESS).definition(3, 0, &THREAD);
    let file = one_event(file.definition(4, 0, &site(0x7f)));
    one_event_and_no_damage(&file.bytes);
    let trace = Trace::open(&file.bytes).expect("a trace");
    let mut batches = trace.batches();
    let Some(Batch::Events { columns, rows }) = batches.next() else { panic!("no event") };
    let event = columns.event(0);
    assert_eq!(event.args(&trace.definitions).collect::<Vec<_>>(), [Arg::Unreadable]);
    assert_eq!(event.key(&trace.definitions), None);
    let (mut log, mut lines) = (LogWriter::new(), Vec::new());
    log.events(&trace.definitions, columns, rows, &mut lines);
    let line = String::from_utf8(lines).expect("UTF-8");
    assert!(line.ends_with(" | Seq: - | arg0: ?\n"), "{line}");
}

#[test]
fn values_of_unknown_kinds_stay_unreadable_in_a_copy() {
    let file = Hostile::new().definition(2, 0, &PROCESS).definition(3, 0, &THREAD);
    let file = one_event(file.definition(4, 0, &site(0x7f)));
    let trace = Trace::open(&file.bytes).expect("a trace");
    let mut writer = Writer::new(Vec::new(), WriterOptions::default()).expect("a Vec takes all");
    let mut copier = Copier::default();
    let mut source = copier.source(&trace.definitions, 0, |_| true, &mut writer).expect("a Vec takes all");
    let mut batches = trace.batches();
    let Some(Batch::Events { columns, .. }) = batches.next() else { panic!("no event") };
    copier.event(&mut source, columns, 0, &mut writer).expect("a Vec takes all");
    let bytes = writer.finish().expect("a Vec takes all");
    let copy = Trace::open(&bytes).expect("a trace");
    assert_eq!(copy.definitions.sites[0].args, [ArgKind::Unknown(0x7f)].into());
    let mut batches = copy.batches();
    let Some(Batch::Events { columns, .. }) = batches.next() else { panic!("no event") };
    assert_eq!(columns.row_unreadable(0), 1);
}

#[test]
fn unused_bytes_and_unknown_flags_are_ignored() {
    let mut file = Hostile::new();
    let mut header = FileHeader::new(1);
    (header.unused, header.unused_too) = ([7; 6], [7; 4]);
    header.checksum = crc32fast::hash(&header.as_bytes()[..28]).into();
    file.bytes = header.as_bytes().to_vec();
    let mut file = file.defined(1);
    let at = file.bytes.len();
    let (content, _) = events_of_constants(1, 1);
    let stored_bytes = u32::try_from(content.len()).expect("a few bytes");
    file.header(kind::EVENTS, |header| {
        (header.flags, header.unused, header.count) = (0xfd, [7; 2], 1.into());
        header.stored_bytes = stored_bytes.into();
        header.content_checksum = crc32fast::hash(&content).into();
    });
    file.bytes.extend(content);
    let mut gap = [0; 40];
    gap[10..16].fill(7);
    let mut clock = [0; 40];
    clock[4..8].fill(7);
    let file = file.restate().defined(1).block(kind::GAPS, 1, &gap).block(kind::CLOCKS, 1, &clock);
    let mut file = file.index(1, |row: &mut IndexRow, _| {
        (row.offset, row.kind, row.count) = ((at as u64).into(), kind::EVENTS, 1.into());
        (row.flags, row.unused, row.stored_bytes) = (0xfd, [7; 6], stored_bytes.into());
    });
    // The footer's unused bytes, with its checksums.
    let start = file.bytes.len() - FOOTER_BLOCK_BYTES;
    let block = &mut file.bytes[start..];
    let mut footer = Footer::read_from_bytes(&block[BLOCK_HEADER_BYTES..]).expect("its size");
    footer.unused = [7; 8];
    block[BLOCK_HEADER_BYTES..].copy_from_slice(footer.as_bytes());
    let mut header = BlockHeader::read_from_bytes(&block[..BLOCK_HEADER_BYTES]).expect("its size");
    header.content_checksum = crc32fast::hash(footer.as_bytes()).into();
    header.header_checksum = crc32fast::hash(&header.as_bytes()[..BLOCK_HEADER_BYTES - 4]).into();
    block[..BLOCK_HEADER_BYTES].copy_from_slice(header.as_bytes());

    one_event_and_no_damage(&file.bytes);
    for trace in opened(&file.bytes) {
        let trace = trace.expect("a trace");
        assert!(trace.complete && trace.gaps.len() == 1 && trace.clocks.len() == 1);
    }
    assert!(Trace::open(&file.bytes).expect("a trace").by_index);
}

#[test]
fn unknown_encodings_cost_the_block_alone() {
    // Columns of ids, threads, sites, processors and times; one argument of an unknown predictor, and so on.
    let predictor = [1, 0, 1, 0, 0, 0, 0, 0, 1, 3, 0, 0, 0];
    let column = [1, 73, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    let plane = [1, 65, 3, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    let longer = [1, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0];
    let expected = [
        Damage::Content("an argument has an unknown predictor"),
        Damage::Limit { what: "first byte of a column", len: 73, max: 72 },
        Damage::Content("a plane has an unknown form"),
        Damage::Content("bytes are left over"),
    ];
    for (content, expected) in [&predictor[..], &column, &plane, &longer].into_iter().zip(expected) {
        let file = one_event(Hostile::new().defined(1).block(kind::EVENTS, 1, content));
        for trace in opened(&file.bytes) {
            assert_eq!(read(&trace.expect("a trace")), (1, vec![expected]));
        }
    }
}

#[test]
fn an_unknown_version_of_any_part_is_refused() {
    let mut later = FileHeader::new(2);
    later.version = 2.into();
    later.checksum = crc32fast::hash(&later.as_bytes()[..28]).into();
    let first = one_event(Hostile::new().defined(1)).bytes;
    for bytes in [later.as_bytes().to_vec(), [&first[..], later.as_bytes()].concat()] {
        for trace in opened(&bytes) {
            assert!(matches!(trace, Err(Error::Version { found: 2, .. })));
        }
    }
}
