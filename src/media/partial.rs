//! Output files that appear under their name only when they are complete.
//!
//! Invariants: until [`PartialFile::finish`] nothing exists under the final name but what was there
//! before; after a failure nothing remains, neither under the final nor under the partial name.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// End of the name of a file that is still being written.
pub const SUFFIX: &str = ".floutage-partial";

/// Bytes that file systems allow in a name.
const LONGEST_NAME: usize = 255;

/// The name of the partial file of `name`. Of names that would become too long there is a digest in it.
fn partial_name(name: &OsStr) -> OsString {
    let mut partial = OsString::from(".");
    if name.len() + SUFFIX.len() < LONGEST_NAME {
        partial.push(name);
    } else {
        let digest = Sha256::digest(name.as_encoded_bytes());
        for byte in digest {
            partial.push(format!("{byte:02x}"));
        }
    }
    partial.push(SUFFIX);
    partial
}

/// Gives the complete file `from` the name `to`, in the same folder, and sees to it that the name lasts.
///
/// Errors: [`Error::Io`], also when `to` exists and `overwrite` is false.
pub fn place(from: &Path, to: &Path, overwrite: bool) -> Result<()> {
    if overwrite {
        fs::rename(from, to).map_err(|source| Error::io(to, "renaming", source))?;
    } else {
        rename_new(from, to)?;
    }
    // So that the name survives a power failure too. Not every file system can do it, and the file
    // itself is complete.
    if let Some(folder) = to.parent() {
        let folder = if folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            folder
        };
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
    }
    Ok(())
}

/// Removes what a process that died has left of the output `final_path`.
pub fn remove_leftover(final_path: &Path) {
    let Some(name) = final_path.file_name() else {
        return;
    };
    let path = final_path.with_file_name(partial_name(name));
    if fs::symlink_metadata(&path).is_ok_and(|found| found.is_file())
        && !in_use(&path)
        && let Err(error) = fs::remove_file(&path)
    {
        tracing::warn!(path = %path.display(), %error, "cannot remove the partial file");
    }
}

/// A file being written beside its final name, as `.NAME.floutage-partial`; removed when dropped before
/// it was finished.
#[derive(Debug)]
pub struct PartialFile {
    path: PathBuf,
    final_path: PathBuf,
    overwrite: bool,
    finished: bool,
    /// Holds the lock by which other runs see that the file is in use.
    file: File,
}

impl PartialFile {
    /// Creates the empty partial file of `final_path`, whose folder must exist. A partial file that an
    /// earlier run left behind is replaced.
    ///
    /// Errors: [`Error::Io`] when `final_path` exists and `overwrite` is false, when it is not a file's
    /// name, when another run is writing it, or when the folder cannot be written to.
    pub fn create(final_path: &Path, overwrite: bool) -> Result<Self> {
        let name = final_path.file_name().ok_or_else(|| {
            let source = io::Error::new(io::ErrorKind::InvalidInput, "not the name of a file");
            Error::io(final_path, "creating", source)
        })?;
        match fs::symlink_metadata(final_path) {
            Ok(found) if found.is_dir() => {
                let source = io::Error::new(io::ErrorKind::IsADirectory, "it is a folder");
                return Err(Error::io(final_path, "creating", source));
            }
            Ok(_) if !overwrite => return Err(exists(final_path)),
            _ => {}
        }
        let path = final_path.with_file_name(partial_name(name));
        if fs::symlink_metadata(&path).is_ok_and(|found| found.is_file()) && in_use(&path) {
            return Err(busy(&path));
        }
        // Replaced rather than opened: what is there may be a link to somewhere else.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::io(&path, "removing", error));
            }
            _ => {}
        }
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)
            // Of the file that was asked for: nobody knows the partial one.
            .map_err(|source| Error::io(final_path, "creating", source))?;
        // Another run may have come between; file systems without locks are left to the check at the end.
        if matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
            return Err(busy(&path));
        }
        Ok(Self {
            path,
            final_path: final_path.to_owned(),
            overwrite,
            finished: false,
            file,
        })
    }

    /// Where to write. The file exists and is empty; it may be opened and truncated, not replaced.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes what the system still holds back to the disk and gives the file its final name.
    ///
    /// Errors: [`Error::Io`], also when a file of the final name has appeared meanwhile and must not be
    /// overwritten. The partial file is then removed.
    pub fn finish(mut self) -> Result<()> {
        if !self.is_ours() {
            return Err(busy(&self.path));
        }
        // That the disk is full may be reported only here.
        self.file
            .sync_all()
            .map_err(|source| Error::io(&self.path, "writing", source))?;
        place(&self.path, &self.final_path, self.overwrite)?;
        self.finished = true;
        Ok(())
    }
}

