//! The verdict on one stage or hand-off.

use super::paired;
use super::quantile;
use super::rank::{self, Shift, log};
use super::run_set::Pooled;
use super::spread::Spread;
use crate::analysis::Summary;

/// What makes a difference.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgment {
    /// Least change that counts, in percent of the base; for p90 twice, for p99 five times as much, as they vary more.
    pub min_change_percent: f64,
    /// Least change that counts, ns.
    pub min_difference_ns: i64,
    /// Complete spans that a stage needs on both sides.
    pub min_spans: u64,
    /// Percentiles that decide, if the user said which; else the median, and p90 where there are enough spans for it.
    pub by: Option<Vec<Percentile>>,
}

impl Default for Judgment {
    /// That of the command line, unless it is told otherwise.
    fn default() -> Self {
        Self { min_change_percent: 5.0, min_difference_ns: 1000, min_spans: 30, by: None }
    }
}

impl Judgment {
    /// The percentiles that decide.
    #[must_use]
    pub fn judged(&self) -> &[Percentile] {
        self.by.as_deref().unwrap_or(&[Percentile::P50, Percentile::P90])
    }

    /// Least change of the logarithm of a percentile that counts.
    pub(crate) fn floor(&self, percentile: Percentile, base_ns: f64) -> f64 {
        let share = self.min_change_percent / 100.0 * percentile.leeway();
        share.max(self.min_difference_ns as f64 / base_ns.max(1.0)).ln_1p()
    }
}

/// A percentile that a stage can be judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Percentile {
    /// The median: by how much all spans are longer, not only the one in the middle.
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

    pub(crate) fn permille(self) -> u64 {
        match self {
            Percentile::P50 => 500,
            Percentile::P90 => 900,
            Percentile::P99 => 990,
        }
    }

    /// Its value.
    pub(crate) fn of(self, summary: &Summary) -> i64 {
        match self {
            Percentile::P50 => summary.p50,
            Percentile::P90 => summary.p90,
            Percentile::P99 => summary.p99,
        }
    }

    /// How many times the least change it must change to count. Between two runs of one build, p99 varies five times as much
    /// as the median (15 % against 3 %, docs/decisions.md).
    fn leeway(self) -> f64 {
        match self {
            Percentile::P50 => 1.0,
            Percentile::P90 => 2.0,
            Percentile::P99 => 5.0,
        }
    }
}

/// What became of a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It did not change by more than what counts, for sure.
    Same,
    /// It got slower.
    Slower,
    /// It got faster.
    Faster,
    /// No change was found, but one that counts is not ruled out either.
    Inconclusive,
    /// The base has no complete span of it.
    New,
    /// The new side has no complete span of it.
    Gone,
    /// Too few complete spans to judge it, in one of the percentiles that were asked for, and none of the others grew.
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
            Verdict::Inconclusive => "inconclusive",
            Verdict::New => "new",
            Verdict::Gone => "gone",
            Verdict::TooFew => "too few spans",
        }
    }
}

/// A percentile above the median, on both sides.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tail {
    /// Which.
    pub percentile: Percentile,
    /// New divided by base.
    pub ratio: f64,
    /// Whether it grew (`Slower`) or shrank (`Faster`) beyond its own noise and by more than what counts; else `Same`.
    pub verdict: Verdict,
}

/// What is known of one stage on two sides.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Judged {
    pub(crate) verdict: Verdict,
    /// The percentiles that say so.
    pub(crate) by: Vec<Percentile>,
    pub(crate) shift: Option<Shift>,
    pub(crate) tails: Vec<Tail>,
    /// Runs that each side would need in addition, if it is inconclusive.
    pub(crate) more_runs: Option<u64>,
}

