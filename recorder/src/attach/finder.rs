//! From files with probes to attached sites: once before the recording begins, and again for what is started meanwhile.

mod attaching;
mod begin;
mod beside;
mod left;
mod mapped;
mod tip;
mod unheld;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracer_format::Skipped;
use tracer_format::grammar::KeyArgument;

use crate::attach::agenda::Agenda;
use crate::attach::closing::Undetached;
use crate::attach::finder::attaching::Since;
use crate::attach::finder::beside::BesidePrograms;
use crate::attach::finder::left::{BegunProcesses, LostFiles, RecentFiles};
use crate::attach::finder::mapped::SETTLING;
pub(crate) use crate::attach::finder::tip::Tip;
use crate::attach::finder::unheld::UnheldPrograms;
use crate::attach::hold::{Holder, Told};
use crate::attach::links::Links;
use crate::attach::lookout::Sighting;
use crate::attach::missing;
use crate::attach::share::Shares;
use crate::attach::spared::Spared;
use crate::attach::written::Written;
use crate::drain::ProcessEvent;
use crate::drain::queue::{Popped, Queue};
use crate::error::Result;
use crate::find::discover::{Discovery, Looked, Scan};
use crate::find::facts::FileId;
use crate::host::{self, process};
use crate::kernel::link::AttachMode;
use crate::kernel::mapped::Mapped;
use crate::kernel::program::Program;
use crate::site::plan::PlannedSite;

/// What is attached to, and how.
#[derive(Debug, Clone)]
pub(crate) struct AttachOptions {
    /// How to attach.
    pub(crate) mode: AttachMode,
    /// Arguments that are keys.
    pub(crate) keys: Vec<KeyArgument>,
    /// Processes that the user named; empty for all.
    pub(crate) pids: Vec<u32>,
    /// Whether only processes that the program admits are looked at.
    pub(crate) only_admitted: bool,
}

/// Finds probes and attaches to them.
pub(crate) struct Finder {
    options: AttachOptions,
    program: Arc<Program>,
    discovery: Discovery,
    kernel: (u32, u32),
    links: Links,
    /// Files that are left alone for now.
    spared: Spared,
    shares: Shares,
    /// Files that descriptors were short for, and whether they were since the last look at all.
    short: (BTreeSet<FileId>, bool),
    /// Holds programs until they are looked at, if the kernel allows it.
    holder: Option<Arc<Holder>>,
    unheld: UnheldPrograms,
    begun: BegunProcesses,
    beside: BesidePrograms,
    recent: RecentFiles,
    /// Whether the program sees other pids than this process: it is in a PID namespace.
    is_inside: bool,
    lost: LostFiles,
    /// When a process that maps the same files was last looked at, by their identity, and since when the last of them is attached to:
    /// CLOCK_MONOTONIC, ns.
    looked: HashMap<u64, (Instant, u64)>,
    /// Whether it is told of what processes map.
    is_told: bool,
    /// Tells when a file is written to, if the kernel allows it.
    written: Option<Arc<Written>>,
    /// A file was attached to that may be another one by now.
    is_unsure: bool,
    /// Paths of files that were written to while they were attached to: it is said once of each.
    rewritten: HashSet<String>,
}

/// Programs that are remembered, at most.
const MAX_REMEMBERED: usize = 4096;
/// How long the end waits until all that was told is looked at.
const LAST_LOOKS: Duration = Duration::from_millis(300);
/// While much is told, so often some of what lies beside programs is looked at.
const TURNS_BESIDE: usize = 16;
/// After this time it shows in the facts of a file when it was written to once more.
const SETTLED: Duration = Duration::from_millis(60);

