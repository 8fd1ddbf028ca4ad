//! Definitions: what the ids in events mean; plain data that grows while recording.

use std::sync::Arc;

use super::{
    Cost, Exit, Host, HostId, Process, ProcessId, Site, SiteId, Skipped, StageDef, Thread, ThreadId,
};

/// One definition, as it is written and read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Definition {
    /// Next host.
    Host(Arc<Host>),
    /// Next process.
    Process(Arc<Process>),
    /// Next thread.
    Thread(Thread),
    /// Next site.
    Site(Arc<Site>),
    /// A stage.
    Stage(StageDef),
    /// A process ended.
    Exit(Exit),
    /// What the recording cost.
    Cost(Cost),
    /// Something was not recorded.
    Skipped(Skipped),
}

/// What became of a definition read from a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Placed {
    /// It was not there.
    New,
    /// The same one was there: it stands in the file again.
    Known,
    /// Its id is too high.
    TooMany,
}

/// Which definitions there were at some time: each list only grows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DefinedSoFar {
    hosts: usize,
    processes: usize,
    threads: usize,
    sites: usize,
    stages: usize,
    exits: usize,
    cost: Option<Cost>,
    skipped: usize,
}

/// All definitions of a trace; ids are positions in these lists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Definitions {
    /// Hosts.
    pub hosts: Vec<Arc<Host>>,
    /// Processes.
    pub processes: Vec<Arc<Process>>,
    /// Threads.
    pub threads: Vec<Thread>,
    /// Sites.
    pub sites: Vec<Arc<Site>>,
    /// Stages given by the user.
    pub stages: Vec<StageDef>,
    /// Processes that ended.
    pub exits: Vec<Exit>,
    /// What the recording cost.
    pub cost: Option<Cost>,
    /// What was not recorded.
    pub skipped: Vec<Skipped>,
}

impl Definitions {
    /// Adds a definition; ids are given in order, from 0.
    pub fn push(&mut self, definition: Definition) {
        match definition {
            Definition::Host(host) => self.hosts.push(host),
            Definition::Process(process) => self.processes.push(process),
            Definition::Thread(thread) => self.threads.push(thread),
            Definition::Site(site) => self.sites.push(site),
            Definition::Stage(stage) => self.stages.push(stage),
            Definition::Exit(exit) => self.exits.push(exit),
            Definition::Cost(cost) => self.cost = Some(cost),
            Definition::Skipped(skipped) => self.skipped.push(skipped),
        }
    }

    /// The id that `definition` would get.
    pub(crate) fn next_id(&self, definition: &Definition) -> usize {
        match definition {
            Definition::Host(_) => self.hosts.len(),
            Definition::Process(_) => self.processes.len(),
            Definition::Thread(_) => self.threads.len(),
            Definition::Site(_) => self.sites.len(),
            Definition::Stage(_) => self.stages.len(),
            Definition::Exit(_) => self.exits.len(),
            Definition::Cost(_) => 0,
            Definition::Skipped(_) => self.skipped.len(),
        }
    }

    /// Which definitions there are.
    pub(crate) fn extent(&self) -> DefinedSoFar {
        DefinedSoFar {
            hosts: self.hosts.len(),
            processes: self.processes.len(),
            threads: self.threads.len(),
            sites: self.sites.len(),
            stages: self.stages.len(),
            exits: self.exits.len(),
            cost: self.cost,
            skipped: self.skipped.len(),
        }
    }

    /// The definitions that there were at some time.
    pub(crate) fn within(&self, extent: &DefinedSoFar) -> Self {
        Self {
            hosts: self.hosts[..extent.hosts].to_vec(),
            processes: self.processes[..extent.processes].to_vec(),
            threads: self.threads[..extent.threads].to_vec(),
            sites: self.sites[..extent.sites].to_vec(),
            stages: self.stages[..extent.stages].to_vec(),
            exits: self.exits[..extent.exits].to_vec(),
            cost: extent.cost,
            skipped: self.skipped[..extent.skipped].to_vec(),
        }
    }

