//! What the web server says and does for those who may.

mod web_support;

use std::io::{Read, Write};
use std::sync::atomic::Ordering;

use serde_json::json;
use web_support::{CAMERAS, EPOCH, ODD, RECORDINGS, Reply, SIZE, Server};

const SETTINGS: &str = "/api/v1/cameras/entrance/settings";

#[test]
fn cameras_are_told_in_order() {
    let server = Server::new();
    let viewer = server.viewer();
    let cameras = viewer.get("/api/v1/cameras").json();
    let names: Vec<_> = cameras
        .as_array()
        .unwrap()
        .iter()
        .map(|camera| &camera["name"])
        .collect();
    assert_eq!(names, CAMERAS);
    let odd = viewer.get(&format!("/api/v1/cameras/{ODD}")).json();
    assert_eq!(odd["name"], CAMERAS[2]);
    assert_eq!(odd["health"], "reconnecting");
    assert_eq!(odd["since"], "2026-03-01T12:00:00.250Z");
    assert_eq!(odd["latency"], 0.87);
    assert_eq!(odd["detect_every"], 3);
    assert_eq!(odd["frames_failed_closed"], 14);
    assert_eq!(odd["regions"]["plate"], 56);
    assert!(odd["last_error"].as_str().unwrap().contains("no answer"));
    assert!(cameras[0]["last_error"].is_null());
    assert_eq!(viewer.get("/api/v1/cameras/nobody").error(), "not-found");
}

#[test]
fn settings_are_changed_by_who_saw_them() {
    let server = Server::new();
    let admin = server.admin();
    let seen = admin.get(SETTINGS);
    let old = json!({
        "zones": [[[0.05, 0.1], [0.3, 0.1], [0.3, 0.35]]], "margin": 0.4, "confidence_threshold": null
    });
    assert_eq!(seen.json(), old);
    let tag = seen.header("etag").to_owned();
    let new = json!({
        "zones": [[[0.5, 0.5], [1, 0.5], [1, 1], [0.5, 1]], old["zones"][0]], "margin": 0.75, "confidence_threshold": 0.2
    });
    let put = |tag: &str, body: &serde_json::Value| {
        admin.change("PUT", SETTINGS, &[("if-match", tag)], body.to_string())
    };
    let reply = put(&tag, &new);
    assert_eq!(
        (reply.status, reply.json()),
        (200, admin.get(SETTINGS).json())
    );
    assert_eq!(reply.json()["zones"].as_array().unwrap().len(), 2);
    let held = server.site.settings_of(CAMERAS[0]);
    assert_eq!((held.margin, held.confidence_threshold), (0.75, Some(0.2)));
    assert_eq!(
        held.zones[0],
        [(0.5, 0.5), (1.0, 0.5), (1.0, 1.0), (0.5, 1.0)]
    );
    // Of other cameras nothing changed.
    assert_eq!(
        server.site.settings_of(CAMERAS[1]).margin,
        f64::from(0.4f32)
    );
    // Somebody who saw the old settings does not take the new zone away.
    let late = put(&tag, &old);
    assert_eq!(
        (late.status, late.error()),
        (412, "changed-meanwhile".into())
    );
    let blind = admin.change("PUT", SETTINGS, &[], old.to_string());
    assert_eq!(
        (blind.status, blind.error()),
        (428, "if-match-missing".into())
    );
    assert_eq!(server.site.settings_of(CAMERAS[0]), held);
    assert_eq!(put(reply.header("etag"), &old).status, 200);
}