impl Finder {
    pub(crate) fn new(options: AttachOptions, program: Arc<Program>, discovery: Discovery) -> Self {
        // With others to record than those that are named, the program tells them apart.
        let alone = if options.only_admitted { Vec::new() } else { options.pids.clone() };
        let written = Written::new().ok().map(Arc::new);
        Self {
            links: Links::new(program.clone(), options.mode, alone, written.clone()),
            options,
            program,
            discovery,
            kernel: host::kernel_version(),
            spared: Spared::default(),
            shares: Shares::default(),
            short: Default::default(),
            holder: None,
            unheld: UnheldPrograms::default(),
            begun: BegunProcesses::default(),
            beside: BesidePrograms::default(),
            recent: RecentFiles::default(),
            is_inside: host::is_in_pid_namespace(),
            lost: LostFiles::default(),
            looked: HashMap::new(),
            is_told: false,
            written,
            is_unsure: false,
            rewritten: HashSet::new(),
        }
    }

    /// Detaches from everything, and waits for that until then, or a little longer. Gives the process that was to do so, if it has
    /// not: a thread of a traced program is kept in its probe, or its memory is locked.
    pub(crate) fn end(mut self, latest: Instant) -> Option<Undetached> {
        let undetached = self.links.end(latest);
        self.discovery.leak();
        undetached
    }

    /// Looks at what was mapped since `mapped` began to tell, and relies on being told from now on. Without, looks at all.
    pub(crate) fn catch_up(&mut self, mapped: Option<&Mapped>) -> Scan {
        self.is_told = mapped.is_some();
        let Some(files) = mapped.and_then(Mapped::take) else { return self.scan() };
        let mut scan = Scan::default();
        // A look at all that a process maps shows what else was told of it: it may map thousands of times a second.
        let mut whole = HashSet::new();
        for file in files {
            if !self.is_wanted(file.pid) || whole.contains(&file.pid) {
                continue;
            }
            let (found, looked) = self.discovery.scan_mapped(file.pid, file.range);
            scan.extend(found);
            if looked == Looked::File {
                scan.extend(self.discovery.scan_process(file.pid));
            }
            if !matches!(looked, Looked::Known(_)) {
                whole.insert(file.pid);
            }
        }
        scan
    }

    /// What tells of files that are written to.
    pub(crate) fn written(&self) -> Option<Arc<Written>> {
        self.written.clone()
    }

    /// Looks at programs before they run from now on.
    pub(crate) fn hold(&mut self, holder: Arc<Holder>) {
        self.holder = Some(holder);
    }

    /// Looks at what runs now.
    pub(crate) fn scan(&mut self) -> Scan {
        if self.options.only_admitted {
            self.discovery.scan_processes(self.program.admitted())
        } else {
            self.discovery.scan()
        }
    }

    /// Looks at processes when `tips` tell of them, and at all of them now and then, until there can be no tips any
    /// more. New sites are handed to `announce` before they are attached, so that they are known when their first event comes.
    pub(crate) fn keep_looking(
        &mut self,
        tips: &Queue<Tip>,
        announce: &mut dyn FnMut(&[PlannedSite]),
        skip: &mut dyn FnMut(Skipped),
    ) -> Result<()> {
        // Where programs wait until they are looked at, and the kernel tells what is mapped, a file that was built again is found in time.
        let is_noticed = self.is_told && self.holder.is_some();
        let mut agenda = Agenda::new(self.is_told, self.discovery.has_named() && !is_noticed);
        let (mut last_until, mut turns) = (None, 0_usize);
        loop {
            let now = Instant::now();
            let is_late = tips.is_closed() && *last_until.get_or_insert(now + LAST_LOOKS) <= now;
            if is_late {
                self.leave(tips, announce, skip)?;
            } else {
                // Before what is told, as the look before the recording began may have left something.
                self.look_when_due(&mut agenda, announce, skip)?;
            }
            let next = self.unheld.next().fold(agenda.next(), Instant::min);
            let next = if self.beside.is_empty() { next } else { now };
            turns += 1;
            if turns % TURNS_BESIDE == 0 {
                self.go_on_beside(announce, skip)?;
            }
            match tips.pop_until(next) {
                Popped::Item(tip) => {
                    let (tip, rest) = tip.split();
                    rest.into_iter().for_each(|rest| tips.put_back(rest));
                    self.follow(tip, &mut agenda, announce, skip)?;
                }
                Popped::Closed if !is_late && agenda.is_look_due(now) => {}
                Popped::Closed => {
                    if !is_late {
                        self.look_at_doubted(&mut agenda, announce, skip)?;
                    }
                    self.lost.take().into_iter().for_each(&mut *skip);
                    let begun = &self.begun;
                    let left = self.unheld.take_all(&|pid| begun.are_wanted(pid));
                    left.into_iter().for_each(&mut *skip);
                    self.discovery.close().into_iter().for_each(skip);
                    return Ok(());
                }
                // All that was told by then is looked at: it may say of what waits that it is to be counted, or not to be named.
                Popped::Empty => {
                    self.take_due().into_iter().for_each(&mut *skip);
                    self.go_on_beside(announce, skip)?;
                }
            }
        }
    }

