//! `/metrics`, `/health` and `/ready`: for programs that watch over programs.

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::Web;
use super::answer::Failure;
use super::sessions::same;
use crate::serve::state::{CameraStatus, Health};

const HEALTHS: [(Health, &str); 5] = [
    (Health::Starting, "starting"),
    (Health::Live, "live"),
    (Health::Degraded, "degraded"),
    (Health::Reconnecting, "reconnecting"),
    (Health::Failed, "failed"),
];

/// `/health`: the program runs and answers.
pub async fn health() -> &'static str {
    "ok\n"
}

/// `/ready`: every camera was started.
pub async fn ready(State(web): State<Arc<Web>>) -> Response {
    match web.ask(|site| site.ready()).await {
        Ok(true) => "ready\n".into_response(),
        Ok(false) => (StatusCode::SERVICE_UNAVAILABLE, "starting\n").into_response(),
        Err(failure) => failure.into_response(),
    }
}

/// `/metrics`: for this machine, for who has the token, and for users.
pub async fn metrics(
    State(web): State<Arc<Web>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let allowed = is_local(peer.ip(), &headers)
        || has_token(&web, &headers)
        || web.session(&headers).is_some();
    if !allowed {
        return Err(Failure::unauthorised());
    }
    let cameras = web.ask(|site| site.cameras()).await?;
    let content_type = "text/plain; version=0.0.4; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, content_type)], text(&cameras)).into_response())
}

fn has_token(web: &Web, headers: &HeaderMap) -> bool {
    let given = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    match (&web.metrics_token, given) {
        (Some(token), Some(given)) => same(given, token.reveal()),
        _ => false,
    }
}

/// True for a program on this machine: not for what a proxy here passes on, nor for a browser that was led here under
/// another site's name.
fn is_local(peer: IpAddr, headers: &HeaderMap) -> bool {
    const PROXY: [&str; 4] = ["forwarded", "via", "x-forwarded-for", "x-real-ip"];
    let host = headers
        .get(header::HOST)
        .and_then(|value| value.to_str().ok());
    let name = host.map_or("", |host| match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name,
        _ => host,
    });
    let is_ours = name == "localhost"
        || name
            .trim_matches(['[', ']'])
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    peer.to_canonical().is_loopback()
        && is_ours
        && !PROXY.iter().any(|name| headers.contains_key(*name))
}

/// One metric of every camera.
struct Family {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    value: fn(&CameraStatus) -> f64,
}

const FAMILIES: [Family; 15] = [
    Family {
        name: "floutage_camera_up",
        kind: "gauge",
        help: "1 while pictures come from the camera.",
        value: |camera| {
            f64::from(u8::from(matches!(
                camera.health,
                Health::Live | Health::Degraded
            )))
        },
    },
    Family {
        name: "floutage_frames_total",
        kind: "counter",
        help: "Frames that went out.",
        value: |camera| camera.frames as f64,
    },
    Family {
        name: "floutage_frames_failed_closed_total",
        kind: "counter",
        help: "Frames that went out filled because they could not be analysed.",
        value: |camera| camera.frames_failed_closed as f64,
    },
    Family {
        name: "floutage_frames_damaged_total",
        kind: "counter",
        help: "Of the filled frames, those that arrived damaged, or were made from such.",
        value: |camera| camera.frames_damaged as f64,
    },
    Family {
        name: "floutage_frames_dropped_total",
        kind: "counter",
        help: "Frames left out under overload.",
        value: |camera| camera.frames_dropped as f64,
    },
    Family {
        name: "floutage_inference_seconds",
        kind: "counter",
        help: "Seconds spent in the detection model.",
        value: |camera| camera.inference_seconds,
    },
    Family {
        name: "floutage_frames_per_second",
        kind: "gauge",
        help: "Frames that go out per second.",
        value: |camera| camera.frames_per_second,
    },
    Family {
        name: "floutage_latency_seconds",
        kind: "gauge",
        help: "From a frame's arrival to its redacted picture.",
        value: |camera| camera.latency.as_secs_f64(),
    },
    Family {
        name: "floutage_detect_every_frames",
        kind: "gauge",
        help: "One of so many frames is analysed.",
        value: |camera| f64::from(camera.detect_every),
    },
    Family {
        name: "floutage_camera_reconnects_total",
        kind: "counter",
        help: "How often the camera was connected to again.",
        value: |camera| camera.reconnects as f64,
    },
    Family {
        name: "floutage_recording",
        kind: "gauge",
        help: "1 while a recording is written.",
        value: |camera| f64::from(u8::from(camera.recording)),
    },
    Family {
        name: "floutage_clients",
        kind: "gauge",
        help: "Clients that watch the camera.",
        value: |camera| f64::from(camera.clients),
    },
    Family {
        name: "floutage_picture_width_pixels",
        kind: "gauge",
        help: "Width of the redacted picture.",
        value: |camera| f64::from(camera.width),
    },
    Family {
        name: "floutage_picture_height_pixels",
        kind: "gauge",
        help: "Height of the redacted picture.",
        value: |camera| f64::from(camera.height),
    },
    Family {
        name: "floutage_camera_state_since_seconds",
        kind: "gauge",
        help: "Unix time at which the camera came into its present state.",
        value: |camera| {
            let since = camera.since.duration_since(SystemTime::UNIX_EPOCH);
            since.map_or(0.0, |since| since.as_secs_f64())
        },
    },
];

