//! Roles in time: on a clock that stands until it is moved, to the microsecond.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::AdminError;
use super::assignments::{self, By, NewAssignment};
use super::elevations::{self, NewElevation};
use super::grant::{Ground, Party, Place, Wish};
use super::roles::{self, RoleSpec};
use crate::app::{Actor, App, Changing};
use crate::caller::{Caller, NewCaller, create};
use crate::clock::{ManualClock, Timestamp};
use crate::config::Config;
use crate::decision::Verdict;
use crate::entity::RoleSettings;
use crate::evaluation::{Circumstances, evaluate};
use crate::policy::MANAGEMENT;
use crate::protect::{Purpose, RootKey};
use crate::question::Asked;
use crate::random::{Rng, SystemRng};
use crate::record::Via;

/// Two seconds before the end of a leap day.
const EVENING: &str = "2028-02-29T23:59:58Z";
const MIDNIGHT: &str = "2028-03-01T00:00:00Z";
const SECOND: Duration = Duration::from_secs(1);
const MICROSECOND: Duration = Duration::from_micros(1);

struct Team {
    app: Arc<App>,
    clock: Arc<ManualClock>,
    caller: Arc<Caller>,
    _folder: tempfile::TempDir,
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).unwrap()
}

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join(name), text).unwrap();
}

async fn team(rights: &[&str]) -> Team {
    let folder = tempfile::tempdir().unwrap();
    let policies = folder.path().join("policies");
    write(&policies.join("team"), "pack.toml", "name = \"team\"\n");
    let cedar = "@id(\"editors\")\npermit (principal in role::\"editor\", action, resource);\n\
        @id(\"chiefs\")\npermit (principal == user::\"chloe\", action == Action::\"approve_elevation\", resource);\n";
    write(&policies.join("team"), "team.cedar", cedar);
    let entities = r#"[{"uid": {"type": "user", "id": "alice"}, "attrs": {}, "parents": []},
        {"uid": {"type": "user", "id": "bob"}, "attrs": {}, "parents": []},
        {"uid": {"type": "user", "id": "chloe"}, "attrs": {}, "parents": []}]"#;
    write(&policies.join("team"), "entities.json", entities);
    let mut config = Config::default();
    config.data.folder = folder.path().join("data");
    config.policies.folder = policies;
    let rng: Arc<dyn Rng> = Arc::new(SystemRng::default());
    let root = RootKey::read_or_create(&folder.path().join("root.key"), &*rng).unwrap();
    let clock = ManualClock::at(at(EVENING));
    let app = App::start(config, &root, Arc::clone(&clock) as _, rng).await.unwrap();
    let new = NewCaller {
        tenant: "default".into(),
        name: "test".into(),
        packs: vec!["*".into()],
        default_pack: None,
        rights: rights.iter().map(|right| (*right).to_owned()).collect(),
        expires_at: None,
    };
    let (row, _) = create(new, &root.derive(Purpose::CallerKeys), &*app.clock, &*app.rng).unwrap();
    app.store.insert_caller(&row, &app.new_id("evt_", app.clock.now())).await.unwrap();
    clock.advance(MICROSECOND);
    app.refresh().await.unwrap();
    let caller = app.callers.with_id(&row.id).unwrap();
    Team { app, clock, caller, _folder: folder }
}

impl Team {
    fn by(&self) -> By<'_> {
        By { app: &self.app, caller: &self.caller }
    }

    async fn begin(&self) -> Changing<'_> {
        let actor = Actor { tenant: "default".into(), caller_id: Some(self.caller.id.clone()) };
        self.app.begin_change(actor).await.unwrap()
    }

    async fn role(&self, id: &str, settings: RoleSettings) {
        let mut changing = self.begin().await;
        let ground = Ground::of(&changing, "team").unwrap();
        let spec = RoleSpec { settings, ..RoleSpec::default() };
        roles::put(&mut changing, &ground, (None, id), spec).await.unwrap();
        changing.commit("role_created", id, "{}".into()).await.unwrap();
    }

    fn wish(who: &str, role: &str) -> Wish {
        Wish { principal: Party::read(who), role: role.into(), place: Place::Tenant }
    }

    fn assignment(&self, who: &str, role: &str) -> NewAssignment {
        NewAssignment {
            id: self.app.new_id("ras_", self.app.clock.now()),
            wish: Self::wish(who, role),
            starts_at: None,
            ends_at: None,
            reason: None,
            delegated_by: None,
            requested_by: Party::caller(&self.caller.id),
        }
    }

    async fn give(&self, pack: &str, new: NewAssignment) -> Result<(), AdminError> {
        let mut changing = self.begin().await;
        let ground = Ground::of(&changing, pack)?;
        let row = assignments::create(self.by(), &mut changing, &ground, new).await?;
        changing.commit("role_assignment_created", &row.id, "{}".into()).await?;
        Ok(())
    }

    async fn allows(&self, who: &str) -> bool {
        let by = Circumstances {
            caller: &self.caller,
            via: Via::Decide,
            pack: Some("team"),
            request_id: None,
            peer: None,
            understands: &[],
            http: None,
            explain: false,
            caller_took: Duration::ZERO,
        };
        let text = format!(
            r#"{{"subject": {{"type": "user", "id": "{who}"}}, "action": {{"name": "read"}},
                "resource": {{"type": "doc", "id": "d"}}}}"#
        );
        let asked: Asked<'_> = serde_json::from_str(&text).unwrap();
        evaluate(&self.app, &by, asked).await.unwrap().verdict == Verdict::Allow
    }
}

