//! Which processes: `-p PID` and `-x PROGRAM`.

use std::fmt;
use std::str::FromStr;

use glob::Pattern;

use super::Malformed;

/// A glob for names of programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramPattern(Pattern);

impl ProgramPattern {
    /// Whether a program is meant.
    #[must_use]
    pub fn matches(&self, program: &str) -> bool {
        self.0.matches(program)
    }
}

impl FromStr for ProgramPattern {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let malformed = || Malformed::new("program", text, "a name or a glob such as 'nginx' or 'worker-*'");
        if text.is_empty() {
            return Err(malformed().because("a name is empty (use * for any)"));
        }
        let glob = |error: glob::PatternError| malformed().because(format!("bad glob: {}", error.msg));
        Pattern::new(text).map(Self).map_err(glob)
    }
}

impl fmt::Display for ProgramPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Reads a process id.
///
/// # Errors
/// If it is no number that a process can have.
pub fn process_id(text: &str) -> Result<u32, Malformed> {
    let pid = text.parse().ok().filter(|&pid: &u32| i32::try_from(pid).is_ok_and(|pid| pid > 0));
    pid.ok_or_else(|| Malformed::new("process id", text, "a number above 0 such as 1234"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_globs() {
        let pattern: ProgramPattern = "work*".parse().unwrap();
        assert!(pattern.matches("worker") && !pattern.matches("network"));
        let message = |text: &str| text.parse::<ProgramPattern>().unwrap_err().to_string();
        let expected = "expected a name or a glob such as 'nginx' or 'worker-*'";
        assert_eq!(message(""), format!("program \"\": a name is empty (use * for any); {expected}"));
        assert_eq!(message("[a"), format!("program \"[a\": bad glob: invalid range pattern; {expected}"));
    }

    #[test]
    fn process_ids_are_above_0() {
        assert_eq!(process_id("17"), Ok(17));
        for text in ["0", "-1", "x", "", "4294967295"] {
            let expected = format!("process id \"{text}\": expected a number above 0 such as 1234");
            assert_eq!(process_id(text).unwrap_err().to_string(), expected);
        }
    }
}
