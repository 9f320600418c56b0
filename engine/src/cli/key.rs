//! `portcullis key create | list | revoke`.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand};
use secrecy::ExposeSecret;

use super::serve::DEV_NAME;
use super::{Failure, Place, announce, block_on, print, root_key, system};
use crate::administration::assignments::ACTIVE;
use crate::administration::grant::CALLER;
use crate::administration::{roles, type_of};
use crate::app::open_store;
use crate::caller::{DEFAULT_TENANT, EVERY, NewCaller, Right, create};
use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::policy::settings::is_pack_name;
use crate::policy::{MANAGEMENT, Sources};
use crate::protect::Purpose;
use crate::random::new_id;
use crate::store::Store;
use crate::store::assignments::{AssignmentPage, AssignmentRow};
use crate::store::callers::{CallerRow, caller_created};
use crate::store::changes::Change;

#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// Make a caller and print its key: the only time that it can be seen.
    Create(CreateArgs),
    /// List a tenant's callers.
    List(ListArgs),
    /// End a caller's key; running servers honour it within a second.
    Revoke(RevokeArgs),
}

#[derive(Debug, Args)]
pub(super) struct CreateArgs {
    #[command(flatten)]
    place: Place,
    /// What your people call the application.
    #[arg(long)]
    name: String,
    /// The tenant that it belongs to.
    #[arg(long, default_value = DEFAULT_TENANT)]
    tenant: String,
    /// A pack that it is bound to; `*` is all of them. May be repeated.
    #[arg(long = "pack", value_name = "PACK")]
    packs: Vec<String>,
    /// The pack that judges when a request names none.
    #[arg(long, value_name = "PACK")]
    default_pack: Option<String>,
    /// A right: assert_subject, simulate, read_decisions, read_metrics, manage and others. May be repeated.
    #[arg(long = "right", value_name = "RIGHT")]
    rights: Vec<String>,
    /// A role of the pack `portcullis`: owner, administrator, auditor, developer, operator. May be repeated.
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// From when on the key counts no more (RFC 3339).
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    place: Place,
    /// Whose callers.
    #[arg(long, default_value = DEFAULT_TENANT)]
    tenant: String,
}

#[derive(Debug, Args)]
pub(super) struct RevokeArgs {
    #[command(flatten)]
    place: Place,
    /// The tenant that the caller belongs to.
    #[arg(long, default_value = DEFAULT_TENANT)]
    tenant: String,
    /// `clr_…`.
    id: String,
}

pub(super) fn run(command: &KeyCommand) -> Result<ExitCode, Failure> {
    match command {
        KeyCommand::Create(args) => create_key(args),
        KeyCommand::List(args) => list_keys(args),
        KeyCommand::Revoke(args) => revoke_key(args),
    }
}

fn create_key(args: &CreateArgs) -> Result<ExitCode, Failure> {
    let new = args.check()?;
    let config = args.place.read()?;
    let roles = if args.roles.is_empty() { Vec::new() } else { roles_of(&config, &args.roles)? };
    let root = root_key(&config)?;
    let (clock, rng) = system();
    let (row, secret) = create(new, &root.derive(Purpose::CallerKeys), &*clock, &*rng)?;
    let given = roles.iter().map(|role| Ok((new_id("ras_", row.created_at, &*rng)?, role.clone())));
    let given: Vec<(String, Given)> = given.collect::<Result<_, Failure>>()?;
    let change = change_of(&row, new_id("evt_", clock.now(), &*rng)?, &args.roles);
    block_on(async {
        let store = open_store(&config, &root).await?;
        let mut writing = store.begin_change().await?;
        writing.insert_caller(&row).await?;
        for (id, role) in given {
            writing.put_assignment(&role.to_row(id, &row)).await?;
        }
        writing.commit(&change).await?;
        // A node that is not told asks the store when it meets a key that it does not know.
        announce(&config, &store).await.ok();
        store.close().await;
        Ok(())
    })?;
    print(&format!("id {}", row.id));
    print(&format!("key {}", secret.expose_secret()));
    Ok(ExitCode::SUCCESS)
}

/// A role of the management pack to give to a caller, by Cedar types.
#[derive(Clone)]
struct Given {
    caller_type: String,
    role: (String, String),
}

impl Given {
    fn to_row(&self, id: String, caller: &CallerRow) -> AssignmentRow {
        AssignmentRow {
            id,
            tenant_id: caller.tenant_id.clone(),
            pack: MANAGEMENT.to_owned(),
            subject_kind: CALLER.to_owned(),
            subject: (self.caller_type.clone(), caller.id.clone()),
            role: self.role.clone(),
            scope: "tenant".to_owned(),
            scope_on: None,
            starts_at: None,
            ends_at: None,
            delegated_by: None,
            reason: None,
            status: ACTIVE.to_owned(),
            requested_by: "operator:command line".to_owned(),
            made_by: "operator:command line".to_owned(),
            decided_by: None,
            decided_at: None,
            elevation_id: None,
            created_at: caller.created_at,
            updated_at: caller.created_at,
            version: 0,
        }
    }
}

/// Finds roles in the management pack.
fn roles_of(config: &Config, named: &[String]) -> Result<Vec<Given>, Failure> {
    let policies = &config.policies;
    let sources = Sources::of(policies.folder.clone(), policies.management.clone());
    let pack = Arc::new(sources.load_management()?);
    let known = roles::of_pack(&pack, "").map_err(|error| Failure::from(error.to_string()))?;
    let cedar = |name: &str| type_of(&pack, name).map_err(|error| Failure::from(error.to_string()));
    let (caller_type, role_type) = (cedar(CALLER)?, cedar("role")?);
    let mut found = Vec::new();
    for name in named.iter().collect::<BTreeSet<_>>() {
        if known.iter().all(|role| role.id != **name) {
            let names: Vec<_> = known.iter().map(|role| role.id.as_str()).collect();
            return Err(format!("there is no role `{name}`: the roles are {}", names.join(", ")).into());
        }
        let role = (role_type.clone(), name.clone());
        found.push(Given { caller_type: caller_type.clone(), role });
    }
    Ok(found)
}

