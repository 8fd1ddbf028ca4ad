//! The log for people: its times as they are asked for, threads, and a colour for each process; and as JSON lines for programs.

use std::io::{self, Write};

use tracer_format::log::LogWriter;
use tracer_format::{Batch, Columns, ProcessId, ThreadId, Trace};

use super::json_line::JsonLines;
use super::{WRITE_BYTES, header};
use crate::Result;
use crate::select::clock::{WallClock, rfc3339};
use crate::select::{Outcome, Selection};

/// What stands where the log has CLOCK_MONOTONIC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeForm {
    /// That.
    Clock,
    /// Seconds since the first event of the trace.
    Relative,
    /// Wall time, UTC.
    Wall,
    /// Seconds since the line before.
    Delta,
}

/// How events are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogShape {
    /// As lines of the log, but for the time; with the thread of each event, and in a colour for each process, if that is asked for.
    Lines {
        /// The times.
        time: TimeForm,
        /// Whether threads are shown.
        threads: bool,
        /// Whether processes have colours.
        colours: bool,
    },
    /// An object for each event, and for each place where events are missing.
    JsonLines,
}

/// Writes the selected events of `trace` in another shape than that of the log.
///
/// # Errors
/// [`Error::Missing`](crate::Error::Missing) for wall time in a trace without clock anchors; [`Error::Io`](crate::Error::Io) if `out` fails.
pub fn replay_shaped(
    trace: &Trace<'_>,
    selection: &Selection,
    shape: LogShape,
    out: &mut impl Write,
) -> Result<Outcome> {
    let mut outcome = Outcome::of(trace, selection);
    let mut shaped = Shaped::new(trace, shape)?;
    if let Shaped::Lines(lines) = &mut shaped {
        header(&mut lines.log, trace, out)?;
    }
    let mut batches = trace.batches_where(|block| selection.wants(block));
    while let Some(batch) = batches.next() {
        match batch {
            Batch::Events { columns, rows } => {
                selection.rows(trace, columns, rows, |rows| -> Result<()> {
                    outcome.events += rows.len() as u64;
                    for row in rows {
                        shaped.event(trace, columns, row);
                        shaped.write(WRITE_BYTES, out)?;
                    }
                    Ok(())
                })?;
            }
            Batch::Gap(gap) if selection.wants_gap(&gap) => match &mut shaped {
                Shaped::Lines(lines) => lines.log.gap(&gap),
                Shaped::Json(json) => json.gap(trace, &gap),
            },
            Batch::Gap(_) => {}
            Batch::Damaged(range) => outcome.damage.push(range),
        }
    }
    if let Shaped::Lines(lines) = &mut shaped {
        lines.log.finish(&trace.definitions, &mut lines.raw);
        lines.shape(None);
    }
    shaped.write(0, out)?;
    out.flush()?;
    Ok(outcome)
}

/// What makes lines.
enum Shaped {
    Lines(Box<Lines>),
    Json(Box<JsonLines>),
}

impl Shaped {
    fn new(trace: &Trace<'_>, shape: LogShape) -> Result<Self> {
        let LogShape::Lines { time, threads, colours } = shape else {
            return Ok(Self::Json(Box::new(JsonLines::new(trace))));
        };
        if time == TimeForm::Wall && trace.clocks.is_empty() {
            let text =
                "the trace has no clock anchors, so its wall time is unknown; --time relative needs none";
            return Err(crate::Error::Missing(text));
        }
        Ok(Self::Lines(Box::new(Lines {
            time,
            threads,
            colours,
            log: LogWriter::new(),
            raw: Vec::new(),
            made: Vec::new(),
            first_ns: trace.time_range().map_or(0, |(first_ns, _)| first_ns),
            before_ns: None,
            clocks: WallClock::of_hosts(trace),
        })))
    }

    fn event(&mut self, trace: &Trace<'_>, columns: &Columns, row: usize) {
        match self {
            Self::Lines(lines) => lines.event(trace, columns, row),
            Self::Json(json) => json.event(trace, columns, row),
        }
    }

    /// Writes what was made, if it is more than `bytes`.
    fn write(&mut self, bytes: usize, out: &mut impl Write) -> io::Result<()> {
        let made = match self {
            Self::Lines(lines) => &mut lines.made,
            Self::Json(json) => &mut json.made,
        };
        if made.len() > bytes {
            out.write_all(made)?;
            made.clear();
        }
        Ok(())
    }
}

