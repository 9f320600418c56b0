//! `POST /v1/entities` with NDJSON: many entities in one change.
//!
//! The answer begins while the body still comes: lines say how far it is, the last one what came of it. Promises: until
//! that last line, nothing of it is visible; who may not any more when all is read, changes nothing.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::body::nests_deeper_than;
use super::caller::Authenticated;
use super::error::ApiError;
use crate::administration::AdminError;
use crate::administration::import::check::{Allowed, Checker};
use crate::administration::import::present::{CheckError, Present, Touched};
use crate::administration::import::reading::Collector;
use crate::administration::import::rows::Rows;
use crate::administration::import::work::{Finished, Step, Work, WorkError, carry_out};
use crate::administration::import::{Content, Fault, Piece, Wrong};
use crate::app::App;
use crate::caller::{About, Caller, Right, RightOn, decide};
use crate::decision::Verdict;
use crate::policy::Pack;
use crate::store::imports::StagedRow;

mod lines;

use lines::Lines;

/// The most bytes of a line.
const LINE_BYTES: usize = 1 << 20;
/// The bytes that an entity may have on average, once it is checked: what one call can put on the disk has a bound.
const MEAN_BYTES: usize = 4 << 10;
/// Lines that are checked together.
const TOGETHER: usize = 512;
/// How many entities there are between two lines of the answer.
const TOLD_EVERY: u64 = 5_000;

/// How many calls read many entities at once: each may put its limit on the disk, and wait for its client meanwhile.
const AT_ONCE: usize = 4;

/// The tenants whose entities are being read.
static READING: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// The one turn of a tenant.
struct Turn(String);

impl Turn {
    fn take(tenant: &str) -> Result<Self, ApiError> {
        let mut reading = READING.lock().unwrap_or_else(PoisonError::into_inner);
        let by = if reading.contains(tenant) {
            "another call of this tenant imports entities"
        } else if reading.len() >= AT_ONCE {
            "several tenants import entities"
        } else {
            reading.insert(tenant.to_owned());
            return Ok(Self(tenant.to_owned()));
        };
        Err(AdminError::InUse { id: "import".into(), by: format!("{by}: try again when it is done") }.into())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        READING.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
    }
}

/// Whether a call brings many entities.
pub(super) fn is_ndjson(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = value.and_then(|value| value.split(';').next());
    media_type.is_some_and(|media_type| media_type.trim().eq_ignore_ascii_case("application/x-ndjson"))
}

/// Imports entities for a caller into a pack that was chosen.
///
/// # Errors
/// When the caller may not; everything else is told in the answer's last line.
pub(super) async fn bulk_entities(
    app: &Arc<App>,
    who: &Authenticated<'_>,
    pack: Arc<Pack>,
    parts: &Parts,
    body: Body,
) -> Result<Response, ApiError> {
    let about = About { pack: Some(pack.name()), ..About::default() };
    who.may_about(app, Right::ChangeEntities, &about).await?;
    let turn = Turn::take(&who.caller.tenant)?;
    let (lines, mut told) = mpsc::channel(16);
    let bulk = Bulk {
        app: Arc::clone(app),
        pack,
        tenant: who.caller.tenant.clone(),
        caller_id: who.caller.id.clone(),
        parts: parts.clone(),
        lines,
    };
    tokio::spawn(bulk.run(body, turn));
    let stream = futures_util::stream::poll_fn(move |context| {
        told.poll_recv(context).map(|line| line.map(Ok::<Bytes, std::convert::Infallible>))
    });
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(stream)).into_response())
}

/// An import on its way.
struct Bulk {
    app: Arc<App>,
    pack: Arc<Pack>,
    tenant: String,
    caller_id: String,
    parts: Parts,
    lines: mpsc::Sender<Bytes>,
}

/// What is wrong, and on which line.
struct Refusal {
    error: ApiError,
    line: Option<u64>,
}

impl<E: Into<ApiError>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self { error: error.into(), line: None }
    }
}

/// What is told while it goes on.
#[derive(Serialize)]
struct Told {
    /// How many entities were read.
    received: u64,
    /// How many of them wait in the store.
    #[serde(skip_serializing_if = "Option::is_none")]
    staged: Option<u64>,
}

