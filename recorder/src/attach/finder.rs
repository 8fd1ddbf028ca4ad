//! From files with probes to attached sites: once before the recording begins, and again for what is started meanwhile.

use std::collections::HashMap;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracer_format::grammar::{KeyArgument, key_argument};
use tracer_format::{Site, Skipped};

use crate::arch::nop;
use crate::attach::agenda::Agenda;
use crate::attach::hold::{AboutToRun, Held, Holder, Told, is_translator};
use crate::attach::links::{AttachOutcome, Links};
use crate::attach::lookout::Sighting;
use crate::attach::missing;
use crate::attach::prepared::{Prepared, in_file};
use crate::attach::share::Shares;
use crate::attach::spared::{Spared, Translator};
use crate::attach::written::Written;
use crate::drain::Started;
use crate::drain::queue::{Popped, Queue};
use crate::error::Result;
use crate::find::binary::{self, Binary};
use crate::find::discover::{Discovery, FoundFile, Scan};
use crate::find::facts::{Facts, FileId};
use crate::find::look::Start;
use crate::find::look::lookers::Silence;
use crate::host;
use crate::host::process;
use crate::kernel::link::{AttachMode, Place};
use crate::kernel::mapped::{Mapped, MappedFile};
use crate::kernel::program::Program;
use crate::site::plan::{Plan, PlannedSite};

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
    /// Holds programs until they are looked at, if the kernel allows it.
    holder: Option<Arc<Holder>>,
    /// When a process that maps the same files was last looked at, by their identity.
    looked: HashMap<u64, Instant>,
    /// Whether it is told of what processes map.
    is_told: bool,
    /// Tells when a file is written to, if the kernel allows it.
    written: Option<Arc<Written>>,
    /// A file was attached to that may be another one by now.
    is_unsure: bool,
}

/// What the finder is told of processes.
pub(crate) enum Tip {
    /// They began to run a program.
    Started(Vec<Started>),
    /// One of them waits to run a program, or did so for too long.
    Told(Told),
    /// They mapped files.
    Seen(Sighting),
}

/// What was seen of a program that began.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    /// It has probes that were not known.
    New,
    /// It has none, or they are attached.
    Known,
    /// It is no program that is recorded, or its file is not where it was said to be.
    Gone,
}

/// When a process is looked at again after it began to run a program: its loader maps libraries meanwhile.
const AGAIN: [Duration; 4] =
    [Duration::ZERO, Duration::from_millis(2), Duration::from_millis(10), Duration::from_millis(50)];
/// How long what was seen of a program holds for its next process.
const REMEMBERED: Duration = Duration::from_secs(1);
/// Programs that are remembered, at most.
const MAX_REMEMBERED: usize = 4096;
/// A loader maps a file bit by bit: what it has mapped is looked at again after this time.
const SETTLING: Duration = Duration::from_millis(50);
/// After this time it shows in the facts of a file when it was written to once more.
const SETTLED: Duration = Duration::from_millis(60);

