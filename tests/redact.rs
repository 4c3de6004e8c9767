//! Redaction from file to file, by the program's command line, checked in every pixel of every frame: markers are
//! gone, everything else is as it was, and so are frame count, times and shape.

mod common;

use std::path::{Path, PathBuf};

use common::clip::Clip;
use common::codec::Codec;
use common::look::{self, decode_frames, ffprobe_json, find_markers, frame_times};
use common::program::{redact, run};
use common::scene::{Picture, Scene};
use common::{ffmpeg, run_tool, temp_dir};
use floutage::detect::Class;
use floutage::frame::Matrix;
use floutage::geometry::BBox;
use gst::prelude::*;

const WIDTH: usize = 320;
const HEIGHT: usize = 240;
const FRAMES: usize = 16;
/// Pixels around a marker that may change: coding smears, and the masks of [`EXACT`] are a pixel larger.
const SMEAR: f32 = 17.0;

fn scene() -> Scene {
    Scene::new(WIDTH, HEIGHT, FRAMES).on_grid(16)
}

/// Options with which the mask is exactly known, and coding does little harm.
const EXACT: &[&str] = &[
    "--face-shape",
    "rectangle",
    "--plate-shape",
    "rectangle",
    "--margin",
    "0.2",
    "--feather",
    "0",
    "--quality",
    "12",
    "--preset",
    "ultrafast",
    "--json",
];

fn grown(area: &BBox, pixels: f32) -> BBox {
    BBox::new(
        area.x1 - pixels,
        area.y1 - pixels,
        area.x2 + pixels,
        area.y2 + pixels,
    )
}

/// Nothing of any marker is left where `scene` has it in frame `index`, nor anywhere else.
fn check_gone(scene: &Scene, index: usize, frame: &Picture, matrix: Matrix, style: &str) {
    for (class, area) in scene.truth(index) {
        let detail = look::detail(frame, &area);
        assert!(
            detail < 2.5,
            "{style}, frame {index}: {class} {area:?} has detail {detail}"
        );
        if style == "fill" {
            let share = look::marker_share(frame, matrix, class, &area);
            assert_eq!(share, 0.0, "frame {index}: {class} {area:?} shows");
        }
    }
    if style == "fill" {
        for class in Class::ALL {
            let found = find_markers(frame, matrix, class);
            assert!(found.is_empty(), "frame {index}: {class} at {found:?}");
        }
    }
}

/// Both files show the same in every frame outside the redacted regions, to `least` decibels.
fn check_rest(scene: &Scene, output: &[Picture], reference: &[Picture], least: f64, margin: f32) {
    assert_eq!(output.len(), reference.len(), "frame count");
    for (index, (frame, original)) in output.iter().zip(reference).enumerate() {
        assert_eq!(
            (frame.width, frame.height),
            (original.width, original.height),
            "size"
        );
        let excluded: Vec<BBox> = scene
            .truth(index)
            .iter()
            .map(|(_, area)| grown(area, margin))
            .collect();
        let psnr = look::psnr(frame, original, &excluded);
        assert!(psnr >= least, "frame {index}: {psnr:.1} dB");
    }
}

/// Frame times from the first one on.
fn relative_times(path: &Path) -> Vec<f64> {
    let times = frame_times(path);
    times.iter().map(|time| time - times[0]).collect()
}

fn check_times(input: &Path, output: &Path) {
    let (before, after) = (relative_times(input), relative_times(output));
    assert_eq!(before.len(), after.len(), "frame count");
    for (index, (before, after)) in before.iter().zip(&after).enumerate() {
        // Matroska counts milliseconds.
        assert!(
            (before - after).abs() < 0.0021,
            "frame {index}: {before} became {after}"
        );
    }
}

/// Redacts `input`, which shows `scene`, and checks frames, times and numbers; returns what ffprobe says of the output.
fn check(
    scene: &Scene,
    input: &Path,
    output: &Path,
    least: f64,
    options: &[&str],
) -> serde_json::Value {
    let label = format!("{} -> {}", input.display(), output.display());
    eprintln!("{label} {options:?}");
    let outcome = run(redact(input, output)
        .args(EXACT)
        .args(["--style", "fill"])
        .args(options))
    .succeeded();
    let report = outcome.report();
    assert_eq!(report["frames"], scene.frames, "{report}");
    for zero in ["frames_failed_closed", "frames_lost", "frames_damaged"] {
        assert_eq!(report[zero], 0, "{report}");
    }
    assert_eq!(
        (&report["width"], &report["height"]),
        (&scene.width.into(), &scene.height.into())
    );
    let frames = decode_frames(output);
    for (index, frame) in frames.iter().enumerate() {
        check_gone(scene, index, frame, scene.matrix, "fill");
    }
    check_rest(scene, &frames, &decode_frames(input), least, SMEAR);
    check_times(input, output);
    ffprobe_json(output)
}

