//! A file whose sites the program knows, but is not attached to yet.

use std::collections::BTreeMap;

use tracer_format::{Site, Skipped, SkippedKind};

use crate::attach::attempt::{Reason, Refusal};
use crate::find::binary::Binary;
use crate::kernel::link::Place;
use crate::site::plan::PlannedSite;

/// A file whose sites the program knows, but is not attached to yet.
pub(crate) struct Prepared {
    pub(super) binary: Binary,
    pub(super) places: Vec<Place>,
    /// The sites, by the index that their events carry.
    pub(crate) sites: Vec<PlannedSite>,
}

impl Prepared {
    /// Probes that are attached, or will be; a probe may have several sites.
    pub(crate) fn probes(&self) -> usize {
        let attached = self.sites.iter().filter(|site| site.site.announced);
        unique(attached.map(|site| site.site.name())).len()
    }

    /// Marks the sites that the kernel refused; returns what is not recorded because of that.
    pub(super) fn refuse(&mut self, refusals: &[Refusal]) -> Vec<Skipped> {
        for Refusal { place, reason } in refusals {
            let Some(site) = usize::try_from(*place).ok().and_then(|place| self.sites.get_mut(place)) else {
                continue;
            };
            site.site.announced &= !matches!(reason, Reason::Refused(_));
        }
        let reasons = unique(refusals.iter().map(|refusal| refusal.reason.to_string()));
        if let [reason] = &reasons[..]
            && refusals.len() == self.sites.len()
        {
            let count = refusals.len() as u64;
            return vec![Skipped { count, ..in_file(&self.binary, reason.clone()) }];
        }
        let skipped = |refusal: &Refusal| {
            let site = self.sites.get(usize::try_from(refusal.place).ok()?)?;
            Some(self.at(&site.site, refusal.reason.to_string()))
        };
        refusals.iter().filter_map(skipped).collect()
    }

    /// Marks all sites as not recorded; returns that, with the reason.
    pub(super) fn refuse_all(&mut self, reason: String) -> Vec<Skipped> {
        self.sites.iter_mut().for_each(|site| site.site.announced = false);
        vec![Skipped { count: self.sites.len() as u64, ..in_file(&self.binary, reason) }]
    }

    /// The sites that share their address with another probe, so that an event may be of either.
    pub(super) fn folded(&self) -> Vec<Skipped> {
        let mut by_offset: BTreeMap<u64, Vec<&Site>> = BTreeMap::new();
        for site in self.sites.iter().filter(|site| site.site.announced) {
            by_offset.entry(site.site.offset).or_default().push(&site.site);
        }
        let folded = |sites: Vec<&Site>| {
            let names = unique(sites.iter().map(|site| site.name()));
            let reason = format!(
                "at one address (identical code folding): each firing is recorded as {}",
                names.join(" and as ")
            );
            let skipped = sites.into_iter().map(move |site| self.at(site, reason.clone()));
            skipped.filter(|_| names.len() > 1).collect::<Vec<_>>()
        };
        by_offset.into_values().flat_map(folded).collect()
    }

    fn at(&self, site: &Site, reason: String) -> Skipped {
        Skipped {
            count: 1,
            provider: site.provider.to_string(),
            probe: site.probe.to_string(),
            offset: site.offset,
            ..in_file(&self.binary, reason)
        }
    }
}

/// The different texts, in order.
fn unique(texts: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut texts: Vec<String> = texts.into_iter().collect();
    texts.sort_unstable();
    texts.dedup();
    texts
}

/// Sites of a file that are not recorded.
pub(super) fn in_file(binary: &Binary, reason: String) -> Skipped {
    Skipped {
        kind: SkippedKind::Sites,
        program: binary.program.clone(),
        path: binary.path.to_string_lossy().into_owned(),
        reason,
        ..Skipped::default()
    }
}
