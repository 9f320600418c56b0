//! Who evaluates: the compiled form, Cedar's own evaluator, or both.
//!
//! Promises: where both are asked and differ, Cedar's word is taken, and the difference is told.

use super::rules::Rules;
use super::{Findings, Question, evaluate, evaluate_by_cedar};
use crate::entity::View;

/// Who evaluates decisions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Evaluator {
    /// By the index and the compiled conditions.
    #[default]
    Compiled,
    /// Both, each time.
    Compared,
    /// Cedar's own evaluator, over every policy that is about the action.
    Cedar,
}

impl Evaluator {
    /// What each policy says.
    pub fn evaluate(self, rules: &Rules, view: &View<'_>, question: &Question) -> Findings {
        match self {
            Self::Compiled => evaluate(rules, view, question),
            Self::Cedar => evaluate_by_cedar(rules, view, question),
            Self::Compared => {
                let ours = evaluate(rules, view, question);
                let judge = evaluate_by_cedar(rules, view, question);
                let differs = !ours.says_what(&judge);
                Findings { differs, judged: ours.judged, left_to_cedar: ours.left_to_cedar, ..judge }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_what_was_found_is_compared() {
        let found = || Findings { permits: vec![1], ..Findings::default() };
        assert!(found().says_what(&found()));
        let others = [
            Findings { permits: vec![2], ..found() },
            Findings { forbids: vec![1], ..found() },
            Findings { errors: vec![(1, "x".into())], ..found() },
            Findings { reads_left_out: true, ..found() },
            Findings { unevaluated: true, ..found() },
        ];
        for other in others {
            assert!(!found().says_what(&other) && !other.says_what(&found()), "{other:?}");
        }
        assert!(found().says_what(&Findings { judged: 3, left_to_cedar: 1, ..found() }));
    }
}
