//! What a camera's worker and the gateway say to each other, over a socket that is the worker's standard input.
//!
//! Each message is two lengths (u32, little endian), a JSON head of the first length and a body of the second. Bodies are
//! encoded redacted pictures. A peer that breaks these rules is cut off.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::audit::{ModelIdentity, Versions};

use super::config::camera::{Detect, Encode, Redact, Sub, Transport};
use super::config::secret::Secret;

/// Largest head in bytes.
const HEAD: u32 = 1 << 20;
/// Largest body in bytes: a picture of any size fits.
const BODY: u32 = 32 << 20;

/// Which of a camera's streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Stream {
    /// The camera's own size.
    Full,
    /// The smaller one.
    Sub,
}

/// Everything a worker needs to know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// The camera's name.
    pub name: String,
    /// The camera's address, without credentials.
    pub source: String,
    /// User at the camera.
    pub user: Option<String>,
    /// Password at the camera.
    pub password: Option<Secret>,
    /// PEM file of the certificate that the camera must show.
    pub certificate: Option<std::path::PathBuf>,
    /// How packets travel.
    pub transport: Transport,
    /// Milliseconds for which late packets are waited for.
    pub jitter: u32,
    /// Polygons that are always filled.
    pub zones: Vec<Vec<(f64, f64)>>,
    /// Least frames per second.
    pub min_fps: f64,
    /// Detection.
    pub detect: Detect,
    /// Redaction.
    pub redact: Redact,
    /// Encoding.
    pub encode: Encode,
    /// The smaller stream.
    pub sub: Option<Sub>,
    /// Width and height of the output in pixels, once they are known: what comes is fitted into them.
    pub size: Option<(u32, u32)>,
}

/// What the gateway tells a worker.
#[derive(Debug, Serialize, Deserialize)]
pub enum ToWorker {
    /// The first message.
    Start(Box<Job>),
    /// Somebody wants to begin with the next picture.
    KeyFrame,
}

/// What a worker counted since it started, and how it does.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    /// Frames redacted or filled.
    pub frames: u64,
    /// Frames filled for lack of an analysis.
    pub failed_closed: u64,
    /// Of these, frames that arrived damaged, or were made from such.
    #[serde(default)]
    pub damaged: u64,
    /// Frames dropped before redaction, under overload.
    pub dropped: u64,
    /// Regions redacted, by class.
    pub regions: BTreeMap<String, u64>,
    /// Seconds in the model.
    pub inference_seconds: f64,
    /// One of so many frames is analysed.
    pub detect_every: u32,
    /// Seconds from a picture's arrival to its leaving the encoder, lately.
    pub latency_seconds: f64,
    /// What was given up under overload; none: nothing.
    pub overload: Option<String>,
}

/// What finds and redacts, as the record tells it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Installed {
    /// Versions.
    pub versions: Versions,
    /// Models.
    pub models: Vec<ModelIdentity>,
    /// How far the process is confined.
    pub confinement: String,
}

/// What a worker tells the gateway.
#[derive(Debug, Serialize, Deserialize)]
pub enum FromWorker {
    /// What it works with; the first message.
    Installed(Installed),
    /// What the units of `stream` are from now on.
    Format {
        /// Which stream.
        stream: Stream,
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// One encoded picture, in the body: Annex B with its parameter sets before each key frame.
    Unit {
        /// Which stream.
        stream: Stream,
        /// When it was taken, in nanoseconds of the monotonic clock.
        time: u64,
        /// Whether decoding can begin here.
        key: bool,
        /// The camera's wall clock minus the monotonic clock in nanoseconds, where the camera tells.
        clock: Option<i64>,
    },
    /// A JPEG picture, in the body.
    Snapshot,
    /// How it does; once a second.
    Status(Counts),
    /// Why it ends.
    Failed {
        /// What happened.
        problem: String,
        /// Whether trying again soon would be of no use.
        lasting: bool,
    },
}

/// Writes one message.
///
/// Errors: the peer is gone, or the body is too large.
pub fn send(to: &mut impl Write, head: &impl Serialize, body: &[u8]) -> io::Result<()> {
    let head = serde_json::to_vec(head)?;
    let (Ok(head_length), Ok(body_length)) = (u32::try_from(head.len()), u32::try_from(body.len()))
    else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    if head_length > HEAD || body_length > BODY {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut start = Vec::with_capacity(8 + head.len());
    start.extend(head_length.to_le_bytes());
    start.extend(body_length.to_le_bytes());
    start.extend(head);
    to.write_all(&start)?;
    to.write_all(body)?;
    to.flush()
}

/// Reads one message.
///
/// Errors: the peer is gone, or says what is no message.
pub fn receive<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<(T, Vec<u8>)> {
    let mut lengths = [0u8; 8];
    from.read_exact(&mut lengths)?;
    let [a, b, c, d, e, f, g, h] = lengths;
    let (head, body) = (
        u32::from_le_bytes([a, b, c, d]),
        u32::from_le_bytes([e, f, g, h]),
    );
    if head > HEAD || body > BODY {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut read = |length: u32| {
        let mut bytes = vec![0; length as usize];
        from.read_exact(&mut bytes).map(|()| bytes)
    };
    let (head, body) = (read(head)?, read(body)?);
    Ok((serde_json::from_slice(&head)?, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_through_and_garbage_does_not() {
        let mut bytes = Vec::new();
        let unit = FromWorker::Unit {
            stream: Stream::Sub,
            time: 7,
            key: true,
            clock: Some(-3),
        };
        send(&mut bytes, &unit, b"picture").unwrap();
        send(&mut bytes, &FromWorker::Snapshot, b"").unwrap();
        let mut from = bytes.as_slice();
        let (head, body) = receive::<FromWorker>(&mut from).unwrap();
        assert!(matches!(
            head,
            FromWorker::Unit {
                time: 7,
                key: true,
                clock: Some(-3),
                ..
            }
        ));
        assert_eq!(body, b"picture");
        assert!(matches!(
            receive(&mut from).unwrap(),
            (FromWorker::Snapshot, _)
        ));
        assert!(receive::<FromWorker>(&mut from).is_err(), "the end");
        assert!(
            receive::<FromWorker>(&mut [0xff; 64].as_slice()).is_err(),
            "lengths beyond all bounds"
        );
        assert!(
            receive::<FromWorker>(&mut [2, 0, 0, 0, 0, 0, 0, 0, b'n', b'o'].as_slice()).is_err()
        );
        assert!(
            send(
                &mut Vec::new(),
                &FromWorker::Snapshot,
                &vec![0; BODY as usize + 1]
            )
            .is_err()
        );
    }
}
