//! Where ONNX Runtime and model files are looked for.
//!
//! Invariant: no path is compiled in; everything follows from the environment and the program's own place.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Names a shared library of ONNX Runtime starts with; a version (`.1.22.0`) may follow.
const LIBRARY: &str = "libonnxruntime.so";
/// Folders of the dynamic loader that are read for versioned names, after `LD_LIBRARY_PATH`.
const SYSTEM_FOLDERS: [&str; 7] = [
    "/usr/local/lib",
    "/usr/local/lib64",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
    "/lib64",
];
/// How many folders above the program's are looked at for `models/`: `target/release/deps` to the root.
const PARENTS: usize = 4;

/// The library's own file, where it is a plugin of another program.
static PLUGIN: OnceLock<PathBuf> = OnceLock::new();

/// Notes that this code was loaded as the plugin `file`: models and libraries are then looked for beside it, not
/// beside the program that loaded it. The first call counts.
pub fn loaded_as(file: PathBuf) {
    let _ = PLUGIN.set(file);
}

/// What places depend on. [`Surroundings::current`] reads the process's own.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// Folder of the running program, or of the library where another program loaded it as a plugin.
    pub program: Option<PathBuf>,
    /// `XDG_DATA_HOME`.
    pub data_home: Option<PathBuf>,
    /// `HOME`.
    pub home: Option<PathBuf>,
    /// `ORT_DYLIB_PATH`.
    pub library: Option<PathBuf>,
    /// `FLOUTAGE_MODELS_DIR`.
    pub models: Option<PathBuf>,
    /// `LD_LIBRARY_PATH`.
    pub loader_path: Option<OsString>,
}

impl Surroundings {
    /// The surroundings of this process; empty variables count as unset.
    pub fn current() -> Self {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let path = |name| variable(name).map(PathBuf::from);
        Self {
            program: PLUGIN
                .get()
                .cloned()
                .or_else(|| std::env::current_exe().ok())
                .and_then(|file| file.parent().map(Path::to_path_buf)),
            data_home: path("XDG_DATA_HOME"),
            home: path("HOME"),
            library: path("ORT_DYLIB_PATH"),
            models: path("FLOUTAGE_MODELS_DIR"),
            loader_path: variable("LD_LIBRARY_PATH"),
        }
    }

    /// `$XDG_DATA_HOME/floutage`, or `~/.local/share/floutage`; None without a home. The XDG base directory
    /// specification says that a relative `XDG_DATA_HOME` is to be ignored.
    pub fn user_data_folder(&self) -> Option<PathBuf> {
        self.data_home
            .clone()
            .filter(|path| path.is_absolute())
            .or_else(|| self.home.as_ref().map(|home| home.join(".local/share")))
            .map(|data| data.join("floutage"))
    }

    /// Folders in which models and `models.toml` are looked for, best first: `explicit`,
    /// `FLOUTAGE_MODELS_DIR`, `models/` beside the program and up to four folders above it,
    /// `../share/floutage/models`, the user's data folder. Folders that do not exist are included.
    pub fn models_folders(&self, explicit: Option<&Path>) -> Vec<PathBuf> {
        let mut folders: Vec<PathBuf> = Vec::new();
        folders.extend(explicit.map(Path::to_path_buf));
        folders.extend(self.models.clone());
        if let Some(program) = &self.program {
            let above = program.ancestors().take(PARENTS + 1);
            folders.extend(above.map(|folder| folder.join("models")));
            if let Some(prefix) = program.parent() {
                folders.push(prefix.join("share/floutage/models"));
            }
        }
        folders.extend(self.user_models_folder());
        let mut seen = std::collections::HashSet::new();
        folders.retain(|folder| seen.insert(folder.clone()));
        folders
    }

    /// Where pulled models are put: `models/` in [`Surroundings::user_data_folder`].
    pub fn user_models_folder(&self) -> Option<PathBuf> {
        self.user_data_folder().map(|data| data.join("models"))
    }

    /// Places of ONNX Runtime's library, best first. An explicit `ORT_DYLIB_PATH` is the only place:
    /// falling back from what somebody asked for would run another library in silence.
    pub fn library_places(&self) -> Vec<LibraryPlace> {
        if let Some(path) = &self.library {
            let files = if path.is_dir() {
                libraries_in(path)
            } else {
                vec![path.clone()]
            };
            return vec![LibraryPlace {
                name: "ORT_DYLIB_PATH".into(),
                files,
            }];
        }
        let folder = |label: &str, folder: PathBuf| LibraryPlace {
            name: format!("{label} {}", folder.display()),
            files: libraries_in(&folder),
        };
        let mut places = Vec::new();
        if let Some(program) = &self.program {
            places.push(folder("beside the program,", program.clone()));
            if let Some(prefix) = program.parent() {
                let files: Vec<PathBuf> = python_packages(prefix)
                    .iter()
                    .flat_map(|packages| libraries_in(&packages.join("onnxruntime/capi")))
                    .collect();
                if !files.is_empty() {
                    places.push(LibraryPlace {
                        name: format!("Python's packages in {}", prefix.display()),
                        files,
                    });
                }
            }
        }
        if let Some(data) = self.user_data_folder() {
            places.push(folder("the set-up's folder", data.join("lib")));
        }
        // The loader first: it knows its configuration; it does not know versioned names.
        let mut files = vec![
            PathBuf::from(LIBRARY),
            PathBuf::from(format!("{LIBRARY}.1")),
        ];
        let loader_path = self.loader_path.iter().flat_map(std::env::split_paths);
        for folder in loader_path.chain(SYSTEM_FOLDERS.iter().map(PathBuf::from)) {
            files.extend(libraries_in(&folder));
        }
        places.push(LibraryPlace {
            name: "the system's libraries".into(),
            files,
        });
        places
    }
}

