//! Budgets: conditions on the figures of an analysis under which a job fails, such as `awe.p99 > 5ms`.
//!
//! A condition that cannot be judged, because its stage has no complete span or because events were lost, is never taken for
//! one that does not hold: it is [`Standing::Unknown`].

mod answer;
mod condition;
mod list;

pub use answer::{Answer, Standing, answers, known};
pub use condition::{Condition, Operator, Quantity, Subject};
pub use list::parse;
