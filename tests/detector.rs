//! The ONNX detector through the real ONNX Runtime, on models with exact answers (fixtures/marker-detector).

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use floutage::Error;
use floutage::detect::onnx::{DetectorSettings, InputSize, OnnxDetector, open};
use floutage::detect::session::Provider;
use floutage::detect::tiles::TileLayout;
use floutage::detect::{Class, Detection, Detector};
use floutage::frame::{Colour, Frame, Matrix, PixelFormat};
use floutage::geometry::{BBox, PixelBox};

const GREY: [u8; 3] = [110, 110, 110];
const MAGENTA: [u8; 3] = [255, 0, 255];
const CYAN: [u8; 3] = [0, 255, 255];
const BLUE: [u8; 3] = [0, 0, 255];

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn fixture(name: &str) -> String {
    let path = root("fixtures/marker-detector").join(format!("{name}.onnx"));
    path.to_str().unwrap().to_string()
}

fn settings(models: &[&str]) -> DetectorSettings {
    DetectorSettings {
        models: models.iter().map(|name| fixture(name)).collect(),
        ..Default::default()
    }
}

/// Opens a detector; without ONNX Runtime the test fails with the message that says how to get it.
fn opened(settings: &DetectorSettings) -> OnnxDetector {
    match open(settings) {
        Ok(detector) => detector,
        Err(error) => panic!("{error}"),
    }
}

fn refused(settings: &DetectorSettings) -> String {
    match open(settings) {
        Ok(_) => panic!("{settings:?} was accepted"),
        Err(error) => error.to_string(),
    }
}

/// A picture to draw on.
struct Picture {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
}

impl Picture {
    fn new(width: usize, height: usize, colour: [u8; 3]) -> Self {
        let rgb = colour.repeat(width * height);
        Self { width, height, rgb }
    }

    fn draw(mut self, (x, y, width, height): (usize, usize, usize, usize), rgb: [u8; 3]) -> Self {
        for row in y..y + height {
            for column in x..x + width {
                self.rgb[3 * (row * self.width + column)..][..3].copy_from_slice(&rgb);
            }
        }
        self
    }

    fn detect(&self, detector: &mut OnnxDetector) -> floutage::Result<Vec<Detection>> {
        let frame = Frame::new(
            PixelFormat::Rgb,
            self.width,
            self.height,
            Colour::default(),
            &[&self.rgb],
            &[self.width * 3],
        )?;
        Ok(detector.detect(&frame)?.0)
    }

    /// The same picture as I420 of BT.709, limited range; chroma is the mean of each 2×2 block.
    fn detect_i420(&self, detector: &mut OnnxDetector) -> floutage::Result<Vec<Detection>> {
        let (width, height) = (self.width, self.height);
        let (half_width, half_height) = (width.div_ceil(2), height.div_ceil(2));
        let mut y_plane = vec![0; width * height];
        let mut sums = vec![[0f32; 3]; half_width * half_height];
        for y in 0..height {
            for x in 0..width {
                let pixel = &self.rgb[3 * (y * width + x)..][..3];
                let [r, g, b] = [0, 1, 2].map(|i| f32::from(pixel[i]) / 255.0);
                let luma = 0.2126 * r + 0.7152 * g + 0.0722 * b;
                y_plane[y * width + x] = (16.0 + 219.0 * luma).round() as u8;
                let sum = &mut sums[y / 2 * half_width + x / 2];
                *sum = [
                    sum[0] + (b - luma) / 1.8556,
                    sum[1] + (r - luma) / 1.5748,
                    sum[2] + 1.0,
                ];
            }
        }
        let chroma = |index: usize| -> Vec<u8> {
            let sample = |sum: &[f32; 3]| (128.0 + 224.0 * sum[index] / sum[2]).round() as u8;
            sums.iter().map(sample).collect()
        };
        let (u_plane, v_plane) = (chroma(0), chroma(1));
        let colour = Colour {
            matrix: Matrix::Bt709,
            full_range: false,
        };
        let frame = Frame::new(
            PixelFormat::I420,
            width,
            height,
            colour,
            &[&y_plane, &u_plane, &v_plane],
            &[width, half_width, half_width],
        )?;
        Ok(detector.detect(&frame)?.0)
    }
}

