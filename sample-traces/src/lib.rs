//! What the demo programs share: the buffer on the wire, their options, work that takes time, counts of fired probes and an
//! orderly end.
//!
//! `source | processor | sink` hands real buffers on, so the six `buffer_tracker` probes of one buffer are causally linked:
//! a later probe of the same sequence number never fires before an earlier one has.

#![forbid(unsafe_code)]

pub mod buffer;
pub mod duration;
pub mod error;
pub mod fired;
pub mod input;
pub mod options;
pub mod random;
pub mod stop;
pub mod synth;
pub mod work;

pub use error::Error;

use fired::Fired;
use std::process::ExitCode;

/// Prints the counts of a program that ends, and its error if it failed; gives its exit code.
///
/// That the reader of our output has gone is an ordinary end.
#[must_use]
pub fn exit_code(program: &str, result: &Result<(), Error>, fired: &[&Fired]) -> ExitCode {
    for probe in fired {
        eprintln!("{probe}");
    }
    match result {
        Err(error) if !error.is_closed_pipe() => {
            let cause = std::error::Error::source(error).map(|c| format!(": {c}")).unwrap_or_default();
            eprintln!("{program}: {error}{cause}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}
