//! `portcullis policy revisions | rollback | promote | follow`: beside running servers, or without any.
//!
//! Promises: what is pinned was loaded first. `follow` needs nothing to load: it is the way out when nothing does.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use crate::administration::revisions::{self, ACTIVATED, FILES, FOLLOWED, PROMOTED, PROMOTION, ROLLBACK};
use crate::app::open_store;
use crate::caller::DEFAULT_TENANT;
use crate::cli::{Failure, Place, announce, block_on, print, root_key, system};
use crate::clock::Clock;
use crate::config::Config;
use crate::policy::Sources;
use crate::random::new_id;
use crate::store::Store;
use crate::store::changes::Change;
use crate::store::revisions::{PinRow, RevisionRow};

/// `portcullis policy revisions`.
#[derive(Debug, Args)]
pub(in crate::cli) struct RevisionsArgs {
    #[command(flatten)]
    place: Place,
    /// How many.
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
}

/// `portcullis policy rollback`.
#[derive(Debug, Args)]
pub(in crate::cli) struct RollbackArgs {
    #[command(flatten)]
    place: Place,
    /// Its id, or the beginning of it; without, the one that was active before.
    #[arg(value_name = "REVISION")]
    revision: Option<String>,
}

/// `portcullis policy promote`.
#[derive(Debug, Args)]
pub(in crate::cli) struct PromoteArgs {
    #[command(flatten)]
    place: Place,
    /// The revision that was seen in shadow: anything else in the folder is not promoted.
    #[arg(value_name = "REVISION")]
    revision: String,
}

/// `portcullis policy follow`.
#[derive(Debug, Args)]
pub(in crate::cli) struct FollowArgs {
    #[command(flatten)]
    place: Place,
}

pub(in crate::cli) fn list(args: &RevisionsArgs) -> Result<ExitCode, Failure> {
    let config = args.place.read()?;
    let root = root_key(&config)?;
    let (rows, pin) = block_on(async {
        let store = open_store(&config, &root).await?;
        let found = (store.revisions(None, args.limit).await?, store.pin().await?);
        store.close().await;
        Ok(found)
    })?;
    let pinned = pin.and_then(|pin| pin.revision_id);
    print(&format!("{:<68}  {:<24}  {:<9}  {:<6}  {}", "id", "activated", "origin", "pinned", "packs"));
    for row in &rows {
        let at = row.activated_at.to_rfc3339().unwrap_or_default();
        let mark = if pinned.as_ref() == Some(&row.id) { "pinned" } else { "" };
        let packs: Vec<String> =
            row.packs.iter().map(|pack| format!("{} ({})", pack.name, pack.policies)).collect();
        print(&format!("{:<68}  {at:<24}  {:<9}  {mark:<6}  {}", row.id, row.origin, packs.join(", ")));
    }
    Ok(ExitCode::SUCCESS)
}

pub(in crate::cli) fn roll_back(args: &RollbackArgs) -> Result<ExitCode, Failure> {
    let config = args.place.read()?;
    let root = root_key(&config)?;
    let id = block_on(async {
        let store = open_store(&config, &root).await?;
        let id = meant(&store, args.revision.as_deref()).await?;
        let policies = &config.policies;
        let sources = Sources::of(policies.folder.clone(), policies.management.clone());
        revisions::read(&store, &sources, &id).await?.load()?;
        pin(&config, &store, Some(id.clone()), (ROLLBACK, ACTIVATED)).await?;
        store.close().await;
        Ok(id)
    })?;
    print(&format!("pinned {id}"));
    Ok(ExitCode::SUCCESS)
}

pub(in crate::cli) fn promote(args: &PromoteArgs) -> Result<ExitCode, Failure> {
    let config = args.place.read()?;
    let root = root_key(&config)?;
    let policies = &config.policies;
    let folder =
        policies.shadow.clone().ok_or("no `[policies] shadow` is configured: nothing is in shadow")?;
    let sources = Sources::of(folder, policies.management.clone());
    let set = sources.read()?;
    let loaded = set.load()?;
    if **loaded.id() != *args.revision {
        let found = loaded.id();
        return Err(format!("the folder of candidates holds `{found}`, not `{}`", args.revision).into());
    }
    block_on(async {
        let store = open_store(&config, &root).await?;
        let (now, kept) = (system().0.now(), policies.revisions_kept);
        revisions::keep(&store, (&set, &loaded), PROMOTION, now, kept).await?;
        // Servers load it from where it is kept.
        revisions::read(&store, &sources, &args.revision).await?.load()?;
        pin(&config, &store, Some(args.revision.clone()), (PROMOTION, PROMOTED)).await?;
        store.close().await;
        Ok(())
    })?;
    print(&format!("pinned {}", args.revision));
    Ok(ExitCode::SUCCESS)
}

pub(in crate::cli) fn follow(args: &FollowArgs) -> Result<ExitCode, Failure> {
    let config = args.place.read()?;
    let root = root_key(&config)?;
    block_on(async {
        let store = open_store(&config, &root).await?;
        pin(&config, &store, None, (FILES, FOLLOWED)).await?;
        store.close().await;
        Ok(())
    })?;
    match &config.bundle.source {
        Some(source) => print(&format!("the bundle of `{source}` counts")),
        None => print("the policies folder counts"),
    }
    Ok(ExitCode::SUCCESS)
}

/// The revision that is meant: by its beginning, or the one before the active one.
async fn meant(store: &Store, said: Option<&str>) -> Result<String, Failure> {
    /// As many as the configuration can keep.
    const ALL: usize = 1_000_000;
    let rows = match said {
        Some(_) => store.revisions(None, ALL).await?,
        None => store.revisions(None, 2).await?,
    };
    let Some(beginning) = said else {
        let before: Option<RevisionRow> = rows.into_iter().nth(1);
        let before = before.ok_or("there is no revision before the active one")?;
        return Ok(before.id);
    };
    let mut found = rows.into_iter().map(|row| row.id).filter(|id| id.starts_with(beginning));
    match (found.next(), found.next()) {
        (Some(id), None) => Ok(id),
        (None, _) => {
            Err(format!("there is no revision `{beginning}`: see `portcullis policy revisions`").into())
        }
        (Some(_), Some(_)) => Err(format!("more than one revision begins with `{beginning}`").into()),
    }
}

/// Pins a revision, or none, and tells the nodes.
async fn pin(
    config: &Config,
    store: &Store,
    id: Option<String>,
    (origin, kind): (&str, &str),
) -> Result<(), Failure> {
    let (clock, rng) = system();
    let now = clock.now();
    let mut writing = store.begin_change().await?;
    if let Some(id) = &id
        && !writing.activate_revision(id, origin, now).await?
    {
        return Err(format!("the revision `{id}` is not kept any more").into());
    }
    let version = writing.sequence();
    writing
        .put_pin(&PinRow { revision_id: id.clone(), origin: origin.to_owned(), updated_at: now, version })
        .await?;
    let change = Change {
        id: new_id("evt_", now, &*rng)?,
        tenant_id: DEFAULT_TENANT.to_owned(),
        made_at: now,
        kind: kind.to_owned(),
        target_id: id.clone().unwrap_or_else(|| FILES.to_owned()),
        detail: json!({"id": id}).to_string(),
        caller_id: None,
    };
    writing.commit(&change).await?;
    announce(config, store).await
}
