//! Pictures made here, with everything planted that must not survive.

use std::path::PathBuf;

use image::codecs::png::PngEncoder;
use image::codecs::webp::WebPEncoder;
use image::{DynamicImage, ExtendedColorType, ImageEncoder, ImageFormat, RgbImage, RgbaImage};
use tempfile::TempDir;

use super::*;
use crate::geometry::BBox;
use crate::redact::{Settings, Style};

const SECRET: &[u8] = b"SECRET-48.8584N-2.2945E";

/// Finds what is coloured: the box about all pixels for which a rule holds.
struct Finder<F: FnMut([u8; 3], [u8; 3]) -> bool + Send>(F);

impl<F: FnMut([u8; 3], [u8; 3]) -> bool + Send> Detector for Finder<F> {
    /// The rule gets a pixel and the picture's first pixel.
    fn detect(&mut self, frame: &Frame<'_>) -> Result<(Vec<Detection>, StageTimes)> {
        let channels = if frame.format() == PixelFormat::Rgba {
            4
        } else {
            3
        };
        let pixel = |x: usize, y: usize| {
            let pixel = &frame.row(0, y)[x * channels..];
            [pixel[0], pixel[1], pixel[2]]
        };
        let mut bbox: Option<BBox> = None;
        for y in 0..frame.height() {
            for x in 0..frame.width() {
                if (self.0)(pixel(x, y), pixel(0, 0)) {
                    let (x, y) = (x as f32, y as f32);
                    let b = bbox.unwrap_or(BBox::new(x, y, x, y));
                    bbox = Some(BBox::new(
                        b.x1.min(x),
                        b.y1.min(y),
                        b.x2.max(x + 1.0),
                        b.y2.max(y + 1.0),
                    ));
                }
            }
        }
        let detection = |bbox| Detection {
            bbox,
            class: Class::Face,
            confidence: 0.9,
            certainty: Certainty::Confident,
        };
        Ok((
            bbox.map(detection).into_iter().collect(),
            StageTimes::default(),
        ))
    }
}

fn red([r, g, b]: [u8; 3], _: [u8; 3]) -> bool {
    r > 200 && g < 60 && b < 60
}

/// A redactor that leaves nothing of a mark's colour, as cells of it would.
fn filling() -> Redactor {
    let mut settings = Settings::default();
    settings.face.style = Style::Fill;
    Redactor::new(settings).unwrap()
}

struct Failing;

impl Detector for Failing {
    fn detect(&mut self, _: &Frame<'_>) -> Result<(Vec<Detection>, StageTimes)> {
        Err(Error::Detection("scripted".into()))
    }
}

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, data: &[u8]) -> PathBuf {
        fs::write(self.path(name), data).unwrap();
        self.path(name)
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// Redacts red marks from a file with these bytes into a file of this name.
    fn redact(&self, data: &[u8], output: &str) -> Result<(PictureReport, DynamicImage, Vec<u8>)> {
        let input = self.write("input", data);
        let redactor = filling();
        let output = self.path(output);
        let options = PictureOptions::default();
        let report = redact_picture(&input, &output, &mut Finder(red), &redactor, &options)?;
        let data = fs::read(&output).unwrap();
        Ok((report, image::load_from_memory(&data).unwrap(), data))
    }
}

/// Grey noise with a red square of 20 pixels at (60, 40).
fn marked(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        if (60..80).contains(&x) && (40..60).contains(&y) {
            image::Rgb([250, 10, 10])
        } else {
            let grey = ((x * 7 + y * 13) % 90 + 80) as u8;
            image::Rgb([grey, grey, grey])
        }
    })
}

fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut data = std::io::Cursor::new(Vec::new());
    image.write_to(&mut data, format).unwrap();
    data.into_inner()
}

/// The EXIF data of a file with this orientation, with the secret where a thumbnail would be.
fn exif(orientation: u8) -> Vec<u8> {
    let mut data = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    data.extend([orientation, 0, 0, 0, 0, 0, 0, 0]);
    data.extend(SECRET);
    data
}

fn segment(marker: u8, data: &[u8]) -> Vec<u8> {
    let length = (data.len() + 2) as u16;
    [&[0xFF, marker][..], &length.to_be_bytes(), data].concat()
}

