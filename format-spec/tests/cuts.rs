//! A string that is cut is told from a whole one, whatever is done to the file.

mod hostile;

use hostile::{Hostile, varint};
use tracer_format::block::{BLOCK_HEADER_BYTES, kind};
use tracer_format::limits::{MAX_BLOCK_VALUES, MAX_STRING_ARGUMENT_BYTES};
use tracer_format::log::LogWriter;
use tracer_format::{
    Arg, ArgKind, Batch, Columns, Copier, Damage, Definition, Definitions, Firing, Process, Rest, Site,
    SiteId, Step, Stream, Thread, ThreadId, Trace, Writer, WriterOptions,
};

/// Strings of a trace, in order; those that are cut end with the mark.
fn texts(columns: &Columns, definitions: &Definitions) -> Vec<String> {
    let of = |arg: Arg<'_>| arg.text().unwrap_or_else(|| "unreadable".to_owned());
    columns.events().flat_map(|event| event.args(definitions).map(of).collect::<Vec<_>>()).collect()
}

fn walked(trace: &Trace<'_>) -> Vec<String> {
    let (mut batches, mut all) = (trace.batches(), Vec::new());
    while let Some(batch) = batches.next() {
        let Batch::Events { columns, rows } = batch else { continue };
        all.extend_from_slice(&texts(columns, &trace.definitions)[rows]);
    }
    all
}

fn streamed(bytes: &[u8]) -> Vec<String> {
    let (mut stream, mut all) = (Stream::new(), Vec::new());
    stream.push(bytes);
    while let Ok(Some(step)) = stream.next(Rest::Ends) {
        if step == Step::Events {
            all.extend(texts(stream.columns(), &stream.known().definitions));
        }
    }
    all
}

/// A trace with a block of each list of strings; one that ends with `…` is cut there. Events of list `k` begin at time `k`,
/// and are `step_ns` apart.
fn written(blocks: &[&[&str]], step_ns: u64) -> Vec<u8> {
    let options = WriterOptions { trace_id: 7, ..WriterOptions::default() };
    let mut writer = Writer::new(Vec::new(), options).expect("a Vec takes all");
    writer.define(Definition::Process(Process::default().into())).expect("a Vec takes all");
    writer.define(Definition::Thread(Thread::default())).expect("a Vec takes all");
    let (provider, probe) = ("app".to_owned(), "text".to_owned());
    let site = Site {
        provider: provider.into(),
        probe: probe.into(),
        args: vec![ArgKind::Str].into(),
        ..Site::default()
    };
    writer.define(Definition::Site(site.into())).expect("a Vec takes all");
    for (block, texts) in (0..).zip(blocks) {
        for (row, text) in (0..).zip(*texts) {
            let value = match text.strip_suffix('\u{2026}') {
                Some(beginning) => writer.intern_cut(beginning.as_bytes()),
                None => writer.intern(text.as_bytes()),
            };
            let time_ns = block + row * step_ns;
            let firing = Firing {
                time_ns,
                thread: ThreadId(0),
                site: SiteId(0),
                cpu: 0,
                unreadable: 0,
                values: &[value],
            };
            writer.push(&firing).expect("a Vec takes all");
        }
        writer.flush().expect("a Vec takes all");
    }
    writer.finish().expect("a Vec takes all")
}

const BLOCKS: [&[&str]; 3] = [&["whole", "ab…", "ab", "ab…", "x…"], &["whole", "ab"], &["ab…", ""]];

#[test]
fn every_way_to_read_gives_the_marks() {
    let bytes = written(&BLOCKS, 10);
    let whole = |mut all: Vec<String>| {
        all.sort();
        all
    };
    let expected = whole(BLOCKS.concat().into_iter().map(str::to_owned).collect());
    for trace in [Trace::open(&bytes), Trace::scan(&bytes)] {
        let trace = trace.expect("a trace");
        assert_eq!((trace.cut_strings, trace.damage.len()), (3, 0));
        // The blocks overlap in time: their rows are merged.
        assert_eq!(whole(walked(&trace)), expected);
    }
    assert!(Trace::open(&bytes).expect("a trace").by_index);
    assert_eq!(streamed(&bytes), BLOCKS.concat());
    let both = [&bytes[..], &bytes].concat();
    assert_eq!(streamed(&both), [BLOCKS.concat(), BLOCKS.concat()].concat());
    assert_eq!(walked(&Trace::open(&both).expect("a trace")).len(), 2 * expected.len());
}

