//! What came of the conditions of a budget, as a part of a report and as JSON.

use serde_json::{Value, json};
use tracer_format::log::escape;

use crate::analysis::budget::{Answer, Standing};
use crate::report::{Align, Table, counted, latency};

/// The answers of one run, and the run's name.
pub(super) type OfRun<'a> = (&'a str, &'a [Answer]);

/// A row for each condition. Of several runs, that which speaks most against it, and how many do.
pub(super) fn table(runs: &[OfRun<'_>]) -> Table {
    let columns = [("fails if", Align::Left), ("found", Align::Right), ("budget", Align::Left)];
    let mut table = Table::new("Budget", &columns);
    let conditions = runs.first().map_or(0, |(_, answers)| answers.len());
    for at in 0..conditions {
        let answers = || runs.iter().filter_map(|(name, answers)| Some((*name, answers.get(at)?)));
        // The first of those that are equally bad.
        let Some((name, worst)) = answers().rev().max_by_key(|(_, answer)| weight(&answer.standing)) else {
            continue;
        };
        let alike = answers().filter(|(_, it)| weight(&it.standing) == weight(&worst.standing)).count();
        let where_found = match (runs.len(), &worst.standing) {
            (0 | 1, _) | (_, Standing::Kept) => String::new(),
            (all, _) => format!(" in {alike} of {}, first in {}", counted(all as u64, "run"), escape(name)),
        };
        table.rows.push(vec![
            escape(&worst.condition.to_string()).into_owned(),
            found(worst),
            format!("{}{where_found}", standing(worst)),
        ]);
    }
    table
}

fn weight(standing: &Standing) -> u8 {
    match standing {
        Standing::Kept => 0,
        Standing::Unknown(_) => 1,
        Standing::Broken => 2,
    }
}

/// The figure as it is shown.
pub(super) fn found(answer: &Answer) -> String {
    match answer.found {
        None => "-".to_owned(),
        Some(found) if answer.condition.quantity.is_time() => {
            latency(i64::try_from(found).unwrap_or(i64::MAX))
        }
        Some(found) => found.to_string(),
    }
}

/// The standing in words.
pub(super) fn standing(answer: &Answer) -> String {
    match &answer.standing {
        Standing::Kept => "kept".to_owned(),
        Standing::Broken => "BROKEN".to_owned(),
        Standing::Unknown(why) => format!("unknown: {}", escape(why)),
    }
}

/// One member for each condition and run.
pub(super) fn members(runs: &[OfRun<'_>]) -> Value {
    let one = |name: &str, answer: &Answer| {
        let (standing, why) = match &answer.standing {
            Standing::Kept => ("kept", None),
            Standing::Broken => ("broken", None),
            Standing::Unknown(why) => ("unknown", Some(why)),
        };
        let found = answer.found.and_then(|found| i64::try_from(found).ok());
        json!({
            "condition": answer.condition.to_string(),
            "run": name,
            "found": found,
            "limit": i64::try_from(answer.condition.limit).unwrap_or(i64::MAX),
            "standing": standing,
            "why": why,
        })
    };
    let all = runs.iter().flat_map(|(name, answers)| answers.iter().map(|answer| one(name, answer)));
    all.collect()
}
