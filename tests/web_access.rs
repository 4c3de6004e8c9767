//! Who gets what from the web server: logins, roles, tokens, limits, headers, TLS.

mod web_support;

use std::sync::atomic::Ordering;

use floutage::serve::config::secret::Secret;
use floutage::serve::config::web::Tls;
use floutage::serve::web::{self, Limits};
use web_support::{ADMIN, CAMERAS, Client, ODD, RECORDINGS, Server, VIEWER, settings};

/// Every operation of the API: the document tells of these and no others.
const OPERATIONS: [(&str, &str); 12] = [
    ("DELETE", "/api/v1/session"),
    ("GET", "/api/v1/cameras"),
    ("GET", "/api/v1/cameras/{camera}"),
    ("GET", "/api/v1/cameras/{camera}/hls/{part}"),
    ("GET", "/api/v1/cameras/{camera}/live.mjpeg"),
    ("GET", "/api/v1/cameras/{camera}/recordings"),
    ("GET", "/api/v1/cameras/{camera}/recordings/{file}"),
    ("GET", "/api/v1/cameras/{camera}/settings"),
    ("GET", "/api/v1/cameras/{camera}/snapshot.jpg"),
    ("GET", "/api/v1/session"),
    ("POST", "/api/v1/session"),
    ("PUT", "/api/v1/cameras/{camera}/settings"),
];

fn filled(path: &str) -> String {
    path.replace("{camera}", CAMERAS[0])
        .replace("{part}", "index.m3u8")
        .replace("{file}", RECORDINGS[0])
}

#[test]
fn the_document_tells_of_every_operation() {
    let server = Server::new();
    let document = server.viewer().get("/api/v1/openapi.json").json();
    assert!(
        document["openapi"].as_str().unwrap().starts_with("3."),
        "{document}"
    );
    let mut told: Vec<(String, String)> = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            told.push((method.to_uppercase(), path.clone()));
        }
    }
    told.sort();
    let expected = OPERATIONS.map(|(method, path)| (method.to_owned(), path.to_owned()));
    assert_eq!(told, expected);
    // Whatever it refers to is in it.
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let pointer = reference.split('"').next().unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer}");
    }
    // Another method is not silently something else.
    let admin = server.admin();
    for (_, path) in OPERATIONS {
        let reply = admin.change("PATCH", &filled(path), &[], "");
        assert_eq!(reply.status, 405, "{path}: {reply:?}");
    }
}

#[test]
fn every_operation_needs_a_login() {
    let server = Server::new();
    let mut strangers = vec![server.stranger(), server.stranger(), server.stranger()];
    strangers[1].cookie = Some("floutage=".into());
    strangers[2].cookie = Some(format!("floutage={}", "0".repeat(64)));
    for stranger in &strangers {
        for (method, path) in OPERATIONS
            .into_iter()
            .filter(|(method, _)| *method != "POST")
        {
            let reply = stranger.change(method, &filled(path), &[("if-match", "x")], "");
            assert_eq!(
                (reply.status, reply.error()),
                (401, "not-logged-in".into()),
                "{method} {path}"
            );
        }
        assert_eq!(stranger.get("/api/v1/openapi.json").status, 401);
        for (page, login) in [
            ("/".to_owned(), "/login".to_owned()),
            (
                format!("/cameras/{ODD}"),
                format!("/login?next=/cameras/{}", ODD.replace('%', "%25")),
            ),
        ] {
            let reply = stranger.get(&page);
            assert_eq!(
                (reply.status, reply.header("location")),
                (303, login.as_str()),
                "{page}"
            );
        }
    }
    // Nothing changed.
    assert_eq!(server.site.settings_of(CAMERAS[0]).zones.len(), 1);
}

