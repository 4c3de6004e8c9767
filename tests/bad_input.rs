//! Bad input by the command line: a clear error of one line, an exit code that is not 0, no panic, and no file that
//! looks finished.

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::clip::Clip;
use common::codec::Codec;
use common::damage::{damaged, mp4_box, truncated};
use common::look::{self, decode_frames, find_markers};
use common::program::{Run, fixture, names, redact, redact_with, run};
use common::scene::{Marker, Scene, yuv};
use common::{ffmpeg, report_skip, run_tool, temp_dir};
use floutage::detect::Class;

/// A folder for inputs and an empty one for outputs.
struct Place {
    dir: tempfile::TempDir,
    out: PathBuf,
}

impl Place {
    fn new() -> Self {
        let dir = temp_dir();
        let out = dir.path().join("out");
        std::fs::create_dir(&out).expect("a folder can be made");
        Self { dir, out }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, bytes).expect("a file can be written");
        path
    }

    /// A clip of 12 frames.
    fn clip(&self, name: &str) -> PathBuf {
        Clip::new(Scene::new(320, 240, 12).on_grid(16))
            .key_interval(4)
            .write(self.path(), name)
    }

    fn output(&self, name: &str) -> PathBuf {
        self.out.join(name)
    }

    /// Redacts `input`, which must fail with a line that names it and has `words` in it, and leave nothing.
    fn refuses(&self, input: &Path, output: &str, words: &[&str]) -> Run {
        self.fails(&mut redact(input, &self.output(output)), input, words)
    }

    fn fails(&self, command: &mut Command, input: &Path, words: &[&str]) -> Run {
        let name = input
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let outcome = run(command).failed(&[&[name.as_str()], words].concat());
        assert_eq!(
            names(&self.out),
            Vec::<String>::new(),
            "after {}",
            outcome.stderr
        );
        outcome
    }
}

#[test]
fn what_is_no_video() {
    let place = Place::new();
    place.refuses(&place.path().join("none.mp4"), "a.mp4", &["no such file"]);
    place.refuses(&place.file("empty.mp4", b""), "a.mp4", &["is empty"]);
    let text = "This is not a video, whatever its name says.\n".repeat(50);
    place.refuses(
        &place.file("text.mp4", text.as_bytes()),
        "a.mp4",
        &["not a video"],
    );
    place.refuses(&place.file("one.mp4", b"x"), "a.mp4", &[]);
    place.refuses(&place.file("zeros.mkv", &[0; 5000]), "a.mp4", &[]);
    place.refuses(
        &place.file("picture.jpg", b"\xff\xd8\xff\xe0nothing"),
        "a.jpg",
        &[],
    );
    place.refuses(
        &place.file("picture.png", b"\x89PNG\r\n\x1a\nnothing"),
        "a.png",
        &[],
    );
}

/// A playlist names other files and servers: none of them is opened, whatever the playlist's own name.
#[test]
fn playlists_lead_nowhere() {
    let place = Place::new();
    let clip = place.clip("clip.ts");
    let server = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    server.set_nonblocking(true).expect("it can be asked");
    let web = format!("http://{}/clip.ts", server.local_addr().expect("bound"));
    let port = server.local_addr().expect("bound").port();
    let local = format!("file://{}", clip.display());
    let hls = |target: &str| {
        format!("#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:1.5,\n{target}\n#EXT-X-ENDLIST\n")
    };
    let dash = |target: &str| {
        format!(
            "<?xml version=\"1.0\"?>\n<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" type=\"static\" \
             mediaPresentationDuration=\"PT1S\" minBufferTime=\"PT1S\" \
             profiles=\"urn:mpeg:dash:profile:isoff-on-demand:2011\"><Period><AdaptationSet mimeType=\"video/mp4\">\
             <Representation id=\"1\" bandwidth=\"1000\" codecs=\"avc1.42001e\" width=\"320\" height=\"240\">\
             <BaseURL>{target}</BaseURL><SegmentBase indexRange=\"0-10\"/></Representation></AdaptationSet></Period></MPD>\n"
        )
    };
    let smooth = |target: &str| {
        format!(
            "<?xml version=\"1.0\"?>\n<SmoothStreamingMedia MajorVersion=\"2\" MinorVersion=\"0\" Duration=\"10000000\">\
             <StreamIndex Type=\"video\" Url=\"{target}\" QualityLevels=\"1\"><QualityLevel Index=\"0\" Bitrate=\"1000\" \
             FourCC=\"H264\"/><c t=\"0\" d=\"10000000\"/></StreamIndex></SmoothStreamingMedia>\n"
        )
    };
    let sdp = format!(
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\na=control:rtsp://127.0.0.1:{port}/\n\
         m=video {port} RTP/AVP 96\na=rtpmap:96 H264/90000\n"
    );
    for (name, text) in [
        ("hls-web", hls(&web)),
        ("hls-local", hls(&local)),
        ("dash-web", dash(&web)),
        ("dash-local", dash(&local)),
        ("smooth", smooth(&web)),
        ("sdp", sdp),
    ] {
        for extension in ["mp4", "mkv", "m3u8"] {
            let input = place.file(&format!("{name}.{extension}"), text.as_bytes());
            place.refuses(&input, "a.mp4", &["playlist", "media files themselves"]);
        }
    }
    assert!(
        server.accept().is_err(),
        "something connected to the server that the playlists name"
    );
    // Lists without a media type of their own.
    place.refuses(&place.file("list.mp4", web.as_bytes()), "a.mp4", &[]);
    assert!(server.accept().is_err());
}