impl Bulk {
    async fn run(self, body: Body, turn: Turn) {
        let done = self.import(body).await;
        // Before the client hears of it, and begins its next.
        drop(turn);
        let last = match done {
            Ok(Finished { imported, sequence }) => json!({
                "created": imported.created, "updated": imported.updated, "unchanged": imported.unchanged,
                "revision": sequence,
            }),
            Err(Refusal { error, line }) => {
                let mut problem = json!(error.problem().1);
                if let (Some(members), Some(line)) = (problem.as_object_mut(), line) {
                    members.insert("line".into(), line.into());
                }
                json!({"problem": problem})
            }
        };
        // The client may be gone: what is made is made.
        self.lines.send(line_of(&last)).await.ok();
    }

    fn tell(&self, told: &Told) {
        // A client that does not read misses some.
        self.lines.try_send(line_of(&json!(told))).ok();
    }

    async fn import(&self, body: Body) -> Result<Finished, Refusal> {
        let rows = self.read(body).await?;
        let app = &self.app;
        let snapshot = app.snapshot();
        // Rows were checked by the pack as it was when the call began.
        if !snapshot.pack(self.pack.name()).is_some_and(|pack| Arc::ptr_eq(pack, &self.pack)) {
            return Err(ApiError::Unavailable.into());
        }
        let of = (self.tenant.as_str(), self.pack.name());
        let present = Present::known(of, (*snapshot.data).clone(), snapshot.revision.sequence);
        let touched = {
            let (present, pack, rows) = (present.clone(), Arc::clone(&self.pack), rows.clone());
            blocking(move || present.touched(&pack, &rows)).await?.map_err(|error| failed(&error))?
        };
        self.still_may(touched).await?;
        let count = rows.count;
        let work = Work {
            store: &app.store,
            clock: &*app.clock,
            rng: &*app.rng,
            tenant: &self.tenant,
            pack: Arc::clone(&self.pack),
            caller_id: Some(&self.caller_id),
            rows,
            may: Some(&|touched| self.may_now(touched)),
        };
        let finished = carry_out(&work, present, |step| {
            if let Step::Staged(staged) = step {
                self.tell(&Told { received: count, staged: Some(staged) });
            }
        })
        .await
        .map_err(of_work)?;
        app.refresh().await?;
        app.announce().await.map_err(AdminError::from)?;
        Ok(finished)
    }

    /// Much time may have passed since the call began.
    async fn still_may(&self, touched: Touched) -> Result<(), ApiError> {
        let who = Authenticated::of(&self.app, &self.parts).await?;
        let about = About { pack: Some(self.pack.name()), ..About::default() };
        if who.caller.id != self.caller_id || !who.caller.is_bound_to(self.pack.name()) {
            return Err(ApiError::NotFound);
        }
        who.may_about(&self.app, Right::ChangeEntities, &about).await?;
        if touched.principals {
            who.may_about(&self.app, Right::ChangePrincipals, &about).await?;
        }
        if touched.groups {
            who.may_about(&self.app, Right::ChangeGroups, &about).await?;
        }
        Ok(())
    }

    /// The same in the change itself, which was announced by a record before.
    fn may_now(&self, touched: Touched) -> bool {
        let now = self.app.clock.now();
        let caller = self.app.callers.with_id(&self.caller_id);
        let bound = |caller: &Arc<Caller>| {
            caller.tenant == self.tenant && caller.is_live(now) && caller.is_bound_to(self.pack.name())
        };
        let Some(caller) = caller.filter(bound) else { return false };
        let snapshot = self.app.snapshot();
        let about = About { pack: Some(self.pack.name()), ..About::default() };
        let may = |right| {
            let tenant = RightOn::Tenant(&self.tenant);
            decide(&snapshot, &caller, (right, &about), tenant, now).verdict == Verdict::Allow
        };
        may(Right::ChangeEntities)
            && (!touched.principals || may(Right::ChangePrincipals))
            && (!touched.groups || may(Right::ChangeGroups))
    }

