//! What the gateway's processes may reach: the main process what all cameras need together, a worker what its camera needs.
//!
//! The main process confines itself before it starts a thread, and cannot widen that: a configuration that names other
//! places is taken up at the next start only, see [`Places::lacking`]. Workers inherit its confinement, and give up more.

use std::path::{Path, PathBuf};

use super::config::Config;
use super::config::camera::{Camera, Detect};
use super::sealed;
use super::wire::Job;
use crate::audit::Log;
use crate::detect::session::Provider;
use crate::error::Result;
use crate::sandbox::Sandbox;

/// What finding hosts and checking their certificates reads of the system.
const NETWORK: [&str; 11] = [
    "/etc/resolv.conf",
    "/run/systemd/resolve",
    "/run/NetworkManager",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/protocols",
    "/etc/ssl",
    "/etc/ca-certificates",
    "/etc/pki",
];
/// Folders that hold far more than one may want to read for a file in them.
const LARGE: [&str; 10] = [
    "/", "/etc", "/home", "/root", "/run", "/srv", "/tmp", "/usr", "/var", "/var/lib",
];

/// Files and folders that a configuration needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    read: Vec<PathBuf>,
    write: Vec<PathBuf>,
    devices: bool,
}

impl Places {
    /// What `config`, read from `path`, needs, with its record in `log`.
    ///
    /// Errors: a detector's settings, a record that cannot be written.
    pub fn of(config: &Config, path: &Path, log: Option<&Log>) -> Result<Self> {
        let mut places = Self::default();
        // Whoever writes it anew leaves another file under its name.
        let folder = about(path);
        if config.web.is_some() {
            places.write.push(folder);
        } else {
            places.read.push(folder);
        }
        let web = config.web.as_ref().and_then(|web| web.tls.as_ref());
        for tls in config.rtsp.tls.iter().chain(web) {
            places
                .read
                .extend([about(&tls.certificate), about(&tls.key)]);
        }
        let passwords = config
            .rtsp
            .users
            .iter()
            .filter_map(|user| user.password_file.as_ref());
        places.read.extend(passwords.map(|file| about(file)));
        for camera in &config.cameras {
            places.camera(camera)?;
        }
        if let Some(log) = log {
            places
                .write
                .extend([log.path().to_owned(), log.folder().to_owned()]);
            places.write.extend(sealed::left_open(log)?);
        }
        Ok(places)
    }

    fn camera(&mut self, camera: &Camera) -> Result<()> {
        let passwords = camera.push.iter().map(|push| &push.password_file);
        let files = passwords.chain([&camera.password_file, &camera.certificate]);
        self.read.extend(files.flatten().map(|file| about(file)));
        self.read.extend(played(&camera.source));
        self.read.extend(camera.detect.detector()?.places());
        self.devices |= devices(&camera.source, &camera.detect)?;
        if let Some(recording) = camera.record.resolve(&camera.name)? {
            // Of all cameras that are recorded there.
            let folder = recording.directory.parent().map(Path::to_owned);
            self.write.push(folder.unwrap_or(recording.directory));
        }
        Ok(())
    }

    /// Makes the folders for recordings that are not there: one that is made later is out of reach.
    pub fn make(&self) {
        for folder in self.write.iter().filter(|folder| !folder.exists()) {
            if let Err(error) = std::fs::create_dir_all(folder) {
                tracing::warn!(
                    "{}: cannot be made ({error}); recordings there will fail until floutage is started again",
                    folder.display()
                );
            }
        }
    }

    /// The main process's confinement: it starts workers, serves and pushes.
    pub fn sandbox(&self) -> Sandbox {
        let mut sandbox = Sandbox::new()
            .read_all(NETWORK)
            .read_all(&self.read)
            .may_execute()
            .may_connect();
        for place in self.write.iter().filter(|place| place.exists()) {
            sandbox = sandbox.write(place);
        }
        if self.devices {
            sandbox = sandbox.may_use_devices();
        }
        sandbox
    }

