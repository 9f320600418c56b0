//! A decision as the log has it, and whether its obligations can be carried out now.
//!
//! Promises: it is an allow, the caller's own, and fresh; the caller may still ask in its pack, and the subject is
//! neither locked nor disabled since. Another caller's decision is as one that does not exist.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::ObligeError;
use crate::app::App;
use crate::audit::{Kind, RecordId};
use crate::caller::{Caller, Right, RightOn, may};
use crate::clock::Timestamp;
use crate::decision::obligation::{Duty, Obligation};
use crate::entity::Status;
use crate::plugin::input::MaskObligation;
use crate::policy::{Pack, Snapshot};

/// A decision that can be acted on.
#[derive(Debug)]
pub(super) struct Decided {
    /// `dec_…`.
    pub(super) id: String,
    /// The pack that judged.
    pub(super) pack: Arc<Pack>,
    /// The application's own request, as `METHOD /path`; empty when it did not say.
    pub(super) route: String,
    obligations: Vec<Obligation>,
}

impl Decided {
    /// What is to be masked.
    pub(super) fn masks(&self) -> Vec<MaskObligation> {
        let mask = |obligation: &Obligation| match &obligation.duty {
            Duty::Mask { path, method } => {
                Some(MaskObligation { pointer: path.to_string(), method: *method })
            }
            _ => None,
        };
        self.obligations.iter().filter_map(mask).collect()
    }

    /// The keys that are to be signed with.
    pub(super) fn keys(&self) -> Vec<String> {
        let key = |obligation: &Obligation| match &obligation.duty {
            Duty::Sign { key } => Some(key.to_string()),
            _ => None,
        };
        self.obligations.iter().filter_map(key).collect()
    }
}

/// OCSF's `action_id` of what was allowed.
const ALLOWED: u8 = 1;

/// What of a record counts here.
#[derive(Deserialize)]
struct Stored<'a> {
    #[serde(borrow)]
    actor: Actor<'a>,
    #[serde(borrow)]
    api: Api<'a>,
    action_id: u8,
    #[serde(borrow)]
    unmapped: Own<'a>,
}

#[derive(Deserialize)]
struct Actor<'a> {
    #[serde(borrow, default)]
    user: Option<Named<'a>>,
    #[serde(borrow, default)]
    app_uid: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(rename = "type", borrow)]
    type_name: Cow<'a, str>,
    #[serde(borrow)]
    uid: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Api<'a> {
    #[serde(default, borrow)]
    service: Option<Service<'a>>,
}

#[derive(Deserialize)]
struct Service<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Own<'a> {
    #[serde(borrow)]
    tenant: Cow<'a, str>,
    #[serde(default)]
    obligations: Vec<Obligation>,
    #[serde(default, borrow)]
    http: Option<&'a RawValue>,
}

/// The application's own request, as far as it names a route.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Route {
    method: Option<String>,
    path: Option<String>,
}

/// The decision with this id, if the caller may act on it now.
///
/// # Errors
/// When it may not, or the log can't be read.
pub(super) async fn recall(
    app: &App,
    snapshot: &Snapshot,
    caller: &Caller,
    id: &str,
) -> Result<Decided, ObligeError> {
    if RecordId::parse(id).is_none() {
        return Err(ObligeError::NotFound);
    }
    let found = app.log.find(id).await.map_err(|error| {
        tracing::error!(%error, "the decision log can't be read");
        ObligeError::Unavailable
    })?;
    let record =
        found.filter(|record| record.kind == Kind::Decision.as_str()).ok_or(ObligeError::NotFound)?;
    let stored: Stored<'_> = serde_json::from_slice(&record.event).map_err(|error| {
        tracing::error!(%error, decision_id = id, "a record can't be read");
        ObligeError::Unavailable
    })?;
    // Nobody is told of another's.
    if stored.unmapped.tenant != caller.tenant || stored.actor.app_uid != caller.id {
        return Err(ObligeError::NotFound);
    }
    let now = app.clock.now();
    let fresh_seconds = app.config.obligations.fresh_seconds;
    // A clock may have been set back: what is from far ahead is no fresher.
    if now.0.abs_diff(record.time.0) > u64::from(fresh_seconds) * 1_000_000 {
        return Err(ObligeError::Stale(fresh_seconds));
    }
    if stored.action_id != ALLOWED {
        return Err(ObligeError::Denied);
    }
    stored.into_decided(id, snapshot, caller, now)
}

impl Stored<'_> {
    fn into_decided(
        self,
        id: &str,
        snapshot: &Snapshot,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<Decided, ObligeError> {
        let name = self.api.service.map(|service| service.name.into_owned()).unwrap_or_default();
        let pack = snapshot.pack(&name);
        let pack = pack
            .filter(|_| may(snapshot, caller, Right::Decide, RightOn::Pack(&name), now))
            .ok_or_else(|| ObligeError::RightMissing { right: Right::Decide, pack: name.clone() })?;
        let subject = self.actor.user.and_then(|user| pack.uid(&user.type_name, &user.uid));
        let subject = subject.ok_or(ObligeError::Denied)?;
        if pack.facts(&snapshot.data, &caller.tenant, now).status(&subject) != Status::Active {
            return Err(ObligeError::Inactive);
        }
        let http = self.unmapped.http.and_then(|http| serde_json::from_str::<Route>(http.get()).ok());
        let route = match http.unwrap_or_default() {
            Route { method: Some(method), path: Some(path) } => format!("{method} {path}"),
            _ => String::new(),
        };
        Ok(Decided {
            id: id.to_owned(),
            pack: Arc::clone(pack),
            route,
            obligations: self.unmapped.obligations,
        })
    }
}
