//! The options of `synth`, and the plan they become.

use tracer_format::grammar::Moment;
use tracer_format::limits::{MAX_BLOCK_EVENTS, MAX_STRING_ARGUMENT_BYTES};

/// Wall time when the recording begins, if none is given: 2026-01-01T00:00:00Z.
const START_NS: i64 = 1_767_225_600_000_000_000;

/// What the traced programs do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Shape {
    /// source, processor with worker threads, sink
    Pipeline,
    /// Threads that fire one probe in a tight loop
    Loop,
    /// The pipeline with a processor process for each worker
    Workers,
    /// The pipeline with a string as second argument of every probe
    Strings,
}

/// What to write, as the command line says it.
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct Options {
    /// Events that fire; the trace ends with the last of them, in the middle of the work
    // Ten thousand million at the lowest rate still end within the 584 years of a 64-bit count of nanoseconds.
    #[arg(long, value_name = "N", default_value_t = 1_000_000,
          value_parser = clap::value_parser!(u64).range(..=10_000_000_000))]
    pub events: u64,
    /// What the traced programs do
    #[arg(long, value_enum, default_value_t = Shape::Pipeline)]
    pub shape: Shape,
    /// Worker threads, or processes [default: pipeline and strings 4, workers 32, loop 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub workers: Option<u16>,
    /// Buffers per second, or hits per second of a loop's thread [default: 20000, loop 1250000]
    #[arg(long, value_name = "N", value_parser = rate)]
    pub rate: Option<f64>,
    /// Spread of all times: deviation of their logarithm, 0 for none [default: 0.4, loop 0.02]
    #[arg(long, value_name = "SPREAD", value_parser = spread)]
    pub jitter: Option<f64>,
    /// How many times as long the work on a buffer takes: its stage is slower, as after a bad change
    #[arg(long, value_name = "TIMES", default_value_t = 1.0, value_parser = times)]
    pub slow: f64,
    /// Part of the buffers that --slow is of
    #[arg(long, value_name = "PART", default_value_t = 1.0, value_parser = whole_part)]
    pub slow_part: f64,
    /// Part of the events that is lost, in bursts, each with its gaps
    #[arg(long, value_name = "PART", default_value_t = 0.0, value_parser = part)]
    pub loss: f64,
    /// Seed; the whole trace follows from it and the other options
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Sequence number of the first buffer
    #[arg(long, value_name = "SEQ", default_value_t = 1, value_parser = clap::value_parser!(u64).range(..1 << 62))]
    pub first_seq: u64,
    /// Name of the host
    #[arg(long, value_name = "NAME", default_value = "synth")]
    pub host: String,
    /// Wall time when the recording begins, such as 2026-05-01T12:00:00Z [default: 2026-01-01T00:00:00Z]
    #[arg(long, value_name = "TIME", value_parser = wall_time)]
    pub start: Option<i64>,
    /// Processors of the host
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub cpus: u16,
    /// Events in a block
    #[arg(long, value_name = "N", default_value_t = MAX_BLOCK_EVENTS as u64,
          value_parser = clap::value_parser!(u64).range(1..=MAX_BLOCK_EVENTS as u64))]
    pub block_events: u64,
    /// Bytes of a string that are recorded; what is longer is cut
    #[arg(long, value_name = "N", default_value_t = MAX_STRING_ARGUMENT_BYTES as u64,
          value_parser = clap::value_parser!(u64).range(1..=MAX_STRING_ARGUMENT_BYTES as u64))]
    pub max_string: u64,
    /// Writes that some of what runs is not recorded: a probe, a file, processes, events
    #[arg(long)]
    pub skipped: bool,
}

/// What to write, with every number given.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Events that fire, lost ones too.
    pub events: u64,
    /// What the traced programs do.
    pub shape: Shape,
    /// Worker threads or processes.
    pub workers: u16,
    /// Buffers, or hits of a thread, per second.
    pub rate: f64,
    /// Deviation of the logarithm of times.
    pub jitter: f64,
    /// How many times as long the work on some buffers takes.
    pub slow: f64,
    /// Which part of the buffers.
    pub slow_part: f64,
    /// Part of the events that is lost, below 1.
    pub loss: f64,
    /// Seed of all random numbers.
    pub seed: u64,
    /// Sequence number of the first buffer.
    pub first_seq: u64,
    /// Name of the host.
    pub host: String,
    /// Wall time when the recording begins, ns since 1970-01-01 UTC.
    pub start_ns: i64,
    /// Processors of the host.
    pub cpus: u16,
    /// Events in a block.
    pub block_events: usize,
    /// Bytes of a string that are recorded.
    pub max_string: usize,
    /// Whether some of what runs is not recorded.
    pub skipped: bool,
}

impl From<&Options> for Plan {
    fn from(options: &Options) -> Self {
        let (workers, rate, jitter) = match options.shape {
            Shape::Pipeline | Shape::Strings => (4, 20_000.0, 0.4),
            Shape::Workers => (32, 20_000.0, 0.4),
            Shape::Loop => (1, 1_250_000.0, 0.02),
        };
        Self {
            events: options.events,
            shape: options.shape,
            workers: options.workers.unwrap_or(workers),
            rate: options.rate.unwrap_or(rate),
            jitter: options.jitter.unwrap_or(jitter),
            slow: options.slow,
            slow_part: options.slow_part,
            loss: options.loss,
            seed: options.seed,
            first_seq: options.first_seq,
            host: options.host.clone(),
            start_ns: options.start.unwrap_or(START_NS),
            cpus: options.cpus,
            block_events: usize::try_from(options.block_events).unwrap_or(MAX_BLOCK_EVENTS),
            max_string: usize::try_from(options.max_string).unwrap_or(MAX_STRING_ARGUMENT_BYTES),
            skipped: options.skipped,
        }
    }
}

fn number(text: &str, min: f64, max: f64) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if (min..=max).contains(&number) => Ok(number),
        _ => Err(format!("found {text:?}, expected a number from {min} to {max}")),
    }
}

fn wall_time(text: &str) -> Result<i64, String> {
    match text.parse() {
        Ok(Moment::Wall(wall_ns)) => Ok(wall_ns),
        _ => Err(format!("found {text:?}, expected a time such as 2026-05-01T12:00:00Z")),
    }
}

fn rate(text: &str) -> Result<f64, String> {
    number(text, 10.0, 1e8)
}

fn spread(text: &str) -> Result<f64, String> {
    number(text, 0.0, 2.0)
}

fn times(text: &str) -> Result<f64, String> {
    number(text, 0.01, 100.0)
}

fn whole_part(text: &str) -> Result<f64, String> {
    number(text, 0.0, 1.0)
}

fn part(text: &str) -> Result<f64, String> {
    number(text, 0.0, 0.9)
}
