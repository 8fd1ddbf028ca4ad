//! The log for people: its times as they are asked for, threads, a colour for each process, and what happened between the events of
//! one buffer; and as JSON lines for programs.

use std::io::{self, Write};

use tracer_format::log::LogWriter;
use tracer_format::{Batch, Columns, ProcessId, ThreadId, Trace};

use super::json_line::JsonLines;
use super::life::{LifeEvent, LifeLog};
use super::medians::Medians;
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
#[derive(Debug, Clone, Copy)]
pub enum LogShape<'s> {
    /// As lines of the log, but for the time; with the thread of each event, and in a colour for each process, if that is asked for.
    Lines {
        /// The times.
        time: TimeForm,
        /// Whether threads are shown.
        threads: bool,
        /// Whether processes have colours.
        colours: bool,
        /// If the events are those of one buffer: its stages and their medians, to tell what happened between its events.
        life: Option<&'s Medians>,
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
    shape: LogShape<'_>,
    out: &mut impl Write,
) -> Result<Outcome> {
    let mut outcome = Outcome::of(trace, selection);
    let mut shaped = Shaped::new(trace, shape)?;
    if let Shaped::Lines(lines) = &mut shaped {
        match lines.life {
            None => header(&mut lines.log, trace, out)?,
            // It is about one buffer, not about what there is.
            Some(_) => header(&mut lines.log, trace, &mut io::sink())?,
        }
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
        lines.shape(None, None);
        if let Some(life) = &lines.life {
            lines.made.extend_from_slice(life.end(&trace.definitions).as_bytes());
        }
    }
    shaped.write(0, out)?;
    out.flush()?;
    Ok(outcome)
}

/// What makes lines.
enum Shaped<'s> {
    Lines(Box<Lines<'s>>),
    Json(Box<JsonLines>),
}

impl<'s> Shaped<'s> {
    fn new(trace: &Trace<'_>, shape: LogShape<'s>) -> Result<Self> {
        let LogShape::Lines { time, threads, colours, life } = shape else {
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
            life: life.map(LifeLog::new),
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

struct Lines<'s> {
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
    life: Option<LifeLog<'s>>,
}

/// The thread of an event, its number, and its process.
#[derive(Debug, Clone, Copy)]
struct FiredBy {
    tid: u32,
    process: ProcessId,
    host: usize,
}

impl Lines<'_> {
    fn event(&mut self, trace: &Trace<'_>, columns: &Columns, row: usize) {
        self.log.events(&trace.definitions, columns, row..row + 1, &mut self.raw);
        let fired = fired(trace, columns.thread[row]);
        let (time_ns, site) = (columns.time_ns[row], columns.site[row]);
        let passed = fired.map(|fired| LifeEvent { time_ns, site, process: fired.process });
        let life = self.life.as_mut().zip(passed);
        let between = life.and_then(|(life, passed)| life.pass(passed, &trace.definitions));
        self.shape(fired, between.as_deref());
    }

    /// Makes the raw lines others; the last is of the event that `fired`, if there is one, and what was `between` stands before it.
    fn shape(&mut self, fired: Option<FiredBy>, between: Option<&str>) {
        // Where events are missing before the first of a buffer, or after its last, says nothing of it.
        let is_left_out = self.life.is_some() && between.is_none();
        let raw = std::mem::take(&mut self.raw);
        let mut lines = raw.split_inclusive(|&byte| byte == b'\n').peekable();
        while let Some(line) = lines.next() {
            let is_last = lines.peek().is_none();
            if is_left_out && !(is_last && fired.is_some()) {
                continue;
            }
            if let Some(between) = between.filter(|_| is_last) {
                self.made.extend_from_slice(between.as_bytes());
                self.made.push(b'\n');
            }
            let is_life = self.life.is_some();
            if self.line(line, fired.filter(|_| is_last)).is_none() && !is_life {
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
