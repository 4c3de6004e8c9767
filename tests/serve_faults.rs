//! Faults of cameras and workers: the outputs stay up, times only grow, no other camera notices, and no picture gets out
//! that was not redacted.

mod common;
mod gateway;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

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

/// A camera `gate` at `address` beside another one.
fn beside_another(camera: &Camera, door: &std::path::Path) -> String {
    config(&format!(
        "{RTSP}[[camera]]\nname = \"gate\"\nsource = \"{}\"\nstall-timeout = \"3s\"\n{}",
        camera.address(),
        looped("door", door)
    ))
}

/// Checks that `door` went on while something was wrong with another camera.
fn did_not_notice(served: &Served, before: u64) {
    let door = served.status("door");
    assert_eq!(
        (door.reconnects, door.health),
        (0, Health::Live),
        "{door:?}"
    );
    assert_eq!(door.frames_damaged, 0, "{door:?}");
    assert!(door.frames > before + 60, "{before} {door:?}");
}

/// Numbers that look random, the same in every run.
struct Dice(AtomicU64);

impl Dice {
    fn roll(&self) -> u64 {
        let mut state = self.0.load(Ordering::Relaxed);
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        self.0.store(state, Ordering::Relaxed);
        state
    }

    fn bytes(&self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.roll() as u8).collect()
    }
}

#[test]
fn packets_that_are_garbage_show_nothing_and_cost_pictures_only() {
    let dir = temp_dir();
    let path = clip(dir.path(), "clip.mp4", Codec::H264, 40);
    let camera = Camera::start(&path, "h264", 0, None);
    let (wrong, dice) = (Arc::new(AtomicBool::new(false)), Dice(AtomicU64::new(7)));
    let is_wrong = wrong.clone();
    camera.change_packets(move |packet| {
        if !is_wrong.load(Ordering::Relaxed) || packet[1] & 0x7f != 96 {
            return vec![packet];
        }
        let mut sent = Vec::new();
        match dice.roll() % 200 {
            // Beside the good ones.
            0..6 => sent.push(dice.bytes(1 + dice.roll() as usize % 1400)),
            6..12 => sent.push(packet[..1 + dice.roll() as usize % 11].to_vec()),
            12..18 => {
                let mut other = packet.clone();
                other[1] = packet[1] & 0x80 | (35 + dice.roll() as u8 % 60);
                sent.push(other);
            }
            // In place of good ones.
            18 => {
                let mut cut = packet.clone();
                cut.truncate(13 + dice.roll() as usize % packet.len().saturating_sub(13).max(1));
                return vec![cut];
            }
            19 => {
                let mut spoiled = packet[..packet.len().min(16)].to_vec();
                spoiled.extend(dice.bytes(packet.len().saturating_sub(16)));
                return vec![spoiled];
            }
            20 => return sent,
            _ => {}
        }
        sent.push(packet);
        sent
    });
    let served = Served::start(dir.path(), &beside_another(&camera, &path));
    served.wait("gate", "is live", |status| status.health == Health::Live);
    served.wait("door", "is live", |status| status.health == Health::Live);
    let before = served.status("door").frames;
    let seen = through(&served, "gate", dir.path(), 20, || {
        wrong.store(true, Ordering::Relaxed);
        std::thread::sleep(std::time::Duration::from_secs(10));
        wrong.store(false, Ordering::Relaxed);
    });
    let status = served.wait("gate", "is live again", |status| {
        status.health == Health::Live
    });
    assert!(status.frames_damaged > 0, "{status:?}");
    assert!(seen.scenes > 60, "{seen:?} {status:?}");
    did_not_notice(&served, before);
}

#[test]
fn a_cut_packet_has_everything_up_to_the_next_key_frame_filled() {
    let dir = temp_dir();
    // Key frames four seconds apart.
    let path = common::clip::Clip::new(common::scene::Scene::new(320, 240, 900))
        .rate("15")
        .key_interval(60)
        .write(dir.path(), "clip.mp4");
    let camera = Camera::start(&path, "h264", 0, None);
    let wrong = Arc::new(AtomicBool::new(false));
    let is_wrong = wrong.clone();
    camera.change_packets(move |mut packet| {
        // A part of a picture that is no key frame: no number is missing, so only the decoder can tell.
        let is_part = matches!(packet.get(12..14), Some([unit, part]) if unit & 0x1f == 28 && part & 0x1f == 1);
        if is_wrong.load(Ordering::Relaxed) && packet[1] & 0x7f == 96 && is_part {
            packet.truncate(packet.len() / 2);
        }
        vec![packet]
    });
    let served = Served::start(dir.path(), &beside_another(&camera, &path));
    served.wait("gate", "is live", |status| status.frames > 30);
    let undamaged = served.status("gate");
    assert_eq!(undamaged.frames_damaged, 0, "{undamaged:?}");
    for _ in 0..2 {
        let before = served.status("gate").frames_damaged;
        wrong.store(true, Ordering::Relaxed);
        served.wait("gate", "shows damage", |status| {
            status.frames_damaged > before
        });
        wrong.store(false, Ordering::Relaxed);
        let during = served.status("gate").frames_damaged;
        let mut last = during;
        wait_for("the end of the damage", || {
            std::thread::sleep(std::time::Duration::from_secs(2));
            let now = served.status("gate").frames_damaged;
            (std::mem::replace(&mut last, now) == now).then_some(())
        });
        // What was on its way, and the rest of the group of pictures.
        assert!(last - during <= 80, "{during} {last}");
        let after = served.status("gate");
        assert_eq!(
            after.frames_failed_closed, after.frames_damaged,
            "{after:?}"
        );
        assert_eq!(after.reconnects, 0, "{after:?}");
    }
}

