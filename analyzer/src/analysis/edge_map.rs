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
        let index = index_of(from);
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

    /// The value of the way, if there is one.
    pub(crate) fn get(&self, from: Edge, to: Edge) -> Option<&V> {
        let ways = self.ways.get(index_of(from))?;
        ways.iter().find(|(known, _)| *known == to).map(|(_, value)| value)
    }

    /// All ways with their values, by the edge they leave.
    pub(crate) fn ways(&self) -> impl Iterator<Item = (Edge, Edge, &V)> {
        let ways = self.ways.iter().enumerate();
        ways.flat_map(|(index, ways)| ways.iter().map(move |(to, value)| (edge_at(index), *to, value)))
    }

    /// The same, to take them.
    pub(crate) fn into_ways(self) -> impl Iterator<Item = (Edge, Edge, V)> {
        let ways = self.ways.into_iter().enumerate();
        ways.flat_map(|(index, ways)| ways.into_iter().map(move |(to, value)| (edge_at(index), to, value)))
    }

    /// The value of a way, to change it.
    pub(crate) fn get_mut(&mut self, from: Edge, to: Edge) -> Option<&mut V> {
        let ways = self.ways.get_mut(index_of(from))?;
        ways.iter_mut().find(|(known, _)| *known == to).map(|(_, value)| value)
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

fn index_of(edge: Edge) -> usize {
    2 * edge.stage as usize + usize::from(edge.side == Side::End)
}

fn edge_at(index: usize) -> Edge {
    let side = if index.is_multiple_of(2) { Side::Begin } else { Side::End };
    Edge { stage: u32::try_from(index / 2).unwrap_or(u32::MAX), side }
}
