//! Rows of a dataset: their columns are those that format-spec says, and their figures those of the analysis.

mod made;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int32Type, Int64Type, TimeUnit};
use made::{log_of, trace_of};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;
use tracer_analyzer::stage::{self, choice::choose_keys};
use tracer_analyzer::tables::dataset::{
    Date, KnownRun, Label, SharedTable, TraceName, concatenate, measure, write,
};
use tracer_analyzer::{Selection, analysis};
use tracer_format::Trace;

const SCHEMA: &str = include_str!("../../format-spec/dataset.json");

/// A key that passes two stages twice, one that is left open, and a stage whose events do not come in pairs.
fn log() -> String {
    let mut log = log_of("100:beg_all:1@1 110:beg_work:1@2 160:end_work:1@2 300:end_all:1@3");
    log += &log_of("1000:beg_all:1@1 1010:beg_work:1@2 1080:end_work:1@2 1310:end_all:1@3");
    for key in 2..40 {
        let at = key * 10_000;
        log += &log_of(&format!("{at}:beg_all:{key}@1 {}:beg_work:{key}@2", at + 10));
        if key != 5 {
            log += &log_of(&format!("{}:end_work:{key}@2", at + 200 + key));
            log += &log_of(&format!("{}:end_all:{key}@3", at + 12_500));
        }
        log += &log_of(&format!("{}:beg_other:{key}@1 {}:end_other:{}@3", at + 950, at + 5000, key + 1000));
    }
    let mut lines: Vec<&str> = log.lines().collect();
    lines.sort_by_key(|line| line[..18].to_owned());
    lines.join("\n") + "\n"
}

/// The file of a table of the trace in `bytes`.
fn file_of(bytes: &[u8], table: SharedTable, name: &str) -> PathBuf {
    let trace = Trace::open(bytes).unwrap();
    let drafts = stage::choose(&[], &trace.definitions).unwrap();
    let measured = measure(&trace, choose_keys(&trace, &Selection::all(), &drafts)).unwrap();
    let label =
        Label { trace: TraceName::of(bytes), bytes: bytes.len() as u64, commit: Some("abc".to_owned()) };
    let mut out = Vec::new();
    write(&trace, &measured, &label, table, &mut out).unwrap();
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.{}.parquet", table.name()));
    std::fs::write(&path, out).unwrap();
    path
}

fn batches(path: &Path) -> Vec<RecordBatch> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    builder.build().unwrap().map(Result::unwrap).collect()
}

/// All rows of the table of a trace, in one batch.
fn table(bytes: &[u8], table: SharedTable, name: &str) -> RecordBatch {
    let mut batches = batches(&file_of(bytes, table, name));
    assert_eq!(batches.len(), 1, "{}", table.name());
    batches.remove(0)
}

fn texts(batch: &RecordBatch, name: &str) -> Vec<Option<String>> {
    batch[name].as_string::<i32>().iter().map(|text| text.map(ToOwned::to_owned)).collect()
}

fn longs(batch: &RecordBatch, name: &str) -> Vec<Option<i64>> {
    batch[name].as_primitive::<Int64Type>().iter().collect()
}

fn ints(batch: &RecordBatch, name: &str) -> Vec<Option<i32>> {
    batch[name].as_primitive::<Int32Type>().iter().collect()
}

/// A type as the schema names it.
fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Utf8 => "string".to_owned(),
        DataType::Int32 => "int32".to_owned(),
        DataType::Int64 => "int64".to_owned(),
        DataType::Boolean => "bool".to_owned(),
        DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) if &**zone == "UTC" => {
            "timestamp(us, UTC)".to_owned()
        }
        DataType::List(element) => format!("list<{}>", type_name(element.data_type())),
        other => panic!("{other} is not read alike by every engine"),
    }
}

#[test]
fn the_columns_are_those_of_the_schema() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let bytes = trace_of(&log());
    for shared in SharedTable::ALL {
        let batch = table(&bytes, shared, "schema");
        let columns = schema["tables"][shared.name()].as_array().unwrap();
        let expected: Vec<_> = columns
            .iter()
            .map(|column| {
                let text = |name: &str| column[name].as_str().unwrap().to_owned();
                (text("name"), text("type"), column["null"].as_bool().unwrap())
            })
            .collect();
        let found: Vec<_> = batch
            .schema()
            .fields()
            .iter()
            .map(|field| (field.name().clone(), type_name(field.data_type()), field.is_nullable()))
            .collect();
        assert_eq!(found, expected, "{}", shared.name());
        let name = TraceName::of(&bytes).to_string();
        assert!(texts(&batch, "trace").iter().all(|trace| trace.as_deref() == Some(&name[..])));
    }
}

