//! Announced sites of one name: which of them an event belongs to, without a look at each.

use std::collections::HashMap;

/// Announced sites of one name, in their order. A site is *taken* once an event told its provider.
#[derive(Debug, Default)]
pub(super) struct Namesakes {
    sites: Vec<usize>,
    /// Those before this position are taken.
    taken_before: usize,
    free: usize,
    /// The first that each provider took, and how many.
    of_provider: HashMap<String, (usize, usize)>,
}

impl Namesakes {
    pub(super) fn add(&mut self, site: usize) {
        self.sites.push(site);
        self.free += 1;
    }

    pub(super) fn len(&self) -> usize {
        self.sites.len()
    }

    /// The first site that `provider` took, or that is free.
    pub(super) fn first(&mut self, provider: &str, is_taken: &[bool]) -> Option<usize> {
        while self.sites.get(self.taken_before).is_some_and(|&site| is_taken[site]) {
            self.taken_before += 1;
        }
        let free = self.sites.get(self.taken_before).copied();
        let own = self.of_provider.get(provider).map(|&(first, _)| first);
        free.into_iter().chain(own).min()
    }

    /// The same, if there is no other.
    pub(super) fn only(&mut self, provider: &str, is_taken: &[bool]) -> Option<usize> {
        let own = self.of_provider.get(provider).map_or(0, |&(_, count)| count);
        if self.free + own == 1 { self.first(provider, is_taken) } else { None }
    }

    /// `provider` takes `site`, one of these.
    pub(super) fn take(&mut self, site: usize, provider: &str) {
        self.free -= 1;
        let (first, count) = self.of_provider.entry(provider.to_owned()).or_insert((site, 0));
        (*first, *count) = ((*first).min(site), *count + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_finds_its_own_site_or_a_free_one() {
        let (mut names, mut is_taken) = (Namesakes::default(), [false; 3]);
        (0..3).for_each(|site| names.add(site));
        let mut take = |names: &mut Namesakes, provider: &str| {
            let site = names.first(provider, &is_taken).unwrap();
            if !is_taken[site] {
                is_taken[site] = true;
                names.take(site, provider);
            }
            (site, names.only(provider, &is_taken))
        };
        assert_eq!(take(&mut names, "a"), (0, None));
        assert_eq!(take(&mut names, "a"), (0, None));
        assert_eq!(take(&mut names, "b"), (1, None));
        assert_eq!(take(&mut names, "c"), (2, Some(2)));
        assert_eq!(
            (names.only("a", &[true; 3]), names.first("d", &[true; 3]), names.len()),
            (Some(0), None, 3)
        );
    }
}