/// Judges one stage, one of `comparisons`.
pub(crate) fn judge(base: &Pooled, new: &Pooled, judgment: &Judgment, comparisons: usize) -> Judged {
    let (before, after) = (base.latency.count(), new.latency.count());
    let verdict = match (before, after) {
        (0, _) => Some(Verdict::New),
        (_, 0) => Some(Verdict::Gone),
        _ if before.min(after) < judgment.min_spans => Some(Verdict::TooFew),
        _ => None,
    };
    let none = Judged { verdict: Verdict::TooFew, by: vec![], shift: None, tails: vec![], more_runs: None };
    if let Some(verdict) = verdict {
        return Judged { verdict, ..none };
    }
    let logs = |side: &Pooled| -> Vec<Vec<f64>> {
        let of = |values: &[(u64, i64)]| values.iter().map(|(_, latency_ns)| log(*latency_ns)).collect();
        side.runs.iter().map(|run| of(&run.latencies.values)).collect()
    };
    let (base_logs, new_logs) = (logs(base), logs(new));
    let Some(all) = rank::shift(&base_logs, &new_logs) else { return none };
    let medians = |runs: &[Vec<f64>]| -> Vec<f64> {
        let of = |run: &Vec<f64>| rank::quantile(&rank::sorted(std::slice::from_ref(run)), 0.5);
        runs.iter().map(of).collect()
    };
    let spread = Spread::new(&medians(&base_logs), &medians(&new_logs));
    let mut shift = paired::shift(base, new).map_or(all, |paired| surer(paired, all));
    let range = widened(&shift, spread);
    shift.range = (range.0.exp(), range.1.exp());
    let (base_ns, new_ns) = (base.latency.at(500).unwrap_or(1), new.latency.at(500).unwrap_or(1));
    let floor = judgment.floor(Percentile::P50, base_ns as f64);
    let middle = of_shift(&shift, spread, floor, comparisons);
    // Where a distribution has two heights, the middle of all pairs may stay while the median moves from one to the other.
    let is_split = middle == Verdict::Same && (log(new_ns) - log(base_ns)).abs() >= floor;
    let middle = if is_split { Verdict::Inconclusive } else { middle };
    let tails: Vec<Tail> = [Percentile::P90, Percentile::P99]
        .into_iter()
        .filter_map(|percentile| quantile::tail(base, new, percentile, all.design_effect, judgment))
        .collect();
    let of = |percentile: Percentile| match percentile {
        Percentile::P50 => Some(middle),
        _ => tails.iter().find(|tail| tail.percentile == percentile).map(|tail| tail.verdict),
    };
    let (verdict, by) = decide(judgment, of);
    let more_runs = (verdict == Verdict::Inconclusive).then(|| {
        let runs = base.runs.len().min(new.runs.len()) as f64;
        more_runs(shift.ratio.ln(), (range.1 - range.0) / 2.0, floor, runs)
    });
    Judged { verdict, by, shift: Some(shift), tails, more_runs }
}

/// The change key by key, as sure as the surer of the two ways to look at it: a trend that both sides share hides from the one
/// what the other sees.
fn surer(paired: Shift, all: Shift) -> Shift {
    let other = all.deviations.abs() > paired.deviations.abs()
        && all.deviations.signum() == paired.ratio.ln().signum();
    Shift { deviations: if other { all.deviations } else { paired.deviations }, ..paired }
}

/// The range of the change's logarithm; from three runs a side on, as wide as their spread makes it.
fn widened(shift: &Shift, spread: Option<Spread>) -> (f64, f64) {
    let (low, middle, high) = (shift.range.0.ln(), shift.ratio.ln(), shift.range.1.ln());
    let reach = spread.map_or(0.0, |spread| spread.reach(0.99));
    (low.min(middle - reach), high.max(middle + reach))
}

/// Slower and faster need a change that counts, that chance within the runs does not explain, and, where there are enough
/// runs, that chance from run to run does not either.
fn of_shift(shift: &Shift, spread: Option<Spread>, floor: f64, comparisons: usize) -> Verdict {
    let change = shift.ratio.ln();
    let is_sure = shift.deviations.abs() >= rank::critical(comparisons)
        && shift.deviations.signum() == change.signum()
        && spread.is_none_or(|spread| spread.is_sure(change));
    let (low, high) = (shift.range.0.ln(), shift.range.1.ln());
    if is_sure && change >= floor {
        Verdict::Slower
    } else if is_sure && change <= -floor {
        Verdict::Faster
    } else if -floor < low && high < floor {
        Verdict::Same
    } else {
        Verdict::Inconclusive
    }
}

/// Of all percentiles that decide: slower if one is; what cannot be judged but was asked for comes next.
fn decide(judgment: &Judgment, of: impl Fn(Percentile) -> Option<Verdict>) -> (Verdict, Vec<Percentile>) {
    let judged = judgment.judged();
    let with = |wanted: Verdict| -> Vec<Percentile> {
        judged.iter().copied().filter(|percentile| of(*percentile) == Some(wanted)).collect()
    };
    let slower = with(Verdict::Slower);
    if !slower.is_empty() {
        return (Verdict::Slower, slower);
    }
    if judgment.by.is_some() && judged.iter().any(|percentile| of(*percentile).is_none()) {
        return (Verdict::TooFew, Vec::new());
    }
    let faster = with(Verdict::Faster);
    if !faster.is_empty() {
        return (Verdict::Faster, faster);
    }
    let is_open = !with(Verdict::Inconclusive).is_empty();
    (if is_open { Verdict::Inconclusive } else { Verdict::Same }, Vec::new())
}

/// Runs that each side needs in addition until the range lies within what counts, or outside of it. Its width shrinks with the
/// square root of the runs.
fn more_runs(change: f64, reach: f64, floor: f64, runs: f64) -> u64 {
    // A change close to what counts would take runs without end.
    let room = (floor - change.abs()).abs().max(floor / 4.0);
    let wanted = runs.max(1.0) * (reach / room).powi(2);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
    let more = (wanted - runs).ceil().clamp(1.0, 1e6) as u64;
    more
}
