//! The answers of `/v1/plugins`.

use serde::Serialize;

use crate::clock::Timestamp;
use crate::plugin::breaker::BreakerSettings;
use crate::plugin::modes::ModeRule;
use crate::plugin::set::Installed;
use crate::plugin::stats::{Buckets, Counts};
use crate::plugin::trust::Trust;
use crate::plugin::{Budget, Capability, FailureKind, FailurePolicy, Hook, Mode};
use crate::store::plugin_modes::PluginModeRow;

/// The plugins.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(in crate::http) struct PluginsResponse {
    /// By name; all of them.
    pub(super) items: Vec<PluginResponse>,
    /// Always null.
    #[schema(value_type = Option<String>)]
    pub(super) next: (),
}

/// Whether a plugin is what its files say.
#[derive(Clone, Copy, Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
enum PluginState {
    /// It is served as its files are.
    Loaded,
    /// Its files can't be loaded; the build before is served on.
    Failed,
    /// It is in the folder and has no section in the configuration: it is not run.
    NotConfigured,
}

/// A plugin.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(in crate::http) struct PluginResponse {
    /// Its name.
    pub(super) name: String,
    state: PluginState,
    /// Why its files are not what is served; for callers of the tenant `default`.
    #[serde(skip_serializing_if = "Option::is_none")]
    load_error: Option<LoadError>,
    /// What is served; absent when nothing is.
    #[serde(flatten)]
    build: Option<BuildResponse>,
}

/// Why files are not what is served.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct LoadError {
    /// Since when.
    since: Option<String>,
    /// Why.
    message: String,
}

/// What is served of a plugin.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct BuildResponse {
    /// Its version.
    version: String,
    /// What it is, in a sentence.
    description: String,
    hook: Hook,
    /// The SHA-256 of its component.
    digest: String,
    trust: TrustResponse,
    /// Whether it came with the server, and not from the plugins folder or a bundle.
    embedded: bool,
    /// When this build was loaded.
    loaded_at: Option<String>,
    /// How much it counts for this caller's tenant, on routes that no mode names.
    mode: Mode,
    /// All modes that concern this caller's tenant: the configuration's and the store's.
    modes: Vec<ModeResponse>,
    capabilities: CapabilitiesResponse,
    /// The names of the keys that it may use.
    keys: Vec<String>,
    budget: Budget,
    on_failure: FailurePolicy,
    /// Whether its calls are kept for a replay.
    record: bool,
    breaker: BreakerSettings,
    /// The requests that it wants; empty is all.
    routes: Vec<String>,
    /// The kinds of events that it wants.
    events: Vec<String>,
    /// What its calls came to on this node, of all tenants and since its start; for callers of the tenant `default`.
    #[serde(skip_serializing_if = "Option::is_none")]
    statistics: Option<StatisticsResponse>,
}

/// Who vouches for a plugin.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct TrustResponse {
    /// `bundled`, `signed` or `unsigned`.
    by: &'static str,
    /// Which key signed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

/// A mode for a tenant, a route, both, or all.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct ModeResponse {
    /// For whom; all tenants without.
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    /// For which requests; all without.
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<String>,
    mode: Mode,
    /// `configuration` or `store`.
    source: &'static str,
    /// The number of its last change; the store's have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
}

/// What a plugin may use.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct CapabilitiesResponse {
    /// What it asks for.
    declared: Vec<Capability>,
    /// What of it it may use.
    granted: Vec<Capability>,
    /// What of it it may not.
    withheld: Vec<Capability>,
}

/// What calls came to.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct StatisticsResponse {
    /// Those that count.
    enforced: CallsResponse,
    /// Those in shadow mode.
    shadow: CallsResponse,
    /// Calls in shadow mode that found no room.
    shadow_dropped: u64,
    /// Tenants for which it is not called, since it failed too often.
    open_circuits: usize,
    /// How often that began.
    circuit_openings: u64,
    /// Fuel a call.
    fuel: Buckets,
    /// Microseconds a call.
    microseconds: Buckets,
    /// The last call that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<CallError>,
}

/// Counts of calls.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct CallsResponse {
    calls: u64,
    /// Requests that it rejected.
    rejections: u64,
    findings: u64,
    /// Calls that failed, by what of.
    #[schema(value_type = std::collections::BTreeMap<String, u64>)]
    failures: serde_json::Map<String, serde_json::Value>,
}

/// A call that failed.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct CallError {
    /// When.
    at: Option<String>,
    kind: FailureKind,
    /// What there is to say; for the tenant whose call it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

/// Who is shown what.
pub(super) struct Shown<'a> {
    pub(super) tenant: &'a str,
    pub(super) is_operator: bool,
    /// The store's modes that the tenant may see.
    pub(super) rows: &'a [PluginModeRow],
}

