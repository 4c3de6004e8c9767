//! The GStreamer elements the program is made of, what each is for and which Debian package has it.
//!
//! Invariant: an element counts as present only when its plugin can be loaded, so that a broken library is
//! found here and not in the middle of a job.

use crate::error::{Error, Result};

/// Oldest GStreamer that will do: major and minor version.
pub const OLDEST_GSTREAMER: (u32, u32) = (1, 22);

const CORE: &str = "libgstreamer1.0-0";
const BASE: &str = "gstreamer1.0-plugins-base";
const GOOD: &str = "gstreamer1.0-plugins-good";
const BAD: &str = "gstreamer1.0-plugins-bad";
const UGLY: &str = "gstreamer1.0-plugins-ugly";
const LIBAV: &str = "gstreamer1.0-libav";
const RTSP: &str = "gstreamer1.0-rtsp";

/// What an element does in a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Part of every job.
    Every,
    /// Takes a container apart.
    Demuxer,
    /// Finds frames and parameters in a coded stream.
    Parser,
    /// Decodes pictures.
    Decoder,
    /// Encodes pictures.
    Encoder,
    /// Writes a container.
    Muxer,
    /// Needed only where sound is kept.
    Audio,
    /// Needed only by the gateway.
    Gateway,
}

impl Role {
    /// The name used in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Every => "element",
            Self::Demuxer => "demuxer",
            Self::Parser => "parser",
            Self::Decoder => "decoder",
            Self::Encoder => "encoder",
            Self::Muxer => "muxer",
            Self::Audio => "audio element",
            Self::Gateway => "gateway element",
        }
    }
}

/// An element, and where to get it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Name of its factory.
    pub element: &'static str,
    /// The Debian package that has it.
    pub package: &'static str,
}

/// One thing that has to be done, and the elements that can do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// What is done.
    pub role: Role,
    /// To what: a codec, a container, or a purpose.
    pub of: &'static str,
    /// Elements that do it, the preferred one first. Any one is enough.
    pub choices: &'static [Choice],
    /// True: without it the program is of no use. False: only some files or settings need it.
    pub required: bool,
}

impl Requirement {
    /// The first of the choices that is installed and can be loaded. GStreamer must have been initialised.
    pub fn available(&self) -> Option<&'static Choice> {
        self.choices
            .iter()
            .find(|choice| is_available(choice.element))
    }

    /// Name of the element to use.
    ///
    /// Errors: [`Error::Media`] that says which package mends it.
    pub fn element(&self) -> Result<&'static str> {
        self.available()
            .map(|choice| choice.element)
            .ok_or_else(|| Error::media("GStreamer", self.lack()))
    }

    /// What is missing and which package mends it, in one line.
    pub fn lack(&self) -> String {
        format!(
            "no {} for {} ({}): {}",
            self.role.name(),
            self.of,
            self.names(),
            self.mend()
        )
    }

    /// Names of the elements that do it: "x264enc or openh264enc".
    pub fn names(&self) -> String {
        let names: Vec<&str> = self.choices.iter().map(|choice| choice.element).collect();
        names.join(" or ")
    }

    /// How to get one of them: "install gstreamer1.0-plugins-ugly or gstreamer1.0-plugins-bad".
    pub fn mend(&self) -> String {
        let packages: Vec<&str> = self.packages().collect();
        format!("install {}", packages.join(" or "))
    }

    /// The packages of which any one mends a lack, without repetition, the preferred one first.
    pub fn packages(&self) -> impl Iterator<Item = &'static str> {
        let choices = self.choices;
        choices.iter().enumerate().filter_map(|(index, choice)| {
            let earlier = &choices[..index];
            let known = earlier.iter().any(|other| other.package == choice.package);
            (!known).then_some(choice.package)
        })
    }
}

/// True when the element `name` is installed and its plugin can be loaded.
pub fn is_available(name: &str) -> bool {
    use gst::prelude::PluginFeatureExtManual;
    gst::ElementFactory::find(name).is_some_and(|factory| factory.load().is_ok())
}

/// The requirement for `role` of `of`; None for one that [`ALL`] does not have.
pub fn find(role: Role, of: &str) -> Option<&'static Requirement> {
    ALL.iter().find(|it| it.role == role && it.of == of)
}

macro_rules! requirements {
    ($($role:ident $of:literal $need:ident: $($element:literal $package:ident),+;)*) => {
        &[$(Requirement {
            role: Role::$role,
            of: $of,
            choices: &[$(Choice { element: $element, package: $package }),+],
            required: requirements!($need),
        }),*]
    };
    (required) => { true };
    (optional) => { false };
}