    /// What is to be named by now.
    fn take_due(&mut self) -> Vec<Skipped> {
        let begun = &self.begun;
        self.unheld.take_due(Instant::now(), &|pid| begun.are_wanted(pid))
    }

    /// Looks at what a tip tells of.
    fn follow(
        &mut self,
        tip: Tip,
        agenda: &mut Agenda,
        announce: &mut dyn FnMut(&[PlannedSite]),
        skip: &mut dyn FnMut(Skipped),
    ) -> Result<()> {
        match tip {
            Tip::Processes(events) => {
                for event in events {
                    match event {
                        ProcessEvent::Forked(forked) => self.note_forked(forked),
                        ProcessEvent::Started(started) => {
                            self.look_at_started(&started, agenda, announce, skip)?;
                        }
                    }
                }
            }
            Tip::Told(Told::Held(held)) => self.look_at_held(*held, announce, skip)?,
            Tip::Told(Told::Released(count)) => {
                self.note_released(count);
                self.widen(announce, skip)?;
            }
            Tip::Told(Told::Unseen) => {
                self.note_released(1);
                self.widen(announce, skip)?;
            }
            Tip::Told(Told::Skipped(skipped)) => skip(skipped),
            Tip::Seen(Sighting::Mapped(files)) => self.look_at_mapped(files, agenda, announce, skip)?,
            Tip::Seen(Sighting::Written(files)) => {
                files.into_iter().for_each(|file| self.detach_changed(file, agenda, skip));
                self.is_unsure = true;
            }
            Tip::Seen(Sighting::Missed) => agenda.scan(Duration::ZERO),
        }
        Ok(())
    }

    /// Detaches from a file that was written to, unless it is what is attached to. It is found again when it is run, or is not written
    /// to any more.
    fn detach_changed(&mut self, file: FileId, agenda: &mut Agenda, skip: &mut dyn FnMut(Skipped)) {
        if !self.discovery.has_changed(file) {
            return;
        }
        let now = Instant::now();
        self.detach_old(file, agenda.is_rested(now), skip);
        agenda.rest(now.elapsed());
        self.discovery.forget(file);
        self.looked.clear();
        self.holder.iter().for_each(|holder| holder.familiar.forget());
    }

    /// Detaches from what a file was, whose breakpoints are wrong in what it is, and says so where a process runs it, or may run it if
    /// it is not looked for.
    fn detach_old(&mut self, file: FileId, is_looked_for: bool, skip: &mut dyn FnMut(Skipped)) {
        if !self.links.remove(&file) {
            return;
        }
        if let Some(detacher) = self.links.take_stuck() {
            skip(missing::undetached(self.discovery.path(file), detacher));
        }
        let mut wanted = if is_looked_for { process::pids().unwrap_or_default() } else { Vec::new() };
        wanted.retain(|pid| self.is_wanted(*pid));
        let pid = wanted.into_iter().find(|pid| self.discovery.mapped_files(*pid).contains(&file));
        if !is_looked_for || pid.is_some() {
            let rewritten = missing::rewritten(Path::new(self.discovery.path(file)), pid.unwrap_or(0));
            if self.rewritten.len() >= MAX_REMEMBERED {
                self.rewritten.clear();
            }
            if self.rewritten.insert(rewritten.path.clone()) {
                skip(rewritten);
            }
        }
    }

