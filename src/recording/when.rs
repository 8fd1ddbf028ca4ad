//! `record --when 'STAGE > TIME'`: watches a recording for the first buffer that takes too long.

use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use tracer_analyzer::pair::{Class, Pairer, Sink, Span};
use tracer_analyzer::stage::{self, Draft, KeyPart, ProbeName, Stage};
use tracer_format::grammar::nearest;
use tracer_format::{Columns, Definitions, ProcessId, Site, Thread, ThreadId};

use crate::cli::When;

/// Threads that are remembered while the files of a recording change; beyond that, all pairing begins anew.
const MAX_THREADS: usize = 1 << 18;

/// Pairs the events of the stage while they are recorded, across processes and files.
pub(super) struct Watcher {
    when: When,
    given: Vec<Draft>,
    /// The stage, once its probes are there.
    stage: Option<Stage>,
    pairer: Option<Pairer>,
    /// Everything that was defined so far: every file of a recording gives threads ids of its own.
    known: Definitions,
    ids: HashMap<(u32, u64, u32), ThreadId>,
    /// What the threads of the present file are in `known`.
    threads: Vec<ThreadId>,
    fired: Fired,
}

/// What fired the condition, and what is known of the stage; shared with the thread that tells of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Fired(Arc<Mutex<State>>);

#[derive(Debug, Clone, Default)]
struct State {
    is_known: bool,
    /// Names of the stages there are.
    names: Vec<String>,
    slow: Option<Slow>,
}

/// The buffer that took too long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Slow {
    /// Its key, with what that is.
    pub(super) key: String,
    /// What it took, ns.
    pub(super) took_ns: u64,
    /// When it left the stage, CLOCK_MONOTONIC, ns.
    pub(super) ended_ns: u64,
}

impl Fired {
    fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The buffer that took too long, if one did.
    pub(super) fn slow(&self) -> Option<Slow> {
        self.with(|state| state.slow.clone())
    }

    /// What is wrong with the stage's name, if it was never seen.
    pub(super) fn unknown(&self, when: &When) -> Option<String> {
        self.with(|state| (!state.is_known).then(|| unknown(when, state.names.iter().map(String::as_str))))
    }
}

fn unknown<'n>(when: &When, names: impl Iterator<Item = &'n str>) -> String {
    let nearest = nearest(&when.stage, names);
    format!("--when: there is no stage \"{}\"{nearest}; --stage gives one", when.stage)
}

/// Refuses a stage that the sites do not have, or whose buffers cannot be told apart.
pub(super) fn accept(when: &When, given: &[Draft], sites: &[Site]) -> Result<(), String> {
    let definitions =
        Definitions { sites: sites.iter().cloned().map(Arc::new).collect(), ..Definitions::default() };
    let drafts = stage::choose(given, &definitions).map_err(|error| error.to_string())?;
    let Some(draft) = drafts.iter().find(|draft| draft.stage.name == when.stage) else {
        return Err(unknown(when, drafts.iter().map(|draft| draft.stage.name.as_str())));
    };
    let stage = &draft.stage;
    let is_number = |site: &Site| site.key_index().is_some();
    let begins = |site: &&Site| stage.begins.iter().any(|name| name.is_of(site));
    match sites.iter().filter(begins).find(|site| !is_number(site)) {
        Some(site) if stage.key.parts.contains(&KeyPart::Seq) => Err(format!(
            "--when: {} has no sequence number, by which the buffers of {} could be told apart; give --stage '{} by tid', \
             or another key",
            site.name(),
            stage.name,
            draft_without_key(stage),
        )),
        _ => Ok(()),
    }
}

fn draft_without_key(stage: &Stage) -> Draft {
    Draft { stage: stage.clone(), has_key: false }
}

impl Watcher {
    pub(super) fn new(when: When, given: Vec<Draft>) -> Self {
        Self {
            when,
            given,
            stage: None,
            pairer: None,
            known: Definitions::default(),
            ids: HashMap::new(),
            threads: Vec::new(),
            fired: Fired::default(),
        }
    }

    /// Tells, also later, what fired.
    pub(super) fn fired(&self) -> Fired {
        self.fired.clone()
    }

