//! The path of the buffers: which probes they pass, in which order, and those that do not pass all.

pub(crate) mod buffers;
pub(crate) mod fan;
pub(crate) mod following;
pub(crate) mod loss;
pub(crate) mod numbers;
pub(crate) mod passage;
pub(crate) mod route;
pub(crate) mod sampler;
pub(crate) mod slowest;
