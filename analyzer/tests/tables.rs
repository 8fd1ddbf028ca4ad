//! Tables of traces small enough to be written down by hand, read back by the libraries that others use.

mod made;
mod mixed;

use std::fs::File;
use std::io::{self, Cursor, Write};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use arrow::ipc::reader::FileReader;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use made::{DOCUMENTED_LOG, trace_of};
use mixed::mixed_trace;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Encoding, PageType};
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use tracer_analyzer::tables::{Format, Rows, write};
use tracer_analyzer::{Error, Filter, Selection, stage};
use tracer_format::{
    ArgKind, Definition, Firing, Process, ProcessId, Site, SiteId, Thread, ThreadId, Trace, Writer,
    WriterOptions,
};

const COLUMNS: &str = "ts_ns ts host pid tid cpu program provider probe seq args strings";

/// The rows of [`mixed_trace`], column by column.
const MIXED: [&str; 6] = [
    "2000 1777636800000001 h 11 11 3 source p beg_a 5 [5] []",
    "3000 1777636800000002 h 12 13 0 sink p text 7 [7, null, null, null] [x,\"y\", 0.1, \u{fffd}z]",
    "4000 1777636800000003 h 12 13 0 sink p text null [null, null, null, null] [null, -2.5, null]",
    "5000 1777636801000000 h 12 12 1 sink p none null [] []",
    "6000 1777636801000001 h 11 11 3 source p beg_a -1 [-1] []",
    "7000 1777636801000002 h 11 11 65535 source q big -2 [-2, 9] []",
];

fn table(bytes: &[u8], filter: &Filter, rows: Rows<'_>, format: Format) -> Vec<u8> {
    let trace = Trace::open(bytes).unwrap();
    let selection = Selection::new(filter, &trace).unwrap();
    let mut out = Vec::new();
    write(&trace, &selection, rows, format, &mut out).unwrap();
    out
}

/// Batches of a file, and what its metadata say.
type Content = (Vec<RecordBatch>, Vec<(String, String)>);

fn read_arrow(file: &[u8]) -> Content {
    let reader = FileReader::try_new(Cursor::new(file), None).unwrap();
    let mut metadata: Vec<_> = reader.schema().metadata().clone().into_iter().collect();
    metadata.extend(reader.custom_metadata().clone());
    (reader.map(Result::unwrap).collect(), metadata)
}

fn read_parquet(file: &[u8], name: &str) -> Content {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, file).unwrap();
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap()).unwrap();
    let pairs = builder.metadata().file_metadata().key_value_metadata().unwrap();
    let metadata = pairs.iter().map(|pair| (pair.key.clone(), pair.value.clone().unwrap())).collect();
    (builder.build().unwrap().map(Result::unwrap).collect(), metadata)
}

/// Each row with spaces between its cells.
fn rows(batches: &[RecordBatch]) -> Vec<String> {
    let options = FormatOptions::new().with_null("null");
    let mut rows = Vec::new();
    for batch in batches {
        // Times are shown as numbers: the library knows no "UTC" without a table of time zones.
        let number = |column: &ArrayRef| match column.as_primitive_opt::<TimestampMicrosecondType>() {
            Some(times) => Arc::new(times.reinterpret_cast::<Int64Type>()),
            None => column.clone(),
        };
        let columns: Vec<ArrayRef> = batch.columns().iter().map(number).collect();
        let columns: Vec<_> =
            columns.iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
        for row in 0..batch.num_rows() {
            let cells: Vec<String> = columns.iter().map(|column| column.value(row).to_string()).collect();
            rows.push(cells.join(" "));
        }
    }
    rows
}

fn value<'m>(metadata: &'m [(String, String)], name: &str) -> &'m str {
    metadata.iter().find(|(key, _)| key == name).map_or("missing", |(_, value)| value)
}

fn column_names(batches: &[RecordBatch]) -> String {
    let schema = batches[0].schema();
    schema.fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>().join(" ")
}

