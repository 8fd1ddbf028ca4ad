//! Redacted traces: the figures of the original, and no text of it.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::tool::{Folder, stderr, stdout};

fn samples() -> Vec<PathBuf> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-traces/data");
    let files = std::fs::read_dir(data).expect("there").map(|file| file.expect("there").path());
    files.filter(|path| path.extension().is_some_and(|end| end == "trace")).collect()
}

/// What `tracer` prints as JSON, whatever is missing in the trace.
fn json(folder: &Folder, args: &[&str]) -> Value {
    let output = folder.tracer(args);
    assert!(matches!(output.status.code(), Some(0 | 3)), "{args:?}: {}", stderr(&output));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// All texts of the file that redacting takes, as `info` shows them.
fn texts(info: &Value) -> Vec<String> {
    let mut texts = Vec::new();
    let mut add = |value: &Value| match value {
        Value::String(text) => texts.push(text.clone()),
        Value::Array(words) => texts.extend(words.iter().filter_map(Value::as_str).map(str::to_owned)),
        _ => {}
    };
    for host in info["hosts"].as_array().expect("hosts") {
        ["name", "kernel", "boot_id", "command"].iter().for_each(|field| add(&host[field]));
    }
    for process in info["processes"].as_array().expect("processes") {
        ["executable", "command"].iter().for_each(|field| add(&process[field]));
    }
    info["probes"].as_array().expect("probes").iter().for_each(|probe| add(&probe["path"]));
    let folders = texts.iter().filter_map(|text| text.rsplit_once('/')).map(|(folder, _)| folder.to_owned());
    texts = folders.chain(texts.iter().cloned()).collect();
    // A short word of a command line may be anywhere.
    texts.retain(|text| text.contains(['/', '-', '.', ' ']) && text.len() > 5 || text.len() > 12);
    texts
}

/// Takes every text out, names of members too: the figures are left.
fn figures(value: &mut Value) {
    match value {
        Value::String(text) => text.clear(),
        Value::Array(values) => values.iter_mut().for_each(figures),
        Value::Object(members) => {
            members.values_mut().for_each(figures);
            *value = members.values().cloned().collect();
        }
        _ => {}
    }
}

fn analyzed(folder: &Folder, trace: &str) -> Value {
    json(folder, &["analyze", trace, "--format", "json"])
}

#[test]
fn every_sample_has_its_figures_and_none_of_its_texts() {
    let folder = Folder::new("redact");
    let mut searched = 0;
    for sample in samples() {
        let original = sample.to_str().expect("UTF-8");
        let info = json(&folder, &["info", original, "--format", "json"]);
        let mut expected = analyzed(&folder, original);
        for (options, name) in [(&[][..], "plain.trace"), (&["--names"][..], "named.trace")] {
            let output = folder.tracer(&[&["redact", original, "-f", "-o", name], options].concat());
            assert!(matches!(output.status.code(), Some(0 | 3)), "{}", stderr(&output));
            let mut found = analyzed(&folder, name);
            if options.is_empty() {
                assert_eq!(names(&found), names(&expected), "{original}");
            }
            // The new file is complete, whatever the old one was.
            expected["loss"]["complete_file"] = true.into();
            figures(&mut found);
            figures(&mut expected);
            assert!(found == expected, "{original} {options:?}: other figures");
            expected = analyzed(&folder, original);
            let shown = ["info", "replay", "verify"].map(|verb| {
                let output = folder.tracer(&[verb, name]);
                String::from_utf8_lossy(&output.stdout).into_owned() + &stderr(&output)
            });
            let json = json(&folder, &["info", name, "--format", "json"]).to_string();
            let shown = shown.concat() + &json;
            for text in texts(&info) {
                searched += 1;
                assert!(!shown.contains(&text), "{original} {options:?}: {text} is in {shown}");
            }
        }
    }
    assert!(searched > 20, "only {searched} texts were looked for");
}

fn names(analysis: &Value) -> Vec<String> {
    let stages = analysis["stages"].as_array().expect("stages");
    stages.iter().map(|stage| stage["name"].to_string()).collect()
}

#[test]
fn keys_pair_as_before() {
    let folder = Folder::new("redact-keys");
    let sample = samples().into_iter().find(|path| path.ends_with("pipeline.trace")).expect("there");
    let original = sample.to_str().expect("UTF-8");
    let output = folder.tracer(&["redact", original, "--keys", "-o", "keys.trace"]);
    let said = stderr(&output);
    let code = output.status.code();
    assert!(matches!(code, Some(0 | 3)) && said.contains("; as they were: names (--names)"), "{said}");
    let stages = |trace: &str| {
        let mut stages = analyzed(&folder, trace)["stages"].take();
        // Spans have keys.
        stages.as_array_mut().expect("stages").iter_mut().for_each(|stage| stage["spans"] = Value::Null);
        figures(&mut stages);
        stages.to_string()
    };
    assert!(stages("keys.trace") == stages(original));
    let replayed =
        |trace: &str| String::from_utf8_lossy(&folder.tracer(&["replay", trace]).stdout).into_owned();
    assert!(replayed(original).contains("| Seq: 17\n") && !replayed("keys.trace").contains("| Seq: 17\n"));
}

#[test]
fn the_same_secret_gives_the_same_pseudonyms() {
    let folder = Folder::new("redact-secret");
    let sample = samples().into_iter().find(|path| path.ends_with("pipeline.trace")).expect("there");
    let original = sample.to_str().expect("UTF-8");
    folder.write("secret", "sixteen bytes, or more");
    folder.write("short", "fifteen bytes..");
    let redacted = |name: &str, options: &[&str]| {
        let output = folder.tracer(&[&["redact", original, "-o", name], options].concat());
        assert!(matches!(output.status.code(), Some(0 | 3)), "{}", stderr(&output));
        std::fs::read(folder.path(name)).expect("there")
    };
    let one = redacted("one", &["--secret", "secret"]);
    assert!(one == redacted("two", &["--secret", "secret"]));
    assert!(redacted("three", &[]) != redacted("four", &[]));
    let output = folder.tracer(&["redact", original, "-o", "five", "--secret", "short"]);
    assert_eq!(stdout(&output, 1), "");
    assert_eq!(stderr(&output), "tracer: short: 15 bytes, a secret has at least 16\n");
    assert!(!folder.path("five").exists());
    // What is read is not written to.
    let output = folder.tracer(&["redact", original, "-f", "-o", "secret", "--secret", "secret"]);
    assert_eq!(stdout(&output, 1), "");
    assert_eq!(stderr(&output), "tracer: secret is what is read; give another -o\n");
}

/// Each event stood there twice, without a word.
#[test]
fn a_merge_with_a_redacted_trace_of_the_same_recording_says_what_it_cannot_know() {
    let folder = Folder::new("redact-merge");
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-traces/data/pipeline.trace");
    std::fs::copy(sample, folder.path("run")).expect("copied");
    folder.write("secret", "0123456789abcdef");
    let redacted = |output: &str, options: &[&str]| {
        stdout(&folder.tracer(&[&["redact", "run", "-o", output], options].concat()), 0);
    };
    redacted("random", &[]);
    redacted("one", &["--secret", "secret"]);
    redacted("other", &["--secret", "secret"]);
    redacted("keys", &["--secret", "secret", "--keys"]);
    for (left, right, is_known) in
        [("run", "random", false), ("random", "one", false), ("one", "keys", false), ("one", "other", true)]
    {
        let output = folder.tracer(&["merge", left, right, "-o", "merged", "--force"]);
        let said = stderr(&output);
        stdout(&output, if is_known { 0 } else { 3 });
        let what = format!("tracer: {left} and {right} are of the same processes, and one is redacted: ");
        assert_eq!(said.contains(&what), !is_known, "{said}");
        assert_eq!(said.contains(" taken once"), is_known, "{said}");
    }
}