#[tokio::test]
async fn an_assignment_counts_up_to_its_end_and_not_at_it() {
    let team = team(&["assert_subject"]).await;
    team.role("editor", RoleSettings::default()).await;
    let ends_at = Some(at(MIDNIGHT));
    team.give("team", NewAssignment { ends_at, ..team.assignment("user:alice", "editor") }).await.unwrap();
    let starts_at = Some(at(MIDNIGHT));
    team.give("team", NewAssignment { starts_at, ..team.assignment("user:bob", "editor") }).await.unwrap();
    assert_eq!((team.allows("alice").await, team.allows("bob").await), (true, false));
    team.clock.advance(2 * SECOND - 2 * MICROSECOND);
    assert_eq!(team.app.clock.now().0 + 1, at(MIDNIGHT).0);
    assert_eq!((team.allows("alice").await, team.allows("bob").await), (true, false));
    team.clock.advance(MICROSECOND);
    assert_eq!((team.allows("alice").await, team.allows("bob").await), (false, true));
}

#[tokio::test]
async fn an_elevation_lasts_from_its_approval_on_and_no_longer() {
    let team = team(&["assert_subject"]).await;
    team.role("editor", RoleSettings { max_seconds: Some(2), ..RoleSettings::default() }).await;
    let new = |seconds: i64| NewElevation {
        id: team.app.new_id("elv_", team.app.clock.now()),
        wish: Team::wish("user:alice", "editor"),
        reason: "night".into(),
        seconds,
        requested_by: Party::read("user:alice"),
        made_by: "caller:clr_1".into(),
    };
    let mut changing = team.begin().await;
    let ground = Ground::of(&changing, "team").unwrap();
    let refused = elevations::request(&mut changing, &ground, new(3)).await;
    assert!(matches!(refused, Err(AdminError::Invalid { .. })), "{refused:?}");
    let asked = elevations::request(&mut changing, &ground, new(2)).await.unwrap();
    changing.commit("elevation_requested", &asked.id, "{}".into()).await.unwrap();
    team.clock.advance(SECOND);
    assert!(!team.allows("alice").await);
    let mut changing = team.begin().await;
    let ground = Ground::of(&changing, "team").unwrap();
    let chief = Party::read("user:chloe");
    let assignment = team.app.new_id("ras_", ground.now);
    let row = elevations::approve(&mut changing, &ground, asked, (&chief, assignment)).await.unwrap();
    changing.commit("elevation_approved", &row.id, "{}".into()).await.unwrap();
    assert_eq!(row.ends_at, Some(Timestamp(ground.now.0 + 2_000_000)));
    team.clock.advance(2 * SECOND - MICROSECOND);
    assert!(team.allows("alice").await);
    assert_eq!(elevations::shown_status(&row, team.app.clock.now()), elevations::ACTIVE);
    team.clock.advance(MICROSECOND);
    assert!(!team.allows("alice").await);
    assert_eq!(elevations::shown_status(&row, team.app.clock.now()), elevations::ENDED);
}

#[tokio::test]
async fn who_holds_a_management_role_until_midnight_gives_it_until_midnight() {
    let team = team(&["assert_subject", "manage"]).await;
    let id = team.caller.id.clone();
    let caller = format!("caller:{id}");
    // With `manage` it gives itself the role, and goes on without.
    let ends_at = Some(at(MIDNIGHT));
    let own = NewAssignment { ends_at, ..team.assignment(&caller, "administrator") };
    team.give(MANAGEMENT, own).await.unwrap();
    let mut row = team.app.store.callers_of("default").await.unwrap().remove(0);
    row.rights.clear();
    team.app.callers.apply(vec![row], false);
    let give = |role: &str, ends_at: Option<Timestamp>| {
        team.give(MANAGEMENT, NewAssignment { ends_at, ..team.assignment(&caller, role) })
    };
    let later = Timestamp(at(MIDNIGHT).0 + 1);
    for (role, ends_at) in [("auditor", None), ("auditor", Some(later)), ("owner", Some(at(MIDNIGHT)))] {
        let refused = give(role, ends_at).await;
        assert!(matches!(refused, Err(AdminError::NotHeld(_))), "{role} {ends_at:?}: {refused:?}");
    }
    give("auditor", Some(at(MIDNIGHT))).await.unwrap();
    team.clock.advance(2 * SECOND);
    let refused = give("auditor", Some(Timestamp(later.0 + 5_000_000))).await;
    assert!(matches!(refused, Err(AdminError::NotHeld(_))), "{refused:?}");
}

#[tokio::test]
async fn a_delegation_that_was_right_is_refused_when_the_role_was_taken_meanwhile() {
    let team = team(&["assert_subject"]).await;
    team.role("editor", RoleSettings::default()).await;
    team.give("team", team.assignment("user:alice", "editor")).await.unwrap();
    let delegated_by = Some(Party::read("user:alice"));
    let passed =
        || NewAssignment { delegated_by: delegated_by.clone(), ..team.assignment("user:bob", "editor") };
    team.give("team", passed()).await.unwrap();
    assert!(team.allows("bob").await);
    let mut changing = team.begin().await;
    let held = changing.assignments_about("team", ("user", "alice")).await.unwrap();
    let own = held.into_iter().find(|row| row.delegated_by.is_none()).unwrap();
    assignments::end(&mut changing, own, &Party::caller("clr_x")).await.unwrap();
    changing.commit("role_assignment_revoked", "ras_x", "{}".into()).await.unwrap();
    assert!(!team.allows("bob").await);
    let refused = team.give("team", passed()).await;
    assert!(matches!(refused, Err(AdminError::WiderThanDelegated { .. })), "{refused:?}");
}
