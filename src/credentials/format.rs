//! The formats that credentials are put into.

use std::path::Path;

/// A format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// MP4.
    Mp4,
    /// QuickTime.
    QuickTime,
    /// JPEG.
    Jpeg,
}

impl Format {
    /// The format of an output by its name; None where it has no place for credentials.
    pub fn of(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_string_lossy().to_ascii_lowercase();
        match extension.as_str() {
            "mp4" => Some(Self::Mp4),
            "mov" => Some(Self::QuickTime),
            "jpg" | "jpeg" => Some(Self::Jpeg),
            _ => None,
        }
    }

    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Mp4 => "video/mp4",
            Self::QuickTime => "video/quicktime",
            Self::Jpeg => "image/jpeg",
        }
    }
}
