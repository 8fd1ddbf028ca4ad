//! A condition: `SUBJECT.QUANTITY OPERATOR LIMIT`.

use std::fmt;
use std::str::FromStr;

use tracer_format::grammar::{Malformed, TimeSpan, nearest};

use crate::error::Error;

/// Of what a condition names a quantity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// The whole trace.
    Trace,
    /// A buffer's way along the whole path: `end to end`.
    Path,
    /// A stage, or a hand-off such as `awe -> writing`.
    Named(String),
}

/// What is compared with the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    /// Events that were analyzed.
    Events,
    /// Events that were lost while recording.
    Loss,
    /// Complete spans.
    Count,
    /// Spans that are begun and not ended.
    Open,
    /// Ends whose begin was not seen.
    OrphanEnd,
    /// Begins while one of their key is open.
    RepeatedBegin,
    /// Ends after one of their key.
    RepeatedEnd,
    /// Ends earlier than their begins.
    Inverted,
    /// Complete spans that a later one overtook.
    Reordered,
    /// Least latency.
    Min,
    /// Mean latency.
    Mean,
    /// A percentile of the latencies, in thousandths.
    Percentile(u64),
    /// Greatest latency.
    Max,
}

/// Names of quantities; those of the whole trace first, then classes of spans, then times.
const QUANTITIES: [(&str, Quantity); 16] = [
    ("events", Quantity::Events),
    ("loss", Quantity::Loss),
    ("count", Quantity::Count),
    ("open", Quantity::Open),
    ("orphan_end", Quantity::OrphanEnd),
    ("repeated_begin", Quantity::RepeatedBegin),
    ("repeated_end", Quantity::RepeatedEnd),
    ("inverted", Quantity::Inverted),
    ("reordered", Quantity::Reordered),
    ("min", Quantity::Min),
    ("mean", Quantity::Mean),
    ("p50", Quantity::Percentile(500)),
    ("p90", Quantity::Percentile(900)),
    ("p99", Quantity::Percentile(990)),
    ("p999", Quantity::Percentile(999)),
    ("max", Quantity::Max),
];
/// How many of them are of the whole trace.
const OF_TRACE: usize = 2;

impl Quantity {
    /// Its name in a condition.
    #[must_use]
    pub fn name(self) -> &'static str {
        QUANTITIES.iter().find(|(_, quantity)| *quantity == self).map_or("?", |(name, _)| name)
    }

    /// Whether it is a time, and not a number.
    #[must_use]
    pub fn is_time(self) -> bool {
        matches!(self, Self::Min | Self::Mean | Self::Percentile(_) | Self::Max)
    }
}

/// How a figure is compared with the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `>`
    Above,
    /// `>=`
    AtLeast,
    /// `<`
    Below,
    /// `<=`
    AtMost,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
}

/// Longer ones first: each is looked for at the end of a text.
const OPERATORS: [(&str, Operator); 6] = [
    (">=", Operator::AtLeast),
    ("<=", Operator::AtMost),
    ("==", Operator::Equal),
    ("!=", Operator::NotEqual),
    (">", Operator::Above),
    ("<", Operator::Below),
];

const OPERATORS_TEXT: &str = "compare with one of > >= < <= == !=";

impl Operator {
    /// Whether `found` is to `limit` as it says.
    #[must_use]
    pub fn holds(self, found: i128, limit: i128) -> bool {
        match self {
            Self::Above => found > limit,
            Self::AtLeast => found >= limit,
            Self::Below => found < limit,
            Self::AtMost => found <= limit,
            Self::Equal => found == limit,
            Self::NotEqual => found != limit,
        }
    }
}

/// A condition under which a job fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// As it was written.
    text: String,
    /// Of what.
    pub subject: Subject,
    /// What.
    pub quantity: Quantity,
    /// How it is compared.
    pub operator: Operator,
    /// With what: ns, or a number.
    pub limit: i128,
}

impl fmt::Display for Condition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl FromStr for Condition {
    type Err = Error;

    /// `awe.p99 > 5ms`, `awe -> writing.max >= 1ms`, `end to end.p50 > 10ms`, `global.count < 100`, `loss > 0`.
    fn from_str(text: &str) -> Result<Self, Error> {
        let expected = "a condition such as 'awe.p99 > 5ms', 'awe.count < 100' or 'loss > 0'";
        let wrong = |problem: String| Malformed::new("condition", text, expected).because(problem);
        // The value has no operator in it, a name may: that of a hand-off is "awe -> writing".
        let end = text.rfind(['<', '>', '=']).ok_or_else(|| wrong("no comparison".to_owned()))?;
        let (before, value) = (text[..=end].trim_end(), text[end + 1..].trim());
        let (sign, operator) = OPERATORS
            .iter()
            .find(|(sign, _)| before.ends_with(sign))
            .ok_or_else(|| wrong(OPERATORS_TEXT.to_owned()))?;
        let left = before[..before.len() - sign.len()].trim();
        if let Some((_, quantity)) = left.rsplit_once('.')
            && let Some(at) = quantity.rfind(['<', '>', '=', '!'])
        {
            // Where nothing stands between two signs, they are one that is not known.
            return Err(wrong(match &quantity[at + 1..] {
                "" => OPERATORS_TEXT.to_owned(),
                _ => "it has two comparisons, a condition has one".to_owned(),
            })
            .into());
        }
        let (subject, quantity) = subject(left).map_err(wrong)?;
        let limit = limit(value, quantity).map_err(wrong)?;
        Ok(Self { text: text.trim().to_owned(), subject, quantity, operator: *operator, limit })
    }
}

