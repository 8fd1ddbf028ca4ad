//! Names from programs, made safe for a terminal: the escape of the log.

pub(crate) use tracer_format::log::escape;
