//! The JSON API, version 1, and its OpenAPI document.
//!
//! Invariant: a route and its description are one thing (`utoipa_axum::routes!`), so that the document tells of every route
//! and of no other.

pub mod cameras;
pub mod live;
pub mod recordings;
pub mod session;
pub mod settings;

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Web;
use super::answer::Failure;
use crate::serve::state::CameraStatus;

/// Where the OpenAPI document is.
pub const DOCUMENT: &str = "/api/v1/openapi.json";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "floutage",
        description = "Redacted cameras: their state, pictures, recordings and settings. Log in with POST /api/v1/session; send the \
                       token of the answer as X-CSRF-Token with every change.",
    ),
    modifiers(&Cookie),
    security(("session" = []))
)]
struct Document;

struct Cookie;

impl Modify for Cookie {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let key = ApiKeyValue::with_description(
            "floutage",
            "Set by POST /api/v1/session. Its name is __Host-floutage over TLS.",
        );
        let components = document.components.get_or_insert_with(Default::default);
        components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(key)));
    }
}

/// The API's routes: those for anybody and those for users only.
pub fn routers() -> (Router<Arc<Web>>, Router<Arc<Web>>) {
    let (open, open_document) = OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(session::open))
        .split_for_parts();
    let (closed, closed_document) = OpenApiRouter::new()
        .routes(routes!(session::show, session::close))
        .routes(routes!(cameras::list))
        .routes(routes!(cameras::one))
        .routes(routes!(settings::show, settings::change))
        .routes(routes!(recordings::list))
        .routes(routes!(recordings::file))
        .routes(routes!(live::snapshot))
        .routes(routes!(live::mjpeg))
        .routes(routes!(live::hls))
        .split_for_parts();
    let mut document = open_document;
    document.merge(closed_document);
    let document = Arc::new(document);
    let show = move || {
        let document = document.clone();
        async move { Json(document.as_ref()).into_response() as Response }
    };
    (open, closed.route(DOCUMENT, get(show)))
}

impl Web {
    /// The camera of this name, from the gateway's own list: no other text ever reaches the gateway as a camera.
    async fn camera(&self, name: String) -> Result<CameraStatus, Failure> {
        let cameras = self.ask(|site| site.cameras()).await?;
        let found = cameras.into_iter().find(|camera| camera.name == name);
        found.ok_or_else(|| Failure::not_found("no such camera"))
    }
}
