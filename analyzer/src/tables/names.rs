//! Names as Arrow dictionaries: a number a row, each name once.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, DictionaryArray, PrimitiveArray, StringArray};
use arrow::datatypes::{DataType, Int32Type};

use crate::Result;

/// The names of a column.
#[derive(Debug, Default)]
pub(super) struct Names<'n> {
    keys: HashMap<&'n str, i32>,
    list: Vec<&'n str>,
}

impl<'n> Names<'n> {
    /// The number of `name`, which is added if it is new.
    pub(super) fn key(&mut self, name: &'n str) -> i32 {
        let next = i32::try_from(self.list.len()).expect("definitions are limited to fewer");
        *self.keys.entry(name).or_insert_with(|| {
            self.list.push(name);
            next
        })
    }

    /// All names, to be shared by the columns of every batch.
    pub(super) fn array(&self) -> ArrayRef {
        Arc::new(StringArray::from(self.list.clone()))
    }
}

/// Type of a column of names.
pub(super) fn names_type() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

/// A column: the names whose numbers are `keys`.
pub(super) fn column(keys: impl Into<PrimitiveArray<Int32Type>>, names: &ArrayRef) -> Result<ArrayRef> {
    let column = DictionaryArray::try_new(keys.into(), names.clone())
        .map_err(::parquet::errors::ParquetError::from)?;
    Ok(Arc::new(column))
}
