//! What the user sees while recording, on standard error.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::time::Instant;

use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};
use tracer_format::log::{LogWriter, skipped_text};
use tracer_format::{Definitions, Site};
use tracer_recorder::Notice;

use super::rate::Rate;
use super::ready::Ready;
use crate::cli::RecordArgs;
use crate::say;

/// The screen: lines, and below them how the recording goes on.
pub(super) struct Screen {
    pub(super) bar: ProgressBar,
    rate: Rate,
    quiet: bool,
    print: bool,
    pub(super) ready: bool,
    /// Whom to tell that the recording has begun, and whether that failed.
    ready_fd: Option<Ready>,
    pub(super) is_ready_untold: bool,
    log: LogWriter,
    definitions: Definitions,
}

/// Whether progress can be seen: on a terminal that nothing else is printed to.
pub(super) fn shows_progress(args: &RecordArgs) -> bool {
    let is_taken = args.print && io::stdout().is_terminal();
    io::stderr().is_terminal() && !args.quiet && !is_taken
}

impl Screen {
    pub(super) fn new(args: &RecordArgs, ready_fd: Option<Ready>) -> Self {
        let bar = if shows_progress(args) { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        let style = ProgressStyle::with_template("{spinner} {elapsed} {msg}");
        bar.set_style(style.expect("a constant template"));
        Self {
            bar,
            rate: Rate::new(Instant::now()),
            quiet: args.quiet,
            print: args.print,
            ready: false,
            ready_fd,
            is_ready_untold: false,
            log: LogWriter::new(),
            definitions: Definitions::default(),
        }
    }

    pub(super) fn show(&mut self, notice: &Notice<'_>) {
        match *notice {
            Notice::Problem(text) => self.line(&format!("tracer: {text}")),
            // With --quiet too: the exit code follows from it.
            Notice::Skipped(skipped) => {
                self.bar.suspend(|| say!("not recorded: {}", skipped_text(skipped)));
            }
            Notice::Found(sites) => self.found(sites),
            Notice::Ready { probes } => {
                self.ready = true;
                self.rate = Rate::new(Instant::now());
                self.line(&format!("tracer: recording, PID {}, {probes} probes", std::process::id()));
                if let Some(Err(error)) = self.ready_fd.as_mut().map(Ready::tell) {
                    self.is_ready_untold = true;
                    self.bar.suspend(|| say!("cannot write to --ready-fd: {error}"));
                }
            }
            Notice::Progress { events, lost, bytes } => {
                let rate = self.rate.per_second(Instant::now(), events);
                let (events, lost, rate) = (HumanCount(events), HumanCount(lost), HumanCount(rate));
                self.bar
                    .set_message(format!("{events} events, {rate}/s, {lost} lost, {}", HumanBytes(bytes)));
                self.bar.tick();
            }
        }
    }

    /// The log's header, and later what was found meanwhile; with --print all that is on standard output.
    fn found(&mut self, sites: &[Site]) {
        if self.print {
            return;
        }
        self.definitions.sites.extend(sites.iter().cloned().map(Arc::new));
        let mut lines = Vec::new();
        if self.ready {
            self.log.announce(&self.definitions, &mut lines);
        } else {
            self.log.header(&self.definitions, &mut lines);
        }
        self.line(String::from_utf8_lossy(&lines).trim_end());
    }

    fn line(&self, text: &str) {
        if !self.quiet && !text.is_empty() {
            self.bar.suspend(|| say::line(text));
        }
    }
}
