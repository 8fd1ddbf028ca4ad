//! Budgets and comparisons as JUnit XML, the form of test results that CI servers show.
//!
//! A condition that holds and a stage that got slower are failures; what cannot be said is an error, so that no server takes it
//! for a success.

use std::fmt::Write;

use tracer_format::log::escape;

use super::budget;
use crate::analysis::budget::{Answer, Standing};
use crate::analysis::compare::{Comparison, Item, Verdict};

/// A test in the eyes of a CI server.
struct TestCase {
    class: String,
    name: String,
    /// `failure` or `error`, and a message, if it is no success.
    problem: Option<(&'static str, String)>,
}

/// What came of the conditions on the trace that is called `name`.
#[must_use]
pub fn of_budget(name: &str, answers: &[Answer]) -> String {
    let cases: Vec<TestCase> = answers.iter().map(|answer| of_answer(name, answer)).collect();
    document("tracer analyze", &cases)
}

/// The verdict on each stage, and what came of the conditions on each new run.
#[must_use]
pub fn of_comparison(comparison: &Comparison) -> String {
    let mut cases: Vec<TestCase> = comparison.stages.iter().map(of_stage).collect();
    if comparison.compared() == 0 {
        let problem = "nothing was compared: no stage has a complete span on both sides";
        let problem = Some(("error", problem.to_owned()));
        cases.push(TestCase { class: "stages".to_owned(), name: "comparison".to_owned(), problem });
    }
    for (name, answers) in &comparison.new.budget {
        cases.extend(answers.iter().map(|answer| of_answer(name, answer)));
    }
    for (side, outcome) in [("base", &comparison.base.outcome), ("new", &comparison.new.outcome)] {
        let problem = outcome.loss_text().map(|text| ("error", text));
        cases.push(TestCase { class: "loss".to_owned(), name: side.to_owned(), problem });
    }
    document("tracer diff", &cases)
}

fn of_answer(run: &str, answer: &Answer) -> TestCase {
    let figure = budget::found(answer);
    let problem = match &answer.standing {
        Standing::Kept => None,
        Standing::Broken => Some(("failure", format!("found {figure}"))),
        Standing::Unknown(why) => Some(("error", format!("unknown: {why}"))),
    };
    TestCase { class: format!("budget of {run}"), name: answer.condition.to_string(), problem }
}

fn of_stage(item: &Item) -> TestCase {
    let change = item.shift.as_ref().map_or_else(String::new, |shift| {
        let by: Vec<&str> = item.by.iter().map(|percentile| percentile.name()).collect();
        format!(" by {}: the middle of all spans {:+.1} %", by.join(", "), (shift.ratio - 1.0) * 100.0)
    });
    let problem = match item.verdict {
        Verdict::Slower => Some(("failure", format!("slower{change}"))),
        Verdict::Gone | Verdict::TooFew => Some(("error", item.verdict.name().to_owned())),
        Verdict::Same | Verdict::Faster | Verdict::Inconclusive | Verdict::New => None,
    };
    TestCase { class: "stages".to_owned(), name: item.name.clone(), problem }
}

fn document(suite: &str, cases: &[TestCase]) -> String {
    let of = |kind| cases.iter().filter(|case| case.problem.as_ref().is_some_and(|it| it.0 == kind)).count();
    let (failures, errors) = (of("failure"), of("error"));
    let mut out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned();
    let counts = format!("tests=\"{}\" failures=\"{failures}\" errors=\"{errors}\"", cases.len());
    out += &format!("<testsuites {counts}>\n<testsuite name=\"{suite}\" {counts}>\n");
    for TestCase { class, name, problem } in cases {
        let head = format!("<testcase classname=\"{}\" name=\"{}\"", text(class), text(name));
        let written = match problem {
            None => writeln!(out, "{head}/>"),
            Some((kind, message)) => {
                writeln!(out, "{head}><{kind} message=\"{}\"/></testcase>", text(message))
            }
        };
        written.expect("a string takes all");
    }
    out + "</testsuite>\n</testsuites>\n"
}

/// A text as the value of an attribute; XML has no way to write some characters at all.
fn text(of: &str) -> String {
    let mut out = String::new();
    for letter in escape(of).chars() {
        match letter {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\u{fffe}' | '\u{ffff}' => out.push(char::REPLACEMENT_CHARACTER),
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_the_value_of_an_attribute() {
        assert_eq!(
            text("a & b < \"c\" > d\u{1}\n\u{ffff}"),
            "a &amp; b &lt; &quot;c&quot; &gt; d\\x01\\n\u{fffd}"
        );
    }
}
