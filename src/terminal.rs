//! What the terminal can show: how wide it is, which letters and colours it has.

use std::io;

use tracer_analyzer::screen::plot::Letters;

/// Letters of a line: of the variable COLUMNS, else of the terminal.
pub(crate) fn room() -> Option<usize> {
    let given = || std::env::var("COLUMNS").ok()?.parse::<usize>().ok();
    let terminal = || terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| usize::from(width.0));
    given().or_else(terminal)
}

/// What plots are made of, as the locale has it.
pub(crate) fn letters() -> Letters {
    let set = |name: &&str| std::env::var(name).ok().filter(|locale| !locale.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(set).unwrap_or_default().to_lowercase();
    let is_unicode = locale.contains("utf-8") || locale.contains("utf8");
    if is_unicode { Letters::Unicode } else { Letters::Ascii }
}

/// Whether colours are wanted, and the terminal is one that may have them.
pub(crate) fn has_colours() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty()) && !is_dumb()
}

/// Whether the terminal can do no more than print letters, line by line.
pub(crate) fn is_dumb() -> bool {
    std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb")
}
