//! What stands in the definitions of a redacted trace.

use std::collections::BTreeSet;
use std::sync::Arc;

use tracer_format::{ArgKind, Definitions, Host, Process, Site, Skipped, StageDef};

use super::name_rule::NameRule;
use super::pseudonym::Pseudonyms;
use super::{REDACTED, Redaction};
use crate::stage::{Draft, ProbeName};

/// Makes definitions, strings and numbers of a redacted trace.
pub(super) struct Cover {
    pseudonyms: Pseudonyms,
    names: NameRule,
    keys: bool,
    tool: String,
    /// Arguments that tell how long a stage took: each with its probe.
    lasting: BTreeSet<(ProbeName, u8)>,
}

impl Cover {
    pub(super) fn new(definitions: &Definitions, how: &Redaction<'_>) -> Self {
        let drafts = definitions.stages.iter().filter_map(|stage| Draft::try_from(stage).ok());
        let mut lasting = BTreeSet::new();
        for Draft { stage, .. } in drafts {
            if let Some(told) = stage.lasting {
                lasting.extend(stage.ends.into_iter().map(|probe| (probe, told.arg)));
            }
        }
        Self {
            pseudonyms: Pseudonyms::new(how.secret),
            names: NameRule::new(definitions, how.names),
            keys: how.keys,
            tool: format!("{}{REDACTED}", how.tool),
            lasting,
        }
    }

    /// Names that were to stay and do not.
    pub(super) fn telling(self) -> Vec<String> {
        self.names.telling()
    }

    pub(super) fn host(&mut self, host: &Host) -> Host {
        Host {
            name: self.pseudonyms.text("host-", &host.name).into(),
            kernel: self.pseudonyms.text("kernel-", &host.kernel).into(),
            // The kind of processor.
            machine: self.name(&host.machine).into(),
            boot_id: self.pseudonyms.text("", &host.boot_id).into(),
            cpus: host.cpus,
            tool: self.tool.as_str().into(),
            command: Arc::default(),
        }
    }

    pub(super) fn process(&mut self, process: &Process) -> Process {
        Process {
            program: self.name(&process.program).into(),
            executable: self.path(&process.executable).into(),
            command: Arc::default(),
            ..*process
        }
    }

    /// The site; of the arguments `replaced` the pseudonyms are wider than most values.
    pub(super) fn site(&mut self, site: &Site, replaced: u16) -> Site {
        let kind = |(arg, kind): (usize, &ArgKind)| match kind {
            ArgKind::Signed(_) if replaced >> arg & 1 != 0 => ArgKind::Signed(8),
            ArgKind::Unsigned(_) if replaced >> arg & 1 != 0 => ArgKind::Unsigned(8),
            kind => *kind,
        };
        // It may name variables of the program.
        let is_spec_hidden = self.names.all_hidden || self.names.tells(&site.spec);
        Site {
            provider: self.name(&site.provider).into(),
            probe: self.name(&site.probe).into(),
            program: self.name(&site.program).into(),
            path: self.path(&site.path).into(),
            build_id: if self.names.all_hidden {
                self.pseudonyms.bytes(&site.build_id).into()
            } else {
                site.build_id.clone()
            },
            spec: if is_spec_hidden { Arc::default() } else { site.spec.clone() },
            args: site.args.iter().enumerate().map(kind).collect(),
            ..*site
        }
    }

    /// Arguments of the site whose numbers are replaced, a bit each.
    pub(super) fn replaced(&self, site: &Site) -> u16 {
        if !self.keys {
            return 0;
        }
        let probe = ProbeName { provider: site.provider.to_string(), probe: site.probe.to_string() };
        let is_replaced = |&(arg, kind): &(u8, &ArgKind)| {
            kind.is_integer() && !self.lasting.contains(&(probe.clone(), arg))
        };
        (0..).zip(site.args.iter()).filter(is_replaced).fold(0, |mask, (arg, _)| mask | 1 << arg)
    }

    pub(super) fn stage(&mut self, stored: &StageDef) -> StageDef {
        let Ok(mut draft) = Draft::try_from(stored) else {
            // No stage: what it says may be anything.
            let text = |text: &str| self.pseudonyms.text("x", text);
            return StageDef {
                name: text(&stored.name),
                from: text(&stored.from),
                to: text(&stored.to),
                key: text(&stored.key),
            };
        };
        draft.stage.name = self.name(&draft.stage.name);
        for probe in draft.stage.begins.iter_mut().chain(&mut draft.stage.ends) {
            *probe = ProbeName { provider: self.name(&probe.provider), probe: self.name(&probe.probe) };
        }
        StageDef::from(&draft)
    }

    pub(super) fn skipped(&mut self, skipped: &Skipped) -> Skipped {
        Skipped {
            program: self.name(&skipped.program),
            path: self.path(&skipped.path),
            provider: self.name(&skipped.provider),
            probe: self.name(&skipped.probe),
            // In its words are paths, programs, messages of the system.
            reason: "the reason is redacted".to_owned(),
            ..*skipped
        }
    }

    /// What stands for a string of an event.
    pub(super) fn string(&self, string: &[u8]) -> Vec<u8> {
        self.pseudonyms.string(string)
    }

    /// What stands for a number of an event.
    pub(super) fn number(&self, bits: u64) -> u64 {
        self.pseudonyms.number(bits)
    }

    fn name(&mut self, name: &str) -> String {
        if self.names.hides(name) { self.pseudonyms.name(name) } else { name.to_owned() }
    }

    /// The folder is replaced; the file is called as a program or library is, and readers look for it by that name.
    fn path(&mut self, path: &str) -> String {
        match path.rsplit_once('/') {
            Some((folder, file)) => format!("{}/{}", self.pseudonyms.text("/", folder), self.name(file)),
            None => self.name(path),
        }
    }
}
