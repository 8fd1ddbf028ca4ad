//! Files made to harm their reader, given to `tracer` as a user would: one clear line, or a report, in little memory.
//!
//! Every run may have 64 MiB of data; the system refuses it more, which ends it with a signal. What must not be allocated
//! at all is tested in `format-spec/tests/limits.rs`.

#[path = "../../format-spec/tests/hostile/mod.rs"]
mod hostile;
#[path = "../../format-spec/tests/hostile/lines.rs"]
mod lines;
#[path = "../../format-spec/tests/hostile/many.rs"]
mod many;

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use self::hostile::{Hostile, events_of_constants, varint, zeros_frame};
use crate::open::{UI, get, place};
use crate::tool::{Folder, TRACER, stderr};
use tracer_format::block::kind;
use tracer_format::limits::{MAX_BLOCK_EVENTS, MAX_COMMAND_WORDS, MAX_DEFINITIONS_BYTES, MAX_NAME_BYTES};

/// Bytes of memory that a run may have, beside the program itself; and for each byte of the file, where it is sound.
const DATA_BYTES: u64 = 64 << 20;
const DATA_PER_BYTE: u64 = 16;

/// Seconds of the processor after which a run is taken for one that does not end. No mark of speed: it holds on any machine.
const ENDLESS_SECONDS: u64 = 120;

/// Every verb that opens a trace, and every way it reads one.
const VERBS: &[&[&str]] = &[
    &["info"],
    &["info", "--counts", "--format", "json"],
    &["replay"],
    &["replay", "--seq", "5", "--from", "1s"],
    &["analyze"],
    &["verify"],
    &["export", "--format", "chrome", "-o", "-"],
    &["export", "--format", "perfetto", "-o", "-"],
    &["export", "--format", "parquet", "-fo", "out.parquet"],
    &["export", "--format", "arrow", "-fo", "out.arrow"],
    &["export", "--format", "csv", "-o", "-"],
    &["export", "--format", "csv", "--table", "spans", "-o", "-"],
    &["repair", "-fo", "out.trace"],
    &["cut", "--seq", "0..9", "-fo", "out.trace"],
    &["merge", "-fo", "out.trace"],
];

/// What else is tried with traces that have very many of something.
const MORE_VERBS: &[&[&str]] = &[
    &["analyze", "--all", "--plot", "--worst", "100000"],
    &["analyze", "--format", "json"],
    &["analyze", "--format", "markdown", "--all"],
    &["analyze", "--group-by", "tid"],
    &["analyze", "--group-by", "program", "--format", "json"],
    &["analyze", "--group-by", "arg0", "--stages-out", "out.toml", "--force"],
    &["analyze", "--group-by", "str", "--fail-if", "loss > 0"],
    &["report", "-fo", "out.html"],
    &["report", "hostile.trace", "-fo", "out.html"],
    &["diff", "hostile.trace"],
    &["diff", "--format", "json", "hostile.trace"],
    &["replay", "--format", "jsonl"],
    &["replay", "--time", "wall", "--threads"],
    &["info", "--format", "json"],
    &["info", "--counts"],
    &["list"],
    &["export", "--format", "chrome", "--no-probes", "-o", "-"],
    &["export", "--format", "parquet", "--table", "spans", "-fo", "out.parquet"],
    &["export", "--format", "csv", "--safe-csv", "-o", "-"],
    &["cut", "--from", "1ms", "-fo", "out.trace"],
    &["merge", "hostile.trace", "-fo", "out.trace"],
];

/// Those that are tried with a pipe, too.
const PIPED: [&str; 4] = ["replay", "analyze", "info", "verify"];

/// The same of traces that have very many of something: what looks at a trace while it comes.
const COMING: [&[&str]; 2] = [&["replay", "-"], &["top", "--batch", "-"]];

/// Runs `tracer` with little memory; its output goes to a file, because a small trace may well have a million events.
fn run(folder: &Folder, args: &[&str]) -> Output {
    run_with(folder, DATA_BYTES, args)
}

fn run_with(folder: &Folder, data_bytes: u64, args: &[&str]) -> Output {
    let out = File::create(folder.path("out")).expect("created");
    let mut command = Command::new("prlimit");
    command
        .arg(format!("--data={data_bytes}"))
        .arg(format!("--cpu={ENDLESS_SECONDS}"))
        .arg(TRACER)
        .args(args)
        .current_dir(folder.path(""))
        .stdin(Stdio::null())
        .stdout(out);
    command.output().expect("prlimit runs")
}

