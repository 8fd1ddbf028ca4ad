//! The processes and threads of a recording, defined in the trace when their first event arrives.
//!
//! Events of the kernel's tracepoints (fork, exec, exit) arrive in time order among those of probes. So a reused process id
//! is a new process, a process has a new identity after exec, and one that lived for a millisecond has a name. Processes
//! that ran before the recording are read from `/proc`.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use tracer_format::grammar::ProgramPattern;
use tracer_format::{CUT_MARK, Definition, Exit, Process, ProcessId, Result, Thread, ThreadId, Writer};

use crate::abi::{KIND_EXEC, KIND_EXIT, KIND_FORK, MAX_COMMAND_BYTES};
use crate::host::process;
use crate::kernel::raw::Raw;

/// What is known of processes, and their ids in the trace that is being written.
#[derive(Debug, Default)]
pub(crate) struct Threads {
    /// Programs to record; empty for all.
    programs: Vec<ProgramPattern>,
    /// Whether `/proc` has other pids than events.
    is_contained: bool,
    read_command: Commands,
    /// CLOCK_BOOTTIME less CLOCK_MONOTONIC, ns.
    slept_ns: u64,
    known: HashMap<u32, KnownProcess>,
    /// By process and thread.
    ids: HashMap<(u32, u32), ThreadId>,
    /// The last answer: threads fire in bursts.
    last: Option<(u32, u32, ThreadId)>,
}

/// Reads the command line of a process from its folder in `/proc`; empty if there is none, or no answer.
pub(crate) type ReadCommand = Box<dyn FnMut(u32, &Path) -> Vec<u8> + Send>;

/// How command lines are read; without, there are none.
#[derive(Default)]
struct Commands(Option<ReadCommand>);

impl std::fmt::Debug for Commands {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Commands")
    }
}

impl Commands {
    fn read(&mut self, pid: u32, folder: &Path) -> Vec<u8> {
        self.0.as_mut().map_or_else(Vec::new, |read| read(pid, folder))
    }
}

/// A running process.
#[derive(Debug, Default)]
struct KnownProcess {
    process: Process,
    /// `/proc` was read, or need not be.
    is_asked: bool,
    /// Whether its program is recorded, once that was looked at.
    is_wanted: Option<bool>,
    /// Its id in the trace that is being written.
    id: Option<ProcessId>,
    /// Its threads that have ids.
    tids: Vec<u32>,
}

impl Threads {
    /// Starts without any process; records `programs`, or all if there are none. `/proc` of a PID namespace has other pids than events.
    pub(crate) fn new(programs: Vec<ProgramPattern>, is_contained: bool) -> Self {
        Self { programs, is_contained, ..Self::default() }
    }

    /// Reads command lines with `read` from now on.
    pub(crate) fn read_commands(&mut self, read: ReadCommand) {
        self.read_command = Commands(Some(read));
    }

    /// Says how long the machine has slept: CLOCK_BOOTTIME less CLOCK_MONOTONIC, ns.
    pub(crate) fn set_slept(&mut self, slept_ns: u64) {
        self.slept_ns = slept_ns;
    }

    /// Adds a process that runs already, as `/proc` describes it.
    pub(crate) fn know(&mut self, pid: u32) {
        if self.is_contained {
            return;
        }
        let Some(process) = process::read(pid, &mut |folder| self.read_command.read(pid, folder)) else {
            return;
        };
        self.known.insert(process.pid, KnownProcess { process, is_asked: true, ..KnownProcess::default() });
    }

    /// Id of the thread that fired `raw`; `None` if its program is not recorded. `site_program` is where the site is: the name
    /// of a process of which nothing can be known.
    ///
    /// # Errors
    /// When it cannot be defined.
    pub(crate) fn id<W: Write>(
        &mut self,
        raw: &Raw<'_>,
        site_program: &str,
        writer: &mut Writer<W>,
    ) -> Result<Option<ThreadId>> {
        let (pid, tid) = (raw.pid, raw.tid);
        if let Some((last_pid, last_tid, id)) = self.last
            && (last_pid, last_tid) == (pid, tid)
        {
            return Ok(Some(id));
        }
        let id = match self.ids.get(&(pid, tid)) {
            Some(&id) => id,
            None => match self.define(raw, site_program, writer)? {
                Some(id) => id,
                None => return Ok(None),
            },
        };
        self.last = Some((pid, tid, id));
        Ok(Some(id))
    }