/// The metrics in Prometheus's text format, version 0.0.4.
fn text(cameras: &[CameraStatus]) -> String {
    let mut text = String::new();
    let mut line = |line: std::fmt::Arguments<'_>| {
        // Writing into a string does not fail.
        let _ = text.write_fmt(line);
    };
    let head = |line: &mut dyn FnMut(std::fmt::Arguments<'_>), name, kind, help| {
        line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    };
    head(
        &mut line,
        "floutage_build_info",
        "gauge",
        "The program's version.",
    );
    line(format_args!(
        "floutage_build_info{{version=\"{}\"}} 1\n",
        env!("CARGO_PKG_VERSION")
    ));
    for Family {
        name,
        kind,
        help,
        value,
    } in &FAMILIES
    {
        head(&mut line, name, kind, help);
        for camera in cameras {
            let label = Label(&camera.name);
            line(format_args!(
                "{name}{{camera=\"{label}\"}} {}\n",
                value(camera)
            ));
        }
    }
    let name = "floutage_camera_health";
    head(
        &mut line,
        name,
        "gauge",
        "1 for the camera's present state.",
    );
    for camera in cameras {
        for (health, state) in HEALTHS {
            let label = Label(&camera.name);
            let value = u8::from(camera.health == health);
            line(format_args!(
                "{name}{{camera=\"{label}\",state=\"{state}\"}} {value}\n"
            ));
        }
    }
    let name = "floutage_regions_redacted_total";
    head(&mut line, name, "counter", "Regions redacted, by class.");
    for camera in cameras {
        for (class, count) in &camera.regions {
            let (label, class) = (Label(&camera.name), Label(class));
            line(format_args!(
                "{name}{{camera=\"{label}\",class=\"{class}\"}} {count}\n"
            ));
        }
    }
    text
}

/// A label's value, escaped.
struct Label<'a>(&'a str);

impl std::fmt::Display for Label<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for character in self.0.chars() {
            match character {
                '\\' => f.write_str("\\\\")?,
                '"' => f.write_str("\\\"")?,
                '\n' => f.write_str("\\n")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped() {
        assert_eq!(Label("a\"b\\c\nd é").to_string(), "a\\\"b\\\\c\\nd é");
    }

    #[test]
    fn only_programs_of_this_machine_are_local() {
        let asked = |peer: &str, pairs: &[(&'static str, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(*name, value.parse().unwrap());
            }
            is_local(peer.parse().unwrap(), &headers)
        };
        for host in ["127.0.0.1:8080", "localhost", "[::1]:80", "127.9.9.9"] {
            assert!(asked("127.0.0.1", &[("host", host)]), "{host}");
        }
        assert!(asked("::ffff:127.0.0.1", &[("host", "localhost:80")]));
        assert!(!asked("192.0.2.1", &[("host", "127.0.0.1")]));
        assert!(!asked("127.0.0.1", &[]));
        for host in [
            "evil.example:8080",
            "localhost.evil.example",
            "192.0.2.1",
            "",
        ] {
            assert!(!asked("127.0.0.1", &[("host", host)]), "{host}");
        }
        for header in ["x-forwarded-for", "forwarded", "x-real-ip", "via"] {
            assert!(!asked("127.0.0.1", &[("host", "localhost"), (header, "x")]));
        }
    }
}
