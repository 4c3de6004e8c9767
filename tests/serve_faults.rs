//! Faults of cameras and workers: the outputs stay up, times only grow, no other camera notices, and no picture gets out
//! that was not redacted.

mod common;
mod gateway;

use common::codec::Codec;
use common::temp_dir;
use floutage::serve::state::Health;
use gateway::*;
use rustix::process::{Pid, Signal, kill_process};

fn signal(worker: u32, signal: Signal) {
    let worker = Pid::from_raw(worker as i32).expect("a process");
    kill_process(worker, signal).expect("it can be sent");
}

/// Stores the stream of `camera` while `fault` happens, and looks at it.
fn through(
    served: &Served,
    camera: &str,
    folder: &std::path::Path,
    seconds: u32,
    fault: impl FnOnce(),
) -> Seen {
    let to = folder.join("through.mkv");
    let mut client = recorder(&served.address(camera), "tcp", seconds, &to);
    wait_for("the client", || {
        to.metadata().ok().filter(|data| data.len() > 20_000)
    });
    fault();
    assert!(client.wait().expect("ffmpeg ends").success());
    let times = packet_times(&to);
    assert!(
        times.windows(2).all(|pair| pair[0] <= pair[1]),
        "times go back: {times:?}"
    );
    let seen = look(&to);
    assert_eq!(seen.leaks, 0, "{seen:?}");
    seen
}

#[test]
fn a_camera_that_dies_and_returns_is_bridged_by_the_filled_picture() {
    let dir = temp_dir();
    let path = clip(dir.path(), "clip.mp4", Codec::H264, 30);
    let camera = Camera::start(&path, "h264", 0, None);
    let port = camera.port;
    let text = config(&format!(
        "{RTSP}[[camera]]\nname = \"gate\"\nsource = \"{}\"\nstall-timeout = \"2s\"\n{}",
        camera.address(),
        looped("door", &path)
    ));
    let served = Served::start(dir.path(), &text);
    served.wait("gate", "is live", |status| status.health == Health::Live);
    served.wait("door", "is live", |status| status.health == Health::Live);
    let before = served.status("door");
    let seen = through(&served, "gate", dir.path(), 20, || {
        drop(camera);
        let status = served.wait("gate", "is missed", |status| {
            status.health == Health::Reconnecting
        });
        assert!(
            status.reconnects >= 1 && status.last_error.is_some(),
            "{status:?}"
        );
        std::thread::sleep(std::time::Duration::from_secs(2));
        let again = Camera::start(&path, "h264", port, None);
        served.wait("gate", "is back", |status| status.health == Health::Live);
        std::thread::sleep(std::time::Duration::from_secs(3));
        drop(again);
    });
    assert!(
        seen.scenes > 20 && seen.pictures > seen.scenes + 3,
        "{seen:?}"
    );
    let after = served.status("door");
    assert_eq!(
        (after.reconnects, after.health),
        (0, Health::Live),
        "the other camera noticed"
    );
    assert!(after.frames > before.frames + 100, "{before:?} {after:?}");
}

#[test]
fn a_worker_that_crashes_or_hangs_is_started_again() {
    let dir = temp_dir();
    let path = clip(dir.path(), "clip.mp4", Codec::H264, 3);
    let name = format!("gate-{}", std::process::id());
    let text = config(&format!(
        "{RTSP}{}stall-timeout = \"2s\"\n",
        looped(&name, &path)
    ));
    let served = Served::start(dir.path(), &text);
    served.wait(&name, "is live", |status| status.health == Health::Live);
    for (what, kind) in [("crash", Signal::ABORT), ("hang", Signal::STOP)] {
        let before = served.status(&name);
        let seen = through(&served, &name, dir.path(), 14, || {
            for worker in workers(&name) {
                signal(worker, kind);
            }
            served.wait(&name, "is missed", |status| {
                status.reconnects > before.reconnects
            });
            served.wait(&name, "is back", |status| status.health == Health::Live);
        });
        assert!(seen.scenes > 20, "{what}: {seen:?}");
        let after = served.status(&name);
        assert!(
            after.frames > before.frames,
            "{what}: counts begin anew: {before:?} {after:?}"
        );
    }
}

#[test]
fn a_change_of_size_keeps_the_size_of_the_outputs() {
    let dir = temp_dir();
    // Half of the time 320x240, then 480x270, from one encoder that begins anew.
    let small = clip(dir.path(), "small.mp4", Codec::H264, 4);
    let large = common::clip::Clip::new(common::scene::Scene::new(480, 270, 120))
        .rate("15")
        .key_interval(15)
        .write(dir.path(), "large.mp4");
    let launch = format!(
        "( concat name=c ! rtph264pay name=pay0 config-interval=-1 pt=96 filesrc location={} ! qtdemux ! h264parse config-interval=-1 ! video/x-h264,stream-format=byte-stream ! c. filesrc location={} ! qtdemux ! h264parse config-interval=-1 ! video/x-h264,stream-format=byte-stream ! c. )",
        small.display(),
        large.display()
    );
    let camera = Camera::launch(&launch, 0, None);
    let text = config(&format!(
        "{RTSP}[[camera]]\nname = \"gate\"\nsource = \"{}\"\nstall-timeout = \"3s\"\n",
        camera.address()
    ));
    let served = Served::start(dir.path(), &text);
    served.wait("gate", "is live", |status| status.health == Health::Live);
    let seen = through(&served, "gate", dir.path(), 8, || {});
    assert!(seen.scenes > 60, "{seen:?}");
    let status = served.status("gate");
    assert_eq!((status.width, status.height), (320, 240));
}

#[test]
fn overload_costs_frames_and_is_told() {
    let dir = temp_dir();
    let path = common::clip::Clip::new(common::scene::Scene::new(1280, 720, 60))
        .rate("60")
        .key_interval(15)
        .write(dir.path(), "large.mp4");
    // Eight analyses of each picture and a slow encoder: more than one thread does sixty times a second.
    let heavy = "[camera.detect]\nscales = [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]\n[camera.encode]\npreset = \"slower\"\n";
    let text = config(&format!(
        "{RTSP}{}min-fps = 1\n{heavy}",
        looped("gate", &path)
    ));
    // What moves is one region, as with real detectors, so that frames can be left to the tracker.
    let text = text.replace("marker-detector.onnx", "whole-markers.onnx");
    let served = Served::start(dir.path(), &text);
    let status = served.wait("gate", "is overloaded", |status| {
        status.frames_dropped > 0 && status.last_error.is_some()
    });
    assert!(
        status
            .last_error
            .as_ref()
            .is_some_and(|error| error.contains("overload")),
        "{status:?}"
    );
    let to = dir.path().join("overload.mkv");
    record(&served.address("gate"), "tcp", 5, &to);
    assert_eq!(look(&to).leaks, 0);
}
