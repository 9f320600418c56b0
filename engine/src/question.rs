//! What an application asks, in AuthZEN's shapes, and as a question in Cedar's terms.
//!
//! Promises: nothing of a request is parsed as Cedar. Ids and values are data; type names are names or nothing.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use cedar_policy_core::ast::{Value, ValueKind};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::decision::Question;
use crate::decision::slice::lay_over;
use crate::decision::value::{Object, Path, parse_object};
use crate::entity::Facts;
use crate::object;
use crate::policy::Pack;

/// The reserved key of the context: what Portcullis itself has found out.
pub const VERIFIED: &str = "verified";

/// A subject or a resource.
#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
pub struct Party<'a> {
    /// Its type, as AuthZEN names it.
    #[serde(rename = "type", borrow)]
    #[schema(value_type = String)]
    pub type_name: Cow<'a, str>,
    /// Its id within the type.
    #[serde(borrow)]
    #[schema(value_type = String)]
    pub id: Cow<'a, str>,
    /// What the application says of it.
    #[serde(borrow, default)]
    #[schema(value_type = Option<Object>)]
    pub properties: Option<&'a RawValue>,
}

/// An action.
#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
pub struct Act<'a> {
    /// Its name.
    #[serde(borrow)]
    #[schema(value_type = String)]
    pub name: Cow<'a, str>,
    /// What the application says of it.
    #[serde(borrow, default)]
    #[schema(value_type = Option<Object>)]
    pub properties: Option<&'a RawValue>,
}

/// One question, complete.
#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
pub struct Asked<'a> {
    /// Who.
    #[serde(borrow, deserialize_with = "object::only")]
    pub subject: Party<'a>,
    /// Does what.
    #[serde(borrow, deserialize_with = "object::only")]
    pub action: Act<'a>,
    /// To what.
    #[serde(borrow, deserialize_with = "object::only")]
    pub resource: Party<'a>,
    /// Under which circumstances.
    #[serde(borrow, default)]
    #[schema(value_type = Option<Object>)]
    pub context: Option<&'a RawValue>,
}

/// Why a question is none.
#[derive(Debug, thiserror::Error)]
pub enum QuestionError {
    /// The context carries what only Portcullis may say.
    #[error("`context.verified` is reserved: it holds what Portcullis itself has found out")]
    VerifiedReserved,
    /// A key stands in an object twice: readers would differ on which counts.
    #[error("`{place}` is not valid: {detail}")]
    DuplicateKey {
        /// Which field.
        place: &'static str,
        /// Which key.
        detail: String,
    },
    /// Properties or context are not what they should be.
    #[error("`{place}` is not valid: {detail}")]
    Malformed {
        /// Which field.
        place: &'static str,
        /// What is wrong with it.
        detail: String,
    },
}

/// What the application asserts, parsed; independent of any pack.
#[derive(Clone, Debug, Default)]
pub struct Assertions {
    subject: Object,
    resource: Object,
    context: Object,
}

static NOTHING_VERIFIED: LazyLock<Value> = LazyLock::new(|| Value {
    value: ValueKind::Record(Arc::new(std::collections::BTreeMap::new())),
    loc: None,
});

impl Assertions {
    /// Reads properties and context.
    ///
    /// # Errors
    /// When one is no object, has a duplicate key, or the context carries `verified`.
    pub fn parse(asked: &Asked<'_>) -> Result<Self, QuestionError> {
        let mut context = assertions(asked.context, "context")?;
        if context.has(VERIFIED) {
            return Err(QuestionError::VerifiedReserved);
        }
        let properties = asked.action.properties;
        if properties.is_some() {
            let action = assertions(properties, "action.properties")?;
            context.left_out.retain(|path| path.first().is_none_or(|first| first != "action"));
            let within = |path: Path| std::iter::once("action".into()).chain(path).collect();
            context.left_out.extend(action.left_out.into_iter().map(within));
            let record = Value { value: ValueKind::Record(Arc::new(action.record)), loc: None };
            context.record.insert("action".into(), record);
        }
        context.record.insert(VERIFIED.into(), NOTHING_VERIFIED.clone());
        Ok(Self {
            subject: assertions(asked.subject.properties, "subject.properties")?,
            resource: assertions(asked.resource.properties, "resource.properties")?,
            context,
        })
    }

