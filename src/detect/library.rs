//! Finding ONNX Runtime's shared library and checking it before anything uses it.
//!
//! Invariant: a file that is not ONNX Runtime, or too old, is refused with the reason and leaves nothing behind that
//! would keep a later file from being used.

use std::error::Error as _;
use std::ffi::{CStr, c_char, c_void};
use std::path::{Path, PathBuf};

use super::places::Surroundings;
use crate::error::{Error, Result};

/// A loaded library of ONNX Runtime. Dropping it does not unload it while somebody else has it open.
#[derive(Debug)]
pub(super) struct Library {
    /// Its file.
    pub path: PathBuf,
    /// Its version, such as "1.22.0".
    pub version: String,
    _handle: libloading::Library,
}

/// What the library's entry point `OrtGetApiBase` points to (`OrtApiBase` of onnxruntime_c_api.h).
#[repr(C)]
struct ApiBase {
    get_api: unsafe extern "C" fn(version: u32) -> *const c_void,
    get_version_string: unsafe extern "C" fn() -> *const c_char,
}

/// Loads the first usable library of `surroundings` that has version `api` of the API: ONNX Runtime 1.`api` and newer.
///
/// Errors: [`Error::Runtime`] that names every place tried and says how to mend it.
pub(super) fn find(surroundings: &Surroundings, api: u32) -> Result<Library> {
    let mut absent = Vec::new();
    let mut refused = Vec::new();
    for place in surroundings.library_places() {
        if place.files.is_empty() {
            absent.push(format!("{}: not there", place.name));
        }
        for file in place.files {
            match check(&file, api) {
                Ok(library) => {
                    for problem in refused {
                        tracing::warn!("ONNX Runtime passed over: {problem}");
                    }
                    return Ok(library);
                }
                Err(problem) => refused.push(format!("{}: {problem}", place.name)),
            }
        }
    }
    absent.extend(refused);
    Err(Error::Runtime(format!(
        "no usable libonnxruntime.so, version 1.{api} or newer. Tried: {}. Run `make setup`, or set \
         ORT_DYLIB_PATH to the library of an installed ONNX Runtime.",
        absent.join("; ")
    )))
}

/// Opens `file` and checks that it is ONNX Runtime, new enough and complete.
fn check(file: &Path, api: u32) -> Result<Library, String> {
    let shown = file.display();
    // SAFETY: loading runs the library's initialisers. The file is one that the user or the system named
    // as ONNX Runtime; there is no way to know more before loading it.
    let handle = unsafe { libloading::Library::new(file) }.map_err(|error| {
        // The loader's own words are in the source.
        let cause = error.source().map(ToString::to_string);
        format!(
            "{shown} cannot be loaded: {}",
            cause.unwrap_or_else(|| error.to_string())
        )
    })?;
    // SAFETY: the type is that of ONNX Runtime's only entry point (onnxruntime_c_api.h).
    let entry = unsafe { handle.get::<unsafe extern "C" fn() -> *const ApiBase>(b"OrtGetApiBase") };
    let Ok(entry) = entry else {
        return Err(format!("{shown} is not ONNX Runtime (no OrtGetApiBase)"));
    };
    // SAFETY: the entry point takes nothing and returns a pointer to a static structure, or null; the
    // structure's two functions are valid for the library's life.
    let (version, usable) = unsafe {
        let Some(base) = entry().as_ref() else {
            return Err(format!("{shown} gives no API"));
        };
        let version = (base.get_version_string)();
        if version.is_null() {
            return Err(format!("{shown} gives no version"));
        }
        let version = CStr::from_ptr(version).to_string_lossy().into_owned();
        let usable = is_new_enough(&version, api) && !(base.get_api)(api).is_null();
        (version, usable)
    };
    if !usable {
        // It may have started threads: unloading it could crash.
        std::mem::forget(handle);
        return Err(format!(
            "{shown} is version {version}, 1.{api} or newer is needed"
        ));
    }
    let path = if file.is_absolute() {
        std::fs::canonicalize(file).unwrap_or_else(|_| file.to_path_buf())
    } else {
        mapped_file(file).unwrap_or_else(|| file.to_path_buf())
    };
    Ok(Library {
        path,
        version,
        _handle: handle,
    })
}

/// True for versions "1.`minor`.0" and up within 1.x.
fn is_new_enough(version: &str, minor: u32) -> bool {
    let mut parts = version.split('.').map(|part| part.parse::<u32>().ok());
    let major = parts.next().flatten();
    let actual = parts.next().flatten();
    major == Some(1) && actual.is_some_and(|actual| actual >= minor)
}

/// Where the dynamic loader found the library of name `file`, from the process's memory map.
fn mapped_file(file: &Path) -> Option<PathBuf> {
    let name = file.to_str()?;
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    maps.lines()
        .filter_map(|line| line.find('/').map(|start| &line[start..]))
        .find(|path| path.rsplit('/').next().is_some_and(|f| f.starts_with(name)))
        .map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for (version, enough) in [
            ("1.20.0", true),
            ("1.32.0", true),
            ("1.20", true),
            ("1.19.2", false),
            ("2.0.0", false),
            ("", false),
            ("x.y", false),
        ] {
            assert_eq!(is_new_enough(version, 20), enough, "{version}");
        }
    }

    #[test]
    fn files_that_are_not_onnx_runtime_are_named_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let text = folder.path().join("libonnxruntime.so");
        std::fs::write(&text, "not a library").unwrap();
        let surroundings = Surroundings {
            library: Some(text.clone()),
            ..Default::default()
        };
        let error = find(&surroundings, 20).err().unwrap().to_string();
        assert!(error.contains("ORT_DYLIB_PATH: "), "{error}");
        assert!(error.contains("cannot be loaded"), "{error}");
        assert!(error.contains("make setup"), "{error}");

        // A library, but of something else: the C library of this process.
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let libc = maps
            .lines()
            .find_map(|line| line.find('/').map(|start| &line[start..]))
            .into_iter()
            .chain(maps.lines().filter_map(|l| l.split_whitespace().last()))
            .find(|path| path.contains("libc.so") || path.contains("libc-"))
            .unwrap();
        let problem = check(Path::new(libc), 20).err().unwrap();
        assert!(problem.contains("is not ONNX Runtime"), "{problem}");
    }
}
