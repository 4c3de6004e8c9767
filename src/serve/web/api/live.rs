//! The redacted picture as it is now: HLS, single pictures, and pictures one after the other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::stream;

use super::super::Web;
use super::super::answer::Failure;
use super::super::sessions::Session;

/// How often the picture is looked at for a change.
const PICTURE_EVERY: Duration = Duration::from_millis(200);
/// Separates pictures.
const BOUNDARY: &str = "floutage-picture";

/// A part of the HLS stream: `index.m3u8`, `init.mp4`, or a segment.
#[utoipa::path(
    get, path = "/api/v1/cameras/{camera}/hls/{part}", operation_id = "hls",
    params(
        ("camera" = String, Path, description = "The camera's name"),
        ("part" = String, Path, description = "`index.m3u8`, or a name that is in it"),
    ),
    responses(
        (status = 200, description = "The playlist", content_type = "application/vnd.apple.mpegurl"),
        (status = 404, description = "No such camera, or a part that is not there (any more)", body = Failure),
    )
)]
pub async fn hls(
    State(web): State<Arc<Web>>,
    Path((camera, part)): Path<(String, String)>,
) -> Result<Response, Failure> {
    if !is_part(&part) {
        return Err(Failure::not_found("no such part"));
    }
    let camera = web.camera(camera).await?.name;
    let found = web.ask(move |site| site.hls(&camera, &part)).await?;
    let (bytes, content_type) = found.ok_or_else(|| Failure::not_found("no such part"))?;
    Ok(([(header::CONTENT_TYPE, content_type)], bytes).into_response())
}

/// True for a plain name; the gateway keeps parts in memory, and this is the second fence.
fn is_part(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=64).contains(&name.len()) && name.bytes().all(plain) && !name.starts_with('.')
}

/// The last redacted picture.
#[utoipa::path(
    get, path = "/api/v1/cameras/{camera}/snapshot.jpg", operation_id = "snapshot",
    params(("camera" = String, Path, description = "The camera's name")),
    responses(
        (status = 200, description = "The picture", content_type = "image/jpeg"),
        (status = 404, description = "No such camera, or no picture yet", body = Failure),
    )
)]
pub async fn snapshot(
    State(web): State<Arc<Web>>,
    Path(camera): Path<String>,
) -> Result<Response, Failure> {
    let camera = web.camera(camera).await?.name;
    let picture = web.ask(move |site| site.snapshot(&camera)).await?;
    let picture = picture.ok_or_else(|| Failure::not_found("no picture yet"))?;
    Ok(([(header::CONTENT_TYPE, "image/jpeg")], picture).into_response())
}

/// Pictures one after the other, for browsers that play nothing else. Ends with the session.
#[utoipa::path(
    get, path = "/api/v1/cameras/{camera}/live.mjpeg", operation_id = "mjpeg",
    params(("camera" = String, Path, description = "The camera's name")),
    responses(
        (status = 200, description = "JPEG pictures", content_type = "multipart/x-mixed-replace"),
        (status = 404, description = "No such camera", body = Failure),
        (status = 503, description = "Too many such streams", body = Failure),
    )
)]
pub async fn mjpeg(
    State(web): State<Arc<Web>>,
    Extension(session): Extension<Arc<Session>>,
    Path(camera): Path<String>,
) -> Result<Response, Failure> {
    let camera = web.camera(camera).await?.name;
    let permit = web.streams.clone().try_acquire_owned();
    let permit = permit.map_err(|_| Failure::busy("too many streams of pictures; use HLS"))?;
    let start = (web, session, camera, Vec::new(), permit);
    let pictures = stream::unfold(
        start,
        |(web, session, camera, mut last, permit)| async move {
            let mut stop = web.stop.clone();
            loop {
                if *stop.borrow() || !web.sessions.is_open(&session, Instant::now()) {
                    return None;
                }
                let name = camera.clone();
                let picture = web.ask(move |site| site.snapshot(&name)).await.ok()?;
                if let Some(picture) = picture.filter(|picture| *picture != last) {
                    last = picture;
                    let part = part(&last);
                    return Some((
                        Ok::<_, std::io::Error>(part),
                        (web, session, camera, last, permit),
                    ));
                }
                tokio::select! {
                    () = tokio::time::sleep(PICTURE_EVERY) => {}
                    _ = stop.changed() => {}
                }
            }
        },
    );
    let content_type = format!("multipart/x-mixed-replace; boundary={BOUNDARY}");
    Ok((
        [(header::CONTENT_TYPE, content_type)],
        Body::from_stream(pictures),
    )
        .into_response())
}

/// One picture of the stream. The boundary follows it, so that a browser shows it at once.
fn part(picture: &[u8]) -> Bytes {
    let length = picture.len();
    let head = format!("Content-Type: image/jpeg\r\nContent-Length: {length}\r\n\r\n");
    let start = format!("--{BOUNDARY}\r\n");
    [start.as_bytes(), head.as_bytes(), picture, b"\r\n"]
        .concat()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_plain_names() {
        for good in ["index.m3u8", "init.mp4", "12.m4s", "part-3_1.m4s"] {
            assert!(is_part(good), "{good}");
        }
        for bad in [
            "",
            ".",
            "..",
            ".x",
            "a/b",
            "a\\b",
            "a%2e",
            "a\0",
            "é",
            &"x".repeat(65),
        ] {
            assert!(!is_part(bad), "{bad}");
        }
    }
}
