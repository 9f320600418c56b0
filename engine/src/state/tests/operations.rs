//! Races and lifetimes, on every home.

use super::*;

on_each_home!(
    a_claim_has_one_winner,
    the_winner_wins_again_for_the_same_time,
    what_is_over_is_gone,
    a_version_never_comes_back,
    one_of_many_swaps_succeeds,
    a_set_never_holds_more_than_its_limit,
    counts_of_many_add_up,
    keys_of_different_kinds_and_prefixes_never_meet,
    a_lowered_limit_puts_several_out,
);

async fn a_claim_has_one_winner(home: Home) {
    for round in 0..200 {
        let tasks = (0..50).map(|who| {
            let (state, key) = (home.state.clone(), format!("round {round}"));
            tokio::spawn(async move { state.claim_once(&key, &format!("{who}"), HOUR).await.unwrap() })
        });
        let tasks: Vec<_> = tasks.collect();
        let mut winners = 0;
        for task in tasks {
            winners += usize::from(matches!(task.await.unwrap(), Claim::Won { .. }));
        }
        assert_eq!(winners, 1, "round {round}");
    }
}

async fn the_winner_wins_again_for_the_same_time(home: Home) {
    let first = home.state.claim_once("k", "one", HOUR).await.unwrap();
    home.pass(TINY * 5).await;
    assert_eq!(home.state.claim_once("k", "one", HOUR * 2).await.unwrap(), first);
    assert_eq!(home.state.claim_once("k", "two", HOUR).await.unwrap(), Claim::Lost);
    // A claimant that only begins like the winner is another.
    for other in ["on", "one ", "", "0 one"].into_iter().filter(|other| !other.is_empty()) {
        assert_eq!(home.state.claim_once("k", other, HOUR).await.unwrap(), Claim::Lost, "{other}");
    }
}

async fn what_is_over_is_gone(home: Home) {
    let state = &home.state;
    state.claim_once("k", "one", TINY).await.unwrap();
    state.put("k", b"v", TINY).await.unwrap();
    state.add("k", 5, TINY).await.unwrap();
    state.bounded_insert("k", "m", (1, WhenFull::Refuse), TINY).await.unwrap();
    state.bounded_insert("k2", "gone", (2, WhenFull::Refuse), TINY).await.unwrap();
    state.bounded_insert("k2", "stays", (2, WhenFull::Refuse), HOUR).await.unwrap();
    state.window_add("k", TINY, 5).await.unwrap();
    let rate = Rate { per_period: 1, period: TINY, burst: 1 };
    state.gcra("k", rate, 1).await.unwrap();
    home.pass(TINY * 5).await;
    assert_eq!(state.get("k").await.unwrap(), None);
    assert_eq!(state.compare_and_swap("k2", None, b"v", HOUR).await.map(|_| ()).unwrap(), ());
    assert_eq!(state.count("k").await.unwrap(), 0);
    assert_eq!(state.members("k").await.unwrap(), Vec::<String>::new());
    assert!(!state.remove_member("k", "m").await.unwrap());
    assert_eq!(state.members("k2").await.unwrap(), ["stays"]);
    assert_eq!(state.window_count("k", TINY).await.unwrap(), 0);
    assert!(state.gcra("k", rate, 1).await.unwrap().allowed);
    assert!(matches!(state.claim_once("k", "two", HOUR).await.unwrap(), Claim::Won { .. }));
}

async fn a_version_never_comes_back(home: Home) {
    let state = &home.state;
    let old = state.put("k", b"v", HOUR).await.unwrap();
    assert!(state.delete("k").await.unwrap());
    state.put("k", b"v", HOUR).await.unwrap();
    assert_eq!(state.compare_and_swap("k", Some(old), b"w", HOUR).await.unwrap(), Swap::Conflict);
    assert_eq!(state.compare_and_swap("none", Some(old), b"w", HOUR).await.unwrap(), Swap::Conflict);
    assert_eq!(state.get("none").await.unwrap(), None);
}

