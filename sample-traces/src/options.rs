//! Options of the programs; `pipeline` takes all of them and hands each program its own.

use crate::buffer::MAX_PAYLOAD_BYTES;
use crate::duration;
use std::time::Duration;

/// What `source` does.
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct SourceOptions {
    /// Buffers per second; 0 means as fast as the pipeline takes them
    #[arg(long, value_name = "N", default_value_t = 200.0, value_parser = non_negative)]
    pub rate: f64,
    /// Ends after this many buffers [default: goes on until stopped]
    #[arg(long, value_name = "N")]
    pub count: Option<u64>,
    /// Bytes of payload in a buffer
    // With header and trailer one page: a pipe holds 16 pages, and a buffer of two pages travels six times slower.
    #[arg(long, value_name = "BYTES", default_value_t = 4000,
          value_parser = clap::value_parser!(u32).range(0..=i64::from(MAX_PAYLOAD_BYTES)))]
    pub size: u32,
    /// Makes so many buffers at a time, and waits for as many intervals
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub batch: u32,
    /// Leaves out these sequence numbers, such as 7,12
    #[arg(long, value_name = "SEQ", value_delimiter = ',')]
    pub leave_out: Vec<u64>,
}

/// What `processor` does.
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct ProcessorOptions {
    /// Worker threads; with more than one the order of the buffers may change
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub workers: u16,
    /// Mean time of the work on a buffer, such as 15ms or 200us
    #[arg(long, value_name = "TIME", default_value = "1.5ms", value_parser = duration::parse)]
    pub awe: Duration,
    /// Mean time of handing a buffer over
    #[arg(long, value_name = "TIME", default_value = "400us", value_parser = duration::parse)]
    pub writing: Duration,
    /// Spread of both times: deviation of their logarithm, 0 for none
    #[arg(long, value_name = "SPREAD", default_value_t = 0.4, value_parser = non_negative)]
    pub jitter: f64,
    /// Seed of the spread; the times of a buffer follow from the seed and its sequence number
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Drops the buffers of these sequence numbers after the work on them
    #[arg(long, value_name = "SEQ", value_delimiter = ',')]
    pub drop: Vec<u64>,
    /// Hands the buffers of these sequence numbers over twice
    #[arg(long, value_name = "SEQ", value_delimiter = ',')]
    pub twice: Vec<u64>,
}

/// What `sink` does.
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct SinkOptions {
    /// Time from taking a buffer until the next may be taken
    #[arg(long, value_name = "TIME", default_value = "0", value_parser = duration::parse)]
    pub take: Duration,
}

impl SourceOptions {
    /// The command-line arguments that mean these options.
    #[must_use]
    pub fn arguments(&self) -> Vec<String> {
        let mut arguments = vec![format!("--rate={}", self.rate), format!("--size={}", self.size)];
        arguments.extend(self.count.map(|count| format!("--count={count}")));
        arguments.push(format!("--batch={}", self.batch));
        arguments.extend(self.leave_out.iter().map(|seq| format!("--leave-out={seq}")));
        arguments
    }
}

impl ProcessorOptions {
    /// The command-line arguments that mean these options.
    #[must_use]
    pub fn arguments(&self) -> Vec<String> {
        let mut arguments = vec![
            format!("--workers={}", self.workers),
            format!("--awe={}", duration::text(self.awe)),
            format!("--writing={}", duration::text(self.writing)),
            format!("--jitter={}", self.jitter),
            format!("--seed={}", self.seed),
        ];
        arguments.extend(self.drop.iter().map(|seq| format!("--drop={seq}")));
        arguments.extend(self.twice.iter().map(|seq| format!("--twice={seq}")));
        arguments
    }
}

impl SinkOptions {
    /// The command-line arguments that mean these options.
    #[must_use]
    pub fn arguments(&self) -> Vec<String> {
        vec![format!("--take={}", duration::text(self.take))]
    }
}

fn non_negative(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if (0.0..=1e9).contains(&number) => Ok(number),
        _ => Err(format!("found {text:?}, expected a number from 0 to 1e9")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, PartialEq, Parser)]
    struct Both {
        #[command(flatten)]
        source: SourceOptions,
        #[command(flatten)]
        processor: ProcessorOptions,
        #[command(flatten)]
        sink: SinkOptions,
    }

    fn parsed(arguments: &[&str]) -> Both {
        Both::parse_from(std::iter::once("test").chain(arguments.iter().copied()))
    }

    #[test]
    fn handed_on_options_mean_the_same() {
        let everything = [
            "--rate=0.5",
            "--count=7",
            "--size=0",
            "--workers=3",
            "--awe=15ms",
            "--writing=0",
            "--jitter=1.25",
            "--seed=9",
            "--batch=4",
            "--leave-out=5,7",
            "--drop=8,9",
            "--twice=6",
            "--take=2ms",
        ];
        for given in [&everything[..], &[]] {
            let first = parsed(given);
            let handed_on =
                [first.source.arguments(), first.processor.arguments(), first.sink.arguments()].concat();
            assert_eq!(parsed(&handed_on.iter().map(String::as_str).collect::<Vec<_>>()), first);
        }
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        for given in ["--rate=-1", "--rate=nan", "--jitter=x", "--workers=0", "--size=67108865", "--awe=5x"] {
            assert!(Both::try_parse_from(["test", given]).is_err(), "{given}");
        }
    }
}