    /// Reads and checks the whole body.
    async fn read(&self, body: Body) -> Result<Rows, Refusal> {
        let limits = self.app.config.limits;
        let patience = Duration::from_secs(self.app.config.server.body_seconds);
        let collector = Collector::within(&self.app.config.data.folder).map_err(|error| failed(&error))?;
        let mut checking = Checking {
            checker: Checker::new(&self.pack, Allowed::default(), None),
            collector,
            nesting: limits.nesting,
            most: limits.bulk_entities,
        };
        let mut lines = Lines::default();
        let mut data = body.into_data_stream();
        let mut next_told = TOLD_EVERY;
        loop {
            let chunk =
                tokio::time::timeout(patience, data.next()).await.map_err(|_| ApiError::RequestTimeout)?;
            match chunk {
                Some(Ok(bytes)) => lines.take(&bytes),
                Some(Err(_)) => {
                    return Err(ApiError::MalformedJson("the body ended before its end".into()).into());
                }
                None => lines.end(),
            }
            let ended = lines.ended;
            if lines.waiting.len() >= TOGETHER || ended {
                let pieces = std::mem::take(&mut lines.waiting);
                checking = blocking(move || checking.add(pieces)).await??;
            }
            let received = checking.collector.count();
            if received >= next_told {
                self.tell(&Told { received, staged: None });
                next_told = received + TOLD_EVERY;
            }
            if ended {
                return blocking(move || checking.collector.finish())
                    .await?
                    .map_err(|error| failed(&error).into());
            }
        }
    }
}

fn line_of(value: &Value) -> Bytes {
    format!("{value}\n").into()
}

/// What takes longer than a request may hold a worker.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| ApiError::Defect)
}

/// A failure of this machine.
fn failed(error: &std::io::Error) -> ApiError {
    tracing::error!(%error, "an import can't be collected");
    ApiError::Unavailable
}

fn of_work(error: WorkError) -> ApiError {
    match error {
        WorkError::Check(CheckError::Refused(error)) => error.into(),
        WorkError::Check(CheckError::Rows(error)) => failed(&error),
        WorkError::Store(error) => error.into(),
        WorkError::Busy => AdminError::InUse { id: "import".into(), by: error.to_string() }.into(),
        WorkError::NotAllowed => ApiError::RightMissing("change_groups".into()),
        WorkError::Random(_) => ApiError::Unavailable,
        WorkError::Defect => ApiError::Defect,
    }
}

fn of_fault(Fault { place, field, wrong }: Fault) -> Refusal {
    let error = match (wrong, field) {
        (Wrong::Malformed(message), None) => ApiError::MalformedJson(message),
        (Wrong::Malformed(message), Some(field)) => ApiError::InvalidRequest(format!("`{field}`: {message}")),
        (wrong @ Wrong::TooLong(_), _) => ApiError::BatchTooLarge(wrong.to_string()),
        (wrong @ Wrong::Twice(_), field) => {
            ApiError::InvalidRequest(format!("`{}`: {wrong}", field.unwrap_or_default()))
        }
        (Wrong::Refused(error), _) => ApiError::from(*error),
    };
    Refusal { error, line: Some(place.line) }
}

/// What checks and collects lines.
struct Checking {
    checker: Checker,
    collector: Collector,
    nesting: usize,
    most: usize,
}

impl Checking {
    fn add(mut self, pieces: Vec<Result<Piece, Fault>>) -> Result<Self, Refusal> {
        for piece in pieces {
            let piece = piece.map_err(of_fault)?;
            if let Content::Json(text) = &piece.content
                && nests_deeper_than(text, self.nesting)
            {
                return Err(Refusal {
                    error: ApiError::NestingTooDeep(self.nesting),
                    line: Some(piece.place.line),
                });
            }
            let row: StagedRow = self.checker.check(&piece).map_err(of_fault)?;
            let twice = self.collector.add(piece.place, &row).map_err(|error| failed(&error))?;
            twice.map_or(Ok(()), |fault| Err(of_fault(fault)))?;
            if let Some(error) = self.excess() {
                return Err(Refusal { error, line: Some(piece.place.line) });
            }
        }
        Ok(self)
    }

    fn excess(&self) -> Option<ApiError> {
        let most_bytes = self.most.saturating_mul(MEAN_BYTES).max(2 * LINE_BYTES);
        if self.collector.count() > self.most as u64 {
            let message = format!("one call imports at most {} entities (`limits.bulk_entities`)", self.most);
            return Some(ApiError::BatchTooLarge(message));
        }
        (self.collector.bytes() > most_bytes as u64).then(|| {
            ApiError::BatchTooLarge(format!(
                "one call imports at most {most_bytes} bytes (`limits.bulk_entities`)"
            ))
        })
    }
}