/// The path that a process gave for its program; a relative one most likely counts from its parent's folder.
fn given_path(started: &Started) -> PathBuf {
    Path::new(&format!("/proc/{}/cwd", started.parent_pid)).join(&started.path)
}

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
            holder: None,
            looked: HashMap::new(),
            is_told: false,
            written,
            is_unsure: false,
        }
    }

    /// Detaches from everything. Gives the process that does so, if it comes to no end: a thread of a traced program is kept in its
    /// probe, or its memory is locked.
    pub(crate) fn end(mut self) -> Option<u32> {
        self.links.end()
    }

    /// Looks at what was mapped since `mapped` began to tell, and relies on being told from now on. Without, looks at all.
    pub(crate) fn catch_up(&mut self, mapped: Option<&Mapped>) -> Scan {
        self.is_told = mapped.is_some();
        let Some(files) = mapped.and_then(Mapped::take) else { return self.scan() };
        let mut scan = Scan::default();
        files.iter().filter_map(|file| self.look_at_mapped(file)).for_each(|found| scan.extend(found));
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

    /// Tells the program of the sites that were found; those that would do harm, to the program or to the other sites, are left out.
    pub(crate) fn prepare(
        &mut self,
        mut found: Vec<FoundFile>,
        skip: &mut dyn FnMut(Skipped),
    ) -> Result<Vec<Prepared>> {
        self.spare(&mut found, skip);
        let mut room = self.program.room() as usize;
        found.retain(|FoundFile { binary, .. }| match self.shares.take(binary, room) {
            Ok(()) => {
                room -= binary.sites.len();
                true
            }
            Err(reason) => {
                skip(Skipped { count: binary.sites.len() as u64, ..in_file(binary, reason) });
                false
            }
        });
        let mut prepared = Vec::with_capacity(found.len());
        for FoundFile { binary, .. } in found {
            let (mut places, mut sites) = (Vec::new(), Vec::new());
            for site in &binary.sites {
                if self.is_harmful(site, &binary, skip) {
                    continue;
                }
                // With -p, all that is recorded runs already.
                if site.semaphore_is_shadowed && self.options.pids.is_empty() {
                    skip(missing::at(site, &binary, missing::SHADOWED.to_owned()));
                }
                let (plan, spec) = Plan::new(&site.arguments, &site.strings);
                let id = self.program.add_site(&spec)?;
                places.push(Place { offset: site.offset, semaphore_offset: site.semaphore_offset, site: id });
                sites.push(PlannedSite { plan, site: self.definition(site, &binary) });
            }
            if !places.is_empty() {
                prepared.push(Prepared { binary, places, sites });
            }
        }
        Ok(prepared)
    }

    /// Attaches to files, and says which sites are not recorded, or not whole.
    pub(crate) fn attach(&mut self, prepared: &mut [Prepared], skip: &mut dyn FnMut(Skipped)) {
        let (mut binaries, mut outcomes) = (Vec::new(), Vec::new());
        for Prepared { binary, places, .. } in prepared.iter() {
            binaries.push(((binary.dev, binary.ino), binary.file.as_fd(), &places[..]));
        }
        self.links.attach(&binaries, &mut |index, attached| outcomes.push((index, attached)));
        for (index, attached) in outcomes {
            let prepared = &mut prepared[index];
            let skipped = match attached {
                Ok(AttachOutcome { refusals, watched }) => {
                    // It may have been written to since it was read.
                    self.is_unsure |= !watched.is_some_and(|facts| self.discovery.is_sure(&facts));
                    prepared.refuse(&refusals)
                }
                Err(reason) => prepared.refuse_all(reason),
            };
            skipped.into_iter().chain(prepared.folded()).for_each(&mut *skip);
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
        loop {
            // First, as the look before the recording began may have left something.
            self.look_when_due(&mut agenda, announce, skip)?;
            match tips.pop_until(agenda.next()) {
                Popped::Item(Tip::Started(list)) => {
                    for started in list {
                        self.look_at_started(&started, &mut agenda, announce, skip)?;
                    }
                }
                Popped::Item(Tip::Told(Told::Held(held))) => self.look_at_held(*held, announce, skip)?,
                Popped::Item(Tip::Told(Told::Released(count))) => {
                    skip(missing::released(count));
                    self.widen(announce, skip)?;
                }
                Popped::Item(Tip::Seen(Sighting::Mapped(files))) => {
                    for file in files {
                        let Some(scan) = self.look_at_mapped(&file) else { continue };
                        self.attach_later(scan, announce, skip)?;
                        agenda.look(file.pid, SETTLING);
                    }
                }
                Popped::Item(Tip::Seen(Sighting::Written(files))) => {
                    files.into_iter().for_each(|file| self.detach_changed(file, skip));
                    self.is_unsure = true;
                }
                Popped::Item(Tip::Seen(Sighting::Missed)) => agenda.scan(Duration::ZERO),
                Popped::Item(Tip::Told(Told::Skipped(skipped))) => skip(skipped),
                Popped::Closed => {
                    self.discovery.close().into_iter().for_each(skip);
                    return Ok(());
                }
                Popped::Empty => {}
            }
        }
    }

    /// Detaches from a file that was written to, unless it is what is attached to. It is found again when it is run, or is not written
    /// to any more.
    fn detach_changed(&mut self, file: FileId, skip: &mut dyn FnMut(Skipped)) {
        if !self.discovery.has_changed(file) {
            return;
        }
        self.detach_old(file, skip);
        self.discovery.forget(file);
        self.looked.clear();
        self.holder.iter().for_each(|holder| holder.familiar.forget());
    }

    /// Detaches from what a file was, whose breakpoints are wrong in what it is, and says so where a process runs it.
    fn detach_old(&mut self, file: FileId, skip: &mut dyn FnMut(Skipped)) {
        if !self.links.remove(&file) {
            return;
        }
        let mut wanted = process::pids().unwrap_or_default();
        wanted.retain(|pid| self.is_wanted(*pid));
        if let Some(pid) = wanted.into_iter().find(|pid| self.discovery.mapped_files(*pid).contains(&file)) {
            skip(missing::rewritten(Path::new(self.discovery.path(file)), pid));
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
        while let Some(pid) = agenda.take_look(now) {
            let scan = self.discovery.scan_process(pid);
            self.attach_later(scan, announce, skip)?;
        }
        if agenda.take_named(now) {
            let scan = self.discovery.scan_named();
            self.attach_later(scan, announce, skip)?;
        }
        if agenda.is_scan_due(now) || self.links.is_crowded() || self.discovery.is_crowded() {
            self.spared.end().into_iter().for_each(|file| self.discovery.forget(file));
            let scan = self.scan();
            let released = self.links.release(&scan.mapped);
            self.written.iter().for_each(|written| written.forget(&released));
            for file in released {
                // Its next process is to be looked at again.
                self.discovery.forget(file);
                self.looked.clear();
                self.holder.iter().for_each(|holder| holder.familiar.forget());
            }
            let is_parted = !scan.outdated.is_empty();
            self.attach_later(scan, announce, skip)?;
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
        self.discovery.take_doubts().into_iter().for_each(|pid| agenda.look(pid, SETTLING));
        Ok(())
    }

    /// Looks at a process that has mapped a file, unless it is one that is known.
    fn look_at_mapped(&mut self, file: &MappedFile) -> Option<Scan> {
        if self.is_wanted(file.pid) { self.discovery.scan_mapped(file.pid, file.range) } else { None }
    }

    /// Looks at a process that began to run a program.
    fn look_at_started(
        &mut self,
        started: &Started,
        agenda: &mut Agenda,
        announce: &mut dyn FnMut(&[PlannedSite]),
        skip: &mut dyn FnMut(Skipped),
    ) -> Result<()> {
        let pid = started.pid;
        let is_held = self.holder.as_ref().is_none_or(|holder| holder.has_asked(pid, started.time_ns));
        if let Some(holder) = self.holder.as_ref().filter(|_| !is_held) {
            // On something that was mounted just now, where no process tells of it: the next one there is held.
            holder.look_at_mounts(pid);
        }
        if self.holder.is_none() && self.is_wanted(pid) {
            self.widen(announce, skip)?;
        }
        // One that has ended is not among the wanted any more.
        let parent = started.parent_pid;
        let is_over =
            process::executable(pid).is_err() && (self.is_wanted(parent) || parent == std::process::id());
        let is_looked_at = self.is_wanted(pid) || is_over;
        let look =
            if is_looked_at { self.look_at_program(started, agenda, announce, skip)? } else { Look::Known };
        let is_missed = look == Look::New || is_over && (look == Look::Gone || started.is_nameless());
        if !is_held && is_missed {
            let path = process::executable(pid).unwrap_or_else(|_| started.path.clone());
            skip(missing::unheld(pid, &path));
        }
        Ok(())
    }

    /// Looks at the program that a process began to run, unless that was looked at just now.
    fn look_at_program(
        &mut self,
        started: &Started,
        agenda: &mut Agenda,
        announce: &mut dyn FnMut(&[PlannedSite]),
        skip: &mut dyn FnMut(Skipped),
    ) -> Result<Look> {
        let (pid, now) = (started.pid, Instant::now());
        // It may be gone already, or not have its new name yet; another one will be of the same file.
        let executable = process::executable(pid).unwrap_or_default();
        let path = if executable.as_os_str().is_empty() { given_path(started) } else { executable };
        let Some(launch) = self.discovery.launch(pid, &path) else { return Ok(Look::Gone) };
        let identity = launch.identity;
        if self.looked.get(&identity).is_some_and(|at| now.duration_since(*at) < REMEMBERED) {
            return Ok(Look::Known);
        }
        if self.looked.len() >= MAX_REMEMBERED {
            self.looked.clear();
        }
        self.looked.insert(identity, now);
        let scan = self.discovery.files(launch);
        let is_new = !scan.found.is_empty();
        self.attach_later(scan, announce, skip)?;
        AGAIN.into_iter().for_each(|after| agenda.look(pid, after));
        Ok(if is_new { Look::New } else { Look::Known })
    }

    /// Looks at a process that waits to run a program, which it does after that.
    fn look_at_held(
        &mut self,
        held: Held,
        announce: &mut dyn FnMut(&[PlannedSite]),
        skip: &mut dyn FnMut(Skipped),
    ) -> Result<()> {
        if is_translator(&held.programs[0].path) {
            if self.links.reach(held.pid) {
                self.make_way(&held, skip);
            }
            return Ok(());
        }
        if held.is_by_other_thread && self.is_wanted(held.pid) {
            self.widen(announce, skip)?;
        }
        let is_wanted = held.programs.iter().any(|program| self.discovery.wants(&program.path));
        if !is_wanted || !self.is_wanted(held.pid) {
            return Ok(());
        }
        let Held { pid, programs, variables, question, .. } = held;
        let mut states = Vec::new();
        let mut is_whole = true;
        for AboutToRun { path, file, arguments } in programs {
            let start = Start::Waiting(pid, path.clone(), (arguments, variables.clone()));
            let launch = match self.discovery.waiting(start, file.as_fd()) {
                Ok(launch) => launch,
                Err(silence) => {
                    is_whole = false;
                    if silence == Silence::Waiting {
                        skip(missing::unheld(pid, &path));
                    }
                    continue;
                }
            };
            let mut note = |path: &Path, facts: &Facts| states.push((path.to_owned(), *facts));
            let scan = self.discovery.files_noted(launch, &mut note);
            self.attach_later(scan, announce, skip)?;
        }
        let question = question.filter(|_| is_whole);
        if let (Some(holder), Some(question)) = (&self.holder, question) {
            holder.familiar.remember(question, states);
        }
        Ok(())
    }

    /// Attaches for all processes, where it was for some alone; the program records those alone all the same. To be called when
    /// one of them runs a program from a thread that is not its first, or may do so.
    fn widen(
        &mut self,
        announce: &mut dyn FnMut(&[PlannedSite]),
        skip: &mut dyn FnMut(Skipped),
    ) -> Result<()> {
        let files = self.links.widen();
        if files.is_empty() {
            return Ok(());
        }
        files.into_iter().for_each(|file| self.discovery.forget(file));
        self.holder.iter().for_each(|holder| holder.familiar.forget());
        let scan = self.scan();
        self.attach_later(scan, announce, skip)
    }

    /// Detaches from what a translator is about to run.
    fn make_way(&mut self, held: &Held, skip: &mut dyn FnMut(Skipped)) {
        let translator = &held.programs[0].path;
        let arguments = held.programs.last().map_or(&[][..], |program| &program.arguments);
        for word in arguments {
            for (path, file) in self.discovery.of_argument(held.pid, word, &held.variables) {
                self.spared.add(file, held.pid);
                if self.links.remove(&file) {
                    skip(missing::spared(&path, translator, held.pid));
                }
            }
        }
        if let Some(holder) = &self.holder {
            holder.familiar.forget();
        }
    }

    /// Leaves out the files that a translator runs.
    fn spare(&mut self, found: &mut Vec<FoundFile>, skip: &mut dyn FnMut(Skipped)) {
        if found.is_empty() {
            return;
        }
        for Translator { pid, path, files } in Translator::all(&mut self.discovery) {
            if !self.links.reach(pid) {
                continue;
            }
            for FoundFile { binary, .. } in found.iter() {
                let file = (binary.dev, binary.ino);
                if files.contains(&file) {
                    self.spared.add(file, pid);
                    skip(missing::spared(&binary.path, &path, pid));
                }
            }
        }
        found.retain(|FoundFile { binary, .. }| !self.spared.has((binary.dev, binary.ino)));
    }

    fn is_wanted(&self, pid: u32) -> bool {
        let pids = &self.options.pids;
        if self.options.only_admitted {
            self.program.is_admitted(pid)
        } else {
            pids.is_empty() || pids.contains(&pid)
        }
    }

    /// Attaches to what was found while recording.
    fn attach_later(
        &mut self,
        scan: Scan,
        announce: &mut dyn FnMut(&[PlannedSite]),
        skip: &mut dyn FnMut(Skipped),
    ) -> Result<()> {
        scan.skipped.into_iter().for_each(&mut *skip);
        let found = scan.found;
        scan.outdated.into_iter().for_each(|file| self.detach_old(file, skip));
        let mut prepared = self.prepare(found, skip)?;
        prepared.iter().for_each(|prepared| announce(&prepared.sites));
        self.attach(&mut prepared, skip);
        Ok(())
    }

    fn is_harmful(&self, site: &binary::Site, binary: &Binary, skip: &mut dyn FnMut(Skipped)) -> bool {
        let hazard = nop::hazard(site.nop).filter(|hazard| hazard.applies_to(self.kernel.0, self.kernel.1));
        let Some(hazard) = hazard else { return false };
        skip(missing::at(site, binary, format!("{hazard}; left out")));
        true
    }

    fn definition(&self, site: &binary::Site, binary: &Binary) -> Site {
        Site {
            provider: site.provider.clone(),
            probe: site.probe.clone(),
            program: binary.program.clone(),
            path: binary.path.to_string_lossy().into_owned(),
            build_id: binary.build_id.clone(),
            offset: site.offset,
            semaphore_offset: site.semaphore_offset,
            spec: site.spec.clone(),
            args: site.arguments.iter().map(|argument| argument.kind).collect(),
            key_arg: key_argument(&self.options.keys, &site.provider, &site.probe),
            announced: true,
            found_ns: 0,
        }
    }
}
