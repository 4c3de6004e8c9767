//! The gateway in a test: cameras that serve clips with known content, the gateway itself, and clients that store what they
//! get, so that it can be looked at.
#![allow(dead_code)] // Every test program uses its own part of this.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use floutage::detect::Class;
use floutage::frame::Matrix;
use floutage::serve::gateway::Gateway;
use floutage::serve::state::{CameraStatus, Site};
use gst::glib;
use gst::prelude::*;
use gst_rtsp_server::prelude::*;

use crate::common::clip::Clip;
use crate::common::codec::Codec;
use crate::common::look::{each_frame, find_markers};
use crate::common::program::fixture;
use crate::common::scene::Scene;
use crate::common::{ffmpeg, run_tool};

/// Nothing that a test waits for takes nearly as long, unless it never comes.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Waits until `found` has something.
pub fn wait_for<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "it never came: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A clip with markers, `seconds` long at 15 frames per second.
pub fn clip(folder: &Path, name: &str, codec: Codec, seconds: usize) -> PathBuf {
    Clip::new(Scene::new(320, 240, seconds * 15))
        .rate("15")
        .codec(codec)
        .key_interval(15)
        .write(folder, name)
}

/// A camera: an RTSP server that plays a clip, and sound beside it.
pub struct Camera {
    main: glib::MainLoop,
    thread: Option<JoinHandle<()>>,
    server: gst_rtsp_server::RTSPServer,
    pub port: i32,
}

impl Camera {
    /// Serves `clip` at /stream, on `port` or any.
    pub fn start(clip: &Path, coding: &str, port: i32, login: Option<(&str, &str)>) -> Self {
        let video = format!(
            "filesrc location={} ! qtdemux ! {coding}parse ! rtp{coding}pay name=pay0 config-interval=-1 pt=96",
            clip.display()
        );
        Self::launch(
            &format!("( {video} audiotestsrc is-live=true ! alawenc ! rtppcmapay name=pay1 pt=8 )"),
            port,
            login,
        )
    }

    /// Serves the pipeline `launch` at /stream.
    pub fn launch(launch: &str, port: i32, login: Option<(&str, &str)>) -> Self {
        floutage::init().expect("GStreamer starts");
        let server = gst_rtsp_server::RTSPServer::new();
        server.set_address("127.0.0.1");
        server.set_service(&port.to_string());
        let factory = gst_rtsp_server::RTSPMediaFactory::new();
        factory.set_launch(launch);
        // Every client sees it from its beginning.
        factory.set_shared(false);
        if let Some((user, password)) = login {
            let auth = gst_rtsp_server::RTSPAuth::new();
            auth.set_supported_methods(gst_rtsp::RTSPAuthMethod::Digest);
            let token = gst_rtsp_server::RTSPToken::builder()
                .field(
                    gst_rtsp_server::RTSP_TOKEN_MEDIA_FACTORY_ROLE.as_str(),
                    "user",
                )
                .build();
            auth.add_digest(user, password, &token);
            server.set_auth(Some(&auth));
            let role = gst::Structure::builder("user")
                .field("media.factory.access", true)
                .field("media.factory.construct", true)
                .build();
            unsafe {
                use gst::glib::translate::ToGlibPtr;
                let permissions = gst_rtsp_server::ffi::gst_rtsp_permissions_new();
                gst_rtsp_server::ffi::gst_rtsp_permissions_add_role_from_structure(
                    permissions,
                    role.as_ptr() as *mut _,
                );
                gst_rtsp_server::ffi::gst_rtsp_media_factory_set_permissions(
                    factory.to_glib_none().0,
                    permissions,
                );
            }
        }
        server
            .mount_points()
            .expect("it has mount points")
            .add_factory("/stream", factory);
        let context = glib::MainContext::new();
        let main = glib::MainLoop::new(Some(&context), false);
        server.attach(Some(&context)).expect("the port is free");
        let port = server.bound_port();
        let running = main.clone();
        let thread = std::thread::spawn(move || {
            context
                .with_thread_default(|| running.run())
                .expect("the context is free");
        });
        Self {
            main,
            thread: Some(thread),
            server,
            port,
        }
    }

