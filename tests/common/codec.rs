//! What the test clips are coded with, and how ffmpeg is told.

use std::path::Path;

/// How the pictures are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    H264,
    H265,
    Vp8,
    Vp9,
    Av1,
    Mpeg2,
    Mpeg4,
    Mjpeg,
    /// Without loss, for tests that compare samples.
    Ffv1,
}

impl Codec {
    pub const ALL: [Self; 9] = [
        Self::H264,
        Self::H265,
        Self::Vp8,
        Self::Vp9,
        Self::Av1,
        Self::Mpeg2,
        Self::Mpeg4,
        Self::Mjpeg,
        Self::Ffv1,
    ];

    /// As ffprobe names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::H264 => "h264",
            Self::H265 => "hevc",
            Self::Vp8 => "vp8",
            Self::Vp9 => "vp9",
            Self::Av1 => "av1",
            Self::Mpeg2 => "mpeg2video",
            Self::Mpeg4 => "mpeg4",
            Self::Mjpeg => "mjpeg",
            Self::Ffv1 => "ffv1",
        }
    }

    /// ffmpeg's encoder with options for good quality at good speed.
    pub fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::H264 => &["libx264", "-preset", "ultrafast", "-crf", "10"],
            Self::H265 => &[
                "libx265",
                "-preset",
                "ultrafast",
                "-crf",
                "12",
                "-x265-params",
                "log-level=error",
            ],
            Self::Vp8 => &[
                "libvpx",
                "-b:v",
                "8M",
                "-deadline",
                "realtime",
                "-cpu-used",
                "8",
            ],
            Self::Vp9 => &[
                "libvpx-vp9",
                "-b:v",
                "8M",
                "-deadline",
                "realtime",
                "-cpu-used",
                "8",
                "-row-mt",
                "1",
            ],
            Self::Av1 => &[
                "libaom-av1",
                "-crf",
                "20",
                "-b:v",
                "0",
                "-usage",
                "realtime",
                "-cpu-used",
                "8",
                "-row-mt",
                "1",
            ],
            Self::Mpeg2 => &["mpeg2video", "-q:v", "2"],
            Self::Mpeg4 => &["mpeg4", "-q:v", "2"],
            Self::Mjpeg => &["mjpeg", "-q:v", "2"],
            Self::Ffv1 => &["ffv1"],
        }
    }
}

/// ffmpeg's name for the container of `path`.
pub fn muxer(path: &Path) -> &'static str {
    match path.extension().and_then(|e| e.to_str()) {
        Some("mp4") => "mp4",
        Some("mov") => "mov",
        Some("mkv") => "matroska",
        Some("webm") => "webm",
        Some("avi") => "avi",
        Some("ts") => "mpegts",
        other => panic!("no container known for {other:?}"),
    }
}
