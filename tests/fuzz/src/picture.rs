//! Pictures from end to end: any file in, a redacted picture or an error out.

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use floutage::Result;
use floutage::detect::{Certainty, Class, Detection, Detector, StageTimes};
use floutage::frame::Frame;
use floutage::geometry::BBox;
use floutage::media::picture::{PictureOptions, redact_picture};
use floutage::redact::{Redactor, Settings};

/// Sees a face in the middle of every picture.
struct Middle;

impl Detector for Middle {
    fn detect(&mut self, frame: &Frame<'_>) -> Result<(Vec<Detection>, StageTimes)> {
        let (width, height) = (frame.width() as f32, frame.height() as f32);
        let face = Detection {
            bbox: BBox::from_centre(width / 2.0, height / 2.0, width / 3.0, height / 3.0),
            class: Class::Face,
            confidence: 1.0,
            certainty: Certainty::Confident,
        };
        Ok((vec![face], StageTimes::default()))
    }
}

/// A folder of this process.
fn folder() -> &'static PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let name = format!("floutage-fuzz-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).expect("a temporary folder can be made");
        folder
    })
}

/// Redacts `data` as a picture file. What fails leaves no output behind, what does not is read again.
pub fn picture(data: &[u8]) {
    let folder = folder();
    let extension = match data {
        [0x89, b'P', ..] => "png",
        [b'R', b'I', ..] => "webp",
        _ => "jpg",
    };
    let input = folder.join("in").with_extension(extension);
    let output = folder.join("out").with_extension(extension);
    fs::write(&input, data).expect("the temporary folder can be written");
    let redactor = Redactor::new(Settings::default()).expect("the default settings are valid");
    let options = PictureOptions {
        quality: 90,
        draw: data.len().is_multiple_of(2),
        overwrite: true,
        strict: false,
    };
    let done = redact_picture(&input, &output, &mut Middle, &redactor, &options);
    assert_eq!(done.is_ok(), output.exists(), "{done:?}");
    if done.is_ok() {
        // What was written can be read: it is redacted once more.
        redact_picture(
            &output,
            &output.with_file_name(format!("again.{extension}")),
            &mut Middle,
            &redactor,
            &options,
        )
        .expect("the output is a picture");
    }
    for entry in fs::read_dir(folder)
        .expect("the temporary folder can be read")
        .flatten()
    {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        assert!(!name.contains("partial"), "{name} is left behind");
        // The last input stays, for whoever looks at a crash.
        if !name.starts_with("in.") {
            fs::remove_file(entry.path()).expect("a file of our own can be removed");
        }
    }
}
