//! Content of blocks: columns of events, definitions, the index; each written and read here, side by side.

mod builder;
mod codec;
mod column;
mod cursor;
pub(crate) mod cuts;
mod decoder;
mod definition;
mod dictionary;
pub(crate) mod index;
mod predict;
mod shared;

pub(crate) use builder::BlockBuilder;
pub(crate) use codec::Encoder;
pub use codec::LEVEL;
pub use decoder::BlockDecoder;
pub(crate) use dictionary::{DictionaryBuilder, decode as decode_definitions, weight};
pub(crate) use shared::Shared;