/// The pixels of a frame of `width` × `height` that boxes of `class` touch.
fn covered(found: &[Detection], class: Class, width: usize, height: usize) -> Vec<bool> {
    let mut mask = vec![false; width * height];
    let boxes = found.iter().filter(|detection| detection.class == class);
    for PixelBox { x1, y1, x2, y2 } in boxes.filter_map(|d| d.bbox.outward(width, height)) {
        for row in y1..y2 {
            mask[row * width + x1..row * width + x2].fill(true);
        }
    }
    mask
}

/// Share of the rectangle that `mask` covers, and number of pixels covered that are more than `slack` away from it.
fn compare(
    mask: &[bool],
    width: usize,
    (x, y, w, h): (usize, usize, usize, usize),
    slack: usize,
) -> (f32, usize) {
    let (mut inside, mut astray) = (0, 0);
    for (index, _) in mask.iter().enumerate().filter(|(_, covered)| **covered) {
        let (column, row) = (index % width, index / width);
        if (x..x + w).contains(&column) && (y..y + h).contains(&row) {
            inside += 1;
        } else if column + slack < x
            || column >= x + w + slack
            || row + slack < y
            || row >= y + h + slack
        {
            astray += 1;
        }
    }
    (inside as f32 / (w * h) as f32, astray)
}

#[test]
fn aligned_markers_are_covered_exactly() {
    let mut detector = opened(&settings(&["marker-detector"]));
    let (face, plate) = ((128, 96, 64, 48), (400, 200, 40, 16));
    let picture = Picture::new(640, 384, GREY)
        .draw(face, MAGENTA)
        .draw(plate, CYAN);
    let found = picture.detect(&mut detector).unwrap();
    for (class, marker) in [(Class::Face, face), (Class::Plate, plate)] {
        let mask = covered(&found, class, 640, 384);
        assert_eq!(compare(&mask, 640, marker, 0), (1.0, 0), "{class}");
    }
    assert!(
        found
            .iter()
            .all(|d| d.confidence > 0.99 && d.confidence <= 1.0)
    );
    let empty = Picture::new(640, 384, GREY).detect(&mut detector).unwrap();
    assert_eq!(empty, []);
}

#[test]
fn markers_anywhere_in_scaled_i420_frames_are_covered() {
    let mut detector = opened(&settings(&["marker-detector"]));
    for (width, height) in [(1280, 720), (1920, 1080), (801, 603), (360, 640)] {
        let unit = width.max(height) / 10;
        let marker = (unit + 3, unit + 5, unit * 2 + 1, unit * 2 - 1);
        let picture = Picture::new(width, height, GREY).draw(marker, MAGENTA);
        let found = picture.detect_i420(&mut detector).unwrap();
        let mask = covered(&found, Class::Face, width, height);
        // A cell of 8 input pixels fires from a quarter: at most 2 input pixels of an edge are missed.
        let cell = (8 * width.max(height)).div_ceil(640);
        let (share, astray) = compare(&mask, width, marker, cell);
        let edge = 2.5 * width.max(height) as f32 / 640.0;
        let (w, h) = (marker.2 as f32, marker.3 as f32);
        let least = (w - 2.0 * edge) * (h - 2.0 * edge) / (w * h);
        assert!(share >= least, "{width}x{height}: {share} < {least}");
        assert_eq!(astray, 0, "{width}x{height}");
        assert!(found.iter().all(|d| d.class == Class::Face));
    }
}

#[test]
fn one_detector_takes_frames_of_changing_and_odd_sizes() {
    let mut detector = opened(&settings(&["marker-detector"]));
    for (width, height) in [
        (640, 360),
        (1, 1),
        (17, 33),
        (33, 17),
        (3000, 2),
        (2, 3000),
        (640, 360),
    ] {
        let picture = Picture::new(width, height, MAGENTA);
        for found in [
            picture.detect(&mut detector),
            picture.detect_i420(&mut detector),
        ] {
            let mask = covered(&found.unwrap(), Class::Face, width, height);
            let share = mask.iter().filter(|c| **c).count() as f32 / mask.len() as f32;
            // Very flat frames are smaller than a cell's quarter in the input.
            let flat = width.max(height) / width.min(height) > 100;
            assert!(flat || share > 0.95, "{width}x{height}: {share}");
        }
    }
}

