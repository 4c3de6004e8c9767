//! Where streams are mounted.
//!
//! gst-rtsp-server sorts its mounts and stops looking at the first one that does not fit, so that with cameras `door` and
//! `door-2` it would not find `/door/sub`: `/door-2` lies between. Mounted as `/door!sub` nothing can: no name has a
//! character before the hyphen. Players get to see that address, too, in what describes a stream.

use gst::glib;
use gst_rtsp_server::subclass::prelude::*;

use crate::serve::wire::Stream;

glib::wrapper! {
    /// Mounts whose smaller streams are found whatever the cameras' names.
    pub struct Mounts(ObjectSubclass<imp::Mounts>) @extends gst_rtsp_server::RTSPMountPoints;
}

impl Mounts {
    /// No mounts as yet.
    pub fn empty() -> Self {
        glib::Object::new()
    }
}

/// The mount of a camera's stream.
pub fn mount(camera: &str, stream: Stream) -> String {
    match stream {
        Stream::Full => format!("/{camera}"),
        Stream::Sub => format!("/{camera}!sub"),
    }
}

/// The camera whose stream is mounted at `mount`.
pub fn camera(mount: &str) -> &str {
    let name = mount.trim_start_matches('/');
    name.split(['/', '!']).next().unwrap_or_default()
}

/// The mount, with what may follow it, that the path of an address means.
pub fn of_path(path: &str) -> String {
    let mut parts = path.splitn(4, '/');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(""), Some(camera), Some("sub"), None) => mount(camera, Stream::Sub),
        (Some(""), Some(camera), Some("sub"), Some(rest)) => {
            format!("{}/{rest}", mount(camera, Stream::Sub))
        }
        _ => path.to_owned(),
    }
}

mod imp {
    use super::*;

    #[derive(Default)]
    pub struct Mounts;

    #[glib::object_subclass]
    impl ObjectSubclass for Mounts {
        const NAME: &'static str = "FloutageRtspMounts";
        type Type = super::Mounts;
        type ParentType = gst_rtsp_server::RTSPMountPoints;
    }

    impl ObjectImpl for Mounts {}

    impl RTSPMountPointsImpl for Mounts {
        fn make_path(&self, url: &gst_rtsp::RTSPUrl) -> Option<glib::GString> {
            self.parent_make_path(url).map(|path| of_path(&path).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smaller_streams_have_mounts_beside_their_cameras() {
        for (path, mount) in [
            ("/door", "/door"),
            ("/door/sub", "/door!sub"),
            ("/door/sub/stream=0", "/door!sub/stream=0"),
            ("/door/stream=0", "/door/stream=0"),
            ("/door!sub/stream=0", "/door!sub/stream=0"),
            ("/sub/stream=0", "/sub/stream=0"),
            ("/sub/sub", "/sub!sub"),
            ("", ""),
        ] {
            assert_eq!(of_path(path), mount, "{path}");
        }
        for mount in ["/door", "/door!sub", "/door!sub/stream=0", "/door/stream=0"] {
            assert_eq!(camera(mount), "door", "{mount}");
        }
    }
}
