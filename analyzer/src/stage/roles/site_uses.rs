//! What the events of each site are to the stages, kept once for all sites that are alike.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::ops::Range;
use std::sync::Arc;

use tracer_format::{ArgKind, Site, SiteId};

use super::{Role, Roles};

/// Something for each site and each of its roles. Sites of one probe with the same arguments share it: a program may have
/// very many.
#[derive(Debug)]
pub(crate) struct SiteUses<T> {
    of_sites: Vec<Range<u32>>,
    all: Vec<T>,
    /// The first site of each kind, by a hash of what makes the kind.
    kinds: HashMap<u64, Vec<SiteId>>,
}

impl<T> Default for SiteUses<T> {
    fn default() -> Self {
        Self { of_sites: Vec::new(), all: Vec::new(), kinds: HashMap::new() }
    }
}

impl<T> SiteUses<T> {
    /// What `make` makes of `sites`, of which there will be no more.
    pub(crate) fn new(
        sites: &[Arc<Site>],
        roles: &Roles<'_>,
        make: impl FnMut(&Site, &[Role]) -> Vec<T>,
    ) -> Self {
        let mut uses = Self::default();
        uses.add(sites, roles, make);
        uses.kinds = HashMap::new();
        uses
    }

    /// Takes those of `sites` that were added since the last time.
    pub(crate) fn add(
        &mut self,
        sites: &[Arc<Site>],
        roles: &Roles<'_>,
        mut make: impl FnMut(&Site, &[Role]) -> Vec<T>,
    ) {
        for (index, site) in sites.iter().enumerate().skip(self.of_sites.len()) {
            let roles = roles.of(site);
            if roles.is_empty() {
                self.of_sites.push(0..0);
            } else if let Some(other) = self.alike(index, sites) {
                self.of_sites.push(self.of_sites[other.index()].clone());
            } else {
                let start = self.len();
                self.all.extend(make(site, roles));
                self.of_sites.push(start..self.len());
            }
        }
    }

    /// The first site of the kind of that at `index`; `None` if that is the first.
    fn alike(&mut self, index: usize, sites: &[Arc<Site>]) -> Option<SiteId> {
        let own = kind(&sites[index]);
        let hash = self.kinds.hasher().hash_one(own);
        let firsts = self.kinds.entry(hash).or_default();
        let found = firsts.iter().copied().find(|first| kind(&sites[first.index()]) == own);
        if found.is_none() {
            firsts.push(SiteId::at(index));
        }
        found
    }

    /// How many there are, of all kinds of sites.
    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.all.len()).unwrap_or(u32::MAX)
    }

    /// Those of a site.
    #[inline]
    pub(crate) fn of(&self, site: SiteId) -> &[T] {
        match self.of_sites.get(site.index()) {
            Some(uses) => &self.all[uses.start as usize..uses.end as usize],
            None => &[],
        }
    }
}

/// What makes sites alike.
fn kind(site: &Site) -> (&str, &str, &[ArgKind], u8) {
    (&site.provider, &site.probe, &site.args, site.key_arg)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::Stage;

    #[test]
    fn sites_that_are_alike_share_what_they_are() {
        let site = |probe: &str, args: &[ArgKind]| {
            Arc::new(Site { provider: "a".into(), probe: probe.into(), args: args.into(), ..Site::default() })
        };
        let (number, text) = ([ArgKind::Signed(8)], [ArgKind::Str]);
        let sites = [
            site("b", &number),
            site("other", &number),
            site("c", &number),
            site("b", &text),
            site("b", &number),
            site("c", &number),
        ];
        let stages: [Stage; 2] = ["x = a:b -> a:c", "y = a:b -> a:c"].map(|text| text.parse().unwrap());
        let roles = Roles::new(&stages);
        let mut made = 0;
        let mut uses = SiteUses::default();
        let mut make = |site: &Site, roles: &[Role]| {
            made += 1;
            roles.iter().map(|role| (site.args.clone(), role.stage, role.begins.is_some())).collect()
        };
        uses.add(&sites[..3], &roles, &mut make);
        uses.add(&sites, &roles, &mut make);
        assert_eq!(made, 3);
        for (at, site) in sites.iter().enumerate() {
            let expected = |stage| (site.args.clone(), stage, *site.probe == *"b");
            let expected = if *site.probe == *"other" { vec![] } else { vec![expected(0), expected(1)] };
            assert_eq!(uses.of(SiteId::at(at)), expected, "{site:?}");
        }
        assert_eq!((uses.len(), uses.of(SiteId::at(9))), (6, &[][..]));
    }
}
