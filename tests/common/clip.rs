//! A [`Scene`] as a file: rendered here, encoded by ffmpeg, with whatever a camera, an editor or a player may
//! have put around the pictures.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use floutage::frame::Matrix;

use super::codec::{Codec, muxer};
use super::ffmpeg;
use super::run_tool;
use super::scene::Scene;

/// Every text that a side channel of a clip holds starts with this; none of it may be in the output.
pub const SECRET: &str = "FLOUTAGE-TEST-SECRET";
/// The secrets by channel, as a search of the file's bytes finds them.
pub const SECRET_TAG: &str = "FLOUTAGE-TEST-SECRET-TAG";
pub const SECRET_CHAPTER: &str = "FLOUTAGE-TEST-SECRET-CHAPTER";
pub const SECRET_SUBTITLE: &str = "FLOUTAGE-TEST-SECRET-SUBTITLE";
pub const SECRET_SEI: &str = "FLOUTAGE-TEST-SECRET-SEI";
pub const SECRET_ATTACHMENT: &str = "FLOUTAGE-TEST-SECRET-ATTACHMENT";
pub const SECRET_COVER: &str = "FLOUTAGE-TEST-SECRET-COVER";
pub const SECRET_DATA: &str = "FLOUTAGE-TEST-SECRET-DATA";

/// A file to be made from a scene. The file's extension chooses the container: mp4, mov, mkv, webm, avi, ts.
///
/// ```ignore
/// let clip = Clip::new(Scene::new(320, 240, 50)).codec(Codec::Vp9).audio().write(dir, "in.webm");
/// ```
#[derive(Clone, Debug)]
pub struct Clip {
    pub scene: Scene,
    pub codec: Codec,
    /// Frames per second, as ffmpeg reads it ("30000/1001").
    pub rate: String,
    /// As ffmpeg names it; what the scene's 8-bit 4:2:0 is converted to before encoding.
    pub pixel_format: String,
    /// Clockwise degrees a player has to turn the coded picture (mp4, mov); frames decode to the scene as it is.
    pub rotation: u16,
    /// Distances between frames in milliseconds, taken in turn; empty for a constant rate.
    pub intervals: Vec<u32>,
    /// Width to height of one pixel.
    pub pixel_aspect: (u32, u32),
    /// Frames from one key frame to the next.
    pub key_interval: usize,
    audio: bool,
    subtitles: bool,
    chapters: bool,
    tags: bool,
    sei: bool,
    attachment: bool,
    cover: bool,
    data_track: bool,
}

impl Clip {
    /// H.264, 25 frames/s, 4:2:0, nothing but the pictures.
    pub fn new(scene: Scene) -> Self {
        Self {
            scene,
            codec: Codec::H264,
            rate: "25".into(),
            pixel_format: "yuv420p".into(),
            rotation: 0,
            intervals: Vec::new(),
            pixel_aspect: (1, 1),
            key_interval: 25,
            audio: false,
            subtitles: false,
            chapters: false,
            tags: false,
            sei: false,
            attachment: false,
            cover: false,
            data_track: false,
        }
    }

    pub fn codec(mut self, codec: Codec) -> Self {
        self.codec = codec;
        self
    }

    pub fn rate(mut self, rate: &str) -> Self {
        self.rate = rate.into();
        self
    }

    pub fn pixel_format(mut self, name: &str) -> Self {
        self.pixel_format = name.into();
        self
    }

    /// Turned by 90, 180 or 270 degrees (mp4 and mov).
    pub fn rotation(mut self, degrees: u16) -> Self {
        self.rotation = degrees;
        self
    }

    /// Two fields a frame, top field first (H.264, MPEG-2).
    pub fn interlaced(mut self) -> Self {
        self.scene.interlaced = true;
        self
    }

    /// A variable frame rate; see [`Clip::intervals`]. Not in AVI, which has none.
    pub fn intervals(mut self, milliseconds: &[u32]) -> Self {
        self.intervals = milliseconds.to_vec();
        self
    }

    pub fn pixel_aspect(mut self, width: u32, height: u32) -> Self {
        self.pixel_aspect = (width, height);
        self
    }

    pub fn key_interval(mut self, frames: usize) -> Self {
        self.key_interval = frames;
        self
    }

    /// A tone of 440 Hz.
    pub fn audio(mut self) -> Self {
        self.audio = true;
        self
    }

    /// A subtitle track that says [`SECRET_SUBTITLE`] (mp4, mov, mkv, webm).
    pub fn subtitles(mut self) -> Self {
        self.subtitles = true;
        self
    }

