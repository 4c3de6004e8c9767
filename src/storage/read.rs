//! An object by ranges, with few of its blocks in memory.
//!
//! Invariant: everything read is of one state of the object; when it changes in between, reading fails.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use object_store::aws::AmazonS3;
use object_store::{GetOptions, GetRange, ObjectStore};
use tokio::task::JoinHandle;

use super::address::Address;
use super::blocks::{BLOCK, Blocks};
use super::client::{Found, Line, Storage, explain, key};
use crate::error::{Error, Result};

/// Blocks in memory: demuxers go to and fro between few places.
const KEPT: usize = 6;

/// An object that is read.
pub struct Object {
    source: Source,
    line: Line,
    found: Found,
    state: Mutex<State>,
}

#[derive(Clone)]
struct Source {
    bucket: Arc<AmazonS3>,
    address: Address,
    etag: Option<String>,
    size: u64,
}

#[derive(Default)]
struct State {
    /// The last ones asked for come last.
    kept: VecDeque<(u64, Bytes)>,
    ahead: Option<(u64, JoinHandle<Result<Bytes>>)>,
    last: Option<u64>,
    blocks: Blocks,
}

impl Storage {
    /// The object at `address`, to be read.
    ///
    /// Errors: [`Error::Media`], also when there is none or it is empty; [`Error::Interrupted`].
    pub fn object(&self, address: &Address) -> Result<Object> {
        let wrong = |problem: &str| Error::media(address.to_string(), problem);
        let found = self
            .find(address)?
            .ok_or_else(|| wrong("there is no such object or bucket"))?;
        if found.size == 0 {
            return Err(wrong("the object is empty"));
        }
        Ok(Object {
            source: Source {
                bucket: self.bucket(address)?,
                address: address.clone(),
                etag: found.etag.clone(),
                size: found.size,
            },
            line: self.line(),
            found,
            state: Mutex::default(),
        })
    }

    /// BLAKE3 of the object at `address`, lower-case hexadecimal.
    ///
    /// Errors: as of [`Storage::object`].
    pub fn hash(&self, address: &Address) -> Result<String> {
        self.object(address)?.hash()
    }
}

impl Object {
    /// What it is.
    pub fn found(&self) -> &Found {
        &self.found
    }

    /// At most `length` bytes from `offset` on, at least one; none at the end.
    ///
    /// Errors: [`Error::Media`] when it cannot be read or has changed; [`Error::Interrupted`].
    pub fn read(&self, offset: u64, length: usize) -> Result<Bytes> {
        if offset >= self.source.size || length == 0 {
            return Ok(Bytes::new());
        }
        let index = offset / BLOCK;
        let block = self.block(index)?;
        let from = (offset % BLOCK) as usize;
        let to = block.len().min(from.saturating_add(length));
        Ok(block.slice(from..to))
    }

    /// BLAKE3 of the whole content, lower-case hexadecimal. What was not read yet is read for it.
    ///
    /// Errors: as of [`Object::read`].
    pub fn hash(&self) -> Result<String> {
        let count = self.source.size.div_ceil(BLOCK);
        for index in 0..count {
            let known = self.state().blocks.has(index);
            if !known {
                self.block(index)?;
            }
        }
        let root = self.state().blocks.root(count);
        root.map(|hash| hash.to_hex().to_string())
            .ok_or_else(|| self.changed())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self) -> Error {
        let problem = "the object has changed while it was read; wait until it is complete";
        Error::media(self.source.address.to_string(), problem)
    }

    fn block(&self, index: u64) -> Result<Bytes> {
        let mut state = self.state();
        if let Some(at) = state.kept.iter().position(|(kept, _)| *kept == index) {
            let (index, bytes) = state.kept.remove(at).unwrap_or_default();
            state.kept.push_back((index, bytes.clone()));
            return Ok(bytes);
        }
        let on_its_way = match state.ahead.take() {
            Some((ahead, task)) if ahead == index => Some(task),
            Some((_, task)) => {
                task.abort();
                None
            }
            None => None,
        };
        let task = on_its_way.unwrap_or_else(|| self.fetch(index));
        let bytes = self.line.wait(async {
            task.await.unwrap_or_else(|error| {
                Err(Error::media(
                    self.source.address.to_string(),
                    error.to_string(),
                ))
            })
        })?;
        if !state.blocks.note(index, &bytes) {
            return Err(self.changed());
        }
        // What goes on goes on.
        let next = index + 1;
        if state.last == Some(index.wrapping_sub(1)) && next * BLOCK < self.source.size {
            state.ahead = Some((next, self.fetch(next)));
        }
        state.last = Some(index);
        if state.kept.len() >= KEPT {
            state.kept.pop_front();
        }
        state.kept.push_back((index, bytes.clone()));
        Ok(bytes)
    }

    fn fetch(&self, index: u64) -> JoinHandle<Result<Bytes>> {
        self.line.handle.spawn(fetch(self.source.clone(), index))
    }
}

async fn fetch(source: Source, index: u64) -> Result<Bytes> {
    let Source {
        bucket,
        address,
        etag,
        size,
    } = source;
    let range = index * BLOCK..size.min((index + 1) * BLOCK);
    let length = range.end - range.start;
    let options = GetOptions {
        if_match: etag,
        range: Some(GetRange::Bounded(range)),
        ..GetOptions::default()
    };
    let failed = |error| explain(&address, "reading", error);
    let answer = bucket
        .get_opts(&key(&address), options)
        .await
        .map_err(failed)?;
    let whole = answer.meta.size;
    let bytes = answer.bytes().await.map_err(failed)?;
    if whole != size || bytes.len() as u64 != length {
        let problem = "the object has another length than the server said at first; wait until it is complete";
        return Err(Error::media(address.to_string(), problem));
    }
    Ok(bytes)
}