    /// Forgets all ids but keeps the processes: a new trace begins.
    pub(crate) fn forget_ids(&mut self) {
        for known in self.known.values_mut() {
            known.id = None;
            known.tids.clear();
        }
        self.ids.clear();
        self.last = None;
    }

    /// Handles an event of a process: fork, exec or exit.
    ///
    /// # Errors
    /// When the end cannot be defined.
    pub(crate) fn observe<W: Write>(&mut self, raw: &Raw<'_>, writer: &mut Writer<W>) -> Result<()> {
        let &[start_ns, parent, ..] = raw.words else { return Ok(()) };
        let mut process = Process { pid: raw.pid, ..Process::default() };
        // To the kernel's tick, as /proc has it.
        process.start_ns = process::in_ticks(start_ns);
        process.parent_pid = u32::try_from(parent).unwrap_or(0);
        process.program = text(raw, 2).into();
        match raw.kind {
            KIND_FORK => {
                if let Some(parent) = self.known.get(&process.parent_pid)
                    && parent.process.program == process.program
                {
                    process.executable.clone_from(&parent.process.executable);
                    process.command.clone_from(&parent.process.command);
                }
            }
            KIND_EXEC => process.command = words(raw, 3).into_iter().map(Arc::from).collect(),
            KIND_EXIT => {
                // The lower half is the status; two threads that end together may both say so.
                let status = process.parent_pid;
                let id = self.forget(raw.pid).and_then(|known| known.id);
                let exit = |process| Definition::Exit(Exit { process, time_ns: raw.time_ns, status });
                return id.map_or(Ok(()), |id| writer.define(exit(id)).map(drop));
            }
            _ => return Ok(()),
        }
        self.forget(raw.pid);
        let is_asked = !process.executable.is_empty();
        self.known.insert(raw.pid, KnownProcess { process, is_asked, ..KnownProcess::default() });
        Ok(())
    }

    fn forget(&mut self, pid: u32) -> Option<KnownProcess> {
        self.last = None;
        let known = self.known.remove(&pid)?;
        for tid in &known.tids {
            self.ids.remove(&(pid, *tid));
        }
        Some(known)
    }

    fn define<W: Write>(
        &mut self,
        raw: &Raw<'_>,
        site_program: &str,
        writer: &mut Writer<W>,
    ) -> Result<Option<ThreadId>> {
        let known = self.known.entry(raw.pid).or_default();
        if !known.is_asked {
            known.is_asked = true;
            // A process that started later has reused the pid.
            let latest_ns = raw.time_ns.saturating_add(self.slept_ns);
            let read_command = &mut self.read_command;
            let found = process::read(raw.pid, &mut |folder| read_command.read(raw.pid, folder));
            let found = found.filter(|found| !self.is_contained && found.start_ns <= latest_ns);
            known.process = complete(raw.pid, &known.process, found, site_program);
        }
        let (programs, program) = (&self.programs, &known.process.program);
        let is_wanted = || programs.is_empty() || programs.iter().any(|pattern| pattern.matches(program));
        if !*known.is_wanted.get_or_insert_with(is_wanted) {
            return Ok(None);
        }
        let process = match known.id {
            Some(id) => id,
            None => writer.process(known.process.clone())?,
        };
        known.id = Some(process);
        let id = writer.thread(Thread { process, tid: raw.tid })?;
        known.tids.push(raw.tid);
        self.ids.insert((raw.pid, raw.tid), id);
        Ok(Some(id))
    }
}

