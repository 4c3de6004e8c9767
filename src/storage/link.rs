//! Objects for a process that may connect to nothing: another one reads and writes for it, over a socket between the two.
//!
//! The process that decodes gets one object to read, one to write, or both. It knows neither where they are nor any
//! credentials, and can name no others.
//!
//! A request is a letter, an offset and a length, followed by the bytes to write; an answer is a letter and a length,
//! followed by bytes or the text of an error. Numbers are big-endian.

use std::collections::VecDeque;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::read::Object;
use super::upload::Upload;
use crate::error::{Error, Result};

const LENGTH: u8 = b'l';
const READ: u8 = b'r';
const WRITE: u8 = b'w';
const OK: u8 = b'y';
const FAILED: u8 = b'n';

/// Bytes asked for at a time.
const WINDOW: u64 = 1 << 20;
/// Windows in memory.
const KEPT: usize = 4;
/// The most bytes of a message.
const MOST: u32 = 64 << 20;

/// The process's own end.
#[derive(Debug)]
pub struct Link {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    stream: UnixStream,
    length: Option<u64>,
    kept: VecDeque<(u64, Vec<u8>)>,
}

impl Link {
    /// The socket that this process got as its standard input.
    ///
    /// Errors: [`Error::Media`] when it is none.
    pub fn inherited() -> Result<Arc<Self>> {
        let own = io::stdin()
            .as_fd()
            .try_clone_to_owned()
            .map(UnixStream::from)
            .and_then(|stream| stream.peer_addr().map(|_| stream))
            .map_err(|error| {
                let problem =
                    format!("objects are read and written by `floutage batch` only ({error})");
                Error::media("object storage", problem)
            })?;
        Ok(Self::new(own))
    }

    fn new(stream: UnixStream) -> Arc<Self> {
        let state = State {
            stream,
            length: None,
            kept: VecDeque::new(),
        };
        Arc::new(Self {
            state: Mutex::new(state),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes of the object that is read.
    pub fn length(&self) -> io::Result<u64> {
        let mut state = self.state();
        if let Some(known) = state.length {
            return Ok(known);
        }
        let answer = state.ask(LENGTH, 0, 0, &[])?;
        let length = answer
            .try_into()
            .map(u64::from_be_bytes)
            .map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        state.length = Some(length);
        Ok(length)
    }

    /// Fills `buffer` with what is read from `offset` on; less at the end.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.length()?;
        let mut state = self.state();
        let mut done = 0;
        while done < buffer.len() && offset + (done as u64) < length {
            let at = offset + done as u64;
            let window = state.window(at / WINDOW, length)?;
            let inside = window.get((at % WINDOW) as usize..).unwrap_or_default();
            let count = inside.len().min(buffer.len() - done);
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            buffer[done..done + count].copy_from_slice(&inside[..count]);
            done += count;
        }
        Ok(done)
    }

    /// Writes `bytes` at `offset` of the object that is written.
    pub fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.state().ask(WRITE, offset, bytes.len() as u32, bytes)?;
        Ok(())
    }
}

impl State {
    fn ask(&mut self, what: u8, offset: u64, length: u32, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut request = vec![what];
        request.extend(offset.to_be_bytes());
        request.extend(length.to_be_bytes());
        self.stream.write_all(&request)?;
        self.stream.write_all(bytes)?;
        let mut head = [0; 5];
        self.stream.read_exact(&mut head)?;
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
        let mut answer = vec![0; length.min(MOST) as usize];
        self.stream.read_exact(&mut answer)?;
        match head[0] {
            OK => Ok(answer),
            _ => Err(io::Error::other(
                String::from_utf8_lossy(&answer).into_owned(),
            )),
        }
    }

