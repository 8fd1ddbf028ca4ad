//! First program of the demo pipeline: makes buffers at a rate and fires `buffer_tracker:beg_global` for each.

use clap::Parser;
use probe::probe;
use sample_traces::buffer::Buffer;
use sample_traces::fired::Fired;
use sample_traces::options::SourceOptions;
use sample_traces::stop::Stop;
use sample_traces::{Error, exit_code};
use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

static BEG_GLOBAL: Fired = Fired::new("buffer_tracker:beg_global");

/// Makes buffers with sequence numbers from 1 and writes them to standard output
#[derive(Parser)]
#[command(name = "source")]
struct Arguments {
    #[command(flatten)]
    options: SourceOptions,
}

fn main() -> ExitCode {
    let options = Arguments::parse().options;
    let result = run(&options);
    exit_code("source", &result, &[&BEG_GLOBAL])
}

fn run(options: &SourceOptions) -> Result<(), Error> {
    let stop = Stop::on_signals()?;
    Stop::on_launcher_death()?;
    let mut output = std::io::stdout().lock();
    let interval =
        if options.rate > 0.0 { Duration::from_secs_f64(1.0 / options.rate) } else { Duration::ZERO };
    let mut due = Instant::now();
    for seq in 1..=options.count.unwrap_or(u64::MAX) {
        if (seq - 1).is_multiple_of(options.batch.into()) {
            if !stop.sleep_until(due) {
                break;
            }
            due += interval * options.batch;
        }
        if options.leave_out.contains(&seq) {
            continue;
        }
        probe!(buffer_tracker, beg_global, seq);
        BEG_GLOBAL.add(1);
        let buffer = Buffer::new(seq, options.size);
        // The line buffer of standard output must not keep any of it.
        output.write_all(buffer.bytes()).and_then(|()| output.flush()).map_err(Error::Write)?;
    }
    Ok(())
}
