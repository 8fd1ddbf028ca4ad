//! What a site's events are to the stages: found by the names of its probe, however many stages and sites there are.

mod site_uses;

use std::collections::HashMap;

use tracer_format::Site;

use super::definition::{ProbeName, Stage};

pub(crate) use site_uses::SiteUses;

/// The stages by the providers and the probes that begin and end them.
#[derive(Debug, Default)]
pub(crate) struct Roles<'s> {
    by_provider: HashMap<&'s str, HashMap<&'s str, Vec<Role>>>,
}

/// What the events of a probe are to one stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Role {
    /// Position of the stage.
    pub(crate) stage: usize,
    /// Position of the probe among those that begin it, if it does.
    pub(crate) begins: Option<u16>,
    /// Position of the probe among those that end it, if it does.
    pub(crate) ends: Option<u16>,
}

impl<'s> Roles<'s> {
    /// Of these stages, in their order.
    pub(crate) fn new(stages: impl IntoIterator<Item = &'s Stage>) -> Self {
        let mut roles = Self::default();
        for (number, stage) in stages.into_iter().enumerate() {
            for (at, probe) in (0..).zip(&stage.begins) {
                roles.of_probe(probe, number).begins.get_or_insert(at);
            }
            for (at, probe) in (0..).zip(&stage.ends) {
                roles.of_probe(probe, number).ends.get_or_insert(at);
            }
        }
        roles
    }

    fn of_probe(&mut self, probe: &'s ProbeName, stage: usize) -> &mut Role {
        let of_provider = self.by_provider.entry(&probe.provider).or_default();
        let of_probe = of_provider.entry(&probe.probe).or_default();
        if of_probe.last().is_none_or(|last| last.stage != stage) {
            of_probe.push(Role { stage, begins: None, ends: None });
        }
        let last = of_probe.len() - 1;
        &mut of_probe[last]
    }

    /// The stages that the events of `site` begin or end, in their order.
    pub(crate) fn of(&self, site: &Site) -> &[Role] {
        let of_provider = self.by_provider.get(&site.provider[..]);
        of_provider.and_then(|probes| probes.get(&site.probe[..])).map_or(&[], |roles| roles)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_has_a_role_in_each_stage_that_names_it() {
        let stages: Vec<Stage> = ["x = a:b -> a:c|d|c", "y = a:c|d -> a:b", "z = a:d|b -> a:b"]
            .iter()
            .map(|text| text.parse().unwrap())
            .collect();
        let roles = Roles::new(&stages);
        let of = |probe: &str| {
            let site = Site { provider: "a".into(), probe: probe.into(), ..Site::default() };
            roles.of(&site).iter().map(|role| (role.stage, role.begins, role.ends)).collect::<Vec<_>>()
        };
        assert_eq!(of("b"), [(0, Some(0), None), (1, None, Some(0)), (2, Some(1), Some(0))]);
        assert_eq!(of("c"), [(0, None, Some(0)), (1, Some(0), None)]);
        assert_eq!(of("d"), [(0, None, Some(1)), (1, Some(1), None), (2, Some(0), None)]);
        assert_eq!(of("e"), []);
    }
}
