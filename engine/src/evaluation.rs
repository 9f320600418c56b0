//! One request, walked.
//!
//! ```text
//! caller ► limit ► credential ► limit ► validate ► detect ► decide ► oblige ► record ► answer
//! ```
//!
//! `caller` is done by the HTTP layer, which hands a known [`Caller`] in. In this version a subject is asserted
//! by the application, so `credential` is the check that it may do so. Rate limits take their places between.
//! `validate` and `detect` look at the application's own request, when it reports one, and add to `context.verified`;
//! a stage that did not run leaves its part absent. Promises: every early exit passes `record`, and feeds detection;
//! stages after `decide` can only restrict; no decision is the answer deny.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use cedar_policy_core::ast::Value;
use smol_str::SmolStr;

use crate::app::App;
use crate::audit::{Batch, Kind};
use crate::caller::{Caller, Right, RightOn, may};
use crate::clock::Timestamp;
use crate::decision::obligation::Obligation;
use crate::decision::{self, Combined, Evaluator, Findings, Question, Reason, Verdict};
use crate::entity::{Facts, Status};
use crate::policy::{Pack, Snapshot};
use crate::question::{Asked, Assertions, Party, QuestionError};
use crate::record::{Found, Record, STAGES, Severity, Stage, Via};

mod batches;
pub mod explain;
pub mod filter;
mod inspect;
mod inspection;
mod lookup;
mod reported;
pub mod search;
pub(crate) use batches::{give_batch_back, take_batch};
pub use explain::Explanation;
pub(crate) use inspection::Gathered;
pub use inspection::{HOST, Inspection, Noticed, PluginCall, Risk, SHOWN, recorded};
pub(crate) use lookup::PackLookup;
pub use reported::Reported;

/// Who asks, and how: what all items of a request share.
#[derive(Debug)]
pub struct Circumstances<'a> {
    /// The application.
    pub caller: &'a Arc<Caller>,
    /// Which API.
    pub via: Via,
    /// The pack that it names.
    pub pack: Option<&'a str>,
    /// Its own id of the request.
    pub request_id: Option<&'a str>,
    /// Its address.
    pub peer: Option<IpAddr>,
    /// The obligation kinds that it will carry out.
    pub understands: &'a [Cow<'a, str>],
    /// The application's own request, as it reports it.
    pub http: Option<&'a Reported>,
    /// Whether it wants an explanation.
    pub explain: bool,
    /// How long it took to find out who it is.
    pub caller_took: Duration,
}

/// What a batch does after an item that decides it (AuthZEN 1.0, `evaluations_semantic`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Semantic {
    /// Every item is evaluated.
    #[default]
    ExecuteAll,
    /// The first deny is the last item.
    DenyOnFirstDeny,
    /// The first permit is the last item.
    PermitOnFirstPermit,
}

/// An item of a request: a question, or none.
pub type Item<'a> = Result<Asked<'a>, ()>;

