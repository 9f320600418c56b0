//! Principals: users, services and devices, and whether they may do anything at all.
//!
//! Promises: an id is of one principal of a tenant and pack; who is disabled holds nothing any more, in no pack, and gets
//! nothing back by being enabled. Must never: let a principal that was disabled come back by being deleted and made anew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cedar_policy_core::ast::EntityUID;
use serde_json::{Map, Value};

use super::ending::{Ended, end_all};
use super::entities::{self, Draft, changeable};
use super::grant::Party;
use super::shown::named;
use super::tenancy::{Page, Tenancy, kind_of};
use super::{AdminError, check_id, type_of};
use crate::app::Changing;
use crate::entity::{Kind, Status};
use crate::policy::Pack;
use crate::store::entities::EntityRow;

/// A principal that there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// User, service or device.
    pub kind: Kind,
    /// Its name in Cedar's terms.
    pub uid: EntityUID,
}

impl Principal {
    /// Its id.
    pub fn id(&self) -> &str {
        self.uid.eid().as_ref()
    }

    /// As changes name it: `user:alice`.
    pub fn target(&self) -> String {
        format!("{}:{}", self.kind.name(), self.id())
    }
}

/// The principals with this id; of this kind, if it is given.
fn with_id(at: Tenancy<'_>, id: &str, wanted: Option<Kind>) -> Vec<Principal> {
    let mut found: Vec<Principal> = Vec::new();
    for uid in Kind::PRINCIPALS.into_iter().filter_map(|kind| at.pack.uid(kind.name(), id)) {
        let kind = at.kind(&uid).filter(|kind| kind.is_principal());
        let Some(kind) = kind.filter(|kind| wanted.is_none_or(|wanted| wanted == *kind)) else { continue };
        // Two kinds may have one type.
        if found.iter().all(|known| known.uid != uid) {
            found.push(Principal { kind, uid });
        }
    }
    found
}

/// The principal with this id.
///
/// # Errors
/// When there is none, or there are several and no kind is given.
pub fn locate(at: Tenancy<'_>, id: &str, wanted: Option<Kind>) -> Result<Principal, AdminError> {
    check_id("id", id)?;
    let mut found = with_id(at, id, wanted).into_iter();
    match (found.next(), found.next()) {
        (Some(only), None) => Ok(only),
        (None, _) => Err(AdminError::Missing { kind: "principal", id: id.to_owned() }),
        (Some(_), Some(_)) => Err(AdminError::TypeRequired(id.to_owned())),
    }
}

/// The principals that have one of the strict statuses, in the order of Cedar types and ids.
pub fn with_status(at: Tenancy<'_>, kinds: &[Kind], status: Status, page: Page<'_>) -> Vec<EntityUID> {
    let inactive = at.snapshot.data.inactive(at.tenant);
    let found = inactive.iter().filter(|(kind, _, found)| kinds.contains(kind) && *found == status);
    let uids = found.filter_map(|(kind, id, _)| {
        at.pack.uid(kind.name(), id).filter(|uid| at.kind(uid) == Some(kind)).map(|uid| (named(&uid), uid))
    });
    let later = uids.filter(|(name, _)| (name.0.as_str(), name.1.as_str()) > page.after);
    let ordered: BTreeMap<_, _> = later.collect();
    ordered.into_values().take(page.limit).collect()
}

/// What can be said of a principal.
#[derive(Clone, Copy, Debug)]
pub struct Described<'a> {
    /// Its attributes.
    pub attributes: &'a Map<String, Value>,
    /// The ids of the groups that it is in.
    pub groups: &'a [String],
}

/// The groups that are named, all of which there must be.
///
/// # Errors
/// When one is none, or the pack has no type for groups.
pub fn groups(at: Tenancy<'_>, ids: &[String]) -> Result<Vec<EntityUID>, AdminError> {
    if !ids.is_empty() {
        type_of(at.pack, Kind::Group.name())?;
    }
    let group = |(place, id): (usize, &String)| {
        let field = format!("groups[{place}]");
        check_id(&field, id)?;
        let uid = at.pack.uid(Kind::Group.name(), id).filter(|uid| at.kind(uid) == Some(Kind::Group));
        uid.ok_or(AdminError::UnknownReference { field, kind: "group", id: id.clone() })
    };
    ids.iter().enumerate().map(group).collect()
}