#[test]
fn streams_without_a_frame_rate() {
    let place = Place::new();
    let picture = place.path().join("one.jpg");
    run_tool(
        ffmpeg()
            .args(["-f", "lavfi", "-i", "testsrc=s=64x64", "-frames:v", "1"])
            .arg(&picture),
    );
    let one = std::fs::read(&picture).expect("made");
    let input = place.file("three.mjpeg", &[&one[..], &one, &one].concat());
    let report = run(redact(&input, &place.output("a.mp4")).arg("--json"))
        .succeeded()
        .report();
    assert_eq!(report["frames"], 3);
}

#[test]
fn audio_alone() {
    let place = Place::new();
    for name in ["tone.mp4", "tone.mkv", "tone.wav"] {
        let tone = place.path().join(name);
        run_tool(
            ffmpeg()
                .args(["-f", "lavfi", "-i", "sine=duration=1"])
                .arg(&tone),
        );
        place.refuses(&tone, "a.mp4", &["no video"]);
    }
}

#[test]
fn files_that_are_cut_off() {
    let place = Place::new();
    let moov_last = place.clip("last.mp4");
    let moov_first = place.path().join("first.mp4");
    run_tool(
        ffmpeg()
            .arg("-i")
            .arg(&moov_last)
            .args(["-c", "copy", "-movflags", "+faststart"])
            .arg(&moov_first),
    );
    let (first, _) = mp4_box(&moov_first, b"moov").expect("an index");
    assert!(first < mp4_box(&moov_first, b"mdat").expect("media").0);
    let matroska = place.clip("whole.mkv");
    let avi = Clip::new(Scene::new(320, 240, 12))
        .codec(Codec::Mpeg4)
        .write(place.path(), "whole.avi");
    for (whole, words) in [
        (&moov_last, "cut off"),
        (&moov_first, "cut off"),
        (&matroska, "cut off"),
        (&avi, "cut off"),
    ] {
        let extension = whole.extension().expect("an extension").to_string_lossy();
        for share in [0.5, 0.9] {
            let name = format!(
                "cut-{}-{share}.{extension}",
                whole.file_stem().expect("a name").to_string_lossy()
            );
            let cut = truncated(whole, &name, share);
            place.refuses(&cut, "a.mp4", &[words]);
        }
    }
    // Without an index at all.
    let (at, _) = mp4_box(&moov_last, b"moov").expect("an index");
    let bytes = std::fs::read(&moov_last).expect("readable");
    place.refuses(
        &place.file("unfinished.mp4", &bytes[..at]),
        "a.mp4",
        &["index"],
    );
}

