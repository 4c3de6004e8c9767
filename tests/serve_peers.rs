//! Other servers and cameras than RTSP's: push targets, motion JPEG; and the time that sender reports tell.

mod common;
mod gateway;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};

use common::codec::Codec;
use common::look::{ffprobe_json, stream};
use common::{ffmpeg, run_tool, temp_dir};
use floutage::serve::state::Health;
use gateway::*;
use gst::prelude::*;
use gst_rtsp_server::prelude::*;

/// A server that stores what is recorded to /in.
struct Recording {
    main: gst::glib::MainLoop,
    thread: Option<std::thread::JoinHandle<()>>,
    port: i32,
}

impl Recording {
    fn start(to: &Path) -> Self {
        floutage::init().expect("GStreamer starts");
        let server = gst_rtsp_server::RTSPServer::new();
        server.set_address("127.0.0.1");
        server.set_service("0");
        let factory = gst_rtsp_server::RTSPMediaFactory::new();
        factory.set_transport_mode(gst_rtsp_server::RTSPTransportMode::RECORD);
        factory.set_latency(200);
        factory.set_launch(&format!("( rtph264depay name=depay0 ! h264parse ! video/x-h264,stream-format=byte-stream ! filesink sync=false location={} )", to.display()));
        server
            .mount_points()
            .expect("it has mount points")
            .add_factory("/in", factory);
        let context = gst::glib::MainContext::new();
        let main = gst::glib::MainLoop::new(Some(&context), false);
        server.attach(Some(&context)).expect("the port is free");
        let (running, port) = (main.clone(), server.bound_port());
        let thread = std::thread::spawn(move || {
            context
                .with_thread_default(|| running.run())
                .expect("the context is free")
        });
        Self {
            main,
            thread: Some(thread),
            port,
        }
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.main.quit();
        self.thread.take().map(|thread| thread.join());
    }
}

#[test]
fn a_stream_is_pushed_to_an_rtsp_server_and_to_an_srt_listener() {
    let dir = temp_dir();
    let path = clip(dir.path(), "clip.mp4", Codec::H264, 3);
    let pushed = dir.path().join("pushed.h264");
    let server = Recording::start(&pushed);
    let sent = dir.path().join("sent.ts");
    let port = std::net::UdpSocket::bind("127.0.0.1:0")
        .and_then(|socket| socket.local_addr())
        .expect("a free port")
        .port();
    let listener = gst::parse::launch(&format!(
        "srtsrc uri=srt://127.0.0.1:{port}?mode=listener ! filesink sync=false location={}",
        sent.display()
    ))
    .expect("the elements are there");
    listener.set_state(gst::State::Playing).expect("it listens");
    let targets = format!(
        "[[camera.push]]\nurl = \"rtsp://127.0.0.1:{}/in\"\n[[camera.push]]\nurl = \"srt://127.0.0.1:{port}\"\n[[camera.push]]\nurl = \"rtsp://127.0.0.1:1/nobody\"\n",
        server.port
    );
    let served = Served::start(
        dir.path(),
        &config(&format!("{RTSP}{}{targets}", looped("door", &path))),
    );
    served.wait("door", "tells of the target that is away", |status| {
        status
            .last_error
            .as_ref()
            .is_some_and(|error| error.contains("push to rtsp://127.0.0.1:1/nobody"))
    });
    for file in [&pushed, &sent] {
        wait_for("what was pushed", || {
            file.metadata().ok().filter(|data| data.len() > 300_000)
        });
    }
    drop(served);
    listener.set_state(gst::State::Null).expect("it stops");
    drop(server);
    // The last picture is cut. What SRT brought begins within a group of pictures, which ffmpeg leaves out when it copies.
    let received = dir.path().join("received.mkv");
    let mut command = ffmpeg();
    command.arg("-i").arg(&sent).args(["-frames:v", "40"]);
    run_tool(command.args(["-c", "copy"]).arg(&received));
    is_redacted(&received, 15);
    let whole = dir.path().join("whole.mkv");
    let mut command = ffmpeg();
    command.arg("-i").arg(&pushed).args(["-frames:v", "40"]);
    command.args(["-c", "copy", "-bsf:v", "setts=ts=N*0.04/TB"]);
    run_tool(command.arg(&whole));
    is_redacted(&whole, 15);
}