#[test]
fn clocks_that_jump_by_hours_do_not_turn_times_back() {
    const HOURS: i64 = 5 * 3600;
    let dir = temp_dir();
    let path = clip(dir.path(), "clip.mp4", Codec::H264, 60);
    let camera = Camera::start(&path, "h264", 0, None);
    let (wall, media) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicI64::new(0)));
    camera.shift_clock(wall.clone());
    let ahead = media.clone();
    camera.change_packets(move |mut packet| {
        if packet.get(1).is_some_and(|kind| kind & 0x7f == 96) {
            let time = u32::from_be_bytes(packet[4..8].try_into().expect("four bytes"));
            let time = time.wrapping_add(ahead.load(Ordering::Relaxed) as u32);
            packet[4..8].copy_from_slice(&time.to_be_bytes());
        }
        vec![packet]
    });
    let served = Served::start(dir.path(), &beside_another(&camera, &path));
    served.wait("gate", "is live", |status| status.health == Health::Live);
    served.wait("door", "is live", |status| status.health == Health::Live);
    let before = served.status("door").frames;
    let seen = through(&served, "gate", dir.path(), 30, || {
        for (wall_seconds, media_seconds) in
            [(HOURS, 0), (-HOURS, 0), (0, HOURS), (0, -HOURS), (0, 0)]
        {
            wall.store(wall_seconds, Ordering::Relaxed);
            media.store(media_seconds * 90_000, Ordering::Relaxed);
            std::thread::sleep(std::time::Duration::from_secs(4));
        }
    });
    served.wait("gate", "is live again", |status| {
        status.health == Health::Live
    });
    let frames = served.status("gate").frames;
    served.wait("gate", "goes on", |status| status.frames > frames + 15);
    assert!(seen.scenes > 100, "{seen:?}");
    did_not_notice(&served, before);
}

#[test]
fn a_camera_that_changes_its_codec_and_size_is_followed() {
    let dir = temp_dir();
    let path = clip(dir.path(), "clip.mp4", Codec::H264, 30);
    let other = common::clip::Clip::new(common::scene::Scene::new(480, 270, 450))
        .rate("15")
        .codec(Codec::H265)
        .key_interval(15)
        .write(dir.path(), "other.mp4");
    let camera = Camera::start(&path, "h264", 0, None);
    let port = camera.port;
    let served = Served::start(dir.path(), &beside_another(&camera, &path));
    served.wait("gate", "is live", |status| status.health == Health::Live);
    served.wait("door", "is live", |status| status.health == Health::Live);
    let before = served.status("door").frames;
    let mut back = None;
    let seen = through(&served, "gate", dir.path(), 25, || {
        drop(camera);
        back = Some(Camera::start(&other, "h265", port, None));
        served.wait("gate", "is missed", |status| status.reconnects > 0);
        served.wait("gate", "is back", |status| status.health == Health::Live);
        std::thread::sleep(std::time::Duration::from_secs(3));
    });
    assert!(seen.scenes > 60, "{seen:?}");
    let status = served.status("gate");
    assert_eq!((status.width, status.height), (320, 240), "{status:?}");
    did_not_notice(&served, before);
}

#[test]
fn another_codec_under_the_same_number_shows_nothing() {
    let dir = temp_dir();
    let path = clip(dir.path(), "clip.mp4", Codec::H264, 5);
    let other = common::clip::Clip::new(common::scene::Scene::new(480, 270, 450))
        .rate("15")
        .codec(Codec::H265)
        .key_interval(15)
        .write(dir.path(), "other.mp4");
    // Five seconds of H.264, then H.265 that is said to be H.264.
    let launch = format!(
        "( concat name=pay0 filesrc location={} ! qtdemux ! h264parse ! rtph264pay config-interval=-1 pt=96 ! pay0. filesrc location={} ! qtdemux ! h265parse ! rtph265pay config-interval=-1 pt=96 ! pay0. )",
        path.display(),
        other.display()
    );
    let camera = Camera::launch(&launch, 0, None);
    let served = Served::start(dir.path(), &beside_another(&camera, &path));
    served.wait("gate", "is live", |status| status.health == Health::Live);
    served.wait("door", "is live", |status| status.health == Health::Live);
    let before = served.status("door").frames;
    let seen = through(&served, "gate", dir.path(), 25, || {
        served.wait("gate", "is missed", |status| status.reconnects > 0);
        served.wait("gate", "is back", |status| status.health == Health::Live);
    });
    assert!(seen.scenes > 40, "{seen:?}");
    did_not_notice(&served, before);
}
