//! Looking at files: decoded frames, what ffprobe says, how alike two pictures are, where markers are.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};

use floutage::detect::Class;
use floutage::frame::Matrix;
use floutage::geometry::BBox;

use super::scene::{Picture, marker_colour, yuv};
use super::{ffmpeg, run_tool};

/// Decodes `path` with ffmpeg and hands over each displayed frame (rotation applied, 8-bit 4:2:0, limited
/// range), one at a time. A decoding error fails the test.
pub fn each_frame(path: &Path, mut look: impl FnMut(usize, Picture)) -> usize {
    let mut child = ffmpeg()
        .args(["-xerror", "-i"])
        .arg(path)
        .args([
            "-map",
            "0:V:0",
            "-vsync",
            "passthrough",
            // Fine enough that no two frames of a variable rate fall together.
            "-enc_time_base",
            "1/90000",
            "-pix_fmt",
            "yuv420p",
        ])
        .args(["-f", "yuv4mpegpipe", "-"])
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap_or_else(|error| panic!("ffmpeg: {error}; run `make setup`"));
    let mut pipe = BufReader::new(child.stdout.take().expect("the standard output is piped"));
    let mut line = String::new();
    pipe.read_line(&mut line)
        .expect("ffmpeg's output can be read");
    let number = |key: char| {
        line.split_whitespace()
            .skip(1)
            .find_map(|word| word.strip_prefix(key)?.parse().ok())
            .unwrap_or_else(|| panic!("{}: no frame could be decoded: {line:?}", path.display()))
    };
    let (width, height): (usize, usize) = (number('W'), number('H'));
    let mut count = 0;
    loop {
        let mut head = Vec::new();
        pipe.read_until(b'\n', &mut head)
            .expect("ffmpeg's output can be read");
        if head.is_empty() {
            break;
        }
        assert!(head.starts_with(b"FRAME"), "ffmpeg's stream is out of step");
        let mut data = vec![0; Picture::bytes(width, height)];
        pipe.read_exact(&mut data).expect("a whole frame follows");
        look(
            count,
            Picture {
                width,
                height,
                data,
            },
        );
        count += 1;
    }
    let status = child.wait().expect("ffmpeg can be waited for");
    assert!(status.success(), "{}: decoding: {status}", path.display());
    count
}

/// All displayed frames of `path`, in memory: for short clips. See [`each_frame`].
pub fn decode_frames(path: &Path) -> Vec<Picture> {
    let mut frames = Vec::new();
    each_frame(path, |_, picture| frames.push(picture));
    frames
}

/// What ffprobe says of format, streams and chapters.
pub fn ffprobe_json(path: &Path) -> serde_json::Value {
    ffprobe(path, &["-show_format", "-show_streams", "-show_chapters"])
}

/// ffprobe with options of the caller's choice, read as JSON.
pub fn ffprobe(path: &Path, options: &[&str]) -> serde_json::Value {
    let mut command = Command::new("ffprobe");
    command.args(["-v", "error", "-of", "json"]).args(options);
    let said = run_tool(command.arg(path));
    serde_json::from_slice(&said).expect("ffprobe prints JSON")
}

/// The stream of type `kind` ("video", "audio", "subtitle", "data", "attachment"), the first of them.
pub fn stream<'a>(probe: &'a serde_json::Value, kind: &str) -> Option<&'a serde_json::Value> {
    let streams = probe["streams"].as_array()?;
    streams.iter().find(|stream| stream["codec_type"] == kind)
}

/// Presentation times of all frames of the video in seconds, in display order (in AVI, which has none, by their number).
pub fn frame_times(path: &Path) -> Vec<f64> {
    let options = [
        "-select_streams",
        "V:0",
        "-show_entries",
        "frame=best_effort_timestamp_time",
    ];
    let probe = ffprobe(path, &options);
    let frames = probe["frames"].as_array().expect("ffprobe lists frames");
    frames
        .iter()
        .map(|frame| {
            let time = frame["best_effort_timestamp_time"]
                .as_str()
                .expect("each frame has a time");
            time.parse().expect("a time is a number")
        })
        .collect()
}

