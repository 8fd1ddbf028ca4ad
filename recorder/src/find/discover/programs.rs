//! Programs that begin: the files that they will map, and those that lie beside these.

use std::ffi::{OsStr, OsString};
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::find::discover::named::patiently;
use crate::find::discover::pass::Pass;
use crate::find::discover::{Discovery, Scan};
use crate::find::facts::{Facts, FileId};
use crate::find::launch;
use crate::find::look::Start;
use crate::find::look::lookers::{Silence, Starting, Walk};

/// Files beside those of a program that are looked at before something else is: so many that are new, or for so long.
const MAX_SLICE: usize = 32;
const SLICE: Duration = Duration::from_millis(20);

impl Discovery {
    /// Looks at the files that a command will map when it is started: the executable, what runs it, and shared libraries. The
    /// filter's pids and programs do not count.
    ///
    /// # Errors
    /// [`Error::Command`] if it cannot be run, [`Error::File`] if it cannot be read.
    pub fn command(&mut self, command: &[OsString]) -> Result<Scan> {
        let Some((name, arguments)) = command.split_first() else {
            return Err(Error::Request("command: none was given".to_owned()));
        };
        let path = launch::find_command(name).map_err(|reason| Error::command(name, reason))?;
        let start = || Start::Command(path.clone(), arguments.to_vec());
        let asked = patiently(&mut self.lookers, &mut |lookers| lookers.launch(start(), None));
        Ok(self.files(
            asked.and_then(|launch| launch).map_err(|source| Error::File { path: path.clone(), source })?,
        ))
    }

    /// The program at `path`, which process `pid` has just begun to run, if it passes the filter. The process may be gone
    /// already, or be stopped before its first instruction.
    pub(crate) fn launch(&mut self, pid: u32, path: &Path) -> Option<Starting> {
        let start = Start::Process(pid, path.to_owned());
        if self.wants(path) { self.lookers.launch(start, None).ok()?.ok() } else { None }
    }

    /// The program that a process waits to run, from the open file that the kernel or the process has named.
    pub(crate) fn waiting(
        &mut self,
        start: Start,
        file: BorrowedFd<'_>,
    ) -> std::result::Result<Starting, Silence> {
        self.lookers.launch(start, Some(file))?.map_err(|_| Silence::Silent)
    }

    /// The files that process `pid` would map if it ran the program that `word` names.
    pub(crate) fn of_argument(
        &mut self,
        pid: u32,
        word: &OsStr,
        variables: &[OsString],
    ) -> Vec<(PathBuf, FileId)> {
        let mut files = Vec::new();
        let start = Start::Argument(pid, word.to_owned(), variables.to_vec());
        let mut launch = self.lookers.launch(start, None).ok().and_then(std::result::Result::ok);
        // Its own, and those beside them.
        for _ in 0..2 {
            let Some(starting) = launch.take() else { break };
            let walk = self.lookers.walk(starting, &mut |path, facts, _| {
                files.push((path.to_owned(), facts.id()));
                true
            });
            if let Walk::End(next, _) = walk {
                launch = next;
            }
        }
        launch.into_iter().for_each(|launch| self.lookers.leave(launch));
        files
    }

    /// Looks at the files that a program will map, and at those beside them.
    pub(crate) fn files(&mut self, launch: Starting) -> Scan {
        let (mut scan, mut next) = self.own_files(launch, &mut |_, _| {});
        while let Some(launch) = next {
            let (found, more) = self.files_beside(launch, &mut |_, _| {});
            scan.extend(found);
            next = more;
        }
        scan
    }

    /// Looks at the files that a program will map; hands each to `note` before it is looked at. Gives how to look at those beside them.
    pub(crate) fn own_files(
        &mut self,
        launch: Starting,
        note: &mut dyn FnMut(&Path, &Facts),
    ) -> (Scan, Option<Starting>) {
        let program = launch.path.clone();
        let mut pass = Pass::new(self);
        let mut lookers = pass.take_lookers(launch.pid);
        let walk = lookers.walk(launch, &mut |path, facts, reader| {
            note(path, &facts);
            pass.launched(path, &facts, reader);
            true
        });
        if matches!(walk, Walk::End(_, false)) {
            let reason =
                "there are too many places to look for its libraries: what those fire first may be missing";
            pass.skip_file(&program, reason.to_owned());
        }
        let next = match walk {
            Walk::End(launch, _) => launch,
            Walk::Paused(_) | Walk::Silent => None,
        };
        let mut scan = pass.finish();
        scan.skipped.extend(lookers.take_skipped());
        self.lookers = lookers;
        (scan, next)
    }

    /// Looks at some of the files beside those that a program maps, likewise. Gives how to look at the rest of them.
    pub(crate) fn files_beside(
        &mut self,
        launch: Starting,
        note: &mut dyn FnMut(&Path, &Facts),
    ) -> (Scan, Option<Starting>) {
        let until = Instant::now() + SLICE;
        let mut pass = Pass::new(self);
        let mut lookers = pass.take_lookers(launch.pid);
        let walk = lookers.walk(launch, &mut |path, facts, reader| {
            note(path, &facts);
            pass.launched(path, &facts, reader);
            pass.scan.found.len() < MAX_SLICE && Instant::now() < until
        });
        let next = if let Walk::Paused(launch) = walk { Some(launch) } else { None };
        let mut scan = pass.finish();
        scan.skipped.extend(lookers.take_skipped());
        self.lookers = lookers;
        (scan, next)
    }

    /// Looks at no more of the files beside those of a program.
    pub(crate) fn leave(&mut self, launch: Starting) {
        self.lookers.leave(launch);
    }
}
