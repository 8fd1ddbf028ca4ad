//! Names with markup, escapes, letters from right to left and a megabyte, through everything that shows a trace: they stay text,
//! drive no terminal, and make nothing large.

use crate::tool::{Folder, stderr, stdout};

/// What must do nothing wherever it stands.
const HOSTILE: &str = "</title></script><script>alert(1)</script><img/src=x/onerror=alert(2)>\"'`${x}{{y}}\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m\u{85}\u{202e}\u{2066}\u{5d0}";

/// Forms of verbs that print for people; `run.trace` has hostile probes and programs, `stages.toml` a hostile stage.
const PRINTED: [&[&str]; 20] = [
    &["replay", "run.trace"],
    &["replay", "--time", "relative", "--threads", "--color", "always", "run.trace"],
    &["replay", "--seq", "3", "--time", "delta", "run.trace"],
    &["replay", "--seq", "3", "--color", "always", "--threads", "run.trace"],
    &["analyze", "run.trace"],
    &["analyze", "--all", "--plot", "run.trace"],
    &["analyze", "--plot", "--stages", "stages.toml", "run.trace"],
    &["analyze", "--format", "markdown", "--stages", "stages.toml", "run.trace"],
    &["diff", "run.trace", "other.trace"],
    &["diff", "--format", "markdown", "--stages", "stages.toml", "run.trace", "other.trace"],
    &["info", "--counts", "run.trace"],
    &["verify", "run.trace"],
    &["replay", "--format", "jsonl", "run.trace"],
    &["analyze", "--format", "json", "run.trace"],
    &["diff", "--format", "json", "run.trace", "other.trace"],
    &["info", "--format", "json", "--counts", "run.trace"],
    &["verify", "--format", "json", "run.trace"],
    &["export", "--format", "chrome", "-o", "-", "run.trace"],
    &["top", "--batch", "--speed", "100000", "run.trace"],
    &["top", "--batch", "--speed", "100000", "--stages", "stages.toml", "run.trace"],
];

/// A trace of two stages with hostile names in three programs with such names, and a file that gives one a name of a megabyte.
fn record(folder: &Folder) {
    let megabyte = HOSTILE.to_owned() + &"<\u{202e}\u{5d0}".repeat(170_000);
    let mut log = String::new();
    for seq in 0..40_u64 {
        let at = 1_000_000_000 + seq * 1_000_000;
        let fired = [
            (at, 7, "beg_work"),
            (at + 40_000 + seq % 7 * 1000, 7, "end_work"),
            (at + 60_000, 8, "beg_rest"),
            (at + 90_000 + seq % 5 * 1000, 8, "end_rest"),
        ];
        for (at, pid, probe) in fired {
            log += &format!("[{at}] [PID: {pid}] {pid}{HOSTILE} p{HOSTILE}:{probe}{HOSTILE} | Seq: {seq}\n");
        }
    }
    // A trace has names of up to 4096 bytes.
    let long = &megabyte[..megabyte.floor_char_boundary(4096)];
    log += &format!("[2000000000] [PID: 9] {long} {long}:{long} | Seq: 3 | arg1: \"\\x1b[2J\"\n");
    for at in 1..40 {
        let begin = 2_000_000_000 + at * 1000;
        log += &format!(
            "[{begin}] [PID: 9] {long} q:y | Seq: {at}\n[{}] [PID: 9] {long} q:z | Seq: {at}\n",
            begin + 300 + at
        );
    }
    for file in ["run.trace", "other.trace"] {
        folder.write("run.txt", &log);
        let made = folder.tracer(&["import", "run.txt", "-o", file]);
        assert!(made.status.success(), "{}", stderr(&made));
        log += &format!("[2000100000] [PID: 9] {long} q:y | Seq: 99\n");
    }
    let wide: String = megabyte.chars().take(20_000).collect();
    for (file, name) in [("stages.toml", long), ("wide.toml", &wide), ("huge.toml", &megabyte[..])] {
        let quoted = serde_json::Value::from(name.replace('=', "-")).to_string().replace('\u{85}', "\\u0085");
        folder.write(file, format!("[stages]\n{quoted} = \"q:y -> q:z by seq\"\n"));
    }
}