/// Gives a verb a file through a pipe: it is read while it comes, and there is no going back.
#[track_caller]
fn run_piped(folder: &Folder, file: &str, data_bytes: u64, verb: &[&str], what: &str) {
    let verb = verb.join(" ");
    let script = format!("cat {file} | prlimit --data={data_bytes} \"$TRACER\" {verb} >out");
    let mut command = Command::new("sh");
    command.args(["-c", &script]).env("TRACER", TRACER).current_dir(folder.path("")).stdin(Stdio::null());
    let output = command.output().expect("sh runs");
    let (code, errors) = (output.status.code(), stderr(&output));
    assert!(matches!(code, Some(0 | 1 | 3)), "{what}: {verb}: {}: {errors}", output.status);
}

/// Has a file served to a browser, and fetches it.
#[track_caller]
fn run_open(folder: &Folder, file: &str, data_bytes: u64, what: &str) {
    let mut command = Command::new("prlimit");
    command
        .arg(format!("--data={data_bytes}"))
        .arg(TRACER)
        .args(["open", "--no-browser", "--port", "0", file])
        .current_dir(folder.path(""))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("prlimit runs");
    let mut address = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut address).expect("a line");
    // It has none for what is refused.
    if !address.is_empty() {
        let (host, path) = place(address.trim_end(), UI);
        assert!(get(host, path, Some(UI)).0.starts_with("HTTP/1.1 200"), "{what}");
    }
    let output = child.wait_with_output().expect("ended");
    let (code, errors) = (output.status.code(), stderr(&output));
    assert!(matches!(code, Some(0 | 1 | 3)), "{what}: open: {}: {errors}", output.status);
    assert!(code != Some(1) || address.is_empty(), "{what}: open: {errors}");
}

/// Runs every verb on the file; each must end by itself, with one line of error at the most.
#[track_caller]
fn survives(folder: &Folder, verbs: &[&[&str]], what: &str, bytes: &[u8]) {
    folder.write("hostile.trace", bytes);
    let begin = Instant::now();
    for verb in verbs {
        let output = run(folder, &[verb, &["hostile.trace"][..]].concat());
        let errors = stderr(&output);
        let code = output.status.code();
        assert!(matches!(code, Some(0 | 1 | 3)), "{what}: {verb:?}: {}: {errors}", output.status);
        // `repair` has a line for what it saved, too.
        assert!(errors.lines().count() <= 2 && errors.len() < 400, "{what}: {verb:?}: {errors}");
        assert!(
            code != Some(1) || errors.starts_with("tracer: hostile.trace: "),
            "{what}: {verb:?}: {errors}"
        );
    }
    for verb in PIPED {
        run_piped(folder, "hostile.trace", DATA_BYTES, &[verb, "-"], what);
    }
    let runs = verbs.len() + PIPED.len();
    let each = begin.elapsed() / u32::try_from(runs).expect("a few");
    println!("{what}: {} bytes, {runs} verbs, {each:?} each", bytes.len());
}

/// The report of `verify` about the file, which must name what is wrong.
#[track_caller]
fn verify_names(folder: &Folder, what: &str, expected: &str) {
    let output = run(folder, &["verify", "hostile.trace"]);
    let report = std::fs::read_to_string(folder.path("out")).expect("UTF-8") + &stderr(&output);
    assert!(report.contains(expected), "{what}: {expected:?} was expected: {report}");
    assert!(matches!(output.status.code(), Some(1 | 3)), "{what}: {}", output.status);
}

/// A plane of `bytes` that are a zstd frame.
fn packed(bytes: &[u8]) -> Vec<u8> {
    let frame = zstd::bulk::compress(bytes, 3).expect("compressed");
    let mut plane = vec![2];
    varint(&mut plane, frame.len() as u64);
    plane.extend(frame);
    plane
}

/// A zstd frame that claims `len` bytes, as a plane.
fn bomb(len: u64) -> Vec<u8> {
    let frame = zeros_frame(len, 200);
    let mut plane = vec![2];
    varint(&mut plane, frame.len() as u64);
    plane.extend(frame);
    plane
}

