//! An object written in parts, which appears complete or not at all.
//!
//! Muxers go back: to the file's first bytes at the end, and in Matroska to the beginning of the current cluster. So the
//! beginning is sent last, and what is written waits until no muxer returns to it.
//!
//! Invariants: nothing has the object's name before [`Ready::complete`]; an upload that is dropped before is aborted; memory
//! is bounded by the first part, what waits, and the parts on their way.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use object_store::aws::AmazonS3;
use object_store::multipart::{MultipartStore, PartId};
use object_store::{MultipartId, PutPayload};
use tokio::task::JoinHandle;

use super::address::Address;
use super::blocks::{BLOCK, Blocks};
use super::client::{Found, Line, Storage, explain, key};
use crate::error::{Error, Result};

/// Bytes at the beginning that are kept until the end: the first part.
const FIRST: usize = 2 * BLOCK as usize;
/// Parts on their way.
const ON_THEIR_WAY: usize = 2;
/// Parts after which they grow by [`FIRST`]: servers take ten thousand of them.
const GROWTH: usize = 1000;

/// Bytes of the part with `index`, from 0.
fn part_length(index: usize) -> usize {
    FIRST * (1 + index / GROWTH)
}

/// An upload that was begun.
pub struct Upload {
    // Dropped before the target, which aborts.
    on_their_way: OnTheirWay,
    target: Target,
    /// The first part.
    first: Vec<u8>,
    /// What follows what was sent, from `sent` on.
    tail: Vec<u8>,
    /// Bytes at the end of the tail that may still be written again.
    hold: usize,
    /// Where the tail begins.
    sent: u64,
    blocks: Blocks,
    parts: Vec<PartId>,
}

/// Parts that are being sent, the oldest first. A part that arrived after an abort would be left behind.
#[derive(Default)]
struct OnTheirWay(VecDeque<JoinHandle<Result<PartId>>>);

impl Drop for OnTheirWay {
    fn drop(&mut self) {
        for task in self.0.drain(..) {
            task.abort();
        }
    }
}

/// An upload of which everything was sent.
pub struct Ready {
    target: Target,
    parts: Vec<PartId>,
    /// Bytes.
    pub size: u64,
    /// BLAKE3 of the content, lower-case hexadecimal.
    pub blake3: String,
}

/// Where to; aborts what was not completed.
struct Target {
    bucket: Arc<AmazonS3>,
    address: Address,
    id: MultipartId,
    line: Line,
    over: bool,
}

impl Storage {
    /// Begins to write an object at `address`. The last `hold` bytes can be written again.
    ///
    /// Errors: [`Error::Media`]; [`Error::Interrupted`].
    pub fn upload(&self, address: &Address, hold: usize) -> Result<Upload> {
        let bucket = self.bucket(address)?;
        let line = self.line();
        let id = line.wait(async {
            bucket
                .create_multipart(&key(address))
                .await
                .map_err(|error| explain(address, "beginning to write", error))
        })?;
        Ok(Upload {
            target: Target {
                bucket,
                address: address.clone(),
                id,
                line,
                over: false,
            },
            first: Vec::new(),
            tail: Vec::new(),
            hold,
            sent: FIRST as u64,
            blocks: Blocks::default(),
            parts: Vec::new(),
            on_their_way: OnTheirWay::default(),
        })
    }

    /// Aborts the upload `id` to `address`, which a process that was killed has left; one that is over is fine, too.
    pub fn abort(&self, address: &Address, id: &str) {
        let Ok(bucket) = self.bucket(address) else {
            return;
        };
        abort(&self.line(), &bucket, address, &id.to_owned());
    }
}

fn abort(line: &Line, bucket: &AmazonS3, address: &Address, id: &MultipartId) {
    match line.wait_shortly(bucket.abort_multipart(&key(address), id)) {
        Some(Ok(()) | Err(object_store::Error::NotFound { .. })) => {}
        Some(Err(error)) => {
            let error = explain(address, "aborting the upload", error);
            tracing::warn!(%error, "parts of an unfinished upload may be left; the bucket's lifecycle rules can remove them");
        }
        None => {
            tracing::warn!(%address, "parts of an unfinished upload may be left; the server does not answer")
        }
    }
}

impl Upload {
    /// The server's name of the upload.
    pub fn id(&self) -> &str {
        &self.target.id
    }

    fn end(&self) -> u64 {
        if self.first.len() < FIRST {
            self.first.len() as u64
        } else {
            self.sent + self.tail.len() as u64
        }
    }

