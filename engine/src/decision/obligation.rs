//! What the caller must do with an answer.
//!
//! Obligations come from annotations of the permits that determined it: `@obligation` is mandatory,
//! `@advice` is not. All of them apply; where two differ, the stricter wins. The text is a list,
//! `kind:argument` separated by commas; in an argument, a comma is written `%2C` and a percent sign `%25`.

use serde::Serialize;
use smol_str::SmolStr;

/// How much of a masked value stays visible, least strict first.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, serde::Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum MaskMethod {
    /// Some characters stay.
    Partial,
    /// A keyed hash takes its place, equal for equal values.
    Hash,
    /// Nothing stays.
    Redact,
}

/// What is to be done. Two with the same kind and target are about the same thing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Duty {
    /// Mask what stands at a JSON pointer (RFC 6901) of the response.
    Mask {
        /// The JSON pointer.
        #[schema(value_type = String)]
        path: SmolStr,
        /// How.
        method: MaskMethod,
    },
    /// Tell someone.
    Notify {
        /// Whom.
        #[schema(value_type = String)]
        target: SmolStr,
    },
    /// Set a header of the response.
    SetHeader {
        /// Its name (RFC 9110 §5.1), in lower case.
        #[schema(value_type = String)]
        name: SmolStr,
        /// Its value.
        #[schema(value_type = String)]
        value: SmolStr,
    },
    /// Sign the response.
    Sign {
        /// With which key.
        #[schema(value_type = String)]
        key: SmolStr,
    },
}

/// A duty, and whether the answer depends on it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct Obligation {
    /// What is to be done.
    #[serde(flatten)]
    pub duty: Duty,
    /// Whether a caller that can't do it must not go on.
    pub mandatory: bool,
}

/// An annotation that is no list of obligations.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ObligationError {
    /// No such kind.
    #[error("unknown obligation `{0}`: the kinds are mask, notify, set_header and sign")]
    Kind(String),
    /// The argument does not fit the kind.
    #[error("`{text}` is not valid: {wanted}")]
    Argument {
        /// The entry as it stands.
        text: String,
        /// What is wanted instead.
        wanted: &'static str,
    },
}

/// Two set one header to different values: neither is stricter.
#[derive(Debug, PartialEq, Eq)]
pub struct Conflict;

impl Duty {
    /// The kind's name, as callers list it in `understands`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Mask { .. } => "mask",
            Self::Notify { .. } => "notify",
            Self::SetHeader { .. } => "set_header",
            Self::Sign { .. } => "sign",
        }
    }

    fn same_target(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Mask { path, .. }, Self::Mask { path: other, .. }) => path == other,
            (Self::SetHeader { name, .. }, Self::SetHeader { name: other, .. }) => name == other,
            (one, other) => one == other,
        }
    }

    fn stricter(&self, other: &Self) -> Result<Self, Conflict> {
        match (self, other) {
            (Self::Mask { path, method }, Self::Mask { method: other, .. }) => {
                Ok(Self::Mask { path: path.clone(), method: *method.max(other) })
            }
            (one, other) if one == other => Ok(one.clone()),
            _ => Err(Conflict),
        }
    }
}

/// Reads an annotation's text.
///
/// # Errors
/// When an entry has no known kind, or an argument that does not fit it.
pub fn parse(text: &str, mandatory: bool) -> Result<Vec<Obligation>, ObligationError> {
    text.split(',').map(|entry| Ok(Obligation { duty: parse_entry(entry.trim())?, mandatory })).collect()
}

fn parse_entry(text: &str) -> Result<Duty, ObligationError> {
    let (kind, argument) = text.split_once(':').unwrap_or((text, ""));
    let wanted = |wanted| ObligationError::Argument { text: text.to_owned(), wanted };
    let plain = unescape(argument).ok_or_else(|| wanted("a percent sign is written `%25`, a comma `%2C`"))?;
    let named =
        |wanted_text| if plain.is_empty() { Err(wanted(wanted_text)) } else { Ok(SmolStr::new(&plain)) };
    match kind {
        "mask" => parse_mask(&plain).ok_or_else(|| {
            wanted("write `mask:/json/pointer` or `mask:/json/pointer:redact`, `:hash` or `:partial`")
        }),
        "notify" => Ok(Duty::Notify { target: named("write `notify:target`")? }),
        "sign" => Ok(Duty::Sign { key: named("write `sign:key`")? }),
        "set_header" => parse_header(&plain).ok_or_else(|| wanted("write `set_header:Name=Value`")),
        _ => Err(ObligationError::Kind(kind.to_owned())),
    }
}

