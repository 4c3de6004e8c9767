//! What the web server does with clients that mean no good: paths out of folders, too much, too slow, nonsense.

mod web_support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::Ordering;
use std::time::Duration;

use floutage::serve::web::Limits;
use web_support::{CAMERAS, RECORDINGS, SECRET, Server, settings};

/// Short times, so that tests of slow clients are not slow.
fn short() -> Limits {
    Limits {
        head: Duration::from_millis(300),
        answer: Duration::from_millis(600),
        write: Duration::from_millis(600),
        connections: 8,
    }
}

/// Reads until the server closes the connection; fails when it does not.
fn rest(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Err(error) if error.kind() != std::io::ErrorKind::ConnectionReset => {
            panic!("the connection was not closed: {error}")
        }
        _ => String::from_utf8_lossy(&answer).into_owned(),
    }
}

#[test]
fn no_address_leads_out_of_the_recordings() {
    let server = Server::new();
    let admin = server.admin();
    let cookie = admin.cookie.clone().unwrap();
    let get = |target: &str| {
        let request = format!(
            "GET {target} HTTP/1.1\r\nhost: x\r\ncookie: {cookie}\r\nconnection: close\r\n\r\n"
        );
        server.raw(request.as_bytes())
    };
    // The way is right: the listed file comes.
    assert!(
        get(&format!(
            "/api/v1/cameras/entrance/recordings/{}",
            RECORDINGS[0]
        ))
        .starts_with("HTTP/1.1 200")
    );
    let ups = [
        "../secret.mp4",
        "..%2fsecret.mp4",
        "..%2Fsecret.mp4",
        "%2e%2e%2fsecret.mp4",
        "%2e%2e/secret.mp4",
        "..%252fsecret.mp4",
        "..%5csecret.mp4",
        "..\\secret.mp4",
        "..%c0%afsecret.mp4",
        "%2e%2e%2f%2e%2e%2f%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "%2fetc%2fpasswd",
        "/etc/passwd",
        "secret.mp4%00",
        "2026-03-01T12-00-00.mp4%00",
        "2026-03-01T12-00-00.mp4%2f..%2f..%2fsecret.mp4",
        "./2026-03-01T12-00-00.mp4%2f",
        "..;/secret.mp4",
        "%ff%fe",
        "",
        ".",
        "..",
    ];
    let prefixes = [
        "/api/v1/cameras/entrance/recordings/",
        "/api/v1/cameras/entrance/hls/",
        "/api/v1/cameras/",
        "/api/v1/cameras/entrance/",
        "/cameras/",
        "/assets/",
        "/",
        "http://x/api/v1/cameras/entrance/recordings/",
    ];
    for prefix in prefixes {
        for up in ups {
            let answer = get(&format!("{prefix}{up}"));
            let status = answer.split(' ').nth(1).unwrap_or_default();
            let is_page = prefix == "/" && up.is_empty();
            assert!(
                ["400", "404", "405"].contains(&status) || is_page,
                "{prefix}{up}: {answer}"
            );
            assert!(
                !answer.contains(SECRET) && !answer.contains("root:"),
                "{prefix}{up}: {answer}"
            );
        }
    }
}

