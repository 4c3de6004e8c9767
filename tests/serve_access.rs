//! Who may watch what, and clients that do not behave.

mod common;
mod gateway;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use common::codec::Codec;
use common::{ffmpeg, repository, temp_dir};
use floutage::serve::state::Health;
use gateway::*;

/// Whether ffmpeg gets a picture at `address`.
fn plays(address: &str) -> bool {
    tried(address).is_ok()
}

/// Nothing where ffmpeg gets a picture at `address`, else what it says.
fn tried(address: &str) -> Result<(), String> {
    let mut command = ffmpeg();
    command.args([
        "-timeout",
        "20000000",
        "-rtsp_transport",
        "tcp",
        "-i",
        address,
    ]);
    command.args(["-frames:v", "3", "-c", "copy", "-f", "null", "-"]);
    let output = command.output().expect("ffmpeg runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    output.status.success().then_some(()).ok_or(said)
}

/// Sends `request` and returns the first line of the answer.
fn ask(port: i32, request: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port as u16)).expect("it listens");
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .expect("a timeout");
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut answer = [0; 4096];
    let length = stream.read(&mut answer).unwrap_or(0);
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

#[test]
fn users_see_their_cameras_alone() {
    let dir = temp_dir();
    for (user, password) in [("all", "one"), ("some", "two")] {
        std::fs::write(dir.path().join(user), password).expect("it can be written");
    }
    let path = clip(dir.path(), "clip.mp4", Codec::H264, 3);
    let users = format!(
        "[[rtsp.users]]\nname = \"all\"\npassword-file = \"{0}/all\"\ncameras = [\"*\"]\n[[rtsp.users]]\nname = \"some\"\npassword-file = \"{0}/some\"\ncameras = [\"door\"]\n\n",
        dir.path().display()
    );
    let text = config(&format!(
        "{RTSP}{users}{}\n[camera.sub]\nwidth = 160\n\n{}",
        looped("door", &path),
        looped("door-2", &path)
    ));
    let served = Served::start(dir.path(), &text);
    for camera in ["door", "door-2"] {
        served.wait(camera, "is live", |status| status.health == Health::Live);
    }
    let port = served.gateway.rtsp_port();
    for (login, camera, allowed) in [
        ("all:one@", "door", true),
        ("all:one@", "door-2", true),
        ("some:two@", "door", true),
        ("all:one@", "door/sub", true),
        ("some:two@", "door/sub", true),
        ("some:two@", "door-2", false),
        ("some:two@", "door-2/sub", false),
        ("", "door/sub", false),
        ("some:one@", "door", false),
        ("nobody:two@", "door", false),
        ("", "door", false),
    ] {
        let address = format!("rtsp://{login}127.0.0.1:{port}/{camera}");
        assert_eq!(plays(&address), allowed, "{address}");
    }
    for hidden in ["door-2", "nothing"] {
        let said = tried(&format!("rtsp://some:two@127.0.0.1:{port}/{hidden}"));
        assert!(
            said.as_ref().is_err_and(|said| said.contains("404")),
            "{said:?}"
        );
    }
    let answer = ask(
        port,
        &format!("DESCRIBE rtsp://127.0.0.1:{port}/door RTSP/1.0\r\nCSeq: 1\r\n\r\n"),
    );
    assert!(
        answer.starts_with("RTSP/1.0 401")
            && answer.contains("Digest")
            && !answer.contains("Basic"),
        "{answer}"
    );
}

