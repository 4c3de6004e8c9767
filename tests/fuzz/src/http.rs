//! The gateway's web server, over a socket.

#[path = "../../web_support/mod.rs"]
mod web_support;

use std::io::{Read, Write};
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use floutage::serve::web::Limits;

use self::web_support::{CAMERAS, Client, SECRET, Server, settings};

/// The most that is read of an answer, in bytes: some have no end.
const MOST: u64 = 64 << 10;

struct Running {
    server: Server,
    admin: Mutex<Client>,
}

static RUNNING: LazyLock<Running> = LazyLock::new(|| {
    let limits = Limits {
        head: Duration::from_millis(50),
        answer: Duration::from_millis(400),
        write: Duration::from_secs(20),
        connections: 64,
    };
    let server = Server::with(settings(), limits);
    let admin = Mutex::new(server.admin());
    Running { server, admin }
});

/// `data` with every `name` replaced.
fn replace(data: &[u8], name: &[u8], with: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len());
    let mut rest = data;
    while let Some(at) = rest.windows(name.len()).position(|part| part == name) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(with.as_bytes());
        rest = &rest[at + name.len()..];
    }
    out.extend_from_slice(rest);
    out
}

/// Sends `data` as it is to the web server; `@COOKIE` and `@TOKEN` stand for those of an administrator. No request makes the server
/// fail, none gets a file that is not to be served, and none without the cookie learns of cameras.
pub fn http(data: &[u8]) {
    let running = &*RUNNING;
    let admin = running.admin.lock().unwrap_or_else(|it| it.into_inner());
    let cookie = admin.cookie.as_deref().unwrap_or_default();
    let request = replace(data, b"@COOKIE", cookie);
    let request = replace(
        &request,
        b"@TOKEN",
        admin.csrf.as_deref().unwrap_or_default(),
    );
    let mut stream = running.server.connect();
    // It may answer and close before everything is written.
    let _ = stream.write_all(&request);
    let mut answer = Vec::new();
    let _ = stream.take(MOST).read_to_end(&mut answer);
    let text = String::from_utf8_lossy(&answer);
    let knows = |word: &str| replace(data, word.as_bytes(), "").len() < data.len();
    assert!(!text.starts_with("HTTP/1.1 5"), "{text}");
    assert!(!text.contains(SECRET));
    if !knows("@COOKIE") && !knows(CAMERAS[1]) {
        assert!(!text.contains(CAMERAS[1]), "{text}");
        let picture = answer.windows(3).any(|part| part == b"\xff\xd8\xff");
        assert!(!picture, "a picture for a stranger");
    }
}
