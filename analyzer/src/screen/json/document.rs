//! A JSON document whose long lists are written item by item: as values, they would take many times the room of their text.

use std::io;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value};

use crate::report::PlainJson;

/// Makes the items of a list, one after the other.
type Items<'d> = Box<dyn Fn() -> Box<dyn Iterator<Item = Value> + 'd> + 'd>;

/// A document: members, of which some are lists that are still to be made.
pub(in crate::screen) struct LongDocument<'d> {
    members: Map<String, Value>,
    lists: Vec<(&'static str, Items<'d>)>,
}

impl<'d> LongDocument<'d> {
    /// Of the members of an object.
    pub(in crate::screen) fn of(object: Value) -> Self {
        let members = if let Value::Object(members) = object { members } else { Map::new() };
        Self { members, lists: Vec::new() }
    }

    /// The same with `items` in the place of member `name`, or of `a.b`, the member `b` of member `a`.
    pub(in crate::screen) fn with_list<I: Iterator<Item = Value> + 'd>(
        mut self,
        name: &'static str,
        items: impl Fn() -> I + 'd,
    ) -> Self {
        self.lists.push((name, Box::new(move || Box::new(items()))));
        self
    }

    /// Renders it, with a line end.
    pub(in crate::screen) fn text(&self) -> String {
        let mut json = PlainJson(Vec::new());
        serde_json::to_writer_pretty(&mut json, self).expect("the document has string keys only");
        json.0.push(b'\n');
        String::from_utf8(json.0).expect("texts are written as a whole")
    }

    /// Writes the same.
    pub(in crate::screen) fn write(&self, out: &mut impl io::Write) -> io::Result<()> {
        serde_json::to_writer_pretty(PlainJson(&mut *out), self)?;
        out.write_all(b"\n")
    }
}

impl Serialize for LongDocument<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Members { of: &self.members, path: String::new(), lists: &self.lists }.serialize(serializer)
    }
}

/// The members of the document, or of an object in it that has lists.
struct Members<'l, 'd> {
    of: &'l Map<String, Value>,
    /// Where the object is, with a point behind it.
    path: String,
    lists: &'l [(&'static str, Items<'d>)],
}

impl Serialize for Members<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.of.len()))?;
        for (name, member) in self.of {
            let path = format!("{}{name}", self.path);
            let within = format!("{path}.");
            match (self.lists.iter().find(|(list, _)| *list == path), member) {
                (Some((_, items)), _) => map.serialize_entry(name, &List(items))?,
                (None, Value::Object(of)) if self.lists.iter().any(|(list, _)| list.starts_with(&within)) => {
                    map.serialize_entry(name, &Members { of, path: within, lists: self.lists })?;
                }
                _ => map.serialize_entry(name, member)?,
            }
        }
        map.end()
    }
}

struct List<'l, 'd>(&'l Items<'d>);

impl Serialize for List<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq((self.0)())
    }
}
