//! Who may ask for what.
//!
//! Invariant: whatever is behind [`guard`] is for users who are logged in; whatever changes something there needs the
//! session's token and, but for the logout, the role of an admin. A route added there cannot forget it.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};

use super::Web;
use super::answer::Failure;
use super::sessions::Session;
use crate::serve::config::web::Role;

/// Header in which the page sends its session's token.
pub const CSRF_HEADER: &str = "x-csrf-token";

/// Lets through who may see what is behind it. The session travels on as an extension.
pub async fn guard(State(web): State<Arc<Web>>, mut request: Request, next: Next) -> Response {
    let Some(session) = web.session(request.headers()) else {
        return refuse(&request);
    };
    if !request.method().is_safe()
        && let Err(failure) = may_change(&session, &request)
    {
        return failure.into_response();
    }
    request.extensions_mut().insert(session);
    next.run(request).await
}

fn refuse(request: &Request) -> Response {
    let path = request.uri().path();
    if path.starts_with("/api/") || request.method() != Method::GET {
        return Failure::unauthorised().into_response();
    }
    // The path of one of our own pages, percent-encoded as it came.
    let target = if path == "/" {
        "/login".to_owned()
    } else {
        format!("/login?next={}", query_value(path))
    };
    Redirect::to(&target).into_response()
}

/// `text` as a value of a query.
fn query_value(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
    text.bytes().fold(String::new(), |mut value, byte| {
        if plain(byte) {
            value.push(char::from(byte));
        } else {
            // Writing into a string does not fail.
            let _ = write!(value, "%{byte:02X}");
        }
        value
    })
}

fn may_change(session: &Session, request: &Request) -> Result<(), Failure> {
    same_origin(request.headers())?;
    let given = request.headers().get(CSRF_HEADER);
    let given = given
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if !session.confirms(given) {
        return Err(Failure::forbidden(
            "csrf-token",
            "send the session's token as X-CSRF-Token (see /api/v1/session)",
        ));
    }
    let is_logout = request.uri().path() == super::api::session::PATH;
    if session.role != Role::Admin && !is_logout {
        return Err(Failure::forbidden(
            "not-admin",
            "only an admin may change this",
        ));
    }
    Ok(())
}

/// Refuses what a browser says another site's page asked for.
pub fn same_origin(headers: &HeaderMap) -> Result<(), Failure> {
    match headers.get("sec-fetch-site").map(|value| value.as_bytes()) {
        None | Some(b"same-origin" | b"none") => Ok(()),
        Some(_) => Err(Failure::forbidden(
            "cross-site",
            "asked for by another site",
        )),
    }
}

impl Web {
    /// The session that the request's cookie names.
    pub(super) fn session(&self, headers: &HeaderMap) -> Option<Arc<Session>> {
        let id = cookie(headers, self.session_cookie())?;
        self.sessions.find(id, Instant::now())
    }

    /// Browsers take a cookie of the first name only over TLS, for this host and from it alone.
    pub(super) fn session_cookie(&self) -> &'static str {
        if self.tls {
            "__Host-floutage"
        } else {
            "floutage"
        }
    }

    /// The value of a `Set-Cookie` header.
    pub(super) fn cookie_header(&self, name: &str, value: &str, age: Option<u64>) -> String {
        let age = age.map_or(String::new(), |age| format!("; Max-Age={age}"));
        let secure = if self.tls { "; Secure" } else { "" };
        format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{age}")
    }
}

/// The value of the request's cookie of this name.
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(';'))
        .find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_values_are_escaped() {
        assert_eq!(query_value("/cameras/a%20b&c"), "/cameras/a%2520b%26c");
    }

    #[test]
    fn cookies_are_found_by_their_whole_name() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, "xa=1; ab=2;a=3".parse().unwrap());
        headers.append(header::COOKIE, "b=4".parse().unwrap());
        assert_eq!(cookie(&headers, "a"), Some("3"));
        assert_eq!(cookie(&headers, "b"), Some("4"));
        assert_eq!(cookie(&headers, "x"), None);
    }
}