/// What goes in: containers and codecs, made by ffmpeg.
fn check_inputs(inputs: &[(Codec, &str, &str)]) {
    let dir = temp_dir();
    for (codec, extension, format) in inputs {
        let clip = Clip::new(scene())
            .codec(*codec)
            .pixel_format(format)
            .key_interval(8);
        let name = format!("{}-{format}.{extension}", codec.name());
        let input = clip.write(dir.path(), &name);
        let probe = check(
            &clip.scene,
            &input,
            &dir.path().join(format!("{name}.out.mp4")),
            34.0,
            &[],
        );
        let video = look::stream(&probe, "video").expect("a video");
        assert_eq!(video["codec_name"], "h264");
        assert_eq!(
            video["pix_fmt"].as_str().map(|f| f
                .trim_start_matches("yuvj420p")
                .trim_start_matches("yuv420p")),
            Some("")
        );
    }
}

#[test]
fn every_kind_of_input_with_modern_codecs() {
    check_inputs(&[
        (Codec::H264, "mp4", "yuv420p"),
        (Codec::H265, "mkv", "yuv420p"),
        (Codec::Vp8, "webm", "yuv420p"),
        (Codec::Vp9, "webm", "yuv420p"),
        (Codec::Av1, "mkv", "yuv420p"),
        (Codec::H264, "ts", "yuv420p"),
        (Codec::H265, "mp4", "yuv420p"),
    ]);
}

#[test]
fn every_kind_of_input_with_old_codecs() {
    check_inputs(&[
        (Codec::Mpeg2, "ts", "yuv420p"),
        (Codec::Mpeg4, "avi", "yuv420p"),
        (Codec::Mjpeg, "avi", "yuvj420p"),
        (Codec::H264, "mov", "yuv420p"),
        (Codec::H264, "avi", "yuv420p"),
        (Codec::Ffv1, "mkv", "yuv420p"),
    ]);
}

#[test]
fn deep_and_full_chroma_become_what_every_player_shows() {
    check_inputs(&[
        (Codec::H264, "mov", "yuv422p10le"),
        (Codec::H264, "mp4", "yuv444p"),
        (Codec::H265, "mkv", "yuv420p10le"),
        (Codec::Ffv1, "mkv", "yuv422p"),
    ]);
}

#[test]
fn prores_is_read() {
    let dir = temp_dir();
    let lossless = Clip::new(scene())
        .codec(Codec::Ffv1)
        .write(dir.path(), "lossless.mkv");
    let input = dir.path().join("in.mov");
    let arguments = [
        "-c:v",
        "prores_ks",
        "-profile:v",
        "3",
        "-pix_fmt",
        "yuv422p10le",
    ];
    run_tool(
        ffmpeg()
            .arg("-i")
            .arg(&lossless)
            .args(arguments)
            .arg(&input),
    );
    check(&scene(), &input, &dir.path().join("out.mp4"), 34.0, &[]);
}

#[test]
fn time_stamps_of_variable_rates_survive() {
    let dir = temp_dir();
    for (name, out) in [
        ("a.mp4", "out.mp4"),
        ("b.mkv", "out.mkv"),
        ("c.mp4", "out.webm"),
    ] {
        let clip = Clip::new(scene()).intervals(&[20, 60, 33, 100]);
        let input = clip.write(dir.path(), name);
        check(&clip.scene, &input, &dir.path().join(out), 31.0, &[]);
    }
}

#[test]
fn turned_pictures_come_out_upright() {
    let dir = temp_dir();
    for degrees in [90, 180, 270] {
        let clip = Clip::new(scene()).rotation(degrees);
        let input = clip.write(dir.path(), &format!("{degrees}.mp4"));
        let output = dir.path().join(format!("{degrees}.out.mp4"));
        let probe = check(&clip.scene, &input, &output, 34.0, &[]);
        let video = look::stream(&probe, "video").expect("a video");
        assert_eq!(
            (&video["width"], &video["height"]),
            (&WIDTH.into(), &HEIGHT.into())
        );
        assert!(
            video["side_data_list"].is_null() && video["tags"]["rotate"].is_null(),
            "{video}"
        );
    }
}

