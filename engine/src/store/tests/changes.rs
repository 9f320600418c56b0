//! Changes, and what each leaves behind.

use super::{Home, on_both};
use crate::clock::Timestamp;
use crate::store::assignments::{AssignmentPage, AssignmentRow};
use crate::store::changes::Change;
use crate::store::entities::{EntityPage, EntityRow};
use crate::store::idempotency::{Earlier, Idempotent};
use crate::store::plugin_modes::PluginModeRow;
use crate::store::writing::Changed;
use crate::store::{Store, StoreError};

pub(super) fn entity(tenant_id: &str, type_name: &str, id: &str) -> EntityRow {
    EntityRow {
        tenant_id: tenant_id.into(),
        pack: "documents".into(),
        type_name: type_name.into(),
        id: id.into(),
        kind: "entity".into(),
        attributes: "{}".into(),
        tags: "{}".into(),
        parents: "[]".into(),
        settings: "{}".into(),
        status: "active".into(),
        created_at: Timestamp(1),
        updated_at: Timestamp(1),
        deleted_at: None,
        version: 0,
    }
}

pub(super) fn change(id: &str) -> Change {
    Change {
        id: id.into(),
        tenant_id: "default".into(),
        made_at: Timestamp(1),
        kind: "entity_written".into(),
        target_id: "x".into(),
        detail: "{}".into(),
        caller_id: None,
    }
}

fn assignment(id: &str, subject: &str) -> AssignmentRow {
    AssignmentRow {
        id: id.into(),
        tenant_id: "default".into(),
        pack: "documents".into(),
        subject_kind: "user".into(),
        subject: ("User".into(), subject.into()),
        role: ("Role".into(), "editor".into()),
        scope: "tenant".into(),
        scope_on: None,
        starts_at: None,
        ends_at: Some(Timestamp(9)),
        delegated_by: None,
        reason: None,
        status: "active".into(),
        requested_by: "caller:clr_1".into(),
        made_by: "caller:clr_1".into(),
        decided_by: None,
        decided_at: None,
        elevation_id: None,
        created_at: Timestamp(1),
        updated_at: Timestamp(1),
        version: 0,
    }
}

async fn seen_since(store: &Store, known: u64) -> (u64, Vec<String>) {
    let mut seen = Vec::new();
    let sequence = store
        .changed_since(known, |changed| {
            seen.push(match changed {
                Changed::Caller(row) => format!("caller {}", row.id),
                Changed::Entity(row) => format!("{} v{} {}", row.id, row.version, row.deleted_at.is_some()),
                Changed::Assignment(row) => format!("{} v{} {}", row.id, row.version, row.status),
                Changed::Pin(row) => format!("pin v{} {:?}", row.version, row.revision_id),
                Changed::PluginMode(row) => {
                    format!("{}/{} v{} {:?}", row.tenant_id, row.plugin, row.version, row.mode)
                }
            });
        })
        .await
        .unwrap();
    (sequence, seen)
}

fn plugin_mode(tenant_id: &str, route: &str, mode: Option<&str>) -> PluginModeRow {
    PluginModeRow {
        tenant_id: tenant_id.into(),
        plugin: "rule".into(),
        route: route.into(),
        mode: mode.map(str::to_owned),
        updated_at: Timestamp(1),
        version: 0,
    }
}

async fn put_mode(store: &Store, mut row: PluginModeRow) -> u64 {
    let mut writing = store.begin_change().await.unwrap();
    row.version = writing.sequence();
    writing.put_plugin_mode(&row).await.unwrap();
    writing.commit(&change(&format!("evt_{}", row.version))).await.unwrap()
}

