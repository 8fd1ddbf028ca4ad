//! `record --when 'STAGE > TIME'`: watches a recording for the first buffer that takes too long.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tracer_analyzer::stage::{self, Draft, Key, ProbeName, Stage};
use tracer_format::{Columns, Definitions};

use crate::cli::When;

/// Begins that wait for their end; more than this, and the oldest knowledge is forgotten.
const MAX_BEGUN: usize = 1 << 20;

/// Matches begins and ends across processes, by key, while they are recorded.
pub(crate) struct Watcher {
    when: When,
    given: Vec<Draft>,
    /// Sites that were looked at.
    sites: usize,
    /// Of each site: whether it begins the stage, and whether it ends it.
    roles: Vec<(bool, bool)>,
    begun: HashMap<i64, u64>,
    /// Whether the stage was seen: a misspelled one would never be.
    seen: Arc<AtomicBool>,
}

impl Watcher {
    pub(crate) fn new(when: When, given: Vec<Draft>) -> Self {
        Self { when, given, sites: 0, roles: Vec::new(), begun: HashMap::new(), seen: Arc::default() }
    }

    /// Tells, also later, whether the stage was seen.
    pub(crate) fn seen(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.seen)
    }

    /// Whether a buffer in these events took longer than it may.
    pub(crate) fn watch(&mut self, definitions: &Definitions, columns: &Columns) -> bool {
        self.learn(definitions);
        let limit_ns = u64::try_from(self.when.limit.as_nanos()).unwrap_or(u64::MAX);
        for row in 0..columns.len() {
            let Some(&(begins, ends)) = self.roles.get(columns.site[row] as usize) else { continue };
            if !begins && !ends {
                continue;
            }
            let Some(key) = columns.key(row, definitions) else { continue };
            let time_ns = columns.time_ns[row];
            if ends && self.begun.remove(&key).is_some_and(|begun_ns| time_ns - begun_ns > limit_ns) {
                return true;
            }
            if begins {
                if self.begun.len() >= MAX_BEGUN {
                    self.begun.clear();
                }
                self.begun.insert(key, time_ns);
            }
        }
        false
    }

    /// Looks for the stage's probes among sites that are new.
    fn learn(&mut self, definitions: &Definitions) {
        if self.sites == definitions.sites.len() {
            return;
        }
        self.sites = definitions.sites.len();
        let stages = stage::choose(&self.given, definitions).unwrap_or_default();
        let by_seq = |stage: &&Stage| stage.name == self.when.stage && stage.key == Key::seq();
        let Some(stage) = stages.iter().map(|draft| &draft.stage).find(by_seq) else { return };
        self.seen.store(true, Ordering::Relaxed);
        let is = |names: &[ProbeName], site: &tracer_format::Site| {
            names.iter().any(|name| (&name.provider, &name.probe) == (&site.provider, &site.probe))
        };
        self.roles =
            definitions.sites.iter().map(|site| (is(&stage.begins, site), is(&stage.ends, site))).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracer_format::{ArgKind, Site};

    fn definitions() -> Definitions {
        let site = |probe: &str| Site {
            provider: "demo".to_owned(),
            probe: probe.to_owned(),
            args: vec![ArgKind::Signed(8)],
            ..Site::default()
        };
        Definitions { sites: vec![site("beg_work"), site("end_work")], ..Definitions::default() }
    }

    fn columns(events: &[(u64, u32, u64)]) -> Columns {
        Columns {
            time_ns: events.iter().map(|event| event.0).collect(),
            thread: vec![0; events.len()],
            site: events.iter().map(|event| event.1).collect(),
            cpu: vec![0; events.len()],
            value_start: (0..=u32::try_from(events.len()).expect("few")).collect(),
            values: events.iter().map(|event| event.2).collect(),
            ..Columns::default()
        }
    }

    #[test]
    fn the_first_buffer_over_the_limit_is_seen_across_blocks() {
        let mut watcher = Watcher::new("work > 1us".parse().expect("sound"), Vec::new());
        assert!(!watcher.watch(&definitions(), &columns(&[(0, 0, 1), (10, 0, 2), (1000, 1, 1)])));
        assert!(!watcher.watch(&definitions(), &columns(&[(1000, 1, 7), (1005, 0, 3)])));
        assert!(watcher.watch(&definitions(), &columns(&[(1011, 1, 2)])));
        assert!(watcher.seen().load(Ordering::Relaxed));
    }

    #[test]
    fn a_stage_that_is_not_there_is_not_seen() {
        let mut watcher = Watcher::new("wrok > 1us".parse().expect("sound"), Vec::new());
        assert!(!watcher.watch(&definitions(), &columns(&[(0, 0, 1), (9000, 1, 1)])));
        assert!(!watcher.seen().load(Ordering::Relaxed));
    }
}