    /// Whether the request says something of the subject.
    pub fn are_of_subject(&self) -> bool {
        !self.subject.record.is_empty()
    }

    /// Whether the request says something of the resource.
    pub fn are_of_resource(&self) -> bool {
        !self.resource.record.is_empty()
    }

    /// What Portcullis itself has found out: a record.
    pub fn verify(&mut self, verified: Value) {
        self.context.record.insert(VERIFIED.into(), verified);
    }

    /// The question for one pack, over entities as `facts` have them; none when Cedar can't say a type's name.
    pub fn question(self, asked: &Asked<'_>, pack: &Pack, facts: Facts<'_>) -> Option<Question> {
        let principal = pack.uid(&asked.subject.type_name, &asked.subject.id)?;
        let resource = pack.uid(&asked.resource.type_name, &asked.resource.id)?;
        let mut settings = pack.settings.properties;
        if principal == resource {
            // One entity asked about twice: what is closed for one is not open by the other.
            let stricter = settings.subject.max(settings.resource);
            (settings.subject, settings.resource) = (stricter, stricter);
        }
        let mut laid_over = Vec::new();
        let view = facts.about(&resource);
        let mut unreadable = false;
        let mut stored = |uid| {
            view.get(uid).unwrap_or_else(|_| {
                unreadable = true;
                None
            })
        };
        if !self.subject.record.is_empty() {
            let stored = stored(&principal);
            laid_over.extend(lay_over(stored.as_ref(), &principal, &self.subject.record, settings.subject));
        }
        if !self.resource.record.is_empty() {
            let same = laid_over.pop_if(|entity| *entity.uid() == resource);
            let stored = same.or_else(|| stored(&resource));
            laid_over.extend(lay_over(stored.as_ref(), &resource, &self.resource.record, settings.resource));
        }
        Some(Question {
            principal,
            action: pack.action(&asked.action.name),
            resource,
            context: Arc::new(self.context.record),
            laid_over,
            context_left_out: self.context.left_out,
            subject_left_out: self.subject.left_out,
            resource_left_out: self.resource.left_out,
            unreadable,
        })
    }
}

fn assertions(text: Option<&RawValue>, place: &'static str) -> Result<Object, QuestionError> {
    let Some(text) = text else { return Ok(Object::default()) };
    parse_object(text).map_err(|error| {
        let detail = error.to_string();
        if error.is_duplicate() {
            QuestionError::DuplicateKey { place, detail }
        } else {
            QuestionError::Malformed { place, detail }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::files::{PackFiles, SourceFile};

    #[test]
    fn what_is_closed_for_the_subject_is_not_open_by_the_resource() {
        let manifest = "name = \"x\"\n[properties]\nsubject = \"ignore\"\nresource = \"override\"";
        let files = [
            ("pack.toml", manifest),
            ("x.cedar", "permit(principal, action, resource);"),
            (
                "entities.json",
                r#"[{"uid": {"type": "User", "id": "a"}, "attrs": {"admin": false}, "parents": []}]"#,
            ),
        ];
        let file = |text: &str| SourceFile { shown: "x".into(), text: text.into() };
        let files = files.map(|(name, text)| (name.to_owned(), file(text)));
        let pack = Pack::load(&PackFiles { files: files.into() }).unwrap();
        let question = |resource: &str| {
            let text = format!(
                r#"{{"subject": {{"type": "User", "id": "a"}}, "action": {{"name": "read"}},
                    "resource": {{"type": "User", "id": "{resource}", "properties": {{"admin": true}}}}}}"#
            );
            let asked: Asked<'_> = serde_json::from_str(&text).unwrap();
            let facts = Facts::of_files(&pack.entities);
            Assertions::parse(&asked).unwrap().question(&asked, &pack, facts).unwrap()
        };
        let admins = |question: &Question| {
            let told = question.laid_over.iter().filter_map(|entity| entity.get("admin").cloned());
            told.map(|value| value.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(admins(&question("a")), ["false"]);
        assert_eq!(admins(&question("b")), ["true"]);
    }
}
