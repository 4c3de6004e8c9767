//! A gateway that is not one, a real server before it, and a client.
#![allow(dead_code)] // Every test program uses its own part of this.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant, SystemTime};

use floutage::serve::config::secret::Secret;
use floutage::serve::config::web::{Role, User, WebSettings};
use floutage::serve::state::{CameraSettings, CameraStatus, Health, Recording, Site};
use floutage::serve::web::{self, Handle, Limits, password};
use floutage::{Error, Result};
use image::codecs::jpeg::JpegEncoder;
use image::{Rgb, RgbImage};

/// Names of the cameras: the last one is as odd as a configuration may have it.
pub const CAMERAS: [&str; 3] = ["entrance", "car park", "odd/\"name\" & <b>é"];
/// The names in an address.
pub const ODD: &str = "odd%2F%22name%22%20%26%20%3Cb%3E%C3%A9";
/// Names and passwords.
pub const ADMIN: (&str, &str) = ("anne", "anne's long password");
pub const VIEWER: (&str, &str) = ("bert", "bert's long password");
/// Recordings of the first camera, newest first.
pub const RECORDINGS: [&str; 2] = ["2026-03-01T12-00-00.mp4", "2026-03-01T11-00-00.mp4"];
/// Stands beside the recordings' folder, and must not come out.
pub const SECRET: &str = "not to be served";
/// Seconds of a live stream before its size changes.
pub const EPOCH: u64 = 10;
/// Size of the pictures.
pub const SIZE: (u32, u32) = (640, 360);

/// Hashed once for all tests of a program.
static USERS: LazyLock<Vec<User>> = LazyLock::new(|| {
    let user = |(name, word): (&str, &str), role| User {
        name: name.into(),
        password_hash: Secret::from(password::hash(word).expect("hashable")),
        role,
    };
    vec![user(ADMIN, Role::Admin), user(VIEWER, Role::Viewer)]
});

/// A gateway with three cameras, in memory but for the recordings.
pub struct FakeSite {
    started: Instant,
    settings: Mutex<BTreeMap<String, CameraSettings>>,
    folder: tempfile::TempDir,
    /// Parts of an HLS stream by name, as ffmpeg made them.
    pub hls: Mutex<BTreeMap<String, Vec<u8>>>,
    pub ready: AtomicBool,
    /// Every question panics while this is true.
    pub panics: AtomicBool,
    /// Changes are refused, as when the configuration cannot be written.
    pub read_only: AtomicBool,
}

impl FakeSite {
    pub fn new() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("floutage-test-")
            .tempdir()
            .expect("a folder can be made");
        std::fs::create_dir(folder.path().join("recordings")).expect("a folder can be made");
        std::fs::write(folder.path().join("secret.mp4"), SECRET).expect("written");
        for (index, name) in RECORDINGS.iter().enumerate() {
            let bytes: Vec<u8> = (0..100_000u32)
                .map(|byte| (byte % 251) as u8 + index as u8)
                .collect();
            std::fs::write(folder.path().join("recordings").join(name), bytes).expect("written");
        }
        let settings = CameraSettings {
            zones: vec![vec![(0.05, 0.1), (0.3, 0.1), (0.3, 0.35)]],
            // As the gateway keeps it.
            margin: f64::from(0.4f32),
            confidence_threshold: None,
        };
        Self {
            started: Instant::now(),
            settings: Mutex::new(
                CAMERAS
                    .map(|name| (name.to_owned(), settings.clone()))
                    .into(),
            ),
            folder,
            hls: Mutex::default(),
            ready: AtomicBool::new(true),
            panics: AtomicBool::new(false),
            read_only: AtomicBool::new(false),
        }
    }

    /// A file of the recordings' folder.
    pub fn recording(&self, name: &str) -> PathBuf {
        self.folder.path().join("recordings").join(name)
    }

    pub fn settings_of(&self, camera: &str) -> CameraSettings {
        self.settings.lock().unwrap()[camera].clone()
    }

    fn may_panic(&self) {
        assert!(
            !self.panics.load(Ordering::SeqCst),
            "a panic that the test asked for"
        );
    }

    /// A street-like picture with a mark that moves, and the zones filled.
    fn picture(&self, camera: &str) -> RgbImage {
        let (width, height) = SIZE;
        let zones = self.settings_of(camera).zones;
        let moved = (self.started.elapsed().as_millis() / 10 % u128::from(width)) as u32;
        RgbImage::from_fn(width, height, |x, y| {
            let point = (
                f64::from(x) / f64::from(width),
                f64::from(y) / f64::from(height),
            );
            if zones.iter().any(|zone| inside(zone, point)) {
                return Rgb([128, 128, 128]);
            }
            let shade = |from: u32, to: u32| (from + (to - from) * y / height) as u8;
            if x.abs_diff(moved) < 18 && (200..290).contains(&y) {
                Rgb([196, 92, 60])
            } else if y > 230 {
                Rgb([shade(60, 96), shade(62, 100), shade(70, 110)])
            } else if (x / 90) % 2 == 0 && y > 90 {
                Rgb([158, 140, 122])
            } else {
                Rgb([shade(150, 190), shade(176, 205), shade(196, 225)])
            }
        })
    }
}

