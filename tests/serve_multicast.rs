//! Multicast, on the loopback interface: off until it is switched on, and then each stream has a group of its own.

mod common;
mod gateway;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use common::codec::Codec;
use common::look::{ffprobe_json, stream};
use common::{skip, temp_dir};
use floutage::serve::state::Health;
use gateway::*;
use gst::prelude::*;

/// A client that asks for a stream by multicast, and says so for as long as it is there.
struct Client {
    stream: TcpStream,
    /// What addresses of streams are relative to.
    base: String,
    session: String,
}

impl Client {
    fn new(address: &str) -> Self {
        let host = address.split('/').nth(2).expect("a host");
        let stream = TcpStream::connect(host).expect("it listens");
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a time limit can be set");
        Self {
            stream,
            base: address.to_owned(),
            session: String::new(),
        }
    }

    /// The head of the answer; the body, if it has one, is read and left out.
    fn ask(&mut self, method: &str, what: &str, more: &str) -> String {
        let (base, session) = (&self.base, &self.session);
        let request = format!("{method} {base}{what} RTSP/1.0\r\nCSeq: 1\r\n{more}{session}\r\n");
        self.stream.write_all(request.as_bytes()).expect("it hears");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.stream.read_exact(&mut byte).expect("it answers");
            head.extend(byte);
        }
        let head = String::from_utf8(head).expect("text");
        if let Some(length) = header(&head, "Content-Length") {
            let length = length.parse().expect("a number");
            self.stream
                .read_exact(&mut vec![0; length])
                .expect("it answers");
        }
        head
    }

    /// What it is answered to the wish for multicast.
    fn set_up(&mut self) -> String {
        let described = self.ask("DESCRIBE", "", "Accept: application/sdp\r\n");
        assert!(described.starts_with("RTSP/1.0 200"), "{described}");
        let base = header(&described, "Content-Base").expect("a base");
        self.base = base.to_owned();
        let transport = "Transport: RTP/AVP;multicast\r\n";
        self.ask("SETUP", "stream=0", transport)
    }

    /// Has it play; returns the group and the port.
    fn play(&mut self) -> (String, u16) {
        let answer = self.set_up();
        assert!(answer.starts_with("RTSP/1.0 200"), "{answer}");
        let transport = header(&answer, "Transport").expect("a transport");
        let part = |name: &str| {
            let found = transport.split(';').find_map(|it| it.strip_prefix(name));
            found.unwrap_or_else(|| panic!("{name}: {transport}"))
        };
        let ports = part("port=").split('-').next().expect("a port");
        let group = (
            part("destination=").to_owned(),
            ports.parse().expect("a number"),
        );
        let session = header(&answer, "Session").expect("a session");
        self.session = format!("Session: {}\r\n", session.split(';').next().expect("it"));
        let plays = self.ask("PLAY", "", "");
        assert!(plays.starts_with("RTSP/1.0 200"), "{plays}");
        group
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let line = head.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim_start_matches(':').trim())
}

/// Stores what leaves by multicast; None when this machine does not let it.
struct Capture(Child);

impl Capture {
    fn start(folder: &Path) -> Option<Self> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/gateway/multicast.py");
        let mut child = Command::new("python3")
            .arg(script)
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 starts");
        let mut said = String::new();
        BufReader::new(child.stdout.take().expect("piped"))
            .read_line(&mut said)
            .expect("it says something");
        if said.is_empty() {
            assert_eq!(child.wait().expect("it ends").code(), Some(77));
            return None;
        }
        Some(Self(child))
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // It ends with its input.
        let _ = self.0.wait();
    }
}

/// The pictures in a file of RTP packets.
fn pictures(packets: &Path) -> PathBuf {
    let coded = packets.with_extension("h264");
    let launch = format!(
        "filesrc location={} ! application/x-rtp-stream,media=video,clock-rate=90000,encoding-name=H264 ! rtpstreamdepay \
         ! rtph264depay wait-for-keyframe=true ! h264parse ! video/x-h264,stream-format=byte-stream ! filesink location={}",
        packets.display(),
        coded.display()
    );
    let pipeline = gst::parse::launch(&launch).expect("the elements are there");
    pipeline.set_state(gst::State::Playing).expect("it runs");
    let bus = pipeline.bus().expect("it has a bus");
    let kinds = [gst::MessageType::Eos, gst::MessageType::Error];
    let end = bus.timed_pop_filtered(gst::ClockTime::NONE, &kinds);
    let end = end.expect("it ends");
    assert_eq!(end.type_(), gst::MessageType::Eos, "{end:?}");
    pipeline.set_state(gst::State::Null).expect("it stops");
    let whole = packets.with_extension("mkv");
    let mut command = common::ffmpeg();
    // The last picture is cut.
    command.args(["-framerate", "15", "-i"]).arg(coded);
    command.args(["-frames:v", "30", "-c", "copy"]);
    common::run_tool(command.arg(&whole));
    whole
}

#[test]
fn multicast_is_off_until_it_is_switched_on_and_streams_keep_apart() {
    let dir = temp_dir();
    let path = clip(dir.path(), "clip.mp4", Codec::H264, 3);
    let cameras = format!(
        "{}[camera.sub]\nwidth = 160\n{}",
        looped("door", &path),
        looped("yard", &path)
    );
    let served = Served::start(dir.path(), &config(&format!("{RTSP}{cameras}")));
    served.wait("door", "is live", |status| status.health == Health::Live);
    let refused = Client::new(&served.address("door")).set_up();
    assert!(refused.starts_with("RTSP/1.0 461"), "{refused}");
    drop(served);

    let on = RTSP.trim_end();
    let text = config(&format!(
        "{on}\nmulticast = true\nmulticast-interface = \"lo\"\n\n{cameras}"
    ));
    let served = Served::start(dir.path(), &text);
    for camera in ["door", "yard"] {
        served.wait(camera, "is live", |status| status.health == Health::Live);
    }
    let Some(capture) = Capture::start(dir.path()) else {
        skip!("this user may not see raw packets");
    };
    // All at the same time: in one group, each would get the others' pictures as well.
    let playing: Vec<_> = [("door", 320), ("door/sub", 160), ("yard", 320)]
        .into_iter()
        .map(|(name, width)| {
            let mut client = Client::new(&served.address(name));
            let (group, port) = client.play();
            assert!(group.starts_with("239.255."), "{group}");
            let packets = dir.path().join(format!("{group}-{port}.rtp"));
            (client, packets, name, width)
        })
        .collect();
    for (_, packets, name, _) in &playing {
        wait_for(name, || {
            packets.metadata().ok().filter(|data| data.len() > 200_000)
        });
    }
    drop(capture);
    for (_, packets, name, width) in playing {
        let whole = pictures(&packets);
        let seen = is_redacted(&whole, 10);
        assert_eq!(seen.scenes, seen.pictures, "{name}: {seen:?}");
        let probe = ffprobe_json(&whole);
        let video = stream(&probe, "video").expect("video");
        assert_eq!(video["width"], width, "{name}");
    }
}
