//! A file's process and the object storage: what it reads and writes goes through this process, which alone is connected.
//!
//! Invariant: an object has its name only after its process has said that it is complete.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use anyhow::{Context, Result, anyhow};
use floutage::Error;
use floutage::batch::name;
use floutage::batch::plan::Item;
use floutage::media::encode::Container;
use floutage::storage::link::serve;
use floutage::storage::read::Object;
use floutage::storage::upload::Upload;
use floutage::storage::{Address, is_address};

use super::objects;
use super::places::Places;
use crate::redact::STOP;
use crate::redact::plan::{Kind, kind};

/// Bytes at the end of Matroska and WebM to which the muxer may return; it never does in MP4.
const CLUSTER: usize = 32 << 20;

/// What of one file is in object storage.
pub struct Exchange {
    /// What is read.
    pub object: Option<Object>,
    /// What is written.
    pub upload: Option<Upload>,
}

impl Exchange {
    /// What of `item` is in object storage.
    pub fn begin(item: &Item, places: &Places) -> Result<Self> {
        let mut exchange = Self {
            object: None,
            upload: None,
        };
        if is_address(&item.input) {
            let object = places.storage()?.object(&Address::of(&item.input)?)?;
            exchange.object = Some(object);
        }
        if is_address(&item.output) {
            if !is_address(&item.input) && kind(&name::path(&item.input))? == Kind::Picture {
                anyhow::bail!("{}: {}", item.input, objects::PICTURE);
            }
            let hold = match Container::of(item.output.as_ref())? {
                Container::Mp4 | Container::Mov => 0,
                Container::Mkv | Container::WebM => CLUSTER,
            };
            let upload = places
                .storage()?
                .upload(&Address::of(&item.output)?, hold)?;
            exchange.upload = Some(upload);
        }
        Ok(exchange)
    }

    /// True when nothing of it is.
    pub fn is_none(&self) -> bool {
        self.object.is_none() && self.upload.is_none()
    }

    /// Does `work`, which hands the other end to a process, and serves that one meanwhile.
    pub fn serve<T>(&mut self, work: impl FnOnce(Option<OwnedFd>) -> Result<T>) -> Result<T> {
        if self.is_none() {
            return work(None);
        }
        let (ours, theirs) = UnixStream::pair().context("no socket can be made for the file")?;
        let (object, upload) = (self.object.as_ref(), self.upload.as_mut());
        let (done, served) = std::thread::scope(|scope| {
            let server = scope.spawn(|| serve(ours, object, upload));
            let done = work(Some(theirs.into()));
            let served = server.join().unwrap_or_else(|_| {
                let problem = "an internal error stopped the work; please report it";
                Err(Error::media("object storage", problem))
            });
            (done, served)
        });
        if STOP.requested() {
            return Err(Error::Interrupted.into());
        }
        // What the process says of it is only that it failed.
        served.map_err(|error| anyhow!(error))?;
        done
    }
}
