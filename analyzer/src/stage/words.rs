//! Words in the names of probes that tell which probe begins a stage and which may end it: `query__start` and
//! `query__done`, `beg_work` and `end_work`, `transaction__start` and `transaction__commit` or `transaction__abort`.
//!
//! Lives of objects (`new` and `free`, `create` and `destroy`) are no work and not learned.

use std::collections::BTreeSet;

/// Words that begin, each with those that may end what it begins.
const WORDS: [(&str, &[&str]); 17] = [
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
];
/// What may stand between a word and the rest of a name; longer ones first.
const SEPARATORS: [&str; 4] = ["__", "_", "-", "."];

/// A probe's name taken apart at a word that begins.
struct Parts<'a> {
    middle: &'a str,
    separator: &'static str,
    word: &'static str,
    ends: &'static [&'static str],
    word_first: bool,
}

/// The stage that probe `name` begins, and the probes among `probes` that may end it; `None` if it begins none.
pub(crate) fn ends_of<'p>(name: &str, probes: &BTreeSet<&'p str>) -> Option<(String, Vec<&'p str>)> {
    [false, true].into_iter().find_map(|word_first| {
        let parts = apart(name, word_first)?;
        let ends = present(&parts, probes);
        (!ends.is_empty()).then(|| (parts.middle.to_owned(), ends))
    })
}

/// Whether a word tells begins from ends.
pub(crate) fn is_word_of_names(word: &str) -> bool {
    WORDS.iter().any(|(begin, ends)| *begin == word || ends.contains(&word))
}

fn apart(name: &str, word_first: bool) -> Option<Parts<'_>> {
    WORDS.into_iter().find_map(|(word, ends)| {
        let rest = if word_first { name.strip_prefix(word) } else { name.strip_suffix(word) }?;
        let (middle, separator) = SEPARATORS.into_iter().find_map(|separator| {
            let middle = if word_first { rest.strip_prefix(separator) } else { rest.strip_suffix(separator) };
            Some((middle.filter(|middle| !middle.is_empty())?, separator))
        })?;
        Some(Parts { middle, separator, word, ends, word_first })
    })
}

/// The ends that are there. One that follows another of them is left out: after `enter`, `exit` ends what `entered`
/// began.
fn present<'p>(parts: &Parts<'_>, probes: &BTreeSet<&'p str>) -> Vec<&'p str> {
    let mut words: Vec<&str> = Vec::new();
    let mut found = Vec::new();
    // Names mix separators: `query_start` ends with `query__done`, `lock` with `unlock`.
    let other = if parts.separator == "_" { "__" } else { "_" };
    for &word in parts.ends {
        for separator in [parts.separator, other] {
            let name = if parts.word_first {
                format!("{word}{separator}{}", parts.middle)
            } else {
                format!("{}{separator}{word}", parts.middle)
            };
            if let Some(&name) = probes.get(&name[..])
                && !words.contains(&word)
            {
                words.push(word);
                found.push(name);
            }
        }
    }
    let follows = |word: &str| {
        let begins = |other: &str| WORDS.iter().any(|(begin, ends)| *begin == other && ends.contains(&word));
        words.iter().any(|other| *other != parts.word && begins(other))
    };
    let kept = words.iter().zip(&found).filter(|(word, _)| !follows(word));
    kept.map(|(_, name)| *name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(name: &str, probes: &[&'static str]) -> Option<(String, Vec<&'static str>)> {
        ends_of(name, &probes.iter().copied().collect())
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
    fn lives_of_objects_and_bare_words_are_none() {
        for (from, to) in
            [("obj__create", "obj__destroy"), ("new", "free"), ("_start", "_done"), ("start", "done")]
        {
            assert_eq!(ends(from, &[from, to]), None, "{from}");
        }
    }
}
