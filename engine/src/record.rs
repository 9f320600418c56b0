//! What the decision log says of a decision or an event: OCSF API Activity (class 6003).
//!
//! Promises: a record holds what replay needs (the inputs that were decided on, the revision, the answer), under `unmapped`, where OCSF
//! leaves room for it; the shape is versioned. Written by hand into one buffer: it is on the path of every decision.

use std::io::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::caller::Caller;
use crate::clock::Timestamp;
use crate::decision::obligation::Obligation;
use crate::question::{Act, Asked, Party};

/// The version of what is under `unmapped`.
pub const VERSION: u32 = 1;

/// Failures are for people; long ones would let a request fill the log.
const ERRORS_SHOWN: usize = 8;
const ERROR_CHARACTERS: usize = 400;

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

/// One stage of the walk, and how long it took.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Stage<'a> {
    /// Its name.
    pub name: &'a str,
    /// How long it took, in nanoseconds.
    pub duration_ns: u64,
}

/// Everything that a record says.
#[derive(Debug)]
pub struct Record<'a> {
    /// `dec_…` or `evt_…`.
    pub id: &'a str,
    /// When it was decided.
    pub time: Timestamp,
    /// Who asked; nobody when the key is not known.
    pub caller: Option<&'a Caller>,
    /// How.
    pub via: Via,
    /// The caller's own id of its request.
    pub request_id: Option<&'a str>,
    /// The caller's address.
    pub peer: Option<std::net::IpAddr>,
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
    /// The application's own request.
    pub http: Option<&'a RawValue>,
    /// Policies that failed: id and message.
    pub errors: &'a [(smol_str::SmolStr, String)],
    /// The stages so far.
    pub stages: &'a [Stage<'static>],
}

impl Record<'_> {
    /// Writes the record as one JSON object.
    ///
    /// # Errors
    /// Never, in a vector.
    pub fn write(&self, out: &mut Vec<u8>) -> std::io::Result<()> {
        write!(out, r#"{{"metadata":{{"version":"1.6.0","log_version":"{VERSION}","uid":"#)?;
        text(out, self.id)?;
        out.extend_from_slice(
            concat!(
                r#","product":{"name":"Portcullis","vendor_name":"Portcullis","version":""#,
                env!("CARGO_PKG_VERSION"),
                r#""}},"category_uid":6,"class_uid":6003,"activity_id":99,"type_uid":600399,"#
            )
            .as_bytes(),
        );
        let (action, status) = if self.allowed { ("Allowed", 1) } else { ("Denied", 2) };
        write!(
            out,
            r#""time":{},"severity_id":1,"status_id":{status},"action_id":{status},"action":"{action}","actor":{{"#,
            self.time.as_millis()
        )?;
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
            write!(out, r#","src_endpoint":{{"ip":"{peer}"}}"#)?;
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
        let decision = if self.allowed { "allow" } else { "deny" };
        out.extend_from_slice(br#""authorizations":["#);
        for (place, policy) in self.policies.iter().enumerate() {
            comma(out, place);
            write!(out, r#"{{"decision":"{decision}","policy":{{"uid":"#)?;
            text(out, policy)?;
            out.extend_from_slice(b"}}");
        }
        if self.policies.is_empty() {
            write!(out, r#"{{"decision":"{decision}"}}"#)?;
        }
        out.push(b']');
        Ok(())
    }

    /// What OCSF has no place for, and replay needs.
    fn write_own(&self, out: &mut Vec<u8>) -> std::io::Result<()> {
        write!(out, r#"{{"v":{VERSION},"via":"{}","tenant":"#, self.via.name())?;
        text(out, self.caller.map_or("", |caller| &caller.tenant))?;
        write!(out, r#","time_us":{},"revision":"{}","reasons":"#, self.time.0, self.revision)?;
        list(out, self.reasons)?;
        if !self.obligations.is_empty() {
            out.extend_from_slice(br#","obligations":"#);
            serde_json::to_writer(&mut *out, self.obligations)?;
        }
        if !self.understands.is_empty() {
            out.extend_from_slice(br#","understands":"#);
            list(out, self.understands)?;
        }
        if let Some(asked) = self.asked {
            out.extend_from_slice(br#","input":{"subject":"#);
            party(out, &asked.subject)?;
            out.extend_from_slice(br#","action":"#);
            act(out, &asked.action)?;
            out.extend_from_slice(br#","resource":"#);
            party(out, &asked.resource)?;
            raw(out, "context", asked.context);
            out.push(b'}');
        }
        raw(out, "http", self.http);
        if !self.errors.is_empty() {
            let shown = self.errors.iter().take(ERRORS_SHOWN).map(|(policy, message)| PolicyFailure {
                policy: policy.to_string(),
                message: message.chars().take(ERROR_CHARACTERS).collect(),
            });
            out.extend_from_slice(br#","errors":"#);
            serde_json::to_writer(&mut *out, &shown.collect::<Vec<_>>())?;
        }
        out.extend_from_slice(br#","stages":["#);
        for (place, stage) in self.stages.iter().enumerate() {
            comma(out, place);
            write!(out, r#"{{"name":"{}","duration_ns":{}}}"#, stage.name, stage.duration_ns)?;
        }
        out.extend_from_slice(b"]}");
        Ok(())
    }
}

/// A policy that failed.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PolicyFailure {
    /// Its id.
    pub policy: String,
    /// What Cedar said.
    pub message: String,
}

fn text(out: &mut Vec<u8>, text: &str) -> std::io::Result<()> {
    Ok(serde_json::to_writer(out, text)?)
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

fn party(out: &mut Vec<u8>, party: &Party<'_>) -> std::io::Result<()> {
    out.extend_from_slice(br#"{"type":"#);
    text(out, &party.type_name)?;
    out.extend_from_slice(br#","id":"#);
    text(out, &party.id)?;
    raw(out, "properties", party.properties);
    out.push(b'}');
    Ok(())
}

fn act(out: &mut Vec<u8>, act: &Act<'_>) -> std::io::Result<()> {
    out.extend_from_slice(br#"{"name":"#);
    text(out, &act.name)?;
    raw(out, "properties", act.properties);
    out.push(b'}');
    Ok(())
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