    pub fn address(&self) -> String {
        format!("rtsp://127.0.0.1:{}/stream", self.port)
    }

    /// Has sender reports to clients from now on tell a time that is `seconds` ahead.
    pub fn set_clock_ahead(&self, seconds: u32) {
        let mounts = self.server.mount_points().expect("it has mount points");
        let (factory, _) = mounts.match_("/stream");
        factory.connect_media_configure(move |_, media| {
            media.connect_prepared(move |media| {
                let mut top = media.element().upcast::<gst::Object>();
                while let Some(parent) = top.parent() {
                    top = parent;
                }
                let bin = top.downcast::<gst::Bin>().expect("a pipeline");
                let elements = bin.iterate_recurse().into_iter().filter_map(Result::ok);
                for pad in elements
                    .flat_map(|element| element.pads())
                    .filter(|pad| pad.name().starts_with("send_rtcp_src"))
                {
                    pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
                        let is_bin = pad.downcast_ref::<gst::GhostPad>().is_some();
                        if let Some(buffer) = info.buffer_mut().filter(|_| is_bin) {
                            let mut bytes = buffer.make_mut().map_writable().expect("writable");
                            if bytes[1] == 200 {
                                let time = u32::from_be_bytes(
                                    bytes[8..12].try_into().expect("four bytes"),
                                );
                                bytes[8..12].copy_from_slice(&(time + seconds).to_be_bytes());
                            }
                        }
                        gst::PadProbeReturn::Ok
                    });
                }
            });
        });
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        self.server.client_filter(Some(
            &mut |_: &gst_rtsp_server::RTSPServer, _: &gst_rtsp_server::RTSPClient| {
                gst_rtsp_server::RTSPFilterResult::Remove
            },
        ));
        self.main.quit();
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the camera did not fail");
        }
    }
}

/// A configuration whose detector finds exactly the markers, and fills them.
pub fn config(more: &str) -> String {
    let model = fixture("marker-detector");
    format!(
        "[detect]\nmodel = [\"{}\"]\ninput-size = \"native\"\nlook-ahead = 2\n\n[redact]\nstyle = \"fill\"\n\n[encode]\nkey-interval = \"1s\"\n\n{more}",
        model.display()
    )
}

/// Listens on any free port.
pub const RTSP: &str = "[rtsp]\nlisten = \"127.0.0.1:0\"\n\n";

/// `[[camera]]` of a clip that is played over and over.
pub fn looped(name: &str, clip: &Path) -> String {
    format!(
        "[[camera]]\nname = \"{name}\"\nsource = \"file://{}\"\n",
        clip.display()
    )
}

/// The gateway within the test, its cameras in processes as ever.
pub struct Served {
    pub gateway: Arc<Gateway>,
    pub file: PathBuf,
}

impl Served {
    pub fn start(folder: &Path, text: &str) -> Self {
        floutage::init().expect("GStreamer starts");
        let file = folder.join("floutage.toml");
        std::fs::write(&file, text).expect("the configuration can be written");
        let gateway = Gateway::start(&file, Arc::new(worker)).expect("the gateway starts");
        Self {
            gateway: Arc::new(gateway),
            file,
        }
    }

    pub fn address(&self, path: &str) -> String {
        format!("rtsp://127.0.0.1:{}/{path}", self.gateway.rtsp_port())
    }

    pub fn status(&self, camera: &str) -> CameraStatus {
        self.gateway
            .cameras()
            .into_iter()
            .find(|status| status.name == camera)
            .expect("the camera is known")
    }

    /// Waits until `is` is true of `camera`.
    pub fn wait(
        &self,
        camera: &str,
        what: &str,
        is: impl Fn(&CameraStatus) -> bool,
    ) -> CameraStatus {
        wait_for(
            &format!("{camera} {what}: {:?}", self.status(camera)),
            || Some(self.status(camera)).filter(&is),
        )
    }
}

