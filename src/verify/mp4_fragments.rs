//! Fragmented MP4, as recordings are: the boxes of fragments, which pictures they hold, and indexes over them.
//!
//! Sources: ISO/IEC 14496-12, 8.8 and 8.16.3; what `mp4mux` of GStreamer writes.

use super::mp4::{name, next_box, number};
use super::mp4_leaf::sized;
use super::mp4_samples::Track;
use super::source::{Walk, show};

/// The largest head of a fragment that is read: of a day without a key frame.
pub const LARGEST: u64 = 64 << 20;
/// The longest time that a field may state, in seconds: a file is a day long at most.
const LONGEST: u64 = 25 * 3600;
/// The longest that a picture may be shown, or be moved against its place in the file, in seconds.
const LONGEST_PICTURE: u64 = 600;
/// What a sample may be: the start of a group of pictures or none, as mp4mux writes them.
const SAMPLE_FLAGS: [u32; 2] = [0x40, 0x1_00c0];

type Found = (usize, String, String);

/// What was seen of a file's fragments.
#[derive(Default)]
pub struct Fragments {
    /// Place and decode time of each.
    seen: Vec<(u64, u64)>,
    sequence: u32,
    /// Place, kind and content of indexes, looked at in the end.
    indexes: Vec<(u64, u64, [u8; 4], Vec<u8>)>,
}

/// Eight or four bytes at `at`, by `wide`.
fn either(bytes: &[u8], at: usize, wide: bool) -> Option<u64> {
    if wide {
        let eight = bytes.get(at..at + 8)?.try_into().ok()?;
        return Some(u64::from_be_bytes(eight));
    }
    number(bytes, at).map(u64::from)
}

fn must(is: bool, problem: &str, body: &[u8]) -> Result<(), String> {
    if is {
        return Ok(());
    }
    Err(format!("{problem}: {}", show(body)))
}

/// Checks `mehd`, the length of all fragments; `scale` is the movie's units a second.
pub fn mehd(body: &[u8], scale: u64) -> Result<(), String> {
    time(body, scale, "it states no possible length").map(drop)
}

/// Checks `trex`: fragments say everything themselves.
pub fn trex(body: &[u8], id: u32) -> Result<(), String> {
    sized(body, 24)?;
    let plain = body[..4] == [0; 4]
        && number(body, 4) == Some(id)
        && number(body, 8) == Some(1)
        && body[12..] == [0; 12];
    must(plain, "it states defaults", body)
}

impl Fragments {
    /// Notes an index over fragments, at `at` and as long as `size`, for [`finish`](Self::finish).
    pub fn index(&mut self, at: u64, size: u64, kind: [u8; 4], body: Vec<u8>) {
        self.indexes.push((at, size, kind, body));
    }

    /// Checks the content `body` of a `moof` at `at`, which begins at `inside`, and notes what it says of `track`.
    pub fn head(
        &mut self,
        walk: &mut Walk<'_>,
        (at, inside): (u64, u64),
        body: &[u8],
        tracks: &mut [Track],
    ) {
        let [track] = tracks else {
            return walk.report(
                at,
                "moof",
                "fragments of a file that has not exactly one track",
            );
        };
        if let Err((offset, place, problem)) = self.moof(at, body, track) {
            walk.report(inside + offset as u64, place, problem);
        }
    }

    fn moof(&mut self, at: u64, body: &[u8], track: &mut Track) -> Result<(), Found> {
        let found = |offset: usize, place: &str| {
            let place = place.to_owned();
            move |problem: String| (offset, place, problem)
        };
        let [(head, head_at), (traf, traf_at)] = children(body, 0, "moof", [*b"mfhd", *b"traf"])?;
        sized(head, 8).map_err(found(head_at, "moof/mfhd"))?;
        let next = number(head, 4) == Some(self.sequence + 1) && head[..4] == [0; 4];
        must(next, "it does not follow the fragment before it", head)
            .map_err(found(head_at, "moof/mfhd"))?;
        self.sequence += 1;
        let [(tfhd, tfhd_at), (tfdt, tfdt_at), (trun, trun_at)] =
            children(traf, traf_at, "moof/traf", [*b"tfhd", *b"tfdt", *b"trun"])?;
        let defaults = defaults(tfhd, track.id).map_err(found(tfhd_at, "moof/traf/tfhd"))?;
        let scale = track.scale();
        let time = time(tfdt, scale, "a time that is too late")
            .map_err(found(tfdt_at, "moof/traf/tfdt"))?;
        if self.seen.last().is_some_and(|(_, last)| *last > time) {
            let problem = "its time lies before the fragment before it".to_owned();
            return Err((tfdt_at, "moof/traf/tfdt".to_owned(), problem));
        }
        self.seen.push((at, time));
        run(trun, at, &defaults, track).map_err(found(trun_at, "moof/traf/trun"))
    }