impl PartialFile {
    /// False when another run has replaced the file.
    #[cfg(unix)]
    fn is_ours(&self) -> bool {
        use std::os::unix::fs::MetadataExt;
        match (self.file.metadata(), fs::symlink_metadata(&self.path)) {
            (Ok(ours), Ok(there)) => ours.dev() == there.dev() && ours.ino() == there.ino(),
            _ => false,
        }
    }

    #[cfg(not(unix))]
    fn is_ours(&self) -> bool {
        true
    }
}

impl Drop for PartialFile {
    fn drop(&mut self) {
        if !self.finished
            && self.is_ours()
            && let Err(error) = fs::remove_file(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove the partial file");
        }
    }
}

/// Refuses an output that is the input under the same or another name, before anything is written.
///
/// Errors: [`Error::Media`].
pub fn refuse_same(input: &Path, output: &Path) -> Result<()> {
    if is_same(input, output) {
        let problem = "input and output are the same file; give the output another name";
        return Err(Error::media(input.display().to_string(), problem));
    }
    Ok(())
}

#[cfg(unix)]
fn is_same(input: &Path, output: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (fs::metadata(input), fs::metadata(output)) {
        (Ok(a), Ok(b)) => a.dev() == b.dev() && a.ino() == b.ino(),
        _ => false,
    }
}

#[cfg(not(unix))]
fn is_same(input: &Path, output: &Path) -> bool {
    match (fs::canonicalize(input), fs::canonicalize(output)) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}

/// True when another run holds the partial file `path`.
fn in_use(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}

fn busy(path: &Path) -> Error {
    let source = io::Error::new(
        io::ErrorKind::ResourceBusy,
        "another run is writing this file; wait for it or give another name",
    );
    Error::io(path, "creating", source)
}

fn exists(path: &Path) -> Error {
    let source = io::Error::new(
        io::ErrorKind::AlreadyExists,
        "the file exists; give another name, or overwrite to replace it",
    );
    Error::io(path, "creating", source)
}

/// Renames `from` to `to` unless `to` exists, without a moment in between.
#[cfg(target_os = "linux")]
fn rename_new(from: &Path, to: &Path) -> Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use rustix::io::Errno;
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        Err(Errno::EXIST) => Err(exists(to)),
        // File systems without the flag.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => link_new(from, to),
        Err(error) => Err(Error::io(to, "renaming", error.into())),
    }
}

#[cfg(not(target_os = "linux"))]
fn rename_new(from: &Path, to: &Path) -> Result<()> {
    link_new(from, to)
}