#[test]
fn runs_and_sketch_say_what_the_analysis_says() {
    let bytes = trace_of(&log());
    let trace = Trace::open(&bytes).unwrap();
    let chosen = choose_keys(&trace, &Selection::all(), &stage::choose(&[], &trace.definitions).unwrap());
    let analysis = analysis::analyze(&trace, &Selection::all(), &chosen.stages, &mut ()).unwrap();
    let runs = table(&bytes, SharedTable::Runs, "figures");
    let names: Vec<String> = texts(&runs, "stage").into_iter().flatten().collect();
    assert_eq!(names, ["all", "work", "other"]);
    assert_eq!(longs(&runs, "complete"), [Some(39), Some(39), None]);
    assert_eq!(longs(&runs, "open"), [Some(1), Some(1), None]);
    assert_eq!(ints(&runs, "path_position"), [Some(1), Some(2), None]);
    assert_eq!(texts(&runs, "refused").iter().map(Option::is_some).collect::<Vec<_>>(), [false, false, true]);
    assert_eq!(longs(&runs, "events"), vec![Some(i64::try_from(trace.events()).unwrap()); 3]);
    assert_eq!(texts(&runs, "commit_id"), vec![Some("abc".to_owned()); 3]);
    let sketch = table(&bytes, SharedTable::Sketch, "figures");
    let names_of_sketch = texts(&sketch, "stage");
    let mut waits: BTreeMap<String, i64> = BTreeMap::new();
    for ((name, kind), count) in
        names_of_sketch.iter().zip(texts(&sketch, "kind")).zip(longs(&sketch, "count"))
    {
        let is_stage = names.contains(name.as_ref().unwrap());
        assert_eq!(kind.as_deref(), Some(if is_stage { "stage" } else { "hand_off" }), "{name:?}");
        *waits.entry(name.clone().unwrap()).or_default() += count.unwrap() * i64::from(!is_stage);
    }
    waits.retain(|_, count| *count > 0);
    let expected = analysis
        .hand_offs
        .iter()
        .map(|report| (report.name(&chosen.stages), i64::try_from(report.latency.count()).unwrap()));
    assert_eq!(waits, expected.collect());
    assert_eq!(waits.len(), 2, "all begin -> work, work -> all end");
    for report in &analysis.stages {
        let summary = report.latency.summary().unwrap();
        let row = names.iter().position(|name| *name == report.stage.name).unwrap();
        let figures = [summary.p50, summary.p90, summary.max, summary.mean].map(Some);
        let of_row = ["p50_ns", "p90_ns", "max_ns", "mean_ns"].map(|name| longs(&runs, name)[row]);
        assert_eq!(of_row, figures);
        let of_stage = |at: &usize| names_of_sketch[*at].as_ref() == Some(&report.stage.name);
        let rows: Vec<usize> = (0..sketch.num_rows()).filter(of_stage).collect();
        let number = |name: &str, row: &usize| longs(&sketch, name)[*row].unwrap();
        let count: i64 = rows.iter().map(|row| number("count", row)).sum();
        assert_eq!(u64::try_from(count).unwrap(), report.latency.count());
        // The median by the sketch: the value where half of the spans are reached.
        let mut below = 0;
        let reached = |row: &&usize| {
            below += number("count", row);
            2 * below >= count
        };
        let median = number("value_ns", rows.iter().find(reached).unwrap());
        assert!((median - summary.p50).abs() * 200 <= summary.p50, "{median} for {}", summary.p50);
    }
}

#[test]
fn spans_have_a_lap_and_a_place_on_the_path() {
    let spans = table(&trace_of(&log()), SharedTable::Spans, "places");
    let (stages, keys) = (texts(&spans, "stage"), longs(&spans, "key"));
    let (laps, positions) = (ints(&spans, "lap"), ints(&spans, "path_position"));
    let begins = longs(&spans, "begin_ns");
    let mut of_key_1: Vec<_> = (0..spans.num_rows())
        .filter(|&row| keys[row] == Some(1))
        .map(|row| (begins[row].unwrap(), stages[row].clone().unwrap(), laps[row], positions[row]))
        .collect();
    of_key_1.sort();
    let expected = [(100, "all", 1, 1), (110, "work", 1, 2), (1000, "all", 2, 1), (1010, "work", 2, 2)];
    let expected: Vec<_> =
        expected.map(|(at, stage, lap, position)| (at, stage.to_owned(), Some(lap), Some(position))).into();
    assert_eq!(of_key_1, expected);
}

#[test]
fn files_become_one_with_the_same_rows() {
    let others = trace_of(&log_of("5:beg_work:1 9:end_work:1"));
    let whole = trace_of(&log());
    for shared in SharedTable::ALL {
        let paths = [file_of(&whole, shared, "first"), file_of(&others, shared, "second")];
        let files = paths.iter().map(|path| File::open(path).unwrap()).collect();
        let mut out = Vec::new();
        concatenate(shared, files, 2, &mut out).unwrap();
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("both.{}.parquet", shared.name()));
        std::fs::write(&path, out).unwrap();
        let expected = paths.iter().flat_map(|path| batches(path));
        let rows = |batches: Vec<RecordBatch>| {
            arrow::compute::concat_batches(&batches[0].schema(), &batches).unwrap()
        };
        let (expected, found) = (rows(expected.collect()), rows(batches(&path)));
        assert_eq!(expected.columns(), found.columns(), "{}", shared.name());
        if shared == SharedTable::Runs {
            let known = KnownRun::read(File::open(&path).unwrap()).unwrap();
            let names: Vec<_> = known.into_iter().map(|run| run.trace).collect();
            assert_eq!(names, [TraceName::of(&whole), TraceName::of(&others)]);
        }
    }
    let mixed = [SharedTable::Runs, SharedTable::Spans].map(|shared| file_of(&whole, shared, "mixed"));
    let files = mixed.iter().map(|path| File::open(path).unwrap()).collect();
    let error = concatenate(SharedTable::Runs, files, 1, &mut Vec::new()).unwrap_err().to_string();
    assert!(error.contains("its columns are not those of the other files"), "{error}");
    assert!(KnownRun::read(File::open(&mixed[1]).unwrap()).is_err());
}

#[test]
fn the_day_is_that_of_the_first_event() {
    let bytes = std::fs::read("../sample-traces/data/pipeline.trace").unwrap();
    assert_eq!(Date::of(&Trace::open(&bytes).unwrap()), Some("2026-11-22".parse().unwrap()));
    let imported = trace_of(&log());
    assert_eq!(Date::of(&Trace::open(&imported).unwrap()), None);
}