    fn window(&mut self, index: u64, length: u64) -> io::Result<&[u8]> {
        let found = match self.kept.iter().position(|(kept, _)| *kept == index) {
            Some(at) => self.kept.remove(at),
            None => None,
        };
        let window = match found {
            Some(window) => window,
            None => {
                let (from, to) = (index * WINDOW, length.min((index + 1) * WINDOW));
                (index, self.ask(READ, from, (to - from) as u32, &[])?)
            }
        };
        if self.kept.len() >= KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(window);
        Ok(self.kept.back().map_or(&[], |(_, bytes)| bytes))
    }
}

/// The object that a [`Link`] reads, as a file.
pub struct Reader {
    link: Arc<Link>,
    length: u64,
    at: u64,
}

impl Reader {
    /// At its beginning.
    pub fn new(link: Arc<Link>) -> io::Result<Self> {
        let length = link.length()?;
        Ok(Self {
            link,
            length,
            at: 0,
        })
    }
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.link.read_at(self.at, buffer)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Reader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.length.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = target.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

/// Reads `object` and writes to `upload` for the process at the other end of `stream`, until that one ends.
///
/// Errors: the first failure of the storage, of which the other process was told as well.
pub fn serve(
    mut stream: UnixStream,
    object: Option<&Object>,
    mut upload: Option<&mut Upload>,
) -> Result<()> {
    let mut outcome = Ok(());
    let mut bytes = Vec::new();
    // What the other process does wrong ends the connection, and with it the file.
    while let Some(request) = request(&mut stream, &mut bytes) {
        let answer = answer(request, &bytes, object, upload.as_deref_mut());
        let (letter, said) = match answer {
            Ok(said) => (OK, said),
            Err(error) => {
                let text = error.to_string();
                if outcome.is_ok() {
                    outcome = Err(error);
                }
                (FAILED, text.into())
            }
        };
        let mut head = vec![letter];
        head.extend((said.len() as u32).to_be_bytes());
        if stream
            .write_all(&head)
            .and_then(|()| stream.write_all(&said))
            .is_err()
        {
            break;
        }
    }
    outcome
}

struct Request {
    what: u8,
    offset: u64,
    length: u32,
}

fn request(stream: &mut UnixStream, bytes: &mut Vec<u8>) -> Option<Request> {
    let mut head = [0; 13];
    stream.read_exact(&mut head).ok()?;
    let (offset, length) = head[1..].split_at(8);
    let request = Request {
        what: head[0],
        offset: u64::from_be_bytes(offset.try_into().ok()?),
        length: u32::from_be_bytes(length.try_into().ok()?),
    };
    if request.length > MOST {
        return None;
    }
    bytes.clear();
    if request.what == WRITE {
        bytes.resize(request.length as usize, 0);
        stream.read_exact(bytes).ok()?;
    }
    Some(request)
}

fn answer(
    request: Request,
    bytes: &[u8],
    object: Option<&Object>,
    upload: Option<&mut Upload>,
) -> Result<bytes::Bytes> {
    match (request.what, object, upload) {
        (LENGTH, Some(object), _) => Ok(object.found().size.to_be_bytes().to_vec().into()),
        (READ, Some(object), _) => object.read(request.offset, request.length as usize),
        (WRITE, _, Some(upload)) => {
            upload.write(request.offset, bytes)?;
            Ok(bytes::Bytes::new())
        }
        _ => Err(Error::media(
            "object storage",
            "there is no such object for this process",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_without_objects_is_told_so() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let server = std::thread::spawn(move || serve(ours, None, None));
        let link = Link::new(theirs);
        for outcome in [link.length().map(|_| ()), link.write_at(0, b"x")] {
            assert!(outcome.unwrap_err().to_string().contains("no such object"));
        }
        drop(link);
        assert!(server.join().unwrap().is_err());
    }

    #[test]
    fn noise_ends_the_connection() {
        for noise in [&[WRITE; 13][..], &[0; 5], &[0xff; 13]] {
            let (ours, mut theirs) = UnixStream::pair().unwrap();
            theirs.write_all(noise).unwrap();
            theirs.shutdown(std::net::Shutdown::Write).unwrap();
            assert!(serve(ours, None, None).is_ok());
        }
    }
}