    /// The first place that `wanted` needs and a process confined to these places does not have.
    pub fn lacking(&self, wanted: &Self) -> Option<PathBuf> {
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let within = |place: &Path, given: &[PathBuf]| {
            let mut given = given.iter();
            given.any(|given| real(place).starts_with(real(given)))
        };
        let unwritable = wanted
            .write
            .iter()
            .find(|place| !within(place, &self.write));
        let unreadable = wanted
            .read
            .iter()
            .filter(|place| place.exists())
            .find(|place| !within(place, &self.read) && !within(place, &self.write));
        let device = (wanted.devices && !self.devices).then(|| PathBuf::from("/dev"));
        unwritable.or(unreadable).cloned().or(device)
    }
}

/// The folder of `file`, where certificates and passwords are replaced by renaming; the file itself where the folder holds
/// much else.
fn about(file: &Path) -> PathBuf {
    let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    match file.parent() {
        Some(folder) if !LARGE.iter().any(|large| folder == Path::new(large)) => folder.to_owned(),
        _ => file,
    }
}

/// The file that is played, where the source is one.
fn played(source: &str) -> Option<PathBuf> {
    source.strip_prefix("file://").map(PathBuf::from)
}

fn devices(source: &str, detect: &Detect) -> Result<bool> {
    Ok(source.starts_with("v4l2://") || detect.detector()?.provider != Provider::Cpu)
}

/// A worker's confinement: it reads models and what its camera needs, writes nothing, starts nothing, and connects only
/// where its camera is somewhere else.
///
/// Errors: the detector's settings.
pub fn worker(job: &Job) -> Result<Sandbox> {
    let mut sandbox = Sandbox::new()
        .read_all(job.detect.detector()?.places())
        .read_all(played(&job.source))
        .read_all(job.certificate.as_deref().map(about));
    if !job.source.starts_with("file://") && !job.source.starts_with("v4l2://") {
        sandbox = sandbox.read_all(NETWORK).may_connect();
    }
    if devices(&job.source, &job.detect)? {
        sandbox = sandbox.may_use_devices();
    }
    Ok(sandbox)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(text: &str, folder: &Path) -> Places {
        let config = Config::parse(text).expect("it is right");
        Places::of(&config, &folder.join("floutage.toml"), None).expect("settings")
    }

    #[test]
    fn what_a_new_configuration_needs_beyond_the_old_one_is_told() {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = dir.path();
        let camera = |name: &str, more: &str| {
            format!("[[camera]]\nname = \"{name}\"\nsource = \"rtsp://192.0.2.1/x\"\n{more}\n")
        };
        let record = |to: &str| {
            let to = folder.join(to);
            format!(
                "[camera.record]\nenabled = true\ndirectory = \"{}\"",
                to.display()
            )
        };
        let one = places(&camera("a", &record("kept")), folder);
        one.make();
        assert!(folder.join("kept").is_dir());
        assert_eq!(one.lacking(&one), None);
        let more = camera("a", &record("kept")) + &camera("b", &record("kept/deeper"));
        assert_eq!(one.lacking(&places(&more, folder)), None);
        let other = places(&camera("a", &record("other")), folder);
        assert_eq!(one.lacking(&other), Some(folder.join("other")));
        let page = format!("[web]\n{}", camera("a", ""));
        assert_eq!(
            one.lacking(&places(&page, folder)),
            Some(folder.to_owned()),
            "to be written"
        );
        let device = "[[camera]]\nname = \"a\"\nsource = \"v4l2:///dev/video0\"\n";
        assert_eq!(one.lacking(&places(device, folder)), Some("/dev".into()));
        let secret = tempfile::NamedTempFile::new_in("/var/tmp").expect("a file");
        let login = format!(
            "user = \"u\"\npassword-file = \"{}\"",
            secret.path().display()
        );
        assert_eq!(
            one.lacking(&places(&camera("a", &login), folder)),
            Some("/var/tmp".into())
        );
    }
}