    /// Looks at what is due.
    fn look_when_due(
        &mut self,
        agenda: &mut Agenda,
        announce: &mut dyn FnMut(&[PlannedSite]),
        skip: &mut dyn FnMut(Skipped),
    ) -> Result<()> {
        if std::mem::take(&mut self.is_unsure) {
            agenda.scan(SETTLED);
        }
        let now = Instant::now();
        // One, then what is told: a process may make many.
        if let Some(pid) = agenda.take_look(now) {
            let scan = self.discovery.scan_process(pid);
            self.attach_late(scan, Since::default(), announce, skip)?;
        }
        if agenda.take_named(now) {
            let scan = self.discovery.scan_named();
            self.attach_late(scan, Since::default(), announce, skip)?;
        }
        self.note_short(agenda);
        if agenda.is_scan_due(now) || self.links.is_crowded() || self.discovery.is_crowded() {
            self.spared.end().into_iter().for_each(|file| self.discovery.forget(file));
            let scan = self.scan();
            let mut released = self.links.release(&scan.mapped, std::mem::take(&mut self.short.1));
            self.written.iter().for_each(|written| written.forget(&released));
            if !released.is_empty() {
                released.extend(std::mem::take(&mut self.short.0));
            }
            for file in released {
                // Its next process is to be looked at again.
                self.discovery.forget(file);
                self.looked.clear();
                self.holder.iter().for_each(|holder| holder.familiar.forget());
            }
            let is_parted = !scan.outdated.is_empty();
            self.attach_late(scan, Since::default(), announce, skip)?;
            agenda.scanned(now.elapsed());
            if is_parted {
                // What was the same as a file that changed is found by the next look.
                agenda.scan(Duration::ZERO);
            }
        }
        if !self.spared.is_empty() || self.discovery.is_waiting() {
            // The end of a translator is not told, and neither is an answer that came late.
            agenda.scan_often();
        }
        self.discovery.take_doubts().into_iter().for_each(|pid| agenda.look_again(pid, SETTLING));
        Ok(())
    }

    /// Where descriptors are short, those of files that nothing maps any more are wanted before long.
    fn note_short(&mut self, agenda: &mut Agenda) {
        let files = [self.links.take_short(), self.discovery.take_short()].concat();
        if !files.is_empty() {
            agenda.scan_often();
            self.short.0.extend(files);
            self.short.1 = true;
        }
    }

    /// Looks once more, at the end, at processes that did not show their files as they should a moment before.
    fn look_at_doubted(
        &mut self,
        agenda: &mut Agenda,
        announce: &mut dyn FnMut(&[PlannedSite]),
        skip: &mut dyn FnMut(Skipped),
    ) -> Result<()> {
        // A file that was mapped just now may be mapped once more.
        let until = Instant::now() + LAST_LOOKS;
        for _ in 0..2 {
            let mut doubted = agenda.take_doubted();
            doubted.retain(|pid| process::start(*pid).is_some());
            if doubted.is_empty() {
                break;
            }
            std::thread::sleep(SETTLING);
            for pid in doubted {
                if Instant::now() > until {
                    return Ok(());
                }
                let scan = self.discovery.scan_process(pid);
                self.attach_late(scan, Since::default(), announce, skip)?;
            }
            self.discovery.take_doubts().into_iter().for_each(|pid| agenda.look_again(pid, SETTLING));
        }
        Ok(())
    }

    fn is_wanted(&self, pid: u32) -> bool {
        let pids = &self.options.pids;
        if self.options.only_admitted {
            self.program.is_admitted(pid)
        } else {
            pids.is_empty() || pids.contains(&pid)
        }
    }
}
