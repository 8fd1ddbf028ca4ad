//! Words in the names of probes that tell which probe begins a stage and which may end it: `query__start` and
//! `query__done`, `beg_work` and `end_work`, `transaction__start` and `transaction__commit` or `transaction__abort`.
//!
//! Lives of objects (`new` and `free`, `create` and `destroy`) are no work and not learned.

/// Words that begin, each with those that may end what it begins. Those stand first that tell least else: where two words of a name
/// may be the one that begins, the other is what it does.
pub(super) const WORDS: [(&str, &[&str]); 18] = [
    ("beg", &["end", "done", "finish", "commit", "abort", "rollback"]),
    ("begin", &["end", "done", "finish", "commit", "abort", "rollback"]),
    ("entry", &["return", "exit", "acquired"]),
    ("enter", &["exit", "leave", "return", "entered"]),
    ("entered", &["exit"]),
    (
        "start",
        &[
            "done",
            "end",
            "stop",
            "finish",
            "finished",
            "complete",
            "completed",
            "commit",
            "abort",
            "success",
            "fail",
            "failed",
            "error",
        ],
    ),
    ("startup", &["shutdown"]),
    ("request", &["response", "reply", "done", "complete", "begin"]),
    ("submit", &["complete", "done", "cancel"]),
    ("scheduled", &["unscheduled"]),
    ("enqueue", &["dequeue"]),
    ("wait", &["waited"]),
    ("acquired", &["release"]),
    ("acquire", &["release"]),
    ("lock", &["unlock"]),
    ("accept", &["close", "destroy"]),
    ("open", &["close", "destroy"]),
    ("throw", &["catch"]),
];
/// Ends that are hardly ever what a program does, and those that mostly are.
const ONLY_ENDS: [&str; 9] =
    ["end", "done", "finish", "finished", "complete", "completed", "return", "exit", "leave"];
const ACTIONS: [&str; 3] = ["commit", "abort", "rollback"];
/// What may stand between the words of a name.
pub(super) const SEPARATORS: [char; 3] = ['_', '-', '.'];

/// How surely a word tells that something ends, and nothing else.
pub(super) fn surety(end: &str) -> i8 {
    i8::from(ONLY_ENDS.contains(&end)) - i8::from(ACTIONS.contains(&end))
}

/// Whether a word tells begins from ends, in whichever case.
pub(crate) fn is_word_of_names(word: &str) -> bool {
    WORDS.iter().any(|(begin, ends)| {
        begin.eq_ignore_ascii_case(word) || ends.iter().any(|end| end.eq_ignore_ascii_case(word))
    })
}

/// The pieces of a name: each word with what separates it from the next one. A word ends before a separator, and before a capital
/// that begins another word (`queryStart`, `GCStart`).
pub(crate) fn pieces(name: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = name;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = word_end(rest);
        let (word, behind) = rest.split_at(end);
        let next = behind.trim_start_matches(SEPARATORS);
        let separator = &behind[..behind.len() - next.len()];
        rest = next;
        Some((word, separator))
    })
}

/// Where the first word of `text` ends, in bytes.
fn word_end(text: &str) -> usize {
    let bytes = text.as_bytes();
    let is_capital = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_uppercase);
    let is_small = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_lowercase);
    let ends = |at: usize| {
        SEPARATORS.contains(&char::from(bytes[at]))
            || (at > 0 && is_capital(at) && (!is_capital(at - 1) || is_small(at + 1)))
    };
    (0..bytes.len()).find(|&at| ends(at)).unwrap_or(bytes.len())
}