#[test]
fn events_are_the_same_in_arrow_and_parquet() {
    let bytes = mixed_trace();
    let arrow = read_arrow(&table(&bytes, &Filter::default(), Rows::Events, Format::Arrow));
    let parquet =
        read_parquet(&table(&bytes, &Filter::default(), Rows::Events, Format::Parquet), "mixed.parquet");
    for (reader, (batches, metadata)) in [("arrow", arrow), ("parquet", parquet)] {
        assert_eq!(column_names(&batches), COLUMNS, "{reader}");
        assert_eq!(rows(&batches), MIXED, "{reader}");
        let said = [
            ("tracer.table", "events"),
            ("tracer.host", "h"),
            ("tracer.kernel", "Linux 6.18"),
            ("tracer.tool", "tracer 0"),
            ("tracer.command", r#"["tracer","record"]"#),
            ("tracer.lost_events", "9"),
            ("tracer.gaps", "1"),
            ("tracer.listed_gaps", r#"[{"from_ns":3500,"to_ns":3600,"cpu":2,"lost":9}]"#),
            ("tracer.events", "6"),
            ("tracer.damaged_bytes", "0"),
            ("tracer.complete_file", "true"),
        ];
        for (name, expected) in said {
            assert_eq!(value(&metadata, name), expected, "{reader} {name}");
        }
    }
}

#[test]
fn parquet_has_the_types_that_every_engine_reads() {
    let file = table(&mixed_trace(), &Filter::default(), Rows::Events, Format::Parquet);
    let (batches, _) = read_parquet(&file, "types.parquet");
    let types: Vec<String> =
        batches[0].schema().fields().iter().map(|field| field.data_type().to_string()).collect();
    let list = |elements| format!("List({elements}, field: 'element')");
    let expected = [
        "Int64",
        "Timestamp(µs, \"UTC\")",
        "Utf8",
        "Int32",
        "Int32",
        "Int32",
        "Utf8",
        "Utf8",
        "Utf8",
        "Int64",
    ];
    assert_eq!(types[..10], expected);
    assert_eq!(types[10..], [list("Int64"), list("Utf8")]);
}

#[test]
fn parquet_has_the_pages_that_every_engine_reads() {
    let file = table(&mixed_trace(), &Filter::default(), Rows::Events, Format::Parquet);
    read_parquet(&file, "pages.parquet");
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages.parquet");
    let reader = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
    let rows = reader.get_row_group(0).unwrap();
    for column in 0..rows.metadata().num_columns() {
        let name = rows.metadata().column(column).column_path().string();
        let is_list = name.contains(".list.");
        let mut pages = rows.get_column_page_reader(column).unwrap();
        while let Some(page) = pages.get_next_page().unwrap() {
            // fastparquet takes differences of 64 bits in pages of version 2 for others, without an error.
            assert_ne!(page.page_type(), PageType::DATA_PAGE_V2, "{name}");
            // It reads no differences at all in lists.
            assert!(!is_list || page.encoding() != Encoding::DELTA_BINARY_PACKED, "{name}");
        }
    }
}

#[test]
fn csv_is_rfc_4180() {
    let file = table(&mixed_trace(), &Filter::default(), Rows::Events, Format::Csv);
    let expected = [
        "ts_ns,ts,host,pid,tid,cpu,program,provider,probe,seq,args,strings",
        "2000,2026-05-01T12:00:00.000001Z,h,11,11,3,source,p,beg_a,5,[5],[]",
        "3000,2026-05-01T12:00:00.000002Z,h,12,13,0,sink,p,text,7,\"[7,null,null,null]\",\
         \"[\"\"x,\\\"\"y\\\"\"\"\",\"\"0.1\"\",\"\"\u{fffd}z\"\"]\"",
        "4000,2026-05-01T12:00:00.000003Z,h,12,13,0,sink,p,text,,\"[null,null,null,null]\",\"[null,\"\"-2.5\"\",null]\"",
        "5000,2026-05-01T12:00:01.000000Z,h,12,12,1,sink,p,none,,[],[]",
        "6000,2026-05-01T12:00:01.000001Z,h,11,11,3,source,p,beg_a,-1,[-1],[]",
        "7000,2026-05-01T12:00:01.000002Z,h,11,11,65535,source,q,big,-2,\"[-2,9]\",[]",
        "",
    ];
    assert_eq!(String::from_utf8(file).unwrap(), expected.join("\r\n"));
}

#[test]
fn filters_leave_rows_out() {
    let bytes = mixed_trace();
    let filter = Filter { probes: vec!["p:beg_*".parse().unwrap()], ..Filter::default() };
    let (batches, _) = read_arrow(&table(&bytes, &filter, Rows::Events, Format::Arrow));
    assert_eq!(rows(&batches), [MIXED[0], MIXED[4]]);
    let filter = Filter { pids: vec![99], ..Filter::default() };
    for format in [Format::Arrow, Format::Parquet, Format::Csv] {
        let file = table(&bytes, &filter, Rows::Events, format);
        match format {
            Format::Arrow => assert_eq!(rows(&read_arrow(&file).0).len(), 0),
            Format::Parquet => assert_eq!(rows(&read_parquet(&file, "none.parquet").0).len(), 0),
            Format::Csv | Format::SafeCsv => {
                assert_eq!(file.iter().filter(|&&byte| byte == b'\n').count(), 1)
            }
        }
    }
}

#[test]
fn a_log_has_no_wall_time() {
    let file = table(&trace_of(DOCUMENTED_LOG), &Filter::default(), Rows::Events, Format::Csv);
    let text = String::from_utf8(file).unwrap();
    let line = text.lines().nth(1).unwrap();
    assert_eq!(line.split(',').nth(1), Some(""), "{line}");
}

#[test]
fn spans_have_their_ends_and_classes() {
    let bytes = trace_of(DOCUMENTED_LOG);
    let trace = Trace::open(&bytes).unwrap();
    let drafts = stage::choose(&[], &trace.definitions).unwrap();
    let stages: Vec<stage::Stage> = drafts.into_iter().map(|draft| draft.stage).collect();
    let file = table(&bytes, &Filter::default(), Rows::Spans(&stages), Format::Csv);
    let text = String::from_utf8(file).unwrap();
    let mut lines = text.split_terminator("\r\n");
    let head =
        "stage,key,begin_ns,end_ns,latency_ns,begin_pid,end_pid,class,key_rest,key_text,ended_by,near_loss";
    assert_eq!(lines.next(), Some(head));
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
    let latencies = |stage: &str, class: &str| -> Vec<&str> {
        rows.iter().filter(|row| row[0] == stage && row[7] == class).map(|row| row[4]).collect()
    };
    assert_eq!(latencies("awe", "complete"), ["15073166", "15105156", "15097452", "15099917"]);
    assert_eq!(latencies("writing", "orphan_end"), [""]);
    assert_eq!(latencies("global", "complete"), ["32341"]);
    assert_eq!(latencies("global", "inverted").len(), 10);
    for row in &rows {
        let ends: Vec<Option<i64>> = row[2..5].iter().map(|number| number.parse().ok()).collect();
        let [begin_ns, end_ns, latency_ns] = ends[..] else { panic!("{row:?}") };
        assert_eq!(begin_ns.zip(end_ns).map(|(begin_ns, end_ns)| end_ns - begin_ns), latency_ns, "{row:?}");
        assert_eq!(
            (begin_ns.is_some(), end_ns.is_some(), end_ns.is_some()),
            (!row[5].is_empty(), !row[6].is_empty(), !row[10].is_empty()),
            "{row:?}"
        );
        assert_eq!((row[9], row[11]), ("", "false"), "{row:?}");
    }
}

#[test]
fn keys_of_several_parts_are_kept_whole() {
    let stage: stage::Stage = "s = p:beg_a -> p:text by tid,seq".parse().unwrap();
    let file = table(&mixed_trace(), &Filter::default(), Rows::Spans(&[stage]), Format::Arrow);
    let mut found = rows(&read_arrow(&file).0);
    found.sort();
    // The second `p:text` has no key: its first argument was unreadable.
    let expected = [
        "s -1 6000 null null 11 null open [11] null null false",
        "s 5 2000 null null 11 null open [11] null null true",
        "s 7 null 3000 null null 12 orphan_end [13] null p:text false",
    ];
    assert_eq!(found, expected);
}

#[test]
fn keys_that_are_texts_are_shown_as_texts() {
    let texts: stage::Stage = "t = p:text -> q:big by str,arg0".parse().unwrap();
    for format in [Format::Arrow, Format::Parquet] {
        let file =
            table(&mixed_trace(), &Filter::default(), Rows::Spans(std::slice::from_ref(&texts)), format);
        let batches = match format {
            Format::Arrow => read_arrow(&file).0,
            _ => read_parquet(&file, "texts.parquet").0,
        };
        let found = rows(&batches);
        let [row] = &found[..] else { panic!("{found:?}") };
        // Events were lost after it, one of which may be its end.
        assert!(row.ends_with(" 3000 null null 12 null open [7] x,\"y\",7 null true"), "{row}");
    }
    let csv = table(&mixed_trace(), &Filter::default(), Rows::Spans(&[texts]), Format::Csv);
    let csv = String::from_utf8(csv).unwrap();
    assert!(csv.ends_with(",open,[7],\"x,\"\"y\"\",7\",,true\r\n"), "{csv}");
}

#[test]
fn times_that_no_column_has_room_for_are_counted() {
    let last = i64::MAX.cast_unsigned();
    let log = made::log_of(&format!("5:beg_a:1 {last}:end_a:1 {}:beg_a:2 {}:end_a:2", last + 1, u64::MAX));
    let bytes = trace_of(&log);
    let trace = Trace::open(&bytes).unwrap();
    let stages = ["a = p:beg_a -> p:end_a".parse().unwrap()];
    for (rows, columns) in [(Rows::Events, 1), (Rows::Spans(&stages), 4)] {
        let mut csv = Vec::new();
        let outcome = write(&trace, &Selection::all(), rows, Format::Csv, &mut csv).unwrap();
        let said = "2 events after 2^63-1 ns, the last time that fits into a table, have that one there";
        assert_eq!((outcome.late, outcome.is_lossy()), (2, true));
        assert_eq!(outcome.loss_text().as_deref(), Some(said));
        let csv = String::from_utf8(csv).unwrap();
        let fields = csv.lines().flat_map(|line| line.split(',').take(columns));
        assert_eq!(fields.filter(|field| **field == last.to_string()).count(), 3, "{csv}");
    }
    // Those alone that are selected.
    let filter = Filter { probes: vec!["p:beg_a".parse().unwrap()], ..Filter::default() };
    let selection = Selection::new(&filter, &trace).unwrap();
    let outcome = write(&trace, &selection, Rows::Events, Format::Arrow, &mut Vec::new()).unwrap();
    assert_eq!((outcome.events, outcome.late), (2, 1));
    let in_time = trace_of(DOCUMENTED_LOG);
    let trace = Trace::open(&in_time).unwrap();
    let outcome = write(&trace, &Selection::all(), Rows::Events, Format::Csv, &mut Vec::new()).unwrap();
    assert_eq!((outcome.late, outcome.is_lossy()), (0, false));
}

/// A trace of `count` events, each with its number and a string of `string_bytes` bytes.
fn long_trace(count: u64, string_bytes: usize) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), WriterOptions::default()).unwrap();
    writer.define(Definition::Process(Process { pid: 1, ..Process::default() }.into())).unwrap();
    writer.define(Definition::Thread(Thread { process: ProcessId(0), tid: 1 })).unwrap();
    let args = vec![ArgKind::Unsigned(8), ArgKind::Str];
    writer
        .define(Definition::Site(Site { probe: "x".into(), args: args.into(), ..Site::default() }.into()))
        .unwrap();
    for time_ns in 0..count {
        let string = writer.intern(&vec![b'a'; string_bytes]);
        let firing = Firing {
            time_ns,
            thread: ThreadId(0),
            site: SiteId(0),
            cpu: 0,
            unreadable: 0,
            values: &[time_ns, string],
        };
        writer.push(&firing).unwrap();
    }
    writer.finish().unwrap()
}