    /// Whether a buffer in these events took longer than it may.
    pub(super) fn watch(&mut self, definitions: &Definitions, columns: &Columns) -> bool {
        self.learn(definitions);
        let Some(pairer) = &mut self.pairer else { return false };
        pairer.define(&self.known);
        let thread = |id: &ThreadId| self.threads.get(id.index()).copied().unwrap_or(ThreadId::NONE);
        let columns = Columns { thread: columns.thread.iter().map(thread).collect(), ..columns.clone() };
        let limit_ns = u64::try_from(self.when.limit.as_nanos()).unwrap_or(u64::MAX);
        let mut first = First { limit_ns, slow: None };
        // The sink never fails.
        let _ = pairer.events(&columns, 0..columns.len(), &mut first);
        let Some(span) = first.slow else { return false };
        let (took_ns, ended_ns) =
            (span.latency_ns().unwrap_or_default(), span.end.unwrap_or_default().time_ns);
        self.fired.with(|state| {
            state.slow.get_or_insert(Slow {
                key: span.key.to_string(),
                took_ns: took_ns.unsigned_abs(),
                ended_ns,
            });
        });
        true
    }

    /// Takes what was defined since the last time, and looks for the stage's probes among sites that are new.
    fn learn(&mut self, definitions: &Definitions) {
        let sites = self.known.sites.len();
        self.known.sites.extend(definitions.sites.iter().skip(sites).cloned());
        self.learn_threads(definitions);
        if self.pairer.is_some() || self.known.sites.len() == sites {
            return;
        }
        let drafts = stage::choose(&self.given, &self.known).unwrap_or_default();
        let stage = drafts.iter().map(|draft| &draft.stage).find(|stage| stage.name == self.when.stage);
        let has = |names: &[ProbeName]| {
            names.iter().any(|name| self.known.sites.iter().any(|site| name.is_of(site)))
        };
        let stage = stage.filter(|stage| has(&stage.begins) && has(&stage.ends));
        self.fired.with(|state| {
            state.is_known = stage.is_some();
            state.names = drafts.iter().map(|draft| draft.stage.name.clone()).collect();
        });
        self.stage = stage.cloned();
        self.pairer = stage.map(|stage| Pairer::new(std::slice::from_ref(stage)));
    }

    fn learn_threads(&mut self, definitions: &Definitions) {
        if definitions.threads.len() < self.threads.len() {
            // Another file: its ids begin at 0.
            self.threads.clear();
            if self.ids.len() > MAX_THREADS {
                self.ids.clear();
                self.known =
                    Definitions { sites: std::mem::take(&mut self.known.sites), ..Definitions::default() };
                self.pairer = self.stage.as_ref().map(|stage| Pairer::new(std::slice::from_ref(stage)));
            }
        }
        for thread in definitions.threads.iter().skip(self.threads.len()) {
            let process = definitions.process(thread.process).cloned().unwrap_or_default();
            let fresh = ThreadId::at(self.known.threads.len());
            let id = *self.ids.entry((process.pid, process.start_ns, thread.tid)).or_insert(fresh);
            if id == fresh {
                let number = ProcessId::at(self.known.processes.len());
                self.known.processes.push(process.into());
                self.known.threads.push(Thread { process: number, ..*thread });
            }
            self.threads.push(id);
        }
    }
}

/// Takes the first complete span over a limit.
struct First {
    limit_ns: u64,
    slow: Option<Span>,
}

impl Sink for First {
    fn span(&mut self, span: &Span) -> io::Result<()> {
        let is_slow =
            span.latency_ns().is_some_and(|ns| u64::try_from(ns).is_ok_and(|ns| ns > self.limit_ns));
        if span.class == Class::Complete && is_slow {
            self.slow.get_or_insert(*span);
        }
        Ok(())
    }

    fn events(&mut self, _: &Columns, _: Range<usize>) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracer_format::{ArgKind, Process, SiteId};

    fn site(probe: &str, args: Vec<ArgKind>) -> Site {
        Site { provider: "demo".into(), probe: probe.into(), args: args.into(), ..Site::default() }
    }

    fn sites() -> [Site; 2] {
        ["beg_work", "end_work"].map(|probe| site(probe, vec![ArgKind::Signed(8)]))
    }

    fn definitions() -> Definitions {
        Definitions { sites: sites().map(Arc::new).to_vec(), ..Definitions::default() }
    }

