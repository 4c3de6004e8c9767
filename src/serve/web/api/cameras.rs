//! The cameras and how they do.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;

use super::super::Web;
use super::super::answer::Failure;
use crate::serve::state::{CameraStatus, Health};

/// One camera, now. Counts are since the start of the program.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Camera {
    /// Its name in the configuration.
    name: String,
    /// starting, live, degraded, reconnecting or failed.
    #[schema(value_type = String)]
    health: Health,
    /// Since when, RFC 3339.
    #[schema(format = "date-time")]
    since: String,
    /// Width of the redacted picture in pixels.
    width: u32,
    /// Height of the redacted picture in pixels.
    height: u32,
    /// Frames that go out per second.
    frames_per_second: f64,
    /// From a frame's arrival to its redacted picture, in seconds.
    latency: f64,
    /// One of so many frames is analysed.
    detect_every: u32,
    /// Frames that went out.
    frames: u64,
    /// Of these, filled ones, because they could not be analysed.
    frames_failed_closed: u64,
    /// Of the filled ones, those that arrived damaged, or were made from such.
    frames_damaged: u64,
    /// Frames left out under overload.
    frames_dropped: u64,
    /// Regions redacted, by class.
    regions: BTreeMap<String, u64>,
    /// Seconds spent in the detection model.
    inference_seconds: f64,
    /// How often the camera was connected to again.
    reconnects: u64,
    /// What went wrong last.
    last_error: Option<String>,
    /// True while a recording is written.
    recording: bool,
    /// Clients that watch.
    clients: u32,
}

impl From<CameraStatus> for Camera {
    fn from(status: CameraStatus) -> Self {
        Self {
            name: status.name,
            health: status.health,
            since: time(status.since),
            width: status.width,
            height: status.height,
            frames_per_second: status.frames_per_second,
            latency: status.latency.as_secs_f64(),
            detect_every: status.detect_every,
            frames: status.frames,
            frames_failed_closed: status.frames_failed_closed,
            frames_damaged: status.frames_damaged,
            frames_dropped: status.frames_dropped,
            regions: status.regions,
            inference_seconds: status.inference_seconds,
            reconnects: status.reconnects,
            last_error: status.last_error,
            recording: status.recording,
            clients: status.clients,
        }
    }
}

/// RFC 3339 in UTC, to the millisecond; a time beyond the year 9999 is given as that of the Unix epoch.
pub(super) fn time(time: SystemTime) -> String {
    let timestamp = jiff::Timestamp::try_from(time).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!("{timestamp:.3}")
}

/// All cameras.
#[utoipa::path(
    get, path = "/api/v1/cameras", operation_id = "cameras",
    responses((status = 200, description = "In the configuration's order", body = [Camera]))
)]
pub async fn list(State(web): State<Arc<Web>>) -> Result<Json<Vec<Camera>>, Failure> {
    let cameras = web.ask(|site| site.cameras()).await?;
    Ok(Json(cameras.into_iter().map(Camera::from).collect()))
}

/// One camera.
#[utoipa::path(
    get, path = "/api/v1/cameras/{camera}", operation_id = "camera",
    params(("camera" = String, Path, description = "Its name")),
    responses(
        (status = 200, description = "The camera", body = Camera),
        (status = 404, description = "No such camera", body = Failure),
    )
)]
pub async fn one(
    State(web): State<Arc<Web>>,
    Path(camera): Path<String>,
) -> Result<Json<Camera>, Failure> {
    Ok(Json(web.camera(camera).await?.into()))
}