#[test]
fn a_damaged_middle_is_redacted_as_far_as_it_goes_and_told() {
    let place = Place::new();
    let scene = Scene::new(320, 240, 48).on_grid(16);
    for (codec, name, share) in [
        (Codec::H264, "h264.mp4", 0.02),
        (Codec::H264, "h264.mkv", 0.02),
        (Codec::Mpeg2, "mpeg2.ts", 0.05),
    ] {
        let whole = Clip::new(scene.clone())
            .codec(codec)
            .key_interval(8)
            .write(place.path(), name);
        let broken = damaged(&whole, &format!("broken-{name}"), 0.5, 0.5 + share);
        let mut strict = redact(&broken, &place.output("strict.mp4"));
        let outcome = run(strict.arg("--strict"));
        assert_ne!(outcome.code, Some(0), "{name}: {outcome:?}");
        assert!(
            outcome.stderr.contains(&format!("broken-{name}")),
            "{name}: {outcome:?}"
        );
        assert!(names(&place.out).is_empty(), "{name}");
        let output = place.output("lenient.mp4");
        let outcome = run(redact(&broken, &output).args(["--style", "fill"])).succeeded();
        assert!(
            outcome.stdout.contains("the input is damaged"),
            "{name}: {}",
            outcome.stdout
        );
        let json = run(redact(&broken, &output).args(["--style", "fill", "--overwrite", "--json"]))
            .succeeded()
            .report();
        let number = |key: &str| json[key].as_u64().expect("a number");
        assert!(
            number("frames_lost") + number("frames_damaged") > 0,
            "{name}: {json}"
        );
        assert!(number("frames") >= 16, "{name}: {json}");
        // A damaged picture need not have its markers where the truth says, but none that the detector knows may show.
        for (index, frame) in decode_frames(&output).iter().enumerate() {
            for class in Class::ALL {
                for found in find_markers(frame, scene.matrix, class) {
                    let (width, height) = (found.x2 - found.x1, found.y2 - found.y1);
                    assert!(
                        width < 8.0 || height < 8.0,
                        "{name}, frame {index}: {class} at {found:?}"
                    );
                }
            }
        }
        std::fs::remove_file(&output).expect("the output can be removed");
    }
}

#[test]
fn sizes_that_codecs_cannot_hold() {
    let place = Place::new();
    for (width, height) in [(1, 1), (17, 33)] {
        let name = format!("{width}x{height}.mkv");
        let mut scene = Scene::empty(width, height, 5);
        if width > 16 {
            scene
                .markers
                .push(Marker::new(Class::Face, (8, 8), (0.0, 8.0), (0.0, 0.0)));
        }
        let input = Clip::new(scene.clone())
            .codec(Codec::Ffv1)
            .write(place.path(), &name);
        place.refuses(&input, "a.mp4", &[&format!("{width}x{height}"), "h264"]);
        if width == 1 {
            place.refuses(&input, "a.webm", &["1x1", "vp9"]);
            continue;
        }
        let outcome = place.refuses(&input, "a.mp4", &["vp9", "av1"]);
        assert!(outcome.stderr.contains("odd"), "{}", outcome.stderr);
        for codec in ["vp9", "av1"] {
            let output = place.output("odd.webm");
            let mut command = redact(&input, &output);
            run(command.args(["--codec", codec, "--style", "fill", "--overwrite"])).succeeded();
            let frames = decode_frames(&output);
            assert_eq!(
                (frames.len(), frames[0].width, frames[0].height),
                (5, 17, 33)
            );
            for frame in &frames {
                assert_eq!(find_markers(frame, scene.matrix, Class::Face), []);
            }
            std::fs::remove_file(&output).expect("the output can be removed");
        }
    }
}

#[test]
fn frames_of_8k() {
    let place = Place::new();
    let input = place.path().join("8k.mp4");
    let source =
        "color=gray:size=7680x4320:rate=25,drawbox=x=1024:y=1024:w=512:h=512:color=magenta:t=fill";
    let arguments = [
        "-frames:v",
        "2",
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-pix_fmt",
        "yuv420p",
    ];
    run_tool(
        ffmpeg()
            .args(["-f", "lavfi", "-i", source])
            .args(arguments)
            .arg(&input),
    );
    let output = place.output("8k.mp4");
    let mut command = redact_with("marker-detector");
    command.arg(&input).arg("-o").arg(&output);
    // Later options win: the size of the model's input is the usual one.
    command.args(["--style", "fill", "--preset", "ultrafast", "--json"]);
    let report = run(&mut command).succeeded().report();
    assert_eq!(
        (&report["frames"], &report["frames_failed_closed"]),
        (&2.into(), &0.into())
    );
    let frames = decode_frames(&output);
    assert_eq!((frames[0].width, frames[0].height), (7680, 4320));
    for frame in &frames {
        assert_eq!(
            find_markers(frame, floutage::frame::Matrix::Bt601, Class::Face),
            []
        );
        assert_eq!(
            find_markers(frame, floutage::frame::Matrix::Bt709, Class::Face),
            []
        );
    }
}

/// `floutage redact` of `input` with `model` as the user names it.
fn with_model(input: &Path, output: &Path, model: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_floutage"));
    command
        .arg("redact")
        .arg(input)
        .arg("-o")
        .arg(output)
        .arg("--model")
        .arg(model);
    command.env_remove("FLOUTAGE_MODELS_DIR");
    command
}

