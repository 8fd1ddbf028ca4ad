//! `--group-by pid|tid|program|cpu|argN|str|sql`.

use std::fmt;
use std::str::FromStr;

use tracer_format::grammar::Malformed;
use tracer_format::limits::MAX_ARGUMENTS;

/// What spans are told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupBy {
    /// The process where they begin.
    Pid,
    /// The thread where they begin.
    Tid,
    /// The program of that process.
    Program,
    /// The processor where they begin.
    Cpu,
    /// An argument of the probe that begins them, or, if that one has no such argument, of the one that ends them.
    Arg(u8),
    /// The first argument that is a string.
    Str,
    /// The same as SQL: spaces count once, and for each number and each text in quotes stands a `?`.
    Sql,
}

impl FromStr for GroupBy {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let arg = || {
            let number: u8 = text.strip_prefix("arg")?.parse().ok()?;
            (usize::from(number) < MAX_ARGUMENTS).then_some(Self::Arg(number))
        };
        match text {
            "pid" => Ok(Self::Pid),
            "tid" => Ok(Self::Tid),
            "program" => Ok(Self::Program),
            "cpu" => Ok(Self::Cpu),
            "str" => Ok(Self::Str),
            "sql" => Ok(Self::Sql),
            _ => arg().ok_or_else(|| {
                Malformed::new("group", text, "pid, tid, program, cpu, arg0 to arg11, str or sql")
            }),
        }
    }
}

impl fmt::Display for GroupBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pid => f.write_str("pid"),
            Self::Tid => f.write_str("tid"),
            Self::Program => f.write_str("program"),
            Self::Cpu => f.write_str("cpu"),
            Self::Arg(arg) => write!(f, "arg{arg}"),
            Self::Str => f.write_str("str"),
            Self::Sql => f.write_str("sql"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_written_as_they_are_read() {
        for text in ["pid", "tid", "program", "cpu", "arg0", "arg11", "str", "sql"] {
            assert_eq!(text.parse::<GroupBy>().unwrap().to_string(), text);
        }
        for text in ["", "arg", "arg12", "arg-1", "seq"] {
            let error = text.parse::<GroupBy>().unwrap_err().to_string();
            assert!(error.contains("expected pid, tid, program, cpu, arg0 to arg11, str or sql"), "{error}");
        }
    }
}
