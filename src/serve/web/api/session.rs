//! Logging in and out by program, and what the page must know about its session.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::rejection::JsonRejection;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};

use super::super::Web;
use super::super::access::same_origin;
use super::super::answer::Failure;
use super::super::sessions::Session;
use crate::serve::config::web::Role;

/// Path of the session.
pub const PATH: &str = "/api/v1/session";

/// A name and its password.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    name: String,
    #[schema(format = "password")]
    password: String,
}

/// Who is logged in.
#[derive(Serialize, utoipa::ToSchema)]
pub struct SessionInfo {
    /// The user's name.
    user: String,
    /// What they may do.
    role: Role,
    /// To be sent as `X-CSRF-Token` with every change.
    csrf_token: String,
}

impl From<&Session> for SessionInfo {
    fn from(session: &Session) -> Self {
        Self {
            user: session.user.clone(),
            role: session.role,
            csrf_token: session.csrf.clone(),
        }
    }
}

/// Logs in.
#[utoipa::path(
    post, path = PATH, operation_id = "log_in", security(()),
    request_body = Login,
    responses(
        (status = 200, description = "Logged in; the cookie is set", body = SessionInfo),
        (status = 401, description = "Wrong name or password", body = Failure),
        (status = 429, description = "Too many attempts", body = Failure),
    )
)]
pub async fn open(
    State(web): State<Arc<Web>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    login: Result<Json<Login>, JsonRejection>,
) -> Result<Response, Failure> {
    same_origin(&headers)?;
    let Json(login) = login.map_err(|error| Failure::invalid(error.body_text()))?;
    let (id, session) = web.log_in(peer.ip(), &login.name, login.password).await?;
    let cookie = web.cookie_header(web.session_cookie(), &id, None);
    let answer = Json(SessionInfo::from(session.as_ref()));
    Ok(([(header::SET_COOKIE, cookie)], answer).into_response())
}

/// Says who is logged in.
#[utoipa::path(
    get, path = PATH, operation_id = "session",
    responses((status = 200, description = "The session", body = SessionInfo))
)]
pub async fn show(Extension(session): Extension<Arc<Session>>) -> Json<SessionInfo> {
    Json(SessionInfo::from(session.as_ref()))
}

/// Logs out.
#[utoipa::path(
    delete, path = PATH, operation_id = "log_out",
    params(("X-CSRF-Token" = String, Header, description = "The session's token")),
    responses((status = 204, description = "Logged out"))
)]
pub async fn close(
    State(web): State<Arc<Web>>,
    Extension(session): Extension<Arc<Session>>,
) -> Response {
    web.sessions.close(&session);
    let cookie = web.cookie_header(web.session_cookie(), "", Some(0));
    (StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response()
}
