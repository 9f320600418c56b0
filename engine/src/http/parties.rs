//! Principals, scopes and times in the bodies of assignments and elevations, and the pack's word on approvers.

use std::sync::Arc;

use axum::http::HeaderMap;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::caller::Authenticated;
use super::error::ApiError;
use super::management::{choose_pack, show};
use crate::administration::AdminError;
use crate::administration::approval;
use crate::administration::assignments::PRINCIPALS;
use crate::administration::grant::{Party, Place};
use crate::app::App;
use crate::caller::{Right, RightOn, may};
use crate::clock::Timestamp;
use crate::decision::Verdict;
use crate::entity::Named;
use crate::evaluation::{AskError, Circumstances, evaluate};
use crate::policy::{MANAGEMENT, Pack, Snapshot};
use crate::record::Via;

/// Somebody: a type and an id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PartyBody {
    /// `user`, `service`, `device`, `group` or `caller`.
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// The id.
    pub(super) id: String,
}

impl PartyBody {
    /// As it is known inside.
    pub(super) fn party(&self) -> Party {
        Party { kind: self.kind.clone(), id: self.id.clone() }
    }

    /// What is stored.
    pub(super) fn of_text(text: &str) -> Self {
        let Party { kind, id } = Party::read(text);
        Self { kind, id }
    }

    /// A principal that is stored by its Cedar type: its kind, if the pack still has one for it.
    pub(super) fn of_named(snapshot: &Snapshot, pack: &str, (type_name, id): &Named) -> Self {
        let has = |pack: &Arc<Pack>, kind: &str| {
            pack.entity_type(kind).is_some_and(|known| known.to_string() == *type_name)
        };
        let pack = snapshot.pack(pack);
        let kind = pack.and_then(|pack| PRINCIPALS.into_iter().find(|kind| has(pack, kind)));
        Self { kind: kind.map_or_else(|| type_name.clone(), str::to_owned), id: id.clone() }
    }
}

/// Where a role counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum ScopeKind {
    /// Everywhere in the tenant.
    #[default]
    Tenant,
    /// For one resource.
    Resource,
    /// For one resource and all that is in it.
    ResourceTree,
}

/// Where a role counts, and for which resource.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ScopeBody {
    /// `tenant`, `resource` or `resource_tree`.
    pub(super) kind: ScopeKind,
    /// The resource, unless the scope is the tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) resource: Option<ResourceBody>,
}

/// A resource: a type and an id.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ResourceBody {
    /// Its type, as questions or as Cedar name it; answers have Cedar's name.
    #[serde(rename = "type")]
    pub(super) type_name: String,
    /// The id.
    pub(super) id: String,
}

impl ScopeBody {
    /// As it is known inside.
    ///
    /// # Errors
    /// When a resource is missing, or there is one and none is meant.
    pub(super) fn place(self) -> Result<Place, ApiError> {
        let wrong = |message: &str| Err(ApiError::InvalidRequest(format!("`scope.resource` {message}")));
        match (self.kind, self.resource) {
            (ScopeKind::Tenant, None) => Ok(Place::Tenant),
            (ScopeKind::Tenant, Some(_)) => wrong("must be absent when `scope.kind` is `tenant`"),
            (_, None) => wrong("is missing"),
            (ScopeKind::Resource, Some(on)) => Ok(Place::Resource(on.type_name, on.id)),
            (ScopeKind::ResourceTree, Some(on)) => Ok(Place::ResourceTree(on.type_name, on.id)),
        }
    }

    /// What is stored.
    pub(super) fn of_row(scope: &str, on: Option<&Named>) -> Self {
        let kind = match scope {
            "resource" => ScopeKind::Resource,
            "resource_tree" => ScopeKind::ResourceTree,
            _ => ScopeKind::Tenant,
        };
        let resource =
            on.map(|(type_name, id)| ResourceBody { type_name: type_name.clone(), id: id.clone() });
        Self { kind, resource }
    }
}

