//! Cameras in, redacted streams out: what clients of every kind get, and what they do not.

mod common;
mod gateway;

use common::codec::Codec;
use common::look::{ffprobe_json, stream};
use common::temp_dir;
use floutage::serve::state::{Health, Site};
use gateway::*;

#[test]
fn the_clips_of_these_tests_show_markers() {
    let dir = temp_dir();
    let seen = look(&clip(dir.path(), "clip.mp4", Codec::H264, 1));
    assert_eq!((seen.pictures, seen.scenes, seen.leaks), (15, 15, 15));
}

#[test]
fn a_looped_file_is_served_in_both_sizes_over_tcp_and_udp() {
    let dir = temp_dir();
    let path = clip(dir.path(), "clip.mp4", Codec::H264, 3);
    let text = config(&format!(
        "{RTSP}{}[camera.sub]\nwidth = 160\n",
        looped("door", &path)
    ));
    let served = Served::start(dir.path(), &text);
    served.wait("door", "is live", |status| status.health == Health::Live);
    // Longer than the clip: it begins anew.
    let children: Vec<_> = [
        ("door", "tcp", 320),
        ("door", "udp", 320),
        ("door/sub", "tcp", 160),
    ]
    .into_iter()
    .enumerate()
    .map(|(index, (name, transport, width))| {
        let to = dir.path().join(format!("{index}.mkv"));
        (
            recorder(&served.address(name), transport, 6, &to),
            to,
            width,
        )
    })
    .collect();
    for (mut child, to, width) in children {
        assert!(child.wait().expect("ffmpeg ends").success());
        is_redacted(&to, 45);
        let probe = ffprobe_json(&to);
        assert_eq!(
            stream(&probe, "video").expect("video")["width"],
            width,
            "{}",
            to.display()
        );
        let times = packet_times(&to);
        assert!(
            times.windows(2).all(|pair| pair[0] <= pair[1]),
            "times go back: {times:?}"
        );
    }
    let status = served.status("door");
    assert_eq!((status.width, status.height), (320, 240));
    assert!(
        status.frames > 60 && status.regions["face"] > 0 && status.regions["plate"] > 0,
        "{status:?}"
    );
    assert_eq!(status.frames_failed_closed, 0, "{status:?}");
    let snapshot = wait_for("a snapshot", || served.gateway.snapshot("door"));
    let picture = dir.path().join("snapshot.jpg");
    std::fs::write(&picture, snapshot).expect("it can be written");
    is_redacted(&picture, 1);
}

#[test]
fn a_camera_with_a_password_is_served_without_its_sound() {
    let dir = temp_dir();
    let password = dir.path().join("password");
    std::fs::write(&password, "correct horse\n").expect("it can be written");
    for (codec, coding, transport) in [(Codec::H264, "h264", "tcp"), (Codec::H265, "h265", "udp")] {
        let path = clip(dir.path(), &format!("{coding}.mp4"), codec, 12);
        let camera = Camera::start(&path, coding, 0, Some(("viewer", "correct horse")));
        let text = config(&format!(
            "{RTSP}[[camera]]\nname = \"gate\"\nsource = \"{}\"\nuser = \"viewer\"\npassword-file = \"{}\"\ntransport = \"{transport}\"\n",
            camera.address(),
            password.display()
        ));
        let served = Served::start(dir.path(), &text);
        served.wait("gate", "is live", |status| status.health == Health::Live);
        let to = dir.path().join(format!("{coding}.mkv"));
        record(&served.address("gate"), "tcp", 4, &to);
        is_redacted(&to, 30);
        let probe = ffprobe_json(&to);
        assert_eq!(
            probe["streams"].as_array().map(Vec::len),
            Some(1),
            "{probe}"
        );
        assert_eq!(
            stream(&probe, "video").expect("video")["codec_name"],
            "h264"
        );
    }
}

#[test]
fn a_wrong_password_is_told_and_never_shown() {
    let dir = temp_dir();
    let name = format!("wrong-{}", std::process::id());
    let password = dir.path().join("password");
    std::fs::write(&password, "battery staple").expect("it can be written");
    let path = clip(dir.path(), "clip.mp4", Codec::H264, 2);
    let camera = Camera::start(&path, "h264", 0, Some(("viewer", "correct horse")));
    let text = config(&format!(
        "{RTSP}[[camera]]\nname = \"{name}\"\nsource = \"{}\"\nuser = \"viewer\"\npassword-file = \"{}\"\n",
        camera.address(),
        password.display()
    ));
    let served = Served::start(dir.path(), &text);
    let status = served.wait(&name, "has failed", |status| {
        status.health == Health::Failed
    });
    let error = status.last_error.expect("it says why");
    assert!(
        error.contains("password") && !error.contains("battery"),
        "{error}"
    );
    for worker in workers(&name) {
        for file in ["cmdline", "environ"] {
            let shown = std::fs::read(format!("/proc/{worker}/{file}")).unwrap_or_default();
            assert!(!common::contains_bytes(&shown, b"battery staple"), "{file}");
        }
    }
    // The stream is there all the same, and says that there is no picture.
    let to = dir.path().join("filled.mkv");
    record(&served.address(&name), "tcp", 3, &to);
    let seen = look(&to);
    assert!(seen.pictures >= 3 && seen.leaks == 0, "{seen:?}");
}

#[test]
fn the_page_gets_a_live_stream_that_plays() {
    let dir = temp_dir();
    let path = clip(dir.path(), "clip.mp4", Codec::H264, 3);
    let served = Served::start(
        dir.path(),
        &config(&format!("{RTSP}{}", looped("door", &path))),
    );
    let part = |name: &str| served.gateway.hls("door", name);
    let segments = |text: &str| {
        text.lines()
            .filter(|line| line.ends_with(".m4s"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    served.wait("door", "is live", |status| status.health == Health::Live);
    let playlist = wait_for("segments", || {
        let text = String::from_utf8(part("index.m3u8")?.0).expect("text");
        // Those of the last epoch: the first ones may show that there is no picture yet.
        let last = text.rsplit("#EXT-X-MAP").next()?.to_owned();
        (segments(&last).len() >= 3).then_some(last)
    });
    let init = playlist.split('"').nth(1).expect("an init segment");
    let mut whole = part(init).expect("it is there").0;
    for name in segments(&playlist) {
        let (bytes, kind) = part(&name).expect("it is there");
        assert_eq!(kind, "video/iso.segment");
        whole.extend(bytes);
    }
    let to = dir.path().join("live.mp4");
    std::fs::write(&to, whole).expect("it can be written");
    is_redacted(&to, 15);
    assert!(part("../floutage.toml").is_none());
    assert!(served.gateway.hls("nobody", "index.m3u8").is_none());
}