struct Lines {
    time: TimeForm,
    threads: bool,
    colours: bool,
    log: LogWriter,
    /// Lines of the log that are to be made others.
    raw: Vec<u8>,
    made: Vec<u8>,
    first_ns: u64,
    before_ns: Option<u64>,
    clocks: Vec<WallClock>,
}

/// The thread of an event, its number, and its process.
#[derive(Debug, Clone, Copy)]
struct FiredBy {
    tid: u32,
    process: ProcessId,
    host: usize,
}

impl Lines {
    fn event(&mut self, trace: &Trace<'_>, columns: &Columns, row: usize) {
        self.log.events(&trace.definitions, columns, row..row + 1, &mut self.raw);
        self.shape(fired(trace, columns.thread[row]));
    }

    /// Makes the raw lines others; the last is of the event that `fired`, if there is one.
    fn shape(&mut self, fired: Option<FiredBy>) {
        let raw = std::mem::take(&mut self.raw);
        let mut lines = raw.split_inclusive(|&byte| byte == b'\n').peekable();
        while let Some(line) = lines.next() {
            let fired = fired.filter(|_| lines.peek().is_none());
            if self.line(line, fired).is_none() {
                self.made.extend_from_slice(line);
            }
        }
        self.raw = raw;
        self.raw.clear();
    }

    /// Makes a line another one; `None` if it has no time.
    fn line(&mut self, line: &[u8], fired: Option<FiredBy>) -> Option<()> {
        let line = std::str::from_utf8(line).ok()?;
        let (time, rest) = line.strip_prefix('[')?.split_once(']')?;
        if rest.starts_with(" Found probe ") {
            return None;
        }
        let host = fired.map_or(0, |fired| fired.host);
        let time = self.time_text(time.trim().parse().ok()?, host);
        let mut rest = match rest.rsplit_once(" since ") {
            // Where events are missing: the time from which on.
            Some((what, since)) if fired.is_none() => {
                let since = since.trim_end().parse().ok().map(|since_ns| self.moment(since_ns, host));
                format!("{what} since {}", since.unwrap_or_default())
            }
            _ => rest.trim_end_matches('\n').to_owned(),
        };
        if let (Some(fired), true) = (fired, self.threads) {
            let end = rest.find(']').map_or(0, |at| at + 1);
            rest.insert_str(end, &format!(" [TID:{:>7}]", fired.tid));
        }
        let colour = fired.filter(|_| self.colours).map(|fired| 31 + fired.process.0 % 6);
        let text = match colour {
            Some(colour) => format!("[{time}]\x1b[{colour}m{rest}\x1b[0m\n"),
            None => format!("[{time}]{rest}\n"),
        };
        self.made.extend_from_slice(text.as_bytes());
        Some(())
    }

    /// The time of a line, as wide as the log's.
    fn time_text(&mut self, time_ns: u64, host: usize) -> String {
        let text = match (self.time, self.before_ns) {
            (TimeForm::Delta, None) => "-".to_owned(),
            (TimeForm::Delta, Some(before_ns)) => {
                let since_ns = i128::from(time_ns) - i128::from(before_ns);
                let sign = if since_ns < 0 { '-' } else { '+' };
                format!("{sign}{}", seconds(since_ns.unsigned_abs()))
            }
            _ => self.moment(time_ns, host),
        };
        self.before_ns = Some(time_ns);
        format!("{text:>16}")
    }

    /// A moment by itself.
    fn moment(&mut self, time_ns: u64, host: usize) -> String {
        match self.time {
            TimeForm::Clock => time_ns.to_string(),
            TimeForm::Relative | TimeForm::Delta => {
                // What is missing may be missing since before the first event.
                let since_ns = i128::from(time_ns) - i128::from(self.first_ns);
                format!("{}{}", if since_ns < 0 { "-" } else { "" }, seconds(since_ns.unsigned_abs()))
            }
            TimeForm::Wall => {
                let micros = self.clocks.get_mut(host).and_then(|clock| clock.micros(time_ns));
                micros.map_or_else(|| "unknown".to_owned(), |micros| rfc3339(micros.saturating_mul(1000)))
            }
        }
    }
}

fn fired(trace: &Trace<'_>, thread: ThreadId) -> Option<FiredBy> {
    let thread = trace.definitions.thread(thread)?;
    let host = trace.definitions.process(thread.process).map_or(0, |process| process.host.index());
    Some(FiredBy { tid: thread.tid, process: thread.process, host })
}

/// `1.000000250`: seconds, to the nanosecond.
fn seconds(time_ns: u128) -> String {
    format!("{}.{:09}", time_ns / 1_000_000_000, time_ns % 1_000_000_000)
}