on_both! {
    async fn a_plugins_mode_is_replaced_and_its_end_is_seen(store: &Store) {
        assert_eq!(put_mode(store, plugin_mode("", "", Some("shadow"))).await, 1);
        put_mode(store, plugin_mode("acme", "GET /a", Some("off"))).await;
        put_mode(store, plugin_mode("acme", "GET /a", Some("enforce"))).await;
        let seen = ["/rule v1 Some(\"shadow\")", "acme/rule v3 Some(\"enforce\")"].map(str::to_owned);
        assert_eq!(seen_since(store, 0).await, (3, seen.to_vec()));
        put_mode(store, plugin_mode("", "", None)).await;
        assert_eq!(seen_since(store, 3).await, (4, vec!["/rule v4 None".to_owned()]));
        // Who knows nothing has nothing to take back.
        assert_eq!(seen_since(store, 0).await, (4, vec![seen[1].clone()]));
        let of = async |tenant| store.plugin_modes_of(tenant).await.unwrap().len();
        assert_eq!((of("acme").await, of("other").await), (1, 0));
        let mut writing = store.begin_change().await.unwrap();
        assert_eq!(writing.count_plugin_modes("acme", "rule").await.unwrap(), 1);
        assert_eq!(writing.count_plugin_modes("", "rule").await.unwrap(), 0);
        let ended = writing.plugin_mode(["", "rule", ""]).await.unwrap().unwrap();
        assert_eq!((ended.mode, ended.version), (None, 4));
    }

    async fn a_change_is_seen_whole_or_not_at_all(store: &Store) {
        let mut writing = store.begin_change().await.unwrap();
        writing.put_entity(&entity("default", "Doc", "a")).await.unwrap();
        writing.put_assignment(&assignment("ras_1", "alice")).await.unwrap();
        drop(writing);
        assert_eq!(seen_since(store, 0).await, (0, vec![]));
        let mut writing = store.begin_change().await.unwrap();
        writing.put_entity(&entity("default", "Doc", "a")).await.unwrap();
        writing.put_assignment(&assignment("ras_1", "alice")).await.unwrap();
        assert_eq!(writing.commit(&change("evt_1")).await.unwrap(), 1);
        assert_eq!(seen_since(store, 0).await, (1, vec!["a v1 false".into(), "ras_1 v1 active".into()]));
        assert_eq!(seen_since(store, 1).await, (1, vec![]));
    }

    async fn what_is_deleted_is_shown_to_who_knew_it(store: &Store) {
        let mut writing = store.begin_change().await.unwrap();
        writing.put_entity(&entity("default", "Doc", "a")).await.unwrap();
        writing.commit(&change("evt_1")).await.unwrap();
        let mut writing = store.begin_change().await.unwrap();
        let gone = EntityRow { deleted_at: Some(Timestamp(2)), ..entity("default", "Doc", "a") };
        writing.put_entity(&gone).await.unwrap();
        writing.commit(&change("evt_2")).await.unwrap();
        assert_eq!(seen_since(store, 1).await, (2, vec!["a v2 true".into()]));
        assert_eq!(seen_since(store, 0).await, (2, vec![]));
        assert_eq!(store.entity(["default", "documents", "Doc", "a"]).await.unwrap(), None);
    }

    async fn who_begins_a_change_knows_all_before_it(store: &Store) {
        let mut writing = store.begin_change().await.unwrap();
        writing.put_entity(&entity("default", "Doc", "a")).await.unwrap();
        writing.commit(&change("evt_1")).await.unwrap();
        let mut writing = store.begin_change().await.unwrap();
        assert_eq!(writing.sequence(), 2);
        let mut seen = Vec::new();
        writing.changed_since(0, |changed| seen.push(format!("{changed:?}"))).await.unwrap();
        assert_eq!(seen.len(), 1);
        assert!(seen[0].contains("\"a\""), "{seen:?}");
    }

    async fn changes_at_once_are_numbered_without_gaps(store: &Store) {
        let one = |n: usize| async move {
            let mut writing = store.begin_change().await.unwrap();
            writing.put_entity(&entity("default", "Doc", &format!("{n}"))).await.unwrap();
            writing.commit(&change(&format!("evt_{n}"))).await.unwrap()
        };
        let (a, b, c, d) = tokio::join!(one(1), one(2), one(3), one(4));
        let mut all = [a, b, c, d];
        all.sort_unstable();
        assert_eq!(all, [1, 2, 3, 4]);
        assert_eq!(seen_since(store, 2).await.1.len(), 2);
    }

    async fn entities_come_in_pages_of_one_tenant(store: &Store) {
        let mut writing = store.begin_change().await.unwrap();
        for (tenant, type_name, id) in
            [("default", "Doc", "b"), ("default", "Doc", "a"), ("default", "App", "z"), ("other", "Doc", "c")]
        {
            writing.put_entity(&entity(tenant, type_name, id)).await.unwrap();
        }
        writing.commit(&change("evt_1")).await.unwrap();
        let mut after = (String::new(), String::new());
        let mut seen = Vec::new();
        loop {
            let page = EntityPage {
                tenant_id: "default",
                pack: "documents",
                type_name: None,
                kind: None,
                after: (&after.0, &after.1),
                limit: 1,
            };
            let rows = store.entities(&page).await.unwrap();
            let Some(last) = rows.last() else { break };
            after = (last.type_name.clone(), last.id.clone());
            seen.push(after.clone());
        }
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(seen, [pair("App", "z"), pair("Doc", "a"), pair("Doc", "b")]);
        let page = EntityPage {
            tenant_id: "default",
            pack: "documents",
            type_name: Some("Doc"),
            kind: Some("role"),
            after: ("", ""),
            limit: 9,
        };
        assert_eq!(store.entities(&page).await.unwrap(), []);
    }

    async fn assignments_are_found_by_who_and_what(store: &Store) {
        let mut writing = store.begin_change().await.unwrap();
        for (id, subject) in [("ras_1", "alice"), ("ras_2", "bob"), ("ras_3", "alice")] {
            writing.put_assignment(&assignment(id, subject)).await.unwrap();
        }
        writing.commit(&change("evt_1")).await.unwrap();
        let all = AssignmentPage {
            tenant_id: "default",
            pack: None,
            subject: None,
            role: None,
            status: None,
            after: "",
            limit: 9,
        };
        let count = async |page: AssignmentPage<'_>| store.assignments(&page).await.unwrap().len();
        assert_eq!(count(all).await, 3);
        assert_eq!(count(AssignmentPage { subject: Some(("User", "alice")), ..all }).await, 2);
        assert_eq!(count(AssignmentPage { subject: Some(("User", "alice")), after: "ras_1", ..all }).await, 1);
        assert_eq!(count(AssignmentPage { role: Some(("Role", "viewer")), ..all }).await, 0);
        assert_eq!(count(AssignmentPage { status: Some("pending"), ..all }).await, 0);
        assert_eq!(count(AssignmentPage { tenant_id: "other", ..all }).await, 0);
        assert_eq!(store.assignment("other", "ras_1").await.unwrap(), None);
        let row = store.assignment("default", "ras_1").await.unwrap().unwrap();
        assert_eq!(row, AssignmentRow { version: 1, ..assignment("ras_1", "alice") });
    }

    async fn an_answer_is_kept_with_what_it_made(store: &Store) {
        let of = Idempotent { tenant_id: "t", caller_id: "c", key: "k", request_hash: "h" };
        let mut writing = store.begin_change().await.unwrap();
        assert_eq!(writing.earlier_answer(of).await.unwrap(), Earlier::None);
        writing.keep_answer(of, "made", Timestamp(1)).await.unwrap();
        writing.commit(&change("evt_1")).await.unwrap();
        let mut writing = store.begin_change().await.unwrap();
        assert_eq!(writing.earlier_answer(of).await.unwrap(), Earlier::Same("made".into()));
        let other = Idempotent { request_hash: "i", ..of };
        assert_eq!(writing.earlier_answer(other).await.unwrap(), Earlier::Other);
        let stranger = Idempotent { caller_id: "d", ..of };
        assert_eq!(writing.earlier_answer(stranger).await.unwrap(), Earlier::None);
        drop(writing);
        assert_eq!(store.forget_answers(Timestamp(2)).await.unwrap(), 1);
    }

    async fn a_nul_is_refused(store: &Store) {
        let mut writing = store.begin_change().await.unwrap();
        let refused = writing.put_entity(&entity("default", "Doc", "a\0b")).await;
        assert!(matches!(refused, Err(StoreError::Nul)), "{refused:?}");
    }

    async fn a_change_is_taken_into_one_log(store: &Store) {
        let writing = store.begin_change().await.unwrap();
        writing.commit(&change("evt_1")).await.unwrap();
        let now = Timestamp(1_000_000);
        assert_eq!(store.unlogged_changes(now, 9).await.unwrap(), [change("evt_1")]);
        assert!(store.take_change("evt_1", now).await.unwrap());
        assert!(!store.take_change("evt_1", now).await.unwrap());
        assert_eq!(store.unlogged_changes(now, 9).await.unwrap(), []);
        let later = Timestamp(60_000_000);
        assert!(store.take_change("evt_1", later).await.unwrap());
        store.change_logged("evt_1", later).await.unwrap();
        assert_eq!(store.unlogged_changes(Timestamp(i64::MAX - 1), 9).await.unwrap(), []);
    }
}
