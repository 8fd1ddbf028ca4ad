//! From files with probes to attached sites: once before the recording begins, and again for what is started meanwhile.
//!
//! What is there to attach to comes from [`find`](crate::find); how a file is attached to stands in
//! [`kernel`](crate::kernel). This room decides which sites are left out, gives sites their numbers and keeps the links.

mod agenda;
mod attempt;
pub(crate) mod closing;
pub(crate) mod finder;
pub(crate) mod hold;
mod links;
pub(crate) mod lookout;
pub(crate) mod missing;
pub(crate) mod prepared;
mod share;
mod spared;
pub(crate) mod written;
