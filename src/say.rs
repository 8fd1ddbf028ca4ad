//! What the tool says to its user, on standard error. Whatever was named in it, it drives no terminal.

/// Writes a line to standard error, behind `tracer: `. If standard error is closed, the work goes on.
macro_rules! say {
    ($($text:tt)*) => {
        $crate::say::line(&tracer_format::log::escape_line(&format!("tracer: {}", format_args!($($text)*))))
    };
}

/// Writes a line, or several, to standard error.
pub(crate) fn line(text: &str) {
    use std::io::Write;
    let mut lines: Vec<_> = text.split('\n').map(tracer_format::log::escape_line).collect();
    lines.push("".into());
    // In one piece: two processes may write to one terminal.
    let _ = std::io::stderr().write_all(lines.join("\n").as_bytes());
}