#[test]
fn wrong_settings_are_refused_with_the_reason() {
    let server = Server::new();
    let admin = server.admin();
    let before = server.site.settings_of(CAMERAS[0]);
    let tag = admin.get(SETTINGS).header("etag").to_owned();
    let good = json!({ "zones": [], "margin": 0.4, "confidence_threshold": null });
    let with = |key: &str, value: serde_json::Value| {
        let mut body = good.clone();
        body[key] = value;
        body.to_string()
    };
    let many: Vec<_> = (0..65).map(|_| json!([[0, 0], [1, 0], [1, 1]])).collect();
    let corners: Vec<_> = (0..65)
        .map(|corner| json!([f64::from(corner) / 65.0, 0.5]))
        .collect();
    for (body, word) in [
        (with("zones", json!([[[0, 0], [1, 1]]])), "zone"),
        (with("zones", json!([[[0, 0], [1, 1], [1.01, 0]]])), "zone"),
        (with("zones", json!([[[0, 0], [1, 1], [-0.1, 0]]])), "zone"),
        (with("zones", json!([[[0, 0], [1, 1], [1]]])), "zones"),
        (with("zones", json!([[[0, 0], [1, 1], ["0", 1]]])), "zones"),
        (with("zones", json!(many)), "64"),
        (with("zones", json!([corners])), "64"),
        (with("margin", json!(-0.1)), "margin"),
        (with("margin", json!(3.1)), "margin"),
        (with("margin", json!(null)), "margin"),
        (with("margin", json!("0.4")), "margin"),
        (
            with("confidence_threshold", json!(0)),
            "confidence_threshold",
        ),
        (
            with("confidence_threshold", json!(1)),
            "confidence_threshold",
        ),
        (with("style", json!("none")), "style"),
        (good.to_string().replace("0.4", "1e999"), "number"),
        (good.to_string().replace("0.4", "NaN"), "expected"),
        ("{\"zones\":[]}".into(), "margin"),
        ("[]".into(), "expected"),
        (String::new(), ""),
    ] {
        let reply = admin.change("PUT", SETTINGS, &[("if-match", &tag)], body.clone());
        assert_eq!(
            (reply.status, reply.error()),
            (422, "invalid".into()),
            "{body}"
        );
        let message = reply.json()["message"].as_str().unwrap().to_owned();
        assert!(message.contains(word), "{word}: {message}");
    }
    let nobody = admin.change(
        "PUT",
        "/api/v1/cameras/nobody/settings",
        &[("if-match", &tag)],
        good.to_string(),
    );
    assert_eq!(nobody.status, 404);
    server.site.read_only.store(true, Ordering::SeqCst);
    let full = admin.change("PUT", SETTINGS, &[("if-match", &tag)], good.to_string());
    assert_eq!((full.status, full.error()), (500, "internal".into()));
    assert!(full.text().contains("floutage.toml"), "{full:?}");
    assert_eq!(server.site.settings_of(CAMERAS[0]), before);
}

#[test]
fn recordings_are_listed_and_played_in_parts() {
    let server = Server::new();
    let viewer = server.viewer();
    let list = viewer.get("/api/v1/cameras/entrance/recordings").json();
    let files: Vec<_> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|recording| &recording["file"])
        .collect();
    assert_eq!(files, RECORDINGS);
    assert_eq!(list[0]["start"], "2026-03-01T12:00:00.000Z");
    assert_eq!(
        (&list[0]["seconds"], &list[0]["bytes"]),
        (&json!(3600.0), &json!(100_000))
    );
    assert_eq!(
        viewer.get("/api/v1/cameras/car%20park/recordings").text(),
        "[]"
    );

    let path = format!("/api/v1/cameras/entrance/recordings/{}", RECORDINGS[0]);
    let bytes = std::fs::read(server.site.recording(RECORDINGS[0])).unwrap();
    let whole = viewer.get(&path);
    assert_eq!(
        (
            whole.status,
            whole.header("content-type"),
            whole.header("accept-ranges")
        ),
        (200, "video/mp4", "bytes")
    );
    assert!(whole.body == bytes);
    let range = |range: &str| viewer.send("GET", &path, &[("range", range)], "");
    for (asked, from, to) in [
        ("bytes=0-0", 0, 0),
        ("bytes=1000-1999", 1000, 1999),
        ("bytes=99990-", 99_990, 99_999),
        ("bytes=-10", 99_990, 99_999),
        ("bytes=99000-200000", 99_000, 99_999),
    ] {
        let part = range(asked);
        assert_eq!(
            (part.status, part.header("content-range")),
            (206, format!("bytes {from}-{to}/100000").as_str()),
            "{asked}"
        );
        assert!(part.body == bytes[from..=to], "{asked}");
    }
    for wrong in ["bytes=100000-", "bytes=5-4", "bytes=x"] {
        let reply = range(wrong);
        assert_eq!((reply.status, reply.body.len()), (416, 0), "{wrong}");
    }
    let head: Reply = viewer.send("HEAD", &path, &[], "");
    assert_eq!(
        (head.status, head.header("content-length"), head.body.len()),
        (200, "100000", 0)
    );
    // Not one camera's recordings under another's name, nor a file that was removed.
    let other = format!("/api/v1/cameras/car%20park/recordings/{}", RECORDINGS[0]);
    assert_eq!(viewer.get(&other).status, 404);
    std::fs::remove_file(server.site.recording(RECORDINGS[0])).unwrap();
    assert_eq!(viewer.get(&path).error(), "not-found");
}

#[test]
fn the_stream_comes_in_parts() {
    let server = Server::new();
    let viewer = server.viewer();
    for part in (0..EPOCH)
        .map(|number| format!("a{number}.m4s"))
        .chain(["init.mp4".into()])
    {
        server
            .site
            .hls
            .lock()
            .unwrap()
            .insert(part.clone(), part.into_bytes());
    }
    let hls = |part: &str| viewer.get(&format!("/api/v1/cameras/entrance/hls/{part}"));
    let playlist = hls("index.m3u8");
    assert_eq!(
        playlist.header("content-type"),
        "application/vnd.apple.mpegurl"
    );
    assert!(playlist.text().starts_with("#EXTM3U"));
    assert_eq!(
        (hls("a1.m4s").text(), hls("a1.m4s").header("content-type")),
        ("a1.m4s".into(), "video/mp4")
    );
    for none in ["a99.m4s", "index.html", "INIT.MP4"] {
        assert_eq!(hls(none).status, 404, "{none}");
    }
    assert_eq!(
        viewer.get("/api/v1/cameras/car%20park/hls/init.mp4").status,
        404
    );
}

