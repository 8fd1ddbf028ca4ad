//! How many buffers had to wait for a resource.

use super::super::path::buffers::Buffers;
use super::resource::{Resource, ResourceKind};

/// A wait for a lock up to this, ns, or up to a hundredth of the time that the lock is held, is the way to it.
const LOCK_WAY_NS: f64 = 5000.0;

/// Share of the rows `counted` for which the resource finished another buffer between this one's arrival and the begin
/// of its work: `None` for the first on the path, at which nothing arrives, or if there are no rows.
pub(crate) fn waited(rows: &Buffers, resource: &Resource, counted: impl Fn(usize) -> bool) -> Option<f64> {
    let first = resource.first.checked_sub(1)?;
    let mut finished: Vec<u64> = rows.all_hits().map(|hits| hits[resource.last + 1].time_ns).collect();
    finished.sort_unstable();
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
