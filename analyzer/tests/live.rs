//! A recording that is looked at while it comes is, at its end, what `analyze` says of the file.

use std::ops::Range;
use std::path::PathBuf;

use tracer_analyzer::analysis::{self, Analysis, Summary};
use tracer_analyzer::screen::live::{Board, BoardRow, Given, RowKind, Watching};
use tracer_analyzer::stage::choice::choose_keys;
use tracer_analyzer::{Filter, Selection, stage};
use tracer_format::{Rest, Step, Stream, Trace, Writer, WriterOptions};

fn sample(name: &str) -> Vec<u8> {
    let data = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../sample-traces/data");
    std::fs::read(data.join(name)).expect("a sample")
}

fn given() -> Given {
    Given { filter: Filter::default(), stages: Vec::new(), seconds: 10, held_ns: u64::MAX }
}

/// Looks at `bytes` as they come, some at a time.
fn watch(bytes: &[u8], at_once: usize) -> (Watching, Stream) {
    let (mut watching, mut stream) = (Watching::new(given()), Stream::new());
    for piece in bytes.chunks(at_once) {
        stream.push(piece);
        steps(&mut watching, &mut stream, Rest::Comes);
    }
    steps(&mut watching, &mut stream, Rest::Ends);
    (watching, stream)
}

fn steps(watching: &mut Watching, stream: &mut Stream, rest: Rest) {
    while let Some(step) = stream.next(rest).expect("a trace") {
        match step {
            Step::Events => {
                let rows = 0..stream.columns().len();
                watching.events(stream.known(), stream.columns(), rows).expect("sound");
            }
            Step::Gap(gap) => watching.gap(stream.known(), &gap).expect("sound"),
            Step::Damaged(range) => watching.damaged(range),
        }
    }
}

fn analyze(bytes: &[u8]) -> Analysis {
    let trace = Trace::open(bytes).expect("a trace");
    let all = Selection::all();
    let drafts = stage::choose(&[], &trace.definitions).expect("sound");
    let chosen = choose_keys(&trace, &all, &drafts);
    analysis::analyze(&trace, &all, &chosen.stages, &mut ()).expect("readable").chosen_by(chosen)
}

/// Name, number and latencies of all that has any.
type Figures = Vec<(String, u64, Option<Summary>)>;

fn analyzed(analysis: &Analysis) -> Figures {
    let stages: Vec<_> = analysis.stages.iter().map(|report| report.stage.clone()).collect();
    let of_stages = analysis.stages.iter().map(|it| (it.stage.name.clone(), &it.latency));
    let waits = analysis.hand_offs.iter().map(|it| (it.name(&stages), &it.latency));
    let mut all: Figures =
        of_stages.chain(waits).map(|(name, it)| (name, it.count(), it.summary())).collect();
    all.retain(|(_, count, _)| *count > 0);
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

fn shown(board: &Board) -> Figures {
    let mut all: Figures = board.rows.iter().map(|row| (row.name.clone(), row.count, row.all)).collect();
    all.retain(|(_, count, _)| *count > 0);
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

#[test]
fn the_figures_at_the_end_are_those_of_the_file() {
    for name in ["pipeline", "lossy", "nested", "partial", "strings", "documented-log"] {
        let bytes = sample(&format!("{name}.trace"));
        let analysis = analyze(&bytes);
        for at_once in [999, usize::MAX] {
            let (mut watching, stream) = watch(&bytes, at_once);
            watching.finish(stream.known(), stream.is_complete()).expect("sound");
            let board = watching.board(0);
            assert_eq!(shown(&board), analyzed(&analysis), "{name}, {at_once} bytes at once");
            let (found, expected) = (watching.outcome(), &analysis.outcome);
            assert_eq!((found.events, found.lost), (expected.events, expected.lost), "{name}");
            assert_eq!(watching.chosen().refused, analysis.refused, "{name}");
        }
    }
}

/// A trace of the buffers `buffers` of a stage `work`, and of a stage `later`, if that is wanted.
fn trace(buffers: Range<u64>, has_later: bool) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), WriterOptions::default()).expect("memory");
    let mut log = String::new();
    for seq in buffers {
        let at = 1_000_000_000 + seq * 100_000;
        log += &format!("[{at}] [PID: 7] app app:beg_work | Seq: {seq}\n");
        log += &format!("[{}] [PID: 7] app app:end_work | Seq: {seq}\n", at + 40_000 + seq % 7);
        if has_later {
            log += &format!("[{}] [PID: 8] out app:beg_later | Seq: {seq}\n", at + 50_000);
            log += &format!("[{}] [PID: 8] out app:end_later | Seq: {seq}\n", at + 60_000);
        }
    }
    tracer_analyzer::file::import(log.as_bytes(), &mut writer).expect("a log");
    writer.finish().expect("memory")
}

