//! The live stream for browsers: a playlist and the last fragments, in memory.

use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::fragments::{Fragment, Taker};
use crate::gst::lock;

/// How much of the past can be asked for.
const WINDOW: Duration = Duration::from_secs(16);
/// Segments that are kept whatever they last, for players want three.
const LEAST: usize = 4;

/// One camera's live stream.
#[derive(Clone, Default)]
pub struct Live(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// Init segments by epoch, those that a segment needs.
    inits: VecDeque<(u64, Vec<u8>)>,
    segments: VecDeque<Segment>,
    next: u64,
    epoch: u64,
    /// Epochs whose segments have all gone.
    gone: u64,
}

struct Segment {
    number: u64,
    epoch: u64,
    fragment: Fragment,
}

impl Taker for Live {
    fn begin(&mut self, init: &[u8], _filled: bool) {
        let mut state = lock(&self.0);
        state.epoch += 1;
        let epoch = state.epoch;
        state.inits.push_back((epoch, init.to_vec()));
    }

    fn fragment(&mut self, fragment: &Fragment) {
        let mut state = lock(&self.0);
        let state = &mut *state;
        state.segments.push_back(Segment {
            number: state.next,
            epoch: state.epoch,
            fragment: fragment.clone(),
        });
        state.next += 1;
        let length = |segments: &VecDeque<Segment>| {
            segments
                .iter()
                .map(|segment| segment.fragment.duration)
                .sum::<Duration>()
        };
        while state.segments.len() > LEAST && length(&state.segments) > WINDOW {
            state.segments.pop_front();
        }
        let first = state
            .segments
            .front()
            .map_or(state.epoch, |segment| segment.epoch);
        state.gone = first.saturating_sub(1);
        state.inits.retain(|(epoch, _)| *epoch >= first);
    }
}

impl Live {
    /// The part `name` with its content type: "index.m3u8", "init-E.mp4" (and "init.mp4", the latest), "N.m4s".
    pub fn part(&self, name: &str) -> Option<(Vec<u8>, &'static str)> {
        let state = lock(&self.0);
        if name == "index.m3u8" {
            return Some((
                state.playlist()?.into_bytes(),
                "application/vnd.apple.mpegurl",
            ));
        }
        if let Some(number) = name.strip_suffix(".m4s") {
            let number: u64 = number.parse().ok()?;
            let segment = state
                .segments
                .iter()
                .find(|segment| segment.number == number)?;
            return Some((segment.fragment.bytes.clone(), "video/iso.segment"));
        }
        let init = if name == "init.mp4" {
            state.inits.back()
        } else {
            let epoch: u64 = name
                .strip_prefix("init-")?
                .strip_suffix(".mp4")?
                .parse()
                .ok()?;
            state.inits.iter().find(|init| init.0 == epoch)
        };
        Some((init?.1.clone(), "video/mp4"))
    }
}

impl State {
    fn playlist(&self) -> Option<String> {
        let first = self.segments.front()?;
        let longest = self
            .segments
            .iter()
            .map(|segment| segment.fragment.duration)
            .max()?;
        let mut text = String::from("#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n");
        let target = longest.as_secs_f64().ceil().max(1.0);
        let gone = self.gone;
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "#EXT-X-TARGETDURATION:{target}\n#EXT-X-MEDIA-SEQUENCE:{}\n#EXT-X-DISCONTINUITY-SEQUENCE:{gone}\n",
            first.number
        );
        let mut epoch = None;
        for segment in &self.segments {
            if epoch != Some(segment.epoch) {
                if epoch.is_some() {
                    text.push_str("#EXT-X-DISCONTINUITY\n");
                }
                epoch = Some(segment.epoch);
                let _ = writeln!(text, "#EXT-X-MAP:URI=\"init-{}.mp4\"", segment.epoch);
                if let Ok(time) = jiff::Timestamp::try_from(segment.fragment.start) {
                    let _ = writeln!(text, "#EXT-X-PROGRAM-DATE-TIME:{time:.3}");
                }
            }
            let _ = writeln!(
                text,
                "#EXTINF:{:.3},\n{}.m4s",
                segment.fragment.duration.as_secs_f64(),
                segment.number
            );
        }
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn fragment(seconds: u64) -> Fragment {
        Fragment {
            bytes: vec![seconds as u8],
            start: SystemTime::UNIX_EPOCH,
            duration: Duration::from_secs(seconds),
        }
    }

    #[test]
    fn the_window_moves_and_epochs_are_told_apart() {
        let mut live = Live::default();
        assert!(live.part("index.m3u8").is_none(), "nothing yet");
        live.begin(b"first", false);
        for _ in 0..20 {
            live.fragment(&fragment(2));
        }
        live.begin(b"second", true);
        live.fragment(&fragment(1));
        let text = String::from_utf8(live.part("index.m3u8").unwrap().0).unwrap();
        for line in [
            "#EXT-X-MAP:URI=\"init-1.mp4\"",
            "#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"init-2.mp4\"",
            "20.m4s",
            "#EXT-X-TARGETDURATION:2\n",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        assert!(!text.contains("\n5.m4s"), "{text}");
        assert_eq!(live.part("20.m4s").unwrap().0, [1]);
        assert_eq!(live.part("init-1.mp4").unwrap().0, b"first");
        assert_eq!(live.part("init.mp4").unwrap().0, b"second");
        for wrong in [
            "5.m4s",
            "21.m4s",
            "../20.m4s",
            "init-9.mp4",
            "",
            "index.m3u8/",
        ] {
            assert!(live.part(wrong).is_none(), "{wrong}");
        }
        for _ in 0..20 {
            live.fragment(&fragment(2));
        }
        assert!(live.part("init-1.mp4").is_none(), "no segment needs it");
        let text = String::from_utf8(live.part("index.m3u8").unwrap().0).unwrap();
        assert!(text.contains("#EXT-X-DISCONTINUITY-SEQUENCE:1\n"), "{text}");
    }
}
