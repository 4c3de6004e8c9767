//! Pictures that arrived damaged, and those that are made from them.
//!
//! A decoder conceals damage: it moves and smears parts of other pictures, and what it makes of a face need not look like one to
//! the detector. So from the first sign of damage up to the next picture that is decoded from nothing before it, and without a new sign,
//! every picture is marked as corrupted, and `floutagedetect` has it filled.
//!
//! Signs are a packet that is missing by its number, a picture that the decoder itself marks, and what libav's decoders say in their log.
//! Damage that leaves no sign (packets that are whole, in order and decodable, with false content) is out of reach: such pictures are
//! analysed as they are.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::error::Result;
use crate::gst::lock;
use crate::media::decoder_log::DecoderLog;
use crate::media::guard::Guard;
use crate::media::wiring::pad;

/// What is known of a stream's damage.
#[derive(Default)]
struct State {
    damaged: bool,
    /// Time of a picture that came after the last sign of damage and needs nothing from before it.
    clean: Option<gst::ClockTime>,
    /// The number of the last packet.
    packet: Option<u16>,
}

impl State {
    fn sign(&mut self) {
        self.damaged = true;
        self.clean = None;
    }

    /// Notes the packet `number`.
    fn packet(&mut self, number: u16) {
        let expected = self.packet.replace(number).map(|last| last.wrapping_add(1));
        if expected.is_some_and(|expected| expected != number) {
            self.sign();
        }
    }

    /// Notes a coded picture that is to be decoded next.
    fn coded(&mut self, key: bool, time: Option<gst::ClockTime>) {
        // A time before that of the last one: a file or a clock has begun anew.
        let is_first = self.clean.is_none() || time < self.clean;
        if self.damaged && key && is_first {
            self.clean = time;
        }
    }

    /// Whether the decoded picture of `time` is to be filled.
    fn decoded(&mut self, corrupted: bool, time: Option<gst::ClockTime>) -> bool {
        if corrupted {
            self.sign();
        }
        if let (Some(clean), Some(time)) = (self.clean, time)
            && time >= clean
        {
            self.damaged = false;
            self.clean = None;
        }
        self.damaged
    }
}

/// Watches one camera's stream.
#[derive(Default)]
pub struct Damage {
    state: Mutex<State>,
    /// Pictures that were marked.
    pub pictures: AtomicU64,
}

impl Damage {
    /// Listens to the decoders of this process, which has but one camera, as long as the result lives.
    pub fn listen(self: &Arc<Self>) -> DecoderLog {
        let damage = self.clone();
        DecoderLog::listen_with(move |text| {
            if is_damage(text) {
                lock(&damage.state).sign();
            }
        })
    }

    /// Counts the packets that come into `depay`.
    ///
    /// Errors: it has no such pad.
    pub fn watch_packets(self: &Arc<Self>, depay: &gst::Element, guard: &Arc<Guard>) -> Result<()> {
        let damage = self.clone();
        let both = gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST;
        guard.probe(&pad(depay, "sink")?, both, move |_, info| {
            let mut state = lock(&damage.state);
            match &info.data {
                Some(gst::PadProbeData::Buffer(packet)) => note_packet(&mut state, packet),
                Some(gst::PadProbeData::BufferList(packets)) => {
                    packets
                        .iter()
                        .for_each(|packet| note_packet(&mut state, packet));
                }
                _ => {}
            }
            Ok(gst::PadProbeReturn::Ok)
        });
        Ok(())
    }

    /// Watches what goes into `decoder`, and marks what comes out of it.
    ///
    /// Errors: it has no such pads.
    pub fn watch_decoder(
        self: &Arc<Self>,
        decoder: &gst::Element,
        guard: &Arc<Guard>,
    ) -> Result<()> {
        let before = self.clone();
        guard.probe(
            &pad(decoder, "sink")?,
            gst::PadProbeType::BUFFER,
            move |_, info| {
                if let Some(coded) = info.buffer() {
                    let key = !coded.flags().contains(gst::BufferFlags::DELTA_UNIT);
                    lock(&before.state).coded(key, coded.pts());
                }
                Ok(gst::PadProbeReturn::Ok)
            },
        );
        let behind = self.clone();
        guard.probe(
            &pad(decoder, "src")?,
            gst::PadProbeType::BUFFER,
            move |_, info| {
                if let Some(picture) = info.buffer_mut() {
                    let corrupted = picture.flags().contains(gst::BufferFlags::CORRUPTED);
                    if lock(&behind.state).decoded(corrupted, picture.pts()) {
                        behind.pictures.fetch_add(1, Ordering::Relaxed);
                        picture.make_mut().set_flags(gst::BufferFlags::CORRUPTED);
                    }
                }
                Ok(gst::PadProbeReturn::Ok)
            },
        );
        Ok(())
    }
}

fn note_packet(state: &mut State, packet: &gst::BufferRef) {
    let mut head = [0; 4];
    if packet.copy_to_slice(0, &mut head).is_ok() {
        state.packet(u16::from_be_bytes([head[2], head[3]]));
    } else {
        state.sign();
    }
}

/// Whether an error of libav's is about pictures: what cameras put beside them is often wrong and does no harm.
fn is_damage(text: &str) -> bool {
    !text.contains("SEI")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(frame: u64) -> Option<gst::ClockTime> {
        Some(gst::ClockTime::from_mseconds(40 * frame))
    }

    /// Which of the pictures that follow are filled, where every fifth needs nothing from before.
    fn filled(signs: &[u64], frames: u64) -> Vec<u64> {
        let mut state = State::default();
        let mut filled = Vec::new();
        for frame in 0..frames {
            if signs.contains(&frame) {
                state.sign();
            }
            state.coded(frame % 5 == 0, at(frame));
            if state.decoded(false, at(frame)) {
                filled.push(frame);
            }
        }
        filled
    }

    #[test]
    fn what_follows_damage_is_filled_up_to_the_next_whole_picture() {
        assert_eq!(filled(&[], 20), [0; 0]);
        assert_eq!(filled(&[7], 20), [7, 8, 9]);
        assert_eq!(
            filled(&[10], 20),
            [0; 0],
            "before it was begun, and it needs nothing"
        );
        assert_eq!(filled(&[3, 9], 20), [3, 4, 9]);
    }

    #[test]
    fn a_whole_picture_that_is_damaged_itself_ends_nothing() {
        let mut state = State::default();
        state.sign();
        state.coded(true, at(5));
        // The decoder says so while it works on it.
        state.sign();
        assert!(state.decoded(false, at(5)));
        state.coded(true, at(10));
        assert!(state.decoded(true, at(10)), "it marks it itself");
        // Shown before the whole picture, though decoded after it.
        state.coded(true, at(20));
        assert!(state.decoded(false, at(18)));
        assert!(!state.decoded(false, at(20)));
        state.sign();
        state.coded(true, None);
        assert!(
            state.decoded(false, None),
            "without a time nothing is known"
        );
        state.coded(true, at(30));
        assert!(!state.decoded(false, at(30)));
    }

    #[test]
    fn packets_are_told_to_be_missing_by_their_numbers() {
        let mut state = State::default();
        for number in [65533, 65534, 65535, 0, 1] {
            state.packet(number);
            assert!(!state.damaged, "{number}");
        }
        state.packet(3);
        assert!(state.damaged);
    }

    #[test]
    fn what_is_beside_pictures_is_no_damage() {
        assert!(is_damage("error while decoding MB 3 4, bytestream 12"));
        assert!(!is_damage("SEI type 5 size 88 truncated at 24"));
    }
}
