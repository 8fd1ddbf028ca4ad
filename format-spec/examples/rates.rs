//! Prints for each trace how quickly its events are decoded and encoded again, on one core.
//!
//! `cargo run --release -p tracer-format --example rates TRACE...` prints `TRACE EVENTS BYTES ENCODE DECODE`, the rates in millions
//! of events a second of CPU time.

use std::sync::Arc;

use tracer_format::{
    ArgKind, BlockDecoder, Columns, Definition, Firing, Host, Process, Site, Trace, Writer, WriterOptions,
};

/// Measured at least so long, this many times; the best counts, because other work only makes it slower.
const MEASURED_NS: u64 = 300_000_000;
const RUNS: usize = 5;

fn main() {
    for path in std::env::args().skip(1) {
        let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let trace = Trace::open(&bytes).unwrap_or_else(|error| panic!("{path}: {error}"));
        let (mut decoder, mut columns) = (BlockDecoder::default(), Columns::default());
        let mut decode = || {
            for block in &trace.blocks {
                trace.decode(block, &mut decoder, &mut columns).expect("sound");
            }
        };
        let decoded = rate(trace.events(), &mut decode);
        let blocks: Vec<Columns> = trace
            .blocks
            .iter()
            .map(|block| {
                let mut columns = Columns::default();
                trace.decode(block, &mut decoder, &mut columns).expect("sound");
                columns
            })
            .collect();
        let encoded = rate(trace.events(), &mut || drop(write(&trace, &blocks)));
        println!("{path} {} {} {encoded:.1} {decoded:.1}", trace.events(), bytes.len());
    }
}

/// Writes all events anew, as a recorder does: one by one, strings as they come.
fn write(trace: &Trace<'_>, blocks: &[Columns]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), WriterOptions::default()).expect("in memory");
    let all = &trace.definitions;
    let hosts = all.hosts.iter().map(|host| Definition::Host(Host::clone(host).into()));
    let processes = all.processes.iter().map(|process| Definition::Process(Process::clone(process).into()));
    let threads = all.threads.iter().cloned().map(Definition::Thread);
    let sites = all.sites.iter().map(|site| Definition::Site(Site::clone(site).into()));
    for definition in hosts.chain(processes).chain(threads).chain(sites) {
        writer.define(definition).expect("in memory");
    }
    let strings = |site: &Arc<Site>| {
        site.args
            .iter()
            .enumerate()
            .filter(|(_, kind)| **kind == ArgKind::Str)
            .fold(0_u16, |bits, (arg, _)| bits | 1 << arg)
    };
    let strings: Vec<u16> = all.sites.iter().map(strings).collect();
    let mut values = Vec::new();
    for columns in blocks {
        for row in 0..columns.len() {
            let site = columns.site[row];
            values.clear();
            values.extend_from_slice(columns.row_values(row));
            let mut left = strings[site.index()];
            while left != 0 {
                let arg = left.trailing_zeros() as usize;
                values[arg] = columns.string(values[arg]).map_or(u64::MAX, |string| writer.intern(string));
                left &= left - 1;
            }
            let (time_ns, thread, cpu) = (columns.time_ns[row], columns.thread[row], columns.cpu[row]);
            let unreadable = columns.row_unreadable(row);
            let event = Firing { time_ns, thread, site, cpu, unreadable, values: &values };
            writer.push(&event).expect("in memory");
        }
    }
    writer.finish().expect("in memory")
}

/// CPU time of this process, ns: other work on the machine disturbs it less than it does a clock.
fn cpu_ns() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/schedstat").expect("Linux");
    stat.split(' ').next().and_then(|ns| ns.parse().ok()).expect("a number of ns")
}

/// Millions of events a second of CPU time.
fn rate(events: u64, run: &mut dyn FnMut()) -> f64 {
    let mut once = || {
        let (begin, mut runs) = (cpu_ns(), 0.0);
        while cpu_ns() - begin < MEASURED_NS {
            run();
            runs += 1.0;
        }
        (cpu_ns() - begin) as f64 / runs
    };
    let best = (0..RUNS).map(|_| once()).fold(f64::INFINITY, f64::min);
    events as f64 * 1e3 / best
}
