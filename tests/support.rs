//! The test support does what it says: other tests rest on it.

mod common;

use common::clip::{self, Clip};
use common::codec::Codec;
use common::look::{self, decode_frames, ffprobe_json, find_markers, frame_times};
use common::scene::{Marker, Picture, Scene};
use common::{contains_bytes, damage, temp_dir};
use floutage::detect::Class;
use floutage::frame::Matrix;
use floutage::geometry::BBox;

/// Every marker is found where the truth says, and nowhere else.
fn check_truth(clip: &Clip, frames: &[Picture], tolerance: f32) {
    let scene = &clip.scene;
    assert_eq!(frames.len(), scene.frames, "frame count");
    for (index, frame) in frames.iter().enumerate() {
        assert_eq!((frame.width, frame.height), (scene.width, scene.height));
        for class in Class::ALL {
            let truth: Vec<BBox> = scene
                .truth(index)
                .into_iter()
                .filter(|(of, _)| *of == class)
                .map(|(_, bbox)| bbox)
                .collect();
            let found = find_markers(frame, scene.matrix, class);
            assert_eq!(
                found.len(),
                truth.len(),
                "frame {index}: {class}: {found:?} for {truth:?}"
            );
            for (found, truth) in found.iter().zip(&truth) {
                let off = [
                    found.x1 - truth.x1,
                    found.y1 - truth.y1,
                    found.x2 - truth.x2,
                    found.y2 - truth.y2,
                ];
                assert!(
                    off.iter().all(|edge| edge.abs() <= tolerance),
                    "frame {index}: {class} is at {found:?}, the truth says {truth:?}"
                );
            }
        }
    }
}

#[test]
fn rendered_markers_are_exactly_the_truth() {
    for (width, height) in [(320, 240), (330, 246), (161, 91)] {
        let clip = Clip::new(Scene::new(width, height, 60));
        let frames: Vec<Picture> = (0..60).map(|index| clip.scene.render(index)).collect();
        check_truth(&clip, &frames, 0.0);
        // They move, and their stripes are there to be hidden.
        assert_ne!(clip.scene.truth(0), clip.scene.truth(20));
        let (_, face) = clip.scene.truth(0)[0];
        assert!(look::detail(&frames[0], &face) > 4.0);
    }
}

#[test]
fn markers_come_and_go_and_stay_on_their_grid() {
    let mut scene = Scene::new(320, 240, 40).on_grid(16);
    scene.markers[0].visible = 10..20;
    for index in 0..40 {
        let truth = scene.truth(index);
        assert_eq!(truth.len(), if (10..20).contains(&index) { 2 } else { 1 });
        for (_, bbox) in truth {
            for edge in [bbox.x1, bbox.y1, bbox.x2, bbox.y2] {
                assert_eq!(edge % 16.0, 0.0);
            }
        }
    }
}

#[test]
fn a_marker_larger_than_the_scene_fills_it() {
    let mut scene = Scene::empty(17, 33, 1);
    let marker = Marker::new(Class::Face, (64, 64), (5.0, 5.0), (3.0, 3.0));
    scene.markers.push(marker);
    let all = BBox::new(0.0, 0.0, 17.0, 33.0);
    assert_eq!(scene.truth(0), [(Class::Face, all)]);
    let share = look::marker_share(&scene.render(0), scene.matrix, Class::Face, &all);
    assert_eq!(share, 1.0);
}

#[test]
fn every_codec_keeps_the_truth() {
    let dir = temp_dir();
    for (codec, extension) in [
        (Codec::H264, "mp4"),
        (Codec::H264, "mkv"),
        (Codec::H264, "mov"),
        (Codec::H264, "avi"),
        (Codec::H264, "ts"),
        (Codec::H265, "mp4"),
        (Codec::Vp8, "webm"),
        (Codec::Vp9, "webm"),
        (Codec::Av1, "mkv"),
        (Codec::Mpeg2, "ts"),
        (Codec::Mpeg4, "avi"),
        (Codec::Mjpeg, "avi"),
        (Codec::Ffv1, "mkv"),
    ] {
        let clip = Clip::new(Scene::new(320, 240, 12)).codec(codec);
        let name = format!("{}.{extension}", codec.name());
        let path = clip.write(dir.path(), &name);
        let probe = ffprobe_json(&path);
        let video = look::stream(&probe, "video").expect("there is a video");
        assert_eq!(video["codec_name"], codec.name());
        check_truth(&clip, &decode_frames(&path), 4.0);
    }
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
    assert_eq!(left.len(), 13, "only the clips are left: {left:?}");
}

#[test]
fn without_loss_every_sample_is_as_rendered() {
    let dir = temp_dir();
    let clip = Clip::new(Scene::new(330, 246, 3)).codec(Codec::Ffv1);
    let frames = decode_frames(&clip.write(dir.path(), "exact.mkv"));
    for (index, frame) in frames.iter().enumerate() {
        assert_eq!(*frame, clip.scene.render(index), "frame {index}");
        assert_eq!(
            look::psnr(frame, &clip.scene.render(index), &[]),
            f64::INFINITY
        );
    }
}

