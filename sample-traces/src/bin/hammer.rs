//! Fires one probe in a tight loop and prints what a hit costs this program: the traced side of the benchmarks.

use clap::Parser;
use probe::probe;
use rustix::time::{ClockId, clock_gettime};
use sample_traces::fired::Fired;
use sample_traces::{Error, exit_code};
use std::io::BufRead;
use std::process::ExitCode;
use std::time::Instant;

static HIT: Fired = Fired::new("hammer:hit");

/// Fires hammer:hit(n) in a tight loop; n counts from 0 through all threads
#[derive(Parser)]
#[command(name = "hammer")]
struct Arguments {
    /// Hits per thread
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    count: u64,
    /// Threads that fire
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: u16,
    /// Waits for a line on standard input before the first hit
    #[arg(long)]
    wait: bool,
}

fn main() -> ExitCode {
    let result = run(&Arguments::parse());
    exit_code("hammer", &result, &[&HIT])
}

fn run(arguments: &Arguments) -> Result<(), Error> {
    if arguments.wait {
        std::io::stdin().lock().read_line(&mut String::new()).map_err(Error::Read)?;
    }
    let (count, start) = (arguments.count, Instant::now());
    let cpu_ns: f64 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..arguments.threads)
            .map(|thread| scope.spawn(move || hit(u64::from(thread) * count, count)))
            .collect();
        threads.into_iter().map(|t| t.join().expect("a hammering thread does not panic")).sum()
    });
    #[expect(clippy::cast_precision_loss, reason = "a count of hits, for a rate with one decimal")]
    let hits = HIT.count().max(1) as f64;
    let wall_ns = start.elapsed().as_secs_f64() * 1e9 * f64::from(arguments.threads);
    eprintln!("cpu_ns_per_hit {:.1}", cpu_ns / hits);
    eprintln!("wall_ns_per_hit {:.1}", wall_ns / hits);
    Ok(())
}

/// Fires `count` hits from `first` on; returns the CPU time of this thread, ns.
fn hit(first: u64, count: u64) -> f64 {
    let start = thread_cpu_ns();
    for n in first..first + count {
        fire(n);
    }
    HIT.add(count);
    thread_cpu_ns() - start
}

/// The one site: an unrolled loop would have several, and peers that attach by name would see only a part of the hits.
#[inline(never)]
fn fire(n: u64) {
    probe!(hammer, hit, n);
}

fn thread_cpu_ns() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    #[expect(clippy::cast_precision_loss, reason = "seconds and nanoseconds of one run stay below 2^53")]
    let ns = time.tv_sec as f64 * 1e9 + time.tv_nsec as f64;
    ns
}
