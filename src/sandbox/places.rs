//! What of the system programs and libraries have to read.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::detect::places::Surroundings;

/// Folders of libraries, and other files and folders, that are read while decoding and detecting: those of the system, of ONNX
/// Runtime, of GStreamer's plugins; and every library that is loaded already. Nothing of the user's own.
pub fn system_places() -> (Vec<PathBuf>, Vec<PathBuf>) {
    let mut libraries: BTreeSet<PathBuf> = ["/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin"]
        .map(PathBuf::from)
        .into();
    libraries.extend(loaded());
    libraries.extend(plugins());
    for place in Surroundings::current().library_places() {
        for file in place.files {
            // The library's own folder, and where a link leads.
            let real = file.canonicalize().ok();
            libraries.extend([Some(file), real].into_iter().flatten().filter_map(folder));
        }
    }
    let variable = |name| std::env::var_os(name).unwrap_or_default();
    libraries.extend(
        std::env::split_paths(&variable("LD_LIBRARY_PATH")).filter(|path| path.is_absolute()),
    );
    let others = [
        "/etc/ld.so.cache",
        "/etc/ld.so.conf",
        "/etc/ld.so.conf.d",
        "/etc/localtime",
        "/etc/passwd",
        "/etc/group",
        "/etc/nsswitch.conf",
        "/etc/fonts",
        "/etc/OpenCL",
        "/proc/self",
        "/proc/cpuinfo",
        "/proc/meminfo",
        "/proc/stat",
        "/proc/filesystems",
        "/proc/sys/vm",
        "/proc/sys/kernel",
        "/sys/devices/system",
        "/sys/fs/cgroup",
        "/sys/kernel/mm",
    ];
    (
        libraries.into_iter().collect(),
        others.map(PathBuf::from).into(),
    )
}

fn folder(file: PathBuf) -> Option<PathBuf> {
    file.parent()
        .filter(|folder| folder.is_absolute() && *folder != Path::new("/"))
        .map(Path::to_owned)
}

/// The libraries that this process has loaded: a process that it starts may need them again.
fn loaded() -> BTreeSet<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let files = maps
        .lines()
        .filter(|line| line.contains(" r-xp ") && line.contains(".so"));
    files
        .filter_map(|line| Some(PathBuf::from(format!("/{}", line.split_once('/')?.1))))
        .collect()
}

/// Folders that GStreamer is told to look for plugins in, and of those that it knows.
fn plugins() -> BTreeSet<PathBuf> {
    let mut folders = BTreeSet::new();
    for name in [
        "GST_PLUGIN_PATH",
        "GST_PLUGIN_PATH_1_0",
        "GST_PLUGIN_SYSTEM_PATH",
        "GST_PLUGIN_SYSTEM_PATH_1_0",
    ] {
        let value = std::env::var_os(name).unwrap_or_default();
        folders.extend(std::env::split_paths(&value).filter(|path| path.is_absolute()));
    }
    // SAFETY: asks only whether GStreamer has been started.
    if unsafe { gst::ffi::gst_is_initialized() } != 0 {
        let known = gst::Registry::get().plugins();
        folders.extend(known.iter().filter_map(|plugin| folder(plugin.filename()?)));
    }
    folders
}
