//! Strings: of every length up to the one that was asked for, with NUL at the end or a length beside, in the log, `info` and
//! every export.

use crate::tool::{Folder, compile_c, events, live, stderr, stdout};

/// The probe `text` has a string and its length; `view` has strings of which only some bytes are meant.
const STRINGS: &str = r#"
#include <stdint.h>
#include <string.h>
#include <sys/sdt.h>

static char text[6000];

int main(void) {
    static const int lengths[] = {0, 1, 254, 255, 256, 999, 1000, 1001, 4095, 4096, 4097, 5999};
    memset(text, 'x', sizeof text);
    for (unsigned i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        text[lengths[i]] = 0;
        DTRACE_PROBE2(strings, text, text, lengths[i]);
        text[lengths[i]] = 'x';
        DTRACE_PROBE2(strings, view, (int64_t)lengths[i], text);
    }
    DTRACE_PROBE2(strings, view, (int64_t)3, "a\0b and more");
    DTRACE_PROBE2(strings, view, (int64_t)-1, text);
    DTRACE_PROBE2(strings, view, (int64_t)0, (char *)0);
    DTRACE_PROBE2(strings, view, (int64_t)1, (char *)8);
    return 0;
}
"#;

const LENGTHS: [usize; 12] = [0, 1, 254, 255, 256, 999, 1000, 1001, 4095, 4096, 4097, 5999];

/// Text of so many bytes as it stands in a log that has at most `max_bytes` of it.
fn logged(length: usize, max_bytes: usize) -> String {
    let mark = if length > max_bytes { "\\..." } else { "" };
    format!("\"{}{mark}\"", "x".repeat(length.min(max_bytes)))
}

#[test]
#[ignore = "needs root and eBPF"]
fn a_string_is_whole_or_marked_as_cut_at_every_length() {
    let _alone = live();
    let folder = Folder::new("strings");
    let program = compile_c(&folder, "strings", STRINGS, &["-O2"]);
    let program = program.to_str().expect("UTF-8");
    for (limit, max_bytes) in [("", 255), (":1000", 1000), (":4096", 4096)] {
        let text = format!("strings:text(str{limit})");
        let view = format!("strings:view(arg1:str:arg0{limit})");
        let args = ["record", "-f", "-o", "s.trace", "-e", &text, "-e", &view, "--key", "strings:text=arg1"];
        let recorded = folder.tracer(&[&args[..], &["--", program]].concat());
        assert_eq!(recorded.status.code(), Some(0), "{}", stderr(&recorded));
        let log = stdout(&folder.tracer(&["replay", "s.trace"]), 0);
        let events = events(&log);
        let (pairs, last) = events.split_at(2 * LENGTHS.len());
        for (pair, length) in pairs.chunks(2).zip(LENGTHS) {
            let string = logged(length, max_bytes);
            assert_eq!(pair[0].4, format!("{length} | arg0: {string}"), "with NUL, {limit}");
            assert_eq!(pair[1].4, format!("{length} | arg1: {string}"), "with a length, {limit}");
        }
        let last: Vec<&str> = last.iter().map(|event| &event.4[..]).collect();
        assert_eq!(last, ["3 | arg1: \"a\\x00b\"", "-1 | arg1: ?", "0 | arg1: \"\"", "1 | arg1: ?"]);

        let info = stdout(&folder.tracer(&["info", "s.trace"]), 0);
        assert!(info.lines().any(|line| line.starts_with("cut ")), "{info}");
        for output in ["s.csv", "s.json"] {
            let exported = folder.tracer(&["export", "s.trace", "-f", "-o", output]);
            assert_eq!(exported.status.code(), Some(0), "{}", stderr(&exported));
        }
        let table = std::fs::read_to_string(folder.path("s.csv")).expect("written");
        assert!(table.contains(&"x".repeat(max_bytes)) && !table.contains(&"x".repeat(max_bytes + 1)));
    }
}

#[test]
#[ignore = "needs root and eBPF"]
fn twelve_long_strings_of_one_event_are_whole() {
    let _alone = live();
    let folder = Folder::new("twelve");
    let source = r#"
#include <string.h>
#include <sys/sdt.h>
static char t[12][4097];
int main(void) {
    for (int i = 0; i < 12; i++) memset(t[i], 'a' + i, 4096);
    DTRACE_PROBE12(twelve, all, t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7], t[8], t[9], t[10], t[11]);
    return 0;
}
"#;
    let program = compile_c(&folder, "twelve", source, &["-O2"]);
    let strings = ["str:4096"; 12].join(",");
    let request = format!("twelve:all({strings})");
    let args = ["record", "-o", "t.trace", "-e", &request, "--", program.to_str().expect("UTF-8")];
    let recorded = folder.tracer(&args);
    assert_eq!(recorded.status.code(), Some(0), "{}", stderr(&recorded));
    let log = stdout(&folder.tracer(&["replay", "t.trace"]), 0);
    for (at, letter) in ('a'..='l').enumerate() {
        let text = letter.to_string().repeat(4096);
        assert!(log.contains(&format!("arg{at}: \"{text}\"")), "{letter}");
    }
}
