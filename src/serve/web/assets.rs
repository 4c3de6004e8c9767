//! Style, scripts and icon of the page, built in.
//!
//! Invariant: what can be asked for is a fixed list; nothing is read from the disk.

use axum::Router;
use axum::http::{HeaderValue, header};
use axum::response::IntoResponse;
use axum::routing::get;
use sha2::{Digest, Sha256};

use crate::digest::hexadecimal;

struct Asset {
    name: &'static str,
    content_type: &'static str,
    text: &'static str,
}

macro_rules! asset {
    ($name:literal, $type:literal) => {
        Asset {
            name: $name,
            content_type: $type,
            text: include_str!(concat!("assets/", $name)),
        }
    };
}

const ASSETS: [Asset; 9] = [
    asset!("floutage.css", "text/css; charset=utf-8"),
    asset!("icon.svg", "image/svg+xml"),
    asset!("common.js", "text/javascript; charset=utf-8"),
    asset!("cameras.js", "text/javascript; charset=utf-8"),
    asset!("camera.js", "text/javascript; charset=utf-8"),
    asset!("player.js", "text/javascript; charset=utf-8"),
    asset!("recordings.js", "text/javascript; charset=utf-8"),
    asset!("settings.js", "text/javascript; charset=utf-8"),
    asset!("zones.js", "text/javascript; charset=utf-8"),
];

/// What may hold keys of words, for the test of these.
#[cfg(test)]
pub fn all_text() -> Vec<(&'static str, &'static str)> {
    let mut all: Vec<_> = ASSETS
        .iter()
        .map(|asset| (asset.name, asset.text))
        .collect();
    all.extend([
        ("layout.html", include_str!("pages/layout.html")),
        ("login.html", include_str!("pages/login.html")),
        ("missing.html", include_str!("pages/missing.html")),
        ("cameras.html", include_str!("pages/cameras.html")),
        ("camera.html", include_str!("pages/camera.html")),
    ]);
    all
}

/// Changes with what any of the files holds; part of their addresses, so that browsers may keep them for ever.
pub fn version() -> String {
    let mut hash = Sha256::new();
    for asset in &ASSETS {
        hash.update(asset.text);
    }
    hexadecimal(&hash.finalize()[..6])
}

/// `/assets/VERSION/NAME` for each file.
pub fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let version = version();
    ASSETS.iter().fold(Router::new(), |router, asset| {
        let serve = || async {
            let forever = HeaderValue::from_static("public, max-age=31536000, immutable");
            let content_type = HeaderValue::from_static(asset.content_type);
            let headers = [
                (header::CONTENT_TYPE, content_type),
                (header::CACHE_CONTROL, forever),
            ];
            (headers, asset.text).into_response()
        };
        router.route(&format!("/assets/{version}/{}", asset.name), get(serve))
    })
}
