//! Makes a trace: from events as they come, or from other traces.

mod copy;
mod kept;
mod sealer;
mod writer;

pub use copy::{Copier, Source};
pub use writer::{Writer, WriterOptions};
