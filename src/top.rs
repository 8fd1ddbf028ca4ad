//! Stages live, on the screen of a terminal or as plain tables.
//!
//! One thread takes the bytes of a trace as they come, from the recorder in this process or from a file, and pairs their events
//! (`Shared`); another looks at what is there once an interval, and draws. So a terminal that is slow, or stands still, holds up
//! nothing but the drawing.

#[cfg(target_os = "linux")]
mod aside;
mod draw;
mod fold;
#[cfg(target_os = "linux")]
pub(crate) mod live;
mod plain;
pub(crate) mod played;
mod screen;
mod shared;
mod show;
mod snapshot;
mod table;
mod view;

use std::io::{self, IsTerminal};

use tracer_analyzer::Filter;
use tracer_analyzer::screen::live::Given;
use tracer_analyzer::stage::Draft;

use crate::cli::{LookArgs, Mistake};
use crate::terminal::is_dumb;

/// What is to be looked at.
pub(crate) fn given(look: &LookArgs, filter: Filter, stages: Vec<Draft>) -> Given {
    let held_ns = u64::try_from(look.snapshot.0.as_nanos()).unwrap_or(u64::MAX);
    Given { filter, stages, seconds: look.window.0.as_secs().max(1), held_ns }
}

/// Refuses to draw where there is no terminal.
fn check(look: &LookArgs) -> Result<(), Mistake> {
    let wrong = match io::stdout().is_terminal() {
        _ if look.batch => return Ok(()),
        false => "standard output is no terminal, on which stages could be drawn; --batch prints tables",
        true if is_dumb() => {
            "the terminal (TERM) can only print lines, so stages cannot be drawn on it; --batch prints tables"
        }
        true => return Ok(()),
    };
    Err(Mistake(wrong.to_owned()))
}