#[test]
fn what_several_models_find_is_united() {
    let mut one = opened(&settings(&["marker-detector"]));
    let mut two = opened(&settings(&["marker-detector", "fixed-64"]));
    assert_eq!(two.models().count(), 2);
    let marker = (64, 64, 256, 256);
    let picture = Picture::new(640, 640, GREY).draw(marker, MAGENTA);
    let alone = covered(&picture.detect(&mut one).unwrap(), Class::Face, 640, 640);
    let united = covered(&picture.detect(&mut two).unwrap(), Class::Face, 640, 640);
    assert_eq!(compare(&alone, 640, marker, 0), (1.0, 0));
    // The model of fixed size sees a tenth of the size: its cells are of 80 pixels.
    let (share, astray) = compare(&united, 640, marker, 80);
    assert_eq!((share, astray), (1.0, 0));
    assert!(united.iter().filter(|c| **c).count() > alone.iter().filter(|c| **c).count());
}

#[test]
fn tiles_find_what_the_whole_frame_is_too_small_for() {
    let (width, height) = (2560, 1440);
    // At 640 this is 5 pixels wide and lies on the corner of four cells, a tenth in each.
    let marker = (1014, 694, 20, 20);
    let picture = Picture::new(width, height, GREY).draw(marker, CYAN);
    let mut whole = opened(&settings(&["marker-detector"]));
    assert_eq!(picture.detect(&mut whole).unwrap(), []);
    for layout in ["auto", "4x4"] {
        let mut with_tiles = settings(&["marker-detector"]);
        with_tiles.tiles.layout = layout.parse::<TileLayout>().unwrap();
        let mut tiles = opened(&with_tiles);
        let found = picture.detect(&mut tiles).unwrap();
        let mask = covered(&found, Class::Plate, width, height);
        let (share, astray) = compare(&mask, width, marker, 16);
        assert!(share > 0.5, "{layout}: {share}, {found:?}");
        assert_eq!(astray, 0, "{layout}");
    }
}

#[test]
fn tiles_go_through_a_model_without_a_batch_dimension_too() {
    let mut with_tiles = settings(&["fixed-64"]);
    with_tiles.tiles.layout = TileLayout::Grid {
        columns: 4,
        rows: 4,
    };
    let mut detector = opened(&with_tiles);
    let marker = (256, 192, 64, 64);
    let picture = Picture::new(640, 640, GREY).draw(marker, MAGENTA);
    let found = picture.detect(&mut detector).unwrap();
    let mask = covered(&found, Class::Face, 640, 640);
    let (share, astray) = compare(&mask, 640, marker, 80);
    assert!(share > 0.8 && astray == 0, "{share}, {astray}");
}

#[test]
fn batched_tiles_give_what_single_ones_give() {
    // Each tile lands at its own place: markers in all corners of a frame of many tiles.
    let mut with_tiles = settings(&["marker-detector"]);
    with_tiles.tiles.layout = TileLayout::Grid {
        columns: 5,
        rows: 3,
    };
    with_tiles.input_size = InputSize::Side(320);
    let mut detector = opened(&with_tiles);
    let (width, height) = (1600, 960);
    let markers = [
        (16, 16, 48, 48),
        (1520, 16, 48, 48),
        (16, 880, 48, 48),
        (1520, 880, 48, 48),
        (808, 480, 48, 48),
    ];
    let picture = markers
        .iter()
        .fold(Picture::new(width, height, GREY), |picture, &marker| {
            picture.draw(marker, MAGENTA)
        });
    let mask = covered(
        &picture.detect(&mut detector).unwrap(),
        Class::Face,
        width,
        height,
    );
    let total: f32 = markers
        .iter()
        .map(|&marker| {
            let (share, _) = compare(&mask, width, marker, 0);
            assert!(share > 0.8, "{marker:?}: {share}");
            share
        })
        .sum();
    let covered_pixels = mask.iter().filter(|c| **c).count();
    assert!(
        total > 4.5 && covered_pixels < 5 * 90 * 90,
        "{covered_pixels}"
    );
}

