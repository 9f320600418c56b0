//! Values from JSON Schemas, as the OpenAPI document has them.
//!
//! A value fits its schema. Where a schema says only `string`, the member's name picks from a
//! few words that mean something to the server, so that requests get past the front door.

use portcullis_tests::XorShift;
use serde_json::{Map, Value, json};

/// Deeper free values are cut: schemas may refer to themselves.
const LEVELS: usize = 6;

/// Makes values for the schemas of one document.
pub(super) struct Generator<'a> {
    document: &'a Value,
}

impl<'a> Generator<'a> {
    pub(super) fn new(document: &'a Value) -> Self {
        Self { document }
    }

    /// A value of `schema`, for the member `name`.
    pub(super) fn value(&self, schema: &Value, name: &str, random: &mut XorShift) -> Value {
        self.at(schema, name, random, 0)
    }

    fn resolve<'s>(&'s self, schema: &'s Value) -> &'s Value {
        match schema["$ref"].as_str() {
            Some(reference) => self
                .resolve(self.document.pointer(&reference[1..]).expect("a reference that leads somewhere")),
            None => schema,
        }
    }

    fn at(&self, schema: &Value, name: &str, random: &mut XorShift, level: usize) -> Value {
        let schema = self.resolve(schema);
        if let Some(value) = schema.get("const") {
            return value.clone();
        }
        if let Some(values) = schema["enum"].as_array() {
            return random.pick(values).clone();
        }
        for word in ["oneOf", "anyOf"] {
            if let Some(list) = schema[word].as_array() {
                // Null, where it is allowed, is the dull choice.
                let some: Vec<&Value> = list.iter().filter(|one| one["type"] != "null").collect();
                let null = some.is_empty() || (some.len() < list.len() && random.one_in(8));
                let mut value = if null {
                    Value::Null
                } else {
                    self.at(some[random.below(some.len())], name, random, level)
                };
                self.overlay(schema, &mut value, random, level);
                return value;
            }
        }
        if let Some(list) = schema["allOf"].as_array() {
            let mut whole = json!({});
            for part in list {
                merge(&mut whole, self.at(part, name, random, level));
            }
            self.overlay(schema, &mut whole, random, level);
            return whole;
        }
        self.of_type(schema, name, random, level)
    }

    /// Members that stand beside `oneOf` or `allOf`.
    fn overlay(&self, schema: &Value, value: &mut Value, random: &mut XorShift, level: usize) {
        if schema["properties"].is_object() {
            merge(value, self.object(schema, random, level));
        }
    }

    fn of_type(&self, schema: &Value, name: &str, random: &mut XorShift, level: usize) -> Value {
        let kind = match &schema["type"] {
            Value::String(kind) => kind.as_str(),
            Value::Array(kinds) => {
                let kinds: Vec<&str> = kinds.iter().filter_map(Value::as_str).collect();
                let some: Vec<&str> = kinds.iter().copied().filter(|kind| *kind != "null").collect();
                let null = some.is_empty() || (some.len() < kinds.len() && random.one_in(8));
                if null { "null" } else { *random.pick(&some) }
            }
            _ if schema["properties"].is_object() => "object",
            _ => "any",
        };
        match kind {
            "object" => self.object(schema, random, level),
            "array" => self.array(schema, name, random, level),
            "string" => string(schema, name, random),
            "integer" => integer(schema, name, random),
            "number" => json!(i64::try_from(random.below(2_000_000)).unwrap_or(0) as f64 / 100.0),
            "boolean" => json!(random.one_in(2)),
            "null" => Value::Null,
            _ => free(random, level),
        }
    }

    fn object(&self, schema: &Value, random: &mut XorShift, level: usize) -> Value {
        let mut made = Map::new();
        let required: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for (name, member) in schema["properties"].as_object().into_iter().flatten() {
            // Those are optional only because a batch's items may bring them.
            let always = ["subject", "action", "resource"].contains(&name.as_str()) && !random.one_in(16);
            // What this version refuses whatever it holds is kept rare.
            let chance = if ["credential", "schema"].contains(&name.as_str()) { 12 } else { 2 };
            if always || required.contains(&name.as_str()) || (level < LEVELS && random.one_in(chance)) {
                made.insert(name.clone(), self.at(member, name, random, level + 1));
            }
        }
        let rest = &schema["additionalProperties"];
        let open = rest.is_object() || (rest != &json!(false) && !schema["properties"].is_object());
        for _ in 0..if open && level < LEVELS { random.below(4) } else { 0 } {
            let name = word(random);
            let value = if rest.is_object() {
                self.at(rest, &name, random, level + 1)
            } else {
                free(random, level + 1)
            };
            made.insert(name, value);
        }
        Value::Object(made)
    }

