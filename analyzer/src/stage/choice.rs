//! Which key each stage has, as a sample of its events tells; or why none can be named.

mod candidate;
mod chosen;
mod clash;
mod decision;
mod distinct;
mod gather;
mod parts;
mod sample;
#[cfg(test)]
mod tests;
mod trial;
mod unwinding;
mod widening;

pub use candidate::Candidate;
pub use chosen::{Chosen, Evidence, Refused, choose_keys, choose_keys_heard};
pub use decision::{Decision, Refusal, decide};
pub use gather::Heard;
pub use sample::{ARGS, Fired, Life, Sample};
pub use widening::widen;
