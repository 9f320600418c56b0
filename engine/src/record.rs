//! What the decision log says of a decision or an event: OCSF API Activity (class 6003).
//!
//! Promises: a record holds what replay needs (the inputs that were decided on, the revision, the answer), under `unmapped`, where OCSF
//! leaves room for it; the shape is versioned. Written by hand into one buffer: it is on the path of every decision.

use std::io::Write as _;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::caller::Caller;
use crate::clock::Timestamp;
use crate::decision::obligation::Obligation;
use crate::evaluation::Inspection;
use crate::question::Asked;

/// The version of what is under `unmapped`.
pub const VERSION: u32 = 1;

/// Failures are for people; long ones would let a request fill the log.
const ERRORS_SHOWN: usize = 8;
const ERROR_CHARACTERS: usize = 400;

/// The stages that records tell of, in order.
pub const STAGES: [&str; 5] = ["caller", "validate", "detect", "decide", "oblige"];

/// How a decision was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// An AuthZEN path.
    Authzen,
    /// `/v1/decide`.
    Decide,
    /// A call of the management API.
    Management,
}

impl Via {
    fn name(self) -> &'static str {
        match self {
            Self::Authzen => "authzen",
            Self::Decide => "decide",
            Self::Management => "management",
        }
    }
}

/// How much somebody must hear of it (OCSF's `severity_id`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// As things go.
    Informational,
    /// Somebody must look, now.
    Critical,
}

impl Severity {
    fn id(self) -> u8 {
        match self {
            Self::Informational => 1,
            Self::Critical => 5,
        }
    }
}

/// One stage of the walk, and how long it took.
#[derive(Clone, Copy, Debug)]
pub struct Stage<'a> {
    /// Its name.
    pub name: &'a str,
    /// How long it took, in nanoseconds; none when it did not run.
    pub duration_ns: Option<u64>,
}

/// What was found of the application's own request.
#[derive(Clone, Copy, Debug)]
pub enum Found<'a> {
    /// This.
    Here(&'a Inspection),
    /// What stands in the record of the batch's first item, which has this id.
    With(&'a str),
}

/// Everything that a record says.
#[derive(Debug)]
pub struct Record<'a> {
    /// `dec_…` or `evt_…`.
    pub id: &'a str,
    /// When it was decided.
    pub time: Timestamp,
    /// How much somebody must hear of it.
    pub severity: Severity,
    /// Who asked; nobody when the key is not known.
    pub caller: Option<&'a Caller>,
    /// Whose matter it is.
    pub tenant: &'a str,
    /// How.
    pub via: Via,
    /// The caller's own id of its request.
    pub request_id: Option<&'a str>,
    /// The caller's address.
    pub peer: Option<IpAddr>,
    /// The pack that judged.
    pub pack: Option<&'a str>,
    /// The revision that it was of.
    pub revision: &'a str,
    /// Whether it is allowed.
    pub allowed: bool,
    /// Why.
    pub reasons: &'a [smol_str::SmolStr],
    /// Which of the reasons are policies.
    pub policies: &'a [smol_str::SmolStr],
    /// What the caller must do.
    pub obligations: &'a [Obligation],
    /// What the caller said it understands.
    pub understands: &'a [std::borrow::Cow<'a, str>],
    /// What was asked; nothing when an item was none.
    pub asked: Option<&'a Asked<'a>>,
    /// The application's own request, as far as it is recorded: a JSON object.
    pub http: Option<&'a str>,
    /// What was found of it.
    pub found: Option<Found<'a>>,
    /// Policies that failed: id and message.
    pub errors: &'a [(smol_str::SmolStr, String)],
    /// The stages so far.
    pub stages: &'a [Stage<'static>],
    /// The calls of plugins that are kept for a replay, sealed, as base64.
    pub plugin_calls: Option<&'a str>,
    /// What a search found; what was searched for has no id in `asked`.
    pub search: Option<&'a Searched>,
    /// What a filter came to; its resource has no id in `asked`.
    pub filter: Option<&'a Filtered>,
}

/// What a filter came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Filtered {
    /// `always`, `never` or `conditional`.
    pub outcome: &'static str,
    /// Of how many conditions and values it is made.
    pub size: usize,
    /// How many parameters its SQL has.
    pub parameters: usize,
}

/// What a search came to: one page of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Searched {
    /// What was searched for: `subject`, `resource` or `action`.
    #[serde(rename = "for")]
    pub target: &'static str,
    /// Whether candidates came from an index or were all there are.
    pub by: &'static str,
    /// How many were evaluated.
    pub evaluated: usize,
    /// How many were found, and answered.
    pub found: usize,
    /// Whether there are more.
    pub more: bool,
}

/// What every record begins with, up to its id.
const START: &[u8] =
    br#"{"metadata":{"version":"1.6.0","product":{"name":"Portcullis","vendor_name":"Portcullis"},"uid":"#;
