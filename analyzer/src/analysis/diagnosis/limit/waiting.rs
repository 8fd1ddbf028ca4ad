//! How many buffers had to wait for a resource, and how long it stood idle meanwhile.

use super::super::path::buffers::Buffers;
use super::intervals::in_order;
use super::resource::{Resource, ResourceKind};

/// A wait for a lock up to this, ns, or up to a hundredth of the time that the lock is held, is the way to it.
const LOCK_WAY_NS: f64 = 5000.0;

/// Share of the rows `counted` for which the resource finished another buffer between this one's arrival and the begin
/// of its work: `None` for the first on the path, at which nothing arrives, or if there are no rows.
pub(crate) fn waited(rows: &Buffers, resource: &Resource, counted: impl Fn(usize) -> bool) -> Option<f64> {
    let first = resource.first.checked_sub(1)?;
    let finished: Vec<u64> = rows.all_hits().map(|hits| hits[resource.last + 1].time_ns).collect();
    let finished = in_order(&finished);
    let (mut all, mut waited) = (0_u64, 0_u64);
    for row in (0..rows.len()).filter(|&row| counted(row)) {
        let hits = rows.hits(row);
        let (arrived_ns, began_ns) = (hits[first].time_ns, hits[resource.first].time_ns);
        all += 1;
        let wait_ns = began_ns.saturating_sub(arrived_ns) as f64;
        let way_ns = LOCK_WAY_NS.min(resource.mean_ns / 100.0);
        if resource.kind == ResourceKind::Lock && wait_ns <= way_ns {
            continue;
        }
        let before = finished.partition_point(|&time_ns| time_ns < began_ns);
        waited += u64::from(before.checked_sub(1).is_some_and(|last| finished[last] > arrived_ns));
    }
    (all > 0).then(|| waited as f64 / all as f64)
}

/// Share of the time of a resource that it could have taken a buffer that waited for it, and did not: what it does then is in
/// no stage, or it is not woken up. `None` for the first on the path, and for one whose work has no begin.
pub(crate) fn delayed(rows: &Buffers, resource: &Resource) -> Option<f64> {
    let before = resource.first.checked_sub(1)?;
    resource.busy?;
    let room = resource.threads_at_once() as i64;
    let (mut idle_ns, mut all_ns) = (0.0, 0.0);
    for run in &rows.runs {
        // Arrival, begin and end of each buffer: how many more wait, how many more are worked on. All arrivals, then all begins,
        // then all ends: three runs that are nearly in order, which are soon sorted together.
        let (mut changes, mut begins, mut ends): (Vec<(u64, i64, i64)>, Vec<_>, Vec<_>) = Default::default();
        for hits in run.clone().map(|row| rows.hits(row)) {
            let arrived_ns = hits[before].time_ns;
            let began_ns = hits[resource.first].time_ns.max(arrived_ns);
            let ended_ns = hits[resource.last + 1].time_ns.max(began_ns);
            changes.push((arrived_ns, 1, 0));
            begins.push((began_ns, -1, 1));
            ends.push((ended_ns, 0, -1));
        }
        changes.extend(begins.into_iter().chain(ends));
        changes.sort_by_key(|&(time_ns, ..)| time_ns);
        let (mut waiting, mut busy) = (0, 0);
        for two in changes.windows(2) {
            (waiting, busy) = (waiting + two[0].1, busy + two[0].2);
            let len_ns = (two[1].0 - two[0].0) as f64;
            idle_ns += len_ns * waiting.min(room - busy).max(0) as f64;
            all_ns += len_ns * room as f64;
        }
    }
    (all_ns > 0.0).then(|| idle_ns / all_ns)
}

#[cfg(test)]
mod tests {
    use tracer_format::ThreadId;

    use super::*;
    use crate::pair::Point;
    use crate::stage::KeyValue;

    /// Buffers that arrive, begin and end at these times.
    fn served(times: &[[u64; 3]], threads: usize) -> Option<f64> {
        let mut rows = Buffers::with_room(3, 0);
        for (key, times) in (0..).zip(times) {
            rows.push(KeyValue::new(&[key]), &times.map(|time_ns| Point { time_ns, thread: ThreadId(0) }));
        }
        let resource = Resource {
            kind: ResourceKind::Threads,
            program: String::new(),
            threads,
            first: 1,
            last: 1,
            busy: Some(0.0),
            mean_ns: 0.0,
            inside: Vec::new(),
            group: 0,
            waited: None,
            delayed: None,
        };
        delayed(&rows, &resource)
    }

    #[test]
    fn only_a_buffer_that_waits_for_an_idle_thread_is_delayed() {
        // Two come at once; the second begins 20 ns after the first has ended.
        let times = [[0, 0, 40], [0, 60, 100]];
        assert_eq!(served(&times, 1), Some(0.2));
        // A second thread could have taken it for 60 ns, and then for 40 ns has nothing to do.
        assert_eq!(served(&times, 2), Some(0.3));
        // Bursts that are worked off one after the other delay nothing.
        assert_eq!(served(&[[0, 0, 10], [0, 10, 20], [500, 500, 510], [500, 510, 520]], 1), Some(0.0));
    }
}
