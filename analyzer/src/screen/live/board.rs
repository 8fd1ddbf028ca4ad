//! What is shown of a recording at a moment: plain values.

use super::figures::Figure;
use super::order::positions;
use super::seconds::length_s;
use super::watching::Watching;
use crate::analysis::diagnosis::Route;
use crate::analysis::{Summary, hand_off_name};
use crate::pair::{Census, Edge, Side, UnderWay, difference_ns};
use crate::report::counted;

/// Seconds before which a recording that goes on has no rates.
const SOON_S: f64 = 0.1;

/// What is shown of a recording at a moment. Names are not escaped.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Board {
    /// Times of the first event and of this moment, CLOCK_MONOTONIC, ns.
    pub time_ns: Option<(u64, u64)>,
    /// Seconds that recent figures are of.
    pub seconds: u64,
    /// Events so far.
    pub events: u64,
    /// Events a second, in the last seconds; `None` until there is a time that they are of.
    pub rate: Option<f64>,
    /// Events lost so far.
    pub lost: u64,
    /// Stages and waits, in the order in which they are passed.
    pub rows: Vec<BoardRow>,
    /// The slowest buffer of the last seconds.
    pub worst: Option<Worst>,
    /// What is missing or uncertain, a line each.
    pub notes: Vec<String>,
    /// Nothing more comes.
    pub has_ended: bool,
}

/// What a row is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowKind {
    /// A stage.
    Stage,
    /// The wait between two.
    Wait,
}

/// A stage, or the wait between two.
#[derive(Debug, Clone, PartialEq)]
pub struct BoardRow {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: RowKind,
    /// How many a second, in the last seconds; `None` until there is a time that they are of.
    pub rate: Option<f64>,
    /// Latencies of the last seconds; `None` if there are none.
    pub recent: Option<Summary>,
    /// Latencies since the begin.
    pub all: Option<Summary>,
    /// How many were complete since the begin.
    pub count: u64,
    /// How many are in the stage, or wait; `None` where that cannot be said.
    pub under_way: Option<u64>,
    /// Whether there are more of them.
    pub at_least: bool,
    /// How long the oldest of them has been, ns.
    pub oldest_ns: Option<u64>,
    /// Whether lost events may have touched it.
    pub touched: bool,
}

/// The slowest buffer of the last seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worst {
    /// Its key.
    pub key: String,
    /// From its first event to its last, ns.
    pub took_ns: u64,
    /// How long each step took, ns.
    pub steps: Vec<(String, i64)>,
}

impl Watching {
    /// What is to be shown at `now_ns`, by the clock of the events.
    #[must_use]
    pub fn board(&self, now_ns: u64) -> Board {
        let time_ns = self.time_ns.map(|(first_ns, last_ns)| (first_ns, now_ns.max(last_ns)));
        let Some((first_ns, now_ns)) = time_ns else {
            let (seconds, has_ended) = (self.given.seconds, self.has_ended);
            return Board { seconds, notes: self.notes(), has_ended, ..Board::default() };
        };
        let length_s = length_s(self.given.seconds, first_ns, now_ns);
        // A moment after the first event, a rate would be beyond all measure.
        let length_s = length_s.filter(|&length_s| length_s >= SOON_S || self.has_ended);
        let events: u64 = self.events.until(now_ns).sum();
        Board {
            time_ns,
            seconds: self.given.seconds,
            events: self.outcome.events,
            rate: length_s.map(|length_s| events as f64 / length_s),
            lost: self.outcome.lost,
            rows: self.rows(now_ns, length_s),
            worst: self.worst(now_ns),
            notes: self.notes(),
            has_ended: self.has_ended,
        }
    }

    fn rows(&self, now_ns: u64, length_s: Option<f64>) -> Vec<BoardRow> {
        let (figures, stages, census) = (&self.figures, &self.chosen.stages, self.pairer.census());
        let positions = positions(figures);
        let place = |edge: Edge| positions[edge.stage as usize][edge.side as usize];
        let row = |name: String, kind: RowKind, figure: &Figure, under_way: Option<UnderWay>| {
            let recent = figure.recent(now_ns);
            let under_way = under_way.filter(|_| !self.has_ended);
            let oldest = under_way.filter(|under_way| under_way.count > 0);
            BoardRow {
                name,
                kind,
                rate: length_s.map(|length_s| recent.count() as f64 / length_s),
                recent: recent.summary(),
                all: figure.all.summary(),
                count: figure.all.count(),
                under_way: under_way.map(|it| it.count),
                at_least: census.is_partial && under_way.is_some(),
                oldest_ns: oldest.map(|it| now_ns.saturating_sub(it.since_ns)),
                touched: figure.touched,
            }
        };
        let mut rows = Vec::new();
        for (number, (figure, stage)) in (0..).zip(figures.stages.iter().zip(stages)) {
            let under_way = census.open[number as usize];
            if figure.all.count() > 0 || under_way.count > 0 {
                let [begin, end] = positions[number as usize];
                let place = (begin, false, -end, number);
                rows.push((place, row(stage.name.clone(), RowKind::Stage, figure, Some(under_way))));
            }
        }
        for (from, to, figure) in figures.hand_offs.ways() {
            let waiting = self.waiting(&census, from, to);
            let place = (place(from), true, place(to), from.stage);
            rows.push((place, row(hand_off_name(from, to, stages), RowKind::Wait, figure, waiting)));
        }
        rows.sort_by(|(a, _), (b, _)| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
        rows.into_iter().map(|(_, row)| row).collect()
    }

    /// The keys that have left `from`, if `to` is where most of them go next.
    fn waiting(&self, census: &Census, from: Edge, to: Edge) -> Option<UnderWay> {
        let figures = &self.figures;
        let count = figures.hand_offs.get(from, to)?.all.count();
        let passed = figures.stages[from.stage as usize].all.count();
        (2 * count > passed).then(|| census.resting[from.stage as usize][from.side as usize])
    }

    fn worst(&self, now_ns: u64) -> Option<Worst> {
        let life = self.figures.lives.worst(now_ns)?;
        let passed = life.passed();
        let edges = passed.iter().map(|&(edge, _)| edge).collect();
        let names = Route::new(edges, &self.chosen.stages).steps.into_iter().map(|step| step.name);
        let took = passed.windows(2).map(|two| difference_ns(two[0].1.time_ns, two[1].1.time_ns));
        Some(Worst { key: life.key?.to_string(), took_ns: life.took_ns(), steps: names.zip(took).collect() })
    }

    fn notes(&self) -> Vec<String> {
        let mut notes: Vec<String> = self.outcome.loss_text().into_iter().collect();
        for refused in &self.chosen.refused {
            notes.push(format!("{} is left out: {}", refused.stage.name, refused.text()));
        }
        for (stage, evidence) in self.chosen.stages.iter().zip(&self.chosen.evidence) {
            if evidence.few && !self.has_ended {
                notes.push(format!("{}: few events so far, its key is a guess", stage.name));
            }
        }
        if self.began_anew > 0 {
            let times = counted(self.began_anew, "time");
            notes.push(format!(
                "other stages came: pairing began anew {times}, what was under way is not counted"
            ));
        }
        if self.figures.incomplete > 0 {
            notes.push(format!("{} not complete", counted(self.figures.incomplete, "span")));
        }
        notes
    }
}

// Begins stand before ends.
const _: () = assert!(Side::Begin as usize == 0 && Side::End as usize == 1);
