//! Words in the names of probes that tell which probe begins a stage and which may end it: `query__start` and
//! `query__done`, `beg_work` and `end_work`, `transaction__start` and `transaction__commit` or `transaction__abort`.
//!
//! Lives of objects (`new` and `free`, `create` and `destroy`) are no work and not learned.

use std::collections::BTreeMap;

/// Words that begin, each with those that may end what it begins.
const WORDS: [(&str, &[&str]); 18] = [
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
    ("begin", &["end", "done", "finish", "commit", "abort", "rollback"]),
    ("beg", &["end", "done", "finish", "commit", "abort", "rollback"]),
    ("entry", &["return", "exit", "acquired"]),
    ("enter", &["exit", "leave", "return", "entered"]),
    ("entered", &["exit"]),
    ("startup", &["shutdown"]),
    ("request", &["response", "reply", "done", "complete", "begin"]),
    ("submit", &["complete", "done", "cancel"]),
    ("acquired", &["release"]),
    ("acquire", &["release"]),
    ("lock", &["unlock"]),
    ("wait", &["waited"]),
    ("scheduled", &["unscheduled"]),
    ("accept", &["close", "destroy"]),
    ("open", &["close", "destroy"]),
    ("enqueue", &["dequeue"]),
    ("throw", &["catch"]),
];
/// What may stand between the words of a name.
const SEPARATORS: [char; 3] = ['_', '-', '.'];

/// The names of a provider's probes, by their words.
pub(crate) struct Vocabulary<'p>(BTreeMap<Vec<String>, Vec<&'p str>>);

impl<'p> Vocabulary<'p> {
    pub(crate) fn new(probes: impl IntoIterator<Item = &'p str>) -> Self {
        let mut names: BTreeMap<Vec<String>, Vec<&str>> = BTreeMap::new();
        for probe in probes {
            names.entry(words(probe)).or_default().push(probe);
        }
        Self(names)
    }

    /// The stage that probe `name` begins, and the probes that may end it; `None` if it begins none. The stage's name is what the
    /// names share, which is nothing where they are bare words (`start` and `done`).
    pub(crate) fn ends_of(&self, name: &str) -> Option<(String, Vec<&'p str>)> {
        let words = words(name);
        let (first, last) = (0, words.len().checked_sub(1)?);
        [last, first].into_iter().find_map(|at| {
            let (_, ends) = WORDS.iter().find(|(begin, _)| *begin == words[at])?;
            let found = self.present(name, &words, at, ends);
            (!found.is_empty()).then(|| (shared(name, at > 0 || words.len() == 1), found))
        })
    }

    /// The names that have another word at `at` than `name`, which begins. One that follows another of them is left out: after
    /// `enter`, `exit` ends what `entered` began.
    fn present(&self, name: &str, words: &[String], at: usize, ends: &[&'static str]) -> Vec<&'p str> {
        let mut found: Vec<(&str, &'p str)> = Vec::new();
        for &word in ends {
            let mut other = words.to_vec();
            word.clone_into(&mut other[at]);
            let Some(names) = self.0.get(&other) else { continue };
            // Names mix separators: `query_start` ends with `query__done`, unless there is a `query_done`.
            let alike = names.iter().find(|it| separators(it).eq(separators(name)));
            found.push((word, alike.unwrap_or(&names[0])));
        }
        let begins =
            |word: &str, end: &str| WORDS.iter().any(|(it, ends)| *it == word && ends.contains(&end));
        let follows = |end: &str| found.iter().any(|(other, _)| *other != words[at] && begins(other, end));
        found.iter().filter(|(word, _)| !follows(word)).map(|(_, name)| *name).collect()
    }
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

fn words(name: &str) -> Vec<String> {
    pieces(name).filter(|(word, _)| !word.is_empty()).map(|(word, _)| word.to_ascii_lowercase()).collect()
}

fn separators(name: &str) -> impl Iterator<Item = &str> {
    pieces(name).map(|(_, separator)| separator)
}

/// What is left of `name` without its last word, or its first one.
fn shared(name: &str, without_last: bool) -> String {
    let trimmed = name.trim_matches(SEPARATORS);
    let first = word_end(trimmed);
    let last = pieces(trimmed).last().map_or(0, |(word, _)| word.len());
    let rest = if without_last { &trimmed[..trimmed.len() - last] } else { &trimmed[first..] };
    rest.trim_matches(SEPARATORS).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(name: &str, probes: &[&'static str]) -> Option<(String, Vec<&'static str>)> {
        Vocabulary::new(probes.iter().copied()).ends_of(name)
    }

    #[test]
    fn forms_of_names_are_learned() {
        let cases = [
            ("beg_a", "end_a", "a"),
            ("begin_b", "end_b", "b"),
            ("c_start", "c_done", "c"),
            ("e_start", "e_stop", "e"),
            ("f__start", "f__done", "f"),
            ("g__entry", "g__return", "g"),
            ("gc-begin", "gc-end", "gc"),
            ("io.submit", "io.cancel", "io"),
            ("request__startup", "request__shutdown", "request"),
            ("http_request", "http_response", "http"),
            ("mutex_entry", "mutex_acquired", "mutex"),
            ("mutex_acquired", "mutex_release", "mutex"),
            ("q__enqueue", "q__dequeue", "q"),
            ("enter_call", "leave_call", "call"),
            ("queryStart", "queryDone", "query"),
            ("GCStart", "GCEnd", "GC"),
            ("beginFrame", "endFrame", "Frame"),
            ("BeginFrame", "EndFrame", "Frame"),
            ("QUERY_START", "QUERY_DONE", "QUERY"),
            ("sql_queryStart", "sql_queryDone", "sql_query"),
            ("start", "done", ""),
            ("_start", "_done", ""),
            ("throw", "catch", ""),
        ];
        for (from, to, name) in cases {
            assert_eq!(ends(from, &[from, to]), Some((name.to_owned(), vec![to])), "{from} {to}");
        }
    }

    #[test]
    fn a_stage_may_have_several_ends() {
        let probes = ["transaction__start", "transaction__commit", "transaction__abort", "query__start"];
        let expected = vec!["transaction__commit", "transaction__abort"];
        assert_eq!(ends("transaction__start", &probes), Some(("transaction".to_owned(), expected)));
        assert_eq!(ends("query__start", &probes), None);
    }

    #[test]
    fn what_follows_an_end_is_no_other_end() {
        let probes = ["m__enter", "m__entered", "m__exit"];
        assert_eq!(ends("m__enter", &probes), Some(("m".to_owned(), vec!["m__entered"])));
        assert_eq!(ends("m__entered", &probes), Some(("m".to_owned(), vec!["m__exit"])));
        let probes = ["v__request", "v__begin", "v__end", "v__done"];
        assert_eq!(ends("v__request", &probes), Some(("v".to_owned(), vec!["v__begin"])));
    }

    #[test]
    fn a_name_with_the_same_separators_comes_first() {
        let probes = ["a__done", "a_done", "a-done"];
        assert_eq!(ends("a_start", &probes), Some(("a".to_owned(), vec!["a_done"])));
        assert_eq!(ends("a.start", &probes), Some(("a".to_owned(), vec!["a__done"])));
    }

    #[test]
    fn lives_of_objects_and_parts_of_words_are_none() {
        for (from, to) in [
            ("obj__create", "obj__destroy"),
            ("new", "free"),
            ("restart", "redone"),
            ("astart", "adone"),
            ("", ""),
            ("__", "_"),
        ] {
            assert_eq!(ends(from, &[from, to]), None, "{from}");
        }
    }
}
