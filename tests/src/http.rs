//! A plain HTTP client: every status is a value, bodies are bytes.

use std::time::Duration;

use serde_json::Value;
use ureq::http;

/// An answer: its status, headers and body.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: http::HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {} `{}`", self.status, self.text()))
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The same answer, which must have this status.
    ///
    /// # Panics
    /// When it has another.
    #[must_use]
    pub fn expect_status(self, status: u16) -> Self {
        assert_eq!(self.status, status, "answer: {}", self.text());
        self
    }

    /// The `code` of a problem document, which the answer must be.
    ///
    /// # Panics
    /// When the answer is something else.
    pub fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{}", self.text());
        let problem = self.json();
        assert_eq!(problem.get("status"), Some(&Value::from(self.status)), "{problem}");
        for member in ["type", "title", "detail"] {
            assert!(problem.get(member).is_some_and(Value::is_string), "no `{member}`: {problem}");
        }
        let code = problem.get("code").and_then(Value::as_str);
        code.unwrap_or_else(|| panic!("no `code`: {problem}")).to_owned()
    }
}

/// A client of one server with one key.
#[derive(Clone, Debug)]
pub struct Client {
    agent: ureq::Agent,
    base: String,
    key: Option<String>,
}

impl Client {
    /// A client of the server at `base` (`http://…`), with a key or without. Each request has a
    /// connection of its own, so that no test meets what another left behind.
    pub fn new(base: &str, key: Option<&str>) -> Self {
        Self::with_idle_connections(base, key, 0)
    }

    /// The same on one connection that is kept alive, as an application does it.
    pub fn keeping_alive(base: &str, key: Option<&str>) -> Self {
        Self::with_idle_connections(base, key, 1)
    }

    fn with_idle_connections(base: &str, key: Option<&str>, idle: usize) -> Self {
        let agent = ureq::Agent::new_with_config(
            ureq::Agent::config_builder()
                .http_status_as_error(false)
                .max_redirects(0)
                .max_idle_connections(idle)
                .proxy(None)
                .timeout_global(Some(Duration::from_secs(60)))
                .build(),
        );
        Self { agent, base: base.to_owned(), key: key.map(str::to_owned) }
    }

    /// The same server with another key, or none.
    #[must_use]
    pub fn with_key(&self, key: Option<&str>) -> Self {
        Self { key: key.map(str::to_owned), ..self.clone() }
    }

    /// Its key.
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// The base of its URLs.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// A request to build and send.
    pub fn request(&self, method: &str, path: &str) -> Request<'_> {
        let mut request = http::Request::builder().method(method).uri(format!("{}{path}", self.base));
        if let Some(key) = &self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        Request { agent: &self.agent, request, body: None }
    }

    /// `GET path`.
    pub fn get(&self, path: &str) -> Answer {
        self.request("GET", path).send()
    }

    /// `POST path` with a JSON body.
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_bytes(path, body.to_string().into_bytes())
    }

    /// `POST path` with a body that may be refused unread: the answer comes, and the connection
    /// ends, while the body is still being sent, which a common client takes for a failure.
    ///
    /// # Panics
    /// When no answer comes.
    pub fn post_refusable(&self, path: &str, body: &[u8]) -> Answer {
        let key = self.key.as_ref().map(|key| format!("Authorization: Bearer {key}\r\n")).unwrap_or_default();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\n{key}Content-Type: application/json\r\n\
             Connection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let answer = crate::raw::raw(&self.base, &[head.as_bytes(), body].concat());
        answer.into_answer().unwrap_or_else(|| panic!("{path}: no answer"))
    }

    /// `POST path` with any bytes, said to be JSON.
    pub fn post_bytes(&self, path: &str, body: impl Into<Vec<u8>>) -> Answer {
        self.request("POST", path).header("content-type", "application/json").body(body).send()
    }
}

/// A request that is being built.
#[derive(Debug)]
pub struct Request<'a> {
    agent: &'a ureq::Agent,
    request: http::request::Builder,
    body: Option<Vec<u8>>,
}

impl Request<'_> {
    /// The same with a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    /// The same with a body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Sends it.
    ///
    /// # Panics
    /// When no answer comes.
    pub fn send(self) -> Answer {
        self.try_send().unwrap_or_else(|error| panic!("no answer: {error}"))
    }

    /// Sends it to a server that may be gone.
    ///
    /// # Errors
    /// When no answer comes.
    pub fn try_send(self) -> Result<Answer, ureq::Error> {
        let response = match self.body {
            Some(body) => self.agent.run(self.request.body(body)?)?,
            None => self.agent.run(self.request.body(())?)?,
        };
        let (head, mut body) = response.into_parts();
        let body = body.with_config().limit(256 * 1024 * 1024).read_to_vec()?;
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
    }
}
