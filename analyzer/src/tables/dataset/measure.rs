//! What has to be known of a trace before its rows are written.

use tracer_format::Trace;

use super::place::positions;
use super::sketch::Sketch;
use crate::analysis::diagnosis::{Watch, diagnose};
use crate::analysis::{Analysis, analyze};
use crate::select::Outcome;
use crate::stage::choice::Chosen;
use crate::tables::late;
use crate::{Result, Selection};

/// What a pass over a trace found.
#[derive(Debug, Clone)]
pub struct MeasuredTrace {
    pub(super) chosen: Chosen,
    pub(super) analysis: Analysis,
    pub(super) sketch: Sketch,
    /// Place of each stage on its path, from 1.
    pub(super) positions: Vec<Option<i32>>,
}

impl MeasuredTrace {
    /// Events, and what is missing.
    #[must_use]
    pub fn outcome(&self) -> &Outcome {
        &self.analysis.outcome
    }
}

/// Looks at all of a trace once.
///
/// # Errors
/// Those of [`analyze`].
pub fn measure(trace: &Trace<'_>, chosen: Chosen) -> Result<MeasuredTrace> {
    let selection = Selection::all();
    let watch = Watch::new(&chosen.stages, &trace.definitions, selection.time_range(trace));
    let mut sinks = (watch, Sketch::new(chosen.stages.len()));
    let mut analysis = analyze(trace, &selection, &chosen.stages, &mut sinks)?;
    analysis.outcome.late = late::count(trace, &selection);
    let (watch, sketch) = sinks;
    let positions = positions(chosen.stages.len(), &diagnose(watch, &analysis, 0));
    Ok(MeasuredTrace { chosen, analysis, sketch, positions })
}
