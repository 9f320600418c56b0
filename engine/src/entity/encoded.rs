//! Attribute values of a row: from JSON in Cedar's entity form to bytes, and to Cedar's values.
//!
//! Bytes are smaller than JSON, and a question reads them without parsing. Promises: nothing but what Cedar can say
//! becomes bytes; reading bytes gives the values that Cedar reads from the JSON.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use cedar_policy_core::ast::{Literal, Name, RestrictedExpr, Value, ValueKind};
use cedar_policy_core::evaluator::RestrictedEvaluator;
use cedar_policy_core::extensions::Extensions;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use smol_str::SmolStr;

use super::bytes::{Reader, put_number, put_text};
use super::types::{Types, Unreadable};

/// Names and values, each name once.
pub type Members = Vec<(SmolStr, Value)>;

const END: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const LONG: u8 = 3;
const TEXT: u8 = 4;
const SET: u8 = 5;
const RECORD: u8 = 6;
const ENTITY: u8 = 7;
const EXTENSION: u8 = 8;

/// Adds a JSON object's members.
///
/// # Errors
/// When it is no object of Cedar's entity form. What was added then is of no use.
pub fn put_object(out: &mut Vec<u8>, json: &str, types: &mut Arc<Types>) -> Result<(), Unreadable> {
    // Most have none.
    if json == "{}" {
        out.push(END);
        return Ok(());
    }
    let start = out.len();
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let mut doubtful = false;
    let writer = Writer { out, types, doubtful: &mut doubtful, whole: true };
    writer.deserialize(&mut deserializer).map_err(|_| Unreadable)?;
    deserializer.end().map_err(|_| Unreadable)?;
    if !doubtful {
        return Ok(());
    }
    // That extension values are values is found out now and not when a question needs them.
    let mut reader = Reader(out.get(start..).unwrap_or_default());
    read_members(&mut reader, types).map(drop)
}

/// Writes one value; `whole` is the object that holds all attributes, which is no escape.
struct Writer<'w> {
    out: &'w mut Vec<u8>,
    types: &'w mut Arc<Types>,
    /// Whether something was written that only reading it tells to be a value.
    doubtful: &'w mut bool,
    whole: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EntityEscape<'j> {
    #[serde(rename = "type", borrow)]
    type_name: Cow<'j, str>,
    #[serde(borrow)]
    id: Cow<'j, str>,
}

/// `{"fn": "decimal", "arg": "1.0"}`, or `args` for more than one.
struct ExtensionEscape<'w> {
    out: &'w mut Vec<u8>,
    types: &'w mut Arc<Types>,
}

impl Writer<'_> {
    fn nested(&mut self) -> Writer<'_> {
        Writer { out: self.out, types: self.types, doubtful: self.doubtful, whole: false }
    }
}

impl<'de> DeserializeSeed<'de> for Writer<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.whole { deserializer.deserialize_map(self) } else { deserializer.deserialize_any(self) }
    }
}

impl<'de> Visitor<'de> for Writer<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value that Cedar can say")
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        self.out.push(if value { TRUE } else { FALSE });
        Ok(())
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        self.out.push(LONG);
        // The sign goes into the lowest bit, so that small numbers are short.
        put_number(self.out, ((value << 1) ^ (value >> 63)).cast_unsigned());
        Ok(())
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        let value = i64::try_from(value).map_err(|_| E::custom("beyond 64 bits"))?;
        self.visit_i64(value)
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<(), E> {
        self.out.push(TEXT);
        put_text(self.out, value);
        Ok(())
    }

    fn visit_seq<S: SeqAccess<'de>>(mut self, mut elements: S) -> Result<(), S::Error> {
        self.out.push(SET);
        while elements.next_element_seed(self.nested())?.is_some() {}
        self.out.push(END);
        Ok(())
    }

    fn visit_map<M: MapAccess<'de>>(mut self, mut members: M) -> Result<(), M::Error> {
        let mut seen: BTreeSet<Cow<'de, str>> = BTreeSet::new();
        while let Some(name) = members.next_key::<Cow<'de, str>>()? {
            if matches!(&*name, "__entity" | "__extn" | "__expr") {
                if self.whole || !seen.is_empty() {
                    return Err(M::Error::custom("an escape is alone in its object"));
                }
                return self.escape(&name, members);
            }
            if !self.whole && seen.is_empty() {
                self.out.push(RECORD);
            }
            if !seen.insert(name.clone()) {
                return Err(M::Error::custom("a key stands twice"));
            }
            // A member begins with a byte that is not the end's.
            self.out.push(TEXT);
            put_text(self.out, &name);
            members.next_value_seed(self.nested())?;
        }
        if !self.whole && seen.is_empty() {
            self.out.push(RECORD);
        }
        self.out.push(END);
        Ok(())
    }
}

impl Writer<'_> {
    fn escape<'de, M: MapAccess<'de>>(self, name: &str, mut members: M) -> Result<(), M::Error> {
        match name {
            "__entity" => {
                let named: EntityEscape<'de> = members.next_value()?;
                self.out.push(ENTITY);
                let number = Types::number(self.types, &named.type_name);
                *self.doubtful |= !self.types.can_say(number);
                put_number(self.out, u64::from(number));
                put_text(self.out, &named.id);
            }
            "__extn" => {
                self.out.push(EXTENSION);
                *self.doubtful = true;
                members.next_value_seed(ExtensionEscape { out: self.out, types: self.types })?;
            }
            _ => return Err(M::Error::custom("`__expr` is no value")),
        }
        match members.next_key::<Cow<'de, str>>()? {
            None => Ok(()),
            Some(_) => Err(M::Error::custom("an escape is alone in its object")),
        }
    }
}

