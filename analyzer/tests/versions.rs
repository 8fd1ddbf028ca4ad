//! Samples of every version stay readable, with the same meaning: `sample-traces/data/v*.trace`, which are never made anew.

use std::fs;
use std::path::{Path, PathBuf};

use tracer_analyzer::replay::replay;
use tracer_analyzer::select::Selection;
use tracer_format::Trace;

fn samples() -> Vec<PathBuf> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sample-traces/data");
    let files = fs::read_dir(data).unwrap().map(|file| file.unwrap().path());
    let is_sample = |path: &PathBuf| {
        path.extension().is_some_and(|it| it == "trace")
            && path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('v'))
    };
    files.filter(is_sample).collect()
}

#[test]
fn samples_of_every_version_give_their_logs() {
    let samples = samples();
    assert_eq!(samples.len(), 3, "{samples:?}");
    for sample in samples {
        let (bytes, log) = (fs::read(&sample).unwrap(), fs::read(sample.with_extension("txt")).unwrap());
        for trace in [Trace::open(&bytes), Trace::scan(&bytes)] {
            let (trace, mut found) = (trace.unwrap(), Vec::new());
            let outcome = replay(&trace, &Selection::all(), &mut found).unwrap();
            assert!(outcome.damage.is_empty(), "{}: {:?}", sample.display(), outcome.damage);
            assert!(found == log, "{}: another log", sample.display());
        }
    }
}
