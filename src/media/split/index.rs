//! Where a video can be cut: a walk through its packets, of which none is decoded.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gst::prelude::*;

use super::{Chunk, Split};
use crate::error::{Error, Result};
use crate::media::container::check_whole;
use crate::media::counters::Counters;
use crate::media::guard::Guard;
use crate::media::pipeline::Pipeline;
use crate::media::probes::{note_end, note_moves};
use crate::media::repair::shown;
use crate::media::report::Stop;
use crate::media::run::run;
use crate::media::source::{Kind, note_stated_length, stay_inside};
use crate::media::transfer::Input;
use crate::media::video::ends_early;
use crate::media::window::{COMPARED, times_of};
use crate::media::wiring::{discard, make, pad, wiring};

/// Most chunks of a video: the process of each reads the file up to its beginning.
pub const MOST_CHUNKS: u64 = 64;
/// Containers of which each packet holds one picture, and says when it is shown and whether decoding can begin with it.
const CONTAINERS: &[&str] = &["qtdemux", "matroskademux"];

/// A packet: when its picture is shown in nanoseconds, None when it is not, and whether decoding can begin there.
type Packet = (Option<u64>, bool);

#[derive(Default)]
struct Seen {
    /// As the container marks them.
    keys: Vec<bool>,
    times: Vec<Option<u64>>,
    segment: Option<gst::FormattedSegment<gst::ClockTime>>,
    segments: usize,
    /// A packet did not say when it is shown.
    untimed: bool,
}

type Shared = Arc<Mutex<Seen>>;

fn locked(seen: &Shared) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The chunks of the video `input`, each of at least `seconds`, but the last one of half that; a single one where it is short.
///
/// Errors: input that cannot be read.
pub fn cuts(input: &Path, seconds: u64, stop: &Stop) -> Result<Split<Vec<Chunk>>> {
    let source = Input::file(input);
    if crate::media::gif::is_gif(&source) {
        return Ok(Err("it is an animated picture".into()));
    }
    if let Some(damage) = check_whole(&source)? {
        return Ok(Err(damage));
    }
    let seen = Shared::default();
    let pipeline = build(&source, &seen)?;
    let outcome = run(&input.display().to_string(), &pipeline, stop, &mut |_| {})?;
    if let Some(damage) = ends_early(&pipeline, outcome.duration) {
        return Ok(Err(damage));
    }
    let seen = locked(&seen);
    let problem = if outcome.damaged {
        Some("its container is damaged")
    } else if seen.keys.is_empty() {
        Some("its container does not say enough of its packets; MP4, MOV, MKV and WebM do")
    } else if seen.segments != 1 {
        Some("its container gives it more than one time line, as edit lists do")
    } else if seen.untimed {
        Some("not every picture says when it is shown")
    } else if seen.keys.len() != seen.times.len() {
        Some("its packets do not hold one picture each")
    } else {
        None
    };
    if let Some(problem) = problem {
        return Ok(Err(problem.into()));
    }
    let packets: Vec<Packet> = seen
        .times
        .iter()
        .copied()
        .zip(seen.keys.iter().copied())
        .collect();
    Ok(choose(&packets, seconds.saturating_mul(1_000_000_000)))
}