#[test]
fn other_pixel_formats_and_odd_sizes() {
    let dir = temp_dir();
    for (codec, format) in [
        (Codec::H264, "yuv422p"),
        (Codec::H264, "yuv444p"),
        (Codec::H264, "yuv420p10le"),
        (Codec::H264, "yuv422p10le"),
        (Codec::H265, "yuv420p10le"),
        (Codec::H265, "yuv444p10le"),
        (Codec::Vp9, "yuv420p10le"),
        (Codec::Mpeg2, "yuv422p"),
        (Codec::Mjpeg, "yuvj422p"),
    ] {
        let clip = Clip::new(Scene::new(320, 240, 6))
            .codec(codec)
            .pixel_format(format);
        let path = clip.write(dir.path(), &format!("{}-{format}.mkv", codec.name()));
        let probe = ffprobe_json(&path);
        assert_eq!(look::stream(&probe, "video").unwrap()["pix_fmt"], format);
        check_truth(&clip, &decode_frames(&path), 4.0);
    }
    for (width, height) in [(161, 91), (17, 33), (1, 1)] {
        let mut scene = Scene::new(width, height, 4);
        if height < 80 {
            scene = Scene::empty(width, height, 4);
        }
        let clip = Clip::new(scene).codec(Codec::Ffv1);
        let path = clip.write(dir.path(), &format!("{width}x{height}.mkv"));
        check_truth(&clip, &decode_frames(&path), 2.0);
    }
}

#[test]
fn rotated_clips_display_the_scene() {
    let dir = temp_dir();
    for degrees in [90u16, 180, 270] {
        let clip = Clip::new(Scene::new(320, 240, 6)).rotation(degrees);
        let path = clip.write(dir.path(), &format!("turned-{degrees}.mp4"));
        let probe = ffprobe_json(&path);
        let video = look::stream(&probe, "video").unwrap();
        let coded = if degrees == 180 {
            (320, 240)
        } else {
            (240, 320)
        };
        assert_eq!(video["width"], coded.0);
        assert_eq!(video["height"], coded.1);
        let turned = video["side_data_list"][0]["rotation"].as_i64().unwrap();
        assert_eq!((turned + i64::from(degrees)).rem_euclid(360), 0);
        check_truth(&clip, &decode_frames(&path), 4.0);
    }
}

#[test]
fn turning_four_times_changes_nothing() {
    let picture = Scene::new(33, 20, 1).render(0);
    let once = picture.rotated(90);
    assert_eq!((once.width, once.height), (20, 33));
    // The top left corner goes to the top right.
    assert_eq!(once.plane(0)[19], picture.plane(0)[0]);
    assert_eq!(once.rotated(90), picture.rotated(180));
    assert_eq!(once.rotated(270), picture);
}

#[test]
fn interlaced_clips_say_so_and_have_two_times_in_a_frame() {
    let dir = temp_dir();
    let mut scene = Scene::new(320, 240, 6);
    scene.markers[0].velocity = (16.0, 0.0);
    for (codec, name) in [(Codec::H264, "h264.mp4"), (Codec::Mpeg2, "mpeg2.ts")] {
        let clip = Clip::new(scene.clone()).codec(codec).interlaced();
        let path = clip.write(dir.path(), name);
        let shown = ["-show_entries", "frame=interlaced_frame,top_field_first"];
        let probe = look::ffprobe(&path, &shown);
        for frame in probe["frames"].as_array().unwrap() {
            assert_eq!(frame["interlaced_frame"], 1, "{name}");
            assert_eq!(frame["top_field_first"], 1, "{name}");
        }
        let (_, face) = clip.scene.truth(2)[0];
        let frame = clip.scene.render(2);
        let (x, y) = (face.x1 as usize, face.y1 as usize + 4);
        let (one, two) = (frame.pixel(x, y)[0], frame.pixel(x, y + 1)[0]);
        assert!(
            one.abs_diff(two) > 5,
            "the fields are the same: {one} {two}"
        );
        assert_eq!(face.width(), clip.scene.markers[0].size.0 as f32 + 8.0);
    }
}

#[test]
fn frame_times_are_as_asked() {
    let dir = temp_dir();
    let scene = Scene::new(160, 120, 11);
    for (name, clip) in [
        ("ntsc.mp4", Clip::new(scene.clone()).rate("30000/1001")),
        (
            "vfr.mp4",
            Clip::new(scene.clone()).intervals(&[40, 20, 100, 33]),
        ),
        (
            "vfr.mkv",
            Clip::new(scene.clone()).intervals(&[40, 20, 100, 33]),
        ),
        (
            "vfr.webm",
            Clip::new(scene).codec(Codec::Vp9).intervals(&[5, 500]),
        ),
    ] {
        let path = clip.write(dir.path(), name);
        let times = frame_times(&path);
        assert_eq!(times.len(), 11, "{name}");
        for (index, time) in times.iter().enumerate() {
            // Matroska counts milliseconds.
            let wanted = clip.time(index);
            assert!(
                (time - times[0] - wanted).abs() < 0.0011,
                "{name}: frame {index} is at {time} s, not {wanted} s"
            );
        }
    }
}

