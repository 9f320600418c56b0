//! Counts of decisions over windows, by principal and by address.
//!
//! They are kept in the shared state, so that nodes count together. A decision is counted right after its answer: the next
//! request may come before its count.

use std::net::IpAddr;
use std::time::Duration;

use super::{Happened, wishes};
use crate::app::App;
use crate::plugin::input::Reading;
use crate::plugin::manifest::CounterWish;
use crate::plugin::set::Installed;
use crate::question::Party;
use crate::state::{State, StateError};

/// Whose counts are meant.
#[derive(Debug)]
pub struct Whose<'a> {
    /// The caller's tenant.
    pub tenant: &'a str,
    /// Who is asked about.
    pub subject: Option<&'a Party<'a>>,
    /// Where the application's own request came from.
    pub address: Option<IpAddr>,
}

/// The counts that a plugin wants to see, in its manifest's order. What is known of nobody is zero.
///
/// # Errors
/// When the state can't be asked.
pub async fn readings(
    state: &State,
    whose: &Whose<'_>,
    installed: &Installed,
) -> Result<Vec<Reading>, StateError> {
    let subject = whose.subject.map(|subject| (&*subject.type_name, &*subject.id));
    let mut readings = Vec::new();
    for CounterWish { name, window_seconds } in &installed.plugin().manifest().counters {
        let value = match key(whose.tenant, (name, *window_seconds), subject, whose.address) {
            Some(key) => state.window_count(&key, window(*window_seconds)).await?,
            None => 0,
        };
        readings.push(Reading { name: name.clone(), value, window_seconds: *window_seconds });
    }
    Ok(readings)
}

/// Counts a decision as far as any plugin wants to see it.
pub(super) async fn count(app: &App, happened: &Happened) {
    let subject = happened.asked.as_ref().map(|asked| (asked.subject.0.as_str(), asked.subject.1.as_str()));
    for (name, window_seconds) in wishes(&happened.snapshot) {
        if happened.allowed && name.ends_with(".denials") {
            continue;
        }
        let Some(key) = key(&happened.tenant, (name, window_seconds), subject, happened.address) else {
            continue;
        };
        if let Err(error) = app.state.window_add(&key, window(window_seconds), 1).await {
            tracing::debug!(%error, counter = name, "a decision could not be counted");
        }
    }
}

fn window(seconds: u32) -> Duration {
    Duration::from_secs(seconds.into())
}

/// Where a count is kept; none when there is nobody to count, or no such counter.
fn key(
    tenant: &str,
    (name, window_seconds): (&str, u32),
    subject: Option<(&str, &str)>,
    address: Option<IpAddr>,
) -> Option<String> {
    let mut hasher = blake3::Hasher::new();
    let mut add = |part: &str| {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    };
    add(tenant);
    match name {
        "principal.decisions" | "principal.denials" => {
            let (type_name, id) = subject?;
            add(type_name);
            // As long as the event has it.
            add(&super::cut(id));
        }
        "address.decisions" | "address.denials" => add(&address?.to_canonical().to_string()),
        _ => return None,
    }
    Some(format!("detect/{name}/{window_seconds}/{}", hasher.finalize().to_hex()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_two_are_never_one() {
        let wish = ("principal.denials", 60);
        let of =
            |tenant: &str, type_name: &str, id: &str| key(tenant, wish, Some((type_name, id)), None).unwrap();
        let keys = [
            of("a", "user", "b"),
            of("au", "ser", "b"),
            of("a", "userb", ""),
            of("b", "user", "b"),
            key("a", ("principal.denials", 61), Some(("user", "b")), None).unwrap(),
            key("a", ("principal.decisions", 60), Some(("user", "b")), None).unwrap(),
        ];
        let distinct: std::collections::BTreeSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len());
        assert_eq!(key("a", wish, None, None), None);
        assert_eq!(key("a", ("address.denials", 60), Some(("user", "b")), None), None);
        assert_eq!(key("a", ("sales", 60), Some(("user", "b")), None), None);
    }

    #[test]
    fn an_address_is_one_in_both_of_its_forms() {
        let of = |text: &str| key("a", ("address.denials", 60), None, Some(text.parse().unwrap())).unwrap();
        assert_eq!(of("203.0.113.7"), of("::ffff:203.0.113.7"));
        assert_ne!(of("203.0.113.7"), of("203.0.113.8"));
    }
}