    fn array(&self, schema: &Value, name: &str, random: &mut XorShift, level: usize) -> Value {
        if name == "entities" {
            return entities(random);
        }
        let least = schema["minItems"].as_u64().and_then(|least| usize::try_from(least).ok()).unwrap_or(0);
        let count = least + if level < LEVELS { random.below(4) } else { 0 };
        let items = &schema["items"];
        (0..count).map(|_| self.at(items, name, random, level + 1)).collect()
    }
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => into.extend(from),
        (into, from) => *into = from,
    }
}

fn integer(schema: &Value, name: &str, random: &mut XorShift) -> Value {
    if name == "at_least_revision" {
        return json!(u32::from(random.one_in(8)) * 1_000_000);
    }
    let least = schema["minimum"].as_i64().unwrap_or(0);
    let most = schema["maximum"].as_i64().unwrap_or(least.saturating_add(1_000));
    let span = usize::try_from(most.saturating_sub(least)).unwrap_or(0).saturating_add(1);
    json!(least + i64::try_from(random.below(span)).unwrap_or(0))
}

/// A string that fits the schema and means something to the server.
fn string(schema: &Value, name: &str, random: &mut XorShift) -> Value {
    if let Some(example) = schema.get("example").or(schema["examples"].get(0)) {
        return example.clone();
    }
    if schema["format"] == "date-time" || ["from", "to"].contains(&name) {
        return json!(random.pick(&[
            "2026-01-01T00:00:00Z",
            "2026-06-30T23:59:60Z",
            "1970-01-01T00:00:00.5+01:00"
        ]));
    }
    let words: &[&str] = match name {
        "policies" => &[
            "permit(principal, action, resource);",
            "forbid(principal, action, resource) when { context.x };",
            "",
        ],
        "schema" => {
            &["entity User; entity Doc; action read appliesTo { principal: User, resource: Doc };", ""]
        }
        "type" => &["user", "record", "User", "Doc", "App::User", "Action"],
        // Never `alice`: a generated call may disable whom it names, and she is asked about at the end.
        "id" => &["carol", "bob", "record-1", "record-2", "", "x\u{0}y", "🦀"],
        "name" => &["read", "write", "delete", "fly"],
        "pack" => &["records", "absent", "portcullis"],
        "understands" => &["mask", "sign", "set_header", "notify"],
        "method" => &["GET", "POST"],
        "path" => &["/", "/records/1"],
        "outcome" => &["allow", "deny"],
        _ => return json!(word(random)),
    };
    json!(random.pick(words))
}

/// Any value, for a place that takes any.
pub(super) fn free(random: &mut XorShift, level: usize) -> Value {
    match random.below(if level < LEVELS { 9 } else { 6 }) {
        0 => json!(random.next_u64().cast_signed()),
        1 => json!(random.one_in(2)),
        2 => json!(1.5),
        3 => json!(word(random)),
        4 => Value::Null,
        5 => json!(u64::MAX),
        6 => (0..random.below(4)).map(|_| free(random, level + 1)).collect(),
        _ => (0..random.below(4))
            .map(|_| (word(random), free(random, level + 1)))
            .collect::<Map<_, _>>()
            .into(),
    }
}

fn entities(random: &mut XorShift) -> Value {
    let one = |id: &str| json!({"uid": {"type": "User", "id": id}, "attrs": {"level": 1}, "parents": []});
    ["carol", "bob"].into_iter().filter(|_| random.one_in(2)).map(one).collect()
}

fn word(random: &mut XorShift) -> String {
    let words =
        ["a", "b", "role", "soft", "status", "time", "__entity", "__extn", "with space", "ü", "x/y~z", ""];
    (*random.pick(&words)).to_owned()
}
