//! What an analysis says to each condition.

use tracer_format::grammar::{Malformed, nearest};

use super::condition::{Condition, Operator, Quantity, Subject};
use crate::analysis::{Analysis, Classes, Latency, StageReport};
use crate::pair::Class;
use crate::stage::Stage;
use crate::stage::choice::Refused;
use crate::{Error, Result};

/// Whether a condition holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It does not: all is well.
    Kept,
    /// It holds: the job fails.
    Broken,
    /// That cannot be said, and why.
    Unknown(String),
}

/// What came of a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The condition.
    pub condition: Condition,
    /// What was found, ns or a number; `None` if there is nothing.
    pub found: Option<i128>,
    /// Whether it holds.
    pub standing: Standing,
}

/// Refuses a condition on a stage that the trace does not have, before it is analyzed. Of a hand-off, the two stages are looked
/// for.
///
/// # Errors
/// [`Error::Usage`] with the nearest names.
pub fn known(conditions: &[Condition], stages: &[Stage], refused: &[Refused]) -> Result<()> {
    let of_refused = refused.iter().map(|refused| refused.stage.name.as_str());
    let names: Vec<&str> = stages.iter().map(|stage| stage.name.as_str()).chain(of_refused).collect();
    for condition in conditions {
        let Subject::Named(name) = &condition.subject else { continue };
        if names.contains(&name.as_str()) {
            continue;
        }
        let ends: Vec<&str> = match name.split_once(" -> ") {
            Some((from, to)) => {
                vec![from.strip_suffix(" begin").unwrap_or(from), to.strip_suffix(" end").unwrap_or(to)]
            }
            None => vec![name],
        };
        if let Some(wanted) = ends.into_iter().find(|wanted| !names.contains(wanted)) {
            let near = nearest(wanted, names.iter().copied());
            let expected = "a stage of the trace, which tracer analyze --all lists";
            let wrong = Malformed::new("condition", &condition.to_string(), expected);
            return Err(Error::Usage(wrong.because(format!("there is no stage {wanted}{near}"))));
        }
    }
    Ok(())
}

/// What `analysis` says to each condition.
#[must_use]
pub fn answers(conditions: &[Condition], analysis: &Analysis) -> Vec<Answer> {
    conditions.iter().map(|condition| answer(condition, analysis)).collect()
}

fn answer(condition: &Condition, analysis: &Analysis) -> Answer {
    let figure = figure(condition, analysis);
    let found = figure.as_ref().ok().copied();
    let standing = match figure {
        Err(why) => Standing::Unknown(why),
        Ok(found) if condition.operator.holds(found, condition.limit) => Standing::Broken,
        Ok(_) => doubt(condition, analysis).map_or(Standing::Kept, Standing::Unknown),
    };
    Answer { condition: condition.clone(), found, standing }
}

/// The figure that a condition is about, or why there is none.
fn figure(condition: &Condition, analysis: &Analysis) -> std::result::Result<i128, String> {
    let quantity = condition.quantity;
    match &condition.subject {
        Subject::Trace if quantity == Quantity::Loss => Ok(analysis.outcome.lost.into()),
        Subject::Trace => Ok(analysis.outcome.events.into()),
        Subject::Path => {
            let path = analysis.diagnosis.as_ref().filter(|it| it.following.is_path());
            let path = path.ok_or("the trace has no path that nearly all buffers take")?;
            of_latencies(quantity, &path.total).ok_or_else(|| "no buffer passed all of the path".to_owned())
        }
        Subject::Named(name) => {
            if let Some(report) = analysis.stages.iter().find(|report| report.stage.name == *name) {
                return of_stage(quantity, report);
            }
            if let Some(refused) = analysis.refused.iter().find(|refused| refused.stage.name == *name) {
                return Err(refused.text());
            }
            let stages: Vec<Stage> = analysis.stages.iter().map(|report| report.stage.clone()).collect();
            let hand_off = analysis.hand_offs.iter().find(|report| report.name(&stages) == *name);
            let hand_off = hand_off.ok_or("no such stage or wait was seen")?;
            of_latencies(quantity, &hand_off.latency)
                .ok_or_else(|| "a wait has only count and times".to_owned())
        }
    }
}

fn of_stage(quantity: Quantity, report: &StageReport) -> std::result::Result<i128, String> {
    let of = |class| Ok(Classes::of(&report.classes, class).into());
    match quantity {
        Quantity::Open => of(Class::Open),
        Quantity::OrphanEnd => of(Class::OrphanEnd),
        Quantity::RepeatedBegin => of(Class::RepeatedBegin),
        Quantity::RepeatedEnd => of(Class::RepeatedEnd),
        Quantity::Inverted => of(Class::Inverted),
        Quantity::Reordered => Ok(report.reordered.into()),
        _ if quantity.is_time() && !report.is_usable() => {
            let (begins, ends) = report.begins_and_ends();
            let complete = report.latency.count();
            Err(format!("only {complete} of {begins} begins and {ends} ends belong together"))
        }
        _ => of_latencies(quantity, &report.latency).ok_or_else(|| "it has no complete span".to_owned()),
    }
}

/// A figure of complete spans; `None` if they have none of the kind.
fn of_latencies(quantity: Quantity, latency: &Latency) -> Option<i128> {
    let summary = latency.summary();
    match quantity {
        Quantity::Count => Some(latency.count().into()),
        Quantity::Min => summary.map(|it| it.min.into()),
        Quantity::Mean => summary.map(|it| it.mean.into()),
        Quantity::Percentile(permille) => latency.at(permille).map(i128::from),
        Quantity::Max => summary.map(|it| it.max.into()),
        _ => None,
    }
}

/// Why a condition that does not hold for what was recorded may hold all the same: something is missing.
fn doubt(condition: &Condition, analysis: &Analysis) -> Option<String> {
    let grows = matches!(condition.quantity, Quantity::Count | Quantity::Events);
    // What is missing makes these larger, never smaller.
    if grows && matches!(condition.operator, Operator::Below | Operator::AtMost) {
        return None;
    }
    let outcome = &analysis.outcome;
    // What the gaps say is how many: only what says nothing leaves a doubt.
    let is_counted = condition.quantity == Quantity::Loss
        && outcome.damage.is_empty()
        && !outcome.incomplete
        && (outcome.lost > 0 || outcome.gaps == 0);
    if is_counted { None } else { outcome.holes_text() }
}
