//! Which stages an analysis has.

use std::collections::BTreeSet;

use tracer_format::Definitions;
use tracer_format::grammar::Malformed;

use super::draft::Draft;
use super::learn::learn;
use crate::Result;

/// The stages to analyze: those given; else those that the recording was given; else those that the names tell.
///
/// # Errors
/// [`crate::Error::Usage`] if two stages have one name, or a stage in the trace is not one.
pub fn choose(given: &[Draft], definitions: &Definitions) -> Result<Vec<Draft>> {
    let stages = if !given.is_empty() {
        given.to_vec()
    } else if !definitions.stages.is_empty() {
        definitions.stages.iter().map(Draft::try_from).collect::<Result<_>>()?
    } else {
        learn(definitions)
    };
    let mut names = BTreeSet::new();
    match stages.iter().find(|draft| !names.insert(&draft.stage.name)) {
        Some(stage) => {
            Err(Malformed::new("stage", &stage.to_string(), "a name that no other stage has").into())
        }
        None => Ok(stages),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_stages_cannot_have_one_name() {
        let stage: Draft = "x = a:b -> c:d".parse().unwrap();
        let error = choose(&[stage.clone(), stage], &Definitions::default()).unwrap_err().to_string();
        assert!(error.ends_with("expected a name that no other stage has"), "{error}");
    }
}
