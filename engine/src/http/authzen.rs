//! `POST /access/v1/evaluation` and `/access/v1/evaluations` (OpenID AuthZEN Authorization API 1.0), and the same a pack.

use std::pin::Pin;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, Method, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::batch::{Options, Parts, Reader, read_items};
use super::body::{JsonBody, parse};
use super::caller::Authenticated;
use super::error::{ApiError, AuthzenError};
use crate::app::App;
use crate::decision::Verdict;
use crate::evaluation::{self, Answer};
use crate::object;
use crate::question::{Act, Asked, Party};
use crate::record::Via;

/// A list of questions, with defaults.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub(super) struct EvaluationsRequest<'a> {
    /// The default subject.
    #[serde(borrow, default)]
    #[schema(value_type = crate::question::Party)]
    subject: Option<&'a RawValue>,
    /// The default action.
    #[serde(borrow, default)]
    #[schema(value_type = crate::question::Act)]
    action: Option<&'a RawValue>,
    /// The default resource.
    #[serde(borrow, default)]
    #[schema(value_type = crate::question::Party)]
    resource: Option<&'a RawValue>,
    /// The default context.
    #[serde(borrow, default)]
    #[schema(value_type = Option<Object>)]
    context: Option<&'a RawValue>,
    /// The items; none, or an empty list, is a single evaluation.
    #[serde(borrow, default)]
    #[schema(value_type = Vec<EvaluationItem>, min_items = 1)]
    evaluations: Option<Vec<&'a RawValue>>,
    /// When the list ends.
    #[serde(default, deserialize_with = "object::optional")]
    options: Option<Options>,
}

/// An item: what it lacks comes from the defaults.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub(super) struct EvaluationItem<'a> {
    /// Instead of the default subject.
    #[serde(borrow, default)]
    #[schema(value_type = Option<crate::question::Party>)]
    subject: Option<&'a RawValue>,
    /// Instead of the default action.
    #[serde(borrow, default)]
    #[schema(value_type = Option<crate::question::Act>)]
    action: Option<&'a RawValue>,
    /// Instead of the default resource.
    #[serde(borrow, default)]
    #[schema(value_type = Option<crate::question::Party>)]
    resource: Option<&'a RawValue>,
    /// Instead of the default context.
    #[serde(borrow, default)]
    #[schema(value_type = Option<Object>)]
    context: Option<&'a RawValue>,
}

/// The answer to one question.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct EvaluationResponse {
    /// Whether it may.
    decision: bool,
}

/// The answers to a list, in its order.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct EvaluationsResponse {
    /// One for each item that was evaluated.
    evaluations: Vec<EvaluationResponse>,
}

/// Unknown fields are ignored.
struct Lenient;

impl Reader for Lenient {
    fn party<'a>(text: &'a RawValue) -> Result<Party<'a>, serde_json::Error> {
        object::parse(text.get())
    }

    fn act<'a>(text: &'a RawValue) -> Result<Act<'a>, serde_json::Error> {
        object::parse(text.get())
    }

    fn item<'a>(text: &'a RawValue) -> Result<Parts<'a>, serde_json::Error> {
        let item: EvaluationItem<'a> = object::parse(text.get())?;
        Ok(Parts {
            subject: item.subject,
            action: item.action,
            resource: item.resource,
            context: item.context,
        })
    }
}

pub(super) type PackInPath = Option<Path<String>>;

/// Which pack a request for one decision names in its path, if it is one. A path that would have to be decoded is left to the
/// table of routes, which says the same.
pub(super) fn evaluation_of(request: &Request) -> Option<PackInPath> {
    let before = request.uri().path().strip_suffix("/access/v1/evaluation")?;
    if request.method() != Method::POST {
        return None;
    }
    if before.is_empty() {
        return Some(None);
    }
    let pack = before.strip_prefix("/packs/").filter(|pack| !pack.is_empty())?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    pack.bytes().all(is_plain).then(|| Some(Path(pack.to_owned())))
}

/// One decision.
#[utoipa::path(
    post, path = "/access/v1/evaluation", tag = "authzen", operation_id = "evaluate",
    request_body(content = inline(Asked), content_type = "application/json"),
    responses((status = 200, body = EvaluationResponse), (status = 400, body = String, content_type = "text/plain"),
        (status = 401, body = String, content_type = "text/plain"), (status = 403, body = String, content_type = "text/plain"),
        (status = 413, body = String, content_type = "text/plain"))
)]
pub(super) async fn evaluate(
    State(app): State<Arc<App>>,
    path: PackInPath,
    request: Request,
) -> Result<Response, AuthzenError> {
    let (parts, body) = request.into_parts();
    let who = Authenticated::of(&app, &parts).await?;
    let body = JsonBody::read(&app, &parts, body).await?;
    Ok(single(&evaluate_text(&app, &who, pack(&path), body.text()).await?))
}