/// A JPEG file with segments after its first marker, and bytes after its end.
fn with_segments(jpeg: &[u8], segments: &[Vec<u8>]) -> Vec<u8> {
    [&jpeg[..2], &segments.concat(), &jpeg[2..], SECRET].concat()
}

fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let checked = [kind, data].concat();
    let crc = checked.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg())
        })
    });
    let length = (data.len() as u32).to_be_bytes();
    [&length, &checked[..], &(!crc).to_be_bytes()].concat()
}

/// A PNG file with chunks after its header, and bytes after its end.
fn with_chunks(png: &[u8], chunks: &[Vec<u8>]) -> Vec<u8> {
    [&png[..33], &chunks.concat(), &png[33..], SECRET].concat()
}

fn contains(data: &[u8], part: &[u8]) -> bool {
    data.windows(part.len()).any(|window| window == part)
}

fn is_marked(image: &DynamicImage) -> bool {
    image.to_rgb8().pixels().any(|pixel| red(pixel.0, [0; 3]))
}

#[test]
fn marks_are_redacted_and_the_rest_is_kept_in_every_format() {
    let picture = DynamicImage::from(marked(151, 97));
    for input in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP] {
        for (output, lossless) in [
            ("a.jpg", false),
            ("b.JPEG", false),
            ("c.png", true),
            ("d.webp", true),
        ] {
            let folder = Folder::new();
            let data = encoded(&picture, input);
            let (report, after, _) = folder.redact(&data, output).unwrap();
            assert_eq!((report.width, report.height), (151, 97));
            assert_eq!(
                (report.count(Class::Face), report.count(Class::Plate)),
                (1, 0)
            );
            assert_eq!((after.width(), after.height()), (151, 97));
            assert!(!is_marked(&after), "{input:?} to {output}");
            let before = image::load_from_memory(&data).unwrap().to_rgb8();
            let after = after.to_rgb8();
            for (x, y) in [(0, 0), (150, 96), (10, 90), (120, 20)] {
                let (a, b) = (before.get_pixel(x, y).0, after.get_pixel(x, y).0);
                let limit = if lossless { 0 } else { 24 };
                assert!(
                    a.iter().zip(b).all(|(&a, b)| a.abs_diff(b) <= limit),
                    "{a:?} {b:?}"
                );
            }
            assert_eq!(folder.names().len(), 2, "{:?}", folder.names());
        }
    }
}

#[test]
fn metadata_and_hidden_bytes_do_not_survive() {
    let picture = DynamicImage::from(marked(120, 90));
    let secret = |before: &[u8]| [before, SECRET].concat();
    let jpeg = with_segments(
        &encoded(&picture, ImageFormat::Jpeg),
        &[
            segment(0xE1, &[b"Exif\0\0", &exif(1)[..]].concat()),
            segment(0xE1, &secret(b"http://ns.adobe.com/xap/1.0/\0")),
            segment(0xE2, &secret(b"ICC_PROFILE\0\x01\x01")),
            segment(0xED, &secret(b"Photoshop 3.0\0")),
            segment(0xFE, SECRET),
        ],
    );
    let png = with_chunks(
        &encoded(&picture, ImageFormat::Png),
        &[
            chunk(b"eXIf", &exif(1)),
            chunk(b"tEXt", &secret(b"Comment\0")),
            chunk(b"iTXt", &secret(b"XML:com.adobe.xmp\0\0\0\0\0")),
            chunk(b"prVt", SECRET),
        ],
    );
    let mut webp = Vec::new();
    let mut encoder = WebPEncoder::new_lossless(&mut webp);
    encoder.set_exif_metadata(exif(1)).unwrap();
    encoder.set_icc_profile(SECRET.to_vec()).unwrap();
    let rgb = picture.to_rgb8();
    encoder
        .write_image(&rgb, 120, 90, ExtendedColorType::Rgb8)
        .unwrap();
    webp.extend(SECRET);

    for data in [jpeg, png, webp] {
        assert!(contains(&data, SECRET));
        for output in ["a.jpg", "b.png", "c.webp"] {
            let folder = Folder::new();
            let (report, after, written) = folder.redact(&data, output).unwrap();
            assert_eq!(report.count(Class::Face), 1);
            assert!(!is_marked(&after));
            for leak in [
                SECRET, b"Exif", b"eXIf", b"EXIF", b"tEXt", b"iTXt", b"iCCP", b"ICC", b"xap",
                b"prVt",
            ] {
                assert!(
                    !contains(&written, leak),
                    "{output}: {}",
                    String::from_utf8_lossy(leak)
                );
            }
        }
    }
}