/// Peak signal-to-noise ratio of the luma in decibels, infinite when equal; pixels inside any of `excluded`
/// (frame coordinates) are not counted.
pub fn psnr(a: &Picture, b: &Picture, excluded: &[BBox]) -> f64 {
    assert_eq!((a.width, a.height), (b.width, b.height), "sizes differ");
    let (mut sum, mut count) = (0u64, 0u64);
    for y in 0..a.height {
        for x in 0..a.width {
            if excluded.iter().any(|area| inside(area, x, y)) {
                continue;
            }
            let i = y * a.width + x;
            sum += u64::from(a.data[i].abs_diff(b.data[i])).pow(2);
            count += 1;
        }
    }
    assert!(count > 0, "all pixels are excluded");
    10.0 * (255.0f64.powi(2) * count as f64 / sum as f64).log10()
}

/// True when any part of pixel (x, y) is inside `area`.
fn inside(area: &BBox, x: usize, y: usize) -> bool {
    let (x, y) = (x as f32, y as f32);
    x + 1.0 > area.x1 && x < area.x2 && y + 1.0 > area.y1 && y < area.y2
}

/// Pixels (x, y) with their centre inside `area`.
fn pixels<'a>(picture: &Picture, area: &'a BBox) -> impl Iterator<Item = (usize, usize)> + use<'a> {
    let clip = |value: f32, limit: usize| (value.max(0.0) as usize).min(limit);
    let columns = clip(area.x1.round(), picture.width)..clip(area.x2.round(), picture.width);
    let rows = clip(area.y1.round(), picture.height)..clip(area.y2.round(), picture.height);
    rows.flat_map(move |y| columns.clone().map(move |x| (x, y)))
}

/// Share of `area` (frame coordinates) that has the marker's colour, 0 to 1. Solid redaction leaves nothing of it;
/// a blurred marker keeps its colour, see [`detail`].
pub fn marker_share(picture: &Picture, matrix: Matrix, class: Class, area: &BBox) -> f64 {
    let (mut hits, mut all) = (0u32, 0u32);
    for (x, y) in pixels(picture, area) {
        hits += u32::from(is_marker(picture.pixel(x, y), matrix, class));
        all += 1;
    }
    f64::from(hits) / f64::from(all.max(1))
}

/// Mean luma step between pixels side by side in `area`: about 6 for a marker with its stripes, about 0 for
/// anything that was redacted.
pub fn detail(picture: &Picture, area: &BBox) -> f64 {
    let (mut sum, mut count) = (0u64, 0u64);
    for (x, y) in pixels(picture, area) {
        let i = y * picture.width + x;
        if x + 1 < (area.x2.round() as usize).min(picture.width) {
            sum += u64::from(picture.data[i].abs_diff(picture.data[i + 1]));
            count += 1;
        }
    }
    sum as f64 / count.max(1) as f64
}

/// True for the marker's colour after coding: its chroma is near, whatever the luma.
fn is_marker([_, u, v]: [u8; 3], matrix: Matrix, class: Class) -> bool {
    let [_, mu, mv] = yuv(matrix, marker_colour(class));
    u.abs_diff(mu) < 30 && v.abs_diff(mv) < 30
}

/// The boxes around all connected areas of the marker's colour, in reading order; each edge is exact to the
/// two pixels of a chroma sample.
pub fn find_markers(picture: &Picture, matrix: Matrix, class: Class) -> Vec<BBox> {
    let (w, h) = (picture.width.div_ceil(2), picture.height.div_ceil(2));
    let hit = |x: usize, y: usize| is_marker(picture.pixel(x * 2, y * 2), matrix, class);
    let mut seen = vec![false; w * h];
    let mut found = Vec::new();
    for start in 0..w * h {
        if seen[start] || !hit(start % w, start / w) {
            continue;
        }
        seen[start] = true;
        let mut open = vec![start];
        let (mut x1, mut y1, mut x2, mut y2) = (w, h, 0, 0);
        while let Some(at) = open.pop() {
            let (x, y) = (at % w, at / w);
            (x1, y1) = (x1.min(x), y1.min(y));
            (x2, y2) = (x2.max(x + 1), y2.max(y + 1));
            let neighbours = [
                (x > 0).then(|| at - 1),
                (x + 1 < w).then_some(at + 1),
                (y > 0).then(|| at - w),
                (y + 1 < h).then_some(at + w),
            ];
            for next in neighbours.into_iter().flatten() {
                if !seen[next] && hit(next % w, next / w) {
                    seen[next] = true;
                    open.push(next);
                }
            }
        }
        let edge = |value: usize, limit: usize| (value * 2).min(limit) as f32;
        found.push(BBox::new(
            edge(x1, picture.width),
            edge(y1, picture.height),
            edge(x2, picture.width),
            edge(y2, picture.height),
        ));
    }
    found
}