fn build(input: &Input, seen: &Shared) -> Result<Pipeline> {
    let pipeline = gst::Pipeline::new();
    let counters = Arc::new(Counters::default());
    let guard = Guard::new(input.name().display().to_string(), &pipeline);
    let (source, parse) = (input.element()?, make("parsebin")?);
    note_moves(&pad(&source, "src")?, &counters, &guard);
    stay_inside(&parse, &guard);
    pipeline
        .add_many([&source, &parse])
        .and_then(|()| source.link(&parse))
        .map_err(wiring)?;
    note_stated_length(&pipeline, counters.clone());
    note_keys(&pipeline, seen, &guard);
    let (taken, all, asked) = (AtomicBool::new(false), seen.clone(), guard.clone());
    let ends = counters.clone();
    parse.connect_pad_added(move |_, source| {
        let _ = asked.run(|| {
            let pipeline = asked.pipeline().ok_or(Error::Interrupted)?;
            note_end(source, &ends, &asked);
            if is_video(source) && !taken.swap(true, Ordering::Relaxed) {
                note_times(source, &all, &asked);
            }
            let sink = discard()?;
            pipeline.add(&sink).map_err(wiring)?;
            sink.sync_state_with_parent().map_err(wiring)?;
            source
                .link(&pad(&sink, "sink")?)
                .map_err(|error| Error::media(asked.input(), error.to_string()))?;
            Ok(())
        });
    });
    Ok(Pipeline {
        pipeline,
        counters,
        guard,
        bin: None,
        detect: None,
    })
}

fn is_video(pad: &gst::Pad) -> bool {
    let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
    Kind::of(&caps) == Kind::Video
}

/// Notes which packets the container marks as those where decoding can begin; parsers say it of too many.
fn note_keys(pipeline: &gst::Pipeline, seen: &Shared, guard: &Arc<Guard>) {
    let (taken, seen, guard) = (
        Arc::new(AtomicBool::new(false)),
        seen.clone(),
        guard.clone(),
    );
    pipeline.connect_deep_element_added(move |_, _, element| {
        let known = element
            .factory()
            .is_some_and(|factory| CONTAINERS.contains(&factory.name().as_str()));
        if !known {
            return;
        }
        let (taken, seen, guard) = (taken.clone(), seen.clone(), guard.clone());
        element.connect_pad_added(move |_, pad| {
            if !is_video(pad) || taken.swap(true, Ordering::Relaxed) {
                return;
            }
            let seen = seen.clone();
            guard.probe(pad, gst::PadProbeType::BUFFER, move |_, info| {
                if let Some(buffer) = info.buffer() {
                    let key = !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
                    locked(&seen).keys.push(key);
                }
                Ok(gst::PadProbeReturn::Ok)
            });
        });
    });
}

/// Notes when the picture of each packet that passes `pad` is shown.
fn note_times(pad: &gst::Pad, seen: &Shared, guard: &Arc<Guard>) {
    let all = gst::PadProbeType::BUFFER | gst::PadProbeType::EVENT_DOWNSTREAM;
    let seen = seen.clone();
    guard.probe(pad, all, move |_, info| {
        let mut seen = locked(&seen);
        if let Some(event) = info.event()
            && let gst::EventView::Segment(segment) = event.view()
        {
            seen.segment = segment.segment().downcast_ref().cloned();
            seen.segments += 1;
        }
        if let Some(buffer) = info.buffer() {
            let hidden = buffer.flags().contains(gst::BufferFlags::DECODE_ONLY);
            let time = match (&seen.segment, buffer.pts()) {
                (Some(part), Some(pts)) => shown(part, pts, buffer.duration()),
                _ => {
                    seen.untimed = true;
                    None
                }
            };
            let time = time.map(|(time, _)| time.nseconds());
            seen.times.push(time.filter(|_| !hidden));
        }
        Ok(gst::PadProbeReturn::Ok)
    });
}

