//! One entity of the store, in one allocation.
//!
//! A million of them must be at hand, so a row is bytes: no Cedar entity stays in memory for it. What a row can't be
//! read as is denied.

use std::sync::Arc;

use cedar_policy_core::ast::Literal;

use super::bytes::{Reader, put_count, put_number, put_text};
use super::encoded::{Members, put_object, read_member, read_members};
use super::families::literals_of;
use super::types::{Types, Unreadable};
use super::update::{EntityUpdate, Kind, RoleSettings, Status};

/// An entity of the store.
#[derive(Clone, Debug)]
pub struct Row(Arc<[u8]>);

/// The place of an entity: the number of its type, and its id.
pub type Key<'r> = (u32, &'r str);

/// What stands before the attributes.
struct Head<'r> {
    kind: u8,
    version: u64,
    settings: &'r str,
    /// Parents, and then attributes and tags.
    rest: Reader<'r>,
}

/// Marks a row whose attributes or tags could not be read.
const BROKEN: u8 = 0x80;
const STATUS_SHIFT: u32 = 4;

fn kind_number(kind: Kind, status: Status) -> u8 {
    let kind = match kind {
        Kind::User => 0,
        Kind::Service => 1,
        Kind::Device => 2,
        Kind::Group => 3,
        Kind::Role => 4,
        Kind::Entity => 5,
    };
    let status = match status {
        Status::Active => 0,
        Status::Locked => 1,
        Status::Disabled => 2,
    };
    kind | (status << STATUS_SHIFT)
}

impl Row {
    /// Makes a row; types get their numbers.
    pub fn new(update: &EntityUpdate, types: &mut Arc<Types>) -> Self {
        let mut out = Vec::with_capacity(update.attributes.len() + 64);
        put_number(&mut out, u64::from(Types::number(types, &update.entity_type)));
        put_text(&mut out, &update.id);
        let kind_at = out.len();
        out.push(kind_number(update.kind, update.status));
        put_number(&mut out, update.version);
        let settings = match update.settings == RoleSettings::default() {
            true => String::new(),
            false => serde_json::to_string(&update.settings).unwrap_or_default(),
        };
        put_text(&mut out, &settings);
        put_count(&mut out, update.parents.len());
        for (parent_type, id) in &update.parents {
            put_number(&mut out, u64::from(Types::number(types, parent_type)));
            put_text(&mut out, id);
        }
        let values = put_object(&mut out, &update.attributes, types)
            .and_then(|()| put_object(&mut out, &update.tags, types));
        if let (Err(Unreadable), Some(kind)) = (values, out.get_mut(kind_at)) {
            *kind |= BROKEN;
        }
        Self(out.into())
    }

    fn head(&self) -> Option<Head<'_>> {
        let mut reader = Reader(&self.0);
        reader.index()?;
        reader.text()?;
        let kind = reader.byte()?;
        Some(Head { kind, version: reader.number()?, settings: reader.text()?, rest: reader })
    }

    /// Where it belongs.
    pub fn key(&self) -> Key<'_> {
        let mut reader = Reader(&self.0);
        reader.index().zip(reader.text()).unwrap_or((u32::MAX, ""))
    }

    /// The sequence number of the change that made it so.
    pub fn version(&self) -> u64 {
        self.head().map_or(0, |head| head.version)
    }

    /// What it is to the API.
    pub fn kind(&self) -> Kind {
        match self.head().map(|head| head.kind & 0x0f) {
            Some(0) => Kind::User,
            Some(1) => Kind::Service,
            Some(2) => Kind::Device,
            Some(3) => Kind::Group,
            Some(4) => Kind::Role,
            _ => Kind::Entity,
        }
    }

    /// Whether it may do anything at all.
    pub fn status(&self) -> Status {
        match self.head().map(|head| (head.kind & !BROKEN) >> STATUS_SHIFT) {
            Some(0) => Status::Active,
            Some(1) => Status::Locked,
            _ => Status::Disabled,
        }
    }

    /// What it asks of its assignments, if it is a role.
    pub fn settings(&self) -> RoleSettings {
        let settings = self.head().map_or("", |head| head.settings);
        serde_json::from_str(settings).unwrap_or_default()
    }

    /// What it is in.
    pub fn parents(&self) -> impl Iterator<Item = Key<'_>> {
        let mut rest = self.head().map_or(Reader(&[]), |head| head.rest);
        let count = rest.count().unwrap_or(0);
        (0..count).map_while(move |_| rest.index().zip(rest.text()))
    }

    /// What stands behind the parents.
    fn after_parents(&self) -> Option<Reader<'_>> {
        let mut rest = self.head().filter(|head| head.kind & BROKEN == 0)?.rest;
        let count = rest.count()?;
        for _ in 0..count {
            rest.index().zip(rest.text())?;
        }
        Some(rest)
    }

    /// How many bytes attributes and tags have.
    pub fn value_bytes(&self) -> usize {
        self.after_parents().map_or(0, |rest| rest.0.len())
    }

    /// Attributes and tags.
    ///
    /// # Errors
    /// When they were not of Cedar's entity form.
    pub fn values(&self, types: &Types) -> Result<(Members, Members), Unreadable> {
        let mut rest = self.after_parents().ok_or(Unreadable)?;
        let attributes = read_members(&mut rest, types)?;
        Ok((attributes, read_members(&mut rest, types)?))
    }

    /// The literals that an attribute is, or has as a set; none when it can't be read: then it can't be evaluated either.
    pub fn literals(&self, name: &str, types: &Types) -> Vec<Literal> {
        let value = self.after_parents().and_then(|mut rest| read_member(&mut rest, name, types));
        value.iter().flat_map(literals_of).cloned().collect()
    }

    /// Whether it is the very same row, not merely one like it.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The bytes that it takes.
    pub fn resident_bytes(&self) -> usize {
        // An allocation has two counts before it, and is rounded up.
        (2 * size_of::<usize>() + self.0.len()).next_multiple_of(16)
    }
}
