//! Two nodes in one process, on one database: what one changes, the other judges by.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

use super::{Actor, App};
use crate::caller::{NewCaller, create};
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::config::Config;
use crate::decision::Verdict;
use crate::evaluation::{Circumstances, evaluate};
use crate::protect::{Purpose, RootKey};
use crate::question::Asked;
use crate::random::{Rng, SystemRng};
use crate::record::Via;
use crate::store::assignments::AssignmentRow;
use crate::store::changes::Change;
use crate::store::idempotency::{Earlier, Idempotent};
use crate::store::tests::postgres_schema;

mod plugins;

/// The system's clock, by so much ahead or behind.
#[derive(Debug)]
struct WrongClock(SystemClock, i64);

impl Clock for WrongClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.now().0 + self.1)
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }
}

const HOUR_US: i64 = 3_600_000_000;

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join(name), text).unwrap();
}

async fn node(folder: &Path, url: Option<&SecretString>, off_by_us: i64) -> Arc<App> {
    let policies = folder.join("policies");
    write(
        &policies.join("team"),
        "pack.toml",
        "name = \"team\"\n[types]\nuser = \"User\"\nrole = \"Role\"\n",
    );
    let policy = "@id(\"editors\")\npermit (principal in Role::\"editor\", action, resource);\n";
    write(&policies.join("team"), "team.cedar", policy);
    let mut config = Config::default();
    config.data.folder = folder.join(format!("data{off_by_us}"));
    config.data.database_url = url.cloned();
    config.policies.folder = policies;
    let rng: Arc<dyn Rng> = Arc::new(SystemRng::default());
    let root = RootKey::read_or_create(&folder.join("root.key"), &*rng).unwrap();
    let clock = Arc::new(WrongClock(SystemClock::new(), off_by_us));
    let app = App::start(config, &root, clock, rng).await.unwrap();
    let new = NewCaller {
        tenant: "default".into(),
        name: "test".into(),
        packs: vec!["*".into()],
        default_pack: None,
        rights: vec!["assert_subject".into()],
        expires_at: None,
    };
    let (row, _) = create(new, &root.derive(Purpose::CallerKeys), &*app.clock, &*app.rng).unwrap();
    app.store.insert_caller(&row, &app.new_id("evt_", app.clock.now())).await.unwrap();
    app.refresh().await.unwrap();
    app
}

async fn allows(app: &App) -> bool {
    let caller = app.callers.any().unwrap();
    let by = Circumstances {
        caller: &caller,
        via: Via::Decide,
        pack: Some("team"),
        request_id: None,
        peer: None,
        understands: &[],
        http: None,
        explain: false,
        caller_took: Duration::ZERO,
    };
    let text = r#"{"subject": {"type": "user", "id": "alice"}, "action": {"name": "read"},
        "resource": {"type": "Doc", "id": "d"}}"#;
    let asked: Asked<'_> = serde_json::from_str(text).unwrap();
    evaluate(app, &by, asked).await.unwrap().verdict == Verdict::Allow
}

async fn assign(app: &App, ends_at: Option<Timestamp>) -> (String, u64) {
    let actor = Actor { tenant: "default".into(), caller_id: None };
    let mut changing = app.begin_change(actor).await.unwrap();
    let now = changing.now();
    let id = app.new_id("ras_", now);
    let row = AssignmentRow {
        id: id.clone(),
        tenant_id: "default".into(),
        pack: "team".into(),
        subject_kind: "user".into(),
        subject: ("User".into(), "alice".into()),
        role: ("Role".into(), "editor".into()),
        scope: "tenant".into(),
        scope_on: None,
        starts_at: None,
        ends_at,
        delegated_by: None,
        reason: None,
        status: "active".into(),
        requested_by: "caller:clr_1".into(),
        made_by: "caller:clr_1".into(),
        decided_by: None,
        decided_at: None,
        elevation_id: None,
        created_at: now,
        updated_at: now,
        version: 0,
    };
    changing.put_assignment(row).await.unwrap();
    let done = changing.commit("role_assignment_created", &id, "{}".into()).await.unwrap();
    (id, done.sequence)
}