#[test]
fn what_is_too_large_is_refused() {
    let server = Server::new();
    let admin = server.admin();
    let path = "/api/v1/cameras/entrance/settings";
    let cookie = admin.cookie.clone().unwrap();
    let token = admin.csrf.clone().unwrap();
    // A length that is told is refused before anything of it comes.
    for (method, target) in [
        ("PUT", path),
        ("POST", "/login"),
        ("POST", "/api/v1/session"),
    ] {
        let answer = server.raw(
            format!(
                "{method} {target} HTTP/1.1\r\nhost: x\r\ncookie: {cookie}\r\nx-csrf-token: {token}\r\nconnection: close\r\n\
                 content-type: application/json\r\ncontent-length: 300000\r\n\r\n"
            )
            .as_bytes(),
        );
        assert!(answer.starts_with("HTTP/1.1 413"), "{target}: {answer}");
        assert!(answer.contains("content-security-policy"), "{answer}");
    }
    // Without a length told before, too.
    let head = format!(
        "PUT {path} HTTP/1.1\r\nhost: x\r\ncookie: {cookie}\r\nx-csrf-token: {token}\r\ncontent-type: application/json\r\n\
         connection: close\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    let mut request = head.into_bytes();
    for _ in 0..80 {
        request.extend_from_slice(b"1000\r\n");
        request.extend_from_slice(&[b' '; 4096]);
        request.extend_from_slice(b"\r\n");
    }
    let mut stream = server.connect();
    let mut writer = stream.try_clone().unwrap();
    let writing = std::thread::spawn(move || {
        let _ = writer.write_all(&request);
        let _ = writer.write_all(b"0\r\n\r\n");
    });
    let mut start = [0; 64];
    let read = stream.read(&mut start).unwrap_or(0);
    let start = String::from_utf8_lossy(&start[..read]).into_owned();
    assert!(
        start.starts_with("HTTP/1.1 413") || start.starts_with("HTTP/1.1 422"),
        "{start}"
    );
    drop(stream);
    writing.join().unwrap();

    let long = "x".repeat(64 * 1024);
    for request in [
        format!("GET /{long} HTTP/1.1\r\nhost: x\r\n\r\n"),
        format!("GET /health HTTP/1.1\r\nhost: x\r\nx-long: {long}\r\n\r\n"),
        format!(
            "GET /health HTTP/1.1\r\nhost: x\r\n{}\r\n",
            "x: y\r\n".repeat(10_000)
        ),
    ] {
        let answer = server.raw(request.as_bytes());
        let status = answer.split(' ').nth(1).unwrap_or_default();
        assert!(["", "400", "414", "431"].contains(&status), "{answer}");
    }
    // Long values within the limits are refused by what they are for.
    let name = "n".repeat(100_000);
    let body = format!("{{\"name\":\"{name}\",\"password\":\"{name}\"}}");
    assert_eq!(
        server
            .stranger()
            .send(
                "POST",
                "/api/v1/session",
                &[("content-type", "application/json")],
                body
            )
            .status,
        401
    );
    assert_eq!(server.stranger().get("/health").status, 200);
}

#[test]
fn a_slow_client_is_sent_away() {
    let server = Server::with(settings(), short());
    // Nothing at all; a head without an end; a second request that does not come; a body that does not come.
    let cookie = server.admin().cookie.unwrap();
    for (start, expected) in [
        (String::new(), ""),
        ("GET /health HTTP/1.1\r\nhost: x\r\n".to_owned(), ""),
        ("GET /health HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), "ok"),
        (
            format!(
                "POST /login HTTP/1.1\r\nhost: x\r\ncookie: {cookie}\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: 9\r\n\r\nname="
            ),
            "HTTP/1.1 408",
        ),
    ] {
        let mut stream = server.connect();
        stream.write_all(start.as_bytes()).unwrap();
        let answer = rest(&mut stream);
        assert!(answer.contains(expected), "{start}: {answer}");
        assert!(
            !expected.is_empty() || !answer.contains("200"),
            "{start}: {answer}"
        );
    }
    assert_eq!(server.stranger().get("/health").status, 200);
}

#[test]
fn a_client_that_reads_nothing_holds_nothing_up() {
    let server = Server::with(settings(), short());
    // More than the sockets hold.
    std::fs::write(server.site.recording(RECORDINGS[0]), vec![7; 64 << 20]).unwrap();
    let viewer = server.viewer();
    let cookie = viewer.cookie.clone().unwrap();
    let target = format!("/api/v1/cameras/entrance/recordings/{}", RECORDINGS[0]);
    let mut stream = server.connect();
    let request = format!("GET {target} HTTP/1.1\r\nhost: x\r\ncookie: {cookie}\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    // Others are served meanwhile, the same file too.
    assert_eq!(viewer.get("/api/v1/cameras").status, 200);
    assert_eq!(viewer.get(&target).body.len(), 64 << 20);
    // The idle one is cut off before it gets everything.
    std::thread::sleep(short().write * 3);
    let mut got = 0;
    let mut buffer = vec![0; 1 << 16];
    while let Ok(read @ 1..) = stream.read(&mut buffer) {
        got += read;
    }
    assert!(got < 64 << 20, "{got}");
}

#[test]
fn connections_are_bounded_and_given_back() {
    let server = Server::with(
        settings(),
        Limits {
            head: Duration::from_secs(20),
            ..short()
        },
    );
    let held: Vec<TcpStream> = (0..short().connections)
        .map(|_| {
            let mut stream = server.connect();
            stream
                .write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
                .unwrap();
            let mut answer = [0; 12];
            stream.read_exact(&mut answer).unwrap();
            assert_eq!(&answer, b"HTTP/1.1 200");
            stream
        })
        .collect();
    let mut refused = server.connect();
    let _ = refused.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n");
    assert_eq!(rest(&mut refused), "");
    drop(held);
    // The server notices the ends in its own time.
    let answered = (0..200).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        server
            .raw(b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            .contains("ok")
    });
    assert!(answered);
}

#[test]
fn two_hundred_clients_come_and_go() {
    let server = Server::new();
    let cookie = server.viewer().cookie.unwrap();
    let address = server.address;
    let workers: Vec<_> = (0..8)
        .map(|worker| {
            let cookie = cookie.clone();
            std::thread::spawn(move || {
                for client in 0..25 {
                    let mut stream = TcpStream::connect(address).unwrap();
                    let target = if client % 2 == 0 {
                        "/api/v1/cameras/entrance/live.mjpeg"
                    } else {
                        "/api/v1/cameras"
                    };
                    let request =
                        format!("GET {target} HTTP/1.1\r\nhost: x\r\ncookie: {cookie}\r\n\r\n");
                    stream.write_all(request.as_bytes()).unwrap();
                    // Some leave before the answer, some in the middle of it.
                    if (client + worker) % 3 > 0 {
                        let mut answer = [0; 12];
                        stream.read_exact(&mut answer).unwrap();
                        assert!([&b"HTTP/1.1 200"[..], b"HTTP/1.1 503"].contains(&&answer[..]));
                    }
                }
            })
        })
        .collect();
    for worker in workers {
        worker.join().unwrap();
    }
    let viewer = server.viewer();
    assert_eq!(viewer.get("/api/v1/cameras").status, 200);
    // The places of the streams that were left are free again.
    let free = (0..200).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        let mut stream = server.connect();
        let cookie = viewer.cookie.as_deref().unwrap();
        let request = format!("GET /api/v1/cameras/entrance/live.mjpeg HTTP/1.1\r\nhost: x\r\ncookie: {cookie}\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).unwrap();
        &answer == b"HTTP/1.1 200"
    });
    assert!(free);
}

#[test]
fn nonsense_is_answered_or_cut_off() {
    let server = Server::new();
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let valid = b"PUT /api/v1/cameras/entrance/settings HTTP/1.1\r\nhost: x\r\ncookie: floutage=0\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}".to_vec();
    for round in 0..300 {
        let mut bytes = if round % 3 == 0 {
            (0..random() % 400).map(|_| random() as u8).collect()
        } else {
            valid.clone()
        };
        for _ in 0..random() % 6 {
            let at = (random() % (bytes.len() as u64).max(1)) as usize;
            if let Some(byte) = bytes.get_mut(at) {
                *byte = random() as u8;
            }
        }
        let mut stream = server.connect();
        let _ = stream.write_all(&bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let answer = rest(&mut stream);
        assert!(
            !answer.starts_with("HTTP/1.1 200") && !answer.starts_with("HTTP/1.1 5"),
            "{bytes:?}: {answer}"
        );
    }
    for smuggled in [
        "POST /login HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /health HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET /health HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        "GET /health HTTP/1.1\r\nhost : x\r\n\r\n",
        "GET /health HTTP/9.9\r\n\r\n",
        "CONNECT 127.0.0.1:22 HTTP/1.1\r\nhost: x\r\n\r\n",
        "TRACE / HTTP/1.1\r\nhost: x\r\n\r\n",
    ] {
        let mut stream = server.connect();
        let _ = stream.write_all(smuggled.as_bytes());
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let answer = rest(&mut stream);
        assert!(!answer.contains("\r\n\r\nok"), "{smuggled}: {answer}");
    }
    assert_eq!(server.stranger().get("/health").status, 200);
    assert_eq!(
        server.site.settings_of(CAMERAS[0]).margin,
        f64::from(0.4f32)
    );
}

#[test]
fn a_gateway_that_fails_fails_alone() {
    let server = Server::new();
    let viewer = server.viewer();
    server.site.panics.store(true, Ordering::SeqCst);
    for path in [
        "/api/v1/cameras",
        "/api/v1/cameras/entrance/snapshot.jpg",
        "/metrics",
        "/cameras/entrance",
    ] {
        let reply = viewer.get(path);
        assert_eq!(
            (reply.status, reply.error()),
            (500, "internal".into()),
            "{path}"
        );
        assert!(!reply.text().contains("panic"), "{reply:?}");
    }
    assert_eq!(viewer.get("/health").status, 200);
    server.site.panics.store(false, Ordering::SeqCst);
    assert_eq!(viewer.get("/api/v1/cameras").status, 200);
}
