//! A map from hand-offs to what is known of them: few ways leave each edge, so a short search finds them.

use crate::pair::{Edge, Side};

/// Ways that are told apart, where each takes much room. Programs have about as many as stages; only a trace that is made for it
/// leads from each stage to each.
pub(crate) const MAX_WAYS: usize = 1 << 14;
/// So many ways are searched one after the other.
const FEW: usize = 8;

/// Values by the two edges of a hand-off.
#[derive(Debug, Clone)]
pub(crate) struct EdgeMap<V> {
    /// Ways from each edge, ordered by where they lead, each with the position of its value.
    ways: Vec<Vec<(Edge, u32)>>,
    values: Vec<V>,
}

impl<V> Default for EdgeMap<V> {
    fn default() -> Self {
        Self { ways: Vec::new(), values: Vec::new() }
    }
}

impl<V> EdgeMap<V> {
    /// The value of the way, made by `make` the first time.
    pub(crate) fn get_or_insert(&mut self, from: Edge, to: Edge, make: impl FnOnce() -> V) -> &mut V {
        let at = match self.find(from, to) {
            Ok(at) => at,
            Err(place) => self.insert(from, to, place, make()),
        };
        &mut self.values[at]
    }

    /// The same; `None` if there are [`MAX_WAYS`], and this is not one of them.
    pub(crate) fn get_or_insert_few(
        &mut self,
        from: Edge,
        to: Edge,
        make: impl FnOnce() -> V,
    ) -> Option<&mut V> {
        let at = match self.find(from, to) {
            Ok(at) => at,
            Err(_) if self.values.len() >= MAX_WAYS => return None,
            Err(place) => self.insert(from, to, place, make()),
        };
        Some(&mut self.values[at])
    }

    /// The position of a value, or else the place of the way among those from its edge.
    #[inline]
    fn find(&self, from: Edge, to: Edge) -> Result<usize, usize> {
        let ways = self.ways.get(index_of(from)).map_or(&[][..], Vec::as_slice);
        if ways.len() <= FEW
            && let Some((_, at)) = ways.iter().find(|(known, _)| *known == to)
        {
            return Ok(*at as usize);
        }
        ways.binary_search_by_key(&to, |(known, _)| *known).map(|place| ways[place].1 as usize)
    }

    fn insert(&mut self, from: Edge, to: Edge, place: usize, value: V) -> usize {
        let (index, at) = (index_of(from), self.values.len());
        if index >= self.ways.len() {
            self.ways.resize_with(index + 1, Vec::new);
        }
        self.values.push(value);
        self.ways[index].insert(place, (to, u32::try_from(at).expect("there are less than 2^32 ways")));
        at
    }

    /// The value of the way, if there is one.
    pub(crate) fn get(&self, from: Edge, to: Edge) -> Option<&V> {
        self.find(from, to).ok().map(|at| &self.values[at])
    }

    /// All ways with their values, ordered by their edges.
    pub(crate) fn ways(&self) -> impl Iterator<Item = (Edge, Edge, &V)> {
        self.places().map(|(from, to, at)| (from, to, &self.values[at]))
    }

    /// The same, to take them.
    pub(crate) fn into_ways(mut self) -> impl Iterator<Item = (Edge, Edge, V)> {
        let mut values: Vec<Option<V>> = std::mem::take(&mut self.values).into_iter().map(Some).collect();
        let places: Vec<(Edge, Edge, usize)> = self.places().collect();
        places.into_iter().filter_map(move |(from, to, at)| Some((from, to, values[at].take()?)))
    }

    fn places(&self) -> impl Iterator<Item = (Edge, Edge, usize)> {
        let ways = self.ways.iter().enumerate();
        ways.flat_map(|(index, ways)| ways.iter().map(move |&(to, at)| (edge_at(index), to, at as usize)))
    }

    /// The value of a way, to change it.
    pub(crate) fn get_mut(&mut self, from: Edge, to: Edge) -> Option<&mut V> {
        self.find(from, to).ok().map(|at| &mut self.values[at])
    }

    /// All values, ordered by their edges.
    pub(crate) fn into_values(self) -> Vec<V> {
        self.into_ways().map(|(.., value)| value).collect()
    }
}

fn index_of(edge: Edge) -> usize {
    2 * edge.stage as usize + usize::from(edge.side == Side::End)
}

fn edge_at(index: usize) -> Edge {
    let side = if index.is_multiple_of(2) { Side::Begin } else { Side::End };
    Edge { stage: u32::try_from(index / 2).unwrap_or(u32::MAX), side }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(number: u32) -> Edge {
        edge_at(number as usize)
    }

    #[test]
    fn a_way_is_found_among_few_and_among_many() {
        let mut map = EdgeMap::default();
        let all: Vec<(u32, u32)> =
            (0..40).flat_map(|from| (0..from).map(move |to| (from, to * 7 % 40))).collect();
        for _ in 0..2 {
            for &(from, to) in &all {
                *map.get_or_insert(edge(from), edge(to), || 0) += 1;
            }
        }
        let found: Vec<(Edge, Edge, i32)> = map.ways().map(|(from, to, &value)| (from, to, value)).collect();
        let mut expected: Vec<(Edge, Edge, i32)> =
            all.iter().map(|&(from, to)| (edge(from), edge(to), 2)).collect();
        expected.sort_unstable();
        assert_eq!(found, expected);
        assert_eq!((map.get(edge(9), edge(7)), map.get(edge(9), edge(39))), (Some(&2), None));
        assert_eq!(map.clone().into_ways().collect::<Vec<_>>(), expected);
        assert_eq!(map.into_values(), vec![2; all.len()]);
    }

    #[test]
    fn no_more_ways_are_told_apart_than_there_is_room_for() {
        let mut map = EdgeMap::default();
        let mut add = |from: u32, to: u32| map.get_or_insert_few(edge(from), edge(to), || ()).is_some();
        let known = (0..200).flat_map(|from| (0..100).map(move |to| (from, to)));
        assert_eq!(known.filter(|&(from, to)| add(from, to)).count(), MAX_WAYS);
        assert!(add(0, 99) && !add(0, 100));
    }
}
