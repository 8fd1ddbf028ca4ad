//! Any text is a stage or refused; a stage written out is the same stage. Stages learned from any names are told apart.
#![no_main]

use std::collections::BTreeSet;

use libfuzzer_sys::fuzz_target;
use tracer_analyzer::stage::{Draft, choose, learn};
use tracer_format::{Definitions, Site, StageDef};

fuzz_target!(|text: &str| {
    if let Ok(draft) = text.parse::<Draft>() {
        assert_eq!(draft.to_string().parse::<Draft>().expect("its own text"), draft);
        assert_eq!(Draft::try_from(&StageDef::from(&draft)).expect("as it was stored"), draft);
    }
    let name = |line: &str| {
        let (provider, probe) = line.split_once(':').unwrap_or(("p", line));
        Site { provider: provider.into(), probe: probe.into(), ..Site::default() }.into()
    };
    let sites = text.lines().map(name).collect();
    let definitions = Definitions { sites, ..Definitions::default() };
    let learned = learn(&definitions);
    let names: BTreeSet<_> = learned.iter().map(|draft| &draft.stage.name).collect();
    if names.len() == learned.len() {
        assert_eq!(choose(&[], &definitions).expect("their names differ").len(), learned.len());
    }
});