    /// Checks the indexes, which may lie before and after what they are about. `end` is the file's length.
    pub fn finish(&self, walk: &mut Walk<'_>, tracks: &[Track], end: u64) {
        let id = tracks.first().map_or(0, |track| track.id);
        let scale = tracks.first().map_or(0, Track::scale);
        for (at, size, kind, body) in &self.indexes {
            let outcome = match kind {
                b"mfra" => self.random_access(*size, body, id),
                _ => self.segment_index(at + size, body, (id, scale), end),
            };
            if let Err(problem) = outcome {
                walk.report(*at, name(*kind), problem);
            }
        }
    }

    /// `mfra`: where the fragments are, and how long it is itself.
    fn random_access(&self, size: u64, body: &[u8], id: u32) -> Result<(), String> {
        let [(tfra, _), (mfro, _)] = children(body, 0, "mfra", [*b"tfra", *b"mfro"])
            .map_err(|(_, place, problem)| format!("{place}: {problem}"))?;
        let own =
            mfro.len() == 8 && mfro[..4] == [0; 4] && number(mfro, 4).map(u64::from) == Some(size);
        must(own, "mfro: it does not state its length", mfro)?;
        let wide = tfra.first() == Some(&1);
        let head = [u8::from(wide), 0, 0, 0];
        let plain = tfra.get(..4) == Some(&head[..])
            && number(tfra, 4) == Some(id)
            && number(tfra, 8) == Some(0);
        must(plain, "tfra: its head is unusual", tfra)?;
        let count = number(tfra, 12).ok_or("tfra: it is too short")? as usize;
        let (width, each) = if wide { (8, 19) } else { (4, 11) };
        sized(tfra, count.saturating_mul(each).saturating_add(16))?;
        for entry in tfra[16..].chunks_exact(each) {
            let (time, place) = (either(entry, 0, wide), either(entry, width, wide));
            let known = self
                .seen
                .iter()
                .any(|&(at, begin)| Some(at) == place && Some(begin) <= time);
            let near = time.is_some_and(|time| self.within(time));
            must(
                known && near && entry[2 * width..] == [1, 1, 1],
                "tfra: it names no fragment",
                entry,
            )?;
        }
        Ok(())
    }

    /// Whether `time` lies among those of the fragments, or about one of them after the last.
    fn within(&self, time: u64) -> bool {
        let last = self.seen.last().map_or(0, |(_, time)| *time);
        let first = self.seen.first().map_or(0, |(_, time)| *time);
        time <= last.saturating_add(last - first).saturating_add(1 << 16)
    }

    /// `sidx`: how large and long the fragments behind it are.
    fn segment_index(
        &self,
        anchor: u64,
        body: &[u8],
        (id, scale): (u32, u64),
        end: u64,
    ) -> Result<(), String> {
        let wide = body.first() == Some(&1);
        let times = if wide { 16 } else { 8 };
        let head = [u8::from(wide), 0, 0, 0];
        let plain = body.get(..4) == Some(&head[..])
            && number(body, 4) == Some(id)
            && number(body, 8).map(u64::from) == Some(scale)
            && either(body, 12, wide).is_some_and(|time| self.within(time))
            && either(body, 12 + times / 2, wide) == Some(0)
            && body.get(12 + times..14 + times) == Some(&[0, 0]);
        must(plain, "its head is unusual", body)?;
        let entries = 16 + times;
        let count = body[14 + times..]
            .first_chunk::<2>()
            .ok_or("it is too short")?;
        let count = usize::from(u16::from_be_bytes(*count));
        sized(body, entries + count * 12)?;
        let mut at = anchor;
        for entry in body[entries..].chunks_exact(12) {
            let begins = self.seen.iter().any(|(place, _)| *place == at);
            at += u64::from(number(entry, 0).unwrap_or(0));
            let ends = at == end || self.seen.iter().any(|(place, _)| *place == at);
            let lasts = number(entry, 4).map_or(u64::MAX, u64::from);
            let possible = begins
                && ends
                && lasts <= LONGEST_PICTURE.saturating_mul(scale)
                && matches!(entry[8..], [0x00 | 0x80 | 0x90, 0, 0, 0]);
            must(possible, "it names no fragment", entry)?;
        }
        Ok(())
    }
}

