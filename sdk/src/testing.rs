//! For the tests of a plugin's author: requests and documents in memory, and a host whose answers are written down.
//!
//! Promises: what a test does not write down is refused, or empty. Must never: compute real signatures: a test says what
//! the host would answer.
//!
//! ```ignore
//! let request = Request::builder().method("POST").path("/orders").json(r#"{"currency":"euros"}"#).build();
//! let rejection = MyRule::new(())?.validate(&request).unwrap_err();
//!
//! let lines = Host::new().now_milliseconds(1_700_000_000_000).run(|| my_rule.validate(&request)).1.logged();
//! ```

use std::cell::RefCell;
use std::collections::HashMap;
use std::marker::PhantomData;

use crate::host::crypto::Algorithm;
use crate::host::log::Level;
use crate::request::decoded_pairs;
use crate::{Document, Header, Refusal, Request, ground};

const MONTH_SECONDS: u32 = 31 * 24 * 60 * 60;
const LONGEST_KEY: usize = 128;

thread_local! {
    static HOST: RefCell<Answers> = RefCell::new(Answers::default());
}

pub(crate) fn answering<R>(ask: impl FnOnce(&mut Answers) -> R) -> R {
    HOST.with(|host| ask(&mut host.borrow_mut()))
}

/// A host that answers as a test writes it down.
#[derive(Debug, Default)]
pub struct Host(Answers);

impl Host {
    /// A host without keys and entities, at the beginning of 1970.
    pub fn new() -> Self {
        Self::default()
    }

    /// The decision's instant: milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn now_milliseconds(mut self, now: u64) -> Self {
        self.0.now = now;
        self
    }

    /// The bytes that `random` gives, over and over.
    #[must_use]
    pub fn random(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.0.random = bytes.into();
        self
    }

    /// A key, and what it makes of a message.
    #[must_use]
    pub fn key(
        mut self,
        name: impl Into<String>,
        algorithm: Algorithm,
        sign: impl Fn(&[u8]) -> Vec<u8> + 'static,
    ) -> Self {
        self.0.keys.insert(name.into(), (algorithm, Signs(Box::new(sign))));
        self
    }

    /// An entity's attributes, as JSON.
    ///
    /// # Errors
    /// When they are no JSON.
    pub fn entity(mut self, type_name: &str, id: &str, attributes: &str) -> Result<Self, String> {
        let document = ground::Document::parse(attributes)?;
        self.0.entities.insert((type_name.to_owned(), id.to_owned()), document);
        Ok(self)
    }

    /// A value that is there already.
    #[must_use]
    pub fn value(mut self, key: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.0.values.insert(key.into(), (value.into(), u64::MAX));
        self
    }

    /// Runs something with this host, and gives its result and the host as it is then.
    pub fn run<R>(self, call: impl FnOnce() -> R) -> (R, Self) {
        let before = HOST.with(|host| host.replace(self.0));
        let result = call();
        let after = HOST.with(|host| host.replace(before));
        (result, Self(after))
    }

    /// What was logged.
    pub fn logged(&self) -> &[(Level, String)] {
        &self.0.logged
    }
}

type Sign = dyn Fn(&[u8]) -> Vec<u8>;
struct Signs(Box<Sign>);

impl std::fmt::Debug for Signs {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Signs")
    }
}

#[derive(Debug, Default)]
pub(crate) struct Answers {
    now: u64,
    random: Vec<u8>,
    drawn: usize,
    keys: HashMap<String, (Algorithm, Signs)>,
    sealed: Vec<(String, Vec<u8>, Vec<u8>)>,
    entities: HashMap<(String, String), ground::Document<'static>>,
    counts: HashMap<String, Vec<(u64, u32)>>,
    values: HashMap<String, (Vec<u8>, u64)>,
    logged: Vec<(Level, String)>,
}

impl Answers {
    pub(crate) fn bounds(key: &str, seconds: u32) -> Result<(), Refusal> {
        let within = (1..=LONGEST_KEY).contains(&key.len()) && (1..=MONTH_SECONDS).contains(&seconds);
        if within { Ok(()) } else { Err(Refusal::Invalid) }
    }

    pub(crate) fn log(&mut self, level: Level, message: &str) {
        self.logged.push((level, message.to_owned()));
    }

    pub(crate) fn now(&mut self) -> u64 {
        self.now
    }

    pub(crate) fn random(&mut self, count: u32) -> Vec<u8> {
        let wanted = usize::try_from(count).unwrap_or(usize::MAX).min(4096);
        let bytes = self.random.iter().copied().cycle().skip(self.drawn % self.random.len().max(1));
        self.drawn += wanted;
        // A host always has randomness: a test that writes none down draws zeros.
        if self.random.is_empty() { vec![0; wanted] } else { bytes.take(wanted).collect() }
    }

    pub(crate) fn count(&mut self, key: &str, window_seconds: u32, by: u32) -> u64 {
        let counted = self.counts.entry(key.to_owned()).or_default();
        counted.push((self.now, by));
        let since = self.now.saturating_sub(u64::from(window_seconds) * 1000);
        counted.iter().filter(|(at, _)| *at >= since).map(|(_, by)| u64::from(*by)).sum()
    }