/// What the caller is told.
#[derive(Debug)]
pub struct Answer {
    /// Allow or deny.
    pub verdict: Verdict,
    /// `dec_…`.
    pub decision_id: String,
    /// The revision that it is of.
    pub revision: Arc<str>,
    /// Why, by id.
    pub reasons: Vec<SmolStr>,
    /// What the caller must do.
    pub obligations: Vec<Obligation>,
    /// What was found of the application's own request: the same for all items of a batch.
    pub inspection: Option<Arc<Inspection>>,
    /// More about why, when asked for.
    pub explanation: Option<Explanation>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The caller may not vouch for subjects in this pack.
    #[error("the caller lacks the right `assert_subject` on the pack `{0}`")]
    MayNotAssert(String),
    /// The only question is none.
    #[error(transparent)]
    Question(#[from] QuestionError),
    /// It is a search, and there is no page.
    #[error(transparent)]
    Search(#[from] search::SearchError),
    /// It is a filter, and there is none.
    #[error(transparent)]
    Filter(#[from] filter::FilterError),
    /// A defect.
    #[error("the search failed, which is a defect of this program")]
    Failed,
}

/// Walks one question.
///
/// # Errors
/// When the caller may not ask so, or the question is none: there is no decision then.
pub async fn evaluate(app: &App, by: &Circumstances<'_>, asked: Asked<'_>) -> Result<Answer, AskError> {
    let assertions = Assertions::parse(&asked)?;
    let snapshot = app.snapshot();
    let mut walk = Walk::begin(app, by, &snapshot).await?;
    walk.inspect(Some(&asked.subject)).await;
    let mut batch = take_batch();
    let mut answer = Evaluation::begin(&walk, 0).finish(&asked, assertions, &mut batch);
    record(app, batch, std::slice::from_mut(&mut answer)).await;
    app.metrics.decided(answer.verdict);
    walk.feed(Some(&asked), &answer);
    Ok(answer)
}

/// Walks a list of questions. One that is none is a deny of its own.
///
/// # Errors
/// When the caller may not ask so.
pub async fn evaluate_batch(
    app: &App,
    by: &Circumstances<'_>,
    items: &[Item<'_>],
    semantic: Semantic,
) -> Result<Vec<Answer>, AskError> {
    let snapshot = app.snapshot();
    let mut walk = Walk::begin(app, by, &snapshot).await?;
    walk.inspect(items.iter().flatten().next().map(|asked| &asked.subject)).await;
    let mut batch = take_batch();
    let mut answers = Vec::with_capacity(items.len());
    for (place, item) in items.iter().enumerate() {
        if place % 64 == 63 || by.explain {
            tokio::task::yield_now().await;
        }
        let evaluation = Evaluation::begin(&walk, place);
        let answer = match item.as_ref().map(|asked| (asked, Assertions::parse(asked))) {
            Ok((asked, Ok(assertions))) => evaluation.finish(asked, assertions, &mut batch),
            _ => evaluation.refuse_item(&mut batch),
        };
        let last = match semantic {
            Semantic::ExecuteAll => false,
            Semantic::DenyOnFirstDeny => answer.verdict == Verdict::Deny,
            Semantic::PermitOnFirstPermit => answer.verdict == Verdict::Allow,
        };
        answers.push(answer);
        if last {
            break;
        }
    }
    record(app, batch, &mut answers).await;
    for (answer, item) in answers.iter().zip(items) {
        app.metrics.decided(answer.verdict);
        walk.feed(item.as_ref().ok(), answer);
    }
    Ok(answers)
}

/// What all items of a request share.
struct Walk<'a> {
    app: &'a App,
    by: &'a Circumstances<'a>,
    snapshot: &'a Arc<Snapshot>,
    pack: Option<&'a Arc<Pack>>,
    now: Timestamp,
    /// Of the first item's decision.
    first_id: String,
    inspection: Option<Arc<Inspection>>,
    /// `context.verified`, when a stage has something to say there.
    verified: Option<Value>,
    /// How much work all its explanations may be.
    budget: explain::Budget,
}

/// The pack that judges: the one that is named, among those that the caller is bound to; else its
/// default; else the only one.
fn choose_pack<'s>(snapshot: &'s Snapshot, by: &Circumstances<'_>, now: Timestamp) -> Option<&'s Arc<Pack>> {
    let open = |pack: &&Arc<Pack>| may(snapshot, by.caller, Right::Decide, RightOn::Pack(pack.name()), now);
    if let Some(named) = by.pack.or(by.caller.default_pack.as_deref()) {
        return snapshot.pack(named).filter(open);
    }
    let mut bound = snapshot.packs().filter(|pack| by.caller.is_bound_to(pack.name()));
    match (bound.next(), bound.next()) {
        (Some(only), None) => Some(only).filter(open),
        _ => None,
    }
}

/// Stage `credential`: a bare subject is the application's word, which needs a right.
async fn vouch(
    app: &App,
    snapshot: &Snapshot,
    by: &Circumstances<'_>,
    pack: Option<&Arc<Pack>>,
    now: Timestamp,
) -> Result<(), AskError> {
    let Some(pack) = pack else { return Ok(()) };
    if may(snapshot, by.caller, Right::AssertSubject, RightOn::Pack(pack.name()), now) {
        return Ok(());
    }
    Box::pin(app.refused(by, Right::AssertSubject)).await;
    Err(AskError::MayNotAssert(pack.name().to_owned()))
}

impl<'a> Walk<'a> {
    /// Which pack judges, and stage `credential`.
    async fn begin(
        app: &'a App,
        by: &'a Circumstances<'a>,
        snapshot: &'a Arc<Snapshot>,
    ) -> Result<Self, AskError> {
        let now = app.clock.now();
        let pack = choose_pack(snapshot, by, now);
        vouch(app, snapshot, by, pack, now).await?;
        let first_id = app.new_id("dec_", now);
        Ok(Self {
            app,
            by,
            snapshot,
            pack,
            now,
            first_id,
            inspection: None,
            verified: None,
            budget: explain::Budget::new(),
        })
    }

    /// Stages `validate` and `detect`.
    async fn inspect(&mut self, subject: Option<&Party<'_>>) {
        if self.by.http.is_none() {
            return;
        }
        let found = Box::pin(inspect::inspect(self, &self.first_id, subject)).await;
        let (inspection, verified) = found.unzip();
        self.inspection = inspection.map(Arc::new);
        self.verified = verified;
    }

    /// What was answered is an event, for detectors that want to hear of it.
    fn feed(&self, asked: Option<&Asked<'_>>, answer: &Answer) {
        if self.app.aftermath.is_wanted(self.snapshot) {
            self.app.aftermath.feed((self.snapshot, self.now), self.by, self.pack, (asked, answer));
        }
    }
}

/// The places of stages that are timed here.
const DECIDE: usize = 3;
const OBLIGE: usize = 4;

/// One question on its way.
struct Evaluation<'a> {
    walk: &'a Walk<'a>,
    /// Which item it is.
    place: usize,
    id: String,
    time: Timestamp,
    mark: Duration,
    stages: [Stage<'static>; 5],
    why: Option<explain::Why>,
}

impl<'a> Evaluation<'a> {
    fn begin(walk: &'a Walk<'a>, place: usize) -> Self {
        let app = walk.app;
        let is_first = place == 0;
        let time = if is_first { walk.now } else { app.clock.now() };
        let id = if is_first { walk.first_id.clone() } else { app.new_id("dec_", time) };
        let took = walk.inspection.as_ref().filter(|_| is_first).map_or([None; 2], |found| found.took_ns);
        let times = [Some(nanos(walk.by.caller_took)), took[0], took[1], Some(0), Some(0)];
        let mut stages = STAGES.map(|name| Stage { name, duration_ns: None });
        for (stage, duration_ns) in stages.iter_mut().zip(times) {
            stage.duration_ns = duration_ns;
        }
        Self { walk, place, id, time, mark: app.clock.monotonic(), stages, why: None }
    }

    fn finish(mut self, asked: &Asked<'_>, assertions: Assertions, batch: &mut Batch) -> Answer {
        let denied = self.walk.inspection.as_ref().and_then(|found| found.denied.clone());
        let (findings, combined) = match denied {
            Some(reason) => (Findings::default(), Combined::deny(vec![reason])),
            None => self.judge(asked, assertions),
        };
        self.answer(Some(asked), &findings, combined, batch)
    }

    fn refuse_item(self, batch: &mut Batch) -> Answer {
        self.answer(None, &Findings::default(), Combined::deny(vec![Reason::InvalidItem]), batch)
    }

    /// Stages `decide`, what each policy says, and `oblige`, what follows from it for this caller.
    fn judge(&mut self, asked: &Asked<'_>, mut assertions: Assertions) -> (Findings, Combined) {
        let Walk { by, snapshot, pack, ref verified, .. } = *self.walk;
        let Some(pack) = pack else {
            return (Findings::default(), Combined::deny(vec![Reason::NoPack]));
        };
        if let Some(verified) = verified {
            assertions.verify(verified.clone());
        }
        let facts = pack.facts(&snapshot.data, &by.caller.tenant, self.time);
        let Some(question) = assertions.question(asked, pack, facts) else {
            return (Findings::default(), Combined::deny(vec![Reason::TypeUnrepresentable]));
        };
        let understands = |kind: &str| by.understands.iter().any(|understood| understood == kind);
        let app = self.walk.app;
        let judged = judge((app.config.policies.evaluator, pack), facts, &question, &understands, |stage| {
            self.lap(stage)
        });
        app.metrics.evaluated(judged.0.left_to_cedar, judged.0.differs);
        if judged.0.differs {
            tracing::error!(
                decision_id = self.id,
                "the compiled policies and Cedar differ: Cedar's word was taken"
            );
        }
        if by.explain {
            let asked = (&question, &facts.about(&question.resource));
            self.why = explain::why(pack, asked, &understands, &self.walk.budget, (&judged.0, &judged.1));
        }
        judged
    }

    fn lap(&mut self, stage: usize) {
        let now = self.walk.app.clock.monotonic();
        if let Some(stage) = self.stages.get_mut(stage) {
            stage.duration_ns = Some(nanos(now.saturating_sub(self.mark)));
        }
        self.mark = now;
    }

    /// Stage `record`, its first half: the record is written into the batch.
    fn answer(
        self,
        asked: Option<&Asked<'_>>,
        findings: &Findings,
        combined: Combined,
        batch: &mut Batch,
    ) -> Answer {
        let (reasons, policies) = texts(&combined.reasons);
        let Walk { app, by, snapshot, pack, ref inspection, ref first_id, .. } = *self.walk;
        let errors = pack.map(|pack| explain::failures(pack, findings)).unwrap_or_default();
        let explanation = by
            .explain
            .then(|| Explanation::of(self.why.unwrap_or_default(), pack.map(AsRef::as_ref), findings));
        let mut answer = Answer {
            verdict: combined.verdict,
            decision_id: self.id,
            revision: Arc::clone(&snapshot.revision_text),
            reasons,
            obligations: combined.obligations,
            inspection: inspection.clone(),
            explanation,
        };
        let found = inspection
            .as_deref()
            .map(|found| if self.place == 0 { Found::Here(found) } else { Found::With(first_id) });
        let record = Record {
            id: &answer.decision_id,
            time: self.time,
            severity: Severity::Informational,
            caller: Some(by.caller),
            tenant: &by.caller.tenant,
            via: by.via,
            request_id: by.request_id,
            peer: by.peer,
            pack: pack.map(|pack| pack.name()),
            revision: &answer.revision,
            allowed: answer.verdict == Verdict::Allow,
            reasons: &answer.reasons,
            policies: &policies,
            obligations: &answer.obligations,
            understands: by.understands,
            asked,
            http: by.http.map(|http| http.recorded.as_str()),
            errors: &errors,
            stages: &self.stages,
            plugin_calls: inspection
                .as_ref()
                .filter(|_| self.place == 0)
                .and_then(|found| found.kept.as_deref()),
            found,
            search: None,
            filter: None,
        };
        let pushed = batch.push(&answer.decision_id, Kind::Decision, self.time, |out| record.write(out));
        if let Err(error) = pushed {
            app.metrics.log_failed();
            tracing::error!(%error, decision_id = answer.decision_id, "the decision could not be recorded");
            answer.unrecorded();
        } else if app.shadowed.is_wanted() {
            // Each item has all that was found: they may not wait together.
            let found = inspection.as_deref().map(Found::Here);
            if !app.shadowed.offer(snapshot, &Record { found, ..record }) {
                app.metrics.shadow_dropped();
            }
        }
        tracing::debug!(
            decision_id = answer.decision_id,
            request_id = by.request_id,
            verdict = ?answer.verdict,
            "decided"
        );
        answer
    }
}

/// What answers call the reasons, and those of them that are policies.
fn texts(reasons: &[Reason]) -> (Vec<SmolStr>, Vec<SmolStr>) {
    let policies = reasons.iter().filter(|reason| matches!(reason, Reason::Policy(_)));
    (reasons.iter().map(Reason::text).collect(), policies.map(Reason::text).collect())
}

fn nanos(took: Duration) -> u64 {
    u64::try_from(took.as_nanos()).unwrap_or(u64::MAX)
}

/// What a pack says to one question, and what follows from it for a caller that understands so much.
fn judge(
    (evaluator, pack): (Evaluator, &Pack),
    facts: Facts<'_>,
    question: &Question,
    understands: &dyn Fn(&str) -> bool,
    mut lap: impl FnMut(usize),
) -> (Findings, Combined) {
    if let Some(reason) = inactivity(facts.status(&question.principal)) {
        return (Findings::default(), Combined::deny(vec![reason]));
    }
    let findings = evaluator.evaluate(&pack.rules, &facts.about(&question.resource), question);
    lap(DECIDE);
    let on_error = pack.settings.on_policy_error;
    let mut combined = decision::combine(&pack.rules, &findings, on_error, understands);
    combined.reasons.extend(question.left_out_pointers().into_iter().map(Reason::ValueLeftOut));
    lap(OBLIGE);
    (findings, combined)
}

/// Why a principal may not do anything, whatever policies say.
fn inactivity(status: Status) -> Option<Reason> {
    match status {
        Status::Active => None,
        Status::Locked => Some(Reason::PrincipalLocked),
        Status::Disabled => Some(Reason::PrincipalDisabled),
    }
}

impl Answer {
    /// What could not be recorded is a deny.
    fn unrecorded(&mut self) {
        self.verdict = Verdict::Deny;
        self.reasons = vec![Reason::LogUnavailable.text()];
        self.obligations = Vec::new();
        self.inspection = None;
        self.explanation = None;
    }
}

/// Stage `record`, its second half: the answers leave after the log has their records.
async fn record(app: &App, mut batch: Batch, answers: &mut [Answer]) {
    let appended = app.log.append(&mut batch).await;
    app.note_append(&appended);
    if appended.is_err() {
        answers.iter_mut().for_each(Answer::unrecorded);
    }
    give_batch_back(batch);
}