    /// Two chapters named [`SECRET_CHAPTER`] (mp4, mov, mkv, webm).
    pub fn chapters(mut self) -> Self {
        self.chapters = true;
        self
    }

    /// [`SECRET_TAG`] as title, comment and artist, and a place on earth where the container has one.
    pub fn tags(mut self) -> Self {
        self.tags = true;
        self
    }

    /// [`SECRET_SEI`] as unregistered user data in front of every frame (H.264).
    pub fn sei(mut self) -> Self {
        self.sei = true;
        self
    }

    /// A text file [`SECRET_ATTACHMENT`] attached (mkv).
    pub fn attachment(mut self) -> Self {
        self.attachment = true;
        self
    }

    /// A cover picture that holds [`SECRET_COVER`] as a PNG text (mp4).
    pub fn cover(mut self) -> Self {
        self.cover = true;
        self
    }

    /// A data track: a time code in mov and mp4; in ts a stream of unknown type that holds [`SECRET_DATA`].
    pub fn data_track(mut self) -> Self {
        self.data_track = true;
        self
    }

    /// Everything that the container `extension` can have beside pictures.
    pub fn all_side_channels(self, extension: &str) -> Self {
        let is = |names: &[&str]| names.contains(&extension);
        let sei = self.codec == Codec::H264;
        Self {
            audio: true,
            tags: true,
            subtitles: is(&["mp4", "mov", "mkv", "webm"]),
            chapters: is(&["mp4", "mov", "mkv", "webm"]),
            attachment: is(&["mkv"]),
            cover: is(&["mp4"]),
            data_track: is(&["mp4", "mov", "ts"]),
            sei,
            ..self
        }
    }

    /// The time of frame `index` in seconds, the first at 0.
    pub fn time(&self, index: usize) -> f64 {
        if self.intervals.is_empty() {
            let (n, d) = self.rate.split_once('/').unwrap_or((&self.rate, "1"));
            let number = |text: &str| text.parse::<f64>().expect("the rate is a number");
            return index as f64 * number(d) / number(n);
        }
        let cycle: u32 = self.intervals.iter().sum();
        let (whole, rest) = (index / self.intervals.len(), index % self.intervals.len());
        let part: u32 = self.intervals[..rest].iter().sum();
        (whole as f64 * f64::from(cycle) + f64::from(part)) / 1000.0
    }

    /// Length in seconds.
    pub fn duration(&self) -> f64 {
        self.time(self.scene.frames)
    }

    /// Makes the file `name` in `folder`.
    pub fn write(&self, folder: &Path, name: &str) -> PathBuf {
        let path = folder.join(name);
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
        // First the pictures alone, then everything around them: rotation can only be set when copying.
        let plain = folder.join(format!(".{name}.plain.{}", self.plain_container(extension)));
        self.encode(&plain);
        self.assemble(&plain, &path, extension, folder);
        for leftover in std::fs::read_dir(folder).expect("the folder can be read") {
            let leftover = leftover.expect("the folder can be read").path();
            let file_name = leftover.file_name().unwrap_or_default().to_string_lossy();
            if file_name.starts_with(&format!(".{name}.")) {
                std::fs::remove_file(&leftover).expect("a file of our own can be removed");
            }
        }
        path
    }

