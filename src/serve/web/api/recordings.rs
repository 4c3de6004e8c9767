//! What was recorded.
//!
//! Invariant: a file is served only under a name that the gateway itself lists for that camera; the name in the address is
//! compared, never made into a path.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tower::ServiceExt;
use tower_http::services::ServeFile;

use super::super::Web;
use super::super::answer::Failure;
use super::cameras::time;
use crate::serve::state;

/// One file.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Recording {
    /// Its name.
    file: String,
    /// Time of its first frame, RFC 3339.
    #[schema(format = "date-time")]
    start: String,
    /// Its length in seconds.
    seconds: f64,
    /// Its size in bytes.
    bytes: u64,
}

impl From<state::Recording> for Recording {
    fn from(recording: state::Recording) -> Self {
        Self {
            file: recording.file,
            start: time(recording.start),
            seconds: recording.seconds,
            bytes: recording.bytes,
        }
    }
}

/// A camera's recordings, newest first.
#[utoipa::path(
    get, path = "/api/v1/cameras/{camera}/recordings", operation_id = "recordings",
    params(("camera" = String, Path, description = "Its name")),
    responses(
        (status = 200, description = "The recordings", body = [Recording]),
        (status = 404, description = "No such camera", body = Failure),
    )
)]
pub async fn list(
    State(web): State<Arc<Web>>,
    Path(camera): Path<String>,
) -> Result<Json<Vec<Recording>>, Failure> {
    let camera = web.camera(camera).await?.name;
    let mut found = web.ask(move |site| site.recordings(&camera)).await?;
    found.sort_by_key(|recording| std::cmp::Reverse(recording.start));
    Ok(Json(found.into_iter().map(Recording::from).collect()))
}

/// One recording, whole or a range of its bytes.
#[utoipa::path(
    get, path = "/api/v1/cameras/{camera}/recordings/{file}", operation_id = "recording",
    params(
        ("camera" = String, Path, description = "The camera's name"),
        ("file" = String, Path, description = "The file's name as listed"),
        ("Range" = Option<String>, Header, description = "Range of bytes"),
    ),
    responses(
        (status = 200, description = "The file", content_type = "video/mp4"),
        (status = 206, description = "The range of it", content_type = "video/mp4"),
        (status = 404, description = "No such camera or recording", body = Failure),
        (status = 416, description = "Not a range of this file"),
    )
)]
pub async fn file(
    State(web): State<Arc<Web>>,
    Path((camera, file)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Failure> {
    let camera = web.camera(camera).await?.name;
    let find = move |site: &dyn state::Site| {
        let listed = site.recordings(&camera);
        let listed = listed.into_iter().find(|listed| listed.file == file)?;
        site.recording_path(&camera, &listed.file)
    };
    let path = web.ask(find).await?;
    let path = path.ok_or_else(|| Failure::not_found("no such recording"))?;
    let Ok(response) = ServeFile::new(path).oneshot(request).await;
    if response.status() == axum::http::StatusCode::NOT_FOUND {
        return Err(Failure::not_found("the recording was removed"));
    }
    let mut response = response.map(axum::body::Body::new).into_response();
    let headers = response.headers_mut();
    // What is in the folder is a recording, whatever its name.
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("video/mp4"));
    Ok(response)
}