#[test]
fn copies_keep_the_marks() {
    let bytes = written(&BLOCKS[..1], 10);
    let trace = Trace::open(&bytes).expect("a trace");
    let mut writer = Writer::new(Vec::new(), WriterOptions::default()).expect("a Vec takes all");
    let mut copier = Copier::default();
    let mut source = copier.source(&trace.definitions, 0, |_| true, &mut writer).expect("a Vec takes all");
    let mut batches = trace.batches();
    while let Some(Batch::Events { columns, rows }) = batches.next() {
        rows.into_iter().for_each(|row| {
            copier.event(&mut source, columns, row, &mut writer).expect("a Vec takes all");
        });
    }
    let copy = writer.finish().expect("a Vec takes all");
    assert_eq!(walked(&Trace::open(&copy).expect("a trace")), BLOCKS[0]);
}

#[test]
fn a_string_over_the_limit_is_cut_and_marked() {
    let long = "x".repeat(MAX_STRING_ARGUMENT_BYTES + 1);
    let bytes = written(&[&[&long, &long[1..]]], 10);
    let read = walked(&Trace::open(&bytes).expect("a trace"));
    assert_eq!(read, [format!("{}…", &long[1..]), long[1..].to_owned()]);
}

/// What a cut string looks like must never be read of the file: it is marked, or not there.
#[test]
fn no_flipped_byte_makes_a_cut_string_a_whole_one() {
    let cut = "only the beginning…";
    let bytes = written(&[&["whole", cut], &[cut]], 10);
    let wrong = |texts: Vec<String>| texts.iter().any(|text| text == "only the beginning");
    for at in 0..bytes.len() {
        for mask in [1, 0x80, 0xff] {
            let mut flipped = bytes.clone();
            flipped[at] ^= mask;
            for trace in [Trace::open(&flipped), Trace::scan(&flipped)].into_iter().flatten() {
                assert!(!wrong(walked(&trace)), "byte {at} ^ {mask:#x}");
            }
            assert!(!wrong(streamed(&flipped)), "byte {at} ^ {mask:#x}");
        }
    }
}

#[test]
fn where_it_is_not_known_which_are_cut_all_are() {
    let bytes = written(&[&["whole", "cut…"]], 10);
    let at = (0..bytes.len()).find(|&at| bytes[at..].starts_with(b"\xb7TRBLK\r\n\x07")).expect("a block");
    let len = usize::from(bytes[at + 12]) + BLOCK_HEADER_BYTES;
    let without = [&bytes[..at], &bytes[at + len..]].concat();
    let trace = Trace::open(&without).expect("a trace");
    assert_eq!(walked(&trace), ["whole…", "cut…"]);
    assert_eq!(streamed(&without), ["whole…", "cut…"]);
    assert!(trace.damage.iter().any(|range| range.damage == Damage::Missing { count: 1 }));
}

#[test]
fn what_contradicts_itself_is_damage() {
    let content = |sequence: u64, column: &[u8]| {
        let mut content = Vec::new();
        varint(&mut content, sequence);
        content.extend_from_slice(column);
        content
    };
    let over = u32::try_from(MAX_BLOCK_VALUES).expect("below 32 bits") + 1;
    let limit = Damage::Limit { what: "cut strings", len: over.into(), max: MAX_BLOCK_VALUES as u64 };
    let order = Damage::Content("numbers of cut strings are out of order");
    let cases = [
        (2, content(1, &[2, 0b0100]), None),
        (0, content(1, &[]), None),
        (over, content(1, &[0]), Some(limit)),
        (1, content(2, &[0]), Some(Damage::Content("cut strings are not of the next block"))),
        (1, content(1, &[0, 0]), Some(Damage::Content("bytes are left over"))),
        (2, content(1, &[2, 0b0001]), Some(order)),
        (2, content(1, &[0]), Some(order)),
        (1, content(1, &[20, 0, 0, 4]), Some(order)),
    ];
    for (count, content, expected) in cases {
        let file = Hostile::new().block(kind::CUTS, count, &content);
        let trace = Trace::scan(&file.bytes).expect("a trace");
        let damage = trace.damage.first().map(|range| range.damage);
        assert_eq!(damage, expected, "{count} {content:?}");
    }
}

#[test]
fn the_log_has_the_mark_before_the_quote() {
    let bytes = written(&[&["whole", "ab…", "a\\...", "a\\…", "\"…"]], 10);
    let trace = Trace::open(&bytes).expect("a trace");
    let (mut batches, mut log, mut lines) = (trace.batches(), LogWriter::new(), Vec::new());
    while let Some(Batch::Events { columns, rows }) = batches.next() {
        log.events(&trace.definitions, columns, rows, &mut lines);
    }
    let lines = String::from_utf8(lines).expect("UTF-8");
    let values: Vec<&str> = lines.lines().map(|line| line.split("arg0: ").nth(1).expect("a value")).collect();
    assert_eq!(values, [r#""whole""#, r#""ab\...""#, r#""a\\...""#, r#""a\\\...""#, r#""\"\...""#]);
}
