//! A map from hand-offs to what is known of them: few ways leave each edge, so a short search finds them.

use crate::pair::{Edge, Side};

/// Values by the two edges of a hand-off.
#[derive(Debug, Clone)]
pub(crate) struct EdgeMap<V> {
    /// Ways from each edge.
    ways: Vec<Vec<(Edge, V)>>,
}

impl<V> Default for EdgeMap<V> {
    fn default() -> Self {
        Self { ways: Vec::new() }
    }
}

impl<V> EdgeMap<V> {
    /// The value of the way, made by `make` the first time.
    pub(crate) fn get_or_insert(&mut self, from: Edge, to: Edge, make: impl FnOnce() -> V) -> &mut V {
        let index = 2 * from.stage as usize + usize::from(from.side == Side::End);
        if index >= self.ways.len() {
            self.ways.resize_with(index + 1, Vec::new);
        }
        let ways = &mut self.ways[index];
        let at = ways.iter().position(|(known, _)| *known == to).unwrap_or_else(|| {
            ways.push((to, make()));
            ways.len() - 1
        });
        &mut ways[at].1
    }

    /// All values, ordered by their edges.
    pub(crate) fn into_values(self) -> Vec<V> {
        let sorted = |mut ways: Vec<(Edge, V)>| {
            ways.sort_by_key(|(to, _)| *to);
            ways.into_iter().map(|(_, value)| value)
        };
        self.ways.into_iter().flat_map(sorted).collect()
    }
}