#[test]
fn shape_of_pixels_interlacing_and_colour_description_survive() {
    let dir = temp_dir();
    for (index, out) in ["mp4", "mkv"].into_iter().enumerate() {
        let clip = Clip::new(scene()).interlaced().pixel_aspect(5, 4);
        let input = clip.write(dir.path(), &format!("{index}.{out}"));
        let output = dir.path().join(format!("{index}.out.{out}"));
        let probe = check(&clip.scene, &input, &output, 33.0, &[]);
        let video = look::stream(&probe, "video").expect("a video");
        assert_eq!(video["sample_aspect_ratio"], "5:4", "{video}");
        assert_eq!(video["field_order"], "tt", "{video}");
        for key in ["color_space", "color_transfer", "color_primaries"] {
            assert_eq!(video[key], "bt709", "{key}: {video}");
        }
    }
}

#[test]
fn full_range_stays_full_range() {
    let dir = temp_dir();
    let lossless = Clip::new(scene())
        .codec(Codec::Ffv1)
        .write(dir.path(), "lossless.mkv");
    // The last one states the range and nothing else.
    for (out, described) in [("mp4", true), ("mkv", true), ("mkv", false)] {
        let input = dir.path().join(format!("in-{described}.{out}"));
        let arguments = [
            "-vf",
            "scale=in_range=tv:out_range=pc",
            "-pix_fmt",
            "yuvj420p",
            "-c:v",
            "libx264",
            "-crf",
            "8",
        ];
        let space = if described { "bt709" } else { "unknown" };
        let colour = ["-color_range", "pc", "-colorspace", space];
        let rest = ["-color_primaries", space, "-color_trc", space];
        run_tool(
            ffmpeg()
                .arg("-i")
                .arg(&lossless)
                .args(arguments)
                .args(colour)
                .args(rest)
                .arg(&input),
        );
        let probe = check(
            &scene(),
            &input,
            &dir.path().join(format!("out-{described}.{out}")),
            34.0,
            &[],
        );
        let video = look::stream(&probe, "video").expect("a video");
        assert_eq!(video["color_range"], "pc", "{video}");
        if described {
            assert_eq!(video["color_space"], "bt709", "{video}");
        }
    }
}

/// What comes out: containers and codecs.
fn check_outputs(outputs: &[(&str, &str, &str)]) {
    let dir = temp_dir();
    let clip = Clip::new(scene());
    let input = clip.write(dir.path(), "in.mp4");
    for (codec, extension, expected) in outputs {
        let output = dir.path().join(format!("{codec}.{extension}"));
        let probe = check(&clip.scene, &input, &output, 33.0, &["--codec", codec]);
        let streams = probe["streams"].as_array().expect("streams");
        assert_eq!(streams.len(), 1, "{probe}");
        assert_eq!(streams[0]["codec_name"], *expected);
    }
}

#[test]
fn outputs_in_h264_and_h265() {
    check_outputs(&[
        ("h264", "mp4", "h264"),
        ("h264", "mkv", "h264"),
        ("h264", "mov", "h264"),
        ("h265", "mp4", "hevc"),
        ("h265", "mkv", "hevc"),
        ("h265", "mov", "hevc"),
    ]);
}

#[test]
fn outputs_in_vp9_and_av1() {
    check_outputs(&[
        ("vp9", "mp4", "vp9"),
        ("vp9", "mkv", "vp9"),
        ("vp9", "webm", "vp9"),
        ("av1", "mp4", "av1"),
        ("av1", "mkv", "av1"),
        ("av1", "webm", "av1"),
    ]);
}

/// The same decoding and encoding without anything of this project's in between.
fn plain_transcode(input: &Path, output: &Path) {
    gst::init().expect("GStreamer starts");
    let encoding = floutage::media::encode::Encoding {
        codec: floutage::media::encode::Codec::H264,
        quality: 21,
        preset: floutage::media::encode::Preset::VeryFast,
    };
    let pipeline = gst::parse::launch("filesrc name=source ! decodebin ! videoconvert name=last")
        .expect("a pipeline");
    let pipeline = pipeline.downcast::<gst::Pipeline>().expect("a pipeline");
    let mut chain = vec![pipeline.by_name("last").expect("named")];
    pipeline
        .by_name("source")
        .expect("named")
        .set_property("location", input);
    for element in encoding.elements().expect("an encoder") {
        pipeline.add(&element).expect("added");
        chain.push(element);
    }
    for name in ["mp4mux", "filesink"] {
        let element = gst::ElementFactory::make(name).build().expect("installed");
        pipeline.add(&element).expect("added");
        chain.push(element);
    }
    chain[chain.len() - 1].set_property("location", output);
    gst::Element::link_many(&chain).expect("linked");
    pipeline.set_state(gst::State::Playing).expect("started");
    let wanted = [gst::MessageType::Eos, gst::MessageType::Error];
    let message = pipeline
        .bus()
        .expect("a bus")
        .timed_pop_filtered(gst::ClockTime::from_seconds(60), &wanted);
    pipeline.set_state(gst::State::Null).expect("stopped");
    assert!(
        matches!(
            message.as_ref().map(|message| message.type_()),
            Some(gst::MessageType::Eos)
        ),
        "{message:?}"
    );
}