#[test]
fn a_stage_with_a_name_of_a_megabyte_is_refused_in_one_line() {
    let folder = Folder::new("hostile-huge");
    record(&folder);
    let refused =
        [("wide.toml", "its name is longer than 4096 bytes"), ("huge.toml", "larger than 262144 bytes")];
    for (verb, (file, why)) in
        ["analyze", "report", "diff"].iter().flat_map(|verb| refused.map(|it| (*verb, it)))
    {
        let files = if verb == "diff" { &["run.trace", "run.trace"][..] } else { &["run.trace"] };
        let output = folder.tracer(&[&[verb, "--stages", file], files].concat());
        let text = stderr(&output);
        assert_eq!((output.status.code(), text.lines().count()), (Some(1), 1), "{text}");
        assert!(text.contains(why) && text.len() < 1000, "{text}");
    }
}

/// The text without colours.
fn without_colours(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find('m').expect("a colour ends");
        assert!(part[..end].bytes().all(|byte| byte.is_ascii_digit() || byte == b';'), "{part:?}");
        plain += &part[end + 1..];
    }
    plain
}

fn drives_terminal(letter: char) -> bool {
    letter != '\n'
        && (letter.is_control() || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
}

#[test]
fn names_drive_no_terminal_whatever_prints_them() {
    let folder = Folder::new("hostile-print");
    record(&folder);
    for args in PRINTED {
        let mut command = folder.command(args);
        let output = command.env("COLUMNS", "80").env("LC_ALL", "C.UTF-8").output().expect("tracer runs");
        assert!(output.status.success(), "{args:?}: {}", stderr(&output));
        let text = stdout(&output, 0);
        let has_colours = args.contains(&"always");
        assert_eq!(text.contains("\u{1b}["), has_colours, "{args:?}");
        for shown in [without_colours(&text), stderr(&output)] {
            let bad = shown.lines().find(|line| line.chars().any(drives_terminal));
            assert_eq!(bad.map(|line| line.chars().take(300).collect::<String>()), None, "{args:?}");
        }
        assert!(!text.contains(r"\\x1b") && !text.contains(r"\\u{"), "{args:?}: escaped twice: {text}");
        assert!(!text.is_empty() && text.len() < 1 << 20, "{args:?}: {} bytes", text.len());
    }
}

#[test]
fn names_make_no_markup_of_a_page() {
    let folder = Folder::new("hostile-page");
    record(&folder);
    for more in [&["run.trace"][..], &["--stages", "stages.toml", "run.trace"], &["run.trace", "other.trace"]]
    {
        let page = stdout(&folder.tracer(&[&["report", "-o", "-"], more].concat()), 0);
        assert!(page.len() <= 1_000_000, "{} bytes", page.len());
        assert!(!page.contains("<img") && !page.contains("onerror=alert(2)>"), "{more:?}");
        assert_eq!(page.matches("<script>").count(), 1, "{more:?}");
        assert_eq!(page.matches("<title>").count(), page.matches("</title>").count(), "{more:?}");
        assert!(!page.chars().any(drives_terminal), "{more:?}");
    }
}

#[test]
fn pictures_stay_what_they_are() {
    let folder = Folder::new("hostile-picture");
    record(&folder);
    for more in [&[][..], &["--by-buffer"], &["--stages", "stages.toml"]] {
        let json = stdout(
            &folder.tracer(&[&["export", "--format", "chrome", "run.trace", "-o", "-"], more].concat()),
            0,
        );
        let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        let events = json["traceEvents"].as_array().expect("events");
        let named = |name: &str| {
            events.iter().any(|event| event["name"].as_str().is_some_and(|text| text.contains(name)))
        };
        assert!(named(HOSTILE), "{more:?}: a viewer gets the name as it is");
        let packets =
            folder.tracer(&[&["export", "--format", "perfetto", "run.trace", "-o", "-"], more].concat());
        let bytes = packets.stdout;
        assert!(bytes.windows(HOSTILE.len()).any(|part| part == HOSTILE.as_bytes()), "{more:?}");
    }
}
