//! The terminal while stages are drawn on it, and as it was before.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Once, OnceLock};
use std::time::Duration;

use ratatui_core::buffer::Buffer;
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
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use signal_hook::consts::{SIGABRT, SIGQUIT, SIGTSTP};
use signal_hook::low_level::emulate_default_handler;
use tracer_analyzer::report::in_order;

/// Whether the terminal is drawn on.
static IS_TAKEN: AtomicBool = AtomicBool::new(false);

/// The first terminal that was taken, and its settings from before.
static BEFORE: OnceLock<(File, Termios)> = OnceLock::new();

/// Signals that end the process at once, without its being done.
const DEADLY: [i32; 2] = [SIGQUIT, SIGABRT];

/// Gives the terminal what it showed before, and its cursor.
const LEAVE: &[u8] = b"\x1b[?1049l\x1b[?25h";

/// Has figures stay behind a name that is written from right to left, on a terminal that puts them before it otherwise. Its mark has no
/// column of its own: it goes with the name's last letter.
fn keep_in_order(buffer: &mut Buffer) {
    let width = usize::from(buffer.area.width);
    for at in 0..buffer.content.len() {
        let next = (at + 1) % width.max(1) != 0;
        let next = buffer.content.get(at + 1).filter(|_| next).map_or("", |cell| cell.symbol());
        let is_last = in_order(next) == next;
        let symbol = buffer.content[at].symbol();
        if is_last
            && let Cow::Owned(marked) = in_order(symbol)
            && marked != symbol
        {
            buffer.content[at].set_symbol(&marked);
        }
    }
}

/// A terminal that is drawn on; it is as before when this is dropped, the program panics, or a deadly signal ends it.
pub(super) struct TakenTerminal {
    file: File,
    canvas: Canvas<CrosstermBackend<File>>,
}

impl TakenTerminal {
    /// Takes the terminal that `file` is.
    pub(super) fn take(file: File) -> io::Result<Self> {
        restore_before_panics();
        restore_before_death(&file)?;
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
            keep_in_order(frame.buffer_mut());
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
        emulate_default_handler(SIGTSTP)?;
        self.enter()
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

/// Has deadly signals give the terminal back before they end the process; one of them comes when it gives up by itself, as without
/// memory.
fn restore_before_death(terminal: &File) -> io::Result<()> {
    let before = (terminal.try_clone()?, tcgetattr(terminal)?);
    if BEFORE.set(before).is_err() {
        return Ok(());
    }
    for signal in DEADLY {
        let end = move || {
            if let Some((terminal, settings)) = BEFORE.get()
                && IS_TAKEN.swap(false, Ordering::SeqCst)
            {
                // It may be gone.
                let _ = rustix::io::write(terminal, LEAVE);
                let _ = tcsetattr(terminal, OptionalActions::Now, settings);
            }
            let _ = emulate_default_handler(signal);
        };
        // SAFETY: the action makes system calls that are safe in a signal handler, takes no lock and allocates nothing.
        unsafe { signal_hook::low_level::register(signal, end) }?;
    }
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::process::Command;

    use super::*;

    /// Set where the test runs itself on a terminal of its own.
    const ON_TERMINAL: &str = "TRACER_TEST_ON_TERMINAL";

    /// What a terminal showed while the test `name` ran on it, up to its settings after that.
    fn shown_on_terminal(name: &str) -> String {
        let own = std::env::current_exe().expect("this test has a file");
        let typed =
            format!("'{}' --exact top::screen::tests::{name} --nocapture 2>&1; stty -a", own.display());
        let mut script = Command::new("script");
        script.args(["--quiet", "--return", "--command", &typed, "/dev/null"]);
        let output = script.env(ON_TERMINAL, "1").output().expect("script runs");
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        let at = |text: &str| shown.find(text).unwrap_or_else(|| panic!("no {text:?} in {shown:?}"));
        assert!(at("\u{1b}[?1049h") < at("\u{1b}[?1049l"), "{shown:?}");
        let settings: Vec<&str> = shown.split_whitespace().collect();
        for setting in ["icanon", "echo", "opost"] {
            assert!(settings.contains(&setting), "{setting}: {shown:?}");
        }
        shown
    }

    fn taken() -> Option<TakenTerminal> {
        std::env::var_os(ON_TERMINAL)?;
        let terminal = File::options().read(true).write(true).open("/dev/tty").expect("a terminal");
        Some(TakenTerminal::take(terminal).expect("it is taken"))
    }

    #[test]
    fn figures_stay_behind_a_name_from_right_to_left() {
        let mut buffer = Buffer::with_lines(["כתיבה 40", "awe 7  ב"]);
        keep_in_order(&mut buffer);
        let marked: Vec<usize> =
            (0..16).filter(|&at| buffer.content[at].symbol().ends_with('\u{200e}')).collect();
        assert_eq!(marked, [4, 15]);
    }

    #[test]
    fn a_panic_gives_the_terminal_back() {
        if let Some(screen) = taken() {
            std::thread::spawn(|| panic!("this is the panic")).join().expect_err("it panics");
            // What is dropped gives the terminal back as well; this is about what a panic does.
            std::mem::forget(screen);
            return;
        }
        let shown = shown_on_terminal("a_panic_gives_the_terminal_back");
        assert!(
            shown.find("\u{1b}[?25h") < shown.find("this is the panic"),
            "it is free before the panic is told: {shown:?}"
        );
    }

    #[test]
    fn giving_up_gives_the_terminal_back() {
        if let Some(_screen) = taken() {
            std::process::abort();
        }
        let shown = shown_on_terminal("giving_up_gives_the_terminal_back");
        assert!(shown.contains("\u{1b}[?25h"), "{shown:?}");
    }
}
