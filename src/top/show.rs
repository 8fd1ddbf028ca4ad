//! The loop that draws what is there, and follows keys and signals.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use ratatui_crossterm::crossterm::event::{self, Event};
use signal_hook::consts::SIGTSTP;

use super::draw::{self, Frame};
use super::screen::TakenTerminal;
use super::shared::Shared;
use super::snapshot;
use super::view::{View, Wish};
use crate::cli::LookArgs;
use crate::terminal::{has_colours, letters};

/// The longest wait until it is seen that all is to end.
const SOON: Duration = Duration::from_millis(100);

/// How what is looked at is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// By itself.
    Quietly,
    /// With all that was started with it, as Ctrl-C does.
    WithAll,
}

/// Draws on `terminal` until all has ended and the user has seen it; `end` ends what is looked at.
pub(super) fn show(
    shared: &Shared,
    subject: String,
    look: &LookArgs,
    terminal: File,
    end: &dyn Fn(Ending),
) -> io::Result<()> {
    // Whatever ends this, a panic too, ends the rest.
    let _at_end = AtEnd(shared, end);
    let stop = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGTSTP, Arc::clone(&stop))?;
    let mut written = Vec::new();
    let shown = draw_on(TakenTerminal::take(terminal)?, (shared, subject, look), (end, &stop), &mut written);
    // The terminal is free again.
    written.iter().for_each(|text| say!("{text}"));
    shown
}

/// Draws until all has ended; `written` gets what is said of snapshots.
fn draw_on(
    mut screen: TakenTerminal,
    (shared, subject, look): (&Shared, String, &LookArgs),
    (end, stop): (&dyn Fn(Ending), &AtomicBool),
    written: &mut Vec<String>,
) -> io::Result<()> {
    let (mut view, next) = (View::new(), Arc::new(AtomicU32::new(1)));
    let (mut board, messages) = shared.board();
    let mut frame = Frame { subject, messages, letters: letters(), colours: has_colours() };
    let mut due = Instant::now();
    loop {
        if Instant::now() >= due {
            due = Instant::now() + look.interval.0;
            if !view.is_paused {
                (board, frame.messages) = shared.board();
            }
        }
        screen.draw(|width, height| draw::screen(&board, &mut view, &frame, (width, height)))?;
        let until = due.max(Instant::now() + SOON.min(look.interval.0));
        while Instant::now() < until {
            if shared.is_to_quit() && shared.is_over() {
                return Ok(());
            }
            if shared.is_over() && !board.has_ended {
                // The last figures are shown at once.
                due = Instant::now();
                break;
            }
            if stop.swap(false, Ordering::Relaxed) {
                screen.suspend(false)?;
                break;
            }
            // What was read with the key before waits in the library.
            if !screen.has_input(Duration::ZERO)? && !event::poll(Duration::ZERO)? {
                screen.has_input(until.saturating_duration_since(Instant::now()).min(SOON))?;
                continue;
            }
            if !event::poll(Duration::ZERO)? {
                continue;
            }
            let Event::Key(key) = event::read()? else { break };
            match view.key(key) {
                Wish::Nothing => {}
                Wish::Quit => quit(shared, end, Ending::Quietly),
                Wish::Interrupt => quit(shared, end, Ending::WithAll),
                Wish::Redraw => screen.clear()?,
                Wish::Suspend => {
                    screen.suspend(true)?;
                    stop.store(false, Ordering::Relaxed);
                }
                Wish::Snapshot => {
                    let text = snapshot::write(&shared.snapshot(), &next);
                    written.push(text.clone());
                    shared.say(text);
                    frame.messages = shared.board().1;
                }
            }
            break;
        }
    }
}

fn quit(shared: &Shared, end: &dyn Fn(Ending), how: Ending) {
    let is_new = !shared.quit.swap(true, Ordering::Relaxed);
    if is_new && !shared.is_over() {
        end(how);
    }
}

struct AtEnd<'a>(&'a Shared, &'a dyn Fn(Ending));

impl Drop for AtEnd<'_> {
    fn drop(&mut self) {
        quit(self.0, self.1, Ending::Quietly);
    }
}
