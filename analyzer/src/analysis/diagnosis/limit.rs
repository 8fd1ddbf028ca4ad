//! What limits the buffers: which threads, locks and programs are busy, what waits for what, and what stands still.

pub(crate) mod flow;
pub(crate) mod intervals;
pub(crate) mod judge;
pub(crate) mod quantile;
pub(crate) mod resource;
pub(crate) mod silence;
pub(crate) mod stall;
pub(crate) mod waiting;