/// Reads a time of a body.
///
/// # Errors
/// When it is none.
pub(super) fn time(field: &str, text: Option<&String>) -> Result<Option<Timestamp>, ApiError> {
    let wrong = || ApiError::InvalidRequest(format!("`{field}` must be a time with offset (RFC 3339)"));
    text.map(|text| Timestamp::parse_rfc3339(text).ok_or_else(wrong)).transpose()
}

/// Shows a time.
pub(super) fn shown(time: Timestamp) -> String {
    time.to_rfc3339().unwrap_or_default()
}

/// The pack that a call is about; here also the management pack, when it is named.
///
/// # Errors
/// When there is none.
pub(super) fn pack_or_management(
    app: &App,
    who: &Authenticated<'_>,
    named: Option<&str>,
) -> Result<Arc<Pack>, ApiError> {
    if named == Some(MANAGEMENT) {
        return Ok(Arc::clone(app.snapshot().management()));
    }
    choose_pack(app, who, named)
}

/// Whether a caller sees what belongs to a pack.
pub(super) fn sees(who: &Authenticated<'_>, pack: &str) -> bool {
    pack == MANAGEMENT || who.caller.is_bound_to(pack)
}

/// Who asks: the caller, or a principal that it may vouch for.
///
/// # Errors
/// When it may not.
pub(super) async fn requester(
    app: &App,
    who: &Authenticated<'_>,
    pack: &str,
    named: Option<&PartyBody>,
) -> Result<Party, ApiError> {
    let Some(named) = named else { return Ok(Party::caller(&who.caller.id)) };
    check_kind("requested_by", named)?;
    if may(&app.snapshot(), &who.caller, Right::AssertSubject, RightOn::Pack(pack), app.clock.now()) {
        return Ok(named.party());
    }
    let by = Circumstances { pack: Some(pack), ..who.circumstances(Via::Management) };
    app.refused(&by, Right::AssertSubject).await;
    Err(AskError::MayNotAssert(pack.to_owned()).into())
}

/// Who decides: the caller, or a principal that it may vouch for and that the pack permits it.
///
/// # Errors
/// When the caller may not, or the pack does not.
pub(super) async fn approver(
    app: &App,
    who: &Authenticated<'_>,
    (pack, action, role): (&str, &'static str, &str),
    named: Option<PartyBody>,
) -> Result<Party, ApiError> {
    let Some(named) = named else { return Ok(Party::caller(&who.caller.id)) };
    check_kind("approver", &named)?;
    let party = named.party();
    ask_pack(app, who, pack, (&party, action, role)).await?;
    Ok(party)
}

/// Callers are not vouched for: nobody could tell who approves from who asked.
fn check_kind(field: &str, named: &PartyBody) -> Result<(), ApiError> {
    if PRINCIPALS.contains(&named.kind.as_str()) {
        return Ok(());
    }
    Err(ApiError::InvalidRequest(format!("`{field}.type` must be one of {}", PRINCIPALS.join(", "))))
}

/// Asks the pack whether somebody that the application vouches for may do this to a role: a decision with a record.
///
/// # Errors
/// When the caller may not vouch, or the pack does not permit it.
pub(super) async fn ask_pack(
    app: &App,
    who: &Authenticated<'_>,
    pack: &str,
    (party, action, role): (&Party, &'static str, &str),
) -> Result<(), ApiError> {
    let by = Circumstances { pack: Some(pack), ..who.circumstances(Via::Management) };
    let answer = evaluate(app, &by, approval::question(party, action, role)).await?;
    if answer.verdict == Verdict::Allow {
        return Ok(());
    }
    Err(approval::not_permitted(party, action, role).into())
}

/// Answers what was done before, once every node has heard of it.
pub(super) async fn again(app: &App, version: u64, mut body: Value) -> Result<Response, ApiError> {
    let sequence = app.announce().await.map_err(AdminError::from)?;
    if let Value::Object(members) = &mut body {
        members.insert("revision".into(), json!(sequence));
    }
    Ok(show(&HeaderMap::new(), version, body))
}
