//! How stages and hand-offs go over time: latencies, and how many are under way at once.

use std::io;

use crate::analysis::diagnosis::Flow;
use crate::analysis::{Analysis, EdgeMap, SLICES, Slices};
use crate::pair::{Class, HandOff, Sink, Span};

/// Stages, and hand-offs, that are watched; the first ones.
const MAX_TRENDS: usize = 64;

/// Watches the complete spans and the hand-offs of a trace.
#[derive(Debug)]
pub struct OverTime {
    time_ns: (u64, u64),
    stages: Vec<Option<Watched>>,
    /// In boxes: most are not watched.
    hand_offs: EdgeMap<Option<Box<Watched>>>,
    watched_hand_offs: usize,
}

#[derive(Debug, Clone)]
struct Watched {
    latency: Slices,
    flow: Flow,
}

/// How the spans of a stage, or hand-offs, go over time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trend {
    /// Latencies, by when they began.
    pub latency: Slices,
    /// How many are under way at once, on average over each slice.
    pub under_way: Vec<f64>,
}

/// All of them, in the order of an analysis; `None` for those that were not watched.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trends {
    /// Of its stages.
    pub stages: Vec<Option<Trend>>,
    /// Of its hand-offs.
    pub hand_offs: Vec<Option<Trend>>,
    /// From the first probe of the path to the last.
    pub path: Option<Trend>,
}

impl OverTime {
    /// Of so many stages, from the first event to the last.
    #[must_use]
    pub fn new(stages: usize, time_ns: (u64, u64)) -> Self {
        let is_watched = |stage| (stage < MAX_TRENDS).then(|| Watched::new(time_ns));
        Self {
            time_ns,
            stages: (0..stages).map(is_watched).collect(),
            hand_offs: EdgeMap::default(),
            watched_hand_offs: 0,
        }
    }

    /// What was seen, when nothing more comes; that of the path is the `analysis`'.
    #[must_use]
    pub fn finish(self, analysis: &Analysis) -> Trends {
        let trend = |watched: Option<Watched>| watched.map(Watched::trend);
        let diagnosis = analysis.diagnosis.as_ref().filter(|it| !it.shares.median.is_empty());
        Trends {
            stages: self.stages.into_iter().map(trend).collect(),
            hand_offs: self.hand_offs.into_values().into_iter().map(|it| trend(it.map(|it| *it))).collect(),
            path: diagnosis.map(|diagnosis| Trend {
                latency: diagnosis.profile.totals.clone(),
                under_way: diagnosis.in_flight.clone(),
            }),
        }
    }
}

impl Watched {
    fn new((from_ns, to_ns): (u64, u64)) -> Self {
        Self { latency: Slices::new((from_ns, to_ns)), flow: Flow::new(from_ns, to_ns) }
    }

    fn add(&mut self, begin_ns: u64, end_ns: u64, latency_ns: i64) {
        self.latency.add(begin_ns, latency_ns);
        self.flow.add(begin_ns, end_ns);
    }

    fn trend(self) -> Trend {
        Trend { latency: self.latency, under_way: self.flow.over_time(SLICES) }
    }
}

impl Sink for OverTime {
    fn takes_usual_keys(&self) -> bool {
        true
    }

    fn span(&mut self, span: &Span) -> io::Result<()> {
        let (Class::Complete, Some(begin), Some(end)) = (span.class, span.begin, span.end) else {
            return Ok(());
        };
        if let Some(watched) = &mut self.stages[span.stage as usize] {
            watched.add(begin.time_ns, end.time_ns, span.latency_ns().unwrap_or_default());
        }
        Ok(())
    }

    fn hand_off(&mut self, hand_off: &HandOff) -> io::Result<()> {
        let (time_ns, known) = (self.time_ns, &mut self.watched_hand_offs);
        let make = || {
            *known += 1;
            (*known <= MAX_TRENDS).then(|| Box::new(Watched::new(time_ns)))
        };
        if let Some(Some(watched)) = self.hand_offs.get_or_insert_few(hand_off.from, hand_off.to, make) {
            let (left_ns, arrived_ns) = (hand_off.left.time_ns, hand_off.arrived.time_ns);
            watched.add(left_ns, arrived_ns, hand_off.latency_ns());
        }
        Ok(())
    }
}
