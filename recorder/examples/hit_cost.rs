//! What one hit costs the traced program: each shape of site beside an empty program on the same probe, taking turns
//! in one process, so that the machine's moods touch all alike.
//!
//! usage: `hit_cost [HITS [ROUNDS]]` as root; prints the median CPU time per hit in ns, and its ratio to the floor.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tracer_recorder::drain::merge::Merge;
use tracer_recorder::drain::{Batch, Drain};
use tracer_recorder::find::binary::Binary;
use tracer_recorder::kernel::link::{self, AttachMode, Place};
use tracer_recorder::kernel::program::{self, Program, ProgramOptions};
use tracer_recorder::site::plan::Plan;

/// Probes of [`target`] and what they stand for.
const DESIGNS: [(&str, &str); 5] = [
    ("floor", "empty program"),
    ("none", "no argument"),
    ("one", "one argument"),
    ("four", "four arguments"),
    ("text", "one string of 20 bytes"),
];

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let number =
        |at: usize, default: u32| arguments.get(at).map_or(default, |text| text.parse().expect("a number"));
    match arguments.get(1).map(String::as_str) {
        Some("target") => target(),
        _ => measure(number(1, 100_000), number(2, 25)),
    }
}

/// The traced program: for each line "PROBE HITS" fires that often and prints the CPU time, ns.
fn target() {
    let text = c"a string of 20 bytes".as_ptr();
    for line in std::io::stdin().lines().map_while(Result::ok) {
        let (name, hits) = line.split_once(' ').expect("a probe and a number");
        let hits: u64 = hits.parse().expect("a number");
        let begin = cpu_ns();
        match name {
            "floor" => (0..hits).for_each(|i| probe::probe!(hit_cost, floor, i)),
            "none" => (0..hits).for_each(|_| probe::probe!(hit_cost, none)),
            "one" => (0..hits).for_each(|i| probe::probe!(hit_cost, one, i)),
            "four" => (0..hits).for_each(|i| probe::probe!(hit_cost, four, i, i + 1, i + 2, i + 3)),
            _ => (0..hits).for_each(|_| probe::probe!(hit_cost, text, text)),
        }
        println!("{}", cpu_ns() - begin);
    }
}

fn cpu_ns() -> i64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}

fn measure(hits: u32, rounds: u32) {
    let path = std::env::current_exe().expect("a path");
    let options = ProgramOptions {
        lane_slots: 128 << 10,
        ring_bytes: 4 << 20,
        only_admitted: false,
        one_by_one: false,
    };
    let program = Program::load(&options).expect("root and eBPF");
    let empty = program::load_empty().expect("root and eBPF");
    let links = attach_all(&program, empty.as_fd(), &path);
    let mut drain = Drain::new(&program).expect("memory");
    let mut child = Command::new(&path)
        .arg("target")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a process");
    let mut input = child.stdin.take().expect("piped");
    let mut output = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut run = |name: &str| -> f64 {
        writeln!(input, "{name} {hits}").expect("the target reads");
        let line = output.next().expect("an answer").expect("text");
        line.parse::<f64>().expect("a number") / f64::from(hits)
    };

    let mut costs = [const { Vec::new() }; DESIGNS.len()];
    let done = AtomicBool::new(false);
    let (events, lost, drain_ns) = std::thread::scope(|scope| {
        let reader = scope.spawn(|| read(&mut drain, &done));
        for _ in 0..rounds {
            DESIGNS.iter().zip(&mut costs).for_each(|((name, _), costs)| costs.push(run(name)));
        }
        drop(links);
        done.store(true, Ordering::Relaxed);
        reader.join().expect("no panic")
    });
    drop(input);
    child.wait().expect("the target ends");

    let fired = u64::from(hits) * u64::from(rounds) * (DESIGNS.len() as u64 - 1);
    println!(
        "{fired} fired, {events} recorded, {lost} lost; draining and merging {drain_ns:.1} ns of CPU an event"
    );
    let floor = costs[0].clone();
    for ((name, meaning), costs) in DESIGNS.iter().zip(costs) {
        let ratios = costs.iter().zip(&floor).map(|(cost, floor)| cost / floor).collect();
        println!("{name:<6} {meaning:<24} {:>7.1} ns {:>6.3} x floor", median(costs), median(ratios));
    }
    assert_eq!(events + lost, fired, "fired = recorded + lost");
}

fn attach_all(program: &Program, empty: std::os::fd::BorrowedFd<'_>, path: &Path) -> Vec<link::Link> {
    let requests = ["hit_cost:*".parse().expect("a pattern")];
    let (binary, _) = Binary::read(File::open(path).expect("a file"), path, &requests).expect("an ELF file");
    let sites = binary.expect("probes").sites;
    sites
        .iter()
        .map(|site| {
            let mut arguments = site.arguments.clone();
            if site.probe == "text" {
                arguments[0].kind = tracer_format::ArgKind::Str;
            }
            let (_, spec) = Plan::new(&arguments, &[]);
            let id = program.add_site(&spec).expect("room");
            let place = [Place { offset: site.offset, semaphore_offset: site.semaphore_offset, site: id }];
            if site.probe == "floor" {
                return link::attach_empty(empty, path, &place).expect("attached");
            }
            link::attach(program, AttachMode::Auto, path, &place).expect("attached")
        })
        .collect()
}

/// Drains until `done`; returns events, lost events and its own CPU time for each event in ns.
fn read(drain: &mut Drain, done: &AtomicBool) -> (u64, u64, f64) {
    let (mut batch, mut merge) = (Batch::default(), Merge::default());
    let (mut events, mut lost) = (0, 0);
    loop {
        let last = done.load(Ordering::Relaxed);
        let all = drain.collect(16, &mut batch).expect("readable");
        if last && all {
            drain.read_losses(16, &mut batch).expect("readable");
        }
        merge.push(&mut batch);
        while merge.next(if last && all { u64::MAX } else { batch.complete_ns }).is_some() {
            events += 1;
        }
        lost += batch.losses.iter().map(|loss| loss.count).sum::<u64>();
        if last && all {
            return (events, lost, cpu_ns() as f64 / events as f64);
        }
        if all {
            drain.wait(Duration::from_millis(100)).expect("epoll");
        }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