#[test]
fn several_scales_find_large_and_small_ones() {
    let mut scaled = settings(&["marker-detector"]);
    scaled.scales = vec![1.0, 0.25, 2.0];
    let mut detector = opened(&scaled);
    let marker = (600, 300, 6, 6);
    let picture = Picture::new(1280, 720, GREY).draw(marker, MAGENTA);
    let found = picture.detect(&mut detector).unwrap();
    let mask = covered(&found, Class::Face, 1280, 720);
    let (share, _) = compare(&mask, 1280, marker, 8);
    assert!(share > 0.4, "{share}: {found:?}");
    let one = picture
        .detect(&mut opened(&settings(&["marker-detector"])))
        .unwrap();
    assert_eq!(one, [], "the marker is too small at one scale");
}

#[test]
fn native_size_is_unscaled() {
    let mut native = settings(&["marker-detector"]);
    native.input_size = InputSize::Native;
    let mut detector = opened(&native);
    let marker = (808, 408, 8, 8);
    let picture = Picture::new(1000, 700, GREY).draw(marker, MAGENTA);
    let found = picture.detect(&mut detector).unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].bbox, BBox::new(808.0, 408.0, 816.0, 416.0));
}

#[test]
fn a_failing_frame_is_an_error_and_the_next_one_is_analysed() {
    let mut detector = opened(&settings(&["nan-on-blue"]));
    let marker = (128, 96, 64, 48);
    let good = Picture::new(640, 384, GREY).draw(marker, MAGENTA);
    let bad = Picture::new(640, 384, GREY)
        .draw(marker, MAGENTA)
        .draw((320, 96, 64, 64), BLUE);
    for _ in 0..3 {
        let found = good.detect(&mut detector).unwrap();
        let mask = covered(&found, Class::Face, 640, 384);
        assert_eq!(compare(&mask, 640, marker, 0), (1.0, 0));
        let error = bad.detect(&mut detector).unwrap_err();
        assert!(matches!(error, Error::Detection(_)), "{error}");
    }
    // Two models, one of which fails: the frame fails.
    let mut both = opened(&settings(&["marker-detector", "nan-on-blue"]));
    assert!(bad.detect(&mut both).is_err());
    assert!(good.detect(&mut both).is_ok());
}

#[test]
fn a_model_that_sees_a_million_regions_is_an_error_soon() {
    let mut detector = opened(&settings(&["many-boxes"]));
    let dark = Picture::new(320, 320, [0; 3])
        .detect(&mut detector)
        .unwrap();
    assert_eq!(dark, []);
    let started = Instant::now();
    let error = Picture::new(320, 320, [255; 3])
        .detect(&mut detector)
        .unwrap_err();
    assert!(matches!(error, Error::Detection(_)), "{error}");
    // Not a measure of speed: comparing all pairs would take hours.
    assert!(started.elapsed().as_secs() < 60);
}

#[test]
fn models_that_do_not_fit_are_refused_when_opened() {
    let error = refused(&settings(&["wrong-outputs"]));
    assert!(error.contains("wrong-outputs.onnx"), "{error}");
    assert!(error.contains("boxes"), "{error}");

    let dir = tempfile::tempdir().unwrap();
    let put = |name: &str, model: &str, replace: (&str, &str)| {
        let toml = std::fs::read_to_string(root("fixtures/marker-detector/marker-detector.toml"));
        let toml = toml.unwrap();
        assert!(toml.contains(replace.0));
        let path = dir.path().join(format!("{name}.onnx"));
        std::fs::copy(fixture(model), &path).unwrap();
        let beside = path.with_extension("toml");
        std::fs::write(beside, toml.replacen(replace.0, replace.1, 1)).unwrap();
        DetectorSettings {
            models: vec![path.to_str().unwrap().to_string()],
            ..Default::default()
        }
    };
    let same = ("", "");
    assert!(open(&put("right", "marker-detector", same)).is_ok());
    let classes = "[\"face\", \"plate\"]";
    for (settings, expected) in [
        (
            put("head", "marker-detector", ("\"boxes\"", "\"yolo\"")),
            "head.onnx",
        ),
        (
            put(
                "three",
                "marker-detector",
                (classes, "[\"face\", \"plate\", \"ignore\"]"),
            ),
            "three.onnx",
        ),
        (
            put("size", "fixed-64", ("multiple = 32", "size = [96, 64]")),
            "inputs of 64x64 only",
        ),
        (
            put(
                "sum",
                "marker-detector",
                ("head", &format!("sha256 = \"{}\"\nhead", "0".repeat(64))),
            ),
            "sum.toml says 0000",
        ),
        (
            put("key", "marker-detector", ("head", "hat = 1\nhead")),
            "unknown field `hat`",
        ),
    ] {
        let error = refused(&settings);
        assert!(error.contains(expected), "{expected:?} is not in {error:?}");
    }
    let text = put("text", "marker-detector", same);
    std::fs::write(&text.models[0], "this is not a model").unwrap();
    assert!(refused(&text).contains("not an ONNX model"));
    std::fs::write(&text.models[0], "").unwrap();
    assert!(refused(&text).contains("not an ONNX model"));
    assert!(refused(&settings(&["nosuch"])).contains("no such file"));
}