#[test]
fn some_things_are_for_anybody() {
    let server = Server::new();
    let stranger = server.stranger();
    assert_eq!(stranger.get("/health").text(), "ok\n");
    assert_eq!(stranger.get("/ready").status, 200);
    server.site.ready.store(false, Ordering::SeqCst);
    assert_eq!(stranger.get("/ready").status, 503);
    let page = stranger.get("/login").text();
    let style = page
        .split("rel=\"stylesheet\" href=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let style = stranger.get(style);
    assert_eq!(style.status, 200);
    assert!(style.header("content-type").starts_with("text/css"));
    assert!(style.header("cache-control").contains("immutable"));
    assert_eq!(stranger.get("/nothing").status, 404);
}

#[test]
fn a_viewer_sees_and_changes_nothing() {
    let server = Server::new();
    let viewer = server.viewer();
    for (method, path) in OPERATIONS {
        match (method, path) {
            ("GET", "/api/v1/cameras/{camera}/live.mjpeg") => {}
            // There is no stream in this test.
            ("GET", "/api/v1/cameras/{camera}/hls/{part}") => {
                assert_eq!(viewer.get(&filled(path)).status, 404);
            }
            ("GET", _) => assert_eq!(viewer.get(&filled(path)).status, 200, "{path}"),
            ("PUT", _) => {
                let settings = viewer.get(&filled(path));
                let tag = settings.header("etag");
                let reply = viewer.change(
                    "PUT",
                    &filled(path),
                    &[("if-match", tag)],
                    settings.body.clone(),
                );
                assert_eq!((reply.status, reply.error()), (403, "not-admin".into()));
            }
            _ => {}
        }
    }
    let page = viewer.get(&format!("/cameras/{}", CAMERAS[0])).text();
    assert!(!page.contains("id=\"edit\""), "no button to edit");
    assert!(
        server
            .admin()
            .get(&format!("/cameras/{}", CAMERAS[0]))
            .text()
            .contains("id=\"edit\"")
    );
}

#[test]
fn every_change_needs_the_token_of_its_own_session() {
    let server = Server::new();
    let admin = server.admin();
    let other = server.admin();
    let path = filled("/api/v1/cameras/{camera}/settings");
    let settings = admin.get(&path);
    let tag = settings.header("etag").to_owned();
    let body = settings.text().replace("0.4", "0.5");
    let json = ("content-type", "application/json");
    let put = |more: &[(&str, &str)]| {
        let mut headers = vec![json, ("if-match", tag.as_str())];
        headers.extend_from_slice(more);
        admin.send("PUT", &path, &headers, body.clone())
    };
    let right = admin.csrf.as_deref().unwrap();
    for wrong in [
        None,
        Some(""),
        Some("x"),
        other.csrf.as_deref(),
        Some(&right[1..]),
    ] {
        let headers: Vec<_> = wrong
            .map(|token| ("x-csrf-token", token))
            .into_iter()
            .collect();
        let reply = put(&headers);
        assert_eq!(
            (reply.status, reply.error()),
            (403, "csrf-token".into()),
            "{wrong:?}"
        );
        let reply = admin.send("DELETE", "/api/v1/session", &headers, "");
        assert_eq!(reply.status, 403, "{wrong:?}");
    }
    for site in ["cross-site", "same-site", ""] {
        let reply = put(&[("x-csrf-token", right), ("sec-fetch-site", site)]);
        assert_eq!((reply.status, reply.error()), (403, "cross-site".into()));
    }
    assert_eq!(
        server.site.settings_of(CAMERAS[0]).margin,
        f64::from(0.4f32)
    );
    let reply = put(&[("x-csrf-token", right), ("sec-fetch-site", "same-origin")]);
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(server.site.settings_of(CAMERAS[0]).margin, 0.5);
}

#[test]
fn logging_out_ends_the_session() {
    let server = Server::new();
    let viewer = server.viewer();
    assert_eq!(viewer.get("/api/v1/session").json()["role"], "viewer");
    let reply = viewer.change("DELETE", "/api/v1/session", &[], "");
    assert_eq!(reply.status, 204);
    assert!(reply.cookie().contains("Max-Age=0"), "{reply:?}");
    assert_eq!(viewer.get("/api/v1/session").status, 401);
}

/// The form's token in a page, and the cookie that goes with it.
fn form_of(client: &mut Client, path: &str) -> String {
    let reply = client.get(path);
    assert_eq!(reply.status, 200, "{reply:?}");
    let text = reply.text();
    let token = text
        .split("name=\"form\" value=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    client.cookie = Some(format!("floutage-form={token}"));
    token.to_owned()
}

fn log_in(
    client: &Client,
    form: &str,
    name: &str,
    password: &str,
    next: &str,
) -> web_support::Reply {
    let escape = |text: &str| {
        text.replace('%', "%25")
            .replace(' ', "+")
            .replace('\'', "%27")
            .replace('&', "%26")
    };
    let body = format!(
        "name={}&password={}&form={form}&next={}",
        escape(name),
        escape(password),
        escape(next)
    );
    let kind = ("content-type", "application/x-www-form-urlencoded");
    client.send("POST", "/login", &[kind], body)
}

#[test]
fn the_form_logs_in() {
    let server = Server::new();
    let mut client = server.stranger();
    let form = form_of(&mut client, "/login?next=/cameras/entrance");
    let wrong = log_in(&client, &form, ADMIN.0, VIEWER.1, "/");
    assert_eq!(wrong.status, 401);
    assert!(
        wrong.text().contains("The name or the password is wrong."),
        "{}",
        wrong.text()
    );
    assert!(wrong.text().contains("value=\"anne\"") && !wrong.text().contains(VIEWER.1));
    let next = "/cameras/entrance";
    let right = log_in(&client, &form, ADMIN.0, ADMIN.1, next);
    assert_eq!((right.status, right.header("location")), (303, next));
    let cookie = right.cookie();
    for word in ["; HttpOnly", "; SameSite=Strict", "; Path=/"] {
        assert!(cookie.contains(word), "{cookie}");
    }
    assert!(
        !cookie.contains("Secure") && !cookie.contains("Domain"),
        "{cookie}"
    );
    let outside = log_in(&client, &form, ADMIN.0, ADMIN.1, "//evil.example/");
    assert_eq!(outside.header("location"), "/");
    client.cookie = Some(cookie.split(';').next().unwrap().to_owned());
    assert_eq!(client.get("/").status, 200);
    assert_eq!(client.get("/login").header("location"), "/");
}

#[test]
fn the_form_has_a_token() {
    let server = Server::new();
    let mut client = server.stranger();
    let form = form_of(&mut client, "/login");
    let cookies = [
        None,
        Some("floutage-form=".to_owned()),
        Some(format!("floutage-form={}", "0".repeat(64))),
    ];
    for cookie in cookies {
        client.cookie = cookie.clone();
        for token in [form.as_str(), ""] {
            let reply = log_in(&client, token, ADMIN.0, ADMIN.1, "/");
            assert_eq!(reply.status, 403, "{cookie:?} {token}");
            assert!(reply.text().contains("out of date"));
            let sets_session = reply.headers.get_all("set-cookie").iter();
            assert!(
                sets_session
                    .into_iter()
                    .all(|value| !value.as_bytes().starts_with(b"floutage="))
            );
        }
    }
    client.cookie = Some(format!("floutage-form={form}"));
    assert_eq!(log_in(&client, &form, ADMIN.0, ADMIN.1, "/").status, 303);
    let kind = ("content-type", "application/x-www-form-urlencoded");
    let cross = client.send(
        "POST",
        "/login",
        &[kind, ("sec-fetch-site", "cross-site")],
        "x=y",
    );
    assert_eq!(cross.status, 403);
}

#[test]
fn a_login_by_program_is_json_from_this_site() {
    let server = Server::new();
    let stranger = server.stranger();
    let body = format!("{{\"name\":\"{}\",\"password\":\"{}\"}}", ADMIN.0, ADMIN.1);
    let json = ("content-type", "application/json");
    let post = |headers: &[(&str, &str)], body: &str| {
        stranger.send("POST", "/api/v1/session", headers, body)
    };
    // A form of another site could send these.
    assert_eq!(post(&[("content-type", "text/plain")], &body).status, 422);
    assert_eq!(
        post(&[json, ("sec-fetch-site", "cross-site")], &body).status,
        403
    );
    for wrong in [
        "",
        "{",
        "[]",
        "{\"name\":\"anne\"}",
        "{\"name\":1,\"password\":2}",
    ] {
        assert_eq!(post(&[json], wrong).status, 422, "{wrong}");
    }
    assert_eq!(
        post(&[json], &body.replace("long", "short")).error(),
        "wrong-password"
    );
    assert_eq!(post(&[json], &body).status, 200);
}

#[test]
fn logins_are_limited_and_do_not_tell_who_exists() {
    let attempts = |server: &Server, name: &str| {
        let body = format!("{{\"name\":\"{name}\",\"password\":\"wrong\"}}");
        let json = ("content-type", "application/json");
        let reply = || {
            server
                .stranger()
                .send("POST", "/api/v1/session", &[json], body.clone())
        };
        (0..6).map(|_| reply()).collect::<Vec<_>>()
    };
    for name in [ADMIN.0, "nobody"] {
        let server = Server::new();
        let replies = attempts(&server, name);
        let codes: Vec<_> = replies.iter().map(|reply| reply.status).collect();
        assert_eq!(codes, [401, 401, 401, 401, 401, 429], "{name}");
        assert_eq!(
            replies[0].text(),
            "{\"error\":\"wrong-password\",\"message\":\"the name or the password is wrong\"}"
        );
        let wait: u64 = replies[5].header("retry-after").parse().unwrap();
        assert!((1..=31).contains(&wait), "{wait}");
        // Soon there were so many from this address that no name at all is tried, not even with its password.
        let others = attempts(&server, "someone");
        assert!(others.iter().any(|reply| reply.status == 429), "{others:?}");
        let (name, password) = VIEWER;
        let body = format!("{{\"name\":\"{name}\",\"password\":\"{password}\"}}");
        let json = ("content-type", "application/json");
        let reply = server
            .stranger()
            .send("POST", "/api/v1/session", &[json], body);
        assert_eq!(reply.error(), "too-many-attempts");
    }
}

#[test]
fn every_answer_carries_the_headers_that_protect_it() {
    let server = Server::new();
    let admin = server.admin();
    let replies = [
        admin.get("/"),
        admin.get("/login"),
        admin.get("/nothing"),
        admin.get("/api/v1/cameras"),
        admin.get("/api/v1/cameras/nobody"),
        admin.get(&filled("/api/v1/cameras/{camera}/recordings/{file}")),
        admin.get(&filled("/api/v1/cameras/{camera}/snapshot.jpg")),
        admin.get("/metrics"),
        server.stranger().get("/api/v1/cameras"),
        server.stranger().get("/cameras/entrance"),
    ];
    for reply in replies {
        let policy = reply.header("content-security-policy");
        for word in [
            "default-src 'none'",
            "script-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        ] {
            assert!(policy.contains(word), "{reply:?}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-resource-policy", "same-origin"),
            ("cache-control", "no-store"),
        ] {
            assert_eq!(reply.header(name), value, "{reply:?}");
        }
    }
}

#[test]
fn nothing_is_run_or_fetched_from_elsewhere() {
    let server = Server::new();
    let admin = server.admin();
    let mut texts = vec![
        admin.get("/").text(),
        admin.get("/cameras/entrance").text(),
        server.stranger().get("/login").text(),
    ];
    let page = texts[1].clone();
    let assets = page
        .split("/assets/")
        .nth(1)
        .unwrap()
        .split('/')
        .next()
        .unwrap();
    for name in [
        "common.js",
        "cameras.js",
        "camera.js",
        "player.js",
        "recordings.js",
        "settings.js",
        "zones.js",
        "floutage.css",
    ] {
        texts.push(admin.get(&format!("/assets/{assets}/{name}")).text());
    }
    for text in texts {
        let text = text.replace("http://www.w3.org/2000/svg", "");
        for bad in [
            "http:",
            "https:",
            "src=\"//",
            "url(",
            "@import",
            "innerHTML",
            "eval(",
            " style=",
            " onclick=",
        ] {
            assert!(!text.contains(bad), "{bad} in {text}");
        }
        let inline = text
            .split("<script")
            .skip(1)
            .filter(|tag| !tag.contains("src=") && !tag.starts_with(" type=\"application/json\""));
        assert_eq!(inline.count(), 0, "{text}");
    }
}

#[test]
fn metrics_are_for_this_machine_a_token_or_a_user() {
    let token = "a token of the collector";
    let server = Server::with(
        floutage::serve::config::web::WebSettings {
            metrics_token: Some(Secret::from(token.to_owned())),
            ..settings()
        },
        Limits::default(),
    );
    let stranger = server.stranger();
    let text = stranger.get("/metrics").text();
    for line in [
        "# TYPE floutage_frames_total counter",
        "floutage_frames_failed_closed_total{camera=\"car park\"} 7",
        "floutage_frames_damaged_total{camera=\"car park\"} 3",
        "floutage_frames_dropped_total{camera=\"car park\"} 12",
        "floutage_regions_redacted_total{camera=\"entrance\",class=\"plate\"} 56",
        "floutage_inference_seconds{camera=\"entrance\"} 61.5",
        "floutage_latency_seconds{camera=\"entrance\"} 0.87",
        "floutage_camera_up{camera=\"entrance\"} 1",
        "floutage_camera_health{camera=\"car park\",state=\"degraded\"} 1",
        "floutage_camera_up{camera=\"odd/\\\"name\\\" & <b>é\"} 0",
        "floutage_clients{camera=\"entrance\"} 3",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in {text}");
    }
    // Every line is a comment or a sample of a family told before, and each family is told once.
    let mut told = std::collections::BTreeSet::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let name = rest.split(' ').next().unwrap();
            assert!(told.insert(name), "{line}");
        } else if !line.starts_with("# HELP ") {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let name = series.split('{').next().unwrap();
            assert!(told.contains(name) && series.ends_with('}'), "{line}");
            value.parse::<f64>().unwrap();
        }
    }
    let proxied = ("x-forwarded-for", "192.0.2.1");
    let get = |client: &Client, headers: &[(&str, &str)]| {
        client.send("GET", "/metrics", headers, "").status
    };
    assert_eq!(get(&stranger, &[proxied]), 401);
    assert_eq!(get(&stranger, &[("host", "evil.example")]), 401);
    assert_eq!(
        get(
            &stranger,
            &[proxied, ("authorization", "Bearer a wrong token")]
        ),
        401
    );
    assert_eq!(
        get(
            &stranger,
            &[proxied, ("authorization", &format!("Bearer {token}"))]
        ),
        200
    );
    assert_eq!(get(&server.viewer(), &[proxied]), 200);
}

