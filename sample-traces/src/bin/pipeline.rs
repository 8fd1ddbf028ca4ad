//! Launcher of the demo pipeline: starts `source | processor | sink`, passes signals on, waits and sums up.

use clap::Parser;
use sample_traces::options::{ProcessorOptions, SinkOptions, SourceOptions};
use sample_traces::stop::LAUNCHED;
use sample_traces::{Error, fired};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};
use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread::JoinHandle;
use std::time::Instant;

/// Runs the demo pipeline source | processor | sink and prints what passed through it
#[derive(Parser)]
#[command(name = "pipeline")]
struct Arguments {
    #[command(flatten)]
    source: SourceOptions,
    #[command(flatten)]
    processor: ProcessorOptions,
    #[command(flatten)]
    sink: SinkOptions,
}

fn main() -> ExitCode {
    sample_traces::exit_code("pipeline", &run(&Arguments::parse()), &[])
}

fn run(arguments: &Arguments) -> Result<(), Error> {
    let start = Instant::now();
    let mut source = start_program("source", &arguments.source.arguments(), Stdio::null(), Stdio::piped())?;
    let made = source.stdout.take().expect("standard output is piped");
    let mut processor =
        start_program("processor", &arguments.processor.arguments(), made.into(), Stdio::piped())?;
    let done = processor.stdout.take().expect("standard output is piped");
    let mut sink = start_program("sink", &arguments.sink.arguments(), done.into(), Stdio::inherit())?;
    let (handle, forwarder) = forward_signals(&source)?;

    let readers = [&mut source, &mut processor, &mut sink].map(follow_errors);
    let mut counts = BTreeMap::new();
    for reader in readers {
        counts.extend(reader.join().expect("a reader does not panic"));
    }
    // The source is waited for last: until the forwarder is gone its PID must stay its own.
    handle.close();
    forwarder.join().expect("the forwarder does not panic");
    for (program, child) in [("source", &mut source), ("processor", &mut processor), ("sink", &mut sink)] {
        let status = child.wait().map_err(|e| failure(program, "wait for it", e))?;
        if !status.success() {
            return Err(Error::Failed { program, status });
        }
    }
    let count = |probe| counts.get(probe).copied().unwrap_or(0);
    let (entered, left) = (count("buffer_tracker:beg_global"), count("buffer_tracker:end_global"));
    let seconds = start.elapsed().as_secs_f64();
    eprintln!("pipeline: {entered} buffers entered, {left} left, {seconds:.3} s");
    if entered == left { Ok(()) } else { Err(Error::Lost { entered, left }) }
}

/// Starts a program that lies beside this one.
fn start_program(
    name: &'static str,
    arguments: &[String],
    input: Stdio,
    output: Stdio,
) -> Result<Child, Error> {
    let mut path = std::env::current_exe().map_err(|e| failure("pipeline", "find its own path", e))?;
    path.set_file_name(name);
    let mut command = Command::new(&path);
    command.args(arguments).env(LAUNCHED, "1").stdin(input).stdout(output).stderr(Stdio::piped());
    command.spawn().map_err(|e| failure(path, "start it", e))
}

fn failure(program: impl Into<PathBuf>, action: &'static str, source: io::Error) -> Error {
    Error::Program { program: program.into().display().to_string(), action, source }
}

/// Passes SIGINT and SIGTERM to the source; the others end when what it had sent is through.
fn forward_signals(source: &Child) -> Result<(Handle, JoinHandle<()>), Error> {
    let failed = |e| failure("pipeline", "watch for signals", e);
    let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(failed)?;
    let (handle, source) = (signals.handle(), rustix::process::Pid::from_child(source));
    let forwarder = std::thread::spawn(move || {
        for _ in signals.forever() {
            // Fails only if the source has ended by itself, which is what was wanted.
            let _ = rustix::process::kill_process(source, rustix::process::Signal::TERM);
        }
    });
    Ok((handle, forwarder))
}

/// Prints a program's error lines as they come and collects its counts of fired probes.
fn follow_errors(child: &mut Child) -> JoinHandle<BTreeMap<String, u64>> {
    let lines = BufReader::new(child.stderr.take().expect("standard error is piped")).lines();
    std::thread::spawn(move || {
        let mut counts = BTreeMap::new();
        for line in lines.map_while(Result::ok) {
            if let Some((probe, count)) = fired::parse(&line) {
                counts.insert(probe.to_owned(), count);
            }
            eprintln!("{line}");
        }
        counts
    })
}
