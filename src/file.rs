//! Files that the verbs share: what they read, and what they write.

pub(crate) mod budget;
pub(crate) mod growing;
pub(crate) mod input;
pub(crate) mod output;
pub(crate) mod presets;
pub(crate) mod secret;
pub(crate) mod stages;
pub(crate) mod trace;