#[test]
fn a_provider_that_cannot_be_used_is_no_silent_fallback() {
    for provider in [Provider::Cuda, Provider::TensorRt, Provider::OpenVino] {
        let available = floutage::detect::session::available_providers().unwrap();
        if available.contains(&provider) {
            println!("skipped: {provider} is available here");
            continue;
        }
        let mut asked = settings(&["marker-detector"]);
        asked.provider = provider;
        let error = refused(&asked);
        assert!(error.contains(&format!("provider {provider}")), "{error}");
    }
}

#[test]
fn thresholds_of_the_settings_replace_those_of_the_model() {
    let picture = Picture::new(640, 384, GREY).draw((128, 96, 64, 2), MAGENTA);
    // Two of eight rows: a quarter of each cell, .993 sure.
    let mut strict = settings(&["marker-detector"]);
    let found = picture.detect(&mut opened(&strict)).unwrap();
    assert_eq!(found.len(), 8, "{found:?}");
    strict.plate_threshold = Some(0.99);
    assert_eq!(picture.detect(&mut opened(&strict)).unwrap().len(), 8);
    let thin = Picture::new(640, 384, GREY).draw((128, 96, 64, 1), MAGENTA);
    assert_eq!(thin.detect(&mut opened(&strict)).unwrap(), []);
    let mut lax = settings(&["marker-detector"]);
    // One of eight rows: .0067 sure; three half rows in four cells: between.
    lax.face_threshold = Some(0.01);
    let some = Picture::new(640, 384, GREY)
        .draw((128, 96, 64, 1), MAGENTA)
        .draw((128, 97, 4, 1), MAGENTA);
    let found = some.detect(&mut opened(&lax)).unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].bbox, BBox::new(128.0, 96.0, 136.0, 104.0));
}

#[test]
fn settings_out_of_range_are_named_with_value_and_range() {
    let ok = settings(&["marker-detector"]);
    let with = |change: &dyn Fn(&mut DetectorSettings)| {
        let mut changed = ok.clone();
        change(&mut changed);
        refused(&changed)
    };
    for (error, expected) in [
        (
            with(&|s| s.face_threshold = Some(1.5)),
            "face-threshold = 1.5: must be 0.01 to 0.99",
        ),
        (
            with(&|s| s.plate_threshold = Some(f32::NAN)),
            "plate-threshold = NaN: must be",
        ),
        (
            with(&|s| s.iou_threshold = 0.0),
            "iou-threshold = 0: must be 0.05 to 0.95",
        ),
        (
            with(&|s| s.input_size = InputSize::Side(100)),
            "input-size = 100: must be native or a multiple of 32",
        ),
        (
            with(&|s| s.input_size = InputSize::Side(16384)),
            "input-size = 16384: must be",
        ),
        (
            with(&|s| s.scales = vec![]),
            "scales = 0 values: must be 1 to 8 values",
        ),
        (
            with(&|s| s.scales = vec![1.0, 0.0]),
            "scales = 0: must be 0.1 to 4 each",
        ),
        (
            with(&|s| s.scales = vec![f32::INFINITY]),
            "scales = inf: must be",
        ),
        (
            with(&|s| s.tiles.overlap = 0.9),
            "tile-overlap = 0.9: must be 0 to 0.5",
        ),
        (
            with(&|s| {
                s.tiles.layout = TileLayout::Grid {
                    columns: 0,
                    rows: 1,
                }
            }),
            "tiles = 0x1: must be 1x1 to 64x64",
        ),
        (
            with(&|s| s.threads = 10_000),
            "threads = 10000: must be 0 to 256",
        ),
        (
            with(&|s| s.models_dir = Some("/no/such".into())),
            "models-dir = /no/such: must be",
        ),
    ] {
        assert!(error.contains(expected), "{expected:?} is not in {error:?}");
    }
    assert_eq!("native".parse::<InputSize>().unwrap(), InputSize::Native);
    assert_eq!("1280".parse::<InputSize>().unwrap(), InputSize::Side(1280));
    for wrong in ["", "0", "639", "-32", "big", "8224", "99999999999999999999"] {
        let error = wrong.parse::<InputSize>().unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("input-size = {wrong}: ")),
            "{error}"
        );
    }
}

