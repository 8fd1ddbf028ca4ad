//! The pass over a trace.

use std::io;

use tracer_format::{Batch, DamagedRange, Trace};

use super::summary::Analysis;
use super::tally::Tally;
use crate::Result;
use crate::pair::{Pairer, Sink};
use crate::select::{LossTimes, Selection, time_of_damage};
use crate::stage::Stage;

/// Threads that decode; more are quicker than the pairing on one.
const MAX_THREADS: usize = 2;

/// Looks at the selected events of `trace` once and hands on to `sink` what it finds.
///
/// # Errors
/// [`Error::Io`](crate::Error::Io) if `sink` fails. Damage is no error: it is in the outcome.
pub fn analyze(
    trace: &Trace<'_>,
    selection: &Selection,
    stages: &[Stage],
    sink: &mut impl Sink,
) -> Result<Analysis> {
    let mut pairer = Pairer::new(stages);
    pairer.define(&trace.definitions);
    pairer.expect_loss(LossTimes::new(trace, selection));
    let mut sinks = (Tally::new(trace, stages), sink);
    let mut damage: Vec<DamagedRange> = Vec::new();
    trace.walk(
        |block| selection.wants(block),
        trace.threads().min(MAX_THREADS),
        |batch| {
            match batch {
                Batch::Events { columns, rows } => selection.rows(trace, columns, rows, |rows| {
                    sinks.events(columns, rows.clone())?;
                    pairer.events(columns, rows, &mut sinks)
                })?,
                Batch::Gap(gap) if selection.wants_gap(&gap) => {
                    pairer.lost(gap.from_ns, gap.to_ns);
                    sinks.gap(&gap)?;
                }
                Batch::Gap(_) => {}
                Batch::Damaged(range) => {
                    let (from_ns, to_ns) = time_of_damage(&range, trace);
                    pairer.lost(from_ns, to_ns);
                    damage.push(range);
                }
            }
            Ok::<(), io::Error>(())
        },
    )?;
    pairer.finish(&mut sinks)?;
    Ok(sinks.0.report(trace, selection, &pairer, damage))
}