#[test]
fn orientations_are_applied_and_dropped() {
    let stored = marked(110, 80);
    let (w, h) = (stored.width(), stored.height());
    let png = encoded(&DynamicImage::from(stored.clone()), ImageFormat::Png);
    for orientation in 1..=8u8 {
        let data = with_chunks(&png, &[chunk(b"eXIf", &exif(orientation))]);
        let folder = Folder::new();
        let (report, after, written) = folder.redact(&data, "out.png").unwrap();
        let after = after.to_rgb8();
        let (width, height) = if orientation < 5 { (w, h) } else { (h, w) };
        assert_eq!((after.width(), after.height()), (width, height));
        assert_eq!(
            (report.width, report.height),
            (width as usize, height as usize)
        );
        // Where the pixel at (x, y) of the display is stored, by the EXIF standard.
        let source = |x: u32, y: u32| match orientation {
            1 => (x, y),
            2 => (w - 1 - x, y),
            3 => (w - 1 - x, h - 1 - y),
            4 => (x, h - 1 - y),
            5 => (y, x),
            6 => (y, h - 1 - x),
            7 => (w - 1 - y, h - 1 - x),
            _ => (w - 1 - y, x),
        };
        let b = report.detections[0].bbox;
        let masked = b.dilate(1.2);
        for y in 0..height {
            for x in 0..width {
                let (sx, sy) = source(x, y);
                let before = stored.get_pixel(sx, sy);
                let (fx, fy) = (x as f32, y as f32);
                if red(before.0, [0; 3]) {
                    assert!(fx >= b.x1 && fx < b.x2 && fy >= b.y1 && fy < b.y2);
                } else if fx < masked.x1 - 1.0
                    || fx > masked.x2
                    || fy < masked.y1 - 1.0
                    || fy > masked.y2
                {
                    assert_eq!(before, after.get_pixel(x, y), "{orientation}: {x}, {y}");
                }
            }
        }
        assert!(!contains(&written, b"eXIf"));
    }
    // As JPEG and WebP store it.
    let picture = DynamicImage::from(stored);
    let app1 = segment(0xE1, &[b"Exif\0\0", &exif(6)[..]].concat());
    let jpeg = with_segments(&encoded(&picture, ImageFormat::Jpeg), &[app1]);
    for block in [exif(6), [b"Exif\0\0", &exif(6)[..]].concat()] {
        let mut webp = Vec::new();
        let mut encoder = WebPEncoder::new_lossless(&mut webp);
        encoder.set_exif_metadata(block).unwrap();
        encoder
            .write_image(&picture.to_rgb8(), w, h, ExtendedColorType::Rgb8)
            .unwrap();
        for data in [&jpeg, &webp] {
            let (report, after, _) = Folder::new().redact(data, "out.png").unwrap();
            assert_eq!((report.width, report.height), (h as usize, w as usize));
            assert!(!is_marked(&after));
        }
    }
}