#[test]
fn pictures_come_one_by_one() {
    let server = Server::new();
    let viewer = server.viewer();
    let reply = viewer.get("/api/v1/cameras/car%20park/snapshot.jpg");
    assert_eq!(reply.header("content-type"), "image/jpeg");
    let picture = image::load_from_memory(&reply.body).unwrap();
    assert_eq!((picture.width(), picture.height()), SIZE);
    assert_eq!(
        viewer
            .get(&format!("/api/v1/cameras/{ODD}/snapshot.jpg"))
            .error(),
        "not-found"
    );

    let cookie = viewer.cookie.clone().unwrap();
    let mut stream = server.connect();
    let request = format!(
        "GET /api/v1/cameras/entrance/live.mjpeg HTTP/1.0\r\nhost: x\r\ncookie: {cookie}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    let parts = |bytes: &[u8]| {
        bytes
            .windows(18)
            .filter(|window| window == b"--floutage-picture")
            .count()
    };
    while parts(&bytes) < 4 {
        let mut buffer = [0; 1 << 14];
        let read = stream.read(&mut buffer).unwrap();
        assert!(read > 0, "it ended: {}", String::from_utf8_lossy(&bytes));
        bytes.extend_from_slice(&buffer[..read]);
    }
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.contains("multipart/x-mixed-replace; boundary=floutage-picture"));
    // Every picture is whole and another one.
    let mut pictures = Vec::new();
    let mut rest = &bytes[..];
    while let Some(at) = rest
        .windows(16)
        .position(|window| window == b"Content-Length: ")
    {
        let length =
            String::from_utf8_lossy(&rest[at + 16..(at + 26).min(rest.len())]).into_owned();
        let length: usize = length.split('\r').next().unwrap().parse().unwrap();
        let start = at
            + rest[at..]
                .windows(4)
                .position(|window| window == b"\r\n\r\n")
                .unwrap()
            + 4;
        let Some(picture) = rest.get(start..start + length) else {
            break;
        };
        image::load_from_memory(picture).unwrap();
        pictures.push(picture);
        rest = &rest[start + length..];
    }
    assert!(pictures.len() >= 3 && pictures.windows(2).all(|pair| pair[0] != pair[1]));
    // Logging out ends it.
    viewer.change("DELETE", "/api/v1/session", &[], "");
    let mut end = Vec::new();
    stream.read_to_end(&mut end).expect("it ends");
}

#[test]
fn pages_are_in_the_readers_language() {
    let server = Server::new();
    let viewer = server.viewer();
    let get =
        |path: &str, accept: &str| viewer.send("GET", path, &[("accept-language", accept)], "");
    for (accept, code, word) in [
        ("fr-FR,fr;q=0.9", "fr", "Déconnexion"),
        ("en", "en", "Log out"),
        ("de", "en", "Log out"),
    ] {
        let text = get("/", accept).text();
        assert!(
            text.contains(&format!("<html lang=\"{code}\">")) && text.contains(word),
            "{accept}: {text}"
        );
    }
    let chosen = get("/?lang=fr", "en");
    assert!(chosen.text().contains("Déconnexion"));
    assert!(
        chosen
            .header("set-cookie")
            .starts_with("floutage-language=fr;")
    );
    assert!(get("/?lang=xx", "en").headers.get("set-cookie").is_none());
    let stranger = server.stranger();
    assert!(
        stranger
            .get("/login?lang=fr")
            .text()
            .contains("Mot de passe")
    );
}

#[test]
fn names_are_escaped_in_pages() {
    let server = Server::new();
    let viewer = server.viewer();
    let page = viewer.get(&format!("/cameras/{ODD}"));
    assert_eq!(page.status, 200);
    let text = page.text();
    assert!(!text.contains("<b>"), "{text}");
    assert!(
        text.contains("odd/&quot;name&quot; &amp; &lt;b&gt;é")
            || text.contains("odd&#x2f;&quot;name&quot; &amp; &lt;b&gt;é"),
        "{text}"
    );
    let data = text
        .split("id=\"data\">")
        .nth(1)
        .unwrap()
        .split("</script>")
        .next()
        .unwrap();
    let data: serde_json::Value = serde_json::from_str(data).unwrap();
    assert_eq!(data["camera"], CAMERAS[2]);
    assert_eq!(data["csrf"].as_str(), viewer.csrf.as_deref());
    assert_eq!(
        viewer
            .get("/cameras/%3Cscript%3Ealert(1)%3C%2Fscript%3E")
            .status,
        404
    );
}