fn change_of(row: &CallerRow, id: String, roles: &[String]) -> Change {
    let mut change = caller_created(row, &id);
    let detail = serde_json::from_str(&change.detail);
    if let Ok(serde_json::Value::Object(mut detail)) = detail {
        detail.insert("roles".into(), roles.into());
        change.detail = serde_json::Value::Object(detail).to_string();
    }
    change
}

impl CreateArgs {
    fn check(&self) -> Result<NewCaller, Failure> {
        if self.name.starts_with(DEV_NAME) || self.name.is_empty() {
            return Err(format!("`{}` can't be the name of a caller", self.name).into());
        }
        if !is_pack_name(&self.tenant) {
            return Err("a tenant has letters, digits, `-` and `_`, from 1 to 64".into());
        }
        for pack in self.packs.iter().chain(&self.default_pack) {
            if pack == MANAGEMENT || !(is_pack_name(pack) || pack == EVERY) {
                return Err(format!("`{pack}` can't be a caller's pack").into());
            }
        }
        let bound = |pack: &String| self.packs.iter().any(|bound| bound == EVERY || bound == pack);
        if let Some(pack) = self.default_pack.as_ref().filter(|pack| *pack == EVERY || !bound(pack)) {
            return Err(format!("the default pack `{pack}` must be one of the caller's packs").into());
        }
        let known = Right::GIVEN.map(Right::name);
        if let Some(right) = self.rights.iter().find(|right| !known.contains(&right.as_str())) {
            return Err(format!("there is no right `{right}`: the rights are {}", known.join(", ")).into());
        }
        let expires_at = self
            .expires
            .as_ref()
            .map(|text| {
                Timestamp::parse_rfc3339(text).ok_or("`--expires` must be a time with offset (RFC 3339)")
            })
            .transpose()?;
        Ok(NewCaller {
            tenant: self.tenant.clone(),
            name: self.name.clone(),
            packs: self.packs.clone(),
            default_pack: self.default_pack.clone(),
            rights: self.rights.clone(),
            expires_at,
        })
    }
}

fn list_keys(args: &ListArgs) -> Result<ExitCode, Failure> {
    let config = args.place.read()?;
    let root = root_key(&config)?;
    let (callers, roles) = block_on(async {
        let store = open_store(&config, &root).await?;
        let callers = store.callers_of(&args.tenant).await?;
        let roles = roles_in_force(&store, &args.tenant).await?;
        store.close().await;
        Ok((callers, roles))
    })?;
    let now = system().0.now();
    print(&format!(
        "{:<36}  {:<8}  {:<20}  {:<24}  {:<24}  {}",
        "id", "status", "name", "packs", "roles", "rights"
    ));
    for caller in &callers {
        let (packs, rights) = (caller.packs.join(","), caller.rights.join(","));
        let held = roles.iter().filter(|row| row.subject.1 == caller.id && counts(row, now));
        let roles: BTreeSet<&str> = held.map(|row| row.role.1.as_str()).collect();
        let roles = roles.into_iter().collect::<Vec<_>>().join(",");
        print(&format!(
            "{:<36}  {:<8}  {:<20}  {packs:<24}  {roles:<24}  {rights}",
            caller.id,
            status(caller, now),
            caller.name
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// The roles of the management pack that a tenant's callers have.
async fn roles_in_force(store: &Store, tenant: &str) -> Result<Vec<AssignmentRow>, Failure> {
    const AT_ONCE: i64 = 1_000;
    let mut all: Vec<AssignmentRow> = Vec::new();
    loop {
        let after = all.last().map(|row| row.id.clone()).unwrap_or_default();
        let page = AssignmentPage {
            tenant_id: tenant,
            pack: Some(MANAGEMENT),
            subject: None,
            role: None,
            status: Some(ACTIVE),
            after: &after,
            limit: AT_ONCE,
        };
        let rows = store.assignments(&page).await?;
        if rows.is_empty() {
            return Ok(all);
        }
        all.extend(rows);
    }
}

fn counts(row: &AssignmentRow, now: Timestamp) -> bool {
    row.starts_at.is_none_or(|start| start <= now) && row.ends_at.is_none_or(|end| now < end)
}

fn status(caller: &CallerRow, now: Timestamp) -> &'static str {
    if caller.revoked_at.is_some() {
        "revoked"
    } else if caller.expires_at.is_some_and(|at| at <= now) {
        "expired"
    } else {
        "live"
    }
}

fn revoke_key(args: &RevokeArgs) -> Result<ExitCode, Failure> {
    let config = args.place.read()?;
    let root = root_key(&config)?;
    let (clock, rng) = system();
    let now = clock.now();
    let change = new_id("evt_", now, &*rng)?;
    let revoked = block_on(async {
        let store = open_store(&config, &root).await?;
        let revoked = store.revoke_caller(&args.tenant, &args.id, now, &change).await?;
        announce(&config, &store).await?;
        store.close().await;
        Ok(revoked)
    })?;
    if !revoked {
        return Err(format!("the tenant `{}` has no live caller `{}`", args.tenant, args.id).into());
    }
    print(&format!("revoked {}", args.id));
    Ok(ExitCode::SUCCESS)
}
