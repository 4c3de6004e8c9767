//! Zones, margin and threshold of a camera.
//!
//! Invariant: a change is made only by somebody who saw what they change (`If-Match`), so that nobody takes back a zone that
//! another has just drawn.

use std::sync::Arc;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::super::Web;
use super::super::answer::Failure;
use super::super::sessions::Session;
use crate::digest::hexadecimal;
use crate::redact::Zone;
use crate::serve::state::CameraSettings;

/// Most zones of a camera, and most corners of a zone: each costs time in every frame.
const MOST_ZONES: usize = 64;
const MOST_CORNERS: usize = 64;
/// Allowed margins.
const MARGINS: std::ops::RangeInclusive<f64> = 0.0..=3.0;
/// Allowed thresholds.
const THRESHOLDS: std::ops::RangeInclusive<f64> = 0.01..=0.99;

/// What can be changed of a camera.
#[derive(Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Privacy zones: polygons of 3 or more corners `[x, y]`, in shares of width and height from 0 to 1, that are always filled.
    #[schema(value_type = Vec<Vec<[f64; 2]>>)]
    zones: Vec<Vec<(f64, f64)>>,
    /// Share by which every region's width and height grow, 0 to 3.
    margin: f64,
    /// Least confidence of a detection, 0.01 to 0.99; null: the model's own.
    #[schema(required = true)]
    confidence_threshold: Option<f64>,
}

impl From<CameraSettings> for Settings {
    fn from(settings: CameraSettings) -> Self {
        Self {
            zones: settings.zones,
            margin: rounded(settings.margin),
            confidence_threshold: settings.confidence_threshold.map(rounded),
        }
    }
}

/// To four places: 0.4, not the 0.4000000059604645 that single precision makes of it and that would be written back.
fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

impl Settings {
    fn checked(self) -> Result<CameraSettings, Failure> {
        if self.zones.len() > MOST_ZONES {
            return Err(Failure::invalid(format!("at most {MOST_ZONES} zones")));
        }
        for zone in &self.zones {
            if zone.len() > MOST_CORNERS {
                return Err(Failure::invalid(format!(
                    "at most {MOST_CORNERS} corners in a zone"
                )));
            }
            Zone::new(zone.iter().map(|&(x, y)| (x as f32, y as f32)).collect())?;
        }
        if !MARGINS.contains(&self.margin) {
            return Err(Failure::invalid("margin must be from 0 to 3"));
        }
        if self
            .confidence_threshold
            .is_some_and(|threshold| !THRESHOLDS.contains(&threshold))
        {
            return Err(Failure::invalid(
                "confidence_threshold must be from 0.01 to 0.99, or null",
            ));
        }
        Ok(CameraSettings {
            zones: self.zones,
            margin: self.margin,
            confidence_threshold: self.confidence_threshold,
        })
    }

    /// Names this state of the settings.
    fn tag(&self) -> Result<String, Failure> {
        let bytes =
            serde_json::to_vec(self).map_err(|error| Failure::internal(error.to_string()))?;
        Ok(format!("\"{}\"", hexadecimal(&Sha256::digest(bytes)[..12])))
    }

    fn answer(self) -> Result<Response, Failure> {
        let tag = self.tag()?;
        Ok(([(header::ETAG, tag)], Json(self)).into_response())
    }
}

impl Web {
    async fn settings(&self, camera: String) -> Result<Settings, Failure> {
        let settings = self.ask(move |site| site.settings(&camera)).await?;
        settings
            .map(Settings::from)
            .ok_or_else(|| Failure::not_found("no such camera"))
    }
}

/// A camera's settings.
#[utoipa::path(
    get, path = "/api/v1/cameras/{camera}/settings", operation_id = "settings",
    params(("camera" = String, Path, description = "Its name")),
    responses(
        (status = 200, description = "The settings, with an ETag", body = Settings),
        (status = 404, description = "No such camera", body = Failure),
    )
)]
pub async fn show(
    State(web): State<Arc<Web>>,
    Path(camera): Path<String>,
) -> Result<Response, Failure> {
    let camera = web.camera(camera).await?.name;
    web.settings(camera).await?.answer()
}

/// Changes a camera's settings at once and in the configuration file. For admins.
#[utoipa::path(
    put, path = "/api/v1/cameras/{camera}/settings", operation_id = "change_settings",
    params(
        ("camera" = String, Path, description = "Its name"),
        ("X-CSRF-Token" = String, Header, description = "The session's token"),
        ("If-Match" = String, Header, description = "ETag of the settings that are changed"),
    ),
    request_body = Settings,
    responses(
        (status = 200, description = "The settings as they are now", body = Settings),
        (status = 403, description = "Not an admin, or a wrong token", body = Failure),
        (status = 404, description = "No such camera", body = Failure),
        (status = 412, description = "Changed by somebody else meanwhile", body = Failure),
        (status = 422, description = "A value is not allowed", body = Failure),
        (status = 428, description = "If-Match is missing", body = Failure),
    )
)]
pub async fn change(
    State(web): State<Arc<Web>>,
    Extension(session): Extension<Arc<Session>>,
    Path(camera): Path<String>,
    headers: HeaderMap,
    body: Result<Json<Settings>, JsonRejection>,
) -> Result<Response, Failure> {
    let camera = web.camera(camera).await?.name;
    let Json(settings) = body.map_err(|error| Failure::invalid(error.body_text()))?;
    let settings = settings.checked()?;
    let seen = headers
        .get(header::IF_MATCH)
        .ok_or_else(Failure::condition_missing)?;
    // One at a time, so that nothing changes between the look and the change.
    let _turn = web.changes.lock().await;
    if web.settings(camera.clone()).await?.tag()?.as_bytes() != seen.as_bytes() {
        return Err(Failure::changed_meanwhile());
    }
    let name = camera.clone();
    web.ask(move |site| site.change(&name, settings)).await??;
    tracing::info!(
        "web: {} changed the settings of camera {camera}",
        session.user
    );
    web.settings(camera).await?.answer()
}