fn worker(camera: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_floutage"));
    command.args(["serve-worker", camera]);
    command
}

/// Process numbers of the workers of `camera`, of any gateway: tests that use this name their cameras differently.
pub fn workers(camera: &str) -> Vec<u32> {
    std::fs::read_dir("/proc")
        .expect("/proc can be read")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|id: &u32| {
            let command = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
            command.ends_with(format!("serve-worker\0{camera}\0").as_bytes())
        })
        .collect()
}

/// ffmpeg storing `seconds` of the stream at `address` as it comes.
pub fn recorder(address: &str, transport: &str, seconds: u32, to: &Path) -> Child {
    ffmpeg()
        .args([
            "-rtsp_transport",
            transport,
            "-i",
            address,
            "-t",
            &seconds.to_string(),
            "-c",
            "copy",
        ])
        .arg(to)
        .stdin(Stdio::null())
        .spawn()
        .expect("ffmpeg starts")
}

/// Stores `seconds` of the stream at `address`.
pub fn record(address: &str, transport: &str, seconds: u32, to: &Path) {
    let mut command = ffmpeg();
    command.args([
        "-rtsp_transport",
        transport,
        "-i",
        address,
        "-t",
        &seconds.to_string(),
        "-c",
        "copy",
    ]);
    run_tool(command.arg(to));
}

/// What was seen in the pictures of a file.
#[derive(Debug, Default)]
pub struct Seen {
    pub pictures: usize,
    /// Pictures of the scene, told by its noise, and not the filled one.
    pub scenes: usize,
    /// Pictures with any marker.
    pub leaks: usize,
}

/// Looks at every picture of `path`.
pub fn look(path: &Path) -> Seen {
    let mut seen = Seen::default();
    // With even times: ffmpeg gives the first pictures of an RTSP stream the same one, and then refuses it.
    let even = path.with_extension("even.mkv");
    let path = if path.extension().is_some_and(|extension| extension == "mkv") {
        let mut command = ffmpeg();
        command
            .arg("-i")
            .arg(path)
            .args(["-c", "copy", "-bsf:v", "setts=ts=N*0.04/TB"]);
        run_tool(command.arg(&even));
        even.as_path()
    } else {
        path
    };
    each_frame(path, |_, picture| {
        seen.pictures += 1;
        let row = &picture.plane(0)[..picture.width * 8];
        let steps: u64 = row
            .windows(2)
            .map(|pair| u64::from(pair[0].abs_diff(pair[1])))
            .sum();
        seen.scenes += usize::from(steps as f64 / row.len() as f64 > 0.5);
        let found = |class| !find_markers(&picture, Matrix::Bt601, class).is_empty();
        seen.leaks += usize::from(found(Class::Face) || found(Class::Plate));
    });
    seen
}

/// Checks that `path` shows the scene in at least `scenes` pictures, and no marker in any.
pub fn is_redacted(path: &Path, scenes: usize) -> Seen {
    let seen = look(path);
    assert_eq!(seen.leaks, 0, "{}: {seen:?}", path.display());
    assert!(seen.scenes >= scenes, "{}: {seen:?}", path.display());
    seen
}

/// Times of the packets of `path` in seconds, in the order of the file.
pub fn packet_times(path: &Path) -> Vec<f64> {
    let mut command = Command::new("ffprobe");
    command.args([
        "-v",
        "error",
        "-show_entries",
        "packet=dts_time,pts_time",
        "-of",
        "json",
    ]);
    let said: serde_json::Value =
        serde_json::from_slice(&run_tool(command.arg(path))).expect("ffprobe prints JSON");
    let time = |packet: &serde_json::Value| {
        ["dts_time", "pts_time"]
            .iter()
            .find_map(|key| packet[key].as_str()?.parse().ok())
    };
    said["packets"]
        .as_array()
        .expect("packets")
        .iter()
        .filter_map(time)
        .collect()
}
