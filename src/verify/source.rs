//! Reading a file by places, and noting what is wrong with it.

use std::fs::File;
use std::io;
use std::ops::Range;

use super::{Finding, Inspection, MOST_FINDINGS};
use crate::credentials::{self, Format};

/// Bytes that can be read at any place.
pub trait Source: Sync {
    /// How many there are.
    ///
    /// Errors: those of the system.
    fn length(&self) -> io::Result<u64>;

    /// Fills `buffer` from `offset` on.
    ///
    /// Errors: those of the system; also when there are fewer bytes.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;
}

impl Source for File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(self, buffer, offset)
    }
}

impl Source for &[u8] {
    fn length(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let part = usize::try_from(offset)
            .ok()
            .and_then(|from| self.get(from..from.checked_add(buffer.len())?))
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(part);
        Ok(())
    }
}

/// The largest part that is read at once: a coded picture, an index.
const LARGEST: u64 = 256 << 20;

/// The walk through one file.
pub struct Walk<'a> {
    source: &'a dyn Source,
    /// Length of the file.
    pub length: u64,
    inspection: Inspection,
    credentials: Option<Credentials>,
}

/// Content credentials that are still to be checked.
pub struct Credentials {
    /// Where they lie in the file, with what is about them.
    pub place: Range<u64>,
    /// The structure they are in.
    pub within: &'static str,
    /// The boxes that they consist of.
    pub jumbf: Vec<u8>,
}

/// A file read from one place on, for what reads so.
pub struct Reading<'a> {
    source: &'a dyn Source,
    length: u64,
    at: u64,
}

impl io::Read for Reading<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let there = self.length.saturating_sub(self.at);
        let count = usize::try_from(there)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        self.source.read_at(self.at, &mut buffer[..count])?;
        self.at += count as u64;
        Ok(count)
    }
}

impl io::Seek for Reading<'_> {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        let at = match to {
            io::SeekFrom::Start(at) => Some(at),
            io::SeekFrom::End(by) => self.length.checked_add_signed(by),
            io::SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

impl<'a> Walk<'a> {
    pub fn new(source: &'a dyn Source) -> io::Result<Self> {
        Ok(Self {
            source,
            length: source.length()?,
            inspection: Inspection::default(),
            credentials: None,
        })
    }

    /// The `length` bytes from `offset` on; None, with a finding, when there are fewer or they are too many.
    pub fn take(&mut self, offset: u64, length: u64, place: &str) -> io::Result<Option<Vec<u8>>> {
        let there = self.length.saturating_sub(offset);
        if length > there {
            let problem = format!("it should have {length} bytes, the file has only {there} more");
            self.report(offset, place, problem);
            return Ok(None);
        }
        if length > LARGEST {
            self.report(offset, place, format!("{length} bytes are too many"));
            return Ok(None);
        }
        Ok(Some(self.up_to(offset, length)?))
    }

    /// At most `length` bytes from `offset` on, which may lie behind the end.
    pub fn up_to(&self, offset: u64, length: u64) -> io::Result<Vec<u8>> {
        let offset = offset.min(self.length);
        let length = length.min(self.length.saturating_sub(offset)).min(LARGEST);
        let mut bytes = vec![0; length as usize];
        self.source.read_at(offset, &mut bytes)?;
        Ok(bytes)
    }

    /// Keeps content credentials for a check once the format is known; false when there are some already.
    pub fn credentials(&mut self, found: Credentials) -> bool {
        let is_first = self.credentials.is_none();
        self.credentials.get_or_insert(found);
        is_first
    }

    /// Notes a finding; one about what lies behind the end is at the end.
    pub fn report(&mut self, offset: u64, place: impl Into<String>, problem: impl Into<String>) {
        if !self.is_full() {
            self.inspection.findings.push(Finding {
                offset: offset.min(self.length),
                place: place.into(),
                problem: problem.into(),
            });
        }
    }

    /// True when there are so many findings that more say nothing.
    pub fn is_full(&self) -> bool {
        self.inspection.findings.len() >= MOST_FINDINGS
    }

    pub fn format(&mut self, name: &str) {
        name.clone_into(&mut self.inspection.format);
    }

    /// Notes a track; one that should not be there is a finding.
    pub fn track(&mut self, offset: u64, place: &str, kind: &str, coding: &str) {
        match kind {
            "video" if self.has_video() => {
                self.report(offset, place, "there is a second video track");
            }
            "video" | "audio" => {}
            _ => self.report(offset, place, format!("there is a {kind} track")),
        }
        self.inspection.tracks.push(format!("{kind} {coding}"));
    }

    fn has_video(&self) -> bool {
        let mut tracks = self.inspection.tracks.iter();
        tracks.any(|track| track.starts_with("video"))
    }

    pub fn packet(&mut self) {
        self.inspection.packets += 1;
    }

    /// Checks the content credentials, if there are any.
    fn check_credentials(&mut self) {
        let Some(found) = self.credentials.take() else {
            return;
        };
        let format = match self.inspection.format.as_str() {
            "JPEG" => Format::Jpeg,
            "QuickTime" => Format::QuickTime,
            _ => Format::Mp4,
        };
        let reading = Reading {
            source: self.source,
            length: self.length,
            at: 0,
        };
        let start = found.place.start;
        match credentials::check(reading, format, &found.jumbf, found.place) {
            Ok(signed) => self.inspection.credentials = Some(signed),
            Err(problem) => self.report(start, found.within, problem),
        }
    }

    pub fn done(mut self) -> Inspection {
        self.check_credentials();
        let video = matches!(
            self.inspection.format.as_str(),
            "MP4" | "QuickTime" | "Matroska" | "WebM"
        );
        if video && !self.has_video() {
            self.report(0, "file", "there is no video track");
        }
        self.inspection
            .findings
            .sort_by_key(|finding| finding.offset);
        self.inspection
    }
}

/// Some bytes for people: texts as texts, the rest in hexadecimal, and not too many of them.
pub fn show(bytes: &[u8]) -> String {
    let part = &bytes[..bytes.len().min(48)];
    let dots = if part.len() < bytes.len() { "..." } else { "" };
    let printable = part
        .iter()
        .filter(|byte| (0x20..0x7f).contains(*byte))
        .count();
    if printable * 10 >= part.len() * 8 {
        let text: String = part
            .iter()
            .map(|&byte| {
                if (0x20..0x7f).contains(&byte) {
                    byte as char
                } else {
                    '.'
                }
            })
            .collect();
        return format!("\"{text}{dots}\"");
    }
    let digits: Vec<String> = part
        .iter()
        .take(24)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("{}{dots}", digits.join(" "))
}
