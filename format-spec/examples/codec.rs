//! Prints bytes per event and encode and decode rates of the trace file for synthetic workloads.
//!
//! `cargo run --release -p tracer-format --example codec [EVENTS]`

use std::time::Instant;

use tracer_format::{
    ArgKind, BlockDecoder, Columns, Definition, Firing, Process, Site, Thread, Trace, Writer, WriterOptions,
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
    events: Vec<(u64, u32, u32, u16, u64)>,
}

fn tight_loop(count: u64) -> Workload {
    let mut random = Random(1);
    let mut time_ns = 1_000_000_000_000;
    let mut next = |seq| {
        time_ns += 780 + random.below(40) + if random.below(1000) == 0 { random.below(20_000) } else { 0 };
        (time_ns, 0, 0, 0, seq)
    };
    Workload { name: "tight loop", threads: 1, sites: 1, events: (0..count).map(&mut next).collect() }
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
            if random.below(40) == 0 { random.below(8) as u16 } else { (thread % 8) as u16 }
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
    Workload { name, threads: workers + 2, sites: 6, events }
}

fn run(work: &Workload) {
    let options = WriterOptions::default();
    let mut writer = Writer::new(Vec::new(), options).expect("in memory");
    for id in 0..work.threads {
        let process = Process { pid: 1000 + id, ..Process::default() };
        writer.define(Definition::Process(process)).expect("in memory");
        writer.define(Definition::Thread(Thread { process: id, tid: 1000 + id })).expect("in memory");
    }
    for id in 0..work.sites {
        let args = vec![ArgKind::Signed(8)];
        let site = Site { probe: format!("p{id}"), args, ..Site::default() };
        writer.define(Definition::Site(site)).expect("in memory");
    }
    let begin = Instant::now();
    for &(time_ns, thread, site, cpu, seq) in &work.events {
        let firing = Firing { time_ns, thread, site, cpu, unreadable: 0, values: &[seq] };
        writer.push(&firing).expect("in memory");
    }
    let bytes = writer.finish().expect("in memory");
    let encode = begin.elapsed();
    let trace = Trace::open(&bytes).expect("just written");
    let (mut decoder, mut columns, mut sum) = (BlockDecoder::default(), Columns::default(), 0_u64);
    let begin = Instant::now();
    for block in &trace.blocks {
        trace.decode(block, &mut decoder, &mut columns).expect("just written");
        sum = sum.wrapping_add(columns.values[0]);
    }
    let decode = begin.elapsed();
    assert!(sum > 0 || work.events.len() < 2);
    let count = work.events.len() as f64;
    println!(
        "{:<24} {:>10} events {:>6.3} B/event  encode {:>6.1} M/s  decode {:>6.1} M/s",
        work.name,
        work.events.len(),
        bytes.len() as f64 / count,
        count / encode.as_secs_f64() / 1e6,
        count / decode.as_secs_f64() / 1e6,
    );
}

fn main() {
    let count = std::env::args().nth(1).map_or(3_000_000, |arg| arg.parse().expect("a number of events"));
    run(&tight_loop(count));
    run(&pipeline("jittery pipeline", 1, count));
    run(&pipeline("pipeline, 32 workers", 32, count));
}