    fn of_threads(tids: &[u32]) -> Definitions {
        let process = Process { pid: 7, ..Process::default() };
        let threads = tids.iter().map(|&tid| Thread { process: ProcessId(0), tid }).collect();
        Definitions { processes: vec![process.into()], threads, ..definitions() }
    }

    fn when(text: &str) -> When {
        text.parse().expect("sound")
    }

    /// Events: time, thread, site, value.
    fn columns(events: &[(u64, u32, u32, u64)]) -> Columns {
        Columns {
            time_ns: events.iter().map(|event| event.0).collect(),
            thread: events.iter().map(|event| ThreadId(event.1)).collect(),
            site: events.iter().map(|event| SiteId(event.2)).collect(),
            cpu: vec![0; events.len()],
            value_start: (0..=u32::try_from(events.len()).expect("few")).collect(),
            values: events.iter().map(|event| event.3).collect(),
            ..Columns::default()
        }
    }

    #[test]
    fn the_first_buffer_over_the_limit_is_seen_across_blocks() {
        let mut watcher = Watcher::new(when("work > 1us"), Vec::new());
        let definitions = of_threads(&[1, 2]);
        assert!(!watcher.watch(&definitions, &columns(&[(1, 0, 0, 1), (10, 0, 0, 2), (1000, 1, 1, 1)])));
        assert!(!watcher.watch(&definitions, &columns(&[(1000, 0, 1, 7), (1005, 0, 0, 3)])));
        assert!(watcher.watch(&definitions, &columns(&[(1011, 1, 1, 2), (9000, 0, 1, 3)])));
        let slow = Slow { key: "2".to_owned(), took_ns: 1001, ended_ns: 1011 };
        assert_eq!(watcher.fired().slow(), Some(slow), "the first, not the slowest");
        assert_eq!(watcher.fired().unknown(&when("work > 1us")), None);
    }

    #[test]
    fn keys_of_threads_are_paired_across_files() {
        let given: Draft = "work = demo:beg_work -> demo:end_work by tid".parse().expect("sound");
        let mut watcher = Watcher::new(when("work > 1us"), vec![given]);
        assert!(!watcher.watch(&of_threads(&[1, 2]), &columns(&[(1, 0, 0, 1), (500, 1, 0, 1)])));
        // The next file, whose ids are given anew: thread 2 is 0 in it, thread 1 is 1.
        assert!(!watcher.watch(&of_threads(&[]), &columns(&[])));
        assert!(!watcher.watch(&of_threads(&[2]), &columns(&[(900, 0, 1, 1)])));
        assert!(watcher.watch(&of_threads(&[2, 1]), &columns(&[(1500, 1, 1, 1)])));
        assert_eq!(watcher.fired().slow().expect("fired").took_ns, 1499);
    }

    #[test]
    fn a_stage_that_is_not_there_is_refused_or_told_with_the_nearest() {
        let expected = "--when: there is no stage \"wrok\"; the nearest is work; --stage gives one";
        let sites = sites();
        assert_eq!(accept(&when("wrok > 1us"), &[], &sites), Err(expected.to_owned()));
        let mut watcher = Watcher::new(when("wrok > 1us"), Vec::new());
        assert!(!watcher.watch(&of_threads(&[1]), &columns(&[(1, 0, 0, 1), (9000, 0, 1, 1)])));
        assert_eq!(watcher.fired().unknown(&when("wrok > 1us")), Some(expected.to_owned()));
        assert_eq!(accept(&when("work > 1us"), &[], &sites), Ok(()));
    }

    #[test]
    fn a_stage_without_numbers_needs_another_key() {
        let sites = [site("beg_work", vec![ArgKind::Str]), site("end_work", vec![])];
        let refused = accept(&when("work > 1us"), &[], &sites).expect_err("refused");
        assert!(refused.starts_with("--when: demo:beg_work has no sequence number, by which"), "{refused}");
        assert!(refused.contains("'work = demo:beg_work -> demo:end_work by tid'"), "{refused}");
        let given: Draft = "work = demo:beg_work -> demo:end_work by tid".parse().expect("sound");
        assert_eq!(accept(&when("work > 1us"), &[given], &sites), Ok(()));
    }
}
