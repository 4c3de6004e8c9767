//! What was found and decided as it goes from one process to another: numbers, in which no float loses a bit.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::detect::{Certainty, Class, Detection};
use crate::geometry::BBox;
use crate::track::scene::Change;
use crate::track::{TrackId, TrackState, TrackedRegion};

fn bits(bbox: &BBox) -> [u32; 4] {
    [bbox.x1, bbox.y1, bbox.x2, bbox.y2].map(f32::to_bits)
}

fn bbox(bits: [u32; 4]) -> BBox {
    let [x1, y1, x2, y2] = bits.map(f32::from_bits);
    BBox::new(x1, y1, x2, y2)
}

fn nth<T: Copy>(all: &[T], index: u8) -> Result<T, String> {
    let unknown = || format!("{index} stands for nothing");
    all.get(usize::from(index)).copied().ok_or_else(unknown)
}

fn place<T: PartialEq>(all: &[T], wanted: T) -> u8 {
    all.iter().position(|one| *one == wanted).unwrap_or(0) as u8
}

/// A frame, and what a detector saw in it.
#[derive(Clone, Debug)]
pub(super) struct Noted {
    pub time: u64,
    pub change: Change,
    pub seen: Option<Vec<Detection>>,
}

/// Box, confidence, class and certainty.
type Seen = ([u32; 4], u32, u8, u8);

impl Serialize for Noted {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let seen = |it: &Detection| -> Seen {
            let certainty = place(&Certainty::ALL, it.certainty);
            let class = place(&Class::ALL, it.class);
            (bits(&it.bbox), it.confidence.to_bits(), class, certainty)
        };
        let seen: Option<Vec<Seen>> = self.seen.as_ref().map(|all| all.iter().map(seen).collect());
        (self.time, change_to(self.change), seen).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Noted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (time, change, seen) =
            <(u64, (u8, u32, u32), Option<Vec<Seen>>)>::deserialize(deserializer)?;
        let read = |(at, confidence, class, certainty): Seen| {
            Ok(Detection {
                bbox: bbox(at),
                class: nth(&Class::ALL, class)?,
                confidence: f32::from_bits(confidence),
                certainty: nth(&Certainty::ALL, certainty)?,
            })
        };
        let seen = seen.map(|all| all.into_iter().map(read).collect::<Result<_, String>>());
        Ok(Self {
            time,
            change: change_from(change),
            seen: seen.transpose().map_err(serde::de::Error::custom)?,
        })
    }
}

fn change_to(change: Change) -> (u8, u32, u32) {
    match change {
        Change::Still => (0, 0, 0),
        Change::Moved(x, y) => (1, x.to_bits(), y.to_bits()),
        Change::Cut => (2, 0, 0),
    }
}

fn change_from((kind, x, y): (u8, u32, u32)) -> Change {
    match kind {
        0 => Change::Still,
        1 => Change::Moved(f32::from_bits(x), f32::from_bits(y)),
        // What is not known ends tracks, which costs little.
        _ => Change::Cut,
    }
}

/// What is to be redacted in the frames of a chunk; None in those that could not be analysed.
#[derive(Clone, Debug, Default)]
pub struct Decided(pub(super) Vec<(u64, Option<Vec<TrackedRegion>>)>);

impl Decided {
    /// The frames: when each is shown in nanoseconds, and its regions.
    pub fn frames(&self) -> impl Iterator<Item = (u64, Option<&[TrackedRegion]>)> {
        let frames = self.0.iter();
        frames.map(|(time, regions)| (*time, regions.as_deref()))
    }
}

/// Box, class, state and number of the track.
type Region = ([u32; 4], u8, u8, u64);

impl Serialize for Decided {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let region = |it: &TrackedRegion| -> Region {
            let class = place(&Class::ALL, it.class);
            let state = place(&TrackState::ALL, it.state);
            (bits(&it.bbox), class, state, it.id.0)
        };
        serializer.collect_seq(self.0.iter().map(|(time, regions)| {
            let regions: Option<Vec<Region>> =
                regions.as_ref().map(|all| all.iter().map(region).collect());
            (time, regions)
        }))
    }
}

impl<'de> Deserialize<'de> for Decided {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = |(at, class, state, id): Region| {
            Ok(TrackedRegion {
                bbox: bbox(at),
                class: nth(&Class::ALL, class)?,
                id: TrackId(id),
                state: nth(&TrackState::ALL, state)?,
            })
        };
        let frames = <Vec<(u64, Option<Vec<Region>>)>>::deserialize(deserializer)?
            .into_iter()
            .map(|(time, regions)| {
                let regions = regions.map(|all| {
                    all.into_iter()
                        .map(read)
                        .collect::<Result<Vec<_>, String>>()
                });
                Ok((time, regions.transpose()?))
            });
        let frames: Result<_, String> = frames.collect();
        Ok(Self(frames.map_err(serde::de::Error::custom)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_on_the_way() {
        let odd = BBox::new(0.1 + 0.2, -1e-7, 3.333_333_3, f32::MAX);
        let noted = Noted {
            time: u64::MAX,
            change: Change::Moved(-0.1, 1.0 / 3.0),
            seen: Some(vec![Detection {
                bbox: odd,
                class: Class::Plate,
                confidence: 0.123_456_79,
                certainty: Certainty::Faint,
            }]),
        };
        let text = serde_json::to_string(&noted).unwrap();
        let back: Noted = serde_json::from_str(&text).unwrap();
        assert_eq!((back.time, back.change), (noted.time, noted.change));
        assert_eq!(back.seen, noted.seen);
        for change in [Change::Still, Change::Cut] {
            assert_eq!(change_from(change_to(change)), change);
        }
        let regions = TrackState::ALL.map(|state| TrackedRegion {
            bbox: odd,
            class: Class::Face,
            id: TrackId(1 << 40),
            state,
        });
        let decided = Decided(vec![(7, Some(regions.to_vec())), (8, None)]);
        let text = serde_json::to_string(&decided).unwrap();
        assert_eq!(serde_json::from_str::<Decided>(&text).unwrap().0, decided.0);
        assert!(serde_json::from_str::<Decided>("[[1,[[[0,0,0,0],9,0,1]]]]").is_err());
    }
}
