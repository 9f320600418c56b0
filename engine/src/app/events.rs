//! Refusals, as events of the decision log.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use super::App;
use crate::administration::elevations::BROKEN;
use crate::audit::{AuditError, Kind};
use crate::caller::{About, Caller, Right, RightOn, decide};
use crate::clock::Clock;
use crate::decision::{Reason, Verdict};
use crate::evaluation::{Circumstances, give_batch_back, take_batch};
use crate::policy::MANAGEMENT;
use crate::question::{Act, Asked, Party};
use crate::record::{Record, Severity};
use crate::store::changes::Change;

/// Lets a few of many through: whoever has no key must not be able to fill the disk.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    /// The second, and how many it has had, in one word.
    state: AtomicU64,
}

/// Events a second.
const ADMITTED: u64 = 10;

impl Throttle {
    pub(super) fn admits(&self, clock: &dyn Clock) -> bool {
        let second = clock.monotonic().as_secs();
        let next = |state: u64| {
            let had = if state >> 16 == second { state & 0xffff } else { 0 };
            (had < ADMITTED).then_some((second << 16) | (had + 1))
        };
        self.state.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok()
    }
}

/// A known caller asked for what it has no right to.
pub(super) async fn record_refusal(app: &App, by: &Circumstances<'_>, right: Right) {
    let reasons = [format!("right_missing:{}", right.name()).into()];
    let asked = call(by.caller, right, by.pack);
    let (snapshot, time) = (app.snapshot(), app.clock.now());
    let id = app.new_id("evt_", time);
    let record = Record {
        caller: Some(by.caller),
        tenant: &by.caller.tenant,
        request_id: by.request_id,
        peer: by.peer,
        pack: Some(MANAGEMENT),
        reasons: &reasons,
        asked: Some(&asked),
        ..Record::denied(&id, time, &snapshot.revision_text)
    };
    append(app, &record).await.ok();
}

/// Nobody known asked.
pub(super) async fn record_unauthenticated(
    app: &App,
    reason: &'static str,
    request_id: Option<&str>,
    peer: Option<IpAddr>,
) {
    let (snapshot, time) = (app.snapshot(), app.clock.now());
    let id = app.new_id("evt_", time);
    let record = Record {
        request_id,
        peer,
        reasons: &[reason.into()],
        ..Record::denied(&id, time, &snapshot.revision_text)
    };
    append(app, &record).await.ok();
}

/// Tries whether the decision log can be written again.
pub(super) async fn probe(app: &App) -> bool {
    let (snapshot, time) = (app.snapshot(), app.clock.now());
    let id = app.new_id("evt_", time);
    let reasons = ["log_probed".into()];
    let record = Record { reasons: &reasons, ..Record::denied(&id, time, &snapshot.revision_text) };
    append(app, &record).await.is_ok()
}

impl App {
    /// Takes over into the decision log what administrators changed. A change that a crash keeps from being noted as
    /// taken over is taken over again, under the same id: twice and not never.
    pub(super) async fn log_changes(&self) {
        const AT_ONCE: i64 = 100;
        loop {
            let changes = match self.store.unlogged_changes(self.clock.now(), AT_ONCE).await {
                Ok(changes) if changes.is_empty() => return,
                Ok(changes) => changes,
                Err(error) => {
                    tracing::error!(%error, "changes could not be read for the decision log: tried again later");
                    return;
                }
            };
            for change in &changes {
                if !self.log_change(change).await {
                    return;
                }
            }
        }
    }