#[test]
fn with_a_certificate_nothing_goes_in_the_clear() {
    let dir = temp_dir();
    let path = clip(dir.path(), "clip.mp4", Codec::H264, 3);
    let (certificate, key) = (
        repository("tests/gateway/certificate.pem"),
        repository("tests/gateway/key.pem"),
    );
    let tls = format!(
        "tls = {{ certificate = \"{}\", key = \"{}\" }}\n\n",
        certificate.display(),
        key.display()
    );
    let text = config(&format!(
        "{}{tls}{}",
        RTSP.trim_end_matches('\n').to_owned() + "\n",
        looped("door", &path)
    ));
    let served = Served::start(dir.path(), &text);
    let port = served.gateway.rtsp_port();
    assert!(!plays(&format!("rtsp://127.0.0.1:{port}/door")));
    // A second gateway as the client: its camera is the first one's stream.
    let second = temp_dir();
    let camera = |certificate: &Path| {
        config(&format!(
            "{RTSP}[[camera]]\nname = \"far\"\nsource = \"rtsps://127.0.0.1:{port}/door\"\ncertificate = \"{}\"\n",
            certificate.display()
        ))
    };
    let client = Served::start(second.path(), &camera(&certificate));
    client.wait("far", "is live", |status| status.health == Health::Live);
    let to = second.path().join("far.mkv");
    record(&client.address("far"), "tcp", 3, &to);
    is_redacted(&to, 20);
}

#[test]
fn clients_that_misbehave_harm_nobody() {
    let dir = temp_dir();
    let path = clip(dir.path(), "clip.mp4", Codec::H264, 3);
    let served = Served::start(
        dir.path(),
        &config(&format!("{RTSP}{}", looped("door", &path))),
    );
    served.wait("door", "is live", |status| status.health == Health::Live);
    let port = served.gateway.rtsp_port();
    let address = served.address("door");
    let to = dir.path().join("good.mkv");
    let mut good = recorder(&address, "tcp", 12, &to);
    wait_for("the client", || {
        to.metadata().ok().filter(|data| data.len() > 20_000)
    });
    // One that plays and never reads.
    let mut deaf = TcpStream::connect(("127.0.0.1", port as u16)).expect("it listens");
    for request in [
        format!(
            "SETUP {address}/stream=0 RTSP/1.0\r\nCSeq: 1\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n"
        ),
        format!("DESCRIBE {address} RTSP/1.0\r\nCSeq: 2\r\n\r\n"),
    ] {
        deaf.write_all(request.as_bytes()).expect("it reads");
    }
    // Many that come and go.
    let visitors: Vec<TcpStream> = (0..200)
        .filter_map(|_| TcpStream::connect(("127.0.0.1", port as u16)).ok())
        .collect();
    for (index, mut visitor) in visitors.into_iter().enumerate() {
        let request = match index % 4 {
            0 => format!("DESCRIBE {address} RTSP/1.0\r\nCSeq: 1\r\n\r\n"),
            1 => "OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n".to_owned(),
            2 => "DESCRIBE rtsp://x/../../etc/passwd RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 4000000000\r\n\r\n".to_owned(),
            _ => String::from_utf8_lossy(&noise(index as u64, 700)).into_owned(),
        };
        // It may have hung up already.
        let _ = visitor.write_all(request.as_bytes());
    }
    for seed in 0..50 {
        let mut stranger = TcpStream::connect(("127.0.0.1", port as u16)).expect("it listens");
        let _ = stranger.write_all(&noise(seed, 3000));
    }
    let answer = ask(
        port,
        &format!("DESCRIBE rtsp://127.0.0.1:{port}/../floutage.toml RTSP/1.0\r\nCSeq: 1\r\n\r\n"),
    );
    assert!(answer.starts_with("RTSP/1.0 404"), "{answer}");
    assert!(good.wait().expect("ffmpeg ends").success());
    let seen = is_redacted(&to, 120);
    let times = packet_times(&to);
    assert!(
        times.windows(2).skip(1).all(|pair| pair[1] - pair[0] < 1.0),
        "{seen:?} {times:?}"
    );
    drop(deaf);
    served.wait("door", "has lost its clients", |status| status.clients == 0);
    assert!(plays(&address));
    assert_eq!(served.status("door").reconnects, 0);
}

/// Bytes without order, the same for the same seed.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    })
    .take(length)
    .collect()
}