    /// All definitions with their ids, those first that others refer to.
    pub(crate) fn into_numbered(self) -> impl Iterator<Item = (u32, Definition)> {
        fn numbered<T>(list: Vec<T>, wrap: fn(T) -> Definition) -> impl Iterator<Item = (u32, Definition)> {
            (0..).zip(list.into_iter().map(wrap))
        }
        numbered(self.hosts, Definition::Host)
            .chain(numbered(self.processes, Definition::Process))
            .chain(numbered(self.threads, Definition::Thread))
            .chain(numbered(self.sites, Definition::Site))
            .chain(numbered(self.stages, Definition::Stage))
            .chain(numbered(self.exits, Definition::Exit))
            .chain(self.cost.map(|cost| (0, Definition::Cost(cost))))
            .chain(numbered(self.skipped, Definition::Skipped))
    }

    /// Puts a definition read from a trace in its place. Places before it that stay empty, because a block was damaged, count as not
    /// defined; nothing is done if there would be more definitions than `max`.
    #[must_use]
    pub(crate) fn place(&mut self, id: u32, definition: Definition, max: usize) -> Placed {
        fn put<T: PartialEq + Clone>(list: &mut Vec<T>, index: usize, value: T, lost: &T) -> Placed {
            if index >= list.len() {
                list.resize(index + 1, lost.clone());
            } else if list[index] == value {
                return Placed::Known;
            }
            list[index] = value;
            Placed::New
        }
        let is_numbered = !matches!(definition, Definition::Cost(_));
        let id = id as usize;
        if is_numbered && id >= max {
            return Placed::TooMany;
        }
        match definition {
            Definition::Host(host) => put(&mut self.hosts, id, host, &Arc::default()),
            Definition::Process(process) => {
                let lost = Process { host: HostId::NONE, ..Process::default() };
                put(&mut self.processes, id, process, &lost.into())
            }
            Definition::Thread(thread) => {
                put(&mut self.threads, id, thread, &Thread { process: ProcessId::NONE, tid: 0 })
            }
            Definition::Site(site) => put(&mut self.sites, id, site, &Arc::default()),
            Definition::Stage(stage) => put(&mut self.stages, id, stage, &StageDef::default()),
            Definition::Exit(exit) => {
                put(&mut self.exits, id, exit, &Exit { process: ProcessId::NONE, ..Exit::default() })
            }
            Definition::Cost(cost) => {
                self.cost = Some(cost);
                Placed::Known
            }
            Definition::Skipped(skipped) => put(&mut self.skipped, id, skipped, &Skipped::default()),
        }
    }

    /// Drops the empty places of definitions that nothing refers to by their ids.
    pub(crate) fn drop_lost(&mut self) {
        self.stages.retain(|stage| !stage.name.is_empty());
        self.exits.retain(|exit| exit.process != ProcessId::NONE);
        self.skipped.retain(|skipped| !skipped.reason.is_empty());
    }

    /// Whether the events of a thread can be told apart from others': it and its process are defined.
    #[must_use]
    pub fn has_thread(&self, thread: ThreadId) -> bool {
        self.process_of(thread).is_some_and(|process| process.host != HostId::NONE)
    }

    /// Whether site `site` is defined, with `args` arguments.
    #[must_use]
    pub fn has_site(&self, site: SiteId, args: usize) -> bool {
        self.site(site).is_some_and(|site| !site.probe.is_empty() && site.args.len() == args)
    }

    /// The host with this id; `None` if it is not defined.
    #[must_use]
    pub fn host(&self, host: HostId) -> Option<&Host> {
        self.hosts.get(host.index()).map(|host| &**host)
    }

    /// The process with this id; `None` if it is not defined.
    #[must_use]
    pub fn process(&self, process: ProcessId) -> Option<&Process> {
        self.processes.get(process.index()).map(|process| &**process)
    }

    /// The thread with this id; `None` if it is not defined.
    #[must_use]
    pub fn thread(&self, thread: ThreadId) -> Option<&Thread> {
        self.threads.get(thread.index())
    }

    /// The site with this id; `None` if it is not defined.
    #[must_use]
    pub fn site(&self, site: SiteId) -> Option<&Site> {
        self.sites.get(site.index()).map(|site| &**site)
    }

    /// The process that thread `thread` belongs to.
    #[must_use]
    pub fn process_of(&self, thread: ThreadId) -> Option<&Process> {
        self.process(self.thread(thread)?.process)
    }
}