#[test]
fn all_depths_and_channels_are_read() {
    let rgb = DynamicImage::from(marked(120, 90));
    for (name, picture, faces) in [
        ("16-bit", DynamicImage::from(rgb.to_rgb16()), 1),
        ("16-bit with alpha", DynamicImage::from(rgb.to_rgba16()), 1),
        ("alpha", DynamicImage::from(rgb.to_rgba8()), 1),
        ("grey", DynamicImage::from(rgb.to_luma8()), 0),
        ("16-bit grey", DynamicImage::from(rgb.to_luma16()), 0),
        (
            "grey with alpha",
            DynamicImage::from(rgb.to_luma_alpha8()),
            0,
        ),
    ] {
        let png = encoded(&picture, ImageFormat::Png);
        for output in ["out.png", "out.jpg", "out.webp"] {
            let (report, after, _) = Folder::new().redact(&png, output).unwrap();
            assert_eq!(report.count(Class::Face), faces, "{name}");
            assert!(!is_marked(&after), "{name}");
            let keeps = picture.color().has_alpha() && output != "out.jpg";
            // The WebP decoder reports alpha only where it is used.
            assert!(
                output == "out.webp" || after.color().has_alpha() == keeps,
                "{name}"
            );
            let (a, b) = (
                picture.to_rgb8().get_pixel(5, 5).0,
                after.to_rgb8().get_pixel(5, 5).0,
            );
            assert!(
                a.iter().zip(b).all(|(&a, b)| a.abs_diff(b) < 16),
                "{name}: {a:?} {b:?}"
            );
        }
    }
}

#[test]
fn nothing_is_hidden_under_transparency() {
    // A red mark that is invisible on one half, with text in the pixels nobody sees.
    let picture = RgbaImage::from_fn(200, 90, |x, y| {
        let [r, g, b] = marked(200, 90).get_pixel(x, y).0;
        image::Rgba([r, g, b, if x >= 100 { 0 } else { 255 }])
    });
    let png = encoded(&DynamicImage::from(picture), ImageFormat::Png);
    for output in ["out.png", "out.webp"] {
        let (report, after, _) = Folder::new().redact(&png, output).unwrap();
        assert_eq!(report.count(Class::Face), 1);
        let after = after.to_rgba8();
        assert!(
            after
                .pixels()
                .all(|pixel| pixel[3] != 0 || pixel.0 == [0; 4])
        );
        assert_eq!(after.get_pixel(150, 10).0, [0; 4]);
        assert_eq!(after.get_pixel(10, 10)[3], 255);
        // What was redacted is opaque.
        assert_eq!(after.get_pixel(70, 50)[3], 255);
    }
    let (_, flat, _) = Folder::new().redact(&png, "out.jpg").unwrap();
    assert!(flat.to_rgb8().get_pixel(150, 10).0.iter().all(|&v| v > 240));
}

#[test]
fn a_face_that_shows_on_one_background_only_is_found() {
    // All black; the shape is in the alpha channel alone.
    let picture = RgbaImage::from_fn(100, 100, |x, y| {
        let inside = (40..60).contains(&x) && (40..60).contains(&y);
        image::Rgba([0, 0, 0, if inside { 255 } else { 0 }])
    });
    let folder = Folder::new();
    let input = folder.write(
        "in.png",
        &encoded(&DynamicImage::from(picture), ImageFormat::Png),
    );
    let output = folder.path("out.png");
    let mut finder = Finder(|pixel: [u8; 3], first: [u8; 3]| first[0] > 200 && pixel[0] < 50);
    let redactor = filling();
    let options = PictureOptions::default();
    let report = redact_picture(&input, &output, &mut finder, &redactor, &options).unwrap();
    assert_eq!(report.detections[0].bbox, BBox::new(40.0, 40.0, 60.0, 60.0));
    let after = image::open(&output).unwrap().to_rgba8();
    // The outline in the alpha channel is gone.
    assert_eq!(after.get_pixel(37, 50)[3], after.get_pixel(50, 50)[3]);
}

#[test]
fn a_failing_detector_leaves_no_output() {
    let folder = Folder::new();
    let input = folder.write(
        "in.png",
        &encoded(&DynamicImage::from(marked(90, 90)), ImageFormat::Png),
    );
    let redactor = filling();
    let output = folder.path("out.png");
    let error = redact_picture(
        &input,
        &output,
        &mut Failing,
        &redactor,
        &PictureOptions::default(),
    );
    assert!(matches!(error, Err(Error::Detection(_))));
    assert_eq!(folder.names(), ["in.png"]);
}

