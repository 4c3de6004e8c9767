//! Videos whose bytes come from, or go to, where this process cannot reach: elements in place of `filesrc` and `filesink`
//! that read and write over a [`Link`].
//!
//! Both can go to any byte, so that demuxers and muxers do the same as with files.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gst::glib;
use gst::prelude::*;

use super::encode::Container;
use super::wiring::make;
use crate::error::{Error, Result};
use crate::storage::is_address;
use crate::storage::link::{Link, Reader};

/// What can be read from any place on.
pub trait ReadSeek: Read + Seek + Send {}

impl<T: Read + Seek + Send> ReadSeek for T {}

/// The video to read.
#[derive(Clone)]
pub struct Input {
    name: PathBuf,
    link: Option<Arc<Link>>,
}

impl Input {
    /// A file.
    pub fn file(path: &Path) -> Self {
        Self {
            name: path.to_owned(),
            link: None,
        }
    }

    /// A file, or over `link` an object, whichever `name` says.
    ///
    /// Errors: [`Error::Media`] for an object without a link.
    pub fn named(name: &Path, link: Option<&Arc<Link>>) -> Result<Self> {
        Ok(Self {
            name: name.to_owned(),
            link: linked(name, link)?.cloned(),
        })
    }

    /// The name.
    pub fn name(&self) -> &Path {
        &self.name
    }

    /// At its beginning, to be looked into.
    ///
    /// Errors: [`Error::Io`].
    pub fn open(&self) -> Result<Box<dyn ReadSeek>> {
        let failed = |error| Error::io(&self.name, "reading", error);
        Ok(match &self.link {
            Some(link) => Box::new(Reader::new(link.clone()).map_err(failed)?),
            None => Box::new(File::open(&self.name).map_err(failed)?),
        })
    }

    /// Bytes; 0 where it cannot be told.
    pub fn length(&self) -> u64 {
        match &self.link {
            Some(link) => link.length().unwrap_or(0),
            None => std::fs::metadata(&self.name).map_or(0, |found| found.len()),
        }
    }

    /// The element that reads it.
    pub(super) fn element(&self) -> Result<gst::Element> {
        let Some(link) = &self.link else {
            let source = make("filesrc")?;
            source.set_property("location", &self.name);
            return Ok(source);
        };
        let source: Source = glib::Object::new();
        source.imp().set_link(link.clone());
        Ok(source.upcast())
    }
}

/// `link` for what is to go over it, None for a file.
///
/// Errors: [`Error::Media`] for an object without a link.
pub(super) fn linked<'a>(
    name: &Path,
    link: Option<&'a Arc<Link>>,
) -> Result<Option<&'a Arc<Link>>> {
    if !is_address(name) {
        return Ok(None);
    }
    link.map(Some).ok_or_else(|| {
        let problem = "objects are read and written by `floutage batch` only";
        Error::media(name.display().to_string(), problem)
    })
}

/// The element that writes a video of `container` over `link`.
pub(super) fn sink(link: Arc<Link>, container: Container) -> gst::Element {
    let sink: Sink = glib::Object::new();
    sink.set_property("sync", false);
    sink.set_property("async", false);
    sink.imp().set_target(link, container);
    sink.upcast()
}

glib::wrapper! {
    /// Reads over a link.
    pub struct Source(ObjectSubclass<imp::Source>) @extends gst_base::BaseSrc, gst::Element, gst::Object;
}

glib::wrapper! {
    /// Writes over a link.
    pub struct Sink(ObjectSubclass<imp::Sink>) @extends gst_base::BaseSink, gst::Element, gst::Object;
}

use glib::subclass::prelude::ObjectSubclassIsExt;

mod imp {
    use std::sync::{Arc, LazyLock, Mutex};

    use gst::glib;
    use gst::subclass::prelude::*;
    use gst_base::prelude::*;
    use gst_base::subclass::prelude::*;

    use super::super::encode::Container;
    use super::super::stamps::clear_times_of;
    use crate::gst::lock;
    use crate::storage::link::Link;

    /// Bytes that are written at a time, where they follow each other.
    const WRITTEN: usize = 1 << 20;

    fn template(direction: gst::PadDirection, name: &str) -> Vec<gst::PadTemplate> {
        let caps = gst::Caps::new_any();
        gst::PadTemplate::new(name, direction, gst::PadPresence::Always, &caps)
            .into_iter()
            .collect()
    }

    #[derive(Default)]
    pub struct Source {
        link: Mutex<Option<Arc<Link>>>,
    }

    impl Source {
        pub fn set_link(&self, link: Arc<Link>) {
            *lock(&self.link) = Some(link);
        }

        fn link(&self) -> Option<Arc<Link>> {
            lock(&self.link).clone()
        }
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Source {
        const NAME: &'static str = "FloutageLinkSource";
        type Type = super::Source;
        type ParentType = gst_base::BaseSrc;
    }

    impl ObjectImpl for Source {
        fn constructed(&self) {
            self.parent_constructed();
            self.obj().set_format(gst::Format::Bytes);
        }
    }

    impl GstObjectImpl for Source {}

    impl ElementImpl for Source {
        fn pad_templates() -> &'static [gst::PadTemplate] {
            static ALL: LazyLock<Vec<gst::PadTemplate>> =
                LazyLock::new(|| template(gst::PadDirection::Src, "src"));
            ALL.as_ref()
        }
    }

