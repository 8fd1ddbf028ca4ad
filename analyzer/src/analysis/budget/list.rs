//! Conditions in a file, to be kept beside the program that they are about.
//!
//! ```toml
//! fail_if = ["awe.p99 > 5ms", "loss > 0"]
//! ```

use toml::Spanned;
use toml::de::DeValue;

use super::condition::Condition;
use crate::Result;
use crate::stage::file::{Problem, document, error};

/// Reads conditions: TOML with one list of strings, `fail_if`.
///
/// # Errors
/// [`Error::StageFile`](crate::Error::StageFile) with the line that is not understood.
pub fn parse(text: &str) -> Result<Vec<Condition>> {
    let mut all = Vec::new();
    for (key, value) in document(text)?.get_ref() {
        let at = key.span().start;
        if key.get_ref() != "fail_if" {
            return Err(error(text, at, "expected nothing but a list fail_if".to_owned()));
        }
        all = conditions(value).map_err(|problem| error(text, problem.at.unwrap_or(at), problem.text))?;
    }
    if all.is_empty() {
        let expected = "expected fail_if = [\"STAGE.QUANTITY > LIMIT\", ...] with a condition in it";
        return Err(error(text, 0, expected.to_owned()));
    }
    Ok(all)
}

fn conditions(value: &Spanned<DeValue<'_>>) -> std::result::Result<Vec<Condition>, Problem> {
    let DeValue::Array(values) = value.get_ref() else {
        return Err("expected a list of conditions".to_owned().into());
    };
    let one = |value: &Spanned<DeValue<'_>>| {
        let problem = |text: String| Problem { at: Some(value.span().start), text };
        match value.get_ref() {
            DeValue::String(text) => text.parse().map_err(|wrong: crate::Error| problem(wrong.to_string())),
            _ => Err(problem("expected a string".to_owned())),
        }
    };
    values.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_holds_a_list_of_conditions() {
        let text = "# ours\nfail_if = [\n  \"awe.p99 > 5ms\",\n  'loss > 0',\n]\n";
        let conditions: Vec<String> = parse(text).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(conditions, ["awe.p99 > 5ms", "loss > 0"]);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, start) in [
            ("", "line 1: found \"\": expected fail_if = ["),
            ("fail_if = []", "line 1: found \"fail_if = []\": expected fail_if = ["),
            ("\nfail_if = 1", "line 2: found \"fail_if = 1\": expected a list of conditions"),
            ("fail_if = [\n1]", "line 2: found \"1]\": expected a string"),
            ("[budget]\n", "line 1: found \"[budget]\": expected nothing but a list fail_if"),
            (
                "fail_if = [\n'a.p99 > 5ms',\n'a.p9 > 1s']",
                "line 3: found \"'a.p9 > 1s']\": condition \"a.p9 > 1s\"",
            ),
        ] {
            let message = parse(text).unwrap_err().to_string();
            assert!(message.starts_with(start), "{message}\n{start}");
        }
    }
}
