//! Makes a trace: from events as they come, or from other traces.

mod blocks;
mod copy;
mod kept;
mod packer;
mod repeats;
mod sealer;
mod shift;
mod writer;

pub use copy::{Copier, Source};
pub use shift::Shift;
pub use writer::{Writer, WriterOptions};
