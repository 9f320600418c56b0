//! Claims, values and sets are atomic on either database, also between connections.

use crate::clock::Timestamp;
use crate::store::Store;
use crate::store::state_entries::{SetBound, SetInsert, Span, StateCount, StateValue};

use super::{Home, on_both};

const NOW: Timestamp = Timestamp(1_700_000_000_000_000);

fn for_an_hour() -> Span {
    Span { now: NOW, ends_at: Timestamp(NOW.0 + 3_600_000_000) }
}

on_both! {
    async fn many_claim_and_one_wins(store: &Store) {
        for round in 0..10 {
            let tasks = (0..20).map(|who| {
                let (store, key) = (store.clone(), format!("round {round}"));
                tokio::spawn(async move {
                    store.claim_state(&key, &format!("{who}"), for_an_hour()).await.unwrap().is_some()
                })
            });
            let tasks: Vec<_> = tasks.collect();
            let mut winners = 0;
            for task in tasks {
                winners += usize::from(task.await.unwrap());
            }
            assert_eq!(winners, 1, "round {round}");
        }
    }

    async fn a_claim_that_is_over_is_anothers(store: &Store) {
        let span = Span { now: NOW, ends_at: Timestamp(NOW.0 + 1_000) };
        assert_eq!(store.claim_state("k", "one", span).await.unwrap(), Some(span.ends_at));
        assert_eq!(store.claim_state("k", "two", span).await.unwrap(), None);
        let later = Span { now: span.ends_at, ends_at: Timestamp(NOW.0 + 2_000) };
        assert_eq!(store.claim_state("k", "two", later).await.unwrap(), Some(later.ends_at));
        assert_eq!(store.claim_state("k", "one", later).await.unwrap(), None);
    }

    async fn many_insert_and_the_limit_holds(store: &Store) {
        let tasks = (0..20).map(|who| {
            let store = store.clone();
            let bound = SetBound { limit: 4, evicts: false };
            tokio::spawn(async move {
                store.insert_state_member("s", &format!("{who}"), bound, for_an_hour()).await.unwrap()
            })
        });
        let tasks: Vec<_> = tasks.collect();
        let mut refused = 0;
        for task in tasks {
            refused += usize::from(task.await.unwrap() == SetInsert::Refused);
        }
        assert_eq!(refused, 16);
        assert_eq!(store.state_members("s", NOW).await.unwrap().len(), 4);
    }

    async fn many_swap_and_one_succeeds(store: &Store) {
        let value = |version| StateValue { value: format!("v{version}"), version };
        store.put_state("k", &value(-1), for_an_hour()).await.unwrap();
        let tasks = (0..20).map(|who| {
            let store = store.clone();
            tokio::spawn(async move { store.swap_state("k", Some(-1), &value(who), for_an_hour()).await.unwrap() })
        });
        let tasks: Vec<_> = tasks.collect();
        let mut done = 0;
        for task in tasks {
            done += usize::from(task.await.unwrap());
        }
        assert_eq!(done, 1);
        assert!(!store.swap_state("k", None, &value(99), for_an_hour()).await.unwrap());
        assert!(store.delete_state("k", NOW).await.unwrap());
        assert!(store.swap_state("k", None, &value(99), for_an_hour()).await.unwrap());
        assert_eq!(store.state("k", NOW).await.unwrap(), Some(value(99)));
        assert_eq!(store.state("k", for_an_hour().ends_at).await.unwrap(), None);
    }

    async fn counts_are_written_over_and_swept(store: &Store) {
        let ends_at = for_an_hour().ends_at;
        let count = |number: usize, value: &str| StateCount {
            kind: "count".into(), entry: format!("k{number}"), value: value.into(), ends_at,
        };
        let all = |value: &str| (0..1_200).map(|number| count(number, value)).collect::<Vec<_>>();
        store.write_state_counts(&all("1")).await.unwrap();
        store.write_state_counts(&all("2")).await.unwrap();
        store.put_state("k1", &StateValue { value: "v".into(), version: 1 }, for_an_hour()).await.unwrap();
        let mut seen = Vec::new();
        store.each_state_count(NOW, |count| seen.push(count)).await.unwrap();
        assert_eq!(seen.len(), 1_200);
        assert!(seen.iter().all(|count| count.kind == "count" && count.value == "2"));
        assert_eq!(store.sweep_state(NOW).await.unwrap(), 0);
        assert_eq!(store.sweep_state(ends_at).await.unwrap(), 1_201);
    }
}