#[test]
fn long_tables_come_in_batches() {
    let (batches, _) =
        read_arrow(&table(&long_trace(70_000, 0), &Filter::default(), Rows::Events, Format::Arrow));
    assert_eq!(batches.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [32_768, 32_768, 4_464]);
    let keys: Vec<i64> =
        rows(&batches).iter().map(|row| row.split(' ').next().unwrap().parse().unwrap()).collect();
    assert!(keys.into_iter().eq(0..70_000));
    // 16 MiB of strings fill a batch too.
    let (batches, _) =
        read_arrow(&table(&long_trace(5_000, 4_096), &Filter::default(), Rows::Events, Format::Arrow));
    assert_eq!(batches.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [4_096, 904]);
}

#[test]
fn damage_is_said_in_the_metadata() {
    let mut bytes = long_trace(70_000, 0);
    let at = usize::try_from(Trace::open(&bytes).unwrap().blocks[0].offset).unwrap() + 100;
    bytes[at] ^= 1;
    let trace = Trace::open(&bytes).unwrap();
    let mut out = Vec::new();
    let outcome = write(&trace, &Selection::all(), Rows::Events, Format::Parquet, &mut out).unwrap();
    assert_eq!((outcome.events, outcome.damage.len()), (70_000 - 65_536, 1));
    let (batches, metadata) = read_parquet(&out, "damage.parquet");
    assert_eq!(rows(&batches).len(), 70_000 - 65_536);
    assert_eq!(value(&metadata, "tracer.damaged_bytes"), outcome.damaged_bytes().to_string());
}