async fn one_of_many_swaps_succeeds(home: Home) {
    let mut version = home.state.put("k", b"0", HOUR).await.unwrap();
    for round in 0..20_u8 {
        let tasks = (0..20_u8).map(|who| {
            let state = home.state.clone();
            let swap = async move { state.compare_and_swap("k", Some(version), &[round, who], HOUR).await };
            tokio::spawn(swap)
        });
        let tasks: Vec<_> = tasks.collect();
        let mut done = Vec::new();
        for task in tasks {
            if let Swap::Done(next) = task.await.unwrap().unwrap() {
                done.push(next);
            }
        }
        let [next] = done[..] else { panic!("{} swaps of round {round} succeeded", done.len()) };
        let (value, held) = home.state.get("k").await.unwrap().unwrap();
        assert_eq!((value[0], held), (round, next));
        version = next;
    }
}

async fn a_set_never_holds_more_than_its_limit(home: Home) {
    let tasks = (0..60).map(|who| {
        let state = home.state.clone();
        tokio::spawn(async move {
            state.bounded_insert("s", &format!("{who}"), (7, WhenFull::Refuse), HOUR).await.unwrap()
        })
    });
    let tasks: Vec<_> = tasks.collect();
    let mut new = 0;
    for task in tasks {
        match task.await.unwrap() {
            Inserted::New => new += 1,
            other => assert_eq!(other, Inserted::Refused),
        }
    }
    assert_eq!(new, 7);
    assert_eq!(home.state.members("s").await.unwrap().len(), 7);
}

async fn counts_of_many_add_up(home: Home) {
    let tasks = (0..200_i64).map(|by| {
        let state = home.state.clone();
        tokio::spawn(async move {
            state.add("c", by, HOUR).await.unwrap();
            state.window_add("c", HOUR, u32::try_from(by).unwrap()).await.unwrap();
        })
    });
    let tasks: Vec<_> = tasks.collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(home.state.count("c").await.unwrap(), 19_900);
    assert_eq!(home.state.window_count("c", HOUR).await.unwrap(), 19_900);
    assert_eq!(home.state.add("c", i64::MIN, HOUR).await.unwrap(), 19_900 - bounds::MOST);
    assert_eq!(home.state.add("c", i64::MIN, HOUR).await.unwrap(), -bounds::MOST);
    assert_eq!(home.state.add("c", i64::MAX, HOUR).await.unwrap(), 0);
    assert_eq!(home.state.add("c", bounds::MOST, HOUR).await.unwrap(), bounds::MOST);
    assert_eq!(home.state.add("c", 1, HOUR).await.unwrap(), bounds::MOST);
}

async fn keys_of_different_kinds_and_prefixes_never_meet(home: Home) {
    let state = &home.state;
    for key in ["k", "{k}", "}", "}{", "k:ends", "\u{1f511} \n\r\n", &"x".repeat(MAX_KEY_BYTES)] {
        state.put(key, b"v", HOUR).await.unwrap();
        state.add(key, 1, HOUR).await.unwrap();
        state.window_add(key, HOUR, 2).await.unwrap();
        state.window_add(key, HOUR * 2, 4).await.unwrap();
        state.bounded_insert(key, "m", (1, WhenFull::Refuse), HOUR).await.unwrap();
        state.claim_once(key, "one", HOUR).await.unwrap();
        let rate = Rate { per_period: 1, period: HOUR, burst: 3 };
        assert_eq!(state.gcra(key, rate, 1).await.unwrap().remaining, 2);
        assert_eq!(state.get(key).await.unwrap().unwrap().0, b"v");
        assert_eq!(state.count(key).await.unwrap(), 1);
        assert_eq!(state.window_count(key, HOUR).await.unwrap(), 2);
        assert_eq!(state.members(key).await.unwrap(), ["m"]);
        assert_eq!(state.claim_once(key, "two", HOUR).await.unwrap(), Claim::Lost);
    }
}

async fn a_lowered_limit_puts_several_out(home: Home) {
    let state = &home.state;
    for member in ["a", "b", "c", "d"] {
        state.bounded_insert("s", member, (4, WhenFull::Refuse), HOUR).await.unwrap();
    }
    // Renewed, but no younger.
    let again = state.bounded_insert("s", "a", (2, WhenFull::EvictOldest), HOUR).await.unwrap();
    assert_eq!(again, Inserted::Already);
    let inserted = state.bounded_insert("s", "e", (2, WhenFull::EvictOldest), HOUR).await.unwrap();
    assert_eq!(inserted, Inserted::Evicted(vec!["a".into(), "b".into(), "c".into()]));
    assert_eq!(state.members("s").await.unwrap(), ["d", "e"]);
}