async fn revoke(app: &App, id: &str) -> u64 {
    let actor = Actor { tenant: "default".into(), caller_id: None };
    let mut changing = app.begin_change(actor).await.unwrap();
    let mut row = changing.assignment(id).await.unwrap().unwrap();
    row.status = "revoked".into();
    changing.put_assignment(row).await.unwrap();
    changing.commit("role_assignment_revoked", id, "{}".into()).await.unwrap().sequence
}

mod on_sqlite {
    use super::*;

    #[tokio::test]
    async fn the_next_decision_sees_a_change() {
        let folder = tempfile::tempdir().unwrap();
        let app = node(folder.path(), None, 0).await;
        assert!(!allows(&app).await);
        let (id, _) = assign(&app, None).await;
        assert!(allows(&app).await);
        let sequence = revoke(&app, &id).await;
        assert!(!allows(&app).await);
        assert_eq!(app.snapshot().revision.sequence, sequence);
    }

    #[tokio::test]
    async fn a_change_that_is_dropped_never_was() {
        let folder = tempfile::tempdir().unwrap();
        let app = node(folder.path(), None, 0).await;
        let before = app.snapshot().revision.sequence;
        let actor = Actor { tenant: "default".into(), caller_id: None };
        let changing = app.begin_change(actor).await.unwrap();
        assert_eq!(changing.sequence(), before + 1);
        drop(changing);
        app.refresh().await.unwrap();
        assert_eq!(app.snapshot().revision.sequence, before);
        let (_, sequence) = assign(&app, None).await;
        assert_eq!(sequence, before + 1);
    }
}

mod on_postgres {
    use super::*;

    #[tokio::test]
    async fn a_node_knows_all_before_its_own_change() {
        let Some(url) = postgres_schema().await else { return };
        let folder = tempfile::tempdir().unwrap();
        let one = node(folder.path(), Some(&url), 0).await;
        let other = node(folder.path(), Some(&url), 1_000).await;
        let (id, _) = assign(&one, None).await;
        assert!(!allows(&other).await, "nobody told it yet");
        revoke(&other, &id).await;
        assert!(!allows(&other).await);
        assert!(other.reaches(2).await);
        one.refresh().await.unwrap();
        assert!(!allows(&one).await);
    }

    #[tokio::test]
    async fn a_clock_that_is_an_hour_off_keeps_nothing_open_and_closes_nothing_early() {
        let Some(url) = postgres_schema().await else { return };
        let folder = tempfile::tempdir().unwrap();
        let right = node(folder.path(), Some(&url), 0).await;
        let behind = node(folder.path(), Some(&url), -HOUR_US).await;
        let ahead = node(folder.path(), Some(&url), HOUR_US).await;
        let ends_at = Timestamp(right.clock.now().0 + 1_500_000);
        assign(&right, Some(ends_at)).await;
        for app in [&behind, &ahead] {
            assert!((app.clock.now().0 - right.clock.now().0).abs() < 1_000_000);
            app.refresh().await.unwrap();
            assert!(allows(app).await, "it was closed early");
        }
        tokio::time::sleep(Duration::from_millis(1_800)).await;
        for app in [&right, &behind, &ahead] {
            assert!(!allows(app).await, "it was kept open");
        }
    }
}

#[tokio::test]
async fn answers_of_idempotency_keys_are_forgotten_after_a_day() {
    let folder = tempfile::tempdir().unwrap();
    let app = node(folder.path(), None, 0).await;
    let of = |key| Idempotent { tenant_id: "default", caller_id: "c", key, request_hash: "h" };
    let mut writing = app.store.begin_change().await.unwrap();
    writing.ensure_tenant("default", app.clock.now()).await.unwrap();
    let Timestamp(now) = app.clock.now();
    for (key, age_hours) in [("young", 23), ("old", 25)] {
        writing.keep_answer(of(key), "made", Timestamp(now - age_hours * HOUR_US)).await.unwrap();
    }
    let change = Change {
        id: app.new_id("evt_", app.clock.now()),
        tenant_id: "default".into(),
        made_at: app.clock.now(),
        kind: "test".into(),
        target_id: String::new(),
        detail: "{}".into(),
        caller_id: None,
    };
    writing.commit(&change).await.unwrap();
    app.forget_answers().await;
    let mut writing = app.store.begin_change().await.unwrap();
    assert_eq!(writing.earlier_answer(of("old")).await.unwrap(), Earlier::None);
    assert_eq!(writing.earlier_answer(of("young")).await.unwrap(), Earlier::Same("made".into()));
}