/// The boxes of `body`, which must be of `kinds` in this order, each with its place from the start of the fragment's
/// content; `base` is where `body` begins there.
fn children<'a, const COUNT: usize>(
    body: &'a [u8],
    base: usize,
    place: &str,
    kinds: [[u8; 4]; COUNT],
) -> Result<[(&'a [u8], usize); COUNT], Found> {
    let mut at = 0;
    let mut all = [(&body[..0], 0); COUNT];
    for (wanted, kind) in all.iter_mut().zip(kinds) {
        let (found, inside, after) = next_box(body, at).ok_or_else(|| {
            let problem = format!("{} is missing: {}", name(kind), show(&body[at..]));
            (base + at, place.to_owned(), problem)
        })?;
        if found != kind {
            let problem = format!(
                "{} bytes that are not expected: {}",
                after - inside,
                show(&body[inside..after])
            );
            return Err((base + at, format!("{place}/{}", name(found)), problem));
        }
        *wanted = (&body[inside..after], base + inside);
        at = after;
    }
    if at < body.len() {
        let found = next_box(body, at).map(|(kind, ..)| format!("/{}", name(kind)));
        let problem = format!(
            "{} bytes that are not expected: {}",
            body.len() - at,
            show(&body[at..])
        );
        let place = format!("{place}{}", found.unwrap_or_default());
        return Err((base + at, place, problem));
    }
    Ok(all)
}

/// The time, in units of which `scale` are a second, that is all of the content of a box; `problem` is what is wrong with one
/// that is too long.
fn time(body: &[u8], scale: u64, problem: &str) -> Result<u64, String> {
    let wide = body.first() == Some(&1);
    sized(body, if wide { 12 } else { 8 })?;
    must(
        body[..4] == [u8::from(wide), 0, 0, 0],
        "its head is unusual",
        body,
    )?;
    let time = either(body, 4, wide).unwrap_or(u64::MAX);
    must(time <= LONGEST.saturating_mul(scale), problem, body)?;
    Ok(time)
}

/// What a fragment's head states for all of its samples, where each does not: duration, size, flags.
type Defaults = [Option<u32>; 3];

/// Of which track the fragment is, and what it states of all samples. Media data is told from the start of the fragment.
fn defaults(body: &[u8], id: u32) -> Result<Defaults, String> {
    let flags = number(body, 0).ok_or("it is too short")?;
    must(
        flags & !0x2_0038 == 0 && number(body, 4) == Some(id),
        "it is of no track, or unusual",
        body,
    )?;
    let mut at = 8;
    let fields = [0x8, 0x10, 0x20].map(|flag| {
        (flags & flag != 0).then(|| {
            at += 4;
            number(body, at - 4).unwrap_or(u32::MAX)
        })
    });
    sized(body, at)?;
    Ok(fields)
}

/// The pictures of a fragment: their lengths in bytes and in time, and whether a group begins with them.
fn run(body: &[u8], moof: u64, defaults: &Defaults, track: &mut Track) -> Result<(), String> {
    const FIELDS: [u32; 4] = [0x100, 0x200, 0x400, 0x800];
    let head = number(body, 0).ok_or("it is too short")?;
    let (version, flags) = (head >> 24, head & 0xff_ffff);
    // The place of the data is there; what is not said of each sample is in the fragment's head, but the distance to when
    // it is shown, which is none then.
    must(
        version <= 1 && flags & !0xf05 == 0 && flags & 1 == 1,
        "its head is unusual",
        body,
    )?;
    let each = FIELDS.iter().filter(|field| flags & *field != 0).count() * 4;
    let count = number(body, 4).ok_or("it is too short")? as usize;
    // The first sample's flags may stand apart.
    let first = (flags & 4 != 0).then(|| number(body, 12).unwrap_or(u32::MAX));
    let head = if first.is_some() { 16 } else { 12 };
    sized(body, count.saturating_mul(each).saturating_add(head))?;
    let twice = (0..3).any(|field| defaults[field].is_some() && flags & FIELDS[field] != 0);
    let flags_fit = [first, defaults[2]]
        .iter()
        .flatten()
        .all(|kind| SAMPLE_FLAGS.contains(kind));
    must(
        !twice && flags_fit && count > 0 && (each > 0 || count == 1),
        "it says too little of its samples, or something twice",
        body,
    )?;
    let offset = number(body, 8).map_or(0, u64::from);
    let mut from = moof.saturating_add(offset);
    let most = LONGEST_PICTURE.saturating_mul(track.scale());
    for index in 0..count {
        let sample = &body[head + index * each..head + (index + 1) * each];
        let mut at = 0;
        let [duration, size, kind, shift] = [0, 1, 2, 3].map(|field| {
            if flags & FIELDS[field] == 0 {
                return defaults.get(field).map_or(Some(0), |value| *value);
            }
            at += 4;
            number(sample, at - 4)
        });
        let (Some(duration), Some(size), Some(kind), Some(shift)) = (duration, size, kind, shift)
        else {
            return Err("it says too little of its samples".into());
        };
        let kind = first.filter(|_| index == 0).unwrap_or(kind);
        let possible = u64::from(duration) <= most
            && SAMPLE_FLAGS.contains(&kind)
            && u64::from(shift.cast_signed().unsigned_abs()) <= most;
        must(possible, "a picture of unusual length or kind", body)?;
        track.add_sample(from, u64::from(size));
        from = from.saturating_add(u64::from(size));
    }
    Ok(())
}
