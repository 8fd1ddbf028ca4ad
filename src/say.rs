//! What the tool says to its user, on standard error.

/// Writes a line to standard error, behind `tracer: `. If standard error is closed, the work goes on.
macro_rules! say {
    ($($text:tt)*) => {
        $crate::say::line(&format!("tracer: {}", format_args!($($text)*)))
    };
}

/// Writes a line, or several, to standard error.
pub(crate) fn line(text: &str) {
    use std::io::Write;
    // In one piece: two processes may write to one terminal.
    let _ = std::io::stderr().write_all(format!("{text}\n").as_bytes());
}