    impl BaseSrcImpl for Source {
        fn is_seekable(&self) -> bool {
            true
        }

        fn size(&self) -> Option<u64> {
            self.link()?.length().ok()
        }

        fn query(&self, query: &mut gst::QueryRef) -> bool {
            if let gst::QueryViewMut::Uri(uri) = query.view_mut() {
                // Without one a stream's name is made of the random numbers that muxers are to have.
                uri.set_uri("object:");
                return true;
            }
            BaseSrcImplExt::parent_query(self, query)
        }

        fn fill(
            &self,
            offset: u64,
            length: u32,
            buffer: &mut gst::BufferRef,
        ) -> Result<gst::FlowSuccess, gst::FlowError> {
            let link = self.link().ok_or(gst::FlowError::NotNegotiated)?;
            let read = {
                let mut bytes = buffer.map_writable().map_err(|_| gst::FlowError::Error)?;
                let length = bytes.len().min(length as usize);
                link.read_at(offset, &mut bytes[..length])
            };
            match read {
                Ok(0) => Err(gst::FlowError::Eos),
                Ok(read) => {
                    buffer.set_size(read);
                    buffer.set_offset(offset);
                    buffer.set_offset_end(offset + read as u64);
                    Ok(gst::FlowSuccess::Ok)
                }
                Err(error) => {
                    gst::element_imp_error!(self, gst::ResourceError::Read, ["{error}"]);
                    Err(gst::FlowError::Error)
                }
            }
        }
    }

    #[derive(Default)]
    struct Writing {
        target: Option<(Arc<Link>, Container)>,
        /// Where the next buffer goes.
        position: u64,
        /// What is not sent yet, and where it goes.
        waiting: Vec<u8>,
        from: u64,
        cleared: bool,
    }

    impl Writing {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
            if self.position != self.from + self.waiting.len() as u64 {
                self.flush()?;
                self.from = self.position;
            }
            self.waiting.extend_from_slice(bytes);
            if let Some((_, Container::Mp4 | Container::Mov)) = self.target {
                let start = self.waiting.len() - bytes.len();
                self.cleared |= clear_times_of(&mut self.waiting[start..]);
            }
            self.position += bytes.len() as u64;
            if self.waiting.len() >= WRITTEN {
                self.flush()?;
            }
            Ok(())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            let waiting = std::mem::take(&mut self.waiting);
            if let Some((link, _)) = &self.target {
                for part in waiting.chunks(WRITTEN) {
                    link.write_at(self.from, part)?;
                    self.from += part.len() as u64;
                }
            }
            Ok(())
        }

        fn end(&mut self) -> std::io::Result<()> {
            self.flush()?;
            match self.target {
                Some((_, Container::Mp4 | Container::Mov)) if !self.cleared => {
                    Err(std::io::Error::other("the muxer wrote no description"))
                }
                _ => Ok(()),
            }
        }
    }

    #[derive(Default)]
    pub struct Sink {
        writing: Mutex<Writing>,
    }

    impl Sink {
        pub fn set_target(&self, link: Arc<Link>, container: Container) {
            lock(&self.writing).target = Some((link, container));
        }

        fn fail(&self, error: &std::io::Error) -> gst::FlowError {
            gst::element_imp_error!(self, gst::ResourceError::Write, ["{error}"]);
            gst::FlowError::Error
        }
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Sink {
        const NAME: &'static str = "FloutageLinkSink";
        type Type = super::Sink;
        type ParentType = gst_base::BaseSink;
    }

    impl ObjectImpl for Sink {}
    impl GstObjectImpl for Sink {}

    impl ElementImpl for Sink {
        fn pad_templates() -> &'static [gst::PadTemplate] {
            static ALL: LazyLock<Vec<gst::PadTemplate>> =
                LazyLock::new(|| template(gst::PadDirection::Sink, "sink"));
            ALL.as_ref()
        }
    }

    impl BaseSinkImpl for Sink {
        fn render(&self, buffer: &gst::Buffer) -> Result<gst::FlowSuccess, gst::FlowError> {
            let bytes = buffer.map_readable().map_err(|_| gst::FlowError::Error)?;
            let written = lock(&self.writing).write(&bytes);
            written.map_err(|error| self.fail(&error))?;
            Ok(gst::FlowSuccess::Ok)
        }

        fn event(&self, event: gst::Event) -> bool {
            match event.view() {
                gst::EventView::Segment(segment) => {
                    if let Some(bytes) = segment.segment().downcast_ref::<gst::format::Bytes>()
                        && let Some(start) = bytes.start()
                    {
                        lock(&self.writing).position = *start;
                    }
                }
                gst::EventView::Eos(_) => {
                    let ended = lock(&self.writing).end();
                    if let Err(error) = ended {
                        let _ = self.fail(&error);
                        return false;
                    }
                }
                _ => {}
            }
            self.parent_event(event)
        }

        fn query(&self, query: &mut gst::QueryRef) -> bool {
            if let gst::QueryViewMut::Seeking(seeking) = query.view_mut()
                && seeking.format() == gst::Format::Bytes
            {
                seeking.set(true, gst::format::Bytes::ZERO, gst::format::Bytes::NONE);
                return true;
            }
            BaseSinkImplExt::parent_query(self, query)
        }
    }
}
