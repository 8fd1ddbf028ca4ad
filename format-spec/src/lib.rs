//! What follows is the format itself. [`Writer`] writes it, [`Trace`] reads it; neither does I/O of its own: the writer is
//! generic over [`std::io::Write`], the reader works on `&[u8]`.
#![doc = include_str!("../SPEC.md")]
#![forbid(unsafe_code)]

pub mod block;
pub mod clock;
pub mod header;
pub mod index;
pub mod limits;
pub mod log;

mod ahead;
mod block_ref;
mod builder;
mod codec;
mod column;
mod copy;
mod cursor;
mod decode;
mod definition;
mod dictionary;
mod error;
mod event;
mod gap;
mod ordered;
mod part;
mod scan;
mod share;
mod stream;
mod trace;
mod writer;

pub use ahead::{Outbox, Worker};
pub use block_ref::BlockRef;
pub use clock::{ClockAnchor, StoredClock};
pub use codec::LEVEL;
pub use copy::{Copier, Source};
pub use decode::BlockDecoder;
pub use definition::{Cost, Definition, Definitions, Exit, Host, Process, Site, StageDef, Thread};
pub use error::{Damage, Error, NotATrace, Result};
pub use event::{Arg, ArgKind, Columns, Event, Firing};
pub use gap::{Gap, StoredGap};
pub use ordered::{Batch, Batches};
pub use scan::{DamagedRange, Found, Scanner};
pub use share::Share;
pub use stream::{Rest, Step, Stream};
pub use trace::Trace;
pub use writer::{Writer, WriterOptions};