/// A JPEG of four colours, as used for print: 8 × 8 pixels of the middle value.
fn cmyk() -> Vec<u8> {
    let components = [1u8, 2, 3, 4];
    let mut frame = vec![8, 0, 8, 0, 8, 4];
    let mut scan = vec![4];
    for id in components {
        frame.extend([id, 0x11, 0]);
        scan.extend([id, 0]);
    }
    scan.extend([0, 63, 0]);
    let table = |class: u8| [&[class, 1][..], &[0; 15], &[0]].concat();
    [
        vec![0xFF, 0xD8],
        segment(0xEE, b"Adobe\0\x64\0\0\0\0\0"),
        segment(0xDB, &[&[0][..], &[1; 64]].concat()),
        segment(0xC0, &frame),
        segment(0xC4, &table(0x00)),
        segment(0xC4, &table(0x10)),
        segment(0xDA, &scan),
        vec![0x00, 0xFF, 0xD9],
    ]
    .concat()
}

#[test]
fn a_picture_of_four_colours_is_read() {
    let (report, after, _) = Folder::new().redact(&cmyk(), "out.png").unwrap();
    assert_eq!((report.width, report.height), (8, 8));
    assert!(!after.color().has_alpha());
}

#[test]
fn a_truncated_jpeg_is_reported() {
    let app1 = segment(
        0xE1,
        &[b"Exif\0\0", &exif(1)[..], b"\xFF\xD8\xFF\xD9"].concat(),
    );
    let whole = with_segments(
        &encoded(&marked(100, 90).into(), ImageFormat::Jpeg),
        &[app1],
    );
    assert!(!Folder::new().redact(&whole, "out.png").unwrap().0.truncated);
    let half = &whole[..whole.len() / 2];
    assert!(Folder::new().redact(half, "out.png").unwrap().0.truncated);
    let png = encoded(&marked(100, 90).into(), ImageFormat::Png);
    assert!(!Folder::new().redact(&png, "out.png").unwrap().0.truncated);
    assert!(
        !Folder::new()
            .redact(&cmyk(), "out.png")
            .unwrap()
            .0
            .truncated
    );
}

#[test]
fn bad_input_gets_an_error_and_no_output() {
    let rgb = DynamicImage::from(marked(100, 90));
    let png = encoded(&rgb, ImageFormat::Png);
    let jpeg = encoded(&rgb, ImageFormat::Jpeg);
    let webp = encoded(&rgb, ImageFormat::WebP);
    // A header that claims 60,000 × 60,000 pixels.
    let mut header = png[16..29].to_vec();
    header[..8].copy_from_slice(&[0, 0, 0xEA, 0x60, 0, 0, 0xEA, 0x60]);
    let bomb = [&png[..8], &chunk(b"IHDR", &header), &png[33..]].concat();
    let mut large = jpeg.clone();
    let size = large
        .windows(2)
        .position(|marker| marker[0] == 0xFF && marker[1] == 0xC0)
        .unwrap();
    large[size + 5..size + 9].fill(0xFF);
    let animated_png = with_chunks(&png, &[chunk(b"acTL", &[0, 0, 0, 1, 0, 0, 0, 0])]);
    // The picture of the still file as the only frame of an animation.
    let part =
        |kind: &[u8; 4], data: &[u8]| [kind, &(data.len() as u32).to_le_bytes(), data].concat();
    let still = &webp[12..];
    let frame = part(
        b"ANMF",
        &[
            &[0, 0, 0, 0, 0, 0, 99, 0, 0, 89, 0, 0, 100, 0, 0, 0][..],
            still,
        ]
        .concat(),
    );
    let body = [
        b"WEBP".to_vec(),
        part(b"VP8X", &[2, 0, 0, 0, 99, 0, 0, 89, 0, 0]),
        part(b"ANIM", &[0; 6]),
        frame,
    ]
    .concat();
    let animated_webp = part(b"RIFF", &body);

    let cases: [(&str, &[u8], &str); 10] = [
        ("empty", &[], "empty"),
        ("text", b"this is not a picture", "no JPEG, PNG or WebP"),
        (
            "other format",
            b"GIF89a\x01\0\x01\0\0\0\0",
            "no JPEG, PNG or WebP",
        ),
        ("truncated PNG", &png[..png.len() / 2], "cannot be decoded"),
        (
            "truncated WebP",
            &webp[..webp.len() / 2],
            "cannot be decoded",
        ),
        ("JPEG without a picture", &jpeg[..40], "cannot be decoded"),
        ("bomb", &bomb, "too many"),
        ("large JPEG", &large, "too many"),
        ("animated PNG", &animated_png, "animated"),
        ("animated WebP", &animated_webp, "animated"),
    ];
    for (name, data, expected) in cases {
        let folder = Folder::new();
        let error = folder.redact(data, "out.png").unwrap_err().to_string();
        assert!(
            error.contains(expected) && error.contains("input"),
            "{name}: {error}"
        );
        assert_eq!(folder.names(), ["input"], "{name}");
    }
    let folder = Folder::new();
    let error = folder.redact(&png, "out.gif").unwrap_err().to_string();
    assert!(error.contains(".webp"), "{error}");
    let redactor = filling();
    let missing = folder.path("missing.png");
    let mut detector = Finder(red);
    let options = PictureOptions::default();
    let error = redact_picture(
        &missing,
        &folder.path("o.png"),
        &mut detector,
        &redactor,
        &options,
    );
    assert!(matches!(error, Err(Error::Io { .. })));
    assert_eq!(folder.names(), ["input"]);
}

