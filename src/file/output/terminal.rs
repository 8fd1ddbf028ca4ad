//! A terminal as a place for files: what would drive it is escaped.

use std::io::{self, Write};

use tracer_format::log::escape_line;

/// Bytes of a line that are kept until its end comes.
const MAX_LINE_BYTES: usize = 64 << 10;

/// Writes text line by line.
pub(crate) struct Terminal {
    out: Box<dyn Write + Send>,
    /// The line that has no end yet.
    line: Vec<u8>,
}

impl Terminal {
    pub(super) fn new(out: impl Write + Send + 'static) -> Self {
        Self { out: Box::new(out), line: Vec::new() }
    }

    fn write_line(&mut self, end: &str) -> io::Result<()> {
        let line = String::from_utf8_lossy(&self.line);
        self.out.write_all(escape_line(line.strip_suffix('\r').unwrap_or(&line)).as_bytes())?;
        self.out.write_all(end.as_bytes())?;
        self.line.clear();
        Ok(())
    }
}

impl std::fmt::Debug for Terminal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Terminal").finish_non_exhaustive()
    }
}

impl Write for Terminal {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(part.strip_suffix(b"\n").unwrap_or(part));
            if part.ends_with(b"\n") {
                self.write_line("\n")?;
            } else if self.line.len() > MAX_LINE_BYTES {
                self.write_line("")?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.write_line("")?;
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_stay_and_controls_are_shown() {
        let shown = Arc::new(Mutex::new(Vec::new()));
        let mut terminal = Terminal::new(Shared(shown.clone()));
        for part in ["a,\x1b[2", "J\r\nb\\,", "Gr\u{fc}\u{9b}31m\n", "\u{ff} rest"] {
            terminal.write_all(part.as_bytes()).unwrap();
        }
        terminal.flush().unwrap();
        let shown = String::from_utf8(shown.lock().unwrap().clone()).unwrap();
        assert_eq!(shown, "a,\\x1b[2J\nb\\,Gr\u{fc}\\u{9b}31m\n\u{ff} rest");
    }
}
