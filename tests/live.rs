//! The recorder on real probes of real processes, with eBPF: needs root (see `tool::live`).
#![cfg(target_os = "linux")]

mod tool;

use std::collections::HashMap;
use std::fs::File;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tool::{Folder, Recording, compile_c, events, live, sample, stderr, stdout};

/// How often each probe fired, from what the demo programs print.
fn fired(output: &str) -> HashMap<String, u64> {
    let lines = output.lines().filter_map(|line| line.strip_prefix("fired "));
    lines
        .filter_map(|line| line.split_once(' '))
        .map(|(probe, n)| (probe.to_owned(), n.parse().expect("a number")))
        .collect()
}

/// The demo pipeline at work, with its processor and sink; ends with the test.
struct Pipeline(std::process::Child);

impl Pipeline {
    fn start(args: &[&str]) -> Self {
        let child =
            Command::new(sample("pipeline")).args(args).stdin(Stdio::null()).stderr(Stdio::null()).spawn();
        let pipeline = Self(child.expect("the pipeline runs"));
        // Its programs are found once they run.
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(10) {
            let children = format!("/proc/{0}/task/{0}/children", pipeline.0.id());
            let pids = std::fs::read_to_string(children).unwrap_or_default();
            let executed = |pid: &str| {
                std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| !exe.ends_with("pipeline"))
            };
            if pids.split_whitespace().filter(|pid| executed(pid)).count() == 3 {
                return pipeline;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("the pipeline does not start");
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

#[test]
fn every_firing_of_the_pipeline_is_recorded_or_reported_lost() {
    let Some(_alone) = live() else { return };
    let folder = Folder::new("pipeline");
    // Attached by inode: it is enough that the programs ran once.
    let warm = Pipeline::start(&["--rate", "100"]);
    let recording = Recording::start(&folder, &["-o", "run.trace"]);
    drop(warm);
    let output = Command::new(sample("pipeline"))
        .args(["--count", "100000", "--rate", "0", "--awe", "0", "--writing", "0"])
        .output()
        .expect("the pipeline runs");
    let summary = recording.stop();
    assert_eq!(summary.status.code(), Some(0), "nothing lost at default settings: {}", stderr(&summary));
    let log = stdout(&folder.tracer(&["replay", "run.trace"]), 0);
    let events = events(&log);
    // The pipeline that only warmed up is of other processes.
    let pids: HashMap<&String, u32> = events.iter().map(|event| (&event.2, event.1)).collect();
    let fired = fired(&stderr(&output));
    assert_eq!(fired.len(), 6, "{fired:?}");
    for (probe, fired) in fired {
        let recorded = events.iter().filter(|event| event.3 == probe && pids[&event.2] == event.1).count();
        assert_eq!(recorded as u64, fired, "{probe}");
    }
}

#[test]
fn the_printed_log_is_the_replayed_log() {
    let Some(_alone) = live() else { return };
    let folder = Folder::new("print");
    let _pipeline =
        Pipeline::start(&["--rate", "2000", "--awe", "50us", "--writing", "20us", "--workers", "3"]);
    let printed = folder.tracer(&["record", "-o", "run.trace", "--print", "--duration", "1500ms"]);
    let printed = stdout(&printed, 0);
    assert!(events(&printed).len() > 5000, "{} events", events(&printed).len());
    assert!(stdout(&folder.tracer(&["replay", "run.trace"]), 0) == printed, "the logs differ");
    let times: Vec<u64> = events(&printed).iter().map(|event| event.0).collect();
    assert!(times.is_sorted());
}

#[test]
fn programs_started_while_recording_are_found() {
    let Some(_alone) = live() else { return };
    let folder = Folder::new("later");
    let output = File::create(folder.path("printed")).expect("created");
    let args = ["record", "-o", "run.trace", "--wait", "--print", "--duration", "4s"];
    let recorder = folder.command(&args).stdout(output).stderr(Stdio::piped()).spawn().expect("tracer runs");
    std::thread::sleep(Duration::from_millis(1000));
    let pipeline = Pipeline::start(&["--rate", "500", "--awe", "50us", "--writing", "20us"]);
    let summary = recorder.wait_with_output().expect("ended");
    drop(pipeline);
    assert_eq!(summary.status.code(), Some(0), "{}", stderr(&summary));
    let printed = std::fs::read_to_string(folder.path("printed")).expect("UTF-8");
    for (index, probe) in
        ["beg_global", "beg_awe", "end_awe", "beg_writing", "end_writing", "end_global"].iter().enumerate()
    {
        assert_eq!(printed.matches(&format!("Found probe {probe:<35} in")).count(), 1, "{probe} {index}");
        assert!(events(&printed).iter().any(|event| event.3 == format!("buffer_tracker:{probe}")), "{probe}");
    }
    assert!(stdout(&folder.tracer(&["replay", "run.trace"]), 0) == printed, "the logs differ");
}

#[test]
fn the_children_of_a_command_are_recorded() {
    let Some(_alone) = live() else { return };
    let folder = Folder::new("children");
    let pipeline = sample("pipeline");
    let pipeline = pipeline.to_str().expect("UTF-8");
    let output =
        folder.tracer(&["record", "-o", "run.trace", "--", pipeline, "--rate", "500", "--count", "1000"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let log = stdout(&folder.tracer(&["replay", "run.trace"]), 0);
    let last = events(&log)
        .into_iter()
        .rev()
        .find(|event| event.3 == "buffer_tracker:end_global")
        .expect("an event");
    assert_eq!(last.4, "1000");
}

#[test]
fn loss_is_counted_exactly_and_stands_at_its_place() {
    let Some(_alone) = live() else { return };
    let folder = Folder::new("loss");
    // Attached by inode; this one only waits.
    let mut warm =
        Command::new(sample("hammer")).args(["--wait"]).stdin(Stdio::piped()).spawn().expect("hammer runs");
    // Far too small for two threads at full rate.
    let args = ["-o", "run.trace", "-e", "hammer:*", "--ring-size", "4K", "--print"];
    let live = folder.path("printed");
    let mut command = folder.command(&["record"]);
    let file = File::create(&live).expect("created");
    let recorder = command.args(args).stdout(file).stderr(Stdio::piped()).spawn().expect("tracer runs");
    let begun = Instant::now();
    while std::fs::metadata(&live).expect("there").len() == 0 {
        assert!(begun.elapsed() < Duration::from_secs(30), "tracer record is not ready");
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(200));
    let output =
        Command::new(sample("hammer")).args(["--count", "400000", "--threads", "2"]).output().expect("runs");
    warm.kill().and_then(|()| warm.wait()).expect("gone");
    let summary = Recording { child: recorder }.stop();
    assert_eq!(summary.status.code(), Some(3), "{}", stderr(&summary));
    let log = stdout(&folder.tracer(&["replay", "run.trace"]), 3);
    assert!(std::fs::read_to_string(&live).expect("UTF-8") == log, "the logs differ");
    let lost: u64 = log
        .lines()
        .filter_map(|line| line.split_once("] Lost ")?.1.split_once(' ')?.0.parse::<u64>().ok())
        .sum();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned() + &stderr(&output);
    let fired: u64 = fired(&printed).values().sum();
    assert_eq!(fired, 800_000);
    assert!(lost > 0, "nothing was lost");
    assert_eq!(events(&log).len() as u64 + lost, fired);
    assert!(stdout(&folder.tracer(&["info", "run.trace"]), 3).contains(&lost.to_string()));
}

const ARGUMENTS: &str = r#"
#include <stdint.h>
#include <sys/sdt.h>

volatile int64_t memory[4] = {0, -7000000000, 0, 0};
volatile int32_t word = -5;
volatile uint16_t half = 65000;
volatile int8_t byte = -100;

__attribute__((noinline)) void fire(int8_t a, uint8_t b, int16_t c, uint16_t d, int32_t e, uint32_t f, int64_t g, uint64_t h) {
    DTRACE_PROBE8(widths, registers, a, b, c, d, e, f, g, h);
    DTRACE_PROBE4(widths, memory, memory[1], word, half, byte);
    DTRACE_PROBE4(widths, constants, 42, -1, 7000000000L, (uint8_t)200);
    DTRACE_PROBE(widths, nothing);
}

int main(void) {
    for (int i = 0; i < 3; i++)
        fire(-1, 255, -2, 65535, -3 - i, 4000000000u, INT64_MIN, UINT64_MAX);
    return 7;
}
"#;

#[test]
fn arguments_of_every_place_and_width_have_the_right_values() {
    let Some(_alone) = live() else { return };
    for flags in [&["-O2"][..], &["-O0"], &["-O2", "-no-pie", "-fno-pie"]] {
        let folder = Folder::new("arguments");
        let program = compile_c(&folder, "widths", ARGUMENTS, flags);
        let program = program.to_str().expect("UTF-8");
        let output = folder.tracer(&["record", "-o", "w.trace", "-e", "widths:*", "--", program]);
        assert_eq!(
            output.status.code(),
            Some(7),
            "the command's exit status is passed on: {}",
            stderr(&output)
        );
        let log = stdout(&folder.tracer(&["replay", "w.trace"]), 0);
        let events = events(&log);
        assert_eq!(events.len(), 12, "{log}");
        let registers = "-1 | arg1: 255 | arg2: -2 | arg3: 65535 | arg4: -3 | arg5: 4000000000 \
                         | arg6: -9223372036854775808 | arg7: 18446744073709551615";
        let expected = [
            ("widths:registers", registers),
            ("widths:memory", "-7000000000 | arg1: -5 | arg2: 65000 | arg3: -100"),
            ("widths:constants", "42 | arg1: -1 | arg2: 7000000000 | arg3: 200"),
            ("widths:nothing", "-"),
        ];
        for (event, (probe, values)) in events.iter().zip(expected) {
            assert_eq!((&event.3[..], &event.4[..]), (probe, values), "{flags:?}");
            assert_eq!(event.2, "widths");
        }
        assert!(events[4].4.contains("arg4: -4"), "{}", events[4].4);
    }
}

#[test]
fn without_privilege_it_says_what_is_missing() {
    let Some(_alone) = live() else { return };
    let folder = Folder::new("nobody");
    let _pipeline = Pipeline::start(&["--rate", "100"]);
    folder.copy_program(tool::TRACER, "tracer");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(folder.path(""), open).expect("set");
    folder.write(
        "log",
        "[            1000] [PID:     17] worker       demo:beg_work                  | Seq: 1\n",
    );
    let run = |args: &str| {
        let script = format!("cd {} && ./tracer {args}", folder.path("").display());
        Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups", "sh", "-c", &script])
            .output()
            .expect("setpriv runs")
    };
    let output = run("record -o run.trace");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("permission denied (needs root, or CAP_BPF and CAP_PERFMON)"),
        "{}",
        stderr(&output)
    );
    assert!(!folder.path("run.trace").exists(), "an empty trace is left");
    stdout(&run("import log -o s.trace"), 0);
    assert!(stdout(&run("replay s.trace"), 0).contains("demo:beg_work"));
}

#[test]
fn a_flight_recorder_writes_the_last_seconds_when_asked() {
    let Some(_alone) = live() else { return };
    let folder = Folder::new("flight");
    let _pipeline = Pipeline::start(&["--rate", "1000", "--awe", "50us", "--writing", "20us"]);
    let recording = Recording::start(&folder, &["-o", "run.trace", "--last", "500ms"]);
    std::thread::sleep(Duration::from_millis(1500));
    recording.signal("USR1");
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(recording.stop().status.code(), Some(0));
    for file in ["run.trace", "run.1.trace"] {
        let log = stdout(&folder.tracer(&["replay", file]), 0);
        let events = events(&log);
        let (first, last) = (events.first().expect("events").0, events.last().expect("events").0);
        assert!(last - first <= 550_000_000, "{file} covers {} ns", last - first);
        // 3000 on a quiet machine; how many the pipeline fires in that time is not ours to say.
        assert!(events.len() > 300, "{file} has {} events", events.len());
        let entered = events.iter().filter(|event| event.3 == "buffer_tracker:beg_global");
        let keys: Vec<i64> = entered.map(|event| event.4.parse().expect("a number")).collect();
        assert!(keys.windows(2).all(|pair| pair[1] == pair[0] + 1), "{file} lacks a buffer in the middle");
    }
}

/// Six perf events are closed in 0.6 s, longer than what is kept.
#[test]
fn a_flight_recorder_looks_back_from_the_end_however_long_it_takes_to_detach() {
    let Some(_alone) = live() else { return };
    let folder = Folder::new("flight-perf");
    let _pipeline = Pipeline::start(&["--rate", "1000", "--awe", "50us", "--writing", "20us"]);
    let recording = Recording::start(&folder, &["-o", "run.trace", "--last", "300ms", "--attach", "perf"]);
    std::thread::sleep(Duration::from_millis(600));
    assert_eq!(recording.stop().status.code(), Some(0));
    let events = events(&stdout(&folder.tracer(&["replay", "run.trace"]), 0)).len();
    assert!(events > 100, "{events} events");
}

#[test]
fn a_slow_buffer_ends_a_flight_recording_with_its_whole_path() {
    let Some(_alone) = live() else { return };
    let folder = Folder::new("when");
    // Buffers take about 2 ms in awe; the first of over 4 ms is to be caught.
    let _pipeline =
        Pipeline::start(&["--rate", "100", "--awe", "2ms", "--writing", "100us", "--jitter", "0.5"]);
    let args = ["record", "-o", "run.trace", "--last", "5s", "--when", "awe > 4ms", "--duration", "60s"];
    let output = folder.tracer(&args);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let log = stdout(&folder.tracer(&["replay", "run.trace"]), 0);
    let mut begun = HashMap::new();
    let slow = events(&log).into_iter().find_map(|(time_ns, _, _, probe, key)| match &probe[..] {
        "buffer_tracker:beg_awe" => {
            begun.insert(key, time_ns);
            None
        }
        "buffer_tracker:end_awe" => {
            begun.remove(&key).filter(|begun| time_ns - begun > 4_000_000).map(|_| key)
        }
        _ => None,
    });
    let slow = slow.expect("the slow buffer is in the snapshot");
    let path: Vec<_> =
        events(&log).into_iter().filter(|event| event.4 == slow).map(|event| event.3).collect();
    let expected = ["beg_global", "beg_awe", "end_awe", "beg_writing", "end_writing", "end_global"];
    assert_eq!(path, expected.map(|probe| format!("buffer_tracker:{probe}")));
}

#[test]
fn a_recording_to_parquet_goes_through_a_trace() {
    let Some(_alone) = live() else { return };
    let folder = Folder::new("parquet");
    let _pipeline = Pipeline::start(&["--rate", "500", "--awe", "50us", "--writing", "20us"]);
    let recording = Recording::start(&folder, &["-o", "run.parquet"]);
    std::thread::sleep(Duration::from_millis(600));
    let journal = folder.path("run.parquet.trace");
    assert!(journal.exists(), "nothing would be left after a crash");
    assert_eq!(recording.stop().status.code(), Some(0));
    let table = std::fs::read(folder.path("run.parquet")).expect("there");
    assert!(table.starts_with(b"PAR1") && table.ends_with(b"PAR1"));
    assert!(!journal.exists());
}

#[test]
fn a_recording_ends_at_its_bounds() {
    let Some(_alone) = live() else { return };
    let folder = Folder::new("bounds");
    let _pipeline = Pipeline::start(&["--rate", "2000", "--awe", "50us", "--writing", "20us"]);
    stdout(&folder.tracer(&["record", "-o", "n.trace", "--max-events", "5000", "--duration", "60s"]), 0);
    assert_eq!(events(&stdout(&folder.tracer(&["replay", "n.trace"]), 0)).len(), 5000);
    stdout(&folder.tracer(&["record", "-o", "s.trace", "--max-size", "64K", "--duration", "60s"]), 0);
    let bytes = std::fs::metadata(folder.path("s.trace")).expect("there").len();
    assert!((16 << 10..=64 << 10).contains(&bytes), "{bytes} bytes");
}

#[test]
fn rotation_keeps_the_newest_files_and_loses_nothing_between() {
    let Some(_alone) = live() else { return };
    let folder = Folder::new("rotate");
    let _pipeline = Pipeline::start(&["--rate", "1000", "--awe", "50us", "--writing", "20us"]);
    let args = ["record", "-o", "run.trace", "--rotate", "300ms", "--keep", "3", "--duration", "2s"];
    stdout(&folder.tracer(&args), 0);
    let parts: Vec<u32> = (0..20).filter(|n| folder.path(&name(*n)).exists()).collect();
    assert_eq!(parts.len(), 3, "{parts:?}");
    let logs: Vec<_> = parts.iter().map(|n| stdout(&folder.tracer(&["replay", &name(*n)]), 0)).collect();
    let keys: Vec<i64> = logs
        .iter()
        .flat_map(|log| events(log))
        .filter(|event| event.3 == "buffer_tracker:beg_global")
        .map(|event| event.4.parse().expect("a number"))
        .collect();
    assert!(keys.len() > 100);
    assert!(keys.windows(2).all(|pair| pair[1] == pair[0] + 1), "a buffer is missing between two files");
}

fn name(part: u32) -> String {
    if part == 0 { "run.trace".to_owned() } else { format!("run.{part}.trace") }
}

#[test]
fn a_program_without_a_matching_probe_is_an_error_that_names_it() {
    let Some(_alone) = live() else { return };
    let folder = Folder::new("none");
    let output =
        folder.tracer(&["record", "-o", "run.trace", "-e", "no_such_provider:*", "--duration", "1s"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("no probe matches no_such_provider:* in any running process"),
        "{}",
        stderr(&output)
    );
    assert!(!folder.path("run.trace").exists());
    // A command may start others that have one, so it is run.
    let output = folder.tracer(&["record", "-o", "run.trace", "-e", "no_such_provider:*", "--", "true"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(stderr(&output).contains("no matching probe was found"), "{}", stderr(&output));
}
