//! The gateway's RTSP server, over a socket, and the addresses that clients ask for.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::LazyLock;
use std::time::Duration;

use floutage::serve::config::outputs::{Rtsp, Watcher};
use floutage::serve::rtsp::{Server, mount, mounts};

static SERVER: LazyLock<Server> = LazyLock::new(|| {
    floutage::init().expect("GStreamer starts");
    let password = super::folder("rtsp").join("password");
    std::fs::write(&password, "long enough a password").expect("written");
    let settings = Rtsp {
        listen: ([127, 0, 0, 1], 0).into(),
        users: vec![Watcher {
            name: "watcher".into(),
            password_file: Some(password),
            password_env: None,
            cameras: vec!["door".into()],
        }],
        ..Rtsp::default()
    };
    Server::start(&settings).expect("it starts")
});

/// Sends `data` as it is to the RTSP server; nobody is logged in, so nothing but the methods there are is told. Then each line of it is
/// taken for an address.
pub fn rtsp(data: &[u8]) {
    let port = u16::try_from(SERVER.port()).expect("a port");
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    let patience = Duration::from_secs(20);
    stream
        .set_read_timeout(Some(patience))
        .expect("a time limit can be set");
    let _ = stream.write_all(data);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Err(error) if error.kind() != std::io::ErrorKind::ConnectionReset => {
            panic!("the connection stays open: {error}")
        }
        _ => {}
    }
    let answer = String::from_utf8_lossy(&answer);
    for leak in ["application/sdp", "Session:", "RTP-Info", "Transport:"] {
        assert!(!answer.contains(leak), "{answer}");
    }
    for line in data.split(|byte| *byte == b'\n').take(4) {
        let Ok(text) = std::str::from_utf8(line) else {
            continue;
        };
        for address in [text.to_owned(), format!("rtsp://127.0.0.1/{text}")] {
            if address.contains('\0') {
                continue;
            }
            if let (_, Some(url)) = gst_rtsp::RTSPUrl::parse(&address) {
                let mount = mount(&url);
                let camera = mounts::camera(&mount);
                assert!(!camera.contains(['/', '!']), "{address}: {camera}");
            }
        }
    }
}
