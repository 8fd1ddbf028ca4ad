//! `tracer top`: stages live, of what runs or of a trace.

use tracer_analyzer::Filter;

use crate::cli::{Mistake, TopArgs};
use crate::done::Done;
use crate::file::stages;
use crate::top;

#[cfg(target_os = "linux")]
pub(crate) fn top(args: TopArgs) -> anyhow::Result<Done> {
    let TopArgs { file, speed, follow, mut record } = args;
    let Some(file) = file else {
        if record.print || record.rotate.is_some() || record.last.is_some() {
            let wrong = "--print, --rotate and --last are of tracer record; tracer top shows one recording";
            return Err(Mistake(wrong.to_owned()).into());
        }
        record.top = true;
        return top::live::record(&record);
    };
    let (names, files) = crate::cli::names_and_files(&record.programs)?;
    if let [path, ..] = &files[..] {
        let path = tracer_format::log::escape(&path.to_string_lossy()).into_owned();
        return Err(Mistake(format!("-x {path} is a path: a trace has the names of programs")).into());
    }
    let filter = Filter {
        probes: record.events.clone(),
        pids: record.pids.clone(),
        programs: names,
        ..Filter::default()
    };
    let given = top::given(&record.look, filter, stages::given(&record.stages)?);
    top::played::play(&file, top::played::Play { speed, follow }, given, &record.look)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn top(args: TopArgs) -> anyhow::Result<Done> {
    let TopArgs { file, speed, follow, filter, stages: given, look } = args;
    let Some(file) = file else {
        return Err(Mistake("recording needs Linux; give a trace".to_owned()).into());
    };
    let given = top::given(&look, Filter::from(&filter), stages::given(&given)?);
    top::played::play(&file, top::played::Play { speed, follow }, given, &look)
}
