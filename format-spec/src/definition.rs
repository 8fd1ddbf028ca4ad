//! What the ids in events mean: hosts, processes, threads, sites, stages; plain data that grows while recording.

use crate::ArgKind;

/// A machine, and the recording made on it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Host {
    /// Node name.
    pub name: String,
    /// Kernel name, release and version, as `uname` prints them.
    pub kernel: String,
    /// Machine, as `uname -m` prints it.
    pub machine: String,
    /// Kernel's id of this boot; CLOCK_MONOTONIC values compare only within one boot. Empty if unknown.
    pub boot_id: String,
    /// Number of possible processors; 0 if unknown.
    pub cpus: u32,
    /// Name and version of the tool that wrote the trace.
    pub tool: String,
    /// Command line of the tool.
    pub command: Vec<String>,
}

/// A process: one program run by one pid.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Process {
    /// Index into [`Definitions::hosts`].
    pub host: u32,
    /// Process id; not unique, pids are reused.
    pub pid: u32,
    /// Parent's process id; 0 if unknown.
    pub parent_pid: u32,
    /// Start, ns of CLOCK_BOOTTIME; in steps of 10 ms when it was read from /proc. 0 if unknown.
    pub start_ns: u64,
    /// File name of the executable; what the log prints.
    pub program: String,
    /// Path of the executable, as the process sees it; empty if unknown.
    pub executable: String,
    /// Command line; empty if unknown.
    pub command: Vec<String>,
}

/// A thread of a process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Thread {
    /// Index into [`Definitions::processes`].
    pub process: u32,
    /// Thread id; the main thread's is the pid.
    pub tid: u32,
}

/// A site: one address in one binary where a probe fires.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Site {
    /// Provider of the probe.
    pub provider: String,
    /// Name of the probe, without the provider.
    pub probe: String,
    /// File name of the binary (executable or shared library).
    pub program: String,
    /// Path of the binary; empty if unknown.
    pub path: String,
    /// Build id of the binary; empty if it has none.
    pub build_id: Vec<u8>,
    /// File offset of the instruction, bytes; 0 if unknown.
    pub offset: u64,
    /// File offset of the semaphore, bytes; 0 if there is none.
    pub semaphore_offset: u64,
    /// Argument text of the note, such as `-8@%rdi 4@$1`.
    pub spec: String,
    /// Kinds of the arguments, at most [`MAX_ARGUMENTS`](crate::limits::MAX_ARGUMENTS).
    pub args: Vec<ArgKind>,
    /// Argument that is the key (sequence number): the first by default.
    pub key_arg: u8,
    /// Whether the log has a "Found probe" line for it.
    pub announced: bool,
    /// When it was found, CLOCK_MONOTONIC ns, if that was while recording: its "Found probe" line stands behind the events
    /// up to this time. 0 if it was found before: the line is in the header.
    pub found_ns: u64,
}

impl Site {
    /// `provider:probe`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}:{}", self.provider, self.probe)
    }
}

/// A stage that the user gave while recording: an interval between two probes with the same key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StageDef {
    /// Name of the stage.
    pub name: String,
    /// `provider:probe` that begins it.
    pub from: String,
    /// `provider:probe` that ends it.
    pub to: String,
    /// Key: comma-separated `seq`, `argN`, `pid`, `tid`.
    pub key: String,
}

/// The end of a process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Exit {
    /// Index into [`Definitions::processes`].
    pub process: u32,
    /// CLOCK_MONOTONIC, ns.
    pub time_ns: u64,
    /// Wait status (`exit code << 8 | signal`).
    pub status: u32,
}

/// What the recording itself cost; the last one written counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// Time spent in the BPF programs, ns; 0 if the kernel did not measure it.
    pub bpf_ns: u64,
    /// Runs of the BPF programs that `bpf_ns` covers.
    pub bpf_runs: u64,
    /// CPU time of the recorder, in user mode and in the kernel, ns.
    pub cpu_ns: u64,
    /// Times the recorder woke up to drain.
    pub wakeups: u64,
    /// Bytes drained from the ring buffers.
    pub drained_bytes: u64,
}

/// One definition, as it is written and read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Definition {
    /// Next host.
    Host(Host),
    /// Next process.
    Process(Process),
    /// Next thread.
    Thread(Thread),
    /// Next site.
    Site(Site),
    /// A stage.
    Stage(StageDef),
    /// A process ended.
    Exit(Exit),
    /// What the recording cost.
    Cost(Cost),
}

/// What a place refers to whose definition is lost.
pub(crate) const LOST: u32 = u32::MAX;

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

/// All definitions of a trace; ids are positions in these lists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Definitions {
    /// Hosts.
    pub hosts: Vec<Host>,
    /// Processes.
    pub processes: Vec<Process>,
    /// Threads.
    pub threads: Vec<Thread>,
    /// Sites.
    pub sites: Vec<Site>,
    /// Stages given by the user.
    pub stages: Vec<StageDef>,
    /// Processes that ended.
    pub exits: Vec<Exit>,
    /// What the recording cost.
    pub cost: Option<Cost>,
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
    }

    /// Puts a definition read from a trace in its place. Places before it that stay empty, because a block was
    /// damaged, count as not defined; nothing is done if there would be more definitions than `max`.
    #[must_use]
    pub(crate) fn place(&mut self, id: u32, definition: Definition, max: usize) -> Placed {
        fn put<T: PartialEq>(
            list: &mut Vec<T>,
            id: u32,
            value: T,
            lost: impl Fn() -> T,
            max: usize,
        ) -> Placed {
            let index = id as usize;
            if index >= max {
                return Placed::TooMany;
            }
            if index >= list.len() {
                list.resize_with(index + 1, lost);
            } else if list[index] == value {
                return Placed::Known;
            }
            list[index] = value;
            Placed::New
        }
        match definition {
            Definition::Host(host) => put(&mut self.hosts, id, host, Host::default, max),
            Definition::Process(process) => {
                let lost = || Process { host: LOST, ..Process::default() };
                put(&mut self.processes, id, process, lost, max)
            }
            Definition::Thread(thread) => {
                put(&mut self.threads, id, thread, || Thread { process: LOST, tid: 0 }, max)
            }
            Definition::Site(site) => put(&mut self.sites, id, site, Site::default, max),
            Definition::Stage(stage) => put(&mut self.stages, id, stage, StageDef::default, max),
            Definition::Exit(exit) => {
                put(&mut self.exits, id, exit, || Exit { process: LOST, ..Exit::default() }, max)
            }
            Definition::Cost(cost) => {
                self.cost = Some(cost);
                Placed::Known
            }
        }
    }

    /// Drops the empty places of definitions that nothing refers to by their ids.
    pub(crate) fn drop_lost(&mut self) {
        self.stages.retain(|stage| !stage.name.is_empty());
        self.exits.retain(|exit| exit.process != LOST);
    }

    /// Whether the events of a thread can be told apart from others': it and its process are defined.
    #[must_use]
    pub fn has_thread(&self, thread: u32) -> bool {
        self.process_of(thread).is_some_and(|process| process.host != LOST)
    }

    /// Whether site `site` is defined, with `args` arguments.
    #[must_use]
    pub fn has_site(&self, site: u32, args: usize) -> bool {
        self.sites.get(site as usize).is_some_and(|site| !site.probe.is_empty() && site.args.len() == args)
    }

    /// The process that thread `thread` belongs to.
    #[must_use]
    pub fn process_of(&self, thread: u32) -> Option<&Process> {
        self.processes.get(self.threads.get(thread as usize)?.process as usize)
    }
}
