//! One site: where its arguments are when it fires, what the eBPF program reads of them, and how values are made of that.

pub mod argument;
pub mod plan;
