//! A trace that is looked at as if it were just being recorded, or that is.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use anyhow::{Context, anyhow};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use tracer_analyzer::screen::live::Given;

use super::shared::{Coming, Shared};
use super::{check, plain, show};
use crate::cli::LookArgs;
use crate::done::Done;
use crate::file::growing::{Growing, wait_for};
use crate::file::input::{self, is_pipe, name};
use crate::file::trace;

/// How it is played.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Play {
    /// Seconds of it that pass in one.
    pub(crate) speed: Option<f64>,
    /// It is being written.
    pub(crate) follow: bool,
}

/// Shows the trace at `path`.
pub(crate) fn play(path: &Path, play: Play, given: Given, look: &LookArgs) -> anyhow::Result<Done> {
    check(look)?;
    let shared = Shared::new(given, play.speed);
    if !look.batch {
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&shared.quit))?;
        }
    }
    let Some(source) = source(path, play, &shared)? else { return Ok(Done::All) };
    let coming = match play {
        Play { follow: true, .. } => Coming::Followed,
        Play { speed: None, .. } if is_pipe(path) => Coming::Piped,
        _ => Coming::Played,
    };
    thread::scope(|scope| -> anyhow::Result<()> {
        let showing = scope.spawn(|| match look.batch {
            true => plain::print(&shared, name(path), look, &|| {}),
            false => {
                let terminal = io::stdout().as_fd().try_clone_to_owned()?;
                show::show(&shared, name(path), look, terminal.into(), &|_| {})
            }
        });
        let taken = shared.take_all(source, coming);
        let shown = showing.join().map_err(|_| anyhow!("the screen failed"))?;
        taken.with_context(|| name(path))?;
        Ok(shown?)
    })?;
    Ok(shared.with(|watching, stream| {
        if stream.disordered() > 0 {
            say!("{}: {} events stand behind later ones: blocks overlap", name(path), stream.disordered());
        }
        let refused = trace::refused(path, &watching.chosen().refused);
        trace::done(path, watching.outcome()).and(refused)
    }))
}

/// What is read; nothing if the user ends the waiting for it.
fn source(path: &Path, play: Play, shared: &Shared) -> anyhow::Result<Option<Growing>> {
    if play.follow {
        return Ok(wait_for(path, &shared.quit)?.map(|file| Growing::file(file, true)));
    }
    let file = input::open(path).with_context(|| format!("cannot open {}", name(path)))?;
    let kind = file.metadata().with_context(|| name(path))?.file_type();
    anyhow::ensure!(!kind.is_dir(), "{} is a directory, expected a file", name(path));
    Ok(Some(if kind.is_file() { Growing::file(file, false) } else { Growing::pipe(file) }))
}