    async fn log_change(&self, change: &Change) -> bool {
        match self.store.take_change(&change.id, self.clock.now()).await {
            Ok(true) => {}
            // Another node has it.
            Ok(false) => return true,
            Err(error) => {
                tracing::error!(%error, "a change could not be taken into the decision log: tried again later");
                return false;
            }
        }
        let party = |type_name, id| Party {
            type_name: Cow::Borrowed(type_name),
            id: Cow::Borrowed(id),
            properties: None,
        };
        let subject = match &change.caller_id {
            Some(id) => party("caller", id),
            None => party("operator", "command line"),
        };
        let asked = Asked {
            subject,
            action: Act { name: Cow::Borrowed(&change.kind), properties: None },
            resource: Party {
                properties: serde_json::from_str(&change.detail).ok(),
                ..party(target_type(&change.kind), &change.target_id)
            },
            context: None,
        };
        let snapshot = self.snapshot();
        let record = Record {
            pack: Some(MANAGEMENT),
            tenant: &change.tenant_id,
            severity: if change.kind == BROKEN { Severity::Critical } else { Severity::Informational },
            allowed: true,
            asked: Some(&asked),
            ..Record::denied(&change.id, change.made_at, &snapshot.revision_text)
        };
        if append(self, &record).await.is_err() {
            return false;
        }
        let noted = self.store.change_logged(&change.id, self.clock.now()).await;
        if let Err(error) = &noted {
            tracing::error!(%error, "a change could not be noted as logged: it is logged again later");
        }
        noted.is_ok()
    }

    /// Writes an event into the decision log.
    ///
    /// # Errors
    /// When it can't be recorded.
    pub async fn record_event(&self, record: &Record<'_>) -> Result<(), AuditError> {
        append(self, record).await
    }

    /// Whether a call of the management API may go on: a Cedar decision of the management pack, with a record.
    /// Fails closed: without a record there is no call, save those that show why there is none.
    ///
    /// # Errors
    /// When it can't be recorded.
    pub async fn allows_call(
        &self,
        by: &Circumstances<'_>,
        right: Right,
        about: &About<'_>,
    ) -> Result<bool, AuditError> {
        let snapshot = self.snapshot();
        let tenant = RightOn::Tenant(&by.caller.tenant);
        let time = self.clock.now();
        let combined = decide(&snapshot, by.caller, (right, about), tenant, time);
        let allowed = combined.verdict == Verdict::Allow;
        if !allowed {
            self.metrics.refused();
        }
        let reasons: Vec<_> = combined.reasons.iter().map(Reason::text).collect();
        let is_policy = |reason: &&Reason| matches!(reason, Reason::Policy(_));
        let policies: Vec<_> = combined.reasons.iter().filter(is_policy).map(Reason::text).collect();
        let context = serde_json::value::to_raw_value(about).ok();
        let asked = Asked { context: context.as_deref(), ..call(by.caller, right, None) };
        let id = self.new_id("evt_", time);
        let record = Record {
            caller: Some(by.caller),
            tenant: &by.caller.tenant,
            request_id: by.request_id,
            peer: by.peer,
            pack: Some(MANAGEMENT),
            allowed,
            reasons: &reasons,
            policies: &policies,
            asked: Some(&asked),
            ..Record::denied(&id, time, &snapshot.revision_text)
        };
        match append(self, &record).await {
            Err(_) if right.goes_unrecorded() => Ok(allowed),
            appended => appended.map(|()| allowed),
        }
    }
}

/// What a kind of change is about: `role_created` is about a role. The longer names stand first.
fn target_type(kind: &str) -> &'static str {
    const TYPES: [&str; 8] =
        ["role_assignment", "elevation", "principal", "entity", "import", "group", "role", "plugin"];
    let names = |name: &&str| kind.strip_prefix(*name).is_some_and(|rest| rest.starts_with('_'));
    TYPES.into_iter().find(names).unwrap_or("caller")
}

fn call<'a>(caller: &'a Caller, right: Right, pack: Option<&'a str>) -> Asked<'a> {
    let party = |type_name, id| Party {
        type_name: Cow::Borrowed(type_name),
        id: Cow::Borrowed(id),
        properties: None,
    };
    Asked {
        subject: party("caller", caller.id.as_str()),
        action: Act { name: Cow::Borrowed(right.name()), properties: None },
        resource: pack.map_or_else(|| party("tenant", caller.tenant.as_str()), |pack| party("pack", pack)),
        context: None,
    }
}

async fn append(app: &App, record: &Record<'_>) -> Result<(), AuditError> {
    let mut batch = take_batch();
    let pushed = batch.push(record.id, Kind::Event, record.time, |out| record.write(out));
    let appended = match pushed {
        Ok(()) => app.log.append(&mut batch).await,
        Err(error) => Err(error),
    };
    give_batch_back(batch);
    app.note_append(&appended);
    appended
}
