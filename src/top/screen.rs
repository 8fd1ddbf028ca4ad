//! The terminal while stages are drawn on it, and as it was before.

use std::fs::File;
use std::io::{self, Write};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ratatui_core::layout::Position;
use ratatui_core::terminal::Terminal as Canvas;
use ratatui_core::text::Line;
use ratatui_crossterm::CrosstermBackend;
use ratatui_crossterm::crossterm::cursor::{Hide, Show};
use ratatui_crossterm::crossterm::execute;
use ratatui_crossterm::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Signal, kill_current_process_group};
use signal_hook::consts::SIGTSTP;

/// Whether the terminal is drawn on.
static IS_TAKEN: AtomicBool = AtomicBool::new(false);

/// A terminal that is drawn on; it is as before when this is dropped, or the program panics.
pub(super) struct TakenTerminal {
    file: File,
    canvas: Canvas<CrosstermBackend<File>>,
}

impl TakenTerminal {
    /// Takes the terminal that `file` is.
    pub(super) fn take(file: File) -> io::Result<Self> {
        restore_before_panics();
        let canvas = Canvas::new(CrosstermBackend::new(file.try_clone()?))?;
        let mut screen = Self { file, canvas };
        screen.enter()?;
        Ok(screen)
    }

    fn enter(&mut self) -> io::Result<()> {
        enable_raw_mode()?;
        IS_TAKEN.store(true, Ordering::SeqCst);
        execute!(self.file, EnterAlternateScreen, Hide)?;
        self.clear()
    }

    /// Draws what `lines` gives for a width and a height; only what has changed is written.
    pub(super) fn draw(&mut self, lines: impl FnOnce(u16, u16) -> Vec<Line<'static>>) -> io::Result<()> {
        let drawn = self.canvas.draw(|frame| {
            let area = frame.area();
            for (line, row) in lines(area.width, area.height).into_iter().zip(area.rows()) {
                frame.render_widget(line, row);
            }
        });
        drawn.map(drop)
    }

    /// Waits until there is something to read, so long at most. Not left to the library: it does not see that a terminal is
    /// gone, and tries to read for ever.
    ///
    /// # Errors
    /// If the terminal is gone.
    pub(super) fn has_input(&self, wait: Duration) -> io::Result<bool> {
        let mut polled = [PollFd::new(&self.file, PollFlags::IN)];
        let wait = Timespec::try_from(wait).map_err(io::Error::other)?;
        match poll(&mut polled, Some(&wait)) {
            // A signal, which a window of another size sends as well.
            Err(Errno::INTR) => return Ok(true),
            polled => polled?,
        };
        let found = polled[0].revents();
        if found.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
            return Err(io::Error::other("the terminal is gone"));
        }
        Ok(found.contains(PollFlags::IN))
    }

    /// Has all be drawn again.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        // Its own clearing asks the terminal where the cursor is, and waits for the answer.
        let size = self.canvas.size()?;
        self.canvas.resize((Position::ORIGIN, size).into())
    }

    /// Stops this process, and `all` that was started with it as Ctrl-Z does, with the terminal as it was; goes on when it is
    /// continued.
    pub(super) fn suspend(&mut self, all: bool) -> io::Result<()> {
        leave(&mut self.file);
        if all {
            // This process only takes notice of it.
            kill_current_process_group(Signal::TSTP)?;
        }
        signal_hook::low_level::emulate_default_handler(SIGTSTP)?;
        self.enter()
    }

    /// Ends this process as `signal` does, with the terminal as it was.
    pub(super) fn die(&mut self, signal: i32) -> io::Result<()> {
        leave(&mut self.file);
        signal_hook::low_level::emulate_default_handler(signal)
    }
}

impl Drop for TakenTerminal {
    fn drop(&mut self) {
        leave(&mut self.file);
    }
}

/// Gives the terminal back, once.
fn leave(terminal: &mut impl Write) {
    if IS_TAKEN.swap(false, Ordering::SeqCst) {
        // It may be gone.
        let _ = execute!(terminal, LeaveAlternateScreen, Show);
        let _ = disable_raw_mode();
    }
}

/// Has every panic, on whatever thread, give the terminal back before it says what happened.
fn restore_before_panics() {
    static DONE: Once = Once::new();
    DONE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if let Ok(mut terminal) = File::options().write(true).open("/dev/tty") {
                leave(&mut terminal);
            }
            before(panic);
        }));
    });
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::process::Command;

    use super::*;

    /// Set where the test runs itself on a terminal of its own.
    const ON_TERMINAL: &str = "TRACER_TEST_ON_TERMINAL";

    #[test]
    fn a_panic_gives_the_terminal_back() {
        if std::env::var_os(ON_TERMINAL).is_some() {
            let terminal = File::options().read(true).write(true).open("/dev/tty").expect("a terminal");
            let screen = TakenTerminal::take(terminal).expect("it is taken");
            std::thread::spawn(|| panic!("this is the panic")).join().expect_err("it panics");
            // What is dropped gives the terminal back as well; this is about what a panic does.
            std::mem::forget(screen);
            return;
        }
        let own = std::env::current_exe().expect("this test has a file");
        let test = "top::screen::tests::a_panic_gives_the_terminal_back";
        let typed = format!("'{}' --exact {test} --nocapture 2>&1; stty -a", own.display());
        let mut script = Command::new("script");
        script.args(["--quiet", "--return", "--command", &typed, "/dev/null"]);
        let output = script.env(ON_TERMINAL, "1").output().expect("script runs");
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        let at = |text: &str| shown.find(text).unwrap_or_else(|| panic!("no {text:?} in {shown:?}"));
        assert!(at("\u{1b}[?1049h") < at("\u{1b}[?1049l"), "{shown:?}");
        assert!(
            at("\u{1b}[?25h") < at("this is the panic"),
            "it is free before the panic is told: {shown:?}"
        );
        let settings: Vec<&str> = shown.split_whitespace().collect();
        for setting in ["icanon", "echo", "opost"] {
            assert!(settings.contains(&setting), "{setting}: {shown:?}");
        }
    }
}