/// Makes a principal.
///
/// # Errors
/// When the id is taken, or something does not fit, or the store fails.
pub async fn create(
    changing: &mut Changing<'_>,
    pack: &Arc<Pack>,
    (kind, id): (Kind, &str),
    described: Described<'_>,
) -> Result<(Principal, EntityRow), AdminError> {
    check_id("id", id)?;
    let unknown = || AdminError::UnknownType { pack: pack.name().to_owned(), name: kind.name().to_owned() };
    type_of(pack, kind.name())?;
    let uid = pack.uid(kind.name(), id).ok_or_else(unknown)?;
    let snapshot = Arc::clone(changing.snapshot());
    let tenant = changing.tenant().to_owned();
    let at = Tenancy { snapshot: &snapshot, tenant: &tenant, pack };
    if let Some(present) = with_id(at, id, None).first() {
        changeable(changing, pack, &present.uid).await?;
        return Err(AdminError::AlreadyExists { kind: "principal", id: id.to_owned() });
    }
    let (type_name, _) = named(&uid);
    let gone = changing.entity(pack.name(), (&type_name, id)).await?;
    if gone.is_some_and(|row| row.kind != kind.name() && row.status != Status::Active.name()) {
        // It would take the place of the mark that keeps the other out.
        return Err(AdminError::InUse {
            id: id.to_owned(),
            by: "a principal of another type that was locked or disabled when it was deleted".into(),
        });
    }
    let draft = Draft {
        uid: &uid,
        kind,
        attributes: described.attributes,
        tags: &Map::new(),
        parents: groups(at, described.groups)?,
        status: at.status(kind, id),
    };
    let row = entities::write(changing, pack, draft, None).await?;
    Ok((Principal { kind, uid }, row))
}

/// Says anew what a principal is. What it is in besides groups stays.
///
/// # Errors
/// When something does not fit, or the store fails.
pub async fn replace(
    changing: &mut Changing<'_>,
    pack: &Arc<Pack>,
    (principal, present): (&Principal, &EntityRow),
    described: Described<'_>,
) -> Result<EntityRow, AdminError> {
    let snapshot = Arc::clone(changing.snapshot());
    let tenant = changing.tenant().to_owned();
    let at = Tenancy { snapshot: &snapshot, tenant: &tenant, pack };
    let group = pack.entity_type(Kind::Group.name());
    let mut parents = groups(at, described.groups)?;
    let others = at.parents(&principal.uid).into_iter();
    parents.extend(others.filter(|parent| Some(parent.entity_type()) != group.as_ref()));
    let tags = tags_of(present);
    let draft = Draft {
        uid: &principal.uid,
        kind: principal.kind,
        attributes: described.attributes,
        tags: &tags,
        parents,
        status: Status::from_name(&present.status).unwrap_or(Status::Disabled),
    };
    entities::write(changing, pack, draft, Some(present)).await
}

/// The tags of a row.
pub fn tags_of(row: &EntityRow) -> Map<String, Value> {
    serde_json::from_str(&row.tags).unwrap_or_default()
}

/// Deletes a principal and ends what it holds in the pack. One that was disabled keeps being denied.
///
/// # Errors
/// When the store fails.
pub async fn delete(
    changing: &mut Changing<'_>,
    pack: &Pack,
    row: EntityRow,
    by: &Party,
) -> Result<Ended, AdminError> {
    let ended = end_all(changing, pack.name(), (&row.type_name, &row.id), by).await?;
    entities::delete(changing, row).await?;
    Ok(ended)
}

/// What can be done to a principal's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It may do nothing for now.
    Lock,
    /// No longer locked.
    Unlock,
    /// It may do nothing, and holds nothing any more.
    Disable,
    /// No longer disabled.
    Enable,
}

impl Turn {
    /// As changes name it.
    pub fn change(self) -> &'static str {
        match self {
            Self::Lock => "principal_locked",
            Self::Unlock => "principal_unlocked",
            Self::Disable => "principal_disabled",
            Self::Enable => "principal_enabled",
        }
    }

    /// Whether it takes something away.
    pub fn takes_away(self) -> bool {
        matches!(self, Self::Lock | Self::Disable)
    }

    /// The status after it.
    fn target(self, present: Status) -> Result<Status, AdminError> {
        match (self, present) {
            (Self::Disable, _) => Ok(Status::Disabled),
            (Self::Lock, Status::Active | Status::Locked) => Ok(Status::Locked),
            (Self::Unlock, Status::Active | Status::Locked) => Ok(Status::Active),
            (Self::Enable, Status::Active | Status::Disabled) => Ok(Status::Active),
            (Self::Lock | Self::Unlock, Status::Disabled) | (Self::Enable, Status::Locked) => {
                Err(AdminError::WrongStatus(present.name().to_owned()))
            }
        }
    }
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub struct Turned {
    /// Whether any row was written.
    pub is_new: bool,
    /// The status now.
    pub status: Status,
    /// What has ended.
    pub ended: Ended,
}

