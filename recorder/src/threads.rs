//! Who fired: the processes and threads of a recording, defined in the trace when their first event comes.

use std::collections::HashMap;
use std::io::Write;

use tracer_format::{Definition, Process, Result, Thread, Writer};

use crate::process;

/// What is known of processes, and their ids in the trace that is being written.
#[derive(Debug, Default)]
pub(crate) struct Threads {
    processes: HashMap<u32, Process>,
    process_ids: HashMap<u32, u32>,
    ids: HashMap<(u32, u32), u32>,
    /// The last answer: threads fire in bursts.
    last: Option<(u32, u32, u32)>,
}

impl Threads {
    /// Id of thread `tid` of process `pid`. `program` is where the site is: the name of a process that was gone before
    /// anybody looked.
    ///
    /// # Errors
    /// When it cannot be defined.
    pub(crate) fn id<W: Write>(
        &mut self,
        pid: u32,
        tid: u32,
        program: &str,
        writer: &mut Writer<W>,
    ) -> Result<u32> {
        if let Some((last_pid, last_tid, id)) = self.last
            && (last_pid, last_tid) == (pid, tid)
        {
            return Ok(id);
        }
        let id = match self.ids.get(&(pid, tid)) {
            Some(&id) => id,
            None => {
                let process = self.process(pid, program, writer)?;
                let id = writer.define(Definition::Thread(Thread { process, tid }))?;
                self.ids.insert((pid, tid), id);
                id
            }
        };
        self.last = Some((pid, tid, id));
        Ok(id)
    }

    /// Forgets all ids, but not who the processes are: another trace begins.
    pub(crate) fn forget_ids(&mut self) {
        self.process_ids.clear();
        self.ids.clear();
        self.last = None;
    }

    fn process<W: Write>(&mut self, pid: u32, program: &str, writer: &mut Writer<W>) -> Result<u32> {
        if let Some(&id) = self.process_ids.get(&pid) {
            return Ok(id);
        }
        let process = self.processes.entry(pid).or_insert_with(|| {
            let gone = || Process { pid, program: program.to_owned(), ..Process::default() };
            process::read(pid).unwrap_or_else(gone)
        });
        let id = writer.define(Definition::Process(process.clone()))?;
        self.process_ids.insert(pid, id);
        Ok(id)
    }
}