    pub(crate) fn value(&mut self, key: &str) -> Option<Vec<u8>> {
        let (value, ends_at) = self.values.get(key)?;
        (self.now < *ends_at).then(|| value.clone())
    }

    pub(crate) fn keep(&mut self, key: &str, value: &[u8], ttl_seconds: u32) {
        let ends_at = self.now.saturating_add(u64::from(ttl_seconds) * 1000);
        self.values.insert(key.to_owned(), (value.to_owned(), ends_at));
    }

    pub(crate) fn forget(&mut self, key: &str) -> bool {
        let there = self.value(key).is_some();
        self.values.remove(key);
        there
    }

    pub(crate) fn algorithm(&mut self, key: &str) -> Result<Algorithm, Refusal> {
        self.keys.get(key).map(|(algorithm, _)| *algorithm).ok_or(Refusal::Unknown)
    }

    pub(crate) fn sign(&mut self, key: &str, message: &[u8]) -> Result<Vec<u8>, Refusal> {
        let (algorithm, Signs(sign)) = self.keys.get(key).ok_or(Refusal::Unknown)?;
        if *algorithm == Algorithm::XChaCha20Poly1305 { Err(Refusal::Invalid) } else { Ok(sign(message)) }
    }

    pub(crate) fn seal(&mut self, key: &str, plain: &[u8], place: &[u8]) -> Result<Vec<u8>, Refusal> {
        if self.algorithm(key)? != Algorithm::XChaCha20Poly1305 {
            return Err(Refusal::Invalid);
        }
        self.sealed.push((key.to_owned(), place.to_owned(), plain.to_owned()));
        Ok(format!("sealed {}", self.sealed.len()).into_bytes())
    }

    pub(crate) fn open(&mut self, key: &str, sealed: &[u8], place: &[u8]) -> Result<Vec<u8>, Refusal> {
        self.algorithm(key)?;
        let named = |(at, _): &(usize, &_)| format!("sealed {}", at + 1).as_bytes() == sealed;
        let (_, (of, at, plain)) = self.sealed.iter().enumerate().find(named).ok_or(Refusal::Invalid)?;
        if of == key && at == place { Ok(plain.clone()) } else { Err(Refusal::Invalid) }
    }

    pub(crate) fn attributes(
        &mut self,
        type_name: &str,
        id: &str,
    ) -> Result<ground::Document<'static>, Refusal> {
        let key = (type_name.to_owned(), id.to_owned());
        self.entities.get(&key).cloned().ok_or(Refusal::Unknown)
    }
}

/// Makes a request, for tests.
#[derive(Debug, Default)]
pub struct RequestBuilder(ground::Request<'static>);

impl Request<'static> {
    /// A request to be filled in: `GET /` so far.
    pub fn builder() -> RequestBuilder {
        RequestBuilder(ground::Request {
            method: "GET".into(),
            path: "/".into(),
            ..ground::Request::default()
        })
    }
}

impl RequestBuilder {
    /// RFC 9110 §9.
    #[must_use]
    pub fn method(mut self, method: impl Into<String>) -> Self {
        self.0.method = method.into();
        self
    }

    /// Not decoded.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.0.path = path.into();
        self
    }

    /// Without the question mark, not decoded.
    #[must_use]
    pub fn query(mut self, query: impl Into<String>) -> Self {
        self.0.query = Some(query.into());
        self
    }

    /// One header more.
    #[must_use]
    pub fn header(mut self, name: impl AsRef<str>, value: impl Into<String>) -> Self {
        self.0.headers.push(Header { name: name.as_ref().to_lowercase(), value: value.into() });
        self
    }

    /// A body of JSON text. Text that is no JSON is a body without a document, as it is for the host.
    #[must_use]
    pub fn json(mut self, json: impl Into<String>) -> Self {
        let json = json.into();
        self.0.document = ground::Document::parse(&json).ok();
        self.0.raw_body = json.into_bytes();
        self
    }

    /// A body of form text (`application/x-www-form-urlencoded`).
    #[must_use]
    pub fn form(mut self, form: impl Into<String>) -> Self {
        let form = form.into();
        let mut members: Vec<(String, ground::Value)> = Vec::new();
        for (name, value) in decoded_pairs(&form) {
            let text = ground::Value::Text(value);
            match members.iter_mut().find(|(known, _)| *known == name) {
                None => members.push((name, text)),
                Some((_, ground::Value::Array(all))) => all.push(text),
                Some((_, one)) => *one = ground::Value::Array(vec![one.clone(), text]),
            }
        }
        self.0.document = Some(ground::Document::of(ground::Value::Object(members)));
        self.0.raw_body = form.into_bytes();
        self
    }

    /// A body that is no document.
    #[must_use]
    pub fn bytes(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.0.document = None;
        self.0.raw_body = bytes.into();
        self
    }

    /// The request.
    pub fn build(self) -> Request<'static> {
        Request::on(ground::Request { lent: PhantomData, ..self.0 })
    }
}

/// A document of JSON text, for tests.
///
/// # Errors
/// When it is no JSON.
pub fn document(json: &str) -> Result<Document<'static>, String> {
    Document::parse(json)
}

#[cfg(test)]
mod tests;
