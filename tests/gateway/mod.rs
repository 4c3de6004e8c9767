//! The gateway in a test: cameras that serve clips with known content, the gateway itself, and clients that store what they
//! get, so that it can be looked at.
#![allow(dead_code)] // Every test program uses its own part of this.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
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
        self.shift_clock(Arc::new(AtomicI64::new(seconds.into())));
    }

    /// Has sender reports to clients from now on tell a time that is as many seconds ahead as `ahead` says at each.
    pub fn shift_clock(&self, ahead: Arc<AtomicI64>) {
        self.each_packet("send_rtcp_src", move |mut packet| {
            if packet.get(1) == Some(&200) {
                let time = u32::from_be_bytes(packet[8..12].try_into().expect("four bytes"));
                let time = time.wrapping_add(ahead.load(Ordering::Relaxed) as u32);
                packet[8..12].copy_from_slice(&time.to_be_bytes());
            }
            vec![packet]
        });
    }

    /// Has `change` say what is sent to clients from now on in place of each RTP packet.
    pub fn change_packets(&self, change: impl Fn(Vec<u8>) -> Vec<Vec<u8>> + Send + Sync + 'static) {
        self.each_packet("send_rtp_src", change);
    }

    fn each_packet(
        &self,
        pads: &'static str,
        change: impl Fn(Vec<u8>) -> Vec<Vec<u8>> + Send + Sync + 'static,
    ) {
        let change = Arc::new(change);
        let mounts = self.server.mount_points().expect("it has mount points");
        let (factory, _) = mounts.match_("/stream");
        factory.connect_media_configure(move |_, media| {
            let change = change.clone();
            media.connect_prepared(move |media| {
                let mut top = media.element().upcast::<gst::Object>();
                while let Some(parent) = top.parent() {
                    top = parent;
                }
                let bin = top.downcast::<gst::Bin>().expect("a pipeline");
                let elements = bin.iterate_recurse().into_iter().filter_map(Result::ok);
                for pad in elements
                    .flat_map(|element| element.pads())
                    .filter(|pad| pad.name().starts_with(pads) && pad.is::<gst::GhostPad>())
                {
                    let change = change.clone();
                    let both = gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST;
                    pad.add_probe(both, move |pad, info| send(pad, info, &*change));
                }
            });
        });
    }
}

/// Sends what `change` makes of the packets in `info` in their place.
fn send(
    pad: &gst::Pad,
    info: &mut gst::PadProbeInfo<'_>,
    change: &dyn Fn(Vec<u8>) -> Vec<Vec<u8>>,
) -> gst::PadProbeReturn {
    thread_local! {
        static OWN: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
    }
    if OWN.get() {
        return gst::PadProbeReturn::Ok;
    }
    let packets: Vec<gst::Buffer> = match info.data.take() {
        Some(gst::PadProbeData::Buffer(packet)) => vec![packet],
        Some(gst::PadProbeData::BufferList(list)) => list.iter_owned().collect(),
        other => {
            info.data = other;
            return gst::PadProbeReturn::Ok;
        }
    };
    OWN.set(true);
    for packet in packets {
        let bytes = packet.map_readable().expect("it can be read").to_vec();
        for bytes in change(bytes) {
            let mut sent = gst::Buffer::from_mut_slice(bytes);
            let inside = sent.get_mut().expect("it is new");
            inside.set_pts(packet.pts());
            inside.set_dts(packet.dts());
            // A client that is gone is no matter of the camera's.
            let _ = pad.push(sent);
        }
    }
    OWN.set(false);
    gst::PadProbeReturn::Handled
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
