//! A search: who may do this, to what may it be done, what may be done (AuthZEN 1.0, "Search").
//!
//! Promises: what is found is what an evaluation of each candidate allows, as of one revision and instant, for all pages;
//! nothing is cut silently; it is recorded once. It runs off the workers, a few at a time, within a deadline. Must
//! never: find what the caller could not ask about.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cedar_policy_core::ast::EntityType;
use smol_str::SmolStr;

use super::{AskError, Circumstances, choose_pack, give_batch_back, judge, take_batch, vouch};
use crate::app::App;
use crate::audit::Kind;
use crate::clock::{Clock, Timestamp};
use crate::decision::narrow::Source;
use crate::decision::{Evaluator, Question, Reason, Verdict};
use crate::entity::{Data, Facts};
use crate::policy::Pack;
use crate::question::{Act, Asked, Assertions, Party};
use crate::record::{Record, Searched};

pub(super) mod candidates;
pub(super) mod named;
mod shared;
#[cfg(test)]
mod tests;
mod token;
pub(super) mod walk;

pub use shared::Searches;

use candidates::{Beyond, Bounds, By};
use named::Given;
use shared::ListKey;
use token::Token;
use walk::{At, Position, Walk};

/// What is searched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Who.
    Subject,
    /// To what.
    Resource,
    /// What.
    Action,
}

impl Target {
    fn name(self) -> &'static str {
        match self {
            Self::Subject => "subject",
            Self::Resource => "resource",
            Self::Action => "action",
        }
    }
}

/// Which page.
#[derive(Clone, Copy, Debug, Default)]
pub struct Page<'a> {
    /// What the page before gave.
    pub token: Option<&'a str>,
    /// The most results.
    pub limit: Option<usize>,
}

/// One page.
#[derive(Debug)]
pub struct Found {
    /// The ids, or the names of actions, in the order of the search.
    pub ids: Vec<SmolStr>,
    /// What the next page is had by; none at the end.
    pub next: Option<String>,
    /// Whether candidates came from an index, `index`, or were all there are, `trial`.
    pub by: &'static str,
    /// How many candidates were evaluated for this page.
    pub evaluated: usize,
}

/// Why there is no page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SearchError {
    /// The token is forged, or of another search.
    #[error("`page.token` is not one of this server's, or belongs to another search")]
    InvalidToken,
    /// What the token goes on with is gone.
    #[error("`page.token` goes on with a revision that is no longer held: search again from the first page")]
    RevisionDropped,
    /// There are too many candidates.
    #[error("the search has more than {0} candidates (`search.candidates`): ask about a narrower type")]
    TooWide(usize),
    /// It took too long.
    #[error("the search took longer than {0} milliseconds (`search.deadline_milliseconds`)")]
    TooSlow(u64),
    /// Others are searching.
    #[error("too many searches run at once (`search.at_once`): try again")]
    Busy,
    /// It can't be recorded.
    #[error("the search can't be recorded now: try again")]
    Unrecorded,
}

/// The most results on one page, and how many when nobody says.
const MOST: usize = 1_000;
const LIMIT: usize = 100;

/// Searches. Of what is searched for, `asked` has no id.
///
/// # Errors
/// When the caller may not ask so, the question is none, or there is no page.
pub async fn search(
    app: &App,
    by: &Circumstances<'_>,
    asked: &Asked<'_>,
    target: Target,
    page: Page<'_>,
) -> Result<Found, AskError> {
    let assertions = Assertions::parse(asked)?;
    let (current, now) = (app.snapshot(), app.clock.now());
    let pack = choose_pack(&current, by, now);
    vouch(app, &current, by, pack, now).await?;
    let Some(pack) = pack else {
        let none = Outcome::none(By::Trial);
        let recorded = (now, &*current.revision_text, None);
        record(app, by, (asked, target), &none, recorded).await?;
        return Ok(Found { ids: none.ids, next: None, by: none.by.name(), evaluated: 0 });
    };
    let parameters = token::parameters(by, pack.name(), asked, target);
    let token = page.token.filter(|text| !text.is_empty());
    let token = token.map(|text| Token::read(&app.cursor_key, text, &parameters)).transpose()?;
    let limit = page.limit.or(token.as_ref().map(|token| token.limit)).unwrap_or(LIMIT).min(MOST);
    let (snapshot, pack, at) = match &token {
        None => (Arc::clone(&current), Arc::clone(pack), now),
        Some(token) => {
            let snapshot = app.searches.at(&current, token, now)?;
            let pack = snapshot.pack(pack.name()).cloned().ok_or(SearchError::RevisionDropped)?;
            (snapshot, pack, token.at)
        }
    };
    let work = Work {
        data: Arc::clone(&snapshot.data),
        tenant: by.caller.tenant.clone(),
        pack,
        at,
        asked: bare(asked),
        assertions,
        target,
        from: token.map(|token| token.last),
        limit,
    };
    let name = work.pack.name().to_owned();
    let outcome = run(app, work).await?;
    record(app, by, (asked, target), &outcome, (now, &snapshot.revision_text, Some(&name))).await?;
    let next = outcome.last.filter(|_| outcome.more).map(|last| {
        app.searches.keep(&snapshot, now);
        let next = Token { last, at, limit, revision: Arc::clone(&snapshot.revision_text) };
        next.write(&app.cursor_key, &parameters)
    });
    Ok(Found { ids: outcome.ids, next, by: outcome.by.name(), evaluated: outcome.evaluated })
}