/// As [`rename_new`], by a second name for the file; where there are no such links (FAT), a check
/// followed by a rename has to do.
fn link_new(from: &Path, to: &Path) -> Result<()> {
    match fs::hard_link(from, to) {
        Ok(()) => fs::remove_file(from).map_err(|source| Error::io(from, "removing", source)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(exists(to)),
        Err(_) if fs::symlink_metadata(to).is_ok() => Err(exists(to)),
        Err(_) => fs::rename(from, to).map_err(|source| Error::io(to, "renaming", source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_names_can_be_written() {
        let folder = tempfile::tempdir().unwrap();
        for length in [237, 238, 239, 255] {
            let path = folder
                .path()
                .join("é".repeat(length / 2) + &"x".repeat(length % 2));
            let partial = PartialFile::create(&path, false).unwrap();
            fs::write(partial.path(), b"done").unwrap();
            partial.finish().unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"done", "{length}");
        }
        let names: Vec<OsString> = [[b'a'; 255], [b'b'; 255]]
            .iter()
            .map(|name| partial_name(OsStr::new(std::str::from_utf8(name).unwrap())))
            .collect();
        assert_ne!(names[0], names[1]);
    }

    #[test]
    fn leftovers_go_unless_somebody_writes_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.mp4");
        let partial = PartialFile::create(&path, false).unwrap();
        remove_leftover(&path);
        assert!(partial.path().exists());
        let left = partial.path().to_owned();
        drop(partial);
        fs::write(&left, b"left").unwrap();
        remove_leftover(&path);
        assert!(!left.exists());
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn appears_only_when_finished() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("out.mp4");
        let file = PartialFile::create(&target, false).unwrap();
        assert_eq!(names(folder.path()), [".out.mp4.floutage-partial"]);
        fs::write(file.path(), b"whole").unwrap();
        file.finish().unwrap();
        assert_eq!(names(folder.path()), ["out.mp4"]);
        assert_eq!(fs::read(&target).unwrap(), b"whole");
    }

    #[test]
    fn is_removed_when_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("out.mp4");
        fs::write(&target, b"old").unwrap();
        let file = PartialFile::create(&target, true).unwrap();
        fs::write(file.path(), b"half").unwrap();
        drop(file);
        assert_eq!(names(folder.path()), ["out.mp4"]);
        assert_eq!(fs::read(&target).unwrap(), b"old");
    }

    #[test]
    fn an_existing_output_is_kept_unless_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("out.png");
        fs::write(&target, b"old").unwrap();
        let error = PartialFile::create(&target, false).unwrap_err().to_string();
        assert!(error.contains("exists"), "{error}");
        assert_eq!(names(folder.path()), ["out.png"]);

        let file = PartialFile::create(&target, true).unwrap();
        fs::write(file.path(), b"new").unwrap();
        file.finish().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"new");
        assert_eq!(names(folder.path()), ["out.png"]);
    }

    #[test]
    fn an_output_that_appears_meanwhile_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("out.png");
        let file = PartialFile::create(&target, false).unwrap();
        fs::write(file.path(), b"new").unwrap();
        fs::write(&target, b"other").unwrap();
        assert!(file.finish().is_err());
        assert_eq!(fs::read(&target).unwrap(), b"other");
        assert_eq!(names(folder.path()), ["out.png"]);
    }

    #[test]
    fn the_fallback_keeps_what_appears_meanwhile_too() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::write(&from, b"new").unwrap();
        fs::write(&to, b"other").unwrap();
        assert!(link_new(&from, &to).is_err());
        assert_eq!(fs::read(&to).unwrap(), b"other");
        fs::remove_file(&to).unwrap();
        link_new(&from, &to).unwrap();
        assert_eq!(fs::read(&to).unwrap(), b"new");
        assert_eq!(names(folder.path()), ["to"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_left_under_the_partial_name_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let victim = folder.path().join("victim");
        fs::write(&victim, b"kept").unwrap();
        let target = folder.path().join("out.png");
        let partial = folder.path().join(".out.png.floutage-partial");
        std::os::unix::fs::symlink(&victim, &partial).unwrap();
        let file = PartialFile::create(&target, false).unwrap();
        fs::write(file.path(), b"new").unwrap();
        file.finish().unwrap();
        assert_eq!(fs::read(&victim).unwrap(), b"kept");
        assert_eq!(names(folder.path()), ["out.png", "victim"]);
    }

    #[test]
    fn a_file_that_another_run_is_writing_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("out.mp4");
        let first = PartialFile::create(&target, false).unwrap();
        let error = PartialFile::create(&target, false).unwrap_err().to_string();
        assert!(error.contains("another run"), "{error}");
        fs::write(first.path(), b"first").unwrap();
        first.finish().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"first");

        // What a killed run left behind is not in use.
        let stale = folder.path().join(".next.mp4.floutage-partial");
        fs::write(&stale, b"half").unwrap();
        let next = folder.path().join("next.mp4");
        PartialFile::create(&next, false).unwrap().finish().unwrap();
        assert_eq!(fs::read(&next).unwrap(), b"");
    }

    #[cfg(unix)]
    #[test]
    fn a_replaced_partial_file_is_not_taken_for_the_whole() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("out.mp4");
        let file = PartialFile::create(&target, false).unwrap();
        fs::remove_file(file.path()).unwrap();
        fs::write(file.path(), b"half").unwrap();
        assert!(file.finish().is_err());
        assert!(!target.exists());
    }

    #[test]
    fn the_input_under_any_name_is_no_output() {
        let folder = tempfile::tempdir().unwrap();
        let input = folder.path().join("in.png");
        fs::write(&input, b"in").unwrap();
        assert!(refuse_same(&input, &folder.path().join("./in.png")).is_err());
        let link = folder.path().join("link.png");
        fs::hard_link(&input, &link).unwrap();
        #[cfg(unix)]
        assert!(refuse_same(&input, &link).is_err());
        let other = folder.path().join("other.png");
        assert!(refuse_same(&input, &other).is_ok());
        fs::write(&other, b"in").unwrap();
        assert!(refuse_same(&input, &other).is_ok());
    }

    #[test]
    fn folders_and_missing_folders_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(PartialFile::create(folder.path(), true).is_err());
        assert!(PartialFile::create(Path::new("/"), true).is_err());
        let missing = folder.path().join("none/out.png");
        let error = PartialFile::create(&missing, false)
            .unwrap_err()
            .to_string();
        assert!(error.contains("creating failed"), "{error}");
    }
}