/// Adds what `/proc` has `found` to what the kernel's events say: `known`, nothing if its pid is 0.
fn complete(pid: u32, known: &Process, found: Option<Process>, site_program: &str) -> Process {
    if known.pid == 0 {
        return found.unwrap_or_else(|| Process { pid, program: site_program.into(), ..Process::default() });
    }
    let mut process = known.clone();
    if let Some(found) = found
        && (found.start_ns, &found.program) == (known.start_ns, &known.program)
    {
        process.executable = found.executable;
        // The kernel's event may have cut it. Another process may have the pid by now, so it must be the same otherwise.
        if is_longer(&found.command, &known.command) {
            process.command = found.command;
        }
    }
    process
}

/// Whether `words` begin with what `cut` has, the last word of which may not be whole.
fn is_longer(words: &[Arc<str>], cut: &[Arc<str>]) -> bool {
    let Some((last, others)) = cut.split_last() else { return true };
    // A character may be cut as well.
    let last = last.strip_suffix(CUT_MARK).unwrap_or(last).trim_end_matches('\u{fffd}');
    words.starts_with(others) && words.get(others.len()).is_some_and(|word| word.starts_with(last))
}

fn text(raw: &Raw<'_>, index: usize) -> String {
    let mut bytes = Vec::new();
    // What cannot be read is empty.
    let _ = raw.string(index, &mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The words of a command line, which may have been cut.
fn words(raw: &Raw<'_>, index: usize) -> Vec<String> {
    let mut bytes = Vec::new();
    if !raw.string(index, &mut bytes) || bytes.is_empty() {
        return Vec::new();
    }
    process::command_words(&bytes, bytes.len() == MAX_COMMAND_BYTES)
}

#[cfg(test)]
mod tests {
    use tracer_format::WriterOptions;

    use super::*;
    use crate::kernel::raw::tests::about;

    const TICK_NS: u64 = 10_000_000;
    /// No process has it: above the kernel's greatest pid.
    const PID: u32 = 5_000_000;

    fn fired(time_ns: u64, threads: &mut Threads, writer: &mut Writer<Vec<u8>>) -> Option<ThreadId> {
        let mut words = about(time_ns, PID, 0, &[], &[]);
        words[2] |= u64::from(PID);
        threads.id(&Raw::parse(0, &words).unwrap(), "where", writer).unwrap()
    }

    fn observe(threads: &mut Threads, writer: &mut Writer<Vec<u8>>, words: &[u64]) {
        threads.observe(&Raw::parse(0, words).unwrap(), writer).unwrap();
    }

    fn fork(time_ns: u64, start_ns: u64) -> Vec<u64> {
        about(time_ns, PID, KIND_FORK, &[start_ns, 7], &[b"shell"])
    }

    fn exec(time_ns: u64, start_ns: u64) -> Vec<u64> {
        about(time_ns, PID, KIND_EXEC, &[start_ns, 7], &[b"worker", b"worker\0-n\0"])
    }

    fn exit(time_ns: u64, start_ns: u64, status: u64) -> Vec<u64> {
        about(time_ns, PID, KIND_EXIT, &[start_ns, status], &[])
    }

    #[test]
    fn a_pid_that_is_reused_is_another_process() {
        let (mut threads, mut writer) =
            (Threads::default(), Writer::new(Vec::new(), WriterOptions::default()).unwrap());
        observe(&mut threads, &mut writer, &fork(10, TICK_NS + 1));
        let shell = fired(11, &mut threads, &mut writer).unwrap();
        observe(&mut threads, &mut writer, &exec(12, TICK_NS + 1));
        let worker = fired(13, &mut threads, &mut writer).unwrap();
        assert_eq!(fired(14, &mut threads, &mut writer), Some(worker));
        observe(&mut threads, &mut writer, &exit(15, TICK_NS + 1, 7 << 8));
        observe(&mut threads, &mut writer, &exit(16, TICK_NS + 1, 7 << 8));
        observe(&mut threads, &mut writer, &exec(20, 2 * TICK_NS));
        let second = fired(21, &mut threads, &mut writer).unwrap();

        let definitions = writer.definitions();
        let process = |thread: ThreadId| definitions.process_of(thread).expect("defined");
        let facts =
            |thread| (&*process(thread).program, process(thread).start_ns, process(thread).parent_pid);
        assert_eq!(facts(shell), ("shell", TICK_NS, 7));
        assert_eq!(facts(worker), ("worker", TICK_NS, 7));
        assert_eq!(facts(second), ("worker", 2 * TICK_NS, 7));
        assert_eq!(process(worker).command, ["worker", "-n"].map(Arc::from).into());
        let ended = definitions.thread(worker).expect("defined").process;
        assert_eq!(definitions.exits, [Exit { process: ended, time_ns: 15, status: 7 << 8 }]);
    }

    #[test]
    fn a_command_line_that_was_cut_is_completed() {
        let words = |words: &[&str]| words.iter().map(|word| Arc::from(*word)).collect::<Vec<_>>();
        let whole = words(&["cp", "-a", "from", "to"]);
        for (cut, expected) in [
            (&[][..], true),
            (&["cp", "-a", "fr"], true),
            (&["cp", "-a", "fr\u{fffd}…"], true),
            (&["cp", "-a", "from", "to"], true),
            (&["cp", "-b", "fr"], false),
            (&["cp", "-a", "from", "to", "more"], false),
        ] {
            assert_eq!(is_longer(&whole, &words(cut)), expected, "{cut:?}");
        }
    }

    #[test]
    fn a_command_line_that_stays_cut_is_marked() {
        let command = |bytes: &[u8]| process::command_words(bytes, bytes.len() == MAX_COMMAND_BYTES);
        let mut text = b"cp\0".to_vec();
        text.resize(MAX_COMMAND_BYTES, b'x');
        let word = "x".repeat(MAX_COMMAND_BYTES - 3);
        assert_eq!(command(&text), ["cp", &format!("{word}…")]);
        assert_eq!(command(&text[..MAX_COMMAND_BYTES - 1]), ["cp", &word[1..]]);
        *text.last_mut().expect("not empty") = 0;
        assert_eq!(command(&text), ["cp", &word[1..]], "it ends just there");
    }

    #[test]
    fn a_process_of_which_nothing_is_known_has_the_name_of_its_site() {
        let (mut threads, mut writer) =
            (Threads::default(), Writer::new(Vec::new(), WriterOptions::default()).unwrap());
        fired(11, &mut threads, &mut writer).unwrap();
        let expected = Process { pid: PID, program: "where".into(), ..Process::default() };
        assert_eq!(writer.definitions().processes, [Arc::new(expected)]);
    }

    #[test]
    fn a_program_that_is_not_asked_for_has_no_id() {
        let mut threads = Threads::new(vec!["work*".parse().unwrap()], false);
        let mut writer = Writer::new(Vec::new(), WriterOptions::default()).unwrap();
        observe(&mut threads, &mut writer, &fork(10, TICK_NS));
        assert_eq!(fired(11, &mut threads, &mut writer), None);
        observe(&mut threads, &mut writer, &exec(12, TICK_NS));
        assert_eq!(fired(13, &mut threads, &mut writer), Some(ThreadId(0)));
        assert_eq!(writer.definitions().processes.len(), 1);
    }

    #[test]
    fn another_trace_has_the_same_processes() {
        let (mut threads, mut writer) =
            (Threads::default(), Writer::new(Vec::new(), WriterOptions::default()).unwrap());
        observe(&mut threads, &mut writer, &exec(10, TICK_NS));
        fired(11, &mut threads, &mut writer).unwrap();
        let first = writer.definitions().processes.clone();
        threads.forget_ids();
        let mut writer = Writer::new(Vec::new(), WriterOptions::default()).unwrap();
        fired(12, &mut threads, &mut writer).unwrap();
        assert_eq!(writer.definitions().processes, first);
    }
}
