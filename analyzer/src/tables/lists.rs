//! Columns of lists, filled row by row.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, ListArray, NullBufferBuilder, StringArray};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, FieldRef};
use parquet::errors::ParquetError;

use crate::Result;

/// The field of a list's elements: null where a value is not known. Arrow's own name for it.
fn element(data_type: DataType) -> FieldRef {
    Arc::new(Field::new_list_field(data_type, true))
}

/// Type of a column of lists.
pub(super) fn list_type(elements: DataType) -> DataType {
    DataType::List(element(elements))
}

/// Where the lists of a column end among its elements.
#[derive(Debug)]
struct Ends(Vec<i32>);

impl Ends {
    fn new() -> Self {
        Self(vec![0])
    }

    /// Ends the list of a row; a batch has far fewer elements than would not fit.
    fn end(&mut self, elements: usize) {
        self.0.push(i32::try_from(elements).unwrap_or(i32::MAX));
    }

    fn list(&mut self, elements: ArrayRef) -> Result<ArrayRef> {
        let ends = std::mem::replace(self, Self::new()).0;
        let field = element(elements.data_type().clone());
        let ends = OffsetBuffer::new(ScalarBuffer::from(ends));
        let list = ListArray::try_new(field, ends, elements, None).map_err(ParquetError::from)?;
        Ok(Arc::new(list))
    }
}

/// A column of lists of numbers.
pub(super) struct NumberLists {
    ends: Ends,
    numbers: Vec<i64>,
    known: NullBufferBuilder,
}

impl NumberLists {
    pub(super) fn new() -> Self {
        Self { ends: Ends::new(), numbers: Vec::new(), known: NullBufferBuilder::new(0) }
    }

    /// Adds elements to the list of the current row.
    pub(super) fn extend(&mut self, numbers: impl Iterator<Item = i64>) {
        let before = self.numbers.len();
        self.numbers.extend(numbers);
        self.known.append_n_non_nulls(self.numbers.len() - before);
    }

    /// Adds an element to the list of the current row.
    pub(super) fn push(&mut self, number: Option<i64>) {
        self.numbers.push(number.unwrap_or_default());
        self.known.append(number.is_some());
    }

    pub(super) fn end_row(&mut self) {
        self.ends.end(self.numbers.len());
    }

    /// The column; it is empty again.
    pub(super) fn take(&mut self) -> Result<ArrayRef> {
        let numbers = ScalarBuffer::from(std::mem::take(&mut self.numbers));
        self.ends.list(Arc::new(Int64Array::new(numbers, self.known.finish())))
    }
}

/// A column of lists of strings.
pub(super) struct StringLists {
    ends: Ends,
    bytes: Vec<u8>,
    string_ends: Vec<i32>,
    known: NullBufferBuilder,
}

impl StringLists {
    pub(super) fn new() -> Self {
        Self { ends: Ends::new(), bytes: Vec::new(), string_ends: vec![0], known: NullBufferBuilder::new(0) }
    }

    /// Adds an element to the list of the current row: what `write` appends, or null if it gives `false`.
    pub(super) fn push(&mut self, write: impl FnOnce(&mut Vec<u8>) -> bool) {
        let known = write(&mut self.bytes);
        self.string_ends.push(i32::try_from(self.bytes.len()).unwrap_or(i32::MAX));
        self.known.append(known);
    }

    /// Bytes of the strings so far.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn end_row(&mut self) {
        self.ends.end(self.string_ends.len() - 1);
    }

    /// The column; it is empty again.
    pub(super) fn take(&mut self) -> Result<ArrayRef> {
        let ends = std::mem::replace(&mut self.string_ends, vec![0]);
        let ends = OffsetBuffer::new(ScalarBuffer::from(ends));
        let bytes = Buffer::from_vec(std::mem::take(&mut self.bytes));
        let strings = StringArray::try_new(ends, bytes, self.known.finish()).map_err(ParquetError::from)?;
        self.ends.list(Arc::new(strings))
    }
}