#[test]
fn times_of_all_steps_are_measured() {
    let mut detector = opened(&settings(&["marker-detector"]));
    let picture = Picture::new(640, 384, MAGENTA);
    let frame = Frame::new(
        PixelFormat::Rgb,
        640,
        384,
        Colour::default(),
        &[&picture.rgb],
        &[1920],
    );
    let (_, times) = detector.detect(&frame.unwrap()).unwrap();
    for step in [times.letterbox, times.inference, times.decode] {
        assert!(!step.is_zero(), "{times:?}");
    }
}

/// Frame `number` of a clip as I420 with its width and height; None when clip or ffmpeg is not there.
fn clip_frame(clip: &str, number: usize) -> Option<(Vec<u8>, usize, usize)> {
    let path = root("../shared/clips").join(clip);
    let ffmpeg = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(path)
        .args(["-vf", &format!("select=eq(n\\,{number})"), "-frames:v", "1"])
        .args(["-f", "rawvideo", "-pix_fmt", "yuvj420p", "-"])
        .output()
        .ok()?;
    let data = ffmpeg.stdout;
    // Clips of this size only.
    (data.len() == 640 * 480 * 3 / 2).then_some((data, 640, 480))
}

#[test]
fn real_models_find_the_face_that_an_independent_program_finds() {
    let Some((data, width, height)) = clip_frame("asl_book.mkv", 30) else {
        println!("skipped: no ../shared/clips/asl_book.mkv or no ffmpeg");
        return;
    };
    let (y, chroma) = data.split_at(width * height);
    let (u, v) = chroma.split_at(width * height / 4);
    let colour = Colour {
        matrix: Matrix::Bt601,
        full_range: true,
    };
    let frame = Frame::new(
        PixelFormat::I420,
        width,
        height,
        colour,
        &[y, u, v],
        &[width, width / 2, width / 2],
    );
    let frame = frame.unwrap();
    // Boxes from Python: ffmpeg's area scaler, onnxruntime, and decoding written for it.
    for (model, expected) in [
        (
            root("models/floutage-v0.onnx"),
            BBox::new(273.0, 100.0, 331.0, 172.0),
        ),
        (
            root("../shared/models/yunet_n_dynamic.onnx"),
            BBox::new(276.0, 101.0, 327.0, 170.0),
        ),
        (
            root("../shared/models/ulfg_RFB-640.onnx"),
            BBox::new(274.0, 98.0, 329.0, 171.0),
        ),
    ] {
        if !model.is_file() {
            println!("skipped: no {}", model.display());
            continue;
        }
        let settings = DetectorSettings {
            models: vec![model.to_str().unwrap().to_string()],
            models_dir: Some(root("models")),
            ..Default::default()
        };
        let (found, _) = opened(&settings).detect(&frame).unwrap();
        let faces: Vec<&Detection> = found.iter().filter(|d| d.class == Class::Face).collect();
        assert_eq!(faces.len(), 1, "{}: {found:?}", model.display());
        let iou = faces[0].bbox.iou(&expected);
        assert!(iou > 0.85, "{}: {:?}", model.display(), faces[0]);
    }
}
