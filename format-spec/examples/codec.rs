//! Prints bytes per event and encode and decode rates of the trace file for synthetic workloads.
//!
//! `cargo run --release -p tracer-format --example codec [EVENTS]`

use tracer_format::{
    ArgKind, BlockDecoder, Columns, Definition, Firing, Process, ProcessId, Site, SiteId, Thread, ThreadId,
    Trace, Writer, WriterOptions,
};

/// A small generator of numbers (xorshift64*), so that every run writes the same events.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// A spread of times as real ones have: the middle is likely, long ones are rare.
    fn jitter(&mut self, mean: u64) -> u64 {
        let sum: u64 = (0..4).map(|_| self.below(mean)).sum();
        sum / 2 + if self.below(50) == 0 { self.below(mean * 8) } else { 0 }
    }
}

struct Workload {
    name: &'static str,
    threads: u32,
    sites: u32,
    /// Time, thread, site, processor, sequence number.
    events: Vec<(u64, u32, u32, u16, u64)>,
    /// Strings of a second argument; none: there is no second argument.
    strings: Vec<String>,
}

fn tight_loop(count: u64) -> Workload {
    let mut random = Random(1);
    let mut time_ns = 1_000_000_000_000;
    let mut next = |seq| {
        time_ns += 780 + random.below(40) + if random.below(1000) == 0 { random.below(20_000) } else { 0 };
        (time_ns, 0, 0, 0, seq)
    };
    let events = (0..count).map(&mut next).collect();
    Workload { name: "tight loop", threads: 1, sites: 1, events, strings: Vec::new() }
}

/// Buffers through source, workers of the processor, sink; every time has jitter.
fn pipeline(name: &'static str, workers: u32, count: u64) -> Workload {
    let mut random = Random(2);
    let mut events = Vec::new();
    let mut free_ns = vec![1_000_000_000_000_u64; workers as usize];
    let mut source_ns = 1_000_000_000_000_u64;
    for seq in 0..count / 6 {
        source_ns += random.jitter(50_000 / u64::from(workers));
        let worker = (0..workers).min_by_key(|&worker| free_ns[worker as usize]).unwrap_or(0);
        let cpu = |thread: u32, random: &mut Random| {
            let cpu = if random.below(40) == 0 { random.below(8) } else { u64::from(thread % 8) };
            u16::try_from(cpu).expect("below 8")
        };
        let start = free_ns[worker as usize].max(source_ns) + random.jitter(3_000);
        let thread = 1 + worker;
        let awe = start + random.jitter(20_000);
        let writing = awe + random.jitter(1_000);
        let done = writing + random.jitter(20_000);
        free_ns[worker as usize] = done;
        events.push((source_ns, 0, 0, cpu(0, &mut random), seq));
        for (site, time_ns) in [(1, start), (2, awe), (3, writing), (4, done)] {
            events.push((time_ns, thread, site, cpu(thread, &mut random), seq));
        }
        let sink = workers + 1;
        events.push((done + random.jitter(3_000), sink, 5, cpu(sink, &mut random), seq));
    }
    events.sort_unstable();
    Workload { name, threads: workers + 2, sites: 6, events, strings: Vec::new() }
}

/// As the processor of buffers with a name each: a number, and a string of a few dozen.
fn strings(count: u64) -> Workload {
    let mut work = pipeline("pipeline with strings", 4, count);
    work.strings = (0..48).map(|k| format!("/dev/video{}/plane{}", k / 3, k % 3)).collect();
    work
}

fn write(work: &Workload, options: WriterOptions) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), options).expect("in memory");
    for id in 0..work.threads {
        let process = Process { pid: 1000 + id, ..Process::default() };
        writer.define(Definition::Process(process.into())).expect("in memory");
        writer
            .define(Definition::Thread(Thread { process: ProcessId(id), tid: 1000 + id }))
            .expect("in memory");
    }
    let with_string = !work.strings.is_empty();
    for id in 0..work.sites {
        let mut args = vec![ArgKind::Signed(8)];
        args.extend(with_string.then_some(ArgKind::Str));
        let site = Site { probe: format!("p{id}").into(), args: args.into(), ..Site::default() };
        writer.define(Definition::Site(site.into())).expect("in memory");
    }
    for &(time_ns, thread, site, cpu, seq) in &work.events {
        let mut values = [seq, 0];
        if with_string {
            let string = &work.strings[(seq * 7 % 48) as usize];
            values[1] = writer.intern(string.as_bytes());
        }
        let values = &values[..1 + usize::from(with_string)];
        writer
            .push(&Firing {
                time_ns,
                thread: ThreadId(thread),
                site: SiteId(site),
                cpu,
                unreadable: 0,
                values,
            })
            .expect("in memory");
    }
    writer.finish().expect("in memory")
}

fn read(bytes: &[u8]) -> u64 {
    let trace = Trace::open(bytes).expect("just written");
    let (mut decoder, mut columns, mut sum) = (BlockDecoder::default(), Columns::default(), 0_u64);
    for block in &trace.blocks {
        trace.decode(block, &mut decoder, &mut columns).expect("just written");
        sum += columns.len() as u64;
    }
    sum
}

/// CPU time of this process, ns, in steps of some ms: other work on the machine disturbs it less than it does a clock.
fn cpu_ns() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/schedstat").expect("Linux");
    stat.split(' ').next().and_then(|ns| ns.parse().ok()).expect("a number of ns")
}

/// Events a second, in millions: the best of some runs.
fn rate(events: usize, mut run: impl FnMut()) -> f64 {
    let one_run = |run: &mut dyn FnMut()| {
        let (begin, mut runs) = (cpu_ns(), 0.0);
        while cpu_ns() - begin < MEASURED_NS {
            run();
            runs += 1.0;
        }
        (cpu_ns() - begin) as f64 / runs
    };
    let best = (0..RUNS).map(|_| one_run(&mut run)).fold(f64::INFINITY, f64::min);
    events as f64 * 1e3 / best
}

const RUNS: usize = 5;
const MEASURED_NS: u64 = 300_000_000;

fn measure(work: &Workload, label: &str, options: WriterOptions) {
    let bytes = write(work, options);
    assert_eq!(read(&bytes), work.events.len() as u64);
    let encode = rate(work.events.len(), || drop(write(work, options)));
    let decode = rate(work.events.len(), || assert!(read(&bytes) > 0));
    let per_event = bytes.len() as f64 / work.events.len() as f64;
    println!("| {label} | {per_event:.2} | {encode:.1} | {decode:.1} |");
}

fn main() {
    let count = std::env::args().nth(1).map_or(1_000_000, |arg| arg.parse().expect("a number of events"));
    let works = [
        tight_loop(count),
        pipeline("jittery pipeline", 1, count),
        pipeline("pipeline, 32 workers", 32, count),
        strings(count),
    ];
    println!("| workload | bytes an event | encode, M events/s | decode, M events/s |");
    println!("|---|---|---|---|");
    for work in &works {
        measure(work, work.name, WriterOptions::default());
    }
    println!("\n| jittery pipeline | bytes an event | encode, M events/s | decode, M events/s |");
    println!("|---|---|---|---|");
    for level in [-5, -1, 1, 2, 3, 5, 9] {
        measure(&works[1], &format!("level {level}"), WriterOptions { level, ..WriterOptions::default() });
    }
    for block_events in [1 << 8, 1 << 10, 1 << 12, 1 << 14, 1 << 15, 1 << 16] {
        let options = WriterOptions { block_events, ..WriterOptions::default() };
        measure(&works[1], &format!("{block_events} events a block"), options);
    }
}
