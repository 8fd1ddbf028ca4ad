//! Synthetic traces: the demo pipeline simulated, of any size, in time order and in constant memory.
//!
//! What happens is simulated, not drawn: buffers wait for a worker, workers wait for their turn to write, a full pipe holds
//! the source up. So the probes of a buffer are in a causal order, and what an analysis must find is known exactly: it is
//! counted while the trace is written ([`Truth`]). Everything follows from the [`Plan`], byte for byte.

mod agenda;
mod hammer;
mod loss;
mod options;
mod pipeline;
mod recording;
mod scene;
mod spread;
mod topic;
mod truth;

pub use options::{Options, Plan, Shape};
pub use truth::{Latencies, StageTruth, Truth};

use recording::Recording;
use std::io;
use tracer_format::{Result, Writer, WriterOptions};

/// Writes the trace of a plan to `sink`, complete with index and footer; returns the sink and what is true of the trace.
///
/// # Errors
/// Those of [`Writer`]: of `sink`, and if the trace would be longer than the format allows.
pub fn write<W: io::Write>(plan: &Plan, sink: W) -> Result<(W, Truth)> {
    let options =
        WriterOptions { trace_id: plan.seed, block_events: plan.block_events, ..WriterOptions::default() };
    let mut writer = Writer::new(sink, options)?;
    scene::define(plan, &mut writer)?;
    let mut recording = Recording::new(plan, writer)?;
    match plan.shape {
        Shape::Loop => hammer::run(plan, &mut recording)?,
        Shape::Pipeline | Shape::Workers | Shape::Strings => pipeline::run(plan, &mut recording)?,
    }
    recording.finish()
}