impl Shown<'_> {
    pub(super) fn installed(
        &self,
        installed: &Installed,
        failure: Option<&(Timestamp, String)>,
    ) -> PluginResponse {
        let load_error = failure
            .filter(|_| self.is_operator)
            .map(|(since, message)| LoadError { since: since.to_rfc3339(), message: message.clone() });
        PluginResponse {
            name: installed.name().to_owned(),
            state: if failure.is_some() { PluginState::Failed } else { PluginState::Loaded },
            load_error,
            build: Some(self.build(installed)),
        }
    }

    fn build(&self, installed: &Installed) -> BuildResponse {
        let (manifest, section, plugin) = (installed.manifest(), installed.section(), installed.plugin());
        BuildResponse {
            version: manifest.version.clone(),
            description: manifest.description.clone(),
            hook: manifest.hook,
            digest: plugin.digest().to_string(),
            trust: TrustResponse::of(installed.trust()),
            embedded: installed.is_embedded(),
            loaded_at: installed.loaded_at().to_rfc3339(),
            mode: installed.mode(self.tenant, ""),
            modes: self.modes(installed),
            capabilities: CapabilitiesResponse::of(installed),
            keys: plugin.grant().keys().map(str::to_owned).collect(),
            budget: *plugin.budget(),
            on_failure: section.on_failure,
            record: section.record,
            breaker: section.breaker,
            routes: manifest.routes.clone(),
            events: manifest.events.clone(),
            statistics: self.is_operator.then(|| self.statistics(installed)),
        }
    }

    fn modes(&self, installed: &Installed) -> Vec<ModeResponse> {
        let section = installed.section();
        let all = ModeRule { tenant: None, route: None, mode: section.mode };
        let mine = |rule: &&ModeRule| rule.tenant.as_ref().is_none_or(|tenant| tenant == self.tenant);
        let configured = std::iter::once(&all).chain(&section.modes).filter(mine).map(|rule| ModeResponse {
            tenant: rule.tenant.clone(),
            route: rule.route.as_ref().map(ToString::to_string),
            mode: rule.mode,
            source: "configuration",
            version: None,
        });
        let stored = self.rows.iter().filter(|row| row.plugin == installed.name());
        configured.chain(stored.filter_map(ModeResponse::of_row)).collect()
    }

    fn statistics(&self, installed: &Installed) -> StatisticsResponse {
        let stats = installed.stats();
        StatisticsResponse {
            enforced: CallsResponse::of(stats.enforced()),
            shadow: CallsResponse::of(stats.shadow()),
            shadow_dropped: stats.dropped(),
            open_circuits: installed.open_circuits(),
            circuit_openings: stats.circuit_openings(),
            fuel: stats.fuel(),
            microseconds: stats.microseconds(),
            last_error: stats.last_error().map(|last| CallError {
                at: last.at.to_rfc3339(),
                kind: last.failure.kind,
                // What a plugin says of a request may hold parts of it.
                message: (*last.tenant == *self.tenant).then_some(last.failure.message),
            }),
        }
    }
}

impl PluginResponse {
    pub(super) fn unconfigured(name: &str) -> Self {
        Self { name: name.to_owned(), state: PluginState::NotConfigured, load_error: None, build: None }
    }
}

impl TrustResponse {
    fn of(trust: Trust) -> Self {
        match trust {
            Trust::Bundled => Self { by: "bundled", key: None },
            Trust::Signed(key) => Self { by: "signed", key: Some(key.to_string()) },
            Trust::Unsigned => Self { by: "unsigned", key: None },
        }
    }
}

impl ModeResponse {
    /// None for one that was taken back.
    pub(super) fn of_row(row: &PluginModeRow) -> Option<Self> {
        let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Some(Self {
            tenant: text(&row.tenant_id),
            route: text(&row.route),
            mode: row.mode.as_deref().and_then(Mode::from_name)?,
            source: "store",
            version: Some(row.version),
        })
    }
}

impl CapabilitiesResponse {
    fn of(installed: &Installed) -> Self {
        let grant = installed.plugin().grant();
        let declared = &installed.manifest().capabilities;
        let (granted, withheld) = declared.iter().partition(|wanted| grant.may(**wanted).is_ok());
        Self { declared: declared.clone(), granted, withheld }
    }
}

impl CallsResponse {
    fn of(counts: &Counts) -> Self {
        let failures = counts.failures().filter(|(_, count)| *count > 0);
        Self {
            calls: counts.calls(),
            rejections: counts.rejections(),
            findings: counts.findings(),
            failures: failures.map(|(kind, count)| (kind.name().to_owned(), count.into())).collect(),
        }
    }
}
