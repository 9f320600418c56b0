//! Sets of packs: kept once, forgotten with their texts, the pinned one never.

use super::{Home, on_both};
use crate::clock::Timestamp;
use crate::store::Store;
use crate::store::changes::Change;
use crate::store::revisions::{FileRow, PinRow, RevisionRow};

fn row(id: &str, digests: &[&str], at: i64) -> RevisionRow {
    let file = |digest: &&str| FileRow("app".into(), format!("{digest}.cedar"), (*digest).into(), 1);
    RevisionRow {
        id: id.into(),
        hash: "0".into(),
        origin: "files".into(),
        packs: Vec::new(),
        files: digests.iter().map(file).collect(),
        bytes: 1,
        has_texts: true,
        first_active_at: Timestamp(at),
        activated_at: Timestamp(at),
        last_active_at: Timestamp(at),
    }
}

async fn keep(store: &Store, row: &RevisionRow, kept: usize) {
    let texts: Vec<&str> = row.files.iter().map(|file| file.2.as_str()).collect();
    store.keep_revision(row, Some(&texts), kept).await.unwrap();
}

async fn ids(store: &Store) -> Vec<String> {
    store.revisions(None, 100).await.unwrap().into_iter().map(|row| row.id).collect()
}

async fn pin(store: &Store, id: &str) -> bool {
    let mut writing = store.begin_change().await.unwrap();
    let found = writing.activate_revision(id, "rollback", Timestamp(50)).await.unwrap();
    let (revision_id, version) = (found.then(|| id.to_owned()), writing.sequence());
    let row = PinRow { revision_id, origin: "rollback".into(), updated_at: Timestamp(50), version };
    writing.put_pin(&row).await.unwrap();
    let change = Change {
        id: format!("evt_{version}"),
        tenant_id: "default".into(),
        made_at: Timestamp(50),
        kind: "revision_activated".into(),
        target_id: id.into(),
        detail: "{}".into(),
        caller_id: None,
    };
    writing.commit(&change).await.unwrap();
    found
}

on_both! {
    async fn the_oldest_are_forgotten_with_the_texts_that_only_they_had(store: &Store) {
        keep(store, &row("a", &["one", "two"], 1), 2).await;
        keep(store, &row("b", &["two", "three"], 2), 2).await;
        keep(store, &row("c", &["three"], 3), 2).await;
        assert_eq!(ids(store).await, ["c", "b"]);
        assert_eq!(store.revision_text("one").await.unwrap(), None);
        for text in ["two", "three"] {
            assert_eq!(store.revision_text(text).await.unwrap().as_deref(), Some(text));
        }
    }

    async fn the_pinned_one_is_never_forgotten(store: &Store) {
        keep(store, &row("a", &["one"], 1), 10).await;
        assert!(pin(store, "a").await);
        for at in 60..64 {
            keep(store, &row(&format!("r{at}"), &["two"], at), 1).await;
        }
        assert_eq!(ids(store).await, ["r63", "a"]);
        assert_eq!(store.revision_text("one").await.unwrap().as_deref(), Some("one"));
        assert_eq!(store.pin().await.unwrap().unwrap().revision_id.as_deref(), Some("a"));
    }

    async fn the_same_again_is_one_row_that_was_active_longer(store: &Store) {
        keep(store, &row("a", &["one"], 1), 10).await;
        keep(store, &row("a", &["one"], 5), 10).await;
        keep(store, &row("b", &["two"], 7), 10).await;
        keep(store, &row("a", &["one"], 9), 10).await;
        let rows = store.revisions(None, 10).await.unwrap();
        let times: Vec<_> = rows
            .iter()
            .map(|row| (row.id.as_str(), row.first_active_at.0, row.activated_at.0, row.last_active_at.0))
            .collect();
        assert_eq!(times, [("a", 1, 9, 9), ("b", 7, 7, 9)]);
        let after = store.revisions(Some((Timestamp(9), "a")), 10).await.unwrap();
        assert_eq!(after.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(), ["b"]);
    }

    async fn a_set_without_texts_is_not_activated(store: &Store) {
        let large = RevisionRow { has_texts: false, ..row("large", &["one"], 1) };
        store.keep_revision(&large, None, 10).await.unwrap();
        assert_eq!(store.revision_text("one").await.unwrap(), None);
        assert!(!pin(store, "large").await && !pin(store, "none").await);
        // Kept again, now with its texts.
        keep(store, &row("other", &["two"], 2), 10).await;
        keep(store, &row("large", &["one"], 3), 10).await;
        assert!(pin(store, "large").await);
    }
}
