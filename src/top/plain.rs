//! Plain tables, one after the other, for what is no terminal.

use std::io::{self, Write};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use super::draw::{self, Frame};
use super::shared::Shared;
use super::view::View;
use crate::cli::LookArgs;
use crate::terminal::{letters, room};

/// The longest wait until it is seen that all has ended.
const SOON: Duration = Duration::from_millis(20);
/// Columns of a table where nothing says how many there are.
const WIDTH: usize = 80;

/// Prints a table once an interval, and the last one when all has ended; `end` ends what is looked at.
pub(super) fn print(shared: &Shared, subject: String, look: &LookArgs, end: &dyn Fn()) -> io::Result<()> {
    let view = View::new();
    let mut tables = 0;
    loop {
        let due = Instant::now() + look.interval.0;
        while Instant::now() < due && !shared.is_over() {
            thread::sleep(SOON.min(look.interval.0));
        }
        let is_over = shared.is_over();
        let (board, messages) = shared.board();
        let frame = Frame { subject: subject.clone(), messages, letters: letters(), colours: false };
        let text = draw::plain(&board, &view, &frame, room().unwrap_or(WIDTH));
        let mut out = io::stdout().lock();
        let printed = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        tables += 1;
        if is_over || printed.is_err() || look.iterations == Some(tables) {
            shared.quit.store(true, Ordering::Relaxed);
            if !is_over {
                end();
            }
            return printed;
        }
    }
}
