//! How much a plugin counts for a tenant and a route.
//!
//! Promises: the rule that says most wins: one for the tenant before one for all, then the one whose route says more, then
//! the store's before the configuration's. A path that servers read in two ways gets the strictest of all modes that the
//! tenant has somewhere: nobody turns a plugin off by how a path is written.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use super::Mode;
use super::route::{Path, Route};

mod rules;

pub use rules::{Overrides, Rules};

/// A mode for a tenant, a route, both, or all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModeRule {
    /// For whom; everybody without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// For which requests, as `GET /orders/*`; all without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<Route>,
    /// How much it counts there.
    pub mode: Mode,
}

/// The mode by the rules of the configuration and of the store; `route` is `METHOD /path`, or empty when no request was
/// reported.
pub fn resolve(default: Mode, configured: &Rules, stored: &Rules, on: (&str, &str)) -> Mode {
    let (tenant, route) = on;
    let of_configuration = configured.of(tenant).map(|rule| (rule, false));
    let mut mine = of_configuration.chain(stored.of(tenant).map(|rule| (rule, true))).peekable();
    if mine.peek().is_none() {
        return default;
    }
    let request = route.split_once(' ').map(|(method, path)| (method, Path::read(path)));
    let met = |rule: &ModeRule| match (&rule.route, &request) {
        (None, _) | (Some(_), Some((_, Path::Ambiguous))) => true,
        (Some(route), Some((method, Path::Plain(segments)))) => route.matches(method, segments),
        (Some(_), None) => false,
    };
    let applying = mine.filter(|(rule, _)| met(rule));
    if matches!(request, Some((_, Path::Ambiguous))) {
        let modes = applying.map(|(rule, _)| rule.mode).chain([default]);
        return modes.max_by_key(|mode| strictness(*mode)).unwrap_or(default);
    }
    // Two routes that say as much: the stricter one.
    let best = applying.max_by_key(|(rule, is_stored)| {
        let route = rule.route.as_ref().map(Route::rank);
        (
            rule.tenant.is_some(),
            route,
            *is_stored,
            strictness(rule.mode),
            Reverse(rule.route.as_ref().map(Route::as_str)),
        )
    });
    best.map_or(default, |(rule, _)| rule.mode)
}

fn strictness(mode: Mode) -> u8 {
    match mode {
        Mode::Off => 0,
        Mode::Shadow => 1,
        Mode::Enforce => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Mode::{Enforce, Off, Shadow};

    fn rule(tenant: Option<&str>, route: Option<&str>, mode: Mode) -> ModeRule {
        ModeRule { tenant: tenant.map(str::to_owned), route: route.map(|route| route.parse().unwrap()), mode }
    }

    fn rules(rules: &[ModeRule]) -> Rules {
        rules.iter().cloned().collect()
    }

    #[test]
    fn the_rule_that_says_most_wins() {
        let configured = [
            rule(None, Some("* /a/*"), Shadow),
            rule(None, Some("* /a/b"), Off),
            rule(Some("acme"), None, Enforce),
            rule(Some("acme"), Some("GET /a/*"), Off),
        ];
        let mode = |tenant, route| resolve(Shadow, &rules(&configured), &rules(&[]), (tenant, route));
        assert_eq!(mode("other", "GET /z"), Shadow);
        assert_eq!(mode("other", "GET /a/b"), Off);
        assert_eq!(mode("other", "GET /a/c"), Shadow);
        assert_eq!(mode("acme", "GET /z"), Enforce);
        assert_eq!(mode("acme", "POST /a/b"), Enforce);
        assert_eq!(mode("acme", "GET /a/b"), Off);
        assert_eq!(mode("acme", ""), Enforce);
        assert_eq!(mode("other", ""), Shadow);
    }

    #[test]
    fn the_store_wins_where_both_say_as_much() {
        let configured = [rule(None, Some("GET /a"), Off), rule(Some("acme"), None, Off)];
        let stored = [rule(None, None, Shadow), rule(Some("acme"), None, Enforce)];
        let mode = |tenant, route| resolve(Enforce, &rules(&configured), &rules(&stored), (tenant, route));
        assert_eq!(mode("other", "GET /b"), Shadow);
        assert_eq!(mode("other", "GET /a"), Off);
        assert_eq!(mode("acme", "GET /a"), Enforce);
    }

    #[test]
    fn no_way_to_write_a_path_makes_a_mode_laxer() {
        let configured = [rule(None, Some("* /health/*"), Off), rule(None, Some("* /admin/*"), Enforce)];
        for path in
            ["//admin", "/health/../admin", "/health/%2e%2e/admin", "/health;/x", "/health%2f..%2fadmin"]
        {
            assert_eq!(
                resolve(Off, &rules(&configured), &rules(&[]), ("acme", &format!("GET {path}"))),
                Enforce,
                "{path}"
            );
            assert_eq!(
                resolve(Enforce, &rules(&configured[..1]), &rules(&[]), ("acme", &format!("GET {path}"))),
                Enforce,
                "{path}"
            );
        }
        let others = rules(&[rule(Some("other"), None, Enforce)]);
        assert_eq!(resolve(Off, &others, &rules(&[]), ("acme", "GET //")), Off);
    }
}
