//! The demo pipeline of `sample-traces` at work.

use std::collections::HashMap;
use std::process::{Child, Command, Stdio};

use super::until;
use crate::tool::{sample, stderr};

/// The launcher and the processes of its programs; they end with the test.
pub(crate) struct Pipeline {
    launcher: Option<Child>,
    /// The processes of its three programs.
    pub(crate) pids: Vec<u32>,
}

impl Pipeline {
    /// Starts it and waits until all of its programs run.
    pub(crate) fn start(args: &[&str]) -> Self {
        let mut command = Command::new(sample("pipeline"));
        command.args(args).stdin(Stdio::null()).stderr(Stdio::piped());
        let launcher = command.spawn().expect("the pipeline runs");
        let children = format!("/proc/{0}/task/{0}/children", launcher.id());
        let mut pipeline = Self { launcher: Some(launcher), pids: Vec::new() };
        until("all programs of the pipeline run", || {
            let pids = std::fs::read_to_string(&children).unwrap_or_default();
            let executed = |pid: &&str| {
                std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| !exe.ends_with("pipeline"))
            };
            let pids = pids.split_whitespace().filter(executed);
            pipeline.pids = pids.map(|pid| pid.parse().expect("a number")).collect();
            pipeline.pids.len() >= 3
        });
        pipeline
    }

    /// Ends it; gives how often each probe fired, as its programs say.
    pub(crate) fn stop(mut self) -> HashMap<String, u64> {
        let launcher = self.launcher.take().expect("it runs");
        let status = Command::new("kill").arg(launcher.id().to_string()).status();
        assert!(status.expect("kill runs").success());
        fired(&stderr(&launcher.wait_with_output().expect("ended")))
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        if let Some(mut launcher) = self.launcher.take() {
            // The programs end with their launcher.
            let _ = Command::new("kill").arg(launcher.id().to_string()).status();
            let _ = launcher.wait();
        }
    }
}

/// How often each probe fired, from what the demo programs print.
pub(crate) fn fired(output: &str) -> HashMap<String, u64> {
    let lines = output.lines().filter_map(|line| line.strip_prefix("fired ")?.split_once(' '));
    lines.map(|(probe, count)| (probe.to_owned(), count.parse().expect("a number"))).collect()
}
