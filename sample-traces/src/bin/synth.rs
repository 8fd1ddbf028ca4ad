//! Writes a synthetic trace of the demo pipeline, of any size, and prints what is true of it.

use clap::Parser;
use sample_traces::synth::{self, Options, Plan, Truth};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

/// Writes a synthetic trace of the demo pipeline; prints on standard error what is true of it, as WORD NAME NUMBER
#[derive(Parser)]
#[command(name = "synth")]
struct Arguments {
    /// Trace file to write, an existing one too; - for standard output
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    options: Options,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let start = Instant::now();
    match write(&arguments.output, &Plan::from(&arguments.options)) {
        Ok((bytes, truth)) => {
            let seconds = start.elapsed().as_secs_f64();
            eprint!("{truth}");
            eprintln!("bytes trace {bytes}");
            eprintln!("seconds trace {seconds:.3}");
            ExitCode::SUCCESS
        }
        Err(tracer_format::Error::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("synth: {}: {error}", arguments.output.display());
            ExitCode::FAILURE
        }
    }
}

/// Writes the trace; returns its bytes and its truth.
fn write(output: &Path, plan: &Plan) -> tracer_format::Result<(u64, Truth)> {
    if output == Path::new("-") {
        let (sink, truth) = synth::write(plan, Counted { sink: io::stdout().lock(), bytes: 0 })?;
        return Ok((sink.bytes, truth));
    }
    let (sink, truth) = synth::write(plan, Counted { sink: File::create(output)?, bytes: 0 })?;
    Ok((sink.bytes, truth))
}

/// Counts the bytes on their way.
struct Counted<W> {
    sink: W,
    bytes: u64,
}

impl<W: io::Write> io::Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.sink.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}
