//! Shapes of a series of times: spikes at even distances, two modes, a change of level.

pub(crate) mod change;
pub(crate) mod modes;
pub(crate) mod spikes;
