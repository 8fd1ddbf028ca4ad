//! The slowest buffers, and why each was slow.

use super::limit::quantile::median;
use super::limit::stall::Stall;
use super::path::buffers::Buffers;
use super::path::route::Route;
use crate::report::{duration, latency};
use crate::stage::KeyValue;

/// Buffers without which a median tells nothing.
const LEAST: usize = 20;

/// A slow buffer.
#[derive(Debug, Clone)]
pub struct Slow {
    /// Its key.
    pub key: KeyValue,
    /// From the first probe of the path to the last, ns.
    pub total_ns: i64,
    /// When it entered the path, ns.
    pub entered_ns: u64,
    /// How long each step took, ns.
    pub steps_ns: Vec<i64>,
    /// Why it was slow.
    pub reason: String,
    /// Of each step, what went on meanwhile, if it is a wait that took longer than usual; else empty.
    pub waits: Vec<String>,
}

/// The `count` slowest of `rows`, slowest first, that took longer than the median; `start_ns` is the start of the trace.
pub(crate) fn worst(
    rows: &Buffers,
    route: &Route,
    stalls: &[Stall],
    start_ns: u64,
    count: usize,
) -> Vec<Slow> {
    if rows.len() < LEAST {
        return Vec::new();
    }
    let usual = Usual::new(rows);
    let slower = rows.slowest(count).into_iter().filter(|&row| rows.total_ns(row) as f64 > usual.total_ns);
    let slow = |row: usize| {
        let by_stall = stalls.iter().find_map(|stall| held_by(rows, row, stall, &usual, start_ns));
        Slow {
            key: *rows.key(row),
            total_ns: rows.total_ns(row),
            entered_ns: rows.entered_ns(row),
            steps_ns: (0..rows.steps()).map(|step| rows.step_ns(row, step)).collect(),
            reason: by_stall.unwrap_or_else(|| reason(rows, route, row, &usual)),
            waits: (0..rows.steps()).map(|step| wait(rows, route, (row, step), &usual)).collect(),
        }
    };
    slower.map(slow).collect()
}

/// What a buffer usually takes.
struct Usual {
    total_ns: f64,
    steps_ns: Vec<f64>,
}

impl Usual {
    fn new(rows: &Buffers) -> Self {
        let of = |value: &dyn Fn(usize) -> i64| {
            median(&(0..rows.len()).map(|row| value(row) as f64).collect::<Vec<_>>())
        };
        let total_ns = of(&|row| rows.total_ns(row));
        let steps_ns = (0..rows.steps()).map(|step| of(&|row| rows.step_ns(row, step))).collect();
        Self { total_ns, steps_ns }
    }
}

/// A stall that covers half of what the buffer took beyond the usual.
fn held_by(rows: &Buffers, row: usize, stall: &Stall, usual: &Usual, start_ns: u64) -> Option<String> {
    if !stall.rows.contains(&row) {
        return None;
    }
    let hits = rows.hits(row);
    let (entered_ns, left_ns) = (hits.first()?.time_ns, hits.last()?.time_ns);
    let held_ns = stall.silence.to_ns().min(left_ns).saturating_sub(stall.silence.from_ns.max(entered_ns));
    let excess_ns = rows.total_ns(row) as f64 - usual.total_ns;
    let program = stall.name();
    let (len, at) =
        (duration(stall.silence.len_ns), duration(stall.silence.from_ns.saturating_sub(start_ns)));
    (held_ns as f64 >= 0.5 * excess_ns).then(|| format!("{program} stood still for {len} at {at}"))
}

fn reason(rows: &Buffers, route: &Route, row: usize, usual: &Usual) -> String {
    let excess_ns =
        |step: usize| rows.step_ns(row, step) as f64 - usual.steps_ns.get(step).copied().unwrap_or_default();
    let mut steps: Vec<usize> = (0..rows.steps()).collect();
    steps.sort_by(|&a, &b| excess_ns(b).total_cmp(&excess_ns(a)));
    let Some(&step) = steps.first() else { return String::new() };
    let name = |step: usize| &route.steps[step].name;
    let took_ns = rows.step_ns(row, step);
    if excess_ns(step) < 0.5 * (rows.total_ns(row) as f64 - usual.total_ns) {
        #[expect(clippy::cast_possible_truncation, reason = "a time in ns")]
        let part = |&step: &usize| format!("{} {}", name(step), latency(excess_ns(step) as i64));
        return format!("many small: {}", steps.iter().take(2).map(part).collect::<Vec<_>>().join(", "));
    }
    if route.is_work(step) {
        let times = took_ns as f64 / usual.steps_ns[step].max(1.0);
        return format!("{} took {}, {times:.1} times its median", name(step), latency(took_ns));
    }
    waited_behind(rows, route, row, step)
}

/// What went on while a buffer waited longer than usual; nothing of another step.
fn wait(rows: &Buffers, route: &Route, (row, step): (usize, usize), usual: &Usual) -> String {
    let is_long = rows.step_ns(row, step) as f64 > usual.steps_ns[step].max(0.0);
    if route.is_work(step) || !is_long { String::new() } else { waited_behind(rows, route, row, step) }
}

/// Which buffers were worked on while this one waited.
fn waited_behind(rows: &Buffers, route: &Route, row: usize, step: usize) -> String {
    let hits = rows.hits(row);
    let (from_ns, to_ns) = (hits[step].time_ns, hits[step + 1].time_ns);
    let (mut others, mut most) = (0_usize, None::<(u64, usize, usize)>);
    for other in (0..rows.len()).filter(|&other| other != row) {
        let hits = rows.hits(other);
        let mut served = false;
        for work in (step..rows.steps()).filter(|&work| route.is_work(work)) {
            let inside_ns = hits[work + 1].time_ns.min(to_ns).saturating_sub(hits[work].time_ns.max(from_ns));
            served |= inside_ns > 0;
            if inside_ns > most.map_or(0, |(most_ns, ..)| most_ns) {
                most = Some((inside_ns, other, work));
            }
        }
        others += usize::from(served);
    }
    let (name, wait_ns) = (&route.steps[step].name, to_ns.saturating_sub(from_ns));
    match most {
        Some((inside_ns, other, work)) if 2 * inside_ns >= wait_ns => format!(
            "waited {} behind {}, whose {} took {}",
            duration(wait_ns),
            rows.key(other),
            route.steps[work].name,
            latency(rows.step_ns(other, work)),
        ),
        Some(_) => format!("waited {} in {name}, behind {others} others", duration(wait_ns)),
        None => format!("{name} took {}, with no other buffer worked on meanwhile", duration(wait_ns)),
    }
}