#[test]
fn outputs_are_overwritten_only_on_demand_and_never_the_input() {
    let folder = Folder::new();
    let png = encoded(&DynamicImage::from(marked(90, 90)), ImageFormat::Png);
    let input = folder.write("in.png", &png);
    let output = folder.write("out.png", b"old");
    let redactor = filling();
    let run = |output: &Path, overwrite| {
        let options = PictureOptions {
            overwrite,
            ..PictureOptions::default()
        };
        redact_picture(&input, output, &mut Finder(red), &redactor, &options)
    };
    assert!(run(&output, false).is_err());
    assert_eq!(fs::read(&output).unwrap(), b"old");
    assert!(run(&input, true).is_err());
    assert_eq!(fs::read(&input).unwrap(), png);
    run(&output, true).unwrap();
    assert!(!is_marked(&image::open(&output).unwrap()));
}

#[test]
fn quality_is_checked_and_has_effect() {
    let folder = Folder::new();
    let mut noisy = marked(200, 150);
    for (x, y, pixel) in noisy.enumerate_pixels_mut() {
        pixel[1] = pixel[1].wrapping_add((x * y % 31) as u8);
    }
    let input = folder.write(
        "in.png",
        &encoded(&DynamicImage::from(noisy), ImageFormat::Png),
    );
    let redactor = filling();
    let size = |quality| {
        let options = PictureOptions {
            quality,
            overwrite: true,
            ..PictureOptions::default()
        };
        let output = folder.path("out.jpg");
        redact_picture(&input, &output, &mut Finder(red), &redactor, &options)?;
        Ok::<u64, Error>(fs::metadata(&output).unwrap().len())
    };
    assert!(size(20).unwrap() < size(95).unwrap());
    for quality in [0, 101] {
        let error = size(quality).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("quality = {quality}")),
            "{error}"
        );
    }
}

#[test]
fn outlines_are_drawn_over_redacted_pixels() {
    let folder = Folder::new();
    let input = folder.write(
        "in.png",
        &encoded(&DynamicImage::from(marked(150, 120)), ImageFormat::Png),
    );
    let redactor = filling();
    let output = folder.path("out.png");
    let options = PictureOptions {
        draw: true,
        ..PictureOptions::default()
    };
    redact_picture(&input, &output, &mut Finder(red), &redactor, &options).unwrap();
    let after = image::open(&output).unwrap();
    assert!(!is_marked(&after));
    assert_eq!(after.to_rgb8().get_pixel(60, 40).0, [0, 255, 0]);
}

#[test]
fn the_smallest_picture_works() {
    let mut data = Vec::new();
    PngEncoder::new(&mut data)
        .write_image(&[250, 10, 10], 1, 1, ExtendedColorType::Rgb8)
        .unwrap();
    for output in ["out.png", "out.jpg", "out.webp"] {
        let (report, after, _) = Folder::new().redact(&data, output).unwrap();
        assert_eq!(
            (report.width, report.height, report.detections.len()),
            (1, 1, 1)
        );
        assert_eq!((after.width(), after.height()), (1, 1));
    }
}