impl<'de> DeserializeSeed<'de> for ExtensionEscape<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ExtensionEscape<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("`fn` and `arg` or `args`")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut members: M) -> Result<(), M::Error> {
        let mut function: Option<Cow<'de, str>> = None;
        let mut arguments = None;
        while let Some(name) = members.next_key::<Cow<'de, str>>()? {
            let mut written = Vec::new();
            // Whoever reads the extension value reads these too.
            let writer = Writer { out: &mut written, types: self.types, doubtful: &mut true, whole: false };
            match &*name {
                "fn" if function.is_none() => function = Some(members.next_value()?),
                "arg" if arguments.is_none() => {
                    members.next_value_seed(writer)?;
                    written.push(END);
                    arguments = Some(written);
                }
                "args" if arguments.is_none() => {
                    members.next_value_seed(writer)?;
                    if written.first() != Some(&SET) {
                        return Err(M::Error::custom("`args` is a list"));
                    }
                    arguments = Some(written.split_off(1));
                }
                _ => return Err(M::Error::custom("`fn` and `arg` or `args`, once each")),
            }
        }
        let (Some(function), Some(arguments)) = (function, arguments) else {
            return Err(M::Error::custom("`fn` and `arg` or `args`"));
        };
        put_text(self.out, &function);
        self.out.extend_from_slice(&arguments);
        Ok(())
    }
}

/// Reads an object's members.
///
/// # Errors
/// When the bytes are not what [`put_object`] writes, or name a type that Cedar can't say.
pub fn read_members(reader: &mut Reader<'_>, types: &Types) -> Result<Members, Unreadable> {
    let mut members = Vec::new();
    while reader.byte().ok_or(Unreadable)? != END {
        let name = SmolStr::new(reader.text().ok_or(Unreadable)?);
        let tag = reader.byte().ok_or(Unreadable)?;
        members.push((name, read_value(tag, reader, types)?));
    }
    Ok(members)
}

/// Reads one member of an object, and the others no further than to their ends; none when it is not there.
pub fn read_member(reader: &mut Reader<'_>, name: &str, types: &Types) -> Option<Value> {
    while reader.byte()? != END {
        let is_it = reader.text()? == name;
        let tag = reader.byte()?;
        if is_it {
            return read_value(tag, reader, types).ok();
        }
        pass_over(tag, reader)?;
    }
    None
}

fn pass_over(tag: u8, reader: &mut Reader<'_>) -> Option<()> {
    match tag {
        FALSE | TRUE => {}
        LONG => drop(reader.number()?),
        TEXT => drop(reader.text()?),
        ENTITY => drop((reader.index()?, reader.text()?)),
        SET | EXTENSION => {
            if tag == EXTENSION {
                reader.text()?;
            }
            loop {
                match reader.byte()? {
                    END => break,
                    tag => pass_over(tag, reader)?,
                }
            }
        }
        RECORD => {
            while reader.byte()? != END {
                reader.text()?;
                let tag = reader.byte()?;
                pass_over(tag, reader)?;
            }
        }
        _ => return None,
    }
    Some(())
}

fn read_value(tag: u8, reader: &mut Reader<'_>, types: &Types) -> Result<Value, Unreadable> {
    let literal = |literal| Value { value: ValueKind::Lit(literal), loc: None };
    Ok(match tag {
        FALSE | TRUE => literal(Literal::Bool(tag == TRUE)),
        LONG => {
            let number = reader.number().ok_or(Unreadable)?;
            literal(Literal::Long((number >> 1).cast_signed() ^ -(number & 1).cast_signed()))
        }
        TEXT => literal(Literal::String(SmolStr::new(reader.text().ok_or(Unreadable)?))),
        ENTITY => {
            let number = reader.index().ok_or(Unreadable)?;
            let uid = types.uid(number, reader.text().ok_or(Unreadable)?)?;
            literal(Literal::EntityUID(Arc::new(uid)))
        }
        SET => Value::set(read_list(reader, types)?, None),
        RECORD => {
            let record: BTreeMap<_, _> = read_members(reader, types)?.into_iter().collect();
            Value { value: ValueKind::Record(Arc::new(record)), loc: None }
        }
        EXTENSION => {
            let function = reader.text().ok_or(Unreadable)?;
            call(function, read_list(reader, types)?)?
        }
        _ => return Err(Unreadable),
    })
}

fn read_list(reader: &mut Reader<'_>, types: &Types) -> Result<Vec<Value>, Unreadable> {
    let mut values = Vec::new();
    loop {
        match reader.byte().ok_or(Unreadable)? {
            END => return Ok(values),
            tag => values.push(read_value(tag, reader, types)?),
        }
    }
}

/// An extension value is what Cedar's own function makes of the arguments.
fn call(function: &str, arguments: Vec<Value>) -> Result<Value, Unreadable> {
    let name = Name::parse_unqualified_name(function).map_err(|_| Unreadable)?;
    let arguments = arguments.into_iter().map(RestrictedExpr::from);
    let call = RestrictedExpr::call_extension_fn(name, arguments);
    RestrictedEvaluator::new(Extensions::all_available())
        .interpret(call.as_borrowed())
        .map_err(|_| Unreadable)
}
