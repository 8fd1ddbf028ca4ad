//! Two analyses side by side: which stages got slower, and by more than chance explains.
//!
//! A stage is judged by percentiles of its complete spans. It is slower if one of them grew by more than a threshold, and
//! the ranges in which chance may have put the two ([`Latency::bounds`]) do not touch. Chance within a run is meant:
//! what differs between two runs of the same program is for the threshold.

use crate::Outcome;
use crate::analysis::{Analysis, Latency, StageReport, Summary};
use crate::pair::Class;

/// What makes a difference.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgment {
    /// Least change of a percentile that counts, in percent of the base's.
    pub threshold_percent: f64,
    /// Complete spans that a stage needs on both sides.
    pub min_spans: u64,
    /// Percentiles that are judged.
    pub by: Vec<Percentile>,
}

/// A percentile that a stage can be judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Percentile {
    /// The median.
    P50,
    /// 90 %.
    P90,
    /// 99 %.
    P99,
}

impl Percentile {
    /// Its name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Percentile::P50 => "p50",
            Percentile::P90 => "p90",
            Percentile::P99 => "p99",
        }
    }

    fn permille(self) -> u64 {
        match self {
            Percentile::P50 => 500,
            Percentile::P90 => 900,
            Percentile::P99 => 990,
        }
    }

    fn of(self, summary: &Summary) -> i64 {
        match self {
            Percentile::P50 => summary.p50,
            Percentile::P90 => summary.p90,
            Percentile::P99 => summary.p99,
        }
    }
}

/// What became of a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// No judged percentile changed by more than the threshold and chance.
    Same,
    /// One grew.
    Slower,
    /// One shrank, and none grew.
    Faster,
    /// The base has no complete span of it.
    New,
    /// The new trace has no complete span of it.
    Gone,
    /// Too few complete spans to judge it, in one of the percentiles, and none of the others grew.
    TooFew,
}

impl Verdict {
    /// Its name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Same => "same",
            Verdict::Slower => "slower",
            Verdict::Faster => "faster",
            Verdict::New => "new",
            Verdict::Gone => "gone",
            Verdict::TooFew => "too few spans",
        }
    }
}

/// A stage in both traces.
#[derive(Debug, Clone)]
pub struct StageDiff {
    /// Its name, by which it is found.
    pub name: String,
    /// In the base, if it is there.
    pub base: Option<StageReport>,
    /// In the new trace, if it is there.
    pub new: Option<StageReport>,
    /// What became of it.
    pub verdict: Verdict,
    /// The percentiles that say so, if it is slower or faster.
    pub by: Vec<Percentile>,
}

/// Two traces, stage by stage.
#[derive(Debug, Clone)]
pub struct Diff {
    /// How it was judged.
    pub judgment: Judgment,
    /// What was read of the base, and what is missing.
    pub base: Outcome,
    /// What was read of the new trace.
    pub new: Outcome,
    /// Stages with a complete span in either, in the order of the base, then those that are new.
    pub stages: Vec<StageDiff>,
}

impl Diff {
    /// Names of the stages with this verdict.
    #[must_use]
    pub fn with(&self, verdict: Verdict) -> Vec<&str> {
        let stages = self.stages.iter().filter(|stage| stage.verdict == verdict);
        stages.map(|stage| stage.name.as_str()).collect()
    }

    /// Whether that no stage is slower is not quite certain: something was lost, or could not be compared.
    #[must_use]
    pub fn is_uncertain(&self) -> bool {
        let uncompared = |stage: &StageDiff| matches!(stage.verdict, Verdict::Gone | Verdict::TooFew);
        self.base.is_lossy() || self.new.is_lossy() || self.stages.iter().any(uncompared)
    }
}

/// Compares two analyses.
#[must_use]
pub fn diff(base: &Analysis, new: &Analysis, judgment: &Judgment) -> Diff {
    let find = |analysis: &Analysis, name: &str| {
        analysis.stages.iter().find(|report| report.stage.name == name).cloned()
    };
    let mut names: Vec<&String> = Vec::new();
    for report in base.stages.iter().chain(&new.stages) {
        if report.latency.count() > 0 && !names.contains(&&report.stage.name) {
            names.push(&report.stage.name);
        }
    }
    let stage = |name: &String| {
        let (base, new) = (find(base, name), find(new, name));
        let empty = Latency::default();
        let latency = |report: &Option<StageReport>| {
            report.as_ref().map_or_else(|| empty.clone(), |report| report.latency.clone())
        };
        let (verdict, by) = judge(&latency(&base), &latency(&new), judgment);
        StageDiff { name: name.clone(), base, new, verdict, by }
    };
    Diff {
        judgment: judgment.clone(),
        base: base.outcome.clone(),
        new: new.outcome.clone(),
        stages: names.into_iter().map(stage).collect(),
    }
}

/// The verdict on two distributions, and the percentiles that speak for it.
fn judge(base: &Latency, new: &Latency, judgment: &Judgment) -> (Verdict, Vec<Percentile>) {
    let verdict = match (base.count(), new.count()) {
        (0, _) => Some(Verdict::New),
        (_, 0) => Some(Verdict::Gone),
        (one, other) if one.min(other) < judgment.min_spans => Some(Verdict::TooFew),
        _ => None,
    };
    if let Some(verdict) = verdict {
        return (verdict, Vec::new());
    }
    let changes: Vec<_> =
        judgment.by.iter().map(|&percentile| (percentile, change(base, new, percentile, judgment))).collect();
    let with = |wanted: Option<Verdict>| -> Vec<Percentile> {
        changes.iter().filter(|(_, change)| *change == wanted).map(|(percentile, _)| *percentile).collect()
    };
    let (slower, unknown, faster) = (with(Some(Verdict::Slower)), with(None), with(Some(Verdict::Faster)));
    if !slower.is_empty() {
        (Verdict::Slower, slower)
    } else if !unknown.is_empty() {
        (Verdict::TooFew, Vec::new())
    } else if !faster.is_empty() {
        (Verdict::Faster, faster)
    } else {
        (Verdict::Same, Vec::new())
    }
}

/// Slower, faster or same in one percentile; `None` if there are too few values.
fn change(base: &Latency, new: &Latency, percentile: Percentile, judgment: &Judgment) -> Option<Verdict> {
    let (base_low, base_high) = base.bounds(percentile.permille())?;
    let (new_low, new_high) = new.bounds(percentile.permille())?;
    let (before, after) = (percentile.of(&base.summary()?) as f64, percentile.of(&new.summary()?) as f64);
    let least = before.abs() * judgment.threshold_percent / 100.0;
    Some(if new_low > base_high && after - before > least {
        Verdict::Slower
    } else if new_high < base_low && before - after > least {
        Verdict::Faster
    } else {
        Verdict::Same
    })
}

/// Spans that are not complete.
pub(crate) fn not_complete(report: &StageReport) -> u64 {
    report.classes.total() - report.classes.of(Class::Complete)
}
