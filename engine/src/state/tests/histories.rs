//! The same random histories on every home and on the model give the same answers.

use proptest::prelude::*;

use super::model::Model;
use super::{HOUR, Home, TINY};
use crate::state::{Claim, Inserted, Rate, Swap, WhenFull};

/// One step. What is kept only for a moment is over before the next step.
#[derive(Clone, Debug)]
enum Step {
    Claim(u8, u8, Stay),
    Insert(u8, u8, u32, bool, Stay),
    Remove(u8, u8),
    Members(u8),
    Add(u8, i64, Stay),
    Count(u8),
    Put(u8, Vec<u8>, Stay),
    Get(u8),
    Delete(u8),
    Swap(u8, Expected, Vec<u8>, Stay),
    Window(u8, u32),
    Spend(u8, u32),
}

/// How long something is kept: longer than any history, or a millisecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stay {
    Long,
    Tiny,
}

/// Which version a swap expects.
#[derive(Clone, Copy, Debug)]
enum Expected {
    Absent,
    Present,
    /// The one before a put in between.
    Stale,
}

/// What came of a step, in a form that both can say.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Bool(bool),
    Inserted(Inserted),
    Members(Vec<String>),
    Number(i64),
    Value(Option<Vec<u8>>),
    Spent(bool, u64),
}

const BURST: u32 = 5;
const BUDGET: Rate = Rate { per_period: 1, period: HOUR, burst: BURST };

impl Stay {
    fn ttl(self) -> std::time::Duration {
        if self == Self::Long { HOUR } else { TINY }
    }

    fn millis(self) -> u64 {
        u64::try_from(self.ttl().as_millis()).unwrap()
    }
}

impl Step {
    fn stay(&self) -> Stay {
        match self {
            Self::Claim(.., stay)
            | Self::Insert(.., stay)
            | Self::Add(.., stay)
            | Self::Put(.., stay)
            | Self::Swap(.., stay) => *stay,
            _ => Stay::Long,
        }
    }

    async fn on_home(&self, home: &Home) -> Outcome {
        let state = &home.state;
        let key = |key: &u8| format!("key}}{{{key}");
        match self {
            Self::Claim(k, who, stay) => {
                let claim = state.claim_once(&key(k), &format!("who {who}"), stay.ttl()).await.unwrap();
                Outcome::Bool(matches!(claim, Claim::Won { .. }))
            }
            Self::Insert(k, member, limit, evict, stay) => {
                let bound = (*limit, when_full(*evict));
                let (key, member) = (key(k), member.to_string());
                Outcome::Inserted(state.bounded_insert(&key, &member, bound, stay.ttl()).await.unwrap())
            }
            Self::Remove(k, member) => {
                Outcome::Bool(state.remove_member(&key(k), &member.to_string()).await.unwrap())
            }
            Self::Members(k) => Outcome::Members(state.members(&key(k)).await.unwrap()),
            Self::Add(k, by, stay) => Outcome::Number(state.add(&key(k), *by, stay.ttl()).await.unwrap()),
            Self::Count(k) => Outcome::Number(state.count(&key(k)).await.unwrap()),
            Self::Put(k, value, stay) => {
                let version = state.put(&key(k), value, stay.ttl()).await.unwrap();
                if *stay == Stay::Long {
                    let held = state.get(&key(k)).await.unwrap();
                    assert_eq!(held, Some((value.clone(), version)));
                }
                Outcome::Bool(true)
            }
            Self::Get(k) => Outcome::Value(state.get(&key(k)).await.unwrap().map(|(value, _)| value)),
            Self::Delete(k) => Outcome::Bool(state.delete(&key(k)).await.unwrap()),
            Self::Swap(k, expected, value, stay) => {
                let before = state.get(&key(k)).await.unwrap().map(|(_, version)| version);
                let expected = match expected {
                    Expected::Absent => None,
                    Expected::Present => before,
                    Expected::Stale => {
                        let stale = state.put(&key(k), b"stale", HOUR).await.unwrap();
                        state.put(&key(k), b"newer", HOUR).await.unwrap();
                        Some(stale)
                    }
                };
                let swap = state.compare_and_swap(&key(k), expected, value, stay.ttl()).await.unwrap();
                Outcome::Bool(matches!(swap, Swap::Done(_)))
            }
            Self::Window(k, by) => {
                let sum = state.window_add(&key(k), HOUR, *by).await.unwrap();
                assert_eq!(state.window_count(&key(k), HOUR).await.unwrap(), sum);
                Outcome::Number(i64::try_from(sum).unwrap())
            }
            Self::Spend(k, cost) => {
                let verdict = state.gcra(&key(k), BUDGET, *cost).await.unwrap();
                Outcome::Spent(verdict.allowed, verdict.remaining.into())
            }
        }
    }