/// One place of the search for ONNX Runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LibraryPlace {
    /// What the place is, with its path, for messages.
    pub name: String,
    /// Files there that may be the library, best first. A bare file name is for the dynamic loader to find.
    pub files: Vec<PathBuf>,
}

/// Folders of Python packages under `prefix`: this program may be one of them, with ONNX Runtime beside it.
fn python_packages(prefix: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(prefix.join("lib"))
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("python3"))
        .map(|entry| entry.path().join("site-packages"))
        .collect();
    found.sort();
    found
}

/// Libraries of ONNX Runtime in `folder`: the plain name first, then by falling version.
fn libraries_in(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut found: Vec<(Vec<u64>, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name();
            let version = version_of(name.to_str()?)?;
            Some((version, entry.path()))
        })
        .collect();
    found.sort_by(|(a, _), (b, _)| a.is_empty().cmp(&b.is_empty()).then(a.cmp(b)).reverse());
    found.into_iter().map(|(_, path)| path).collect()
}

/// Version in a file name of the library: empty for `libonnxruntime.so`, `[1, 22, 0]` for
/// `libonnxruntime.so.1.22.0`, None for any other file.
fn version_of(name: &str) -> Option<Vec<u64>> {
    let rest = name.strip_prefix(LIBRARY)?;
    if rest.is_empty() {
        return Some(Vec::new());
    }
    rest.strip_prefix('.')?
        .split('.')
        .map(|part| part.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn library_names() {
        assert_eq!(version_of("libonnxruntime.so"), Some(vec![]));
        assert_eq!(version_of("libonnxruntime.so.1.22.0"), Some(vec![1, 22, 0]));
        for other in [
            "libonnxruntime.sox",
            "libonnxruntime.so.",
            "libonnxruntime.so.1.x",
            "libonnxruntime_providers_shared.so",
            "",
        ] {
            assert_eq!(version_of(other), None, "{other}");
        }
    }

    #[test]
    fn libraries_are_sorted_by_number_and_the_plain_name_comes_first() {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "libonnxruntime.so.1.9.0",
            "libonnxruntime.so.1.22.0",
            "libonnxruntime.so",
            "libonnxruntime_providers_cuda.so",
        ] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let names: Vec<String> = libraries_in(folder.path())
            .iter()
            .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
            .collect();
        assert_eq!(
            names,
            [
                "libonnxruntime.so",
                "libonnxruntime.so.1.22.0",
                "libonnxruntime.so.1.9.0"
            ]
        );
        assert!(libraries_in(&folder.path().join("none")).is_empty());
    }

    #[test]
    fn an_explicit_library_is_the_only_place() {
        let surroundings = Surroundings {
            library: Some("/nowhere/lib.so".into()),
            program: Some("/opt/bin".into()),
            ..Default::default()
        };
        let places = surroundings.library_places();
        assert_eq!(places.len(), 1);
        assert_eq!(places[0].files, [PathBuf::from("/nowhere/lib.so")]);
    }

    #[test]
    fn places_are_in_order() {
        let surroundings = Surroundings {
            program: Some("/a/b/c/d/e/f".into()),
            data_home: Some("relative".into()),
            home: Some("/home/u".into()),
            models: Some("/env".into()),
            ..Default::default()
        };
        let folders = surroundings.models_folders(Some(Path::new("/explicit")));
        let expected = [
            "/explicit",
            "/env",
            "/a/b/c/d/e/f/models",
            "/a/b/c/d/e/models",
            "/a/b/c/d/models",
            "/a/b/c/models",
            "/a/b/models",
            "/a/b/c/d/e/share/floutage/models",
            "/home/u/.local/share/floutage/models",
        ];
        assert_eq!(folders, expected.map(PathBuf::from));

        let names: Vec<String> = surroundings
            .library_places()
            .into_iter()
            .map(|place| place.name)
            .collect();
        assert_eq!(
            names,
            [
                "beside the program, /a/b/c/d/e/f",
                "the set-up's folder /home/u/.local/share/floutage/lib",
                "the system's libraries"
            ]
        );
    }

    #[test]
    fn the_data_folder_follows_xdg() {
        let mut surroundings = Surroundings {
            data_home: Some("/data".into()),
            home: Some("/home/u".into()),
            ..Default::default()
        };
        let folder = |surroundings: &Surroundings| surroundings.user_data_folder();
        assert_eq!(folder(&surroundings), Some("/data/floutage".into()));
        surroundings.data_home = None;
        assert_eq!(
            folder(&surroundings),
            Some("/home/u/.local/share/floutage".into())
        );
        surroundings.home = None;
        assert_eq!(folder(&surroundings), None);
    }
}