/// Files of 1 KB at the most: what no writer would write, and what `verify` says of it.
fn small_files() -> Vec<(&'static str, Hostile, &'static str)> {
    let (content, _) = events_of_constants(1, 1);
    let mut claimed = Hostile::new().defined(1);
    claimed.header(kind::EVENTS, |header| header.count = u32::MAX.into());
    let at = |hostile: &Hostile| hostile.bytes.len() as u64;
    let listed = Hostile::new().defined(1);
    let offset = at(&listed);
    let mut definitions = Vec::new();
    varint(&mut definitions, MAX_DEFINITIONS_BYTES as u64);
    definitions.extend(bomb(100_000_000_000));
    vec![
        ("a block that claims 2^32 events", claimed, "limit"),
        (
            "a footer that claims 2^60 events",
            Hostile::new().defined(1).block(kind::EVENTS, 1, &content).footer(|footer| {
                footer.events = (1 << 60).into();
            }),
            "the footer has the wrong number of events",
        ),
        (
            "an index that claims 2^32 events for every block",
            listed.block(kind::EVENTS, 1, &content).index_of_rows(1, |row| {
                (row.offset, row.kind, row.count) = (offset.into(), kind::EVENTS, u32::MAX.into());
                row.stored_bytes = u32::try_from(content.len()).expect("a few").into();
            }),
            "index",
        ),
        (
            "definitions that are 100 GB when unpacked",
            Hostile::new().block(kind::DEFINITIONS, 1, &definitions),
            "damaged",
        ),
        (
            "an index that is 100 GB when unpacked",
            Hostile::new().index_of(9, &bomb(100_000_000_000)),
            "index",
        ),
        (
            "an index that points to itself",
            Hostile::new().index(9, |row, at| row.offset = at.into()),
            "index",
        ),
        ("an index of 2^32 rows", Hostile::new().index_of(u32::MAX, &[0, 0]), "index"),
        (
            "a footer whose file would be 2^60 bytes",
            Hostile::new().footer(|footer| footer.trace_bytes = (1 << 60).into()),
            "footer",
        ),
    ]
}

#[test]
fn small_hostile_files_cost_one_line_and_little_memory() {
    let folder = Folder::new("hostile-small");
    for (what, hostile, expected) in small_files() {
        assert!(hostile.bytes.len() < 1500, "{what}: {} bytes", hostile.bytes.len());
        survives(&folder, VERBS, what, &hostile.bytes);
        verify_names(&folder, what, expected);
    }
}

/// A block of definitions of this kind, with ids from 0 on.
fn definitions(hostile: Hostile, number: u8, bodies: &[Vec<u8>]) -> Hostile {
    let mut all = Vec::new();
    for (id, body) in bodies.iter().enumerate() {
        all.push(number);
        varint(&mut all, id as u64);
        varint(&mut all, body.len() as u64);
        all.extend(body);
    }
    assert!(all.len() <= MAX_DEFINITIONS_BYTES);
    let mut content = Vec::new();
    varint(&mut content, all.len() as u64);
    content.extend(packed(&all));
    let count = u32::try_from(bodies.len()).expect("few");
    hostile.block(kind::DEFINITIONS, count, &content)
}

/// The body of a process with the longest command line there can be: 1 MiB.
fn long_process() -> Vec<u8> {
    let mut body = vec![0; 6];
    varint(&mut body, MAX_COMMAND_WORDS as u64);
    for _ in 0..MAX_COMMAND_WORDS {
        varint(&mut body, MAX_NAME_BYTES as u64 - 16);
        body.extend([b'x'; MAX_NAME_BYTES - 16]);
    }
    body
}

/// Larger files, whose size alone would allow more than is good.
fn large_files() -> Vec<(&'static str, Hostile)> {
    let process = long_process();
    let long = (0..200).fold(Hostile::new(), |hostile, _| definitions(hostile, 2, &vec![process.clone(); 3]));
    let parts = (0..3).fold(Hostile::empty(), |hostile, part| {
        definitions(hostile.part(part), 2, &vec![process.clone(); 3])
    });
    // A row for every 72 bytes, which is what sound blocks without content would take.
    let rows = 200_000;
    let mut listed = Hostile::new();
    listed.bytes.resize(32 + 72 * rows, 0);
    let listed = listed.index_of(u32::try_from(rows).expect("fits"), &packed(&vec![0; 56 * rows]));
    vec![
        ("the longest definitions, again and again", long),
        ("the longest definitions in each of 3 parts", parts),
        ("an index of 200000 rows that all point to the beginning", listed),
    ]
}

#[test]
fn large_hostile_files_cost_little_memory() {
    let folder = Folder::new("hostile-large");
    for (what, hostile) in large_files() {
        survives(&folder, VERBS, what, &hostile.bytes);
    }
}

#[test]
fn blocks_that_are_all_of_one_time_are_not_kept_all_at_once() {
    let folder = Folder::new("hostile-at-once");
    let (content, _) = events_of_constants(MAX_BLOCK_EVENTS, 4);
    // Decoded, they are some 200 MB.
    let hostile =
        (0..40).fold(Hostile::new().defined(4), |hostile, _| hostile.block(kind::EVENTS, 65_536, &content));
    let verbs: &[&[&str]] = &[&["verify"], &["info", "--counts"], &["replay", "-e", "no:such"]];
    survives(&folder, verbs, "40 blocks of 65536 events, all at one time", &hostile.bytes);
}

