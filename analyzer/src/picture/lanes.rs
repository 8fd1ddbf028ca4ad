//! Tracks for slices that overlap: on each track they do not.

use std::collections::BTreeSet;

/// The tracks of one name, side by side; the viewer shows them as one.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    /// When each is free, ns, and which it is.
    free: BTreeSet<(u64, u64)>,
}

impl Lanes {
    /// The track for a slice from `begin_ns` to `end_ns`: the one that is free for the shortest time, else what `new`
    /// makes.
    pub(super) fn take(&mut self, begin_ns: u64, end_ns: u64, new: impl FnOnce() -> u64) -> u64 {
        let free = self.free.range(..=(begin_ns, u64::MAX)).next_back().copied();
        let track = free.map_or_else(new, |lane| {
            self.free.remove(&lane);
            lane.1
        });
        self.free.insert((end_ns, track));
        track
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_share_a_track_if_they_do_not_overlap() {
        let mut lanes = Lanes::default();
        // In the order of their ends, as spans come.
        let slices = [(1, 3), (2, 4), (3, 5), (4, 4), (1, 6), (5, 7), (8, 9)];
        let tracks: Vec<u64> =
            (1..).zip(slices).map(|(next, (begin, end))| lanes.take(begin, end, || next)).collect();
        assert_eq!(tracks, [1, 2, 1, 2, 5, 1, 1]);
    }
}
