//! Which file becomes which: inputs on the command line to pairs of input and output.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use floutage::batch::name;
use floutage::media::encode::{Codec, Container};
use floutage::media::partial::SUFFIX;
use floutage::media::report::lossy;
use floutage::storage::is_address;
use serde::Serialize;
use walkdir::WalkDir;

/// One file to redact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    pub input: PathBuf,
    pub output: PathBuf,
    pub kind: Kind,
}

/// How a file is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Picture,
    Video,
}

/// Something in an input folder that is not redacted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// As in the reports of files.
    #[serde(serialize_with = "lossy")]
    pub path: PathBuf,
    pub reason: String,
}

impl LeftOut {
    pub fn new(path: &Path, reason: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            reason: reason.into(),
        }
    }

    /// For people.
    pub fn line(&self) -> String {
        format!("left out: {}: {}", name::text(&self.path), self.reason)
    }
}

/// Extensions by which videos in a folder are known. A file named on the command line needs none.
const VIDEO_EXTENSIONS: &[&str] = &[
    "3gp", "asf", "avi", "flv", "gif", "h264", "h265", "hevc", "ivf", "m2ts", "m4v", "mjpeg",
    "mjpg", "mkv", "mov", "mp4", "mpeg", "mpg", "mts", "mxf", "ogv", "ts", "vob", "webm", "wmv",
    "y4m",
];

fn extension(path: &Path) -> String {
    path.extension()
        .map(|extension| extension.to_string_lossy().to_ascii_lowercase())
        .unwrap_or_default()
}

/// True when a file of this name is taken for a video without a look into it.
pub fn is_video_name(path: &Path) -> bool {
    VIDEO_EXTENSIONS.contains(&extension(path).as_str())
}

/// True when a file of this name is taken for a picture without a look into it.
pub fn is_picture_name(path: &Path) -> bool {
    const PICTURES: &[&str] = &["bmp", "jpeg", "jpg", "png", "tif", "tiff", "webp"];
    PICTURES.contains(&extension(path).as_str())
}

fn head(path: &Path) -> Result<Vec<u8>> {
    use std::io::Read;
    let mut head = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(12).read_to_end(&mut head))
        .with_context(|| format!("{}: cannot be read", path.display()))?;
    if head.is_empty() {
        bail!("{}: the file is empty", path.display());
    }
    Ok(head)
}

/// The name of a picture format that is not read, by a file's first bytes.
fn foreign_picture(head: &[u8]) -> Option<&'static str> {
    // Behind a BMP file's length there are four reserved bytes.
    if head.starts_with(b"BM") && head.get(6..10) == Some(&[0; 4]) {
        return Some("BMP");
    }
    let tiff = head.starts_with(b"II*\0") || head.starts_with(b"MM\0*");
    tiff.then_some("TIFF")
}

/// True when a file's first bytes are those of a common video container. A file's name tells in most cases; this is for
/// files whose name has no extension.
fn is_container(head: &[u8]) -> bool {
    matches!(head.get(4..8), Some(b"ftyp" | b"moov" | b"mdat" | b"wide"))
        || head.starts_with(&[0x1a, 0x45, 0xdf, 0xa3])
        || head.starts_with(b"RIFF") && head.get(8..12) == Some(b"AVI ")
        || head.starts_with(b"FLV\x01")
        || head.starts_with(&[0, 0, 1, 0xba])
        || head.starts_with(&[0x30, 0x26, 0xb2, 0x75])
        || head.starts_with(&[0x47, 0x40])
        || head.starts_with(b"GIF8")
}

/// Tells pictures by their first bytes, for extensions lie.
pub fn kind(path: &Path) -> Result<Kind> {
    let head = head(path)?;
    if let Some(format) = foreign_picture(&head) {
        bail!(
            "{}: {format} pictures cannot be read; convert it to PNG, JPEG or WebP",
            path.display()
        );
    }
    let motion = matches!(extension(path).as_str(), "mjpg" | "mjpeg");
    let picture = head.starts_with(&[0xff, 0xd8, 0xff]) && !motion
        || head.starts_with(b"\x89PNG")
        || head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WEBP");
    Ok(if picture { Kind::Picture } else { Kind::Video })
}