/// Locks, unlocks, disables or enables a principal: in every pack of the tenant, in one change.
///
/// # Errors
/// When its status does not allow it, or the store fails.
pub async fn turn(
    changing: &mut Changing<'_>,
    pack: &Arc<Pack>,
    principal: &Principal,
    (turn, by): (Turn, &Party),
) -> Result<Turned, AdminError> {
    let snapshot = Arc::clone(changing.snapshot());
    let tenant = changing.tenant().to_owned();
    let at = Tenancy { snapshot: &snapshot, tenant: &tenant, pack };
    let status = turn.target(at.status(principal.kind, principal.id()))?;
    let mut turned = Turned { is_new: false, status, ended: Ended::default() };
    for (pack_name, type_name) in places(at, principal) {
        let place = (pack_name.as_str(), type_name.as_str());
        let row = changing.entity(place.0, (place.1, principal.id())).await?;
        let here = place == (pack.name(), named(&principal.uid).0.as_str());
        if row.as_ref().is_some_and(|row| !is_of(at, place, row, principal.kind)) {
            continue;
        }
        if let Some(row) = after(changing, (pack, principal), (row, here), status) {
            changing.put_entity(row).await?;
            turned.is_new = true;
        }
        if status == Status::Disabled {
            turned.ended += end_all(changing, place.0, (place.1, principal.id()), by).await?;
        }
    }
    turned.is_new |= !turned.ended.is_nothing();
    Ok(turned)
}

/// Where a principal may have rows, and hold something: packs and Cedar types.
fn places(at: Tenancy<'_>, principal: &Principal) -> BTreeSet<(String, String)> {
    let (kind, id) = (principal.kind, principal.id());
    let data = &at.snapshot.data;
    let by_pack = at.snapshot.packs().filter_map(|pack| {
        Some((pack.name().to_owned(), pack.uid(kind.name(), id)?.entity_type().to_string()))
    });
    // Packs come and go, and map types otherwise: rows tell what they are of.
    let by_row = data.iter().filter(|(tenant, ..)| *tenant == at.tenant).flat_map(|(_, pack, data)| {
        let of_kind = data.of_kind(kind, id).into_iter();
        of_kind.map(move |uid| (pack.to_owned(), uid.entity_type().to_string()))
    });
    let marks = data.inactive(at.tenant).marks(kind, id).iter();
    let by_mark = marks.map(|mark| (mark.pack.to_string(), mark.entity_type.to_string()));
    by_pack.chain(by_row).chain(by_mark).collect()
}

/// Whether a row is of this kind, and not of another that has the same type.
fn is_of(at: Tenancy<'_>, (pack, type_name): (&str, &str), row: &EntityRow, kind: Kind) -> bool {
    let stored = Kind::from_name(&row.kind);
    let entity_type = cedar_policy_core::ast::EntityType::from_normalized_str(type_name);
    match (at.snapshot.pack(pack), entity_type) {
        (Some(pack), Ok(entity_type)) => stored == Some(kind) || kind_of(pack, &entity_type, stored) == kind,
        _ => stored == Some(kind),
    }
}

/// The row as it is to be written; none when nothing of it changes. A principal of the pack's own files gets a row for
/// its status alone (the files say all else), and loses it when it is active again.
fn after(
    changing: &Changing<'_>,
    (pack, principal): (&Pack, &Principal),
    (row, here): (Option<EntityRow>, bool),
    status: Status,
) -> Option<EntityRow> {
    let is_own = here && pack.entities.get(&principal.uid).is_some();
    let now = changing.now();
    let live = row.as_ref().is_some_and(|row| row.deleted_at.is_none());
    let mut row = match row {
        Some(row) if live => row,
        // A mark that keeps a deleted one out goes with the rest.
        Some(row) if !is_own || status == Status::Active => {
            let lifts = status == Status::Active && row.status != status.name();
            return lifts.then(|| EntityRow { status: status.name().to_owned(), updated_at: now, ..row });
        }
        _ if is_own && status != Status::Active => status_alone(changing, pack, principal),
        _ => return None,
    };
    let bare = row.attributes == "{}" && row.parents == "[]";
    if live && row.status == status.name() {
        return None;
    }
    row.kind = principal.kind.name().to_owned();
    row.status = status.name().to_owned();
    row.updated_at = now;
    row.deleted_at = (is_own && bare && status == Status::Active).then_some(now);
    Some(row)
}

fn status_alone(changing: &Changing<'_>, pack: &Pack, principal: &Principal) -> EntityRow {
    let (type_name, id) = named(&principal.uid);
    EntityRow {
        tenant_id: changing.tenant().to_owned(),
        pack: pack.name().to_owned(),
        type_name,
        id,
        kind: principal.kind.name().to_owned(),
        attributes: "{}".to_owned(),
        tags: "{}".to_owned(),
        parents: "[]".to_owned(),
        settings: "{}".to_owned(),
        status: Status::Active.name().to_owned(),
        created_at: changing.now(),
        updated_at: changing.now(),
        deleted_at: None,
        version: changing.sequence(),
    }
}