    fn on_model(&self, model: &mut Model) -> Outcome {
        match self {
            Self::Claim(k, who, stay) => Outcome::Bool(model.claim(*k, *who, stay.millis())),
            Self::Insert(k, member, limit, evict, stay) => {
                let bound = (usize::try_from(*limit).unwrap(), when_full(*evict));
                Outcome::Inserted(model.insert(*k, &member.to_string(), bound, stay.millis()))
            }
            Self::Remove(k, member) => Outcome::Bool(model.remove(*k, &member.to_string())),
            Self::Members(k) => Outcome::Members(model.members(*k)),
            Self::Add(k, by, stay) => Outcome::Number(model.add(*k, *by, stay.millis())),
            Self::Count(k) => Outcome::Number(model.count(*k)),
            Self::Put(k, value, stay) => {
                model.put(*k, value, stay.millis());
                Outcome::Bool(true)
            }
            Self::Get(k) => Outcome::Value(model.get(*k)),
            Self::Delete(k) => Outcome::Bool(model.delete(*k)),
            Self::Swap(k, expected, value, stay) => {
                let fits = match expected {
                    Expected::Absent => model.get(*k).is_none(),
                    Expected::Present => true,
                    Expected::Stale => {
                        model.put(*k, b"newer", Stay::Long.millis());
                        false
                    }
                };
                if fits {
                    model.put(*k, value, stay.millis());
                }
                Outcome::Bool(fits)
            }
            Self::Window(k, by) => {
                Outcome::Number(i64::try_from(model.window_add(*k, u64::from(*by))).unwrap())
            }
            Self::Spend(k, cost) => {
                let (allowed, left) = model.spend(*k, BURST.into(), (*cost).into());
                Outcome::Spent(allowed, left)
            }
        }
    }
}

fn when_full(evict: bool) -> WhenFull {
    if evict { WhenFull::EvictOldest } else { WhenFull::Refuse }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = || 0..3_u8;
    let stay = || prop_oneof![3 => Just(Stay::Long), 1 => Just(Stay::Tiny)];
    let value = || prop::collection::vec(any::<u8>(), 0..20);
    let by = prop_oneof![-5..100_i64, any::<i64>()];
    let expected = prop_oneof![Just(Expected::Absent), Just(Expected::Present), Just(Expected::Stale)];
    let step = prop_oneof![
        (key(), 0..3_u8, stay()).prop_map(|(k, who, stay)| Step::Claim(k, who, stay)),
        (key(), 0..6_u8, 1..4_u32, any::<bool>(), stay())
            .prop_map(|(k, member, limit, evict, stay)| Step::Insert(k, member, limit, evict, stay)),
        (key(), 0..6_u8).prop_map(|(k, member)| Step::Remove(k, member)),
        key().prop_map(Step::Members),
        (key(), by, stay()).prop_map(|(k, by, stay)| Step::Add(k, by, stay)),
        key().prop_map(Step::Count),
        (key(), value(), stay()).prop_map(|(k, value, stay)| Step::Put(k, value, stay)),
        key().prop_map(Step::Get),
        key().prop_map(Step::Delete),
        (key(), expected, value(), stay())
            .prop_map(|(k, expected, value, stay)| Step::Swap(k, expected, value, stay)),
        (key(), 0..1_000_u32).prop_map(|(k, by)| Step::Window(k, by)),
        (key(), 0..8_u32).prop_map(|(k, cost)| Step::Spend(k, cost)),
    ];
    prop::collection::vec(step, 1..40)
}

async fn run(steps: &[Step], home: &Home) -> Result<(), TestCaseError> {
    let mut model = Model::default();
    for (number, step) in steps.iter().enumerate() {
        let (found, wanted) = (step.on_home(home).await, step.on_model(&mut model));
        prop_assert_eq!(found, wanted, "step {}: {:?}", number, step);
        if step.stay() == Stay::Tiny {
            // Redis keeps a key to the end of its last millisecond.
            home.pass(TINY * 3).await;
            model.pass(3);
        }
    }
    Ok(())
}

fn check<F: Future<Output = Option<Home>>>(home: impl Fn() -> F) {
    // Many threads: what the store does is on threads of its own.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    if runtime.block_on(home()).is_none() {
        return;
    }
    proptest!(ProptestConfig::with_cases(64), |(steps in steps())| {
        runtime.block_on(async {
            let home = home().await.unwrap();
            run(&steps, &home).await
        })?;
    });
}

mod on_redis {
    #[test]
    fn histories_give_what_the_model_gives() {
        super::check(super::Home::redis);
    }
}

mod on_embedded {
    #[test]
    fn histories_give_what_the_model_gives() {
        super::check(super::Home::embedded);
    }
}

/// One history, for a home that is dear.
pub(super) async fn run_some(home: &Home) {
    use proptest::strategy::ValueTree as _;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let tree = steps().new_tree(&mut runner).unwrap();
    run(&tree.current(), home).await.unwrap();
}
