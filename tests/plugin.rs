//! The library as a plugin of stock GStreamer: the launch lines of the documentation, and a foreign detector.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::clip::Clip;
use common::codec::Codec;
use common::look;
use common::scene::Scene;
use floutage::frame::Matrix;

/// A folder with the plugin of this build alone. Building tests leaves it among the dependencies.
fn plugins(folder: &Path) -> PathBuf {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_floutage"));
    let built = program
        .parent()
        .expect("has a folder")
        .join("deps/libfloutage.so");
    assert!(built.exists(), "{} was not built", built.display());
    let plugins = folder.join("plugins");
    if !plugins.exists() {
        std::fs::create_dir(&plugins).expect("can be made");
        std::os::unix::fs::symlink(built, plugins.join("libfloutage.so")).expect("can be made");
    }
    plugins
}

/// gst-launch with the plugin of this build and no other state than the test's.
fn launch(folder: &Path, line: &str) -> Output {
    Command::new("timeout")
        .args(["-k", "5", "120", "gst-launch-1.0", "-q"])
        .args(line.split_whitespace())
        .env("GST_PLUGIN_PATH", plugins(folder))
        .env("GST_REGISTRY", folder.join("registry.bin"))
        .env_remove("FLOUTAGE_MODELS_DIR")
        .current_dir(folder)
        .output()
        .expect("gst-launch-1.0 runs")
}

fn assert_ran(output: &Output) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
}

fn marker_clip(folder: &Path) -> (Scene, PathBuf) {
    let scene = Scene::new(320, 240, 12).on_grid(8);
    let clip = Clip::new(scene.clone())
        .codec(Codec::H264)
        .write(folder, "in.mp4");
    (scene, clip)
}

fn model() -> String {
    common::repository("fixtures/marker-detector/marker-detector.onnx")
        .display()
        .to_string()
}

#[test]
fn the_bin_redacts_in_gst_launch() {
    let folder = common::temp_dir();
    let (scene, _) = marker_clip(folder.path());
    let line = format!(
        "filesrc location=in.mp4 ! decodebin ! videoconvert ! floutagebin style=fill input-size=320 model={} \
         ! videoconvert ! x264enc quantizer=10 pass=qual ! matroskamux ! filesink location=out.mkv",
        model()
    );
    assert_ran(&launch(folder.path(), &line));
    let frames = look::each_frame(&folder.path().join("out.mkv"), |index, picture| {
        for (class, area) in scene.truth(index) {
            let share = look::marker_share(&picture, Matrix::Bt601, class, &area);
            assert!(share < 0.01, "frame {index}: {class} marker left: {share}");
        }
    });
    assert_eq!(frames, 12);
}

#[test]
fn three_elements_in_a_row_do_the_same_and_without_the_detector_all_is_filled() {
    let folder = common::temp_dir();
    let (scene, _) = marker_clip(folder.path());
    let detect = format!("floutagedetect input-size=320 model={} ! queue !", model());
    for (name, detect) in [("with.mkv", detect.as_str()), ("without.mkv", "")] {
        let line = format!(
            "filesrc location=in.mp4 ! decodebin ! videoconvert ! {detect} floutageredact style=mosaic \
             ! floutagegate ! x264enc quantizer=10 pass=qual ! matroskamux ! filesink location={name}"
        );
        assert_ran(&launch(folder.path(), &line));
        let mut filled = 0;
        let frames = look::each_frame(&folder.path().join(name), |_, picture| {
            let whole = floutage::geometry::BBox::new(0.0, 0.0, 320.0, 240.0);
            filled += usize::from(look::detail(&picture, &whole) < 1.0);
        });
        assert_eq!(frames, scene.frames, "{name}");
        assert_eq!(filled, if detect.is_empty() { frames } else { 0 }, "{name}");
    }
}

#[test]
fn the_default_model_is_found_beside_the_plugin() {
    let folder = common::temp_dir();
    let models = plugins(folder.path()).join("models");
    std::os::unix::fs::symlink(common::repository("models"), models).expect("can be made");
    let line = "videotestsrc num-buffers=3 ! video/x-raw,format=I420 ! floutagebin ! fakesink";
    assert_ran(&launch(folder.path(), line));
}

#[test]
fn a_property_with_a_bad_value_keeps_the_pipeline_from_running() {
    let folder = common::temp_dir();
    let line =
        "videotestsrc num-buffers=3 ! floutageredact zones=nonsense ! filesink location=out.raw";
    let output = launch(folder.path(), line);
    assert!(!output.status.success());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("zone"), "{stderr}");
}

#[test]
fn opencvs_facedetect_can_take_the_detectors_place() {
    let cascade = "/usr/share/opencv4/haarcascades/haarcascade_frontalface_default.xml";
    let (Some(clip), true) = (
        common::shared("clips/asl_milk.mkv"),
        Path::new(cascade).exists(),
    ) else {
        return common::report_skip(
            module_path!(),
            "needs a clip of ../shared/clips and the package opencv-data",
        );
    };
    let folder = common::temp_dir();
    let line = |redact: &str, out: &str| {
        format!(
            "filesrc location={} ! decodebin ! videoconvert ! facedetect display=false profile={cascade} \
             ! videoconvert ! floutageredact {redact} ! floutagegate ! x264enc quantizer=10 pass=qual \
             ! matroskamux ! filesink location={out}",
            clip.display()
        )
    };
    assert_ran(&launch(
        folder.path(),
        &line("on-missing=pass style=fill", "pass.mkv"),
    ));
    assert_ran(&launch(folder.path(), &line("", "fill.mkv")));
    let original = look::decode_frames(&clip);
    let (mut changed, mut filled) = (0, 0);
    let frames = look::each_frame(&folder.path().join("pass.mkv"), |index, picture| {
        changed += usize::from(look::psnr(&picture, &original[index], &[]) < 28.0);
    });
    look::each_frame(&folder.path().join("fill.mkv"), |_, picture| {
        let whole = floutage::geometry::BBox::new(0.0, 0.0, 640.0, 480.0);
        filled += usize::from(look::detail(&picture, &whole) < 1.0);
    });
    // A cascade misses some frames: that is why such a detector has to be trusted by name.
    assert!(
        changed * 2 > frames,
        "{changed} of {frames} frames redacted"
    );
    assert_eq!(filled, frames, "without a marker every frame is filled");
}