/// The same, with its future on the heap, as the table of routes would put it.
pub(super) fn evaluate_boxed(
    app: State<Arc<App>>,
    pack: PackInPath,
    request: Request,
) -> Pin<Box<dyn Future<Output = Result<Response, AuthzenError>> + Send>> {
    Box::pin(evaluate(app, pack, request))
}

/// A list of decisions.
#[utoipa::path(
    post, path = "/access/v1/evaluations", tag = "authzen", operation_id = "evaluate_batch",
    request_body(content = EvaluationsRequest, content_type = "application/json"),
    responses((status = 200, body = EvaluationsResponse), (status = 400, body = String, content_type = "text/plain"),
        (status = 401, body = String, content_type = "text/plain"), (status = 403, body = String, content_type = "text/plain"),
        (status = 413, body = String, content_type = "text/plain"))
)]
pub(super) async fn evaluate_batch(
    State(app): State<Arc<App>>,
    path: PackInPath,
    request: Request,
) -> Result<Response, AuthzenError> {
    let (parts, body) = request.into_parts();
    let who = Authenticated::of(&app, &parts).await?;
    let body = JsonBody::read(&app, &parts, body).await?;
    let batch: EvaluationsRequest<'_> = body.parse()?;
    let Some(items) = batch.evaluations.as_ref().filter(|items| !items.is_empty()) else {
        return Ok(single(&evaluate_text(&app, &who, pack(&path), body.text()).await?));
    };
    let defaults = Parts {
        subject: batch.subject,
        action: batch.action,
        resource: batch.resource,
        context: batch.context,
    };
    let items = read_items::<Lenient>(items, defaults, app.config.limits)?;
    let mut by = who.circumstances(Via::Authzen);
    by.pack = pack(&path);
    let semantic = batch.options.unwrap_or_default().evaluations_semantic;
    let answers = evaluation::evaluate_batch(&app, &by, &items, semantic).await?;
    let allowed = |answer: &Answer| EvaluationResponse { decision: answer.verdict == Verdict::Allow };
    let body = EvaluationsResponse { evaluations: answers.iter().map(allowed).collect() };
    Ok(axum::Json(body).into_response())
}

async fn evaluate_text(
    app: &App,
    who: &Authenticated<'_>,
    pack: Option<&str>,
    text: &str,
) -> Result<Answer, ApiError> {
    let asked: Asked<'_> = parse(text)?;
    let mut by = who.circumstances(Via::Authzen);
    by.pack = pack;
    Ok(evaluation::evaluate(app, &by, asked).await?)
}

fn pack(path: &PackInPath) -> Option<&str> {
    path.as_ref().map(|Path(pack)| pack.as_str())
}

/// Exactly the answer and nothing else: strict clients take no more.
fn single(answer: &Answer) -> Response {
    let text = match answer.verdict {
        Verdict::Allow => r#"{"decision":true}"#,
        Verdict::Deny => r#"{"decision":false}"#,
    };
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::decide::decide;

    #[test]
    fn only_plain_paths_of_one_decision_pass_the_table_by() {
        let of = |method: &str, uri: &str| {
            let request = Request::builder().method(method).uri(uri).body(Body::empty()).unwrap();
            evaluation_of(&request).map(|pack| pack.map(|Path(pack)| pack))
        };
        assert_eq!(of("POST", "/access/v1/evaluation"), Some(None));
        assert_eq!(of("POST", "/access/v1/evaluation?x=1"), Some(None));
        assert_eq!(of("POST", "/packs/documents/access/v1/evaluation"), Some(Some("documents".into())));
        assert_eq!(of("GET", "/access/v1/evaluation"), None);
        for uri in [
            "/access/v1/evaluations",
            "/access/v1/evaluation/",
            "//access/v1/evaluation",
            "/x/access/v1/evaluation",
            "/packs/access/v1/evaluation",
            "/packs//access/v1/evaluation",
            "/packs/a/b/access/v1/evaluation",
            "/packs/a%2fb/access/v1/evaluation",
            "/packs/../access/v1/evaluation",
        ] {
            assert_eq!(of("POST", uri), None, "{uri}");
        }
    }

    #[test]
    fn what_waits_for_a_decision_is_small() {
        /// The future of a request is moved onto the heap, and stays there while its record is written.
        const BYTES: usize = 4_096;
        fn of_evaluation<F>(_: impl FnOnce(State<Arc<App>>, PackInPath, Request) -> F) -> usize {
            size_of::<F>()
        }
        fn of_decision<F>(_: impl FnOnce(State<Arc<App>>, Request) -> F) -> usize {
            size_of::<F>()
        }
        let sizes = [of_evaluation(evaluate), of_decision(decide)];
        assert!(sizes.iter().all(|bytes| *bytes <= BYTES), "{sizes:?}");
    }
}
