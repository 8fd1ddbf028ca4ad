//! Values as text.

use tracer_format::{Arg, ArgKind, Columns, Site};

use super::by::GroupBy;

/// Where the events of a site have the value; `None` if they have none.
pub(super) fn argument(by: GroupBy, site: &Site) -> Option<usize> {
    match by {
        GroupBy::Arg(arg) => Some(usize::from(arg)).filter(|&arg| arg < site.args.len()),
        GroupBy::Str | GroupBy::Sql => site.args.iter().position(|&kind| kind == ArgKind::Str),
        _ => None,
    }
}

/// Argument `arg` of row `row`, whose site's is of kind `kind`; `None` if it was unreadable.
pub(super) fn text(columns: &Columns, row: usize, arg: usize, kind: ArgKind, is_sql: bool) -> Option<String> {
    if columns.row_unreadable(row) >> arg & 1 != 0 {
        return None;
    }
    let &bits = columns.row_values(row).get(arg)?;
    match kind {
        ArgKind::Signed(_) => Some(bits.cast_signed().to_string()),
        ArgKind::Unsigned(_) => Some(bits.to_string()),
        ArgKind::Str => {
            let bytes = columns.string(bits)?;
            let arg = if columns.is_cut(bits) { Arg::CutStr(bytes) } else { Arg::Str(bytes) };
            let text = arg.text()?;
            Some(if is_sql { shape(&text) } else { text })
        }
        ArgKind::Float(4) => Some(f32::from_bits(u32::try_from(bits).ok()?).to_string()),
        ArgKind::Float(_) => Some(f64::from_bits(bits).to_string()),
        ArgKind::Unknown(_) => None,
    }
}

/// SQL without its values: `?` for numbers and texts in quotes, and one space for many.
pub(crate) fn shape(sql: &str) -> String {
    let mut shape = String::new();
    let mut letters = sql.chars().peekable();
    let is_of_name = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '$' | '"');
    while let Some(letter) = letters.next() {
        let before = shape.chars().next_back();
        match letter {
            '\'' => {
                // Two quotes stand for one inside of the text.
                while let Some(inside) = letters.next() {
                    if inside == '\'' && letters.next_if_eq(&'\'').is_none() {
                        break;
                    }
                }
                shape.push('?');
            }
            '0'..='9' if !before.is_some_and(is_of_name) => {
                while letters.next_if(|next| next.is_ascii_alphanumeric() || *next == '.').is_some() {}
                // A minus before a number that stands by itself belongs to it.
                if before == Some('-') && shape.trim_end_matches('-').ends_with([' ', '(', ',', '=']) {
                    shape.pop();
                }
                shape.push('?');
            }
            space if space.is_whitespace() => {
                if before.is_some_and(|before| before != ' ') {
                    shape.push(' ');
                }
            }
            _ => shape.push(letter),
        }
    }
    shape.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Where texts are many, a shape is looked for by its own shape.
        #[test]
        fn the_shape_of_a_shape_is_the_same(sql in "[ a1'\\-(,=.?\"$_\n]{0,24}") {
            let once = shape(&sql);
            prop_assert_eq!(shape(&once), once);
        }
    }

    #[test]
    fn sql_is_told_apart_by_its_shape() {
        for (sql, expected) in [
            ("SELECT a1 FROM t2 WHERE x = 17", "SELECT a1 FROM t2 WHERE x = ?"),
            ("INSERT  INTO t\n VALUES (8, -2573, 1.5e3, 'it''s')", "INSERT INTO t VALUES (?, ?, ?, ?)"),
            ("SELECT $1, x-1", "SELECT $1, x-?"),
            ("x = 'open", "x = ?"),
            ("", ""),
        ] {
            assert_eq!(shape(sql), expected);
        }
    }
}