    /// AVI and TS lose time stamps or pixel shapes less when nothing else was in between.
    fn plain_container<'a>(&self, extension: &'a str) -> &'a str {
        match extension {
            "avi" | "ts" | "webm" => extension,
            "mov" => "mov",
            "mp4" if self.codec != Codec::Ffv1 => "mp4",
            _ => "mkv",
        }
    }

    fn encode(&self, path: &Path) {
        let turned = self.rotation % 180 == 90;
        let (width, height) = (self.scene.width, self.scene.height);
        let (width, height) = if turned {
            (height, width)
        } else {
            (width, height)
        };
        let (space, primaries, transfer) = match self.scene.matrix {
            Matrix::Bt601 => ("smpte170m", "smpte170m", "smpte170m"),
            Matrix::Bt709 => ("bt709", "bt709", "bt709"),
            Matrix::Bt2020 => ("bt2020nc", "bt2020", "bt2020-10"),
        };
        // The samples are in the scene's own coefficients: say so at both ends, so that nothing converts them.
        let mut filter = format!(
            "setparams=range=tv:colorspace={space}:color_primaries={primaries}:color_trc={transfer},setsar={}/{}",
            self.pixel_aspect.0, self.pixel_aspect.1
        );
        if self.scene.interlaced {
            filter += ",setfield=tff";
        }
        let mut command = ffmpeg();
        command.args(["-f", "rawvideo", "-pix_fmt", "yuv420p", "-s"]);
        command.args([&format!("{width}x{height}"), "-r", &self.rate, "-i", "-"]);
        if !self.intervals.is_empty() {
            filter += &format!(",settb=1/1000,setpts='{}'", self.time_expression());
            command.args(["-vsync", "passthrough", "-enc_time_base", "1/1000"]);
        }
        command.args(["-vf", &filter, "-pix_fmt", &self.pixel_format, "-c:v"]);
        command.args(self.codec.arguments());
        command.args(["-g", &self.key_interval.to_string()]);
        command.args(["-colorspace", space, "-color_primaries", primaries]);
        command.args(["-color_trc", transfer, "-color_range", "tv"]);
        if self.codec == Codec::Mjpeg {
            command.args(["-color_range", "pc"]);
        }
        if self.scene.interlaced {
            command.args(["-flags", "+ildct+ilme", "-top", "1"]);
        }
        if self.sei {
            assert_eq!(
                self.codec,
                Codec::H264,
                "only H.264 clips get SEI user data"
            );
            let text = format!("086f3693-b7b3-4f2c-9653-21492feee5b8+{SECRET_SEI}");
            command.args(["-bsf:v", &format!("h264_metadata=sei_user_data={text}")]);
        }
        command.args(["-fflags", "+bitexact", "-f", muxer(path)]);
        let errors = path.with_extension("errors");
        let mut child = command
            .arg(path)
            .stdin(Stdio::piped())
            .stderr(std::fs::File::create(&errors).expect("the folder can be written"))
            .spawn()
            .unwrap_or_else(|error| panic!("ffmpeg: {error}; run `make setup`"));
        let mut pipe = child.stdin.take().expect("the standard input is piped");
        for index in 0..self.scene.frames {
            let picture = self.scene.render(index);
            // The coded picture is what a player's turn by `rotation` makes right.
            let picture = if self.rotation == 0 {
                picture
            } else {
                picture.rotated(360 - self.rotation)
            };
            if pipe.write_all(&picture.data).is_err() {
                break; // ffmpeg ended early; it says below why.
            }
        }
        drop(pipe);
        let status = child.wait().expect("ffmpeg can be waited for");
        let said = std::fs::read_to_string(&errors).unwrap_or_default();
        assert!(status.success(), "{command:?}: {status}\n{said}");
    }

    /// ffmpeg's expression for the time of frame N in milliseconds.
    fn time_expression(&self) -> String {
        let cycle: u32 = self.intervals.iter().sum();
        let count = self.intervals.len();
        let mut within = String::from("0");
        let mut sum = 0;
        for (index, interval) in self.intervals.iter().enumerate().take(count - 1) {
            sum += interval;
            within += &format!("+eq(mod(N,{count}),{})*{sum}", index + 1);
        }
        format!("floor(N/{count})*{cycle}+{within}")
    }

    /// Puts everything else around the encoded pictures.
    fn assemble(&self, plain: &Path, path: &Path, extension: &str, folder: &Path) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let aside = |kind: &str| folder.join(format!(".{name}.{kind}"));
        let duration = self.duration().max(0.2);
        let mut inputs = ffmpeg();
        inputs.arg("-i").arg(plain);
        let mut outputs: Vec<String> = ["-map", "0:v", "-c:v", "copy"].map(String::from).into();
        let mut next_input = 1;
        let more = |outputs: &mut Vec<String>, arguments: &[&str]| {
            outputs.extend(arguments.iter().map(|&a| a.to_owned()));
        };
        if self.audio {
            let tone = format!("sine=frequency=440:duration={duration}");
            inputs.args(["-f", "lavfi", "-i", &tone]);
            let codec = match extension {
                "webm" => "libopus",
                "avi" => "pcm_s16le",
                _ => "aac",
            };
            more(
                &mut outputs,
                &["-map", &format!("{next_input}:a"), "-c:a", codec],
            );
            next_input += 1;
        }
        if self.subtitles {
            let file = aside("srt");
            let end = (duration * 1000.0) as u64;
            let text = format!(
                "1\n00:00:00,000 --> 00:00:{:02},{:03}\n{SECRET_SUBTITLE}\n\n",
                end / 1000 % 60,
                end % 1000
            );
            std::fs::write(&file, text).expect("the folder can be written");
            inputs.arg("-i").arg(&file);
            let codec = match extension {
                "mp4" | "mov" => "mov_text",
                "webm" => "webvtt",
                "mkv" => "srt",
                _ => panic!("no subtitles in .{extension}"),
            };
            more(
                &mut outputs,
                &["-map", &format!("{next_input}:s"), "-c:s", codec],
            );
            next_input += 1;
        }
        if self.chapters {
            let file = aside("chapters");
            let half = (duration * 500.0) as u64;
            let chapter = |start: u64, end: u64| {
                format!(
                    "[CHAPTER]\nTIMEBASE=1/1000\nSTART={start}\nEND={end}\ntitle={SECRET_CHAPTER}\n"
                )
            };
            let text = format!(
                ";FFMETADATA1\n{}{}",
                chapter(0, half),
                chapter(half, half * 2)
            );
            std::fs::write(&file, text).expect("the folder can be written");
            inputs.args(["-f", "ffmetadata", "-i"]).arg(&file);
            more(&mut outputs, &["-map_chapters", &next_input.to_string()]);
            next_input += 1;
        }
        if self.cover {
            assert_eq!(extension, "mp4", "no cover in .{extension}");
            let file = aside("png");
            std::fs::write(&file, png_with_text(SECRET_COVER)).expect("the folder can be written");
            inputs.args(["-f", "png_pipe", "-i"]).arg(&file);
            more(
                &mut outputs,
                &["-map", &format!("{next_input}:v"), "-c:v:1", "copy"],
            );
            more(&mut outputs, &["-disposition:v:1", "attached_pic"]);
            next_input += 1;
        }
        if self.data_track {
            match extension {
                "mp4" | "mov" => more(&mut outputs, &["-timecode", "01:02:03:04"]),
                "ts" => {
                    let file = aside("data");
                    std::fs::write(&file, SECRET_DATA.repeat(20))
                        .expect("the folder can be written");
                    inputs.args(["-f", "data", "-i"]).arg(&file);
                    more(
                        &mut outputs,
                        &["-map", &format!("{next_input}:d"), "-c:d", "copy"],
                    );
                }
                _ => panic!("no data track in .{extension}"),
            }
        }
        if self.attachment {
            assert_eq!(extension, "mkv", "only Matroska has attachments");
            let file = aside("txt");
            std::fs::write(&file, SECRET_ATTACHMENT).expect("the folder can be written");
            more(&mut outputs, &["-attach", &file.to_string_lossy()]);
            more(&mut outputs, &["-metadata:s:t", "mimetype=text/plain"]);
        }
        if self.tags {
            for key in ["title", "comment", "artist"] {
                more(&mut outputs, &["-metadata", &format!("{key}={SECRET_TAG}")]);
            }
            more(&mut outputs, &["-metadata", "location=+48.8577+002.2950/"]);
            more(
                &mut outputs,
                &["-metadata:s:v:0", &format!("title={SECRET_TAG}")],
            );
            more(
                &mut outputs,
                &["-metadata:s:v:0", &format!("handler_name={SECRET_TAG}")],
            );
        }
        if self.rotation != 0 {
            assert!(
                matches!(extension, "mp4" | "mov"),
                "no rotation in .{extension}"
            );
            // ffmpeg 5 counts this tag counterclockwise.
            more(
                &mut outputs,
                &[
                    "-metadata:s:v:0",
                    &format!("rotate={}", 360 - self.rotation),
                ],
            );
        }
        more(&mut outputs, &["-fflags", "+bitexact", "-f", muxer(path)]);
        run_tool(inputs.args(outputs).arg(path));
    }
}

/// A picture of one pixel with a tEXt chunk (PNG specification, second edition, 11.3.4.3).
fn png_with_text(text: &str) -> Vec<u8> {
    let chunk = |kind: &[u8; 4], data: &[u8]| {
        let mut bytes = (data.len() as u32).to_be_bytes().to_vec();
        bytes.extend(kind);
        bytes.extend(data);
        bytes.extend(crc32(&bytes[4..]).to_be_bytes());
        bytes
    };
    // One grey pixel: a stored (uncompressed) block in a zlib stream.
    let pixels = [0x78, 0x01, 1, 2, 0, 0xfd, 0xff, 0, 128, 0, 0x82, 0, 0x81];
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    png.extend(chunk(b"IHDR", &[0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0]));
    png.extend(chunk(b"tEXt", &[b"Comment\0", text.as_bytes()].concat()));
    png.extend(chunk(b"IDAT", &pixels));
    png.extend(chunk(b"IEND", &[]));
    png
}

/// CRC-32 as PNG uses it.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |mut crc, &byte| {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = crc >> 1 ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 };
        }
        crc
    })
}