/// The class: API Activity (6003) of category Application Activity (6), activity Other (99).
const CLASS: &[u8] =
    br#"},"category_uid":6,"class_uid":6003,"activity_id":99,"type_uid":600399,"severity_id":"#;

impl<'a> Record<'a> {
    /// A management call that was denied, with nothing known of it yet.
    pub fn denied(id: &'a str, time: Timestamp, revision: &'a str) -> Self {
        Self {
            id,
            time,
            severity: Severity::Informational,
            caller: None,
            tenant: "",
            via: Via::Management,
            request_id: None,
            peer: None,
            pack: None,
            revision,
            allowed: false,
            reasons: &[],
            policies: &[],
            obligations: &[],
            understands: &[],
            asked: None,
            http: None,
            found: None,
            errors: &[],
            stages: &[],
            plugin_calls: None,
            search: None,
            filter: None,
        }
    }
}

impl Record<'_> {
    /// Writes the record as one JSON object.
    ///
    /// # Errors
    /// Never, in a vector.
    pub fn write(&self, out: &mut Vec<u8>) -> std::io::Result<()> {
        out.extend_from_slice(START);
        text(out, self.id)?;
        out.extend_from_slice(CLASS);
        number(out, self.severity.id());
        out.extend_from_slice(br#","status_id":"#);
        // Status 1 is Success and 2 Failure; action 1 is Allowed and 2 Denied.
        let numbers: &[u8] =
            if self.allowed { br#"1,"action_id":1,"time":"# } else { br#"2,"action_id":2,"time":"# };
        out.extend_from_slice(numbers);
        number(out, self.time.as_millis());
        out.extend_from_slice(br#","actor":{"#);
        self.write_actor(out)?;
        out.extend_from_slice(br#"},"api":{"operation":"#);
        text(out, self.asked.map_or("", |asked| &asked.action.name))?;
        if let Some(pack) = self.pack {
            out.extend_from_slice(br#","service":{"name":"#);
            text(out, pack)?;
            out.push(b'}');
        }
        if let Some(id) = self.request_id {
            out.extend_from_slice(br#","request":{"uid":"#);
            text(out, id)?;
            out.push(b'}');
        }
        out.push(b'}');
        if let Some(asked) = self.asked {
            out.extend_from_slice(br#","resources":[{"uid":"#);
            text(out, &asked.resource.id)?;
            out.extend_from_slice(br#","type":"#);
            text(out, &asked.resource.type_name)?;
            out.extend_from_slice(b"}]");
        }
        if let Some(peer) = self.peer {
            out.extend_from_slice(br#","src_endpoint":{"ip":""#);
            address(out, peer)?;
            out.extend_from_slice(br#""}"#);
        }
        out.extend_from_slice(br#","unmapped":"#);
        self.write_own(out)?;
        out.push(b'}');
        Ok(())
    }

    fn write_actor(&self, out: &mut Vec<u8>) -> std::io::Result<()> {
        if let Some(asked) = self.asked {
            out.extend_from_slice(br#""user":{"uid":"#);
            text(out, &asked.subject.id)?;
            out.extend_from_slice(br#","type":"#);
            text(out, &asked.subject.type_name)?;
            out.extend_from_slice(b"},");
        }
        if let Some(caller) = self.caller {
            out.extend_from_slice(br#""app_uid":"#);
            text(out, &caller.id)?;
            out.extend_from_slice(br#","app_name":"#);
            text(out, &caller.name)?;
            out.push(b',');
        }
        out.extend_from_slice(br#""authorizations":["#);
        if self.search.is_some() || self.filter.is_some() {
            // Many questions were judged; none of them is about this actor and this resource.
            out.push(b']');
            return Ok(());
        }
        let decision: &[u8] = if self.allowed { br#"{"decision":"allow""# } else { br#"{"decision":"deny""# };
        for (place, policy) in self.policies.iter().enumerate() {
            comma(out, place);
            out.extend_from_slice(decision);
            out.extend_from_slice(br#","policy":{"uid":"#);
            text(out, policy)?;
            out.extend_from_slice(b"}}");
        }
        if self.policies.is_empty() {
            out.extend_from_slice(decision);
            out.push(b'}');
        }
        out.push(b']');
        Ok(())
    }

    /// What OCSF has no place for, and replay needs.
    fn write_own(&self, out: &mut Vec<u8>) -> std::io::Result<()> {
        out.extend_from_slice(br#"{"v":"#);
        number(out, VERSION);
        out.extend_from_slice(br#","via":""#);
        out.extend_from_slice(self.via.name().as_bytes());
        out.extend_from_slice(br#"","tenant":"#);
        text(out, self.tenant)?;
        out.extend_from_slice(br#","revision":"#);
        text(out, self.revision)?;
        out.extend_from_slice(br#","reasons":"#);
        list(out, self.reasons)?;
        if !self.obligations.is_empty() {
            out.extend_from_slice(br#","obligations":"#);
            serde_json::to_writer(&mut *out, self.obligations)?;
        }
        if !self.understands.is_empty() {
            out.extend_from_slice(br#","understands":"#);
            list(out, self.understands)?;
        }
        // Types, ids and the action's name stand above; here is what the application said besides.
        if let Some(asked) = self.asked {
            raw(out, "subject_properties", asked.subject.properties);
            raw(out, "action_properties", asked.action.properties);
            raw(out, "resource_properties", asked.resource.properties);
            raw(out, "context", asked.context);
        }
        if let Some(http) = self.http {
            out.extend_from_slice(br#","http":"#);
            out.extend_from_slice(http.as_bytes());
        }
        if let Some(found) = self.found {
            write_found(out, found)?;
        }
        if !self.errors.is_empty() {
            let shown = self.errors.iter().take(ERRORS_SHOWN).map(|(policy, message)| PolicyFailure {
                policy: policy.to_string(),
                message: message.chars().take(ERROR_CHARACTERS).collect(),
            });
            out.extend_from_slice(br#","errors":"#);
            serde_json::to_writer(&mut *out, &shown.collect::<Vec<_>>())?;
        }
        if let Some(search) = self.search {
            out.extend_from_slice(br#","search":"#);
            serde_json::to_writer(&mut *out, search)?;
        }
        if let Some(filter) = self.filter {
            out.extend_from_slice(br#","filter":"#);
            serde_json::to_writer(&mut *out, filter)?;
        }
        if let Some(calls) = self.plugin_calls {
            out.extend_from_slice(br#","plugin_calls":"#);
            text(out, calls)?;
        }
        out.extend_from_slice(br#","stages_ns":{"#);
        let ran = self.stages.iter().filter_map(|stage| Some((stage.name, stage.duration_ns?)));
        for (place, (name, duration_ns)) in ran.enumerate() {
            comma(out, place);
            text(out, name)?;
            out.push(b':');
            number(out, duration_ns);
        }
        out.extend_from_slice(b"}}");
        Ok(())
    }
}

fn write_found(out: &mut Vec<u8>, found: Found<'_>) -> std::io::Result<()> {
    let inspection = match found {
        Found::Here(inspection) => inspection,
        Found::With(first) => {
            out.extend_from_slice(br#","inspected_with":"#);
            return text(out, first);
        }
    };
    if !inspection.findings().is_empty() {
        out.extend_from_slice(br#","findings":"#);
        serde_json::to_writer(&mut *out, inspection.findings())?;
    }
    if let Some(risk) = inspection.risk() {
        out.extend_from_slice(br#","risk":"#);
        serde_json::to_writer(&mut *out, risk)?;
    }
    if !inspection.calls().is_empty() {
        out.extend_from_slice(br#","plugins":"#);
        serde_json::to_writer(&mut *out, inspection.calls())?;
    }
    Ok(())
}

/// A policy that failed.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PolicyFailure {
    /// Its id.
    pub policy: String,
    /// What Cedar said.
    pub message: String,
}

/// JSON text. Most has nothing to escape, which one pass without a branch tells.
fn text(out: &mut Vec<u8>, text: &str) -> std::io::Result<()> {
    let special = |byte: u8| (byte < 0x20) | (byte == b'"') | (byte == b'\\');
    if text.bytes().fold(false, |found, byte| found | special(byte)) {
        return Ok(serde_json::to_writer(out, text)?);
    }
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
    Ok(())
}

fn address(out: &mut Vec<u8>, address: IpAddr) -> std::io::Result<()> {
    match address {
        IpAddr::V4(address) => {
            for (place, octet) in address.octets().into_iter().enumerate() {
                if place > 0 {
                    out.push(b'.');
                }
                number(out, octet);
            }
            Ok(())
        }
        IpAddr::V6(address) => write!(out, "{address}"),
    }
}

fn comma(out: &mut Vec<u8>, place: usize) {
    if place > 0 {
        out.push(b',');
    }
}

fn list<T: AsRef<str>>(out: &mut Vec<u8>, texts: &[T]) -> std::io::Result<()> {
    out.push(b'[');
    for (place, one) in texts.iter().enumerate() {
        comma(out, place);
        text(out, one.as_ref())?;
    }
    out.push(b']');
    Ok(())
}

fn number(out: &mut Vec<u8>, number: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// A member whose value is JSON already.
fn raw(out: &mut Vec<u8>, name: &str, value: Option<&RawValue>) {
    if let Some(value) = value {
        out.extend_from_slice(b",\"");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":");
        out.extend_from_slice(value.get().as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn text_is_what_serde_makes_of_it(one in any::<String>(), plain in "[ -~]{0,60}") {
            for given in [one, plain] {
                let mut out = Vec::new();
                text(&mut out, &given).unwrap();
                prop_assert_eq!(out, serde_json::to_vec(&given).unwrap());
            }
        }

        #[test]
        fn an_address_is_written_as_it_is_shown(given: IpAddr) {
            let mut out = Vec::new();
            address(&mut out, given).unwrap();
            prop_assert_eq!(out, given.to_string().into_bytes());
        }
    }
}
