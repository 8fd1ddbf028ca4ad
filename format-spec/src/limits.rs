//! Every limit of the format, in one place; SPEC.md "Limits" quotes them and `tests/limits.rs` goes one above each.
//!
//! A length or a count from a file is compared with its limit before anything is allocated for it.

/// Events in one block.
pub const MAX_BLOCK_EVENTS: usize = 1 << 16;
/// Argument values in one block, over all its events; strings in one block.
pub const MAX_BLOCK_VALUES: usize = 1 << 18;
/// Bytes of string arguments in one block, before compression.
pub const MAX_BLOCK_STRING_BYTES: usize = 1 << 20;
/// Blocks in one part; above it their numbers would not be told apart from damage.
pub const MAX_BLOCKS: usize = 1 << 31;
/// Stored bytes of any block.
pub const MAX_STORED_BYTES: usize = 8 << 20;
/// Bytes of one definitions block, before compression.
pub const MAX_DEFINITIONS_BYTES: usize = 4 << 20;
/// Definitions of one kind in one file.
pub const MAX_DEFINITIONS: usize = 1 << 22;
/// Weight of all definitions of a file, each counted once: [`DEFINITION_WEIGHT`], its bytes before compression, and
/// [`WORD_WEIGHT`] for each word of a command line: about what a reader keeps in memory.
pub const MAX_DEFINITIONS_WEIGHT: usize = 1 << 30;
/// Weight that any file may have, however short.
pub const MIN_DEFINITIONS_WEIGHT: usize = 16 << 20;
/// Weight that a file may have in addition for each of its bytes up to the end of the block.
pub const WEIGHT_PER_BYTE: usize = 1024;
/// Weight of a definition beside its bytes.
pub const DEFINITION_WEIGHT: usize = 64;
/// Weight of each word of a command line beside its bytes.
pub const WORD_WEIGHT: usize = 32;
/// Gaps or clock anchors in one block.
pub const MAX_BLOCK_RECORDS: usize = 1 << 16;
/// Arguments of one site, as `sys/sdt.h` has it.
pub const MAX_ARGUMENTS: usize = 12;
/// Bytes of one string in a definition; longer ones are cut when written, and end with `…`.
pub const MAX_NAME_BYTES: usize = 4096;
/// Words of a command line kept in a definition; of more, the last is `…`.
pub const MAX_COMMAND_WORDS: usize = 256;
/// Bytes of one string argument of an event; longer ones are cut when recorded.
pub const MAX_STRING_ARGUMENT_BYTES: usize = 4096;
