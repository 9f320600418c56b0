//! How much a plugin counts for a tenant and a route.
//!
//! Promises: the rule that says most wins: one for the tenant before one for all, then the one whose route says more, then
//! the store's before the configuration's. How a path is written makes no mode laxer: a rule whose path differs in letter
//! case counts where it is the stricter one, and a path that servers read in two ways gets the strictest mode that the
//! tenant has on any route.

use serde::{Deserialize, Serialize};

use super::Mode;
use crate::route::{Fit, Path, Route};

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
    let fit = |rule: &ModeRule| match (&rule.route, &request) {
        (None, _) => Some(Fit::Exact),
        (Some(_), None) => None,
        (Some(_), Some((_, Path::Ambiguous))) => Some(Fit::Alike),
        (Some(route), Some((method, Path::Plain(segments)))) => route.fit(method, segments),
    };
    // The default says less than any rule.
    let (mut most, mut mode) = (None, default);
    let mut alike = Vec::new();
    for (rule, is_stored) in mine {
        let says = Some((rule.tenant.is_some(), rule.route.as_ref().map(Route::rank), is_stored));
        match fit(rule) {
            Some(Fit::Exact) if says > most => (most, mode) = (says, rule.mode),
            Some(Fit::Exact) if says == most => mode = stricter(mode, rule.mode),
            Some(Fit::Alike) => alike.push((says, rule.mode)),
            Some(Fit::Exact) | None => {}
        }
    }
    // For some servers one of these is the rule.
    let perhaps = alike.into_iter().filter(|(says, _)| *says >= most);
    perhaps.fold(mode, |mode, (_, other)| stricter(mode, other))
}

fn stricter(one: Mode, other: Mode) -> Mode {
    if strictness(other) > strictness(one) { other } else { one }
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
    fn letter_case_makes_no_mode_laxer() {
        let mode = |default, configured: &[ModeRule], path: &str| {
            resolve(default, &rules(configured), &rules(&[]), ("acme", &format!("GET {path}")))
        };
        // What turns it on does so in any case; what turns it off, in its own.
        for path in ["/Admin", "/ADMIN/x", "/admin.", "/%41dmin"] {
            assert_eq!(mode(Off, &[rule(None, Some("* /admin/*"), Enforce)], path), Enforce, "{path}");
            assert_eq!(mode(Off, &[rule(None, Some("* /admin/*"), Shadow)], path), Shadow, "{path}");
            assert_eq!(mode(Enforce, &[rule(None, Some("* /admin/*"), Off)], path), Enforce, "{path}");
            assert_eq!(mode(Shadow, &[rule(None, Some("* /admin/*"), Off)], path), Shadow, "{path}");
        }
        // An exception that says more, in another case, against what is meant in any.
        let exception = [
            rule(None, Some("* /admin/*"), Enforce),
            rule(None, Some("* /admin/health"), Off),
            rule(None, Some("* /*"), Off),
        ];
        for (path, expected) in [
            ("/admin/health", Off),
            ("/admin/Health", Enforce),
            ("/Admin/health", Enforce),
            ("/Admin/x", Enforce),
            ("/other", Off),
        ] {
            assert_eq!(mode(Enforce, &exception, path), expected, "{path}");
        }
        // Two that differ in case alone: on a server that ignores it, the path is both.
        let both = [rule(None, Some("* /Admin"), Off), rule(None, Some("* /admin"), Enforce)];
        for path in ["/Admin", "/admin", "/ADMIN"] {
            assert_eq!(mode(Off, &both, path), Enforce, "{path}");
        }
        // What the tenant has of its own counts before what all have, in any case.
        let own = [rule(None, Some("* /admin/*"), Enforce), rule(Some("acme"), None, Off)];
        for path in ["/admin", "/Admin", "//admin"] {
            assert_eq!(mode(Enforce, &own, path), Off, "{path}");
        }
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
