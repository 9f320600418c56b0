//! `portcullis key create | list | revoke`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use secrecy::ExposeSecret;

use super::serve::DEV_NAME;
use super::{Failure, Place, announce, block_on, print, root_key, system};
use crate::app::open_store;
use crate::caller::{DEFAULT_TENANT, EVERY, NewCaller, Right, create};
use crate::clock::{Clock, Timestamp};
use crate::policy::MANAGEMENT;
use crate::policy::settings::is_pack_name;
use crate::protect::Purpose;
use crate::random::new_id;
use crate::store::callers::CallerRow;

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
    /// A right: assert_subject, simulate, claim, read_decisions, read_metrics, read_readiness, manage. May be repeated.
    #[arg(long = "right", value_name = "RIGHT")]
    rights: Vec<String>,
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
    let root = root_key(&config)?;
    let (clock, rng) = system();
    let (row, secret) = create(new, &root.derive(Purpose::CallerKeys), &*clock, &*rng)?;
    let change = new_id("evt_", clock.now(), &*rng)?;
    block_on(async {
        let store = open_store(&config, &root).await?;
        store.insert_caller(&row, &change).await?;
        // A node that is not told asks the store when it meets a key that it does not know.
        announce(&config, &store).await.ok();
        store.close().await;
        Ok(())
    })?;
    print(&format!("id {}", row.id));
    print(&format!("key {}", secret.expose_secret()));
    Ok(ExitCode::SUCCESS)
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
    let callers = block_on(async {
        let store = open_store(&config, &root).await?;
        let callers = store.callers_of(&args.tenant).await?;
        store.close().await;
        Ok(callers)
    })?;
    let now = system().0.now();
    print(&format!("{:<36}  {:<8}  {:<20}  {:<24}  {}", "id", "status", "name", "packs", "rights"));
    for caller in &callers {
        let (packs, rights) = (caller.packs.join(","), caller.rights.join(","));
        print(&format!(
            "{:<36}  {:<8}  {:<20}  {packs:<24}  {rights}",
            caller.id,
            status(caller, now),
            caller.name
        ));
    }
    Ok(ExitCode::SUCCESS)
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