#[test]
fn models_that_cannot_be_used() {
    let place = Place::new();
    let input = place.clip("in.mp4");
    let output = place.output("a.mp4");
    let description =
        std::fs::read(fixture("marker-detector").with_extension("toml")).expect("readable");
    let no_model = place.file("text.onnx", b"This is not a model.");
    place.file("text.toml", &description);
    place.fails(
        &mut with_model(&input, &output, &no_model),
        &no_model,
        &["model"],
    );
    let empty = place.file("empty.onnx", b"");
    place.file("empty.toml", &description);
    place.fails(&mut with_model(&input, &output, &empty), &empty, &["model"]);
    let wrong = fixture("wrong-outputs");
    place.fails(
        &mut with_model(&input, &output, &wrong),
        &wrong,
        &["output"],
    );
    let missing = place.path().join("none.onnx");
    place.fails(&mut with_model(&input, &output, &missing), &missing, &[]);
    place.fails(
        &mut with_model(&input, &output, Path::new("nosuchmodel")),
        Path::new("nosuchmodel"),
        &[],
    );
}

#[test]
fn a_model_that_was_changed() {
    let place = Place::new();
    let input = place.clip("in.mp4");
    let models = place.path().join("models");
    std::fs::create_dir(&models).expect("a folder can be made");
    std::fs::copy(fixture("marker-detector"), models.join("marker.onnx")).expect("copied");
    let description = format!(
        "[[model]]\nname = \"marker\"\nfile = \"marker.onnx\"\nsha256 = \"{}\"\nhead = \"boxes\"\n\
         classes = [\"face\", \"plate\"]\nlicence = \"MIT\"\n[model.input]\norder = \"bgr\"\n\
         mean = [0.0, 0.0, 0.0]\nscale = [1.0, 1.0, 1.0]\nmultiple = 32\n[model.thresholds]\nface = 0.5\nplate = 0.5\n",
        "0".repeat(64)
    );
    std::fs::write(models.join("models.toml"), description).expect("written");
    let mut command = with_model(&input, &place.output("a.mp4"), Path::new("marker"));
    place.fails(
        command.arg("--models-dir").arg(&models),
        &models.join("marker"),
        &["sha256"],
    );
}

#[test]
fn outputs_that_cannot_be_written() {
    let place = Place::new();
    let input = place.clip("in.mp4");
    let file = place.file("file", b"x");
    for output in [
        Path::new("/proc/floutage/out.mp4"),
        Path::new("/proc/out.mp4"),
        &file.join("out.mp4"),
    ] {
        let outcome = run(&mut redact(&input, output));
        outcome.failed(&[&output.parent().expect("a folder").display().to_string()]);
    }
    assert_eq!(std::fs::read(&file).expect("readable"), b"x");
    // Names that say no container.
    for name in ["out", "out.avi", "out.txt"] {
        place.fails(
            &mut redact(&input, &place.output(name)),
            &place.output(name),
            &[".mp4"],
        );
    }
    // Permissions bind all but root.
    let mut locked = std::fs::metadata(&place.out).expect("there").permissions();
    locked.set_mode(0o555);
    std::fs::set_permissions(&place.out, locked.clone()).expect("set");
    if std::fs::write(place.output("probe"), b"").is_err() {
        place.fails(
            &mut redact(&input, &place.output("out.mp4")),
            &place.output("out.mp4"),
            &[],
        );
    } else {
        report_skip(module_path!(), "root may write everywhere");
    }
    locked.set_mode(0o755);
    std::fs::set_permissions(&place.out, locked).expect("set");
}

