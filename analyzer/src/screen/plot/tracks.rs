//! What has figures and plots: the whole path, its stages and waits, then all other stages and hand-offs.

use super::over_time::{Trend, Trends};
use crate::analysis::diagnosis::Diagnosis;
use crate::analysis::{Analysis, Latency, hand_off_name};
use crate::stage::Stage;

/// A stage, a hand-off, or the whole path.
#[derive(Debug, Clone)]
pub(crate) struct Track<'a> {
    /// Name; not escaped.
    pub(crate) name: String,
    pub(crate) kind: TrackKind,
    pub(crate) latency: &'a Latency,
    /// `None` if it was not watched over time.
    pub(crate) trend: Option<&'a Trend>,
    /// Whether lost events may have touched it.
    pub(crate) touched: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TrackKind {
    Path,
    Stage,
    HandOff,
}

impl TrackKind {
    /// What is said of it in a table.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Stage => "stage",
            Self::HandOff => "wait",
        }
    }

    /// What the number of those under way is called.
    pub(crate) fn under_way(self) -> &'static str {
        match self {
            Self::Path => "buffers in flight",
            Self::Stage => "in the stage at once",
            Self::HandOff => "waiting at once (queue length)",
        }
    }
}

/// The path of most buffers, if there is one.
pub(crate) fn path_of(analysis: &Analysis) -> Option<&Diagnosis> {
    analysis.diagnosis.as_ref().filter(|diagnosis| !diagnosis.shares.median.is_empty())
}

/// All that have values, the path's first.
pub(crate) fn tracks<'a>(analysis: &'a Analysis, trends: &'a Trends) -> Vec<Track<'a>> {
    let all: Vec<Stage> = analysis.stages.iter().map(|report| report.stage.clone()).collect();
    let mut stages: Vec<Option<Track<'a>>> = (analysis.stages.iter().enumerate())
        .map(|(at, report)| {
            Some(Track {
                name: report.stage.name.clone(),
                kind: TrackKind::Stage,
                latency: &report.latency,
                trend: trends.stages.get(at).and_then(Option::as_ref),
                touched: report.complete_near_loss > 0,
            })
        })
        .collect();
    let mut hand_offs: Vec<Option<Track<'a>>> = (analysis.hand_offs.iter().enumerate())
        .map(|(at, report)| {
            Some(Track {
                name: hand_off_name(report.from, report.to, &all),
                kind: TrackKind::HandOff,
                latency: &report.latency,
                trend: trends.hand_offs.get(at).and_then(Option::as_ref),
                touched: report.near_loss > 0,
            })
        })
        .collect();
    let mut tracks = Vec::new();
    if let Some(path) = path_of(analysis) {
        tracks.push(Track {
            name: "end to end".to_owned(),
            kind: TrackKind::Path,
            latency: &path.total,
            trend: trends.path.as_ref(),
            touched: analysis.outcome.has_holes(),
        });
        for (step, edges) in path.route.steps.iter().zip(path.route.edges.windows(2)) {
            let is = |at: &usize| {
                let report = &analysis.hand_offs[*at];
                report.from == edges[0] && report.to == edges[1]
            };
            tracks.extend(match step.stage {
                Some(stage) => stages.get_mut(stage as usize).and_then(Option::take),
                None => (0..hand_offs.len()).find(is).and_then(|at| hand_offs[at].take()),
            });
        }
    }
    for rest in [stages, hand_offs] {
        let mut rest: Vec<Track<'_>> = rest.into_iter().flatten().collect();
        rest.sort_by_key(|track| std::cmp::Reverse(track.latency.sum_ns()));
        tracks.extend(rest);
    }
    tracks.retain(|track| track.latency.count() > 0);
    tracks
}
