//! Files that the user named.

use std::fs::File;
use std::io;
use std::path::Path;

use tracer_format::grammar::Request;

use crate::error::{Error, Result};
use crate::find::binary::Binary;
use crate::find::discover::{MAX_ROUNDS, shown};
use crate::find::launch;
use crate::find::look::lookers::{Lookers, Silence};
use crate::find::look::{Query, Reading};

/// Asks again, after a short time, what is not answered at once.
///
/// # Errors
/// If there is no answer.
pub(super) fn patiently<A>(
    lookers: &mut Lookers,
    ask: &mut dyn FnMut(&mut Lookers) -> std::result::Result<A, Silence>,
) -> io::Result<A> {
    for _ in 0..MAX_ROUNDS {
        match ask(lookers) {
            Ok(answer) => return Ok(answer),
            Err(Silence::Waiting) => lookers.settle(),
            Err(Silence::Silent) => break,
        }
    }
    Err(io::Error::new(io::ErrorKind::TimedOut, "it does not answer"))
}

/// Reads the requested sites of one file that the user named, and says what was left out, if anything. A name that is no file
/// is looked for in `PATH`.
///
/// # Errors
/// If the file cannot be opened, is no ELF file, or is damaged. No matching probe is no error: the list is empty.
pub fn file(path: &Path, requests: &[Request]) -> Result<(Option<Binary>, Option<String>)> {
    let is_there = rustix::fs::access(path, rustix::fs::Access::EXISTS).is_ok();
    let program = if is_there { None } else { launch::find_program(path.as_os_str()) };
    let path = program.as_deref().unwrap_or(path);
    let mut lookers = Lookers::new(requests.to_vec());
    let asked = patiently(&mut lookers, &mut |lookers| {
        lookers.ask::<io::Result<Reading>>(0, &Query::Read(path.to_owned()), None)
    });
    let refused = |source| Error::File { path: path.to_owned(), source };
    let (reading, place) = asked.map_err(refused)?;
    let Reading { facts, contents, .. } = reading.map_err(refused)?;
    let contents =
        contents.map_err(|unread| Error::Binary { path: path.to_owned(), damage: unread.reason })?;
    let contents = contents.ok_or_else(|| Error::NotElf(path.to_owned()))?;
    let problem = contents.problem.as_ref().map(|problem| format!("{}: {problem}", shown(path)));
    let place = place.ok_or_else(|| refused(io::ErrorKind::InvalidData.into()))?;
    Ok((Binary::of(File::from(place), &facts, path, contents), problem))
}
