//! The result of a recording.

use std::process::ExitStatus;
use std::time::Duration;

use tracer_format::{Skipped, SkippedKind};

use crate::write::{TraceWriter, WrittenSite};

/// The result of a recording.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// Events in the trace.
    pub events: u64,
    /// Events lost; they are in the trace as gaps.
    pub lost: u64,
    /// From the first moment that every probe was attached to the end.
    pub duration: Duration,
    /// Bytes of the trace.
    pub bytes: u64,
    /// Events recorded and lost at each site, in the order of the trace.
    pub sites: Vec<SiteTotal>,
    /// How the command ended.
    pub command: Option<ExitStatus>,
    /// What was not recorded, as the trace says it.
    pub skipped: Vec<Skipped>,
}

/// Events recorded and lost at one site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteTotal {
    /// `provider:probe`.
    pub name: String,
    /// File name of the binary.
    pub program: String,
    /// Events recorded.
    pub recorded: u64,
    /// Events lost.
    pub lost: u64,
    /// Whether it was not recorded, or not all the time.
    pub skipped: bool,
}

impl SiteTotal {
    /// Those of a trace.
    pub(crate) fn all(trace: &TraceWriter<'_>) -> Vec<Self> {
        trace.sites().iter().map(|site| Self::of(site, trace.skipped())).collect()
    }

    fn of(site: &WrittenSite, skipped: &[Skipped]) -> Self {
        let program = site.site.program.clone();
        // Of which probe such an event is, nothing tells.
        let is_of_any = |it: &Skipped| it.kind == SkippedKind::Events && it.probe.is_empty();
        Self {
            name: site.site.name(),
            program: program.to_string(),
            recorded: site.recorded,
            lost: site.lost,
            skipped: skipped.iter().any(|it| it.covers(&site.site) || is_of_any(it)),
        }
    }
}