fn parse_mask(argument: &str) -> Option<Duty> {
    let (path, method) = match argument.rsplit_once(':') {
        Some((path, "redact")) => (path, MaskMethod::Redact),
        Some((path, "hash")) => (path, MaskMethod::Hash),
        Some((path, "partial")) => (path, MaskMethod::Partial),
        _ => (argument, MaskMethod::Redact),
    };
    // RFC 6901 §3: `~` stands only before 0 and 1.
    let escapes_hold = path.split('~').skip(1).all(|after| after.starts_with(['0', '1']));
    (path.starts_with('/') && escapes_hold).then(|| Duty::Mask { path: path.into(), method })
}

fn parse_header(argument: &str) -> Option<Duty> {
    let (name, value) = argument.split_once('=')?;
    let name = name.to_ascii_lowercase();
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let valid = !name.is_empty()
        && name.bytes().all(token)
        && value.bytes().all(|byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f));
    valid.then(|| Duty::SetHeader { name: name.into(), value: value.into() })
}

fn unescape(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut plain = parts.next()?.to_owned();
    for part in parts {
        let (character, rest) =
            match (part.strip_prefix("2C").or(part.strip_prefix("2c")), part.strip_prefix("25")) {
                (Some(rest), _) => (',', rest),
                (None, Some(rest)) => ('%', rest),
                (None, None) => return None,
            };
        plain.push(character);
        plain.push_str(rest);
    }
    Some(plain)
}

/// All of them, one for each target, sorted.
///
/// # Errors
/// When two set one header to different values.
pub fn merge<'o>(all: impl Iterator<Item = &'o Obligation>) -> Result<Vec<Obligation>, Conflict> {
    let mut merged: Vec<Obligation> = Vec::new();
    for obligation in all {
        match merged.iter_mut().find(|earlier| earlier.duty.same_target(&obligation.duty)) {
            Some(earlier) => {
                earlier.duty = earlier.duty.stricter(&obligation.duty)?;
                earlier.mandatory |= obligation.mandatory;
            }
            None => merged.push(obligation.clone()),
        }
    }
    merged.sort_unstable();
    Ok(merged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn duties(text: &str) -> Vec<Duty> {
        parse(text, true).unwrap().into_iter().map(|obligation| obligation.duty).collect()
    }

    #[test]
    fn a_list_has_all_its_entries() {
        assert_eq!(
            duties("mask:/email, mask:/phone:partial,sign:api,set_header:X-Note=a=b%2C c,notify:owner"),
            [
                Duty::Mask { path: "/email".into(), method: MaskMethod::Redact },
                Duty::Mask { path: "/phone".into(), method: MaskMethod::Partial },
                Duty::Sign { key: "api".into() },
                Duty::SetHeader { name: "x-note".into(), value: "a=b, c".into() },
                Duty::Notify { target: "owner".into() },
            ]
        );
    }

    #[test]
    fn what_is_no_obligation_is_refused() {
        for text in [
            "",
            "mask",
            "mask:",
            "mask:email",
            "mask:/a~2",
            "burn:/x",
            "sign:",
            "set_header:a",
            "set_header:=b",
            "set_header:a b=c",
            "notify:%zz",
            "mask:/a,",
        ] {
            assert!(parse(text, true).is_err(), "{text}");
        }
        assert!(parse("set_header:a=b\r\nc: d", true).is_err());
    }

    #[test]
    fn two_headers_that_differ_are_a_conflict() {
        let all = [parse("set_header:a=1", true).unwrap(), parse("set_header:A=2", false).unwrap()].concat();
        assert_eq!(merge(all.iter()), Err(Conflict));
    }

    fn obligations() -> impl Strategy<Value = Vec<Obligation>> {
        let mask = ("/[ab]", 0_u8..3).prop_map(|(path, method)| Duty::Mask {
            path: path.into(),
            method: [MaskMethod::Partial, MaskMethod::Hash, MaskMethod::Redact][usize::from(method)],
        });
        let notify = "[ab]".prop_map(|target| Duty::Notify { target: target.into() });
        let one = (prop_oneof![mask, notify], any::<bool>())
            .prop_map(|(duty, mandatory)| Obligation { duty, mandatory });
        prop::collection::vec(one, 0..8)
    }

    proptest! {
        #[test]
        fn merging_is_monotone_and_knows_no_order(all in obligations(), more in obligations()) {
            let merged = merge(all.iter()).unwrap();
            let wider: Vec<_> = all.iter().chain(&more).cloned().collect();
            let larger = merge(wider.iter()).unwrap();
            for obligation in &merged {
                let kept = larger.iter().find(|other| other.duty.same_target(&obligation.duty)).unwrap();
                prop_assert!(kept.duty >= obligation.duty);
                prop_assert!(kept.mandatory >= obligation.mandatory);
            }
            prop_assert_eq!(merge(wider.iter().rev()).unwrap(), larger);
        }
    }
}