#[test]
fn outside_the_regions_it_is_a_plain_transcode_in_every_style() {
    let dir = temp_dir();
    let clip = Clip::new(scene());
    let input = clip.write(dir.path(), "in.mp4");
    let plain = dir.path().join("plain.mp4");
    plain_transcode(&input, &plain);
    let reference = decode_frames(&plain);
    for style in ["fill", "blur", "mosaic"] {
        let output = dir.path().join(format!("{style}.mp4"));
        // The detector answers in cells of 8 pixels, of which a blur of 4x4 means would hide no stripes: regions grow
        // to 32 pixels.
        let shape = [
            "--face-shape",
            "rectangle",
            "--plate-shape",
            "rectangle",
            "--margin",
            "3",
            "--feather",
            "0",
        ];
        run(redact(&input, &output).args(shape).args(["--style", style])).succeeded();
        let frames = decode_frames(&output);
        for (index, frame) in frames.iter().enumerate() {
            check_gone(&clip.scene, index, frame, clip.scene.matrix, style);
        }
        check_rest(&clip.scene, &frames, &reference, 38.0, SMEAR + 12.0);
        check_times(&plain, &output);
    }
}

#[test]
fn the_default_options_leave_no_marker_either() {
    let dir = temp_dir();
    // Neither on any grid nor of an even place in the model's input.
    let clip = Clip::new(Scene::new(330, 246, 24));
    let input = clip.write(dir.path(), "in.mp4");
    let output = dir.path().join("out.mp4");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_floutage"));
    command.arg("redact").arg(&input).arg("-o").arg(&output);
    command
        .arg("--model")
        .arg(common::program::fixture("marker-detector"));
    // The test detector names a marker by hundreds of small boxes, whose cells would look like stripes again.
    run(command.args(["--face-style", "fill"])).succeeded();
    let frames = decode_frames(&output);
    assert_eq!(frames.len(), 24);
    for (index, frame) in frames.iter().enumerate() {
        for (class, area) in clip.scene.truth(index) {
            let detail = look::detail(frame, &area);
            assert!(detail < 2.5, "frame {index}: {class} has detail {detail}");
            let share = look::marker_share(frame, clip.scene.matrix, class, &area);
            assert_eq!(share, 0.0, "frame {index}: {class}");
        }
    }
}

/// A folder with links to all GStreamer plugins but the one that has `element`.
fn plugins_without(element: &str, folder: &Path) -> Option<PathBuf> {
    gst::init().expect("GStreamer starts");
    let hidden = gst::ElementFactory::find(element)?.plugin()?.filename()?;
    let links = folder.join("plugins");
    std::fs::create_dir(&links).expect("a folder can be made");
    for entry in std::fs::read_dir(hidden.parent()?).expect("the plugins can be listed") {
        let path = entry.expect("the plugins can be listed").path();
        if path != hidden && path.extension().is_some_and(|extension| extension == "so") {
            let name = path.file_name().expect("a file has a name");
            std::os::unix::fs::symlink(&path, links.join(name)).expect("a link can be made");
        }
    }
    Some(links)
}

#[test]
fn openh264_does_it_where_x264_is_missing() {
    let dir = temp_dir();
    let Some(plugins) = plugins_without("x264enc", dir.path()) else {
        common::skip!("x264enc is not installed, so the other tests used openh264enc");
    };
    let clip = Clip::new(scene());
    let input = clip.write(dir.path(), "in.mp4");
    let output = dir.path().join("out.mp4");
    let mut command = redact(&input, &output);
    command.env("GST_PLUGIN_SYSTEM_PATH_1_0", &plugins);
    command.env("GST_PLUGIN_PATH_1_0", "");
    command.env("GST_REGISTRY_1_0", dir.path().join("registry.bin"));
    let report = run(command.args(EXACT).args(["--style", "fill"]))
        .succeeded()
        .report();
    assert_eq!(report["encoder"], "openh264enc");
    let frames = decode_frames(&output);
    for (index, frame) in frames.iter().enumerate() {
        check_gone(&clip.scene, index, frame, clip.scene.matrix, "fill");
    }
    check_rest(&clip.scene, &frames, &decode_frames(&input), 30.0, SMEAR);
    check_times(&input, &output);
}
