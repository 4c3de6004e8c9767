//! What the API says when it refuses.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::error::Error;

/// A refusal, with a code for programs and a sentence for people.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Error)]
pub struct Failure {
    #[serde(skip)]
    #[schema(ignore)]
    status: StatusCode,
    /// What kind of refusal, such as `not-found`; these words do not change.
    error: &'static str,
    /// What happened and what to do.
    message: String,
    /// Seconds after which it may be tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
}

impl Failure {
    fn new(status: StatusCode, error: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            error,
            message: message.into(),
            retry_after: None,
        }
    }

    pub fn unauthorised() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "not-logged-in", "log in first")
    }

    pub fn wrong_password() -> Self {
        let message = "the name or the password is wrong";
        Self::new(StatusCode::UNAUTHORIZED, "wrong-password", message)
    }

    pub fn too_many(seconds: u64) -> Self {
        let message = format!("too many attempts; try again in {seconds} s");
        Self {
            retry_after: Some(seconds),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many-attempts", message)
        }
    }

    pub fn forbidden(error: &'static str, message: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, error, message)
    }

    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", message)
    }

    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", message)
    }

    pub fn condition_missing() -> Self {
        let message = "send the ETag of the settings that you change as If-Match";
        Self::new(
            StatusCode::PRECONDITION_REQUIRED,
            "if-match-missing",
            message,
        )
    }

    pub fn changed_meanwhile() -> Self {
        let message = "the settings were changed meanwhile; read them again";
        Self::new(
            StatusCode::PRECONDITION_FAILED,
            "changed-meanwhile",
            message,
        )
    }

    pub fn busy(message: &str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", message)
    }

    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }

    /// The refusal's code for programs.
    pub fn code(&self) -> &'static str {
        self.error
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Setting { .. } => Self::invalid(error.to_string()),
            _ => Self::internal(error.to_string()),
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let retry = self.retry_after;
        let mut response = (self.status, Json(self)).into_response();
        if let Some(seconds) = retry {
            let headers = response.headers_mut();
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