/// The jobs for `inputs` written to `output`, and what is left out of folders.
///
/// One file to a file; several files, or folders, into a folder that keeps their structure.
pub fn plan(
    inputs: &[PathBuf],
    output: &Path,
    codec: Option<Codec>,
) -> Result<(Vec<Job>, Vec<LeftOut>)> {
    let mut jobs = Vec::new();
    let mut left_out = Vec::new();
    let into_folder = inputs.len() > 1
        || output.is_dir()
        || output.as_os_str().as_encoded_bytes().ends_with(b"/")
        || inputs.iter().any(|input| input.is_dir());
    for input in inputs {
        if is_address(input) {
            bail!(
                "{}: objects are redacted by `floutage batch`; its inputs and its output may be in object storage",
                input.display()
            );
        }
        if input.is_dir() {
            walk(input, output, codec, &mut jobs, &mut left_out)?;
            continue;
        }
        if !input.exists() {
            bail!("{}: there is no such file or folder", input.display());
        }
        if !input.is_file() {
            bail!(
                "{}: this is no file but a pipe, a socket or a device; copy what it gives into a file",
                input.display()
            );
        }
        let kind = kind(input)?;
        let target = match (into_folder, input.file_name()) {
            (true, Some(name)) => output.join(output_name(name, kind, codec)),
            _ => output.to_owned(),
        };
        jobs.push(Job {
            input: input.clone(),
            output: target,
            kind,
        });
    }
    // Named twice, as `a.mp4` and `./a.mp4` or by its folder.
    let mut seen = HashSet::new();
    jobs.retain(|job| {
        let input = std::path::absolute(&job.input).unwrap_or_else(|_| job.input.clone());
        seen.insert((input, job.output.clone()))
    });
    refuse_collisions(&jobs)?;
    Ok((jobs, left_out))
}

/// Refuses jobs that would write one file twice, or over an input of any of them.
pub fn refuse_collisions(jobs: &[Job]) -> Result<()> {
    let inputs: HashSet<_> = jobs.iter().filter_map(|job| number(&job.input)).collect();
    let objects: HashSet<&Path> = jobs
        .iter()
        .map(|job| job.input.as_path())
        .filter(|input| is_address(input))
        .collect();
    let mut outputs: HashMap<&Path, &Path> = HashMap::new();
    let folders: HashMap<&Path, &Path> = jobs
        .iter()
        .flat_map(|job| {
            job.output
                .ancestors()
                .skip(1)
                .map(|folder| (folder, job.output.as_path()))
        })
        .collect();
    for job in jobs {
        if let Some(other) = folders.get(job.output.as_path())
            && !is_address(&job.output)
        {
            bail!(
                "{} would have to be a file and the folder of {}: give one of them another name",
                job.output.display(),
                other.display()
            );
        }
        if let Some(other) = outputs.insert(&job.output, &job.input) {
            bail!(
                "{} and {} would both be written to {}: give them different names or folders",
                other.display(),
                job.input.display(),
                job.output.display()
            );
        }
        // Also catches an input of one job that is the output of another.
        if objects.contains(job.output.as_path())
            || number(&job.output).is_some_and(|number| inputs.contains(&number))
        {
            bail!(
                "{}: the output is one of the inputs; unredacted originals are never overwritten",
                job.output.display()
            );
        }
    }
    Ok(())
}

fn walk(
    folder: &Path,
    output: &Path,
    codec: Option<Codec>,
    jobs: &mut Vec<Job>,
    left_out: &mut Vec<LeftOut>,
) -> Result<()> {
    if same_file(folder, output) {
        bail!(
            "{}: the output folder is the input folder",
            folder.display()
        );
    }
    let entries = WalkDir::new(folder)
        .follow_links(true)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(|entry| !same_file(entry.path(), output));
    for entry in entries {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                left_out.push(not_walked(folder, error)?);
                continue;
            }
        };
        if entry.file_type().is_dir() {
            continue;
        }
        let path = entry.path();
        let name = entry.file_name();
        if name.as_encoded_bytes().ends_with(SUFFIX.as_bytes()) {
            left_out.push(LeftOut::new(path, "left by a run that did not finish"));
            continue;
        }
        if !entry.file_type().is_file() {
            left_out.push(LeftOut::new(
                path,
                "no file but a pipe, a socket or a device",
            ));
            continue;
        }
        let known = is_video_name(path);
        let head = head(path);
        let nameless = extension(path).is_empty();
        let kind = match kind(path) {
            Ok(Kind::Picture) => Kind::Picture,
            // An unreadable or empty video must be heard of.
            Ok(Kind::Video) | Err(_) if known => Kind::Video,
            Ok(_) if nameless && head.as_ref().is_ok_and(|head| is_container(head)) => Kind::Video,
            _ => {
                let reason = match head.as_ref().map(|head| foreign_picture(head)) {
                    Ok(Some(format)) => format!("{format} pictures cannot be read"),
                    Ok(None) => "neither a picture nor known as a video by its name".into(),
                    Err(_) => "empty or not readable".into(),
                };
                left_out.push(LeftOut::new(path, reason));
                continue;
            }
        };
        let inside = path.strip_prefix(folder).unwrap_or(path);
        jobs.push(Job {
            input: path.to_owned(),
            output: output
                .join(inside)
                .with_file_name(output_name(name, kind, codec)),
            kind,
        });
    }
    Ok(())
}

