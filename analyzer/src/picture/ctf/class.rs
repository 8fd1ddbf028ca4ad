//! Classes of events: one for each probe, form of its arguments, and choice of them that was readable.
//!
//! babeltrace2 2.0.4 shows an empty string as the one of an earlier event of the same class, so what is empty makes a class, too.

use std::collections::HashMap;

use tracer_format::limits::MAX_ARGUMENTS;
use tracer_format::log::name_text;
use tracer_format::{Arg, ArgKind, Definitions, Event, Site, SiteId};

use super::metadata::push_event_class;

/// What makes two classes one.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct EventClass {
    /// The probe, as the log prints it.
    pub(super) name: String,
    /// Names and types of the fields, in order.
    pub(super) fields: Vec<(String, FieldType)>,
    form: Form,
}

/// What is special about the fields of an event, a bit for each argument.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct Form {
    /// Unreadable: there is no such field.
    left_out: u16,
    /// An empty string. Behind the arguments: the name of the program.
    empty: u16,
}

impl Form {
    /// The same of an event of a program whose name is empty.
    pub(super) fn of_nameless(self, is_nameless: bool) -> Self {
        Self { empty: self.empty | u16::from(is_nameless) << MAX_ARGUMENTS, ..self }
    }
}

/// Type of a field. All integers are of 64 bits, whatever the argument's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum FieldType {
    Signed,
    Unsigned,
    Float,
    Double,
    Text,
}

/// The classes so far.
pub(super) struct EventClasses {
    ids: HashMap<EventClass, u32>,
    /// Class of each site's events that have all arguments and no empty string.
    whole: Vec<Option<u32>>,
    /// Of those that have not.
    partial: HashMap<(SiteId, Form), u32>,
}

impl EventClasses {
    pub(super) fn new(definitions: &Definitions) -> Self {
        Self { ids: HashMap::new(), whole: vec![None; definitions.sites.len()], partial: HashMap::new() }
    }

    /// Number of the class of an event of `site`; if it is new, `metadata` describes it.
    pub(super) fn id(&mut self, site: &Site, id: SiteId, form: Form, metadata: &mut Vec<u8>) -> u32 {
        let is_whole = form == Form::default();
        let known = if is_whole { self.whole[id.index()] } else { self.partial.get(&(id, form)).copied() };
        if let Some(known) = known {
            return known;
        }
        let class = class(site, form);
        let next = u32::try_from(self.ids.len()).unwrap_or(u32::MAX);
        let found = *self.ids.entry(class).or_insert_with_key(|class| {
            push_event_class(metadata, next, class);
            next
        });
        if is_whole {
            self.whole[id.index()] = Some(found);
        } else {
            self.partial.insert((id, form), found);
        }
        found
    }
}

fn class(site: &Site, form: Form) -> EventClass {
    let fields = site.args.iter().enumerate().filter(|(arg, _)| form.left_out >> arg & 1 == 0);
    let field = |(arg, &kind): (usize, &ArgKind)| {
        let name = if site.key_index() == Some(arg) { "seq".to_owned() } else { format!("arg{arg}") };
        (name, field_type(kind))
    };
    EventClass { name: name_text(&site.provider, &site.probe), fields: fields.map(field).collect(), form }
}

fn field_type(kind: ArgKind) -> FieldType {
    match kind {
        ArgKind::Signed(_) => FieldType::Signed,
        // None of its values is readable, so there is no such field.
        ArgKind::Unsigned(_) | ArgKind::Unknown(_) => FieldType::Unsigned,
        ArgKind::Float(4) => FieldType::Float,
        ArgKind::Float(_) => FieldType::Double,
        ArgKind::Str => FieldType::Text,
    }
}

/// Appends the arguments of an event that were readable.
pub(super) fn push_fields(site: &Site, event: &Event<'_>, out: &mut Vec<u8>) -> Form {
    let mut form = Form::default();
    for (arg, &kind) in site.args.iter().enumerate() {
        match event.arg(arg, kind) {
            Some(Arg::Signed(number)) => out.extend_from_slice(&number.to_le_bytes()),
            Some(Arg::Unsigned(number)) => out.extend_from_slice(&number.to_le_bytes()),
            #[expect(clippy::cast_possible_truncation, reason = "it was one of 4 bytes")]
            Some(Arg::Float(number)) if kind == ArgKind::Float(4) => {
                out.extend_from_slice(&(number as f32).to_le_bytes());
            }
            Some(Arg::Float(number)) => out.extend_from_slice(&number.to_le_bytes()),
            Some(text @ (Arg::Str(_) | Arg::CutStr(_))) => {
                let text = text.text().unwrap_or_default();
                form.empty |= u16::from(text.is_empty()) << arg;
                push_string(out, &text);
            }
            Some(Arg::Unreadable) | None => form.left_out |= 1 << arg,
        }
    }
    form
}

/// Appends a string, which a NUL in it would end.
pub(super) fn push_string(out: &mut Vec<u8>, text: &str) {
    if text.contains('\0') {
        out.extend_from_slice(text.replace('\0', "\u{fffd}").as_bytes());
    } else {
        out.extend_from_slice(text.as_bytes());
    }
    out.push(0);
}
