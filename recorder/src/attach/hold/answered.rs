//! Processes that were held until they had been looked at.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Processes that are remembered at a time, and questions of each; only those of an exec that failed stay.
const MAX_PROCESSES: usize = 16 << 10;
const MAX_QUESTIONS: usize = 16;

/// When questions about programs were answered in time, by process: CLOCK_MONOTONIC, ns.
#[derive(Debug, Default)]
pub(super) struct Answered(Mutex<HashMap<u32, Vec<u64>>>);

impl Answered {
    /// Notes that a question about a program, or its loader or interpreter, which process `pid` is about to run is answered.
    pub(super) fn note(&self, pid: u32, now_ns: u64) {
        let mut answered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if answered.len() >= MAX_PROCESSES {
            answered.clear();
        }
        let times = answered.entry(pid).or_default();
        times.truncate(MAX_QUESTIONS - 1);
        times.push(now_ns);
    }

    /// Whether one was about the program that process `pid` began to run at `time_ns`; to be called once for each, in order.
    pub(super) fn take(&self, pid: u32, time_ns: u64) -> bool {
        let mut answered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(times) = answered.get_mut(&pid) else { return false };
        let count = times.len();
        times.retain(|at| *at > time_ns);
        let is_taken = times.len() < count;
        if times.is_empty() {
            answered.remove(&pid);
        }
        is_taken
    }
}
