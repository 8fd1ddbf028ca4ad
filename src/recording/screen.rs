//! What the user sees while recording, on standard error.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::time::Instant;

use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};
use tracer_format::log::{LogWriter, skipped_text};
use tracer_format::{Definitions, Site};
use tracer_recorder::Notice;

use super::rate::Rate;
use crate::cli::RecordArgs;
use crate::say;

/// The screen: lines, and below them how the recording goes on.
pub(super) struct Screen {
    pub(super) bar: ProgressBar,
    rate: Rate,
    quiet: bool,
    print: bool,
    pub(super) ready: bool,
    ready_fd: Option<u32>,
    log: LogWriter,
    definitions: Definitions,
}

impl Screen {
    pub(super) fn new(args: &RecordArgs) -> Self {
        let bar = if args.quiet || args.print && io::stdout().is_terminal() || !io::stderr().is_terminal() {
            ProgressBar::hidden()
        } else {
            ProgressBar::new_spinner()
        };
        let style = ProgressStyle::with_template("{spinner} {elapsed} {msg}");
        bar.set_style(style.expect("a constant template"));
        Self {
            bar,
            rate: Rate::new(Instant::now()),
            quiet: args.quiet,
            print: args.print,
            ready: false,
            ready_fd: args.ready_fd,
            log: LogWriter::new(),
            definitions: Definitions::default(),
        }
    }

    pub(super) fn show(&mut self, notice: &Notice<'_>) {
        match *notice {
            Notice::Problem(text) => self.line(&format!("tracer: {text}")),
            Notice::Skipped(skipped) => {
                self.line(&format!("tracer: not recorded: {}", skipped_text(skipped)));
            }
            Notice::Found(sites) => self.found(sites),
            Notice::Ready { probes } => {
                self.ready = true;
                self.rate = Rate::new(Instant::now());
                self.line(&format!("tracer: recording, PID {}, {probes} probes", std::process::id()));
                if let Some(fd) = self.ready_fd
                    && let Err(error) = tell_ready(fd)
                {
                    self.line(&format!("tracer: cannot write to --ready-fd {fd}: {error}"));
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
        self.definitions.sites.extend_from_slice(sites);
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

/// Writes a byte to the descriptor that a script gave us.
fn tell_ready(fd: u32) -> io::Result<()> {
    File::options().write(true).open(format!("/proc/self/fd/{fd}"))?.write_all(b"\n")
}