/// Where to cut `packets`, at the first possible place after each `length` nanoseconds.
fn choose(packets: &[Packet], length: u64) -> Split<Vec<Chunk>> {
    let mut times: Vec<u64> = packets.iter().filter_map(|(time, _)| *time).collect();
    times.sort_unstable();
    if times.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err("two of its pictures are shown at the same time".into());
    }
    let (Some(&first), Some(&last)) = (times.first(), times.last()) else {
        return Err("it has no pictures".into());
    };
    let length = length.max((last - first) / MOST_CHUNKS + 1);
    // Packets in front of each chunk, and its first picture.
    let mut begins = vec![(0, first)];
    let (mut from, mut latest) = (first, None);
    for (index, (time, key)) in packets.iter().enumerate() {
        let Some(time) = *time else { continue };
        // What is coded before and shown later would be cut off.
        let apart = latest.is_none_or(|latest| latest < time);
        if *key && apart && time >= from.saturating_add(length) {
            begins.push((index as u64, time));
            from = time;
        }
        latest = latest.max(Some(time));
    }
    if begins.len() > 1 && last - from < length / 2 {
        begins.pop();
    }
    if begins.len() == 1 && last - first >= length.saturating_mul(2) {
        return Err("no picture in its middle can be decoded without those before".into());
    }
    let ends = begins.iter().skip(1).map(|(_, time)| Some(*time));
    let mut chunks: Vec<Chunk> = Vec::new();
    let mut rest = times.as_slice();
    for (number, (&(skip, start), end)) in begins.iter().zip(ends.chain([None])).enumerate() {
        let count = end.map_or(rest.len(), |end| rest.partition_point(|time| *time < end));
        let (own, later) = rest.split_at(count);
        rest = later;
        chunks.push(Chunk {
            number,
            skip,
            start,
            end,
            frames: count as u64,
            after: (later.len() as u64).min(COMPARED),
            times: times_of(own),
        });
    }
    // Of a chunk that is shorter still, all pictures are compared.
    let next: Vec<u64> = chunks.iter().skip(1).map(|chunk| chunk.frames).collect();
    for (chunk, frames) in chunks.iter_mut().zip(next) {
        chunk.after = chunk.after.min(frames);
    }
    Ok(chunks)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packets one second apart, in coded order, with key frames at `keys`.
    fn packets(order: &[u64], keys: &[u64]) -> Vec<Packet> {
        order
            .iter()
            .map(|second| (Some(second * 1_000_000_000), keys.contains(second)))
            .collect()
    }

    fn starts(packets: &[Packet], seconds: u64) -> Split<Vec<(u64, u64, u64)>> {
        let chunks = choose(packets, seconds * 1_000_000_000)?;
        Ok(chunks
            .iter()
            .map(|chunk| (chunk.skip, chunk.start / 1_000_000_000, chunk.frames))
            .collect())
    }

    #[test]
    fn cuts_are_at_key_frames_and_lose_no_picture() {
        let order: Vec<u64> = (0..21).collect();
        let keys = [0, 4, 9, 11, 17];
        assert_eq!(
            starts(&packets(&order, &keys), 5).unwrap(),
            [(0, 0, 9), (9, 9, 8), (17, 17, 4)]
        );
        // What would be too short at the end stays with the one before.
        assert_eq!(
            starts(&packets(&order, &keys), 8).unwrap(),
            [(0, 0, 9), (9, 9, 12)]
        );
        assert_eq!(starts(&packets(&order, &keys), 15).unwrap(), [(0, 0, 21)]);
        assert!(starts(&packets(&order, &[0]), 5).is_err());
        assert!(starts(&packets(&[0, 1, 1], &[0]), 1).is_err());
    }

    #[test]
    fn pictures_shown_before_a_key_frame_belong_in_front_of_the_cut() {
        // 4 and 5 are coded after the key frame 6; 9 is coded before the key frame 8.
        let order = [0, 1, 2, 3, 6, 4, 5, 7, 9, 8, 10, 11, 12, 13];
        let cut = starts(&packets(&order, &[0, 6, 8, 12]), 2).unwrap();
        assert_eq!(cut, [(0, 0, 6), (4, 6, 6), (12, 12, 2)]);
    }

    #[test]
    fn chunks_are_not_too_many() {
        let order: Vec<u64> = (0..5000).collect();
        let chunks = choose(&packets(&order, &order), 1_000_000_000).unwrap();
        assert!(chunks.len() as u64 <= MOST_CHUNKS);
        let frames: u64 = chunks.iter().map(|chunk| chunk.frames).sum();
        assert_eq!(frames, 5000);
    }
}