#[test]
fn colour_and_pixel_aspect_are_written() {
    let dir = temp_dir();
    for (matrix, name) in [(Matrix::Bt601, "smpte170m"), (Matrix::Bt709, "bt709")] {
        let mut scene = Scene::new(320, 240, 3);
        scene.matrix = matrix;
        let clip = Clip::new(scene).pixel_aspect(4, 3);
        let path = clip.write(dir.path(), &format!("{name}.mp4"));
        let probe = ffprobe_json(&path);
        let video = look::stream(&probe, "video").unwrap();
        assert_eq!(video["color_space"], name);
        assert_eq!(video["color_primaries"], name);
        assert_eq!(video["sample_aspect_ratio"], "4:3");
        check_truth(&clip, &decode_frames(&path), 4.0);
    }
}

#[test]
fn side_channels_are_in_the_file() {
    let dir = temp_dir();
    let scene = Scene::new(160, 120, 10);
    for extension in ["mp4", "mov", "mkv", "webm", "ts", "avi"] {
        let codec = if extension == "webm" {
            Codec::Vp9
        } else {
            Codec::H264
        };
        let clip = Clip::new(scene.clone())
            .codec(codec)
            .all_side_channels(extension);
        let path = clip.write(dir.path(), &format!("rich.{extension}"));
        let bytes = std::fs::read(&path).unwrap();
        let probe = ffprobe_json(&path);
        let mut expected = vec![];
        // Tags in a transport stream are service names, which ffmpeg's `title` does not set.
        if extension != "ts" {
            expected.push(clip::SECRET_TAG);
        }
        if codec == Codec::H264 {
            expected.push(clip::SECRET_SEI);
        }
        match extension {
            "mp4" => expected.extend([clip::SECRET_COVER]),
            "mkv" => expected.extend([clip::SECRET_ATTACHMENT]),
            "ts" => expected.extend([clip::SECRET_DATA]),
            _ => {}
        }
        if matches!(extension, "mp4" | "mov" | "mkv" | "webm") {
            expected.extend([clip::SECRET_SUBTITLE, clip::SECRET_CHAPTER]);
            assert_eq!(
                probe["chapters"].as_array().unwrap().len(),
                2,
                "{extension}"
            );
            assert!(look::stream(&probe, "subtitle").is_some(), "{extension}");
        }
        if matches!(extension, "mp4" | "mov" | "ts") {
            assert!(
                look::stream(&probe, "data").is_some(),
                "{extension}: no data track"
            );
        }
        assert!(
            look::stream(&probe, "audio").is_some(),
            "{extension}: no audio"
        );
        for secret in expected {
            assert!(secret.starts_with(clip::SECRET));
            assert!(
                contains_bytes(&bytes, secret.as_bytes()),
                "{extension}: no {secret}"
            );
        }
        assert_eq!(decode_frames(&path).len(), 10, "{extension}");
    }
}

#[test]
fn psnr_counts_what_is_not_excluded() {
    let grey = Picture::filled(20, 20, [100, 128, 128]);
    let mut other = grey.clone();
    for y in 5..10 {
        for x in 5..10 {
            other.data[y * 20 + x] = 200;
        }
    }
    assert!(look::psnr(&grey, &other, &[]) < 25.0);
    let area = BBox::new(5.0, 5.0, 10.0, 10.0);
    assert_eq!(look::psnr(&grey, &other, &[area]), f64::INFINITY);
    let smaller = BBox::new(5.0, 5.0, 10.0, 9.0);
    assert!(look::psnr(&grey, &other, &[smaller]) < 40.0);
}

#[test]
fn damage_is_where_it_should_be() {
    let dir = temp_dir();
    let path = Clip::new(Scene::new(160, 120, 10)).write(dir.path(), "whole.mp4");
    let whole = std::fs::read(&path).unwrap();
    let cut = std::fs::read(damage::truncated(&path, "cut.mp4", 0.5)).unwrap();
    assert_eq!(cut, whole[..whole.len() / 2]);
    let (start, length) = damage::mp4_box(&path, b"mdat").expect("there is an mdat");
    assert_eq!(&whole[start + 4..start + 8], b"mdat");
    let share = |at: usize| at as f64 / whole.len() as f64;
    let (from, to) = (start + length / 3, start + length / 2);
    let bad = damage::damaged(&path, "bad.mp4", share(from), share(to));
    let bad = std::fs::read(bad).unwrap();
    assert_eq!(bad.len(), whole.len());
    assert_eq!(bad[..from - 1], whole[..from - 1]);
    assert_eq!(bad[to + 1..], whole[to + 1..]);
    assert_ne!(bad[from..to], whole[from..to]);
}

#[test]
fn real_clips_can_be_looked_at() {
    let Some(path) = common::shared("clips/asl_eat.mkv") else {
        common::skip!("no ../shared/clips");
    };
    let times = frame_times(&path);
    let count = look::each_frame(&path, |_, picture| {
        assert_eq!((picture.width, picture.height), (640, 480));
    });
    assert_eq!(count, times.len());
}
