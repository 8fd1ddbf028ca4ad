//! An event at the last time that there is, 2^64 - 1 ns, is one like all others.

use crate::tool::{Folder, stdout};

#[test]
fn an_event_at_the_last_time_that_there_is_is_left_out_nowhere() {
    let folder = Folder::new("last-moment");
    let events = ["18446744073709551613] [PID: 1] a p:beg_w", "18446744073709551615] [PID: 1] a p:end_w"];
    folder.write("run.txt", events.map(|event| format!("[{event} | Seq: 1\n")).concat());
    stdout(&folder.tracer(&["import", "run.txt", "-o", "run.trace"]), 0);
    let has_both = |args: &[&str]| {
        let text = stdout(&folder.tracer(args), 0);
        assert!(text.contains("551613]") && text.contains("551615]"), "{args:?}: {text}");
    };
    for filter in [&[][..], &["--seq", "1"], &["-x", "a"], &["--from", "0s"], &["--to", "9s"]] {
        has_both(&[&["replay", "run.trace"], filter].concat());
        stdout(&folder.tracer(&[&["cut", "run.trace", "-fo", "cut.trace"], filter].concat()), 0);
        has_both(&["replay", "cut.trace"]);
    }
    stdout(&folder.tracer(&["merge", "run.trace", "run.trace", "-o", "merged.trace"]), 0);
    has_both(&["replay", "merged.trace"]);
}
