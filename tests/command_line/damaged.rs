//! What is made of a damaged trace tells of the damage.

use serde_json::{Value, json};

use crate::tool::{Folder, stdout};

/// What became of the spans of each stage. Without its header less is known of when a block was.
fn figures(analysis: &Value) -> Vec<Value> {
    let stages = analysis["stages"].as_array().expect("stages");
    stages
        .iter()
        .map(|stage| json!(["name", "complete", "open", "orphan_end"].map(|name| &stage[name])))
        .collect()
}

/// What was made of a damaged trace said "no events lost".
#[test]
fn what_is_damaged_is_missing_in_what_is_made_of_it() {
    let folder = Folder::new("damage");
    let sound = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/sample-traces/data/pipeline.trace"))
        .expect("there");
    // What is chosen without them depends on where a gap is known.
    let stages = ["awe", "global"]
        .map(|name| format!("{name} = buffer_tracker:beg_{name} -> buffer_tracker:end_{name} by seq"));
    let analyzed = |name: &str| -> Value {
        let args = ["analyze", name, "--format", "json", "--stage", &stages[0], "--stage", &stages[1]];
        serde_json::from_slice(&folder.tracer(&args).stdout).expect("JSON")
    };
    let mut damaged = 0;
    for at in (64..sound.len()).step_by(sound.len() / 12) {
        let mut bytes = sound.clone();
        bytes[at] ^= 0xff;
        folder.write("damaged", &bytes);
        let expected = analyzed("damaged");
        if expected["loss"]["damaged_bytes"] == 0 {
            continue;
        }
        damaged += 1;
        for verb in ["repair", "cut", "redact"] {
            stdout(&folder.tracer(&[verb, "damaged", "-f", "-o", "new"]), 3);
            let found = analyzed("new");
            assert_eq!(figures(&found), figures(&expected), "{verb}, byte {at}");
            assert_eq!((&found["loss"]["damaged_bytes"], &found["loss"]["gaps"]), (&0.into(), &1.into()));
            assert_eq!(folder.tracer(&["replay", "new"]).status.code(), Some(3));
        }
        // Another snapshot has what is damaged in this one.
        folder.write("sound", &sound);
        stdout(&folder.tracer(&["merge", "damaged", "sound", "-f", "-o", "new"]), 3);
        assert_eq!(figures(&analyzed("new")), figures(&analyzed("sound")), "byte {at}");
    }
    assert!(damaged > 5, "{damaged}");
}

/// With no events left, nothing told that there had been some.
#[test]
fn where_all_events_are_damaged_it_is_said() {
    let folder = Folder::new("damage-all");
    let line = "[            1000] [PID:     17] worker       demo:beg_work                  | Seq: 1\n";
    folder.write("log", line);
    stdout(&folder.tracer(&["import", "log", "-o", "sound"]), 0);
    let sound = std::fs::read(folder.path("sound")).expect("there");
    let mut emptied = 0;
    for at in (32..sound.len()).step_by(16) {
        let mut bytes = sound.clone();
        bytes[at] ^= 0xff;
        folder.write("damaged", &bytes);
        if folder.tracer(&["repair", "damaged", "-f", "-o", "new"]).status.code() != Some(3) {
            continue;
        }
        let replayed = folder.tracer(&["replay", "new"]);
        let events = String::from_utf8_lossy(&replayed.stdout).matches("demo:beg_work ").count();
        emptied += usize::from(events == 0);
        assert!(events > 0 || replayed.status.code() == Some(3), "byte {at}");
    }
    assert!(emptied > 0);
}
