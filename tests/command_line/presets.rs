//! Presets: those in the binary, a user's own, and what is wrong with them.

use std::process::Output;

use crate::tool::{Folder, stderr, stdout};

const SHOP: &str = "title = \"Our shop\"\nevents = [\"shop:*\"]\n\n[stages]\n\
                    \"pack an order\" = \"shop:beg_pack -> shop:end_pack by seq\"\n\
                    \"elsewhere\" = \"till:a -> till:b by seq\"\n";
const LOG: &str = "\nTrace started. Ctrl-C to stop.\n\n\
                   [            1000] [PID:      7] shop         shop:beg_pack                  | Seq: 1\n\
                   [            3000] [PID:      7] shop         shop:end_pack                  | Seq: 1\n";

fn with_own(folder: &Folder, args: &[&str]) -> Output {
    folder.command(args).env("XDG_CONFIG_HOME", folder.path("config")).output().expect("tracer runs")
}

fn shop(name: &str) -> Folder {
    let folder = Folder::new(name);
    folder.write("log", LOG);
    stdout(&folder.tracer(&["import", "log", "-o", "t.trace"]), 0);
    std::fs::create_dir_all(folder.path("config/tracer/presets")).expect("a folder");
    folder
}

#[cfg(target_os = "linux")]
#[test]
fn presets_are_listed_and_printed_the_users_own_first() {
    let folder = shop("presets-listed");
    folder.write("config/tracer/presets/shop.toml", SHOP);
    folder.write("config/tracer/presets/php.toml", SHOP.replace("Our shop", "Our PHP"));
    let list = stdout(&with_own(&folder, &["list", "--presets"]), 0);
    let names: Vec<&str> = list.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(names, ["php", "shop", "hotspot", "libvirt", "postgresql", "python", "ruby"]);
    assert!(list.contains("Our shop (") && list.contains("Our PHP ("), "{list}");
    assert_eq!(stdout(&with_own(&folder, &["list", "--presets", "shop"]), 0), SHOP);
    assert!(stdout(&folder.tracer(&["list", "--presets", "ruby"]), 0).starts_with("title = \"Ruby"));
    folder.write("config/tracer/presets/bad.toml", "title = 1\n");
    let output = with_own(&folder, &["list", "--presets"]);
    assert_eq!(stdout(&output, 3), list);
    assert!(stderr(&output).contains("bad.toml: line 1: found \"title = 1\""), "{}", stderr(&output));
}

#[test]
fn the_stages_of_a_preset_are_those_of_a_report() {
    let folder = shop("presets-report");
    folder.write("config/tracer/presets/shop.toml", SHOP);
    folder.write("shop.toml", SHOP);
    let names = |output: &Output| -> Vec<String> {
        let document: serde_json::Value = serde_json::from_str(&stdout(output, 0)).expect("JSON");
        let stages = document["stages"].as_array().expect("stages");
        stages.iter().map(|stage| stage["name"].as_str().expect("a name").to_owned()).collect()
    };
    let analyze = ["analyze", "t.trace", "--format", "json", "--preset"];
    for preset in ["shop", "shop.toml", "./shop.toml"] {
        assert_eq!(names(&with_own(&folder, &[&analyze[..], &[preset]].concat())), ["pack an order"]);
    }
    let own = ["--stage", "pack an order = shop:end_pack -> shop:beg_pack by seq"];
    let output = with_own(&folder, &[&analyze[..], &["shop"], &own].concat());
    assert!(stdout(&output, 0).contains("\"from\": \"shop:end_pack\""), "the user's own stage counts");
}

#[test]
fn presets_that_are_none_are_refused() {
    let folder = shop("presets-refused");
    folder.write("bad.toml", "[stages]\nx = \"a:b -> a:c by seq\"\n");
    for (preset, expected) in [
        (
            "postgre",
            "--preset postgre: there is no such preset; the nearest is postgresql; see tracer list --presets",
        ),
        ("ruby", "--preset ruby: the trace has none of the probes of its stages"),
        ("bad.toml", "bad.toml: line 1: found \"[stages]\": expected events = [\"PROVIDER:PROBE\", ...]"),
        ("no.toml", "no.toml: No such file or directory (os error 2)"),
    ] {
        let output = with_own(&folder, &["analyze", "t.trace", "--preset", preset]);
        stdout(&output, 1);
        assert_eq!(stderr(&output), format!("tracer: {expected}\n"));
    }
}
