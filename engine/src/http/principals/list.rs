//! `GET /v1/principals`: principals by type and id.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use serde::{Deserialize, Serialize};

use super::{PrincipalResponse, PrincipalType, about};
use crate::administration::principals::with_status;
use crate::administration::shown::{self, Shown};
use crate::administration::tenancy::{Page, Tenancy, types_of};
use crate::app::App;
use crate::caller::Right;
use crate::entity::{Kind, Status};
use crate::http::caller::Authenticated;
use crate::http::error::{ApiError, ProblemBody};
use crate::http::listing::{self, PageOf, Place};
use crate::http::management::choose_pack;
use crate::store::StoreError;

/// How many pages one call looks at in search of principals with a status.
const ROUNDS: usize = 10;

/// A page of principals, by Cedar type and id.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(in crate::http) struct PrincipalsResponse {
    /// The principals.
    items: Vec<PrincipalResponse>,
    /// The cursor of the next page; null at the end.
    next: Option<String>,
}

/// Which principals.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct PrincipalsQuery {
    /// The pack; by default the caller's, or the only one.
    pack: Option<String>,
    /// Only this type.
    #[serde(rename = "type")]
    kind: Option<PrincipalType>,
    /// Only with this status.
    status: Option<Status>,
    /// How many, 1 to 200; 50 by default.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// Principals by type and id. With `status`, a page may be short and `next` there all the same.
#[utoipa::path(
    get, path = "/v1/principals", tag = "principals", operation_id = "list_principals", params(PrincipalsQuery),
    responses((status = 200, body = PrincipalsResponse), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody),
        (status = 404, body = ProblemBody), (status = 503, body = ProblemBody))
)]
pub(in crate::http) async fn list_principals(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Json<PrincipalsResponse>, ApiError> {
    let (parts, _) = request.into_parts();
    let who = Authenticated::of(&app, &parts).await?;
    let query: PrincipalsQuery = listing::query(&parts)?;
    let pack = choose_pack(&app, &who, query.pack.as_deref())?;
    who.may_about(&app, Right::ReadPrincipals, &about(&pack, None)).await?;
    let tenant = &who.caller.tenant;
    let kind = query.kind.map(Kind::from);
    let filters = [kind.map_or("*", Kind::name), query.status.map_or("*", Status::name)];
    let parameters = ["principals", tenant, pack.name(), filters[0], filters[1]];
    let place = Place::read(&app, (query.limit, query.cursor.as_deref()), &parameters)?;
    let snapshot = app.snapshot();
    let at = Tenancy { snapshot: &snapshot, tenant, pack: &pack };
    let wanted = Wanted { kind, status: query.status };
    let page = match query.status {
        Some(status) if status != Status::Active => few(&app, at, (wanted, status), &place).await?,
        _ => many(&app, at, wanted, &place).await?,
    };
    Ok(Json(PrincipalsResponse { items: page.items, next: page.next }))
}

#[derive(Clone, Copy)]
struct Wanted {
    kind: Option<Kind>,
    status: Option<Status>,
}

impl Wanted {
    fn kinds(self) -> Vec<Kind> {
        self.kind.map_or_else(|| Kind::PRINCIPALS.to_vec(), |kind| vec![kind])
    }
}

fn name(shown: &Shown) -> (String, String) {
    (shown.type_name.clone(), shown.id.clone())
}

fn status_of(at: Tenancy<'_>, shown: &Shown) -> Status {
    shown.status.max(at.status(shown.kind, &shown.id))
}

/// Those that are locked or disabled are known by name.
async fn few(
    app: &App,
    at: Tenancy<'_>,
    (wanted, status): (Wanted, Status),
    place: &Place,
) -> Result<PageOf<PrincipalResponse>, StoreError> {
    let page = Page { after: (&place.after.0, &place.after.1), limit: place.limit + 1 };
    let mut found = Vec::new();
    for uid in with_status(at, &wanted.kinds(), status, page) {
        found.extend(shown::find(&app.store, at, &uid).await?);
    }
    Ok(place.page(app, found, name, |shown| PrincipalResponse::of(at.pack, shown, status)))
}

/// Of all others, a page is looked for within bounds.
async fn many(
    app: &App,
    at: Tenancy<'_>,
    wanted: Wanted,
    place: &Place,
) -> Result<PageOf<PrincipalResponse>, StoreError> {
    let kinds = wanted.kinds();
    let types: Vec<String> = types_of(at.pack, &kinds).iter().map(ToString::to_string).collect();
    let fits = |shown: &Shown| {
        kinds.contains(&shown.kind) && wanted.status.is_none_or(|status| status == status_of(at, shown))
    };
    let show = |shown: Shown| {
        let status = status_of(at, &shown);
        PrincipalResponse::of(at.pack, shown, status)
    };
    let mut after = place.after.clone();
    let mut kept = Vec::new();
    for _ in 0..ROUNDS {
        let page = Page { after: (&after.0, &after.1), limit: place.limit + 1 };
        let found = shown::list(&app.store, at, Some(&types), page).await?;
        let is_end = found.len() <= place.limit;
        if let Some(last) = found.last() {
            after = name(last);
        }
        kept.extend(found.into_iter().filter(fits));
        if is_end || kept.len() > place.limit {
            return Ok(place.page(app, kept, name, show));
        }
    }
    Ok(PageOf { items: kept.into_iter().map(show).collect(), next: Some(place.next(app, &after)) })
}