fn row<'b>(board: &'b Board, name: &str) -> &'b BoardRow {
    board.rows.iter().find(|row| row.name == name).unwrap_or_else(|| panic!("{name} in {board:#?}"))
}

#[test]
fn what_is_under_way_and_the_slowest_buffer_are_told() {
    let log = "[1000] [PID: 1] a a:beg_one | Seq: 1\n[2000] [PID: 1] a a:end_one | Seq: 1\n\
               [2500] [PID: 2] b a:beg_two | Seq: 1\n[7500] [PID: 2] b a:end_two | Seq: 1\n\
               [8000] [PID: 1] a a:beg_one | Seq: 2\n[8100] [PID: 1] a a:end_one | Seq: 2\n\
               [8200] [PID: 1] a a:beg_one | Seq: 3\n[8300] [PID: 1] a a:end_one | Seq: 3\n\
               [8400] [PID: 1] a a:beg_one | Seq: 4\n[8500] [PID: 2] b a:beg_two | Seq: 3\n\
               [8600] [PID: 2] b a:end_two | Seq: 3\n";
    let mut writer = Writer::new(Vec::new(), WriterOptions::default()).expect("memory");
    tracer_analyzer::file::import(log.as_bytes(), &mut writer).expect("a log");
    let (watching, _) = watch(&writer.finish().expect("memory"), usize::MAX);
    let board = watching.board(9_000);
    let names: Vec<(&str, RowKind)> = board.rows.iter().map(|row| (&row.name[..], row.kind)).collect();
    assert_eq!(names, [("one", RowKind::Stage), ("one -> two", RowKind::Wait), ("two", RowKind::Stage)]);
    let now = |name| (row(&board, name).under_way, row(&board, name).oldest_ns);
    assert_eq!((now("one"), now("two")), ((Some(1), Some(600)), (Some(0), None)));
    // Buffer 2 has left the first stage, and has not come to the second.
    assert_eq!(now("one -> two"), (Some(1), Some(900)));
    let worst = board.worst.expect("there were some");
    let steps = [("one".to_owned(), 1000), ("one -> two".to_owned(), 500), ("two".to_owned(), 5000)];
    assert_eq!((worst.key.as_str(), worst.took_ns, &worst.steps[..]), ("1", 6500, &steps[..]));
}

#[test]
fn a_snapshot_is_a_trace_of_the_last_seconds() {
    let bytes = trace(0..1000, true);
    let held = Given { held_ns: 20_000_000, ..given() };
    let (mut watching, mut stream) = (Watching::new(held), Stream::new());
    stream.push(&bytes);
    steps(&mut watching, &mut stream, Rest::Ends);
    let mut writer = Writer::new(Vec::new(), WriterOptions::default()).expect("memory");
    let (events, (from_ns, to_ns)) = watching.snapshot(stream.known()).write(&mut writer).expect("memory");
    let snapshot = writer.finish().expect("memory");
    let analysis = analyze(&snapshot);
    assert_eq!((analysis.outcome.events, analysis.outcome.lost), (events, 0));
    let last_ns = 1_000_000_000 + 999 * 100_000 + 60_000;
    assert_eq!(to_ns, last_ns);
    assert!(from_ns >= last_ns - 20_000_000 && from_ns < last_ns - 19_900_000, "{from_ns}");
    assert_eq!(analysis.stages.iter().map(|it| it.latency.count()).collect::<Vec<_>>(), [200, 200]);
}

#[test]
fn stages_that_come_when_the_begin_is_forgotten_are_counted_from_then_on() {
    let (late_from, count) = (270_000, 271_000);
    let bytes = [trace(0..late_from, false), trace(late_from..count, true)].concat();
    let (mut watching, stream) = watch(&bytes, 1 << 16);
    watching.finish(stream.known(), true).expect("sound");
    let board = watching.board(0);
    let work = row(&board, "work");
    // What was under way when pairing began anew is not counted.
    assert!(work.count >= count - 2 && work.count <= count, "{}", work.count);
    let p50 = work.all.expect("there were some").p50;
    assert!(p50.abs_diff(40_003) < 40, "{p50}");
    assert!(row(&board, "later").count > 500, "{}", row(&board, "later").count);
    assert!(board.notes.iter().any(|note| note.starts_with("other stages came")), "{:?}", board.notes);
}