/// A tiny file system in memory, unmounted when dropped; None where that is not allowed.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(folder: &Path, size: &str) -> Option<Self> {
        std::fs::create_dir(folder).expect("a folder can be made");
        let mounted = Command::new("mount")
            .args([
                "-t",
                "tmpfs",
                "-o",
                &format!("size={size}"),
                "floutage-test",
            ])
            .arg(folder)
            .output()
            .is_ok_and(|output| output.status.success());
        mounted.then(|| Self(folder.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk() {
    let place = Place::new();
    let input = place.clip("in.mp4");
    let Some(disk) = SmallDisk::mount(&place.path().join("disk"), "16k") else {
        common::skip!("no file system can be mounted here");
    };
    for name in ["out.mp4", "out.mkv"] {
        let mut command = redact(&input, &disk.0.join(name));
        run(command.args(["--quality", "5"])).failed(&["in.mp4", "full"]);
        assert!(names(&disk.0).is_empty());
    }
    let picture = place.path().join("in.png");
    run_tool(
        ffmpeg()
            .arg("-i")
            .arg(&input)
            .args(["-frames:v", "1"])
            .arg(&picture),
    );
    run(&mut redact(&picture, &disk.0.join("out.png"))).failed(&["out.png"]);
    assert!(names(&disk.0).is_empty());
}

#[test]
fn a_size_limit_of_the_shell() {
    let place = Place::new();
    let input = place.clip("in.mp4");
    let script = format!(
        "trap '' XFSZ; ulimit -f 8; exec \"{}\" redact \"{}\" -o \"{}\" --quality 5 --model \"{}\"",
        env!("CARGO_BIN_EXE_floutage"),
        input.display(),
        place.output("a.mp4").display(),
        fixture("marker-detector").display()
    );
    place.fails(
        Command::new("bash").args(["-c", &script]),
        &input,
        &["written"],
    );
}

/// Frames 8 to 15 of 24 are blue, on which `nan-on-blue` fails.
fn clip_with_blue_frames(place: &Place) -> (Scene, PathBuf) {
    let scene = Scene::new(320, 240, 24).on_grid(16);
    let plain = Clip::new(scene.clone())
        .codec(Codec::Ffv1)
        .write(place.path(), "plain.mkv");
    let input = place.path().join("blue.mkv");
    let filter = "drawbox=x=0:y=208:w=320:h=32:color=blue:t=fill:enable='between(n,8,15)'";
    let arguments = ["-vf", filter, "-c:v", "ffv1"];
    run_tool(ffmpeg().arg("-i").arg(&plain).args(arguments).arg(&input));
    (scene, input)
}

#[test]
fn a_model_that_fails_in_mid_stream_fills_those_frames() {
    let place = Place::new();
    let (scene, input) = clip_with_blue_frames(&place);
    let output = place.output("a.mp4");
    let mut command = redact_with("nan-on-blue");
    command.arg(&input).arg("-o").arg(&output);
    let report = run(command.args(["--style", "fill", "--json"]))
        .succeeded()
        .report();
    assert_eq!(report["frames"], 24, "{report}");
    assert_eq!(report["frames_failed_closed"], 8, "{report}");
    let originals = decode_frames(&input);
    for (index, frame) in decode_frames(&output).iter().enumerate() {
        let filled = (8..16).contains(&index);
        let spread = frame.data[..320 * 240].iter().max().unwrap()
            - frame.data[..320 * 240].iter().min().unwrap();
        assert_eq!(
            spread < 12,
            filled,
            "frame {index}: luma spreads over {spread}"
        );
        for (class, area) in scene.truth(index) {
            assert_eq!(
                look::marker_share(frame, scene.matrix, class, &area),
                0.0,
                "frame {index}"
            );
        }
        if !filled {
            let truth: Vec<_> = scene
                .truth(index)
                .into_iter()
                .map(|(_, area)| {
                    floutage::geometry::BBox::new(
                        area.x1 - 30.0,
                        area.y1 - 30.0,
                        area.x2 + 30.0,
                        area.y2 + 30.0,
                    )
                })
                .collect();
            assert!(
                look::psnr(frame, &originals[index], &truth) > 30.0,
                "frame {index}"
            );
        }
    }
    std::fs::remove_file(&output).expect("the output can be removed");
    let mut command = redact_with("nan-on-blue");
    command.arg(&input).arg("-o").arg(&output).arg("--strict");
    let outcome = run(&mut command);
    assert_ne!(outcome.code, Some(0), "{outcome:?}");
    assert!(outcome.stderr.contains("8 filled"), "{outcome:?}");
    assert!(names(&place.out).is_empty());
}

#[test]
fn a_million_boxes_fill_or_fail_but_never_hang() {
    let place = Place::new();
    let scene = Scene::empty(320, 240, 3);
    let grey = Clip::new(scene)
        .codec(Codec::Ffv1)
        .write(place.path(), "grey.mkv");
    let white = place.path().join("white.mkv");
    let filter = "drawbox=color=white:t=fill";
    run_tool(
        ffmpeg()
            .arg("-i")
            .arg(&grey)
            .args(["-vf", filter, "-c:v", "ffv1"])
            .arg(&white),
    );
    let output = place.output("a.mp4");
    let mut command = redact_with("many-boxes");
    command.arg(&white).arg("-o").arg(&output);
    let report = run(command.args(["--style", "fill", "--json"]))
        .succeeded()
        .report();
    assert_eq!(report["frames"], 3, "{report}");
    let [fill, ..] = yuv(floutage::frame::Matrix::Bt709, [128; 3]);
    for frame in decode_frames(&output) {
        let share = frame.data[..320 * 240]
            .iter()
            .filter(|luma| luma.abs_diff(fill) > 30)
            .count();
        assert_eq!(share, 0, "all that may be a region is filled");
    }
}
