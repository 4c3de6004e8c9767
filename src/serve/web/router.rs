//! All routes, and what every answer carries.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::TimeoutLayer;

use super::answer::Failure;
use super::{Web, access, api, assets, metrics, pages};

/// Largest body of a request, in bytes: 64 zones of 64 corners fit.
const LARGEST_BODY: usize = 256 * 1024;

const SECURITY_HEADERS: [(HeaderName, &str); 7] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self' blob:; \
         connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    ),
];

/// The whole server. `patience` is how long the head of an answer may take.
pub fn router(web: Arc<Web>, patience: Duration) -> Router {
    let (open_api, closed_api) = api::routers();
    let closed = Router::new()
        .route("/", get(pages::cameras))
        .route("/cameras/{camera}", get(pages::camera))
        .merge(closed_api)
        .route_layer(middleware::from_fn_with_state(web.clone(), access::guard));
    Router::new()
        .route("/login", get(pages::login).post(pages::log_in))
        .route("/health", get(metrics::health))
        .route("/ready", get(metrics::ready))
        .route("/metrics", get(metrics::metrics))
        .merge(open_api)
        .merge(assets::router())
        .merge(closed)
        .fallback(|| async { Failure::not_found("there is nothing at this address") })
        .layer(RequestBodyLimitLayer::new(LARGEST_BODY))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::REQUEST_TIMEOUT,
            patience,
        ))
        .layer(CatchPanicLayer::custom(|_| {
            Failure::internal("this request failed; the log says why").into_response()
        }))
        .layer(middleware::from_fn_with_state(web.clone(), headers))
        .with_state(web)
}

/// Adds what keeps browsers from doing with an answer what it is not for, and proxies and disks from keeping it.
async fn headers(State(web): State<Arc<Web>>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in &SECURITY_HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    if web.tls {
        let year = HeaderValue::from_static("max-age=31536000");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, year);
    }
    response
}
