//! The log of a trace in the time that it took, or a multiple of it.

use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use tracer_format::log::LogWriter;
use tracer_format::{Batch, Trace};

use super::{WRITE_BYTES, header};
use crate::Result;
use crate::select::{Outcome, Selection};

/// As [`replay`](super::replay), with each line written when it is due: `speed` seconds of the trace pass in one.
///
/// # Errors
/// As [`replay`](super::replay).
pub fn replay_paced(
    trace: &Trace<'_>,
    selection: &Selection,
    speed: f64,
    out: &mut impl Write,
) -> Result<Outcome> {
    let definitions = &trace.definitions;
    let mut outcome = Outcome::of(trace, selection);
    let (mut log, mut lines) = (LogWriter::in_pieces(WRITE_BYTES), Vec::new());
    let mut pace = Pace { speed, begun: None };
    header(&mut log, trace, out)?;
    let mut batches = trace.batches_where(|block| selection.wants(block));
    while let Some(batch) = batches.next() {
        match batch {
            Batch::Events { columns, rows } => {
                selection.rows(trace, columns, rows, |mut rows| -> Result<()> {
                    outcome.events += rows.len() as u64;
                    while !rows.is_empty() {
                        let due = rows.start + pace.wait(&columns.time_ns[rows.clone()]);
                        rows.start = log.events(definitions, columns, rows.start..due, &mut lines).start;
                        out.write_all(&lines)?;
                        out.flush()?;
                        lines.clear();
                    }
                    Ok(())
                })?;
            }
            Batch::Gap(gap) if selection.wants_gap(&gap) => log.gap(&gap),
            Batch::Gap(_) => {}
            Batch::Damaged(range) => outcome.damage.push(range),
        }
    }
    while !log.finish(definitions, &mut lines) {
        out.write_all(&lines)?;
        lines.clear();
    }
    out.write_all(&lines)?;
    out.flush()?;
    Ok(outcome)
}

/// What the trace's clock says, once its first event was due.
struct Pace {
    speed: f64,
    /// Time of the first event, and when it was written.
    begun: Option<(u64, Instant)>,
}

impl Pace {
    /// Waits until the first of `times`, which ascend, is due; tells how many are.
    fn wait(&mut self, times: &[u64]) -> usize {
        let (first_ns, begun) = *self.begun.get_or_insert_with(|| (times[0], Instant::now()));
        let seconds = times[0].saturating_sub(first_ns) as f64 / 1e9 / self.speed;
        let due = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
        if let Some(wait) = due.checked_sub(begun.elapsed()) {
            thread::sleep(wait);
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
        let passed_ns = (begun.elapsed().as_secs_f64() * self.speed * 1e9) as u64;
        let now_ns = first_ns.saturating_add(passed_ns);
        times.partition_point(|&time_ns| time_ns <= now_ns).max(1)
    }
}
