//! Imports, whole or not at all.

use super::changes::{change, entity};
use super::{Home, on_both};
use crate::clock::Timestamp;
use crate::store::Store;
use crate::store::entities::EntityRow;
use crate::store::imports::{ImportRow, Imported, StagedRow};

fn import(id: &str, hash: &str) -> ImportRow {
    ImportRow {
        id: id.into(),
        tenant_id: "default".into(),
        pack: "documents".into(),
        content_hash: hash.into(),
        staged: 0,
        status: "staging".into(),
    }
}

fn rows(range: std::ops::Range<usize>) -> Vec<StagedRow> {
    let row = |n: usize| StagedRow {
        type_name: "Doc".into(),
        id: format!("d{n:04}"),
        kind: "entity".into(),
        attributes: format!("{{\"n\":{n}}}"),
        tags: "{}".into(),
        parents: "[]".into(),
    };
    range.map(row).collect()
}

async fn finish(store: &Store, import: &ImportRow, change_id: &str) -> (u64, Imported) {
    let mut writing = store.begin_change().await.unwrap();
    let imported = writing.finish_import(import, Timestamp(5)).await.unwrap();
    (writing.commit(&change(change_id)).await.unwrap(), imported)
}

on_both! {
    async fn nobody_sees_half_of_an_import_and_it_goes_on_where_it_was(store: &Store) {
        let now = Timestamp(1);
        let begun = store.begin_import(&import("imp_1", "h"), now).await.unwrap();
        assert!(store.stage(&begun.id, 0, &rows(0..700), now).await.unwrap());
        let again = store.begin_import(&import("imp_2", "h"), now).await.unwrap();
        assert_eq!((again.id.as_str(), again.staged), ("imp_1", 700));
        // Another process that thinks it is the one.
        assert!(!store.stage(&begun.id, 0, &rows(0..1), now).await.unwrap());
        assert_eq!(store.entity(["default", "documents", "Doc", "d0000"]).await.unwrap(), None);
        assert!(store.stage(&begun.id, 700, &rows(700..1200), now).await.unwrap());
        let (sequence, imported) = finish(store, &begun, "evt_1").await;
        assert_eq!((sequence, imported), (1, Imported { created: 1200, updated: 0, unchanged: 0 }));
        let row = store.entity(["default", "documents", "Doc", "d1199"]).await.unwrap().unwrap();
        assert_eq!((row.version, row.attributes.as_str()), (1, "{\"n\":1199}"));
    }

    async fn the_same_import_again_changes_nothing(store: &Store) {
        let now = Timestamp(1);
        for n in 0..2 {
            let begun = store.begin_import(&import(&format!("imp_{n}"), "h"), now).await.unwrap();
            assert_eq!(begun.staged, 0);
            assert!(store.stage(&begun.id, 0, &rows(0..3), now).await.unwrap());
            let (_, imported) = finish(store, &begun, &format!("evt_{n}")).await;
            let expected = [
                Imported { created: 3, updated: 0, unchanged: 0 },
                Imported { created: 0, updated: 0, unchanged: 3 },
            ];
            assert_eq!(imported, expected[n]);
        }
        let row = store.entity(["default", "documents", "Doc", "d0001"]).await.unwrap().unwrap();
        assert_eq!(row.version, 1);
    }

    async fn an_import_replaces_and_brings_back(store: &Store) {
        let mut writing = store.begin_change().await.unwrap();
        let old = EntityRow { attributes: "{\"n\":99}".into(), ..entity("default", "Doc", "d0000") };
        writing.put_entity(&old).await.unwrap();
        let gone = EntityRow { deleted_at: Some(Timestamp(1)), ..entity("default", "Doc", "d0001") };
        writing.put_entity(&gone).await.unwrap();
        writing.put_entity(&entity("other", "Doc", "d0002")).await.unwrap();
        writing.commit(&change("evt_1")).await.unwrap();
        let begun = store.begin_import(&import("imp_1", "h"), Timestamp(2)).await.unwrap();
        assert!(store.stage(&begun.id, 0, &rows(0..3), Timestamp(2)).await.unwrap());
        let (_, imported) = finish(store, &begun, "evt_2").await;
        assert_eq!(imported, Imported { created: 2, updated: 1, unchanged: 0 });
        let other = store.entity(["other", "documents", "Doc", "d0002"]).await.unwrap().unwrap();
        assert_eq!((other.version, other.attributes.as_str()), (1, "{}"));
    }

    async fn an_import_keeps_what_it_does_not_say(store: &Store) {
        let mut writing = store.begin_change().await.unwrap();
        let old = |id: &str, kind: &str, status: &str, deleted_at: Option<i64>| EntityRow {
            kind: kind.into(),
            status: status.into(),
            settings: "{\"exclusive_with\":[\"x\"]}".into(),
            deleted_at: deleted_at.map(Timestamp),
            ..entity("default", "Doc", id)
        };
        // A service whose type users have as well, a role, one of each that was deleted, and one that was no principal yet.
        for row in [
            old("d0000", "service", "disabled", None),
            old("d0001", "role", "active", None),
            old("d0002", "service", "disabled", Some(1)),
            old("d0003", "role", "active", Some(1)),
            EntityRow { attributes: "{\"n\":4}".into(), ..old("d0004", "entity", "active", None) },
        ] {
            writing.put_entity(&row).await.unwrap();
        }
        writing.commit(&change("evt_1")).await.unwrap();
        let users: Vec<StagedRow> =
            rows(0..5).into_iter().map(|row| StagedRow { kind: "user".into(), ..row }).collect();
        let begun = store.begin_import(&import("imp_1", "h"), Timestamp(2)).await.unwrap();
        assert!(store.stage(&begun.id, 0, &users, Timestamp(2)).await.unwrap());
        let (_, imported) = finish(store, &begun, "evt_2").await;
        assert_eq!(imported, Imported { created: 2, updated: 3, unchanged: 0 });
        let mut found = Vec::new();
        for n in 0..5 {
            let row = store.entity(["default", "documents", "Doc", &format!("d000{n}")]).await.unwrap().unwrap();
            found.push((row.kind, row.status, row.settings != "{}"));
        }
        let kept = |kind: &str, status: &str, settings| (kind.to_owned(), status.to_owned(), settings);
        let expected = [
            kept("service", "disabled", true),
            kept("role", "active", true),
            kept("user", "disabled", false),
            kept("user", "active", false),
            kept("user", "active", true),
        ];
        assert_eq!(found, expected);
    }

    async fn an_abandoned_import_leaves_nothing(store: &Store) {
        let begun = store.begin_import(&import("imp_1", "h"), Timestamp(1)).await.unwrap();
        assert!(store.stage(&begun.id, 0, &rows(0..3), Timestamp(1)).await.unwrap());
        assert_eq!(store.abandon_old_imports(Timestamp(2)).await.unwrap(), 1);
        assert!(!store.stage(&begun.id, 3, &rows(3..4), Timestamp(3)).await.unwrap());
        let again = store.begin_import(&import("imp_2", "h"), Timestamp(4)).await.unwrap();
        assert_eq!((again.id.as_str(), again.staged), ("imp_2", 0));
    }
}