/// What was asked, without what was asserted: that is parsed already.
pub(super) fn bare(asked: &Asked<'_>) -> Asked<'static> {
    let party = |party: &Party<'_>| Party {
        type_name: Cow::Owned(party.type_name.to_string()),
        id: Cow::Owned(party.id.to_string()),
        properties: None,
    };
    Asked {
        subject: party(&asked.subject),
        action: Act { name: Cow::Owned(asked.action.name.to_string()), properties: None },
        resource: party(&asked.resource),
        context: None,
    }
}

/// All that a search needs, wherever it runs.
#[derive(Debug)]
struct Work {
    data: Arc<Data>,
    tenant: String,
    pack: Arc<Pack>,
    at: Timestamp,
    asked: Asked<'static>,
    assertions: Assertions,
    target: Target,
    from: Option<Position>,
    limit: usize,
}

/// One page, and how it was found.
#[derive(Debug)]
struct Outcome {
    ids: Vec<SmolStr>,
    /// Where the last of them is.
    last: Option<Position>,
    more: bool,
    by: By,
    evaluated: usize,
}

impl Outcome {
    fn none(by: By) -> Self {
        Self { ids: Vec::new(), last: None, more: false, by, evaluated: 0 }
    }
}

/// Who is tried.
enum Candidates {
    /// Those whom policies name, and what is in these.
    Named(BTreeSet<Source>, EntityType),
    /// All these, in their order.
    All(Arc<Vec<SmolStr>>),
}

/// Tells the work when nobody waits for it.
struct Done(Arc<AtomicBool>);

impl Drop for Done {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Searches off the workers, when there is room.
async fn run(app: &App, work: Work) -> Result<Outcome, AskError> {
    let settings = app.config.search;
    let patience = Duration::from_millis(settings.deadline_milliseconds);
    let room = tokio::time::timeout(patience, app.searches.room()).await;
    let room = room.ok().flatten().ok_or(SearchError::Busy)?;
    let done = Done(Arc::new(AtomicBool::new(false)));
    let (left, clock) = (Arc::clone(&done.0), Arc::clone(&app.clock));
    let until = clock.monotonic() + patience;
    let lists = app.searches.lists();
    let found = tokio::task::spawn_blocking(move || {
        // Held by the work and not by who waits for it.
        let _room = room;
        let stop = || left.load(Ordering::Relaxed) || Clock::monotonic(&*clock) > until;
        work.find(&Bounds { candidates: settings.candidates, stop: &stop }, &lists)
    })
    .await;
    drop(done);
    match found {
        Ok(Ok(outcome)) => Ok(outcome),
        Ok(Err(Beyond::Candidates)) => Err(SearchError::TooWide(settings.candidates).into()),
        Ok(Err(Beyond::Lost)) => Err(SearchError::RevisionDropped.into()),
        Ok(Err(Beyond::Time)) => Err(SearchError::TooSlow(settings.deadline_milliseconds).into()),
        Err(_) => Err(AskError::Failed),
    }
}

impl Work {
    fn find(mut self, bounds: &Bounds<'_>, lists: &shared::Lists) -> Result<Outcome, Beyond> {
        let (data, pack, tenant) = (Arc::clone(&self.data), Arc::clone(&self.pack), self.tenant.clone());
        let facts = pack.facts(&data, &tenant, self.at);
        let from = self.from.take();
        match self.candidates(facts, bounds, lists)? {
            Candidates::Named(sources, entity_type) => {
                let mut outcome = Outcome::none(By::Index);
                let walk = Walk::new(facts, &sources, &entity_type, bounds);
                walk.each(from, |step| self.try_one(facts, step, bounds, &mut outcome))?;
                Ok(outcome)
            }
            Candidates::All(ids) => {
                let mut outcome = Outcome::none(By::Trial);
                let start = from.map_or(0, |from| ids.partition_point(|id| *id <= from.after));
                for id in ids.iter().skip(start) {
                    if !self.try_one(facts, (id, At::Named), bounds, &mut outcome)? {
                        break;
                    }
                }
                Ok(outcome)
            }
        }
    }

