//! Rows that were written and will be written again at the end, so that a reader finds them in one place.

/// Rows, up to this many, are kept in memory and written again.
const MAX_RESTATED: usize = 1 << 18;

/// Rows that were written and will be written again at the end; none if they became too many.
pub(super) struct Kept<T> {
    pub(super) rows: Vec<T>,
    too_many: bool,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { rows: Vec::new(), too_many: false }
    }
}

impl<T: Copy> Kept<T> {
    pub(super) fn add(&mut self, rows: &[T]) {
        self.too_many |= self.rows.len() + rows.len() > MAX_RESTATED;
        if self.too_many {
            // All or none: a reader takes those that it finds at the end for all.
            self.rows = Vec::new();
        } else {
            self.rows.extend_from_slice(rows);
        }
    }
}