/// Runs every verb on a sound file that has very many of something: what grows with the square of a count, or keeps much for
/// each, ends there. The unoptimized build gets an eighth of it.
fn bears(folder: &Folder, file: &str, verbs: &[&[&str]], what: &str, bytes: &[u8]) {
    assert!(bytes.len() < 1_000_000, "{what}: {} bytes", bytes.len());
    folder.write(file, bytes);
    let data_bytes = DATA_BYTES + DATA_PER_BYTE * bytes.len() as u64;
    let mut slowest = (Duration::ZERO, "");
    for verb in verbs {
        let begin = Instant::now();
        let output = run_with(folder, data_bytes, &[verb, &[file][..]].concat());
        slowest = slowest.max((begin.elapsed(), verb[0]));
        let (errors, code) = (stderr(&output), output.status.code());
        assert!(matches!(code, Some(0 | 1 | 3)), "{what}: {verb:?}: {}: {errors}", output.status);
        // What is lost has a line of its own, as has a budget that is broken.
        assert!(code != Some(1) || matches!(errors.lines().count(), 1 | 2), "{what}: {verb:?}: {errors}");
        assert!(errors.lines().all(|line| line.len() < 2000), "{what}: {verb:?}: {errors}");
        // Several traces together, or a budget.
        let is_of_more = verb[0] == "merge" || verb.contains(&"--fail-if");
        let is_named = is_of_more || errors.starts_with(&format!("tracer: {file}: "));
        assert!(code != Some(1) || is_named, "{what}: {verb:?}: {errors}");
    }
    println!("{what}: {} bytes, {} verbs, slowest {} {:?}", bytes.len(), verbs.len(), slowest.1, slowest.0);
}

fn few(count: u32) -> u32 {
    if cfg!(debug_assertions) { count / 8 } else { count }
}

#[test]
fn very_many_of_anything_cost_little() {
    let folder = Folder::new("hostile-many");
    let all = [VERBS, MORE_VERBS].concat();
    for (number, many) in many::TRACES.iter().enumerate() {
        let count = few(many.count);
        // The unoptimized build runs every other verb, each with every other file.
        let step = if cfg!(debug_assertions) { 2 } else { 1 };
        let verbs: Vec<&[&str]> = all.iter().skip(number % step).step_by(step).copied().collect();
        let (what, bytes) = (format!("{count} {}", many.what), many.trace(count));
        bears(&folder, "hostile.trace", &verbs, &what, &bytes);
        if number % step == 0 {
            let data_bytes = DATA_BYTES + DATA_PER_BYTE * bytes.len() as u64;
            COMING.iter().for_each(|verb| run_piped(&folder, "hostile.trace", data_bytes, verb, &what));
            run_open(&folder, "hostile.trace", data_bytes, &what);
        }
    }
}

#[test]
fn very_many_of_anything_in_a_log_cost_little() {
    let folder = Folder::new("hostile-lines");
    for many in lines::LOGS {
        let count = few(many.count);
        let verbs: &[&[&str]] = &[&["import", "-fo", "out.trace"]];
        bears(&folder, "hostile.log", verbs, &format!("{count} {}", many.what), (many.log)(count).as_bytes());
    }
}

/// Files with stages and budgets, which come from others as traces do: what their parser keeps is much more than they are long.
#[test]
fn files_of_stages_and_budgets_cost_little() {
    let folder = Folder::new("hostile-stages");
    folder.write("run.trace", many::TRACES[0].trace(20));
    let in_all = |text: &str| text.repeat((1 << 18) / text.len() - 1);
    let texts = [
        ("arrays in arrays", format!("a = {}", in_all("["))),
        ("tables in tables", format!("a = {}", in_all("{a="))),
        ("keys in keys", in_all("a.") + "a = 1"),
        ("headers in headers", format!("[{}a]", in_all("a."))),
        ("empty tables", format!("a = [{}]", in_all("{},"))),
        ("names of a stage's probes", format!("[stages]\nx = \"a:b{} -> a:c by seq\"", "|b".repeat(130_000))),
        ("keys of a stage", format!("[stages]\nx = \"a:b -> a:c by {}arg1\"", "arg0,".repeat(52_000))),
        ("more than there may be", in_all("a") + "aaaa"),
    ];
    for (what, text) in texts {
        folder.write("hostile.toml", text.as_bytes());
        for option in ["--stages", "--budget", "--preset"] {
            let file = if option == "--preset" { "./hostile.toml" } else { "hostile.toml" };
            let output = run(&folder, &["analyze", option, file, "run.trace"]);
            let errors = stderr(&output);
            assert_eq!(output.status.code(), Some(1), "{what}: {option}: {errors}");
            assert!(errors.lines().count() == 1 && errors.len() < 400, "{what}: {option}: {errors}");
        }
    }
}
