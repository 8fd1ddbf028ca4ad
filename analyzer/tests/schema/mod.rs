//! JSON Schema, as far as the schemas of the reports use it.

use serde_json::Value;

/// Places where `value` does not fit `schema`: the part of JSON Schema that ours uses.
pub(crate) fn misfits(value: &Value, schema: &Value, root: &Value, place: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if let Some(name) = schema["$ref"].as_str() {
        let target = root.pointer(&name[1..]).unwrap_or_else(|| panic!("{name} is in the schema"));
        wrong.extend(misfits(value, target, root, place));
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let is_kind = |name: &Value| name == kind;
    let kind_fits = match &schema["type"] {
        Value::Null => true,
        Value::Array(names) => names.iter().any(is_kind),
        name => is_kind(name),
    };
    let listed = schema["enum"].as_array().is_none_or(|values| values.contains(value));
    let constant = schema.get("const").is_none_or(|constant| constant == value);
    let minimum =
        schema["minimum"].as_i64().is_none_or(|minimum| value.as_i64().is_none_or(|it| it >= minimum));
    if !(kind_fits && listed && constant && minimum) {
        wrong.push(format!("{place}: {value}"));
    }
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if value.is_object() && value.get(name).is_none() {
            wrong.push(format!("{place}.{name} is missing"));
        }
    }
    for (name, member) in value.as_object().into_iter().flatten() {
        match schema["properties"].get(name) {
            Some(schema) => wrong.extend(misfits(member, schema, root, &format!("{place}.{name}"))),
            None if schema["additionalProperties"] == false => {
                wrong.push(format!("{place}.{name} is not known"))
            }
            None => {}
        }
    }
    for element in value.as_array().into_iter().flatten() {
        wrong.extend(misfits(element, &schema["items"], root, &format!("{place}[]")));
    }
    wrong
}
