//! Last program of the demo pipeline: takes each buffer, checks it and fires `buffer_tracker:end_global`.

use clap::Parser;
use probe::probe;
use sample_traces::buffer::Buffer;
use sample_traces::fired::Fired;
use sample_traces::input::Input;
use sample_traces::options::SinkOptions;
use sample_traces::stop::Stop;
use sample_traces::{Error, exit_code, work};
use std::process::ExitCode;

static END_GLOBAL: Fired = Fired::new("buffer_tracker:end_global");

/// Takes the buffers from standard input and checks them
#[derive(Parser)]
#[command(name = "sink")]
struct Arguments {
    #[command(flatten)]
    options: SinkOptions,
}

fn main() -> ExitCode {
    let options = Arguments::parse().options;
    exit_code("sink", &run(&options), &[&END_GLOBAL])
}

fn run(options: &SinkOptions) -> Result<(), Error> {
    let stop = Stop::on_signals()?;
    let mut input = Input::standard(stop.clone())?;
    let mut buffer = Buffer::default();
    loop {
        match buffer.read(&mut input) {
            Ok(true) => {
                probe!(buffer_tracker, end_global, buffer.seq());
                END_GLOBAL.add(1);
                work::spend(options.take);
            }
            Ok(false) => return Ok(()),
            Err(Error::Cut) if stop.asked() => return Ok(()),
            Err(e) => return Err(e),
        }
    }
}
