//! The applications that ask, and what each may do.
//!
//! Promises: a key is never stored, only its keyed hash; what a caller may do is a Cedar decision of the management
//! pack, pure in caller, resource, data and instant, so that it can be remembered for as long as these stand.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use secrecy::{ExposeSecret, SecretString};

use crate::clock::{Clock, Timestamp};
use crate::entity::{Facts, Window};
use crate::protect::Key;
use crate::random::{RandomError, Rng};
use crate::store::callers::CallerRow;

mod right;
pub use right::{About, Right, RightOn, decide, may};

/// What every caller key begins with. API keys of principals begin otherwise and are not caller keys.
pub const PREFIX: &str = "pcc_";
/// All packs.
pub const EVERY: &str = "*";
/// The tenant that most will ever see.
pub const DEFAULT_TENANT: &str = "default";

/// A known application.
#[derive(Debug)]
pub struct Caller {
    /// `clr_…`.
    pub id: String,
    /// Its tenant.
    pub tenant: String,
    /// What its people call it.
    pub name: String,
    /// The packs that it is bound to.
    pub packs: Vec<String>,
    /// The pack that judges when a request names none.
    pub default_pack: Option<String>,
    /// What it may do.
    pub rights: Vec<String>,
    expires_at: Option<Timestamp>,
    /// What the management pack said, for one state of it and of the tenant's data.
    remembered: Mutex<Remembered>,
}

#[derive(Debug, Default)]
struct Remembered {
    /// The state: see [`Facts::stamp`].
    stamp: Option<[u64; 3]>,
    /// Each with the time in which it holds.
    answers: HashMap<(Right, String), (bool, Window)>,
}

/// More packs than this are not remembered for one caller: they can be named at will.
const REMEMBERED: usize = 256;

impl Caller {
    fn from_row(row: CallerRow) -> Self {
        Self {
            id: row.id,
            tenant: row.tenant_id,
            name: row.name,
            packs: row.packs,
            default_pack: row.default_pack,
            rights: row.rights,
            expires_at: row.expires_at,
            remembered: Mutex::default(),
        }
    }

    /// Whether its key still counts.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|at| now < at)
    }

    /// The same by a clock, which is read only if its key ever ends.
    pub fn is_live_by(&self, clock: &dyn Clock) -> bool {
        self.expires_at.is_none_or(|at| clock.now() < at)
    }

    /// Whether it is bound to this pack.
    pub fn is_bound_to(&self, pack: &str) -> bool {
        self.packs.iter().any(|bound| bound == EVERY || bound == pack)
    }

    /// The answer that `decide` gave before by the same facts and in its time, or gives now.
    fn remember(
        &self,
        facts: &Facts<'_>,
        right: Right,
        on: &str,
        decide: impl FnOnce() -> (bool, Window),
    ) -> bool {
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.stamp != Some(facts.stamp()) {
            *remembered = Remembered { stamp: Some(facts.stamp()), answers: HashMap::new() };
        }
        let mut known = remembered.answers.iter_mut().find(|((r, o), _)| *r == right && o == on);
        if let Some((_, (answer, window))) = &mut known {
            if !window.has(facts.now) {
                (*answer, *window) = decide();
            }
            return *answer;
        }
        let (answer, window) = decide();
        if remembered.answers.len() < REMEMBERED {
            remembered.answers.insert((right, on.to_owned()), (answer, window));
        }
        answer
    }
}

/// All live callers, by the keyed hash of their keys.
#[derive(Debug)]
pub struct Callers {
    table: ArcSwap<Table>,
    key: Key,
}

// The keys are keyed hashes already: nobody can choose them to collide.
type Table = HashMap<[u8; 32], Arc<Caller>, foldhash::fast::RandomState>;

impl Callers {
    /// An empty table; [`Callers::apply`] fills it.
    pub fn new(key: Key) -> Self {
        Self { table: ArcSwap::default(), key }
    }

    /// Takes over rows that are new or changed. With `afresh`, nothing else stays.
    pub fn apply(&self, rows: Vec<CallerRow>, afresh: bool) {
        if rows.is_empty() && !afresh {
            return;
        }
        let mut table = if afresh { Table::default() } else { Table::clone(&self.table.load()) };
        for row in rows {
            let mut hash = [0; 32];
            if hex::decode_to_slice(&row.key_hash, &mut hash).is_err() {
                continue;
            }
            if row.revoked_at.is_some() {
                table.remove(&hash);
            } else {
                table.insert(hash, Arc::new(Caller::from_row(row)));
            }
        }
        self.table.store(Arc::new(table));
    }

    /// Whose key this is. None when it is unknown, revoked or no caller key; or was made a moment ago, elsewhere.
    pub fn find(&self, presented: &str) -> Option<Arc<Caller>> {
        let hash = self.key.lookup_hash(presented.as_bytes());
        self.table.load().get(&hash).cloned()
    }

    /// One of them.
    #[cfg(test)]
    pub fn any(&self) -> Option<Arc<Caller>> {
        self.table.load().values().next().cloned()
    }

    /// The live caller with this id, of whichever tenant.
    pub fn with_id(&self, id: &str) -> Option<Arc<Caller>> {
        self.table.load().values().find(|caller| caller.id == id).cloned()
    }
}

/// A new caller, to be stored.
#[derive(Debug)]
pub struct NewCaller {
    /// Its tenant.
    pub tenant: String,
    /// What its people call it.
    pub name: String,
    /// The packs that it is bound to.
    pub packs: Vec<String>,
    /// The pack that judges when a request names none.
    pub default_pack: Option<String>,
    /// What it may do.
    pub rights: Vec<String>,
    /// From when on its key counts no more.
    pub expires_at: Option<Timestamp>,
}

/// Makes a caller's row and its key. The key is in no other place than the return value.
///
/// # Errors
/// When there is no randomness.
pub fn create(
    new: NewCaller,
    key: &Key,
    clock: &dyn Clock,
    rng: &dyn Rng,
) -> Result<(CallerRow, SecretString), RandomError> {
    let mut random = zeroize::Zeroizing::new([0; 32]);
    rng.fill(&mut *random)?;
    let secret = SecretString::from(format!("{PREFIX}{}", hex::encode(*random)));
    let created_at = clock.now();
    let row = CallerRow {
        id: crate::random::new_id("clr_", created_at, rng)?,
        tenant_id: new.tenant,
        name: new.name,
        key_hash: hex::encode(key.lookup_hash(secret.expose_secret().as_bytes())),
        packs: new.packs,
        default_pack: new.default_pack,
        rights: new.rights,
        created_at,
        expires_at: new.expires_at,
        revoked_at: None,
    };
    Ok((row, secret))
}

/// The form of a key: the prefix and 64 hex digits. Anything else costs no look-up.
pub fn is_well_formed(presented: &str) -> bool {
    let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    presented.strip_prefix(PREFIX).is_some_and(|rest| rest.len() == 64 && rest.bytes().all(digit))
}