#[test]
fn over_tls_cookies_are_for_tls_only() {
    let dir = tempfile::tempdir().unwrap();
    let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, private) = (dir.path().join("c.pem"), dir.path().join("k.pem"));
    std::fs::write(&certificate, key.cert.pem()).unwrap();
    std::fs::write(&private, key.signing_key.serialize_pem()).unwrap();
    let tls = |certificate: &std::path::Path, key: &std::path::Path| {
        floutage::serve::config::web::WebSettings {
            tls: Some(Tls {
                certificate: certificate.into(),
                key: key.into(),
            }),
            ..settings()
        }
    };
    let server = Server::with(tls(&certificate, &private), Limits::default());
    let client = Client::new(format!("https://{}", server.address)).logged_in(ADMIN);
    assert!(
        client
            .cookie
            .as_deref()
            .unwrap()
            .starts_with("__Host-floutage=")
    );
    let reply = client.get("/");
    assert_eq!(reply.status, 200);
    assert_eq!(
        reply.header("strict-transport-security"),
        "max-age=31536000"
    );
    let login = Client::new(format!("https://{}", server.address)).get("/login");
    assert!(login.header("set-cookie").contains("; Secure"), "{login:?}");
    // Whoever speaks plain HTTP gets nothing.
    assert!(
        !server
            .raw(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
            .contains("ok")
    );

    // What cannot be used is told by its file.
    let broken = dir.path().join("broken.pem");
    std::fs::write(
        &broken,
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    )
    .unwrap();
    let start = |settings| {
        web::start(settings, server.site.clone())
            .unwrap_err()
            .to_string()
    };
    for (certificate, key, named) in [
        (&broken, &private, "broken.pem"),
        (&certificate, &broken, "broken.pem"),
        (&certificate, &dir.path().join("none.pem"), "none.pem"),
        (&dir.path().join("none.pem"), &private, "none.pem"),
    ] {
        let error = start(tls(certificate, key));
        assert!(error.contains(named), "{error}");
    }
}