#[test]
fn a_motion_jpeg_camera_is_served() {
    let dir = temp_dir();
    let path = clip(dir.path(), "clip.mp4", Codec::H264, 2);
    run_tool(
        ffmpeg()
            .arg("-i")
            .arg(&path)
            .args(["-q:v", "2"])
            .arg(dir.path().join("%03d.jpg")),
    );
    let pictures: Vec<Vec<u8>> = (1..=30)
        .map(|index| std::fs::read(dir.path().join(format!("{index:03}.jpg"))).expect("made"))
        .collect();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.expect("a client");
            // The request, which is the same whatever it says.
            let _ = client.read(&mut [0; 4096]);
            let mut said = client.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=next\r\n\r\n");
            for picture in pictures.iter().cycle() {
                let head = format!(
                    "--next\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n",
                    picture.len()
                );
                said = said
                    .and_then(|()| client.write_all(head.as_bytes()))
                    .and_then(|()| client.write_all(picture))
                    .and_then(|()| client.write_all(b"\r\n"));
                if said.is_err() {
                    break;
                }
                std::thread::sleep(std::time::Duration::from_millis(66));
            }
        }
    });
    let text = config(&format!(
        "{RTSP}[[camera]]\nname = \"old\"\nsource = \"http://127.0.0.1:{port}/video\"\n"
    ));
    let served = Served::start(dir.path(), &text);
    served.wait("old", "is live", |status| status.health == Health::Live);
    let to = dir.path().join("old.mkv");
    record(&served.address("old"), "tcp", 4, &to);
    is_redacted(&to, 25);
    assert_eq!(
        stream(&ffprobe_json(&to), "video").expect("video")["width"],
        320
    );
}

#[test]
fn a_device_that_is_not_there_is_told_and_harms_nobody() {
    let dir = temp_dir();
    let path = clip(dir.path(), "clip.mp4", Codec::H264, 3);
    let nothing = dir.path().join("no-device");
    std::fs::write(&nothing, "a file").expect("it can be written");
    let text = config(&format!(
        "{RTSP}[[camera]]\nname = \"away\"\nsource = \"v4l2:///dev/video-of-nobody\"\n[[camera]]\nname = \"file\"\nsource = \"v4l2://{}\"\n{}",
        nothing.display(),
        looped("door", &path)
    ));
    let served = Served::start(dir.path(), &text);
    for (camera, device) in [
        ("away", "/dev/video-of-nobody"),
        ("file", nothing.to_str().expect("text")),
    ] {
        let told = served.wait(camera, "tells of its device", |status| {
            status.last_error.is_some()
        });
        let error = told.last_error.unwrap_or_default();
        assert!(
            error.contains(device) && error.contains("no video device"),
            "{error}"
        );
        assert_ne!(told.health, Health::Live);
    }
    served.wait("door", "is live", |status| status.health == Health::Live);
    // What is away shows the filled picture.
    let to = dir.path().join("away.mkv");
    record(&served.address("away"), "tcp", 3, &to);
    let seen = is_redacted(&to, 0);
    assert!(seen.pictures > 0 && seen.scenes == 0, "{seen:?}");
}

/// Seconds by which the camera's clock is ahead.
const AHEAD: u32 = 86_400;

#[test]
fn sender_reports_tell_the_cameras_own_time() {
    let dir = temp_dir();
    let path = clip(dir.path(), "clip.mp4", Codec::H264, 25);
    let camera = Camera::start(&path, "h264", 0, None);
    camera.set_clock_ahead(AHEAD);
    let text = config(&format!(
        "{RTSP}[[camera]]\nname = \"gate\"\nsource = \"{}\"\n",
        camera.address()
    ));
    let served = Served::start(dir.path(), &text);
    served.wait("gate", "is live", |status| status.health == Health::Live);
    // The camera's first sender report comes within seconds.
    let told = Arc::new(Mutex::new(Vec::new()));
    let pipeline = gst::Pipeline::new();
    let source = gst::ElementFactory::make("rtspsrc")
        .property("location", served.address("gate"))
        .build()
        .expect("it is there");
    source.set_property_from_str("protocols", "tcp");
    pipeline.add(&source).expect("it fits");
    let sink = gst::ElementFactory::make("fakesink")
        .property("sync", false)
        .build()
        .expect("it is there");
    pipeline.add(&sink).expect("it fits");
    source.connect_pad_added(move |_, pad| {
        pad.link(&sink.static_pad("sink").expect("a pad"))
            .expect("it links");
    });
    let reports = told.clone();
    source.connect("new-manager", false, move |values| {
        let manager: gst::Element = values[1].get().expect("an element");
        let reports = reports.clone();
        manager.connect("new-jitterbuffer", false, move |values| {
            let buffer: gst::Element = values[1].get().expect("an element");
            let reports = reports.clone();
            buffer.connect("handle-sync", false, move |values| {
                let sync: gst::Structure = values[1].get().expect("a structure");
                let report: gst::Buffer = sync.get("sr-buffer").expect("a report");
                let bytes = report.map_readable().expect("readable");
                let seconds = u32::from_be_bytes(bytes[8..12].try_into().expect("four bytes"));
                reports
                    .lock()
                    .expect("nobody failed")
                    .push(i64::from(seconds) - 2_208_988_800);
                None
            });
            None
        });
        None
    });
    pipeline.set_state(gst::State::Playing).expect("it plays");
    let ahead = || {
        std::time::UNIX_EPOCH
            .elapsed()
            .expect("after 1970")
            .as_secs() as i64
            + i64::from(AHEAD)
    };
    let near = |time: &i64| (ahead() - time).abs() < 600;
    wait_for("a report with the camera's time", || {
        told.lock()
            .expect("nobody failed")
            .iter()
            .any(near)
            .then_some(())
    });
    pipeline.set_state(gst::State::Null).expect("it stops");
}