/// What stands left of the operator, or what is wrong with it.
fn subject(left: &str) -> Result<(Subject, Quantity), String> {
    let of_trace = QUANTITIES[..OF_TRACE].iter().find(|(name, _)| *name == left);
    if let Some((_, quantity)) = of_trace {
        return Ok((Subject::Trace, *quantity));
    }
    // Both ways to write it, although the one has a dot in it.
    let left = left.strip_suffix(".p99.9").map_or_else(|| left.to_owned(), |name| format!("{name}.p999"));
    let (name, wanted) = left.rsplit_once('.').map_or((left.as_str(), ""), |(name, it)| (name.trim(), it));
    let of_spans = &QUANTITIES[OF_TRACE..];
    let Some((_, quantity)) = of_spans.iter().find(|(known, _)| *known == wanted) else {
        let names: Vec<&str> = of_spans.iter().map(|(name, _)| *name).collect();
        return Err(if wanted.is_empty() {
            format!("name a quantity as STAGE.QUANTITY: {}; or events or loss", names.join(", "))
        } else {
            let near = nearest(wanted, names.iter().copied());
            let all = if near.is_empty() { format!("; there are {}", names.join(", ")) } else { near };
            format!("there is no quantity {wanted}{all}")
        });
    };
    match name {
        "" => Err("name a stage before the dot".to_owned()),
        "end to end" if !quantity.is_time() && *quantity != Quantity::Count => {
            Err(format!("end to end has no {wanted}, only count and times"))
        }
        "end to end" => Ok((Subject::Path, *quantity)),
        name => Ok((Subject::Named(name.to_owned()), *quantity)),
    }
}

/// What stands right of the operator, or what is wrong with it.
fn limit(value: &str, quantity: Quantity) -> Result<i128, String> {
    let name = quantity.name();
    if !quantity.is_time() {
        return value
            .parse::<u64>()
            .map(i128::from)
            .map_err(|_| format!("{name} is compared with a whole number, not with \"{value}\""));
    }
    let has_unit = value.ends_with(|letter: char| letter.is_ascii_alphabetic()) || value == "0";
    let span = value.parse::<TimeSpan>().ok().filter(|_| has_unit);
    let ns = span.and_then(|TimeSpan(span)| i128::try_from(span.as_nanos()).ok());
    ns.ok_or_else(|| format!("{name} is compared with a time and its unit such as 5ms, not with \"{value}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_name_a_subject_a_quantity_and_a_limit() {
        let named = |name: &str| Subject::Named(name.to_owned());
        for (text, subject, quantity, operator, limit) in [
            ("awe.p99 > 5ms", named("awe"), Quantity::Percentile(990), Operator::Above, 5_000_000),
            ("awe.p99>5ms", named("awe"), Quantity::Percentile(990), Operator::Above, 5_000_000),
            ("a.b.p99.9 >= 1.5s", named("a.b"), Quantity::Percentile(999), Operator::AtLeast, 1_500_000_000),
            ("awe -> writing.max <= 2us", named("awe -> writing"), Quantity::Max, Operator::AtMost, 2000),
            ("end to end.mean != 0", Subject::Path, Quantity::Mean, Operator::NotEqual, 0),
            ("global.count < 100", named("global"), Quantity::Count, Operator::Below, 100),
            ("first byte.open == 0", named("first byte"), Quantity::Open, Operator::Equal, 0),
            ("loss > 0", Subject::Trace, Quantity::Loss, Operator::Above, 0),
            ("events < 1000", Subject::Trace, Quantity::Events, Operator::Below, 1000),
        ] {
            let condition: Condition = text.parse().unwrap();
            assert_eq!(
                (condition.subject, condition.quantity, condition.operator, condition.limit),
                (subject, quantity, operator, limit),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_wrong_with_a_condition_is_told() {
        for (text, problem) in [
            ("awe.p99", "no comparison"),
            ("awe.p99 = 5ms", "compare with one of > >= < <= == !="),
            ("awe.p99 => 5ms", "compare with one of > >= < <= == !="),
            ("awe.p99 <> 5ms", "compare with one of > >= < <= == !="),
            ("awe.p99 > 5ms or loss > 0", "it has two comparisons, a condition has one"),
            ("awe > 5ms", "name a quantity as STAGE.QUANTITY: count,"),
            ("awe.p95 > 5ms", "there is no quantity p95; the nearest are p90, p99 and p999; expected"),
            ("awe.xyz > 5ms", "there is no quantity xyz; there are count, open,"),
            (".p99 > 5ms", "name a stage before the dot"),
            ("end to end.open > 5", "end to end has no open, only count and times"),
            ("awe.p99 > 5", "p99 is compared with a time and its unit such as 5ms, not with \"5\""),
            ("awe.p99 > ", "p99 is compared with a time and its unit such as 5ms, not with \"\""),
            ("awe.count < 5ms", "count is compared with a whole number, not with \"5ms\""),
            ("loss > -1", "loss is compared with a whole number, not with \"-1\""),
            ("awe -> writing", "name a quantity as STAGE.QUANTITY: count,"),
            ("", "no comparison"),
        ] {
            let message = text.parse::<Condition>().unwrap_err().to_string();
            let start = format!("condition \"{text}\": {problem}");
            assert!(message.starts_with(&start), "{message}\n{start}");
        }
    }
}