/// Every requirement. Package names are Debian 12's.
pub const ALL: &[Requirement] = requirements! {
    Every "reading files" required: "filesrc" CORE;
    Every "decoupling threads" required: "queue" CORE;
    Every "recognising streams" required: "parsebin" BASE;
    Every "pixel formats" required: "videoconvert" BASE;
    Every "rotation" required: "videoflip" GOOD;
    Every "sizes that change" required: "videoscale" BASE;
    Every "writing files" required: "filesink" CORE;
    Every "chunks of long videos" optional: "gdppay" BAD;
    Every "reading chunks again" optional: "gdpdepay" BAD;
    Every "putting chunks together" optional: "concat" CORE;
    Demuxer "MP4, MOV" required: "qtdemux" GOOD;
    Demuxer "MKV, WebM" required: "matroskademux" GOOD;
    Demuxer "AVI" optional: "avidemux" GOOD;
    Demuxer "MPEG-TS" optional: "tsdemux" BAD;
    Demuxer "MPEG-PS" optional: "mpegpsdemux" BAD;
    Parser "H.264" required: "h264parse" BAD;
    Parser "H.265" optional: "h265parse" BAD;
    Parser "VP9" optional: "vp9parse" BAD;
    Parser "AV1" optional: "av1parse" BAD;
    Parser "MPEG-2" optional: "mpegvideoparse" BAD;
    Parser "MPEG-4 part 2" optional: "mpeg4videoparse" BAD;
    Parser "MJPEG" optional: "jpegparse" BAD;
    Decoder "H.264" required: "avdec_h264" LIBAV, "openh264dec" BAD;
    Decoder "H.265" optional: "avdec_h265" LIBAV, "libde265dec" BAD;
    Decoder "VP8" optional: "vp8dec" GOOD, "avdec_vp8" LIBAV;
    Decoder "VP9" optional: "vp9dec" GOOD, "avdec_vp9" LIBAV;
    Decoder "AV1" optional: "av1dec" BAD;
    Decoder "MPEG-2" optional: "avdec_mpeg2video" LIBAV, "mpeg2dec" UGLY;
    Decoder "MPEG-4 part 2" optional: "avdec_mpeg4" LIBAV;
    Decoder "MJPEG" optional: "jpegdec" GOOD, "avdec_mjpeg" LIBAV;
    Encoder "H.264" required: "x264enc" UGLY, "openh264enc" BAD;
    Encoder "H.265" optional: "x265enc" BAD;
    Encoder "VP9" optional: "vp9enc" GOOD;
    Encoder "AV1" optional: "av1enc" BAD;
    Muxer "MP4" required: "mp4mux" GOOD;
    Muxer "MOV" optional: "qtmux" GOOD;
    Muxer "MKV" optional: "matroskamux" GOOD;
    Muxer "WebM" optional: "webmmux" GOOD;
    Audio "AAC in --audio keep" optional: "aacparse" GOOD;
    Audio "Opus in --audio keep" optional: "opusparse" BAD;
    Audio "encoding in --audio keep" optional: "opusenc" BASE, "avenc_aac" LIBAV, "vorbisenc" BASE;
    Gateway "cameras by RTSP" optional: "rtspsrc" GOOD;
    Gateway "H.264 from cameras" optional: "rtph264depay" GOOD;
    Gateway "H.265 from cameras" optional: "rtph265depay" GOOD;
    Gateway "cameras by HTTP" optional: "souphttpsrc" GOOD;
    Gateway "MJPEG over HTTP" optional: "multipartdemux" GOOD;
    Gateway "local cameras" optional: "v4l2src" GOOD;
    Gateway "files in real time" optional: "clocksync" CORE;
    Gateway "serving H.264" optional: "rtph264pay" GOOD;
    Gateway "serving H.265" optional: "rtph265pay" GOOD;
    Gateway "pushing by RTSP" optional: "rtspclientsink" RTSP;
    Gateway "pushing by SRT" optional: "srtsink" BAD;
    Gateway "MPEG-TS for SRT" optional: "mpegtsmux" BAD;
    Gateway "pictures in the page" optional: "jpegenc" GOOD;
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_need_is_listed_once_and_can_be_found() {
        for requirement in ALL {
            assert!(!requirement.choices.is_empty(), "{requirement:?}");
            assert_eq!(
                find(requirement.role, requirement.of),
                Some(requirement),
                "listed twice"
            );
        }
        assert_eq!(find(Role::Decoder, "wax cylinders"), None);
    }

    #[test]
    fn the_elements_of_an_installation_that_passes_the_tests_are_there() {
        gst::init().unwrap();
        for requirement in ALL.iter().filter(|it| it.required) {
            assert!(requirement.element().is_ok(), "{}", requirement.lack());
        }
    }

    #[test]
    fn a_lack_names_the_packages_that_mend_it() {
        gst::init().unwrap();
        let wanting = Requirement {
            role: Role::Decoder,
            of: "wax cylinders",
            choices: &[
                Choice {
                    element: "waxdec",
                    package: BAD,
                },
                Choice {
                    element: "cylinderdec",
                    package: BAD,
                },
                Choice {
                    element: "avdec_wax",
                    package: LIBAV,
                },
            ],
            required: false,
        };
        assert_eq!(wanting.available(), None);
        assert_eq!(
            wanting.element().unwrap_err().to_string(),
            "GStreamer: no decoder for wax cylinders (waxdec or cylinderdec or avdec_wax): \
             install gstreamer1.0-plugins-bad or gstreamer1.0-libav"
        );
    }

    #[test]
    fn the_first_choice_that_is_there_is_used() {
        gst::init().unwrap();
        let second = Requirement {
            role: Role::Every,
            of: "a test",
            choices: &[
                Choice {
                    element: "no-such-element",
                    package: BAD,
                },
                Choice {
                    element: "queue",
                    package: CORE,
                },
            ],
            required: true,
        };
        assert_eq!(second.element().unwrap(), "queue");
    }
}