#[test]
fn a_taken_or_open_address_is_refused() {
    let server = Server::new();
    let at = |listen| floutage::serve::config::web::WebSettings {
        listen,
        ..settings()
    };
    let start = |settings| {
        web::start(settings, server.site.clone())
            .unwrap_err()
            .to_string()
    };
    let error = start(at(server.address));
    assert!(
        error.contains(&server.address.to_string()) && error.contains("in use"),
        "{error}"
    );
    let error = start(at(([0, 0, 0, 0], 0).into()));
    assert!(error.contains("allow-insecure"), "{error}");
}

#[test]
fn a_stopped_server_gives_its_port_back() {
    let server = Server::new();
    let address = server.address;
    // An open stream of pictures does not hold it up.
    let viewer = server.viewer();
    let cookie = viewer.cookie.as_deref().unwrap();
    let mut stream = server.connect();
    let request = format!(
        "GET /api/v1/cameras/entrance/live.mjpeg HTTP/1.1\r\nhost: x\r\ncookie: {cookie}\r\n\r\n"
    );
    std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
    let mut start = [0; 4096];
    let read = std::io::Read::read(&mut stream, &mut start).unwrap();
    assert!(start[..read].starts_with(b"HTTP/1.1 200"));
    server.stop();
    std::net::TcpListener::bind(address).expect("the port is free");
    let mut rest = Vec::new();
    std::io::Read::read_to_end(&mut stream, &mut rest).expect("the stream ended");
}
