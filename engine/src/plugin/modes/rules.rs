//! The rules of a plugin's modes, by whom they are for.
//!
//! Promises: who asks for a tenant gets the rules for everybody and that tenant's, and no other's is looked at, however
//! many tenants there are. Rules that are not shared are changed in their place.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::ModeRule;
use crate::route::Route;

/// The rules of one plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    everybody: Vec<ModeRule>,
    tenants: HashMap<Arc<str>, Arc<Vec<ModeRule>>>,
}

/// The rules of the store, by plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides(BTreeMap<String, Arc<Rules>>);

impl Rules {
    /// Those that concern a tenant.
    pub fn of(&self, tenant: &str) -> impl Iterator<Item = &ModeRule> {
        self.everybody.iter().chain(self.tenants.get(tenant).into_iter().flat_map(|rules| rules.iter()))
    }

    fn put(&mut self, rule: ModeRule) {
        let rules = self.whose(rule.tenant.as_deref());
        match rules.iter_mut().find(|other| other.route == rule.route) {
            Some(other) => *other = rule,
            None => rules.push(rule),
        }
    }

    fn take(&mut self, tenant: Option<&str>, route: Option<&Route>) {
        let rules = self.whose(tenant);
        rules.retain(|rule| rule.route.as_ref() != route);
        if let (true, Some(tenant)) = (rules.is_empty(), tenant) {
            self.tenants.remove(tenant);
        }
    }

    fn whose(&mut self, tenant: Option<&str>) -> &mut Vec<ModeRule> {
        match tenant {
            None => &mut self.everybody,
            Some(tenant) => Arc::make_mut(self.tenants.entry(tenant.into()).or_default()),
        }
    }

    fn is_empty(&self) -> bool {
        self.everybody.is_empty() && self.tenants.is_empty()
    }
}

impl FromIterator<ModeRule> for Rules {
    /// Of two that are for the same, both are kept.
    fn from_iter<I: IntoIterator<Item = ModeRule>>(rules: I) -> Self {
        let mut all = Self::default();
        for rule in rules {
            all.whose(rule.tenant.as_deref()).push(rule);
        }
        all
    }
}

impl Overrides {
    /// A plugin's.
    pub fn of(&self, plugin: &str) -> Option<&Arc<Rules>> {
        self.0.get(plugin)
    }

    /// There is this rule now, in the place of the one for the same tenant and route.
    pub fn put(&mut self, plugin: &str, rule: ModeRule) {
        Arc::make_mut(self.0.entry(plugin.to_owned()).or_default()).put(rule);
    }

    /// The rule for this tenant and route was taken back.
    pub fn take(&mut self, plugin: &str, tenant: Option<&str>, route: Option<&Route>) {
        let Some(rules) = self.0.get_mut(plugin) else { return };
        let rules = Arc::make_mut(rules);
        rules.take(tenant, route);
        if rules.is_empty() {
            self.0.remove(plugin);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::Mode::{self, Enforce, Off, Shadow};

    const TENANTS: usize = 10_000;

    fn rule(tenant: Option<&str>, route: Option<&str>, mode: Mode) -> ModeRule {
        ModeRule { tenant: tenant.map(str::to_owned), route: route.map(|route| route.parse().unwrap()), mode }
    }

    fn of_many() -> Overrides {
        let mut overrides = Overrides::default();
        overrides.put("guard", rule(None, None, Shadow));
        for number in 0..TENANTS {
            let tenant = format!("tenant-{number}");
            overrides.put("guard", rule(Some(&tenant), None, Off));
            overrides.put("guard", rule(Some(&tenant), Some("GET /a"), Enforce));
        }
        overrides
    }

    #[test]
    fn no_tenants_rules_but_its_own_are_looked_at_however_many_there_are() {
        let overrides = of_many();
        let rules = overrides.of("guard").unwrap();
        assert_eq!(rules.tenants.len(), TENANTS);
        let of = |tenant: &str| rules.of(tenant).cloned().collect::<Vec<_>>();
        let mine = [
            rule(None, None, Shadow),
            rule(Some("tenant-77"), None, Off),
            rule(Some("tenant-77"), Some("GET /a"), Enforce),
        ];
        assert_eq!(of("tenant-77"), mine);
        assert_eq!(of("tenant"), mine[..1]);
        assert_eq!(of(""), mine[..1]);
        assert!(overrides.of("other").is_none());
    }

    #[test]
    fn a_change_copies_what_it_changes_alone_and_that_once() {
        let served = of_many();
        let mut next = served.clone();
        let place = |overrides: &Overrides, tenant: &str| Arc::as_ptr(&overrides.0["guard"].tenants[tenant]);
        assert!(Arc::ptr_eq(&served.0["guard"], &next.0["guard"]));
        next.put("guard", rule(Some("tenant-1"), None, Shadow));
        let copied = (Arc::as_ptr(&next.0["guard"]), place(&next, "tenant-1"));
        assert_ne!(copied, (Arc::as_ptr(&served.0["guard"]), place(&served, "tenant-1")));
        next.put("guard", rule(Some("tenant-1"), Some("GET /a"), Shadow));
        next.take("guard", Some("tenant-2"), None);
        assert_eq!(copied, (Arc::as_ptr(&next.0["guard"]), place(&next, "tenant-1")), "copied once");
        assert_eq!(place(&served, "tenant-3"), place(&next, "tenant-3"), "another tenant's rules are shared");
        assert_eq!(served, of_many(), "what is served does not change");
        assert_eq!(next.0["guard"].of("tenant-1").filter(|rule| rule.mode == Shadow).count(), 3);
        assert_eq!(next.0["guard"].of("tenant-2").count(), 2);
    }

    #[test]
    fn what_was_taken_back_leaves_nothing() {
        let mut overrides = Overrides::default();
        overrides.take("guard", Some("acme"), None);
        overrides.put("guard", rule(Some("acme"), Some("GET /a"), Off));
        overrides.put("guard", rule(None, None, Off));
        let route = "GET /a".parse().unwrap();
        overrides.take("guard", None, Some(&route));
        overrides.take("guard", Some("other"), Some(&route));
        assert_eq!(overrides.of("guard").unwrap().of("acme").count(), 2);
        overrides.take("guard", Some("acme"), Some(&route));
        assert!(overrides.of("guard").unwrap().tenants.is_empty());
        overrides.take("guard", None, None);
        assert_eq!(overrides, Overrides::default());
    }
}
