//! Second program of the demo pipeline: works on each buffer (`awe`) and hands it over (`writing`).
//!
//! Every worker takes the next buffer from standard input, works on it, waits for its turn at standard output and hands it
//! over. `end_writing` fires before the trailer is written, so the sink cannot have the buffer earlier.

use clap::Parser;
use probe::probe;
use sample_traces::buffer::Buffer;
use sample_traces::fired::Fired;
use sample_traces::input::Input;
use sample_traces::options::ProcessorOptions;
use sample_traces::random::Random;
use sample_traces::stop::Stop;
use sample_traces::{Error, exit_code, work};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::sync::Mutex;

static BEG_AWE: Fired = Fired::new("buffer_tracker:beg_awe");
static END_AWE: Fired = Fired::new("buffer_tracker:end_awe");
static BEG_WRITING: Fired = Fired::new("buffer_tracker:beg_writing");
static END_WRITING: Fired = Fired::new("buffer_tracker:end_writing");

/// Works on the buffers from standard input and hands them over to standard output
#[derive(Parser)]
#[command(name = "processor")]
struct Arguments {
    #[command(flatten)]
    options: ProcessorOptions,
}

fn main() -> ExitCode {
    let options = Arguments::parse().options;
    let result = run(&options);
    exit_code("processor", &result, &[&BEG_AWE, &END_AWE, &BEG_WRITING, &END_WRITING])
}

fn run(options: &ProcessorOptions) -> Result<(), Error> {
    let stop = Stop::on_signals()?;
    let input = Mutex::new(Input::standard(stop.clone())?);
    // A file of its own, without the line buffer of standard output: every part goes out when it is written.
    let output =
        Mutex::new(File::from(std::io::stdout().as_fd().try_clone_to_owned().map_err(Error::Write)?));
    std::thread::scope(|scope| {
        let workers: Vec<_> =
            (1..options.workers).map(|_| scope.spawn(|| work(options, &stop, &input, &output))).collect();
        let mine = work(options, &stop, &input, &output);
        workers.into_iter().map(|w| w.join().expect("a worker does not panic")).fold(mine, Result::and)
    })
}

/// One worker: takes buffers until the input ends or a worker fails.
fn work(
    options: &ProcessorOptions,
    stop: &Stop,
    input: &Mutex<impl Read>,
    output: &Mutex<impl Write>,
) -> Result<(), Error> {
    let mut buffer = Buffer::default();
    while next(&mut buffer, stop, input)? {
        let seq = buffer.seq();
        let mut random = Random::for_buffer(options.seed, seq);
        let awe = options.awe.mul_f64(random.factor(options.jitter));
        let writing = options.writing.mul_f64(random.factor(options.jitter));

        probe!(buffer_tracker, beg_awe, seq);
        BEG_AWE.add(1);
        buffer.invert();
        work::spend(awe);
        probe!(buffer_tracker, end_awe, seq);
        END_AWE.add(1);
        if options.drop.contains(&seq) {
            continue;
        }

        let mut output = output.lock().expect("no worker panics");
        let (body, trailer) = buffer.parts();
        probe!(buffer_tracker, beg_writing, seq);
        BEG_WRITING.add(1);
        work::spend(writing);
        output.write_all(body).map_err(Error::Write)?;
        probe!(buffer_tracker, end_writing, seq);
        END_WRITING.add(1);
        output.write_all(trailer).map_err(Error::Write)?;
        if options.twice.contains(&seq) {
            output.write_all(buffer.bytes()).map_err(Error::Write)?;
        }
    }
    Ok(())
}

/// Takes the next buffer; false at the end. A buffer cut off by our own request to stop is an end too.
fn next(buffer: &mut Buffer, stop: &Stop, input: &Mutex<impl Read>) -> Result<bool, Error> {
    match buffer.read(&mut *input.lock().expect("no worker panics")) {
        Err(Error::Cut) if stop.asked() => Ok(false),
        other => other,
    }
}
