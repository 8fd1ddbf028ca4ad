//! A trace becomes the documented log again, as `record --print` wrote it.

use std::io::Write;

use tracer_format::log::LogWriter;
use tracer_format::{Batch, Trace};

use crate::Result;
use crate::filter::Selection;
use crate::outcome::Outcome;

/// Bytes of lines that are collected before they are written.
const WRITE_BYTES: usize = 1 << 18;
/// Rows that are turned into lines at once: their lines about fill [`WRITE_BYTES`].
const ROWS: usize = 2048;

/// Writes the selected events of `trace` to `out` as lines of the log.
///
/// # Errors
/// [`Error::Io`](crate::Error::Io) if `out` fails. Damage is no error: it is in the outcome.
pub fn replay(trace: &Trace<'_>, selection: &Selection, out: &mut impl Write) -> Result<Outcome> {
    let definitions = &trace.definitions;
    let mut log = LogWriter::new();
    let mut lines = Vec::with_capacity(WRITE_BYTES * 2);
    let mut outcome = Outcome::of(trace, selection);
    log.header(definitions, &mut lines);
    let mut batches = trace.batches_where(|block| selection.wants(block));
    while let Some(batch) = batches.next() {
        match batch {
            Batch::Events { columns, rows } => {
                selection.rows(trace, columns, rows, |mut rows| -> Result<()> {
                    outcome.events += rows.len() as u64;
                    while !rows.is_empty() {
                        let end = rows.end.min(rows.start + ROWS);
                        log.events(definitions, columns, rows.start..end, &mut lines);
                        rows.start = end;
                        if lines.len() >= WRITE_BYTES {
                            out.write_all(&lines)?;
                            lines.clear();
                        }
                    }
                    Ok(())
                })?
            }
            Batch::Gap(gap) => {
                if selection.wants_gap(&gap) {
                    log.gap(&gap);
                }
            }
            Batch::Damaged(range) => outcome.damage.push(range),
        }
    }
    log.finish(definitions, &mut lines);
    out.write_all(&lines)?;
    out.flush()?;
    Ok(outcome)
}