    /// Tries one; false when the page is full.
    fn try_one(
        &mut self,
        facts: Facts<'_>,
        (id, at): walk::Step<'_>,
        bounds: &Bounds<'_>,
        outcome: &mut Outcome,
    ) -> Result<bool, Beyond> {
        if (bounds.stop)() {
            return Err(Beyond::Time);
        }
        outcome.evaluated += 1;
        if !self.allows(facts, id) {
            return Ok(true);
        }
        if outcome.ids.len() == self.limit {
            outcome.more = true;
            return Ok(false);
        }
        let id = SmolStr::new(id);
        outcome.ids.push(id.clone());
        if outcome.ids.len() == self.limit {
            outcome.last = Some(Position { spot: at.spot(), after: id });
        }
        Ok(true)
    }

    /// Whether an evaluation of this candidate is allowed.
    fn allows(&mut self, facts: Facts<'_>, id: &str) -> bool {
        let named = Cow::Owned(id.to_owned());
        match self.target {
            Target::Subject => self.asked.subject.id = named,
            Target::Resource => self.asked.resource.id = named,
            Target::Action => self.asked.action.name = named,
        }
        let question = self.assertions.clone().question(&self.asked, &self.pack, facts);
        // A plain AuthZEN call can't say what it understands.
        question.is_some_and(|question| {
            judge((Evaluator::Compiled, &self.pack), facts, &question, &|_| false, |_| {}).1.verdict
                == Verdict::Allow
        })
    }

    fn candidates(
        &self,
        facts: Facts<'_>,
        bounds: &Bounds<'_>,
        lists: &shared::Lists,
    ) -> Result<Candidates, Beyond> {
        let (Some(subject), Some(resource)) =
            (self.entity_type(&self.asked.subject), self.entity_type(&self.asked.resource))
        else {
            return Ok(Candidates::All(Arc::default()));
        };
        if self.target == Target::Action {
            let names = self.pack.action_names(&subject, &resource);
            return Ok(Candidates::All(Arc::new(names.into_iter().collect())));
        }
        let target = if self.target == Target::Subject { subject.clone() } else { resource.clone() };
        let Some(question) = self.about_anybody(facts, subject == resource) else {
            return Ok(Candidates::All(Arc::default()));
        };
        let (given, is_open) = match self.target {
            Target::Subject => (Given::Resource(&question.resource), self.assertions.are_of_subject()),
            _ => (Given::Principal(&question.principal), self.assertions.are_of_resource()),
        };
        let sources = named::sources(facts, &self.pack.rules, (&question, is_open), given);
        if let Some(sources) = sources {
            return Ok(Candidates::Named(sources, target));
        }
        let key = ListKey::of(facts, &target);
        lists.get_or_make(key, || candidates::all(facts, &target, bounds)).map(Candidates::All)
    }

    /// The question, with anything in the place of what is searched for, but not the given side itself.
    fn about_anybody(&self, facts: Facts<'_>, is_of_one_type: bool) -> Option<Question> {
        let mut asked = self.asked.clone();
        let (given, searched) = match self.target {
            Target::Subject => (&asked.resource.id, &mut asked.subject.id),
            _ => (&asked.subject.id, &mut asked.resource.id),
        };
        *searched = Cow::Borrowed(if is_of_one_type && given.is_empty() { "\0" } else { "" });
        self.assertions.clone().question(&asked, &self.pack, facts)
    }

    /// The type of a party; none when no question can be about it.
    fn entity_type(&self, party: &Party<'_>) -> Option<EntityType> {
        self.pack.uid(&party.type_name, "").map(|uid| uid.entity_type().clone())
    }
}

/// Stage `record`: the search, once.
async fn record(
    app: &App,
    by: &Circumstances<'_>,
    (asked, target): (&Asked<'_>, Target),
    outcome: &Outcome,
    (time, revision, pack): (Timestamp, &str, Option<&str>),
) -> Result<(), SearchError> {
    let id = app.new_id("evt_", time);
    let searched = Searched {
        target: target.name(),
        by: outcome.by.name(),
        evaluated: outcome.evaluated,
        found: outcome.ids.len(),
        more: outcome.more,
    };
    let reasons = if pack.is_none() { vec![Reason::NoPack.text()] } else { Vec::new() };
    let record = Record {
        caller: Some(by.caller),
        tenant: &by.caller.tenant,
        via: by.via,
        request_id: by.request_id,
        peer: by.peer,
        pack,
        allowed: pack.is_some(),
        reasons: &reasons,
        asked: Some(asked),
        search: Some(&searched),
        ..Record::denied(&id, time, revision)
    };
    let mut batch = take_batch();
    let pushed = batch.push(&id, Kind::Event, time, |out| record.write(out));
    let appended = app.log.append(&mut batch).await;
    app.note_append(&appended);
    give_batch_back(batch);
    if pushed.is_err() || appended.is_err() {
        return Err(SearchError::Unrecorded);
    }
    Ok(())
}
