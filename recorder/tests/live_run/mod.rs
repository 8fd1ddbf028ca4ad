//! A recording in small: attach to one program, collect, decode. What `run` does, without threads and trace.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use tracer_recorder::drain::loss::Loss;
use tracer_recorder::drain::merge::Merge;
use tracer_recorder::drain::{Batch, Drain};
use tracer_recorder::find::binary::Binary;
use tracer_recorder::kernel::link::{self, AttachMode, Link, Place};
use tracer_recorder::kernel::program::{Program, ProgramOptions};
use tracer_recorder::site::plan::{Plan, Values};

/// A running program that fires as often as it is told.
pub(crate) struct Target {
    child: Child,
    input: ChildStdin,
    answers: Receiver<String>,
}

impl Target {
    pub(crate) fn start(path: &Path) -> Self {
        let mut child = Command::new(path).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (send, answers) = channel();
        std::thread::spawn(move || {
            BufReader::new(output).lines().map_while(Result::ok).try_for_each(|line| send.send(line))
        });
        Self { child, input, answers }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Has it fire, and waits; returns what it says.
    pub(crate) fn fire(&mut self, count: u32) -> String {
        self.begin(count);
        self.answers.recv().unwrap()
    }

    pub(crate) fn begin(&mut self, count: u32) {
        writeln!(self.input, "{count}").unwrap();
    }

    pub(crate) fn has_answered(&mut self) -> bool {
        self.answers.try_recv().is_ok()
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) struct Settings {
    pub(crate) request: &'static str,
    pub(crate) mode: AttachMode,
    pub(crate) lane_slots: u32,
    pub(crate) ring_bytes: u32,
    pub(crate) only_admitted: bool,
}

impl Default for Settings {
    fn default() -> Self {
        let mode = AttachMode::Auto;
        Self { request: "live:*", mode, lane_slots: 128 << 10, ring_bytes: 4 << 20, only_admitted: false }
    }
}

/// One decoded event.
#[derive(Debug)]
pub(crate) struct Caught {
    pub(crate) time_ns: u64,
    pub(crate) pid: u32,
    pub(crate) tid: u32,
    pub(crate) probe: String,
    pub(crate) values: Vec<u64>,
    pub(crate) strings: Vec<String>,
    pub(crate) unreadable: u16,
}

pub(crate) struct Recording {
    pub(crate) program: Program,
    pub(crate) losses: Vec<Loss>,
    drain: Drain,
    merge: Merge,
    plans: Vec<(String, Plan)>,
    link: Option<Link>,
}

impl Recording {
    /// Attaches to the requested probes of the file `path`.
    pub(crate) fn start(path: &Path, settings: &Settings) -> Self {
        let requests = [settings.request.parse().unwrap()];
        let (binary, problem) = Binary::read(File::open(path).unwrap(), path, &requests).unwrap();
        assert_eq!(problem, None);
        let binary = binary.expect("probes");
        let program = Program::load(&ProgramOptions {
            lane_slots: settings.lane_slots,
            ring_bytes: settings.ring_bytes,
            only_admitted: settings.only_admitted,
            one_by_one: false,
        });
        let program = program.unwrap();
        let (mut plans, mut places) = (Vec::new(), Vec::new());
        for found in &binary.sites {
            let (plan, spec) = Plan::new(&found.arguments, &found.strings);
            let site = program.add_site(&spec).unwrap();
            plans.push((found.probe.clone(), plan));
            places.push(Place { offset: found.offset, semaphore_offset: found.semaphore_offset, site });
        }
        let drain = Drain::new(&program).unwrap();
        let link = link::attach(&program, settings.mode, path, &places).unwrap();
        assert!(settings.mode == AttachMode::Auto || link.mode == settings.mode);
        Self { program, losses: Vec::new(), drain, merge: Merge::default(), plans, link: Some(link) }
    }

    /// Names of the probes, by site.
    pub(crate) fn probes(&self) -> Vec<String> {
        self.plans.iter().map(|(name, _)| name.clone()).collect()
    }

    fn sites(&self) -> u32 {
        u32::try_from(self.plans.len()).unwrap()
    }

    /// Collects what is complete.
    pub(crate) fn collect(&mut self) -> Vec<Caught> {
        let sites = self.sites();
        let mut batch = Batch::default();
        let mut events = Vec::new();
        while !self.drain.collect(sites, &mut batch).unwrap() {
            self.take(&mut batch, &mut events);
        }
        self.drain.read_losses(sites, &mut batch).unwrap();
        self.take(&mut batch, &mut events);
        events
    }

    /// Detaches and collects the rest.
    pub(crate) fn stop(&mut self) -> Vec<Caught> {
        self.link = None;
        // A program that was running when it was detached has a few instructions to go.
        std::thread::sleep(Duration::from_millis(5));
        let mut events = self.collect();
        self.take(&mut Batch { complete_ns: u64::MAX, ..Batch::default() }, &mut events);
        assert_eq!(self.merge.malformed, 0);
        events
    }

    /// Events lost so far, as far as they were read.
    pub(crate) fn lost(&self) -> u64 {
        self.losses.iter().map(|loss| loss.count).sum()
    }

    fn take(&mut self, batch: &mut Batch, events: &mut Vec<Caught>) {
        self.losses.extend(&batch.losses);
        self.merge.push(batch);
        while let Some(raw) = self.merge.next(batch.complete_ns) {
            let (probe, plan) = &self.plans[raw.site.index()];
            let (mut values, mut strings) = (Values::default(), Vec::new());
            plan.values(&raw, &mut values, |text, _| {
                strings.push(String::from_utf8_lossy(text).into_owned());
                0
            });
            let Values { values, unreadable, .. } = values;
            let probe = probe.clone();
            let (pid, tid) = (raw.pid, raw.tid);
            events.push(Caught { time_ns: raw.time_ns, pid, tid, probe, values, strings, unreadable });
        }
    }
}