/// What is said of something that cannot be looked into. A folder that cannot be read stops everything, before hours of
/// work.
fn not_walked(folder: &Path, error: walkdir::Error) -> Result<LeftOut> {
    let path = error.path().unwrap_or(folder).to_owned();
    if error.loop_ancestor().is_some() {
        return Ok(LeftOut::new(&path, "a link to a folder that it lies in"));
    }
    // 40 is ELOOP: links that lead to each other.
    let gone = error.io_error().is_some_and(|error| {
        error.kind() == std::io::ErrorKind::NotFound || error.raw_os_error() == Some(40)
    });
    if gone && path.is_symlink() {
        return Ok(LeftOut::new(&path, "a link to nothing"));
    }
    Err(error).with_context(|| format!("{}: cannot be read", folder.display()))
}

/// The output's name in a folder: the input's where its container can be written with the codec asked for, else
/// with one appended, so that `a.avi` and `a.mp4` stay apart.
pub fn output_name(name: &OsStr, kind: Kind, codec: Option<Codec>) -> PathBuf {
    let path = PathBuf::from(name);
    let keeps = match kind {
        Kind::Picture => matches!(extension(&path).as_str(), "jpg" | "jpeg" | "png" | "webp"),
        Kind::Video => Container::of(&path)
            .is_ok_and(|container| codec.is_none_or(|codec| container.check(codec).is_ok())),
    };
    if keeps {
        return path;
    }
    let mut appended = name.to_owned();
    appended.push(match kind {
        Kind::Picture => ".png",
        Kind::Video => ".mp4",
    });
    PathBuf::from(appended)
}

/// True when both paths lead to the same existing file or folder, also by links.
fn same_file(a: &Path, b: &Path) -> bool {
    number(a).is_some_and(|a| Some(a) == number(b))
}

/// What tells an existing file or folder from all others, whatever it is called.
fn number(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    let found = std::fs::metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(path: &Path, bytes: &[u8]) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    #[test]
    fn folders_keep_their_structure() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("in");
        touch(&root.join("a.mp4"), b"x");
        touch(&root.join("a.avi"), b"x");
        touch(&root.join("deep/er/b.JPG"), b"\xff\xd8\xff");
        touch(&root.join("notes.txt"), b"x");
        touch(&root.join("out/old.mp4"), b"x");
        touch(&root.join(".c.mp4.floutage-partial"), b"x");
        let output = root.join("out");
        let (jobs, left_out) = plan(std::slice::from_ref(&root), &output, None).unwrap();
        let outputs: Vec<_> = jobs.iter().map(|job| job.output.clone()).collect();
        assert_eq!(
            outputs,
            [
                output.join("a.avi.mp4"),
                output.join("a.mp4"),
                output.join("deep/er/b.JPG")
            ]
        );
        assert_eq!(jobs[2].kind, Kind::Picture);
        let left_out: Vec<_> = left_out.into_iter().map(|left| left.path).collect();
        assert_eq!(
            left_out,
            [root.join(".c.mp4.floutage-partial"), root.join("notes.txt")]
        );
    }

    #[test]
    fn outputs_never_meet_inputs_or_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a.mp4"), folder.path().join("b/a.mp4"));
        touch(&a, b"x");
        touch(&b, b"x");
        assert!(plan(std::slice::from_ref(&a), &a, None).is_err());
        let link = folder.path().join("link.mp4");
        std::fs::hard_link(&a, &link).unwrap();
        assert!(plan(std::slice::from_ref(&a), &link, None).is_err());
        let both = [a.clone(), b.clone()];
        let error = plan(&both, &folder.path().join("out"), None).unwrap_err();
        assert!(error.to_string().contains("both"), "{error}");
        let error = plan(&both[..1], folder.path(), None).unwrap_err();
        assert!(error.to_string().contains("never overwritten"), "{error}");
        let error = plan(&[folder.path().to_owned()], folder.path(), None).unwrap_err();
        assert!(error.to_string().contains("output folder"), "{error}");
    }

    #[test]
    fn what_cannot_be_kept_gets_another_extension() {
        let named = |name: &str, codec| output_name(OsStr::new(name), Kind::Video, codec);
        assert_eq!(named("a.webm", None), Path::new("a.webm"));
        assert_eq!(named("a.webm", Some(Codec::H264)), Path::new("a.webm.mp4"));
        assert_eq!(named("a.gif", None), Path::new("a.gif.mp4"));
        let picture = output_name(OsStr::new("scan"), Kind::Picture, None);
        assert_eq!(picture, Path::new("scan.png"));
    }

    #[test]
    fn empty_and_missing_inputs_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("empty.mp4");
        touch(&empty, b"");
        let output = folder.path().join("out.mp4");
        let error = plan(&[empty], &output, None).unwrap_err().to_string();
        assert!(
            error.contains("empty.mp4") && error.contains("is empty"),
            "{error}"
        );
        let missing = folder.path().join("none.mp4");
        let error = plan(&[missing], &output, None).unwrap_err().to_string();
        assert!(error.contains("no such file"), "{error}");
    }
}
