//! What differs between processors: the names of machines, registers as the kernel saves them, forms of nops.

pub mod machine;
pub mod nop;
pub(crate) mod register;
