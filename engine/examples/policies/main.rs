//! What a decision costs in this process, beside Cedar's own authorizer: the work of `cargo xtask bench policy`.
//!
//! `policies [ROUNDS]`: in each round every world is asked all of its questions by both, in turns, and their median times are
//! printed; the two must decide alike. `policies threads SECONDS COUNT`: how many decisions so many threads make.

#![expect(clippy::print_stdout, reason = "it prints its figures")]

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use cedar_policy::{Authorizer, Context, Decision, Entities, EntityUid, PolicySet, Request};
use cedar_policy_core::ast::EntityUID;
use portcullis::clock::{Clock, SystemClock};
use portcullis::decision::rules::Rules;
use portcullis::decision::value::Record;
use portcullis::decision::{OnPolicyError, Question, Verdict, combine, evaluate};
use portcullis::entity::{EntityStore, Facts};
use portcullis::policy::compile;
use portcullis::policy::files::SourceFile;

mod worlds;

use worlds::World;

type Failure = Box<dyn std::error::Error>;

/// Cedar is asked fewer questions where each takes it long.
const PATIENCE: Duration = Duration::from_millis(500);

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["threads", seconds, count] => threads(Duration::from_secs_f64(seconds.parse()?), count.parse()?),
        [rounds] => compare(rounds.parse()?),
        [] => compare(1),
        _ => Err("usage: policies [ROUNDS] | policies threads SECONDS COUNT".into()),
    }
}

/// Ours, ready to decide.
struct Ours {
    rules: Rules,
    entities: EntityStore,
    questions: Vec<Question>,
}

impl Ours {
    fn of(world: &World) -> Result<Self, Failure> {
        let file = |text: String| SourceFile { shown: world.name.as_str().into(), text };
        let policies =
            compile::parse_text(&file(world.policies.clone())).map_err(|all| format!("{all:?}"))?;
        let entities = compile::parse_entities(Some(&file(world.entities.to_string())), None)
            .map_err(|problem| format!("{problem:?}"))?;
        let rules = compile::prepare(policies, &entities).map_err(|problem| format!("{problem:?}"))?;
        let questions = world.questions.iter().map(question).collect::<Result<_, _>>()?;
        Ok(Self { rules, entities, questions })
    }

    fn decides(&self, question: &Question) -> bool {
        let view = Facts::of_files(&self.entities).about(&question.resource);
        let findings = evaluate(&self.rules, &view, question);
        combine(&self.rules, &findings, OnPolicyError::Skip, &|_| true).verdict == Verdict::Allow
    }
}

fn question([principal, action, resource]: &[String; 3]) -> Result<Question, Failure> {
    let uid = |text: &str| -> Result<EntityUID, Failure> {
        Ok(AsRef::<EntityUID>::as_ref(&EntityUid::from_str(text)?).clone())
    };
    Ok(Question {
        principal: uid(principal)?,
        action: uid(action)?,
        resource: uid(resource)?,
        context: Arc::new(Record::new()),
        laid_over: Vec::new(),
        context_left_out: Vec::new(),
        subject_left_out: Vec::new(),
        resource_left_out: Vec::new(),
        unreadable: false,
    })
}

/// Cedar's own.
struct Theirs {
    policies: PolicySet,
    entities: Entities,
    requests: Vec<Request>,
    authorizer: Authorizer,
}

impl Theirs {
    fn of(world: &World) -> Result<Self, Failure> {
        let uid = |text: &String| -> Result<EntityUid, Failure> { Ok(EntityUid::from_str(text)?) };
        let request = |[principal, action, resource]: &[String; 3]| -> Result<Request, Failure> {
            Ok(Request::new(uid(principal)?, uid(action)?, uid(resource)?, Context::empty(), None)?)
        };
        Ok(Self {
            policies: PolicySet::from_str(&world.policies)?,
            entities: Entities::from_json_value(world.entities.clone(), None)?,
            requests: world.questions.iter().map(request).collect::<Result<_, _>>()?,
            authorizer: Authorizer::new(),
        })
    }

    fn decides(&self, request: &Request) -> bool {
        self.authorizer.is_authorized(request, &self.policies, &self.entities).decision() == Decision::Allow
    }
}

fn compare(rounds: usize) -> Result<(), Failure> {
    let scales = [10, 100, 1_000, 10_000, 100_000].map(worlds::scale);
    let worlds = scales.into_iter().chain([worlds::gdrive(), worlds::github(), worlds::tinytodo()]);
    for world in worlds {
        let clock = SystemClock::new();
        let began = clock.monotonic();
        let ours = Ours::of(&world)?;
        let loaded = clock.monotonic().saturating_sub(began);
        let theirs = Theirs::of(&world)?;
        let name = &world.name;
        println!("policy.{name}_load_ms = {:.1} ms", loaded.as_secs_f64() * 1e3);
        println!("policy.{name}_not_compiled = {} policies", ours.rules.not_compiled());
        for _ in 0..rounds {
            let both = measure(&clock, &ours, &theirs)?;
            let [one, other] = both.map(|took| took.as_secs_f64() * 1e6);
            println!("policy.{name}_p50_us = {one:.3} us");
            println!("policy.{name}_authorizer_p50_us = {other:.3} us");
            println!("policy.{name}_times_faster = {:.3} ratio", other / one);
        }
    }
    Ok(())
}

/// The median times, ours and theirs.
fn measure(clock: &SystemClock, ours: &Ours, theirs: &Theirs) -> Result<[Duration; 2], Failure> {
    let (mut one, mut other) = (Vec::new(), Vec::new());
    let mut spent = Duration::ZERO;
    for pass in 0..20 {
        for (question, request) in ours.questions.iter().zip(&theirs.requests) {
            let began = clock.monotonic();
            let decided = ours.decides(question);
            let between = clock.monotonic();
            one.push(between.saturating_sub(began));
            if spent > PATIENCE {
                continue;
            }
            let expected = theirs.decides(request);
            let took = clock.monotonic().saturating_sub(between);
            // The first pass is for the caches.
            if pass > 0 || took > Duration::from_micros(500) {
                other.push(took);
            }
            spent += took;
            if decided != expected {
                return Err(format!("we decide {decided}, Cedar {expected}").into());
            }
        }
    }
    Ok([one, other].map(|mut all| {
        all.sort_unstable();
        all.get(all.len() / 2).copied().unwrap_or_default()
    }))
}

/// Decisions a second of so many threads that share one set of policies and entities.
fn threads(span: Duration, count: usize) -> Result<(), Failure> {
    let world = worlds::scale(10_000);
    let ours = Ours::of(&world)?;
    let clock = SystemClock::new();
    let decisions: u64 = std::thread::scope(|scope| {
        let work = || {
            let began = clock.monotonic();
            let mut decisions = 0_u64;
            while clock.monotonic().saturating_sub(began) < span {
                for question in &ours.questions {
                    std::hint::black_box(ours.decides(question));
                    decisions += 1;
                }
            }
            decisions
        };
        let running: Vec<_> = (0..count).map(|_| scope.spawn(work)).collect();
        running.into_iter().map(|thread| thread.join().unwrap_or_default()).sum()
    });
    println!("policy.decisions_per_second = {:.0} 1/s", decisions as f64 / span.as_secs_f64());
    Ok(())
}