fn inside(zone: &[(f64, f64)], (x, y): (f64, f64)) -> bool {
    let edges = zone.iter().zip(zone.iter().cycle().skip(1));
    let crossed = edges.filter(|((x1, y1), (x2, y2))| {
        (y1 > &y) != (y2 > &y) && x < (x2 - x1) * (y - y1) / (y2 - y1) + x1
    });
    crossed.count() % 2 == 1
}

impl Site for FakeSite {
    fn cameras(&self) -> Vec<CameraStatus> {
        self.may_panic();
        let seconds = self.started.elapsed().as_secs_f64();
        let healths = [Health::Live, Health::Degraded, Health::Reconnecting];
        let numbers = 0..CAMERAS.len();
        let status = |index: usize| CameraStatus {
            name: CAMERAS[index].into(),
            health: healths[index],
            since: SystemTime::UNIX_EPOCH + Duration::from_millis(1_772_366_400_250),
            width: SIZE.0,
            height: SIZE.1,
            frames_per_second: [15.0, 9.4, 1.0][index],
            latency: Duration::from_millis(870),
            detect_every: index as u32 + 1,
            frames: 4_812 + (seconds * 15.0) as u64,
            frames_failed_closed: index as u64 * 7,
            frames_damaged: index as u64 * 3,
            frames_dropped: index as u64 * 12,
            regions: [
                ("face".to_owned(), 1_234 + (seconds * 2.0) as u64),
                ("plate".to_owned(), 56),
            ]
            .into(),
            inference_seconds: 61.5,
            reconnects: index as u64,
            last_error: (index == 2)
                .then(|| "rtsp://camera-3/stream: no answer for 10 s; trying again".into()),
            recording: index < 2,
            clients: 3 - index as u32,
        };
        numbers.map(status).collect()
    }

    fn settings(&self, camera: &str) -> Option<CameraSettings> {
        self.settings.lock().unwrap().get(camera).cloned()
    }

    fn change(&self, camera: &str, settings: CameraSettings) -> Result<()> {
        if self.read_only.load(Ordering::SeqCst) {
            let source = std::io::Error::from(std::io::ErrorKind::ReadOnlyFilesystem);
            return Err(Error::io("floutage.toml", "writing", source));
        }
        self.settings
            .lock()
            .unwrap()
            .insert(camera.to_owned(), settings);
        Ok(())
    }

    fn recordings(&self, camera: &str) -> Vec<Recording> {
        if camera != CAMERAS[0] {
            return Vec::new();
        }
        let recording = |(index, name): (usize, &&str)| {
            let path = self.recording(name);
            Some(Recording {
                file: (*name).to_owned(),
                start: SystemTime::UNIX_EPOCH
                    + Duration::from_secs(1_772_366_400 - 3600 * index as u64),
                seconds: 3600.0 - index as f64,
                bytes: path.metadata().ok()?.len(),
            })
        };
        let mut found: Vec<_> = RECORDINGS
            .iter()
            .enumerate()
            .filter_map(recording)
            .collect();
        // As the gateway gives them: oldest first.
        found.reverse();
        found
    }

    fn recording_path(&self, _: &str, file: &str) -> Option<PathBuf> {
        // As careless as can be: the page must never ask for another name than a listed one.
        Some(self.recording(file))
    }

    fn hls(&self, camera: &str, name: &str) -> Option<(Vec<u8>, &'static str)> {
        if camera != CAMERAS[0] {
            return None;
        }
        let kind = match name.rsplit_once('.')?.1 {
            "m3u8" => "application/vnd.apple.mpegurl",
            _ => "video/mp4",
        };
        if name == "index.m3u8" {
            return Some((self.playlist()?.into_bytes(), kind));
        }
        Some((self.hls.lock().unwrap().get(name)?.clone(), kind))
    }

    fn snapshot(&self, camera: &str) -> Option<Vec<u8>> {
        self.may_panic();
        // The last one has no picture.
        if camera == CAMERAS[2] {
            return None;
        }
        let mut bytes = Vec::new();
        let encoder = JpegEncoder::new_with_quality(&mut bytes, 80);
        self.picture(camera).write_with_encoder(encoder).ok()?;
        Some(bytes)
    }

    fn ready(&self) -> bool {
        self.ready.load(Ordering::SeqCst)
    }
}

