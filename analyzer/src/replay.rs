//! A trace becomes the documented log again, as `record --print` wrote it.
//!
//! LineShare are made on several threads, share by share, and written in the order of the trace.

mod json_line;
mod life;
mod lines;
mod live;
mod medians;
mod paced;

use std::io::{self, Write};

use tracer_format::log::LogWriter;
use tracer_format::{Batch, Batches, DamagedRange, Outbox, Share, Trace, Worker};

use crate::Result;
use crate::select::{Outcome, Selection};

pub use lines::{LogShape, TimeForm, replay_shaped};
pub use live::Live;
pub use medians::Medians;
pub use paced::replay_paced;

/// Bytes of lines that are collected before they are written.
const WRITE_BYTES: usize = 1 << 18;
/// More threads than this make lines faster than they can be written.
const MAX_THREADS: usize = 4;

/// Writes the selected events of `trace` to `out` as lines of the log.
///
/// # Errors
/// [`Error::Io`](crate::Error::Io) if `out` fails. Damage is no error: it is in the outcome.
pub fn replay(trace: &Trace<'_>, selection: &Selection, out: &mut impl Write) -> Result<Outcome> {
    replay_on(trace.threads().min(MAX_THREADS), trace, selection, out)
}

/// The same, with lines made on `threads` threads besides this one.
///
/// # Errors
/// As [`replay`].
pub fn replay_on(
    threads: usize,
    trace: &Trace<'_>,
    selection: &Selection,
    out: &mut impl Write,
) -> Result<Outcome> {
    let mut outcome = Outcome::of(trace, selection);
    header(&mut LogWriter::new(), trace, out)?;
    let wanted = |block: &_| selection.wants(block);
    trace.walk_with(
        wanted,
        threads,
        || LineMaker::new(trace, selection),
        |lines: &mut LineShare| {
            outcome.events += lines.events;
            outcome.damage.append(&mut lines.damage);
            out.write_all(&lines.text)
        },
    )?;
    out.flush()?;
    Ok(outcome)
}

/// Writes the lines of the header, a few at a time: names may be long.
fn header(log: &mut LogWriter, trace: &Trace<'_>, out: &mut impl Write) -> io::Result<()> {
    let (mut lines, mut written) = (Vec::new(), Ok(()));
    log.header_lines(&trace.definitions, |line| {
        line.push(&mut lines);
        if lines.len() >= WRITE_BYTES && written.is_ok() {
            written = out.write_all(&lines);
            lines.clear();
        }
    });
    written.and_then(|()| out.write_all(&lines))
}

/// LineShare on their way to the output, and what was met on the way.
#[derive(Default)]
struct LineShare {
    text: Vec<u8>,
    events: u64,
    damage: Vec<DamagedRange>,
}

/// Makes lines of shares.
struct LineMaker<'t, 'a> {
    trace: &'t Trace<'a>,
    selection: &'t Selection,
    log: LogWriter,
}

impl<'t, 'a> LineMaker<'t, 'a> {
    fn new(trace: &'t Trace<'a>, selection: &'t Selection) -> Self {
        let mut log = LogWriter::in_pieces(WRITE_BYTES);
        // The header is written already, but later lines about probes are numbered after it.
        log.header_lines(&trace.definitions, |_| {});
        Self { trace, selection, log }
    }

    /// Makes lines of a batch; `None` if they are not wanted.
    fn batch(
        &mut self,
        batch: Batch<'_>,
        lines: &mut LineShare,
        out: &mut Outbox<'_, LineShare>,
    ) -> Option<()> {
        let (log, definitions) = (&mut self.log, &self.trace.definitions);
        match batch {
            Batch::Events { columns, rows } => {
                let result = self.selection.rows(self.trace, columns, rows, |mut rows| {
                    while !rows.is_empty() {
                        let left = log.events(definitions, columns, rows.clone(), &mut lines.text);
                        lines.events += (left.start - rows.start) as u64;
                        rows = left;
                        if lines.text.len() >= WRITE_BYTES {
                            let full = std::mem::replace(lines, spare(out));
                            if !out.send(full) {
                                return Err(());
                            }
                        }
                    }
                    Ok(())
                });
                return result.ok();
            }
            Batch::Gap(gap) => {
                if self.selection.wants_gap(&gap) {
                    log.gap(&gap);
                }
            }
            Batch::Damaged(range) => lines.damage.push(range),
        }
        Some(())
    }
}

fn spare(out: &mut Outbox<'_, LineShare>) -> LineShare {
    let mut lines = out.spare();
    lines.text.clear();
    lines.text.reserve(WRITE_BYTES * 2);
    lines.events = 0;
    lines
}

impl Worker for LineMaker<'_, '_> {
    type Output = LineShare;
    /// The lines of 65 536 events and more.
    const QUEUE: usize = 32;

    fn share(&mut self, share: &Share, batches: &mut Batches<'_, '_>, out: &mut Outbox<'_, LineShare>) {
        let definitions = &self.trace.definitions;
        let mut lines = spare(out);
        self.log.forget_before(share.from_ns, definitions);
        while let Some(batch) = batches.next() {
            if self.batch(batch, &mut lines, out).is_none() {
                return;
            }
        }
        while !match share.until_ns {
            Some(until_ns) => self.log.late_before(until_ns, definitions, &mut lines.text),
            None => self.log.finish(definitions, &mut lines.text),
        } {
            let full = std::mem::replace(&mut lines, spare(out));
            if !out.send(full) {
                return;
            }
        }
        // If nothing more is wanted, the thread is told at the end of the share.
        let _ = out.send(lines);
    }
}
