//! What spans have in common: the thread, the processor, an argument; of those that take most of a stage's time, and of the
//! slow ones.

mod apart;
mod collect;
mod condition;
mod dominant;
mod finding;
mod order;
mod own;
mod sampled;
mod value;

pub use collect::Properties;