impl FakeSite {
    /// A window of one-second segments that moves with the time, as a live stream's does. Every few seconds the size changes, as when
    /// a camera is gone and comes again, and times begin anew.
    fn playlist(&self) -> Option<String> {
        let last = self.started.elapsed().as_secs() + 4;
        let hls = self.hls.lock().unwrap();
        let first = last.saturating_sub(6);
        let mut text = format!(
            "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:{first}\n#EXT-X-DISCONTINUITY-SEQUENCE:{}\n",
            first / EPOCH
        );
        for segment in first..last {
            let (kind, number) = (["a", "b"][(segment / EPOCH % 2) as usize], segment % EPOCH);
            if segment == first || number == 0 {
                if segment > first {
                    text += "#EXT-X-DISCONTINUITY\n";
                }
                text += &format!("#EXT-X-MAP:URI=\"{kind}-init.mp4\"\n");
            }
            let name = format!("{kind}{number}.m4s");
            if !hls.contains_key(&name) {
                return None;
            }
            text += &format!("#EXTINF:1.000,\n{name}\n");
        }
        Some(text)
    }
}

/// A server on a free port.
pub struct Server {
    pub site: Arc<FakeSite>,
    handle: Option<Handle>,
    pub address: SocketAddr,
}

pub fn settings() -> WebSettings {
    WebSettings {
        listen: ([127, 0, 0, 1], 0).into(),
        users: USERS.clone(),
        ..WebSettings::default()
    }
}

impl Server {
    pub fn new() -> Self {
        Self::with(settings(), Limits::default())
    }

    pub fn with(settings: WebSettings, limits: Limits) -> Self {
        let site = Arc::new(FakeSite::new());
        let handle = web::start_with(settings, site.clone(), limits).expect("it starts");
        Self {
            site,
            address: handle.address(),
            handle: Some(handle),
        }
    }

    pub fn stop(mut self) {
        self.handle.take().expect("running").stop();
    }

    /// Somebody who is not logged in.
    pub fn stranger(&self) -> Client {
        Client::new(format!("http://{}", self.address))
    }

    pub fn admin(&self) -> Client {
        self.stranger().logged_in(ADMIN)
    }

    pub fn viewer(&self) -> Client {
        self.stranger().logged_in(VIEWER)
    }

    /// A bare connection.
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("it listens");
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .expect("a time limit can be set");
        stream
    }

    /// What the server answers to these bytes until it closes the connection.
    pub fn raw(&self, request: &[u8]) -> String {
        let mut stream = self.connect();
        // It may answer and close before everything is written.
        let _ = stream.write_all(request);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }
}

/// A browser's part: keeps the session's cookie and token.
pub struct Client {
    base: String,
    agent: ureq::Agent,
    pub cookie: Option<String>,
    pub csrf: Option<String>,
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: ureq::http::HeaderMap,
    pub body: Vec<u8>,
}

impl Client {
    pub fn new(base: String) -> Self {
        // Tests make their certificates themselves.
        let tls = ureq::tls::TlsConfig::builder()
            .disable_verification(true)
            .build();
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(Duration::from_secs(60)))
            .tls_config(tls)
            .build()
            .new_agent();
        Self {
            base,
            agent,
            cookie: None,
            csrf: None,
        }
    }

    pub fn logged_in(mut self, (name, password): (&str, &str)) -> Self {
        let body = serde_json::json!({ "name": name, "password": password }).to_string();
        let reply = self.send(
            "POST",
            "/api/v1/session",
            &[("content-type", "application/json")],
            body,
        );
        assert_eq!(reply.status, 200, "{reply:?}");
        self.cookie = Some(reply.cookie().split(';').next().expect("a pair").to_owned());
        self.csrf = Some(
            reply.json()["csrf_token"]
                .as_str()
                .expect("a token")
                .to_owned(),
        );
        self
    }

    pub fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[], "")
    }

    /// A change, with the token.
    pub fn change(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Vec<u8>>,
    ) -> Reply {
        let token = self.csrf.as_deref().unwrap_or_default();
        let mut all = vec![
            ("x-csrf-token", token),
            ("content-type", "application/json"),
        ];
        all.extend_from_slice(headers);
        self.send(method, path, &all, body)
    }

    pub fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Vec<u8>>,
    ) -> Reply {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base));
        if let Some(cookie) = &self.cookie {
            request = request.header("cookie", cookie);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = body.into();
        let reply = if body.is_empty() {
            self.agent.run(request.body(()).expect("a request"))
        } else {
            self.agent.run(request.body(body).expect("a request"))
        };
        let mut reply = reply.unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        Reply {
            status: reply.status().as_u16(),
            headers: reply.headers().clone(),
            body: reply
                .body_mut()
                .with_config()
                .limit(u64::MAX)
                .read_to_vec()
                .expect("a body"),
        }
    }
}

impl Reply {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The header, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("text"))
    }

    /// The session's `Set-Cookie`.
    pub fn cookie(&self) -> String {
        let all = self.headers.get_all("set-cookie").iter();
        let session = all
            .map(|value| value.to_str().expect("text"))
            .find(|value| value.starts_with("floutage=") || value.starts_with("__Host-floutage="));
        session
            .unwrap_or_else(|| panic!("no session in {self:?}"))
            .to_owned()
    }

    /// The code of a refusal.
    pub fn error(&self) -> String {
        self.json()["error"].as_str().unwrap_or_default().to_owned()
    }
}