    /// Writes `bytes` at `offset`, over what is there or behind it.
    ///
    /// Errors: [`Error::Media`] when a part cannot be sent, or `offset` is where nothing can be written any more;
    /// [`Error::Interrupted`].
    pub fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        let wrong = |problem: String| Err(Error::media(self.target.address.to_string(), problem));
        let end = self.end();
        if offset > end {
            return wrong(format!(
                "internal error: byte {offset} written behind the end, {end}"
            ));
        }
        let in_first = (FIRST as u64)
            .saturating_sub(offset)
            .min(bytes.len() as u64) as usize;
        let (head, rest) = bytes.split_at(in_first);
        if !rest.is_empty() && offset + (in_first as u64) < self.sent {
            return wrong(format!(
                "the container's parts are too large to be written to object storage at this quality (the muxer returned \
                 to byte {offset} of {end}); use .mp4, or a lower quality"
            ));
        }
        if !head.is_empty() {
            put(&mut self.first, offset as usize, head);
        }
        if !rest.is_empty() {
            let at = offset + in_first as u64 - self.sent;
            put(&mut self.tail, at as usize, rest);
        }
        loop {
            let length = part_length(self.parts.len() + self.on_their_way.0.len() + 1);
            if self.tail.len() < length + self.hold {
                return Ok(());
            }
            let rest = self.tail.split_off(length);
            let part = std::mem::replace(&mut self.tail, rest);
            self.send(part)?;
        }
    }

    /// Sends a part that is not the first one.
    fn send(&mut self, part: Vec<u8>) -> Result<()> {
        while self.on_their_way.0.len() >= ON_THEIR_WAY {
            self.receive()?;
        }
        for (index, block) in part.chunks(BLOCK as usize).enumerate() {
            self.blocks.note(self.sent / BLOCK + index as u64, block);
        }
        self.sent += part.len() as u64;
        let index = 1 + self.parts.len() + self.on_their_way.0.len();
        let task = self.target.send(index, part.into());
        self.on_their_way.0.push_back(task);
        Ok(())
    }

    fn receive(&mut self) -> Result<()> {
        if let Some(task) = self.on_their_way.0.pop_front() {
            self.parts.push(self.target.receive(task)?);
        }
        Ok(())
    }

    /// Sends what is left.
    ///
    /// Errors: as of [`Upload::write`]; [`Error::Media`] when nothing was written.
    pub fn finish(mut self) -> Result<Ready> {
        if self.first.is_empty() {
            let problem = "nothing was written";
            return Err(Error::media(self.target.address.to_string(), problem));
        }
        let size = self.end();
        while !self.tail.is_empty() {
            let length = part_length(self.parts.len() + self.on_their_way.0.len() + 1);
            let rest = self.tail.split_off(length.min(self.tail.len()));
            let part = std::mem::replace(&mut self.tail, rest);
            self.send(part)?;
        }
        while !self.on_their_way.0.is_empty() {
            self.receive()?;
        }
        for (index, block) in self.first.chunks(BLOCK as usize).enumerate() {
            self.blocks.note(index as u64, block);
        }
        let first = self.target.send(0, std::mem::take(&mut self.first).into());
        let first = self.target.receive(first)?;
        self.parts.insert(0, first);
        let blake3 = self.blocks.root(size.div_ceil(BLOCK)).ok_or_else(|| {
            let problem = "internal error: a part was not hashed; please report it";
            Error::media(self.target.address.to_string(), problem)
        })?;
        Ok(Ready {
            parts: self.parts,
            size,
            blake3: blake3.to_hex().to_string(),
            target: self.target,
        })
    }
}

impl Ready {
    /// Gives the object its name.
    ///
    /// Errors: [`Error::Media`], also when what is there afterwards has another length; [`Error::Interrupted`].
    pub fn complete(mut self) -> Result<Found> {
        let Target {
            bucket,
            address,
            id,
            line,
            ..
        } = &self.target;
        let parts = std::mem::take(&mut self.parts);
        let found: Result<Found> = line.wait(async {
            let key = key(address);
            bucket
                .complete_multipart(&key, id, parts)
                .await
                .map_err(|error| explain(address, "completing the upload", error))?;
            let meta = object_store::ObjectStoreExt::head(bucket.as_ref(), &key)
                .await
                .map_err(|error| explain(address, "looking it up", error))?;
            Ok(meta.into())
        });
        let found = found?;
        self.target.over = true;
        if found.size != self.size {
            let problem = format!(
                "the object has {} bytes where {} were written; something else writes to it",
                found.size, self.size
            );
            return Err(Error::media(self.target.address.to_string(), problem));
        }
        Ok(found)
    }
}

impl Target {
    fn send(&self, index: usize, part: Bytes) -> JoinHandle<Result<PartId>> {
        let (bucket, address, id) = (self.bucket.clone(), self.address.clone(), self.id.clone());
        self.line.handle.spawn(async move {
            bucket
                .put_part(&key(&address), &id, index, PutPayload::from(part))
                .await
                .map_err(|error| explain(&address, "writing", error))
        })
    }

    fn receive(&self, task: JoinHandle<Result<PartId>>) -> Result<PartId> {
        self.line.wait(async {
            task.await.unwrap_or_else(|error| {
                Err(Error::media(self.address.to_string(), error.to_string()))
            })
        })
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if !self.over {
            abort(&self.line, &self.bucket, &self.address, &self.id);
        }
    }
}

/// Writes `bytes` at `at` of `buffer`, at most at its end.
fn put(buffer: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let inside = (buffer.len() - at).min(bytes.len());
    buffer[at..at + inside].copy_from_slice(&bytes[..inside]);
    buffer.extend_from_slice(&bytes[inside..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_suffice_for_the_largest_objects() {
        let all: u64 = (0..10_000).map(|index| part_length(index) as u64).sum();
        assert!(all > 400 << 30, "{all}");
        assert_eq!(part_length(0), FIRST);
        assert!((0..10_000).all(|index| (part_length(index) as u64).is_multiple_of(BLOCK)));
    }

    #[test]
    fn writing_goes_over_and_beyond() {
        let mut buffer = vec![1, 2, 3];
        put(&mut buffer, 1, &[7]);
        put(&mut buffer, 2, &[8, 9]);
        put(&mut buffer, 4, &[5]);
        assert_eq!(buffer, [1, 7, 8, 9, 5]);
    }
}