/// Takes so many bytes and then fails.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        let taken = bytes.len().min(self.0);
        self.0 -= taken;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_is_reported_as_it_is() {
    let bytes = mixed_trace();
    let trace = Trace::open(&bytes).unwrap();
    let stages: [stage::Stage; 1] = ["s = p:beg_a -> q:big".parse().unwrap()];
    for format in [Format::Arrow, Format::Parquet, Format::Csv] {
        for of in [Rows::Events, Rows::Spans(&stages)] {
            let whole = table(&bytes, &Filter::default(), of, format).len();
            // Every so many bytes, and the last one.
            for room in (0..whole).step_by(211).chain([whole - 1]) {
                match write(&trace, &Selection::all(), of, format, &mut Full(room)) {
                    Err(Error::Io(error)) => assert_eq!(error.kind(), io::ErrorKind::StorageFull),
                    other => panic!("{format:?}, room for {room} of {whole} bytes: {other:?}"),
                }
            }
            assert!(write(&trace, &Selection::all(), of, format, &mut Full(whole)).is_ok());
        }
    }
}

#[test]
fn formats_are_named_as_files_end() {
    assert_eq!("parquet".parse::<Format>().unwrap(), Format::Parquet);
    let error = "xlsx".parse::<Format>().unwrap_err().to_string();
    assert_eq!(error, "table format \"xlsx\": expected parquet, arrow or csv");
}
