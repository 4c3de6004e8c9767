//! Tracks of scripted detections: what is covered when the detector misses.

use proptest::prelude::*;

use super::scene::Change;
use super::window::{Item, Window};
use super::{Observed, Settings, TrackState, TrackedRegion, Tracker};
use crate::detect::{Certainty, Class};
use crate::geometry::BBox;

const SIZE: (usize, usize) = (640, 360);

/// What is detected in one frame; None: the frame is not looked at.
type Script = Vec<Option<Vec<Observed>>>;

fn certainty(confident: bool) -> Certainty {
    if confident {
        Certainty::Confident
    } else {
        Certainty::Doubtful
    }
}

fn face(bbox: BBox, confident: bool) -> Observed {
    Observed {
        bbox,
        class: Class::Face,
        certainty: certainty(confident),
    }
}

/// Runs `script` through tracker and window as the element does.
fn run_with(
    settings: Settings,
    script: &Script,
    change: impl Fn(usize) -> Change,
) -> Vec<Vec<TrackedRegion>> {
    let mut tracker = Tracker::new(settings).unwrap();
    let mut window: Window<u64, ()> = Window::new(settings.look_ahead);
    let mut regions = Vec::new();
    for (index, detections) in script.iter().enumerate() {
        let number = tracker.observe(SIZE, 1.0, change(index), detections.as_deref());
        window.push(number);
        while let Some(Item::Frame(number)) = window.pop() {
            regions.push(tracker.take(number));
        }
    }
    while let Some(Item::Frame(number)) = window.pop_any() {
        regions.push(tracker.take(number));
    }
    assert_eq!(regions.len(), script.len());
    regions
}

fn run(settings: Settings, script: &Script) -> Vec<Vec<TrackedRegion>> {
    run_with(settings, script, |_| Change::Still)
}

fn settings(look_ahead: usize, hold: usize) -> Settings {
    Settings { look_ahead, hold }
}

/// Share of `truth` under the regions, each dilated by the redactor's default margin.
fn covered(truth: &BBox, regions: &[TrackedRegion]) -> f32 {
    let best = regions
        .iter()
        .map(|region| region.bbox.dilate(0.4).intersection(truth) / truth.area());
    best.fold(0.0, f32::max)
}

/// A face of `side` pixels that walks across.
fn walk(index: usize, speed: (f32, f32), side: f32) -> BBox {
    let t = index as f32;
    BBox::from_centre(320.0 + speed.0 * t, 180.0 + speed.1 * t, side, side * 1.3)
}

/// What is detected does not tell what happens next: it may go on, stop, shrink no further, or have stood there before it moved.
#[test]
fn what_is_not_detected_any_more_or_yet_is_covered_where_it_may_be() {
    let walks = |speed: f32| {
        move |index: usize| BBox::from_centre(100.0 + speed * index as f32, 180.0, 30.0, 40.0)
    };
    let shrinks = |index: usize| {
        BBox::from_centre(200.0, 180.0, 80.0 - 3.0 * index as f32, 90.0 - index as f32)
    };
    let paths: [&dyn Fn(usize) -> BBox; 4] = [&walks(0.0), &walks(3.0), &walks(8.0), &shrinks];
    for (path, at) in paths.iter().enumerate() {
        for stops in [false, true] {
            // Seen for 16 frames, then not for 12; and the same backwards in time.
            let truth: Vec<BBox> = (0..28)
                .map(|index| at(if stops { index.min(15) } else { index.min(20) }))
                .collect();
            for backwards in [false, true] {
                let frame = |index: usize| if backwards { 27 - index } else { index };
                let script: Script = (0..28)
                    .map(frame)
                    .map(|index| {
                        let seen = (index < 16).then(|| face(truth[index], true));
                        Some(seen.into_iter().collect())
                    })
                    .collect();
                for (index, regions) in run(settings(12, 12), &script).iter().enumerate() {
                    let truth = truth[frame(index)];
                    assert!(
                        covered(&truth, regions) >= 0.9,
                        "path {path}, {stops}, {backwards}, {index}: {truth:?} under {regions:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn three_detections_far_apart_show_a_motion_as_well_as_many() {
    let script: Script = (0..40)
        .map(|index| {
            let bbox = walk(index, (1.0, 0.0), 40.0);
            let found = if index <= 20 {
                vec![face(bbox, true)]
            } else {
                Vec::new()
            };
            (index % 10 == 0).then_some(found)
        })
        .collect();
    let regions = run(settings(12, 12), &script);
    for (index, regions) in regions.iter().enumerate().take(33) {
        let truth = walk(index, (1.0, 0.0), 40.0);
        assert!(covered(&truth, regions) >= 0.9, "{index}: {regions:?}");
    }
    let last = regions[32][0];
    assert_eq!(last.state, TrackState::Held);
    assert!(last.bbox.width() <= 1.7 * 40.0, "{last:?}");
}

proptest! {
    #[test]
    fn misses_up_to_the_look_ahead_leak_nothing(
        speed in (-0.3f32..0.3, -0.1f32..0.1), side in 16f32..60.0, first in 0usize..=12, gap in 0usize..=12,
        length in 1usize..=12, last in 0usize..=12,
    ) {
        // In sizes per frame. Of what was seen once, a look-ahead before, the motion cannot be known.
        let most = if first == 12 { 0.12f32 } else { 0.3 };
        let speed = (speed.0.clamp(-most, most) * side, speed.1 * side);
        // Missed at first, found, missed, found for some frames, missed until the end.
        let frames = first + 6 + gap + length + last;
        let found = |index: usize| {
            (first..first + 6).contains(&index)
                || (first + 6 + gap..first + 6 + gap + length).contains(&index)
        };
        let script: Script = (0..frames)
            .map(|index| {
                let bbox = walk(index, speed, side);
                Some(if found(index) { vec![face(bbox, true)] } else { Vec::new() })
            })
            .collect();
        let regions = run(settings(12, 12), &script);
        for (index, regions) in regions.iter().enumerate() {
            let Some(truth) = walk(index, speed, side).clip(SIZE.0, SIZE.1) else { continue };
            prop_assert!(
                covered(&truth, regions) >= 0.9,
                "frame {index}: {truth:?} under {regions:?}",
            );
        }
    }

    #[test]
    fn every_detection_is_covered_in_its_own_frame_whatever_else_happens(
        script in prop::collection::vec(
            prop::option::of(prop::collection::vec(
                ((0f32..600.0, 0f32..330.0, 4f32..90.0, 4f32..90.0), any::<bool>(), any::<bool>()), 0..6)),
            0..40),
        look_ahead in 0usize..15, hold in 0usize..15, cut in prop::option::of(0usize..40),
    ) {
        let script: Script = script
            .into_iter()
            .map(|frame| {
                frame.map(|frame| {
                    let one = |((x, y, w, h), plate, confident)| Observed {
                        bbox: BBox::from_xywh(x, y, w, h),
                        class: if plate { Class::Plate } else { Class::Face },
                        certainty: certainty(confident),
                    };
                    frame.into_iter().map(one).collect()
                })
            })
            .collect();
        let change = |index| if Some(index) == cut { Change::Cut } else { Change::Still };
        let all = run_with(settings(look_ahead, hold), &script, change);
        for (frame, regions) in script.iter().zip(&all) {
            let along = [TrackState::Anticipated, TrackState::Held];
            let regions_in_one = regions.iter().filter(|region| !along.contains(&region.state));
            let mut ids: Vec<_> = regions_in_one.clone().map(|region| region.id).collect();
            ids.sort_unstable();
            ids.dedup();
            prop_assert_eq!(ids.len(), regions_in_one.count());
            for seen in frame.iter().flatten() {
                let over = |region: &TrackedRegion| {
                    let (a, b) = (&region.bbox, &seen.bbox);
                    let wide = a.x1 <= b.x1 && a.x2 >= b.x2;
                    region.class == seen.class && wide && a.y1 <= b.y1 && a.y2 >= b.y2
                };
                prop_assert!(regions.iter().any(over));
            }
            for region in regions {
                prop_assert!(region.bbox.is_valid());
            }
        }
    }

    #[test]
    fn a_gap_is_covered_along_the_straight_way(
        from in (50f32..500.0, 50f32..250.0), step in (-3f32..3.0, -2f32..2.0), gap in 1usize..12, side in 14f32..50.0,
    ) {
        let at = |index: usize| {
            BBox::from_centre(
                from.0 + step.0 * index as f32, from.1 + step.1 * index as f32, side, side)
        };
        let script: Script = (0..gap + 2)
            .map(|index| Some(if index == 0 || index == gap + 1 { vec![face(at(index), true)] } else { Vec::new() }))
            .collect();
        let regions = run(settings(12, 0), &script);
        for (index, regions) in regions.iter().enumerate().take(gap + 1).skip(1) {
            let way = at(index);
            let over = |region: &TrackedRegion| {
                let share = region.bbox.intersection(&way) / way.area();
                region.state == TrackState::Interpolated && share > 0.99
            };
            prop_assert!(regions.iter().any(over), "frame {}: {:?}", index, regions);
        }
    }
}

#[test]
fn a_track_is_anticipated_for_as_long_as_the_look_ahead_and_held_as_stated() {
    let at = BBox::from_centre(300.0, 180.0, 40.0, 50.0);
    for (look_ahead, hold) in [(0, 0), (0, 5), (4, 0), (7, 9), (12, 12)] {
        let script: Script = (0..60)
            .map(|index| {
                Some(if (25..30).contains(&index) {
                    vec![face(at, true)]
                } else {
                    Vec::new()
                })
            })
            .collect();
        let regions = run(settings(look_ahead, hold), &script);
        let redacted: Vec<usize> = (0..60)
            .filter(|&index| !regions[index].is_empty())
            .collect();
        let wanted: Vec<usize> = (25 - look_ahead..30 + hold).collect();
        assert_eq!(redacted, wanted, "{look_ahead} {hold}");
    }
}

#[test]
fn doubtful_detections_are_redacted_alone_and_continue_what_is_sure() {
    let at = BBox::from_centre(300.0, 180.0, 40.0, 50.0);
    // Alone, in two frames.
    let script: Script = (0..30)
        .map(|index| {
            Some(if (14..16).contains(&index) {
                vec![face(at, false)]
            } else {
                Vec::new()
            })
        })
        .collect();
    let regions = run(settings(12, 12), &script);
    for (index, regions) in regions.iter().enumerate() {
        assert_eq!(
            regions.len(),
            usize::from((14..16).contains(&index)),
            "{index}"
        );
        assert!(
            regions
                .iter()
                .all(|region| region.state == TrackState::Unconfirmed)
        );
    }
    assert_eq!(regions[14][0].id, regions[15][0].id);
    // Before and after a confident one: all of it is one track, from the look-ahead before the confident one on.
    let script: Script = (0..40)
        .map(|index| {
            Some(match index {
                15..20 | 21..25 => vec![face(at, false)],
                20 => vec![face(at, true)],
                _ => Vec::new(),
            })
        })
        .collect();
    let regions = run(settings(12, 12), &script);
    let ids: Vec<_> = regions.iter().flatten().map(|region| region.id).collect();
    assert!(ids.windows(2).all(|pair| pair[0] == pair[1]));
    let redacted: Vec<usize> = (0..40)
        .filter(|&index| !regions[index].is_empty())
        .collect();
    assert_eq!(redacted, (8..37).collect::<Vec<_>>());
}

#[test]
fn what_is_faint_continues_a_track_and_is_nothing_by_itself() {
    let at = BBox::from_centre(300.0, 180.0, 40.0, 50.0);
    let faint = || Observed {
        certainty: Certainty::Faint,
        ..face(at, false)
    };
    let script = |confident: bool| -> Script {
        (0..60)
            .map(|index| {
                Some(match index {
                    20 if confident => vec![face(at, true)],
                    // Longer than the look-ahead and the hold.
                    14..50 => vec![faint()],
                    _ => Vec::new(),
                })
            })
            .collect()
    };
    let redacted = |confident| -> Vec<usize> {
        let regions = run(settings(12, 12), &script(confident));
        (0..60)
            .filter(|&index| !regions[index].is_empty())
            .collect()
    };
    assert_eq!(redacted(true), (8..60).collect::<Vec<_>>());
    assert!(redacted(false).is_empty());
}

#[test]
fn a_cut_ends_every_track_and_begins_new_ones() {
    let at = BBox::from_centre(300.0, 180.0, 40.0, 50.0);
    let script: Script = (0..40)
        .map(|index| {
            Some(if (15..17).contains(&index) || index == 24 {
                vec![face(at, true)]
            } else {
                Vec::new()
            })
        })
        .collect();
    let change = |index| {
        if index == 20 {
            Change::Cut
        } else {
            Change::Still
        }
    };
    let regions = run_with(settings(12, 12), &script, change);
    let (before, after): (Vec<_>, Vec<_>) = (
        regions[..20].iter().flatten().collect(),
        regions[20..].iter().flatten().collect(),
    );
    assert!(before.iter().all(|region| region.id == before[0].id));
    assert!(after.iter().all(|region| region.id == after[0].id));
    assert_ne!(before[0].id, after[0].id);
    // Held until the cut and not over it; anticipated from the cut on and not before.
    assert_eq!((before.len(), after.len()), (17, 17));
}

#[test]
fn a_sudden_pan_does_not_end_tracks() {
    let at = |index: usize| {
        let moved = if index >= 10 { 150.0 } else { 0.0 };
        BBox::from_centre(200.0 + moved, 180.0, 40.0, 50.0)
    };
    let script: Script = (0..20)
        .map(|index| Some(vec![face(at(index), true)]))
        .collect();
    let change = |index| {
        if index == 10 {
            Change::Moved(150.0, 0.0)
        } else {
            Change::Still
        }
    };
    let regions = run_with(settings(5, 5), &script, change);
    let ids: Vec<_> = regions.iter().flatten().map(|region| region.id).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

#[test]
fn what_left_the_picture_is_not_held() {
    // Out to the right: the last detection is cut by the edge.
    let script: Script = (0..40)
        .map(|index| {
            let bbox = BBox::from_centre(560.0 + 8.0 * index as f32, 180.0, 40.0, 50.0);
            Some(
                bbox.clip(SIZE.0, SIZE.1)
                    .filter(|seen| seen.width() > 15.0)
                    .map(|seen| face(seen, true))
                    .into_iter()
                    .collect(),
            )
        })
        .collect();
    let regions = run(settings(6, 20), &script);
    let last_seen = script
        .iter()
        .rposition(|frame| frame.as_ref().is_some_and(|frame| !frame.is_empty()))
        .unwrap();
    let last = regions
        .iter()
        .rposition(|regions| !regions.is_empty())
        .unwrap();
    assert!(
        last > last_seen && last <= last_seen + 10,
        "{last_seen} {last}"
    );
}

#[test]
fn every_second_frame_is_enough_for_steady_motion() {
    for every in [1, 2, 3] {
        let script: Script = (0..60)
            .map(|index| {
                (index % every == 0).then(|| vec![face(walk(index, (4.0, 1.0), 24.0), true)])
            })
            .collect();
        for (index, regions) in run(settings(12, 12), &script).iter().enumerate() {
            assert!(
                covered(&walk(index, (4.0, 1.0), 24.0), regions) >= 0.9,
                "{every}: {index}"
            );
        }
    }
}

#[test]
fn crossing_faces_keep_their_numbers_apart() {
    let left = |index: usize| BBox::from_centre(100.0 + 5.0 * index as f32, 150.0, 30.0, 40.0);
    let right = |index: usize| BBox::from_centre(400.0 - 5.0 * index as f32, 158.0, 30.0, 40.0);
    let script: Script = (0..60)
        .map(|index| Some(vec![face(left(index), true), face(right(index), true)]))
        .collect();
    let regions = run(settings(12, 12), &script);
    let id_of = |index: usize, truth: BBox| {
        let best = regions[index]
            .iter()
            .max_by(|a, b| a.bbox.iou(&truth).total_cmp(&b.bbox.iou(&truth)));
        best.unwrap().id
    };
    assert_eq!(id_of(0, left(0)), id_of(59, left(59)));
    assert_eq!(id_of(0, right(0)), id_of(59, right(59)));
}

#[test]
fn nothing_grows_with_the_length_of_the_stream() {
    let mut tracker = Tracker::new(settings(12, 12)).unwrap();
    for index in 0..40_000u64 {
        let x = (index * 37 % 600) as f32;
        let seen = [
            face(BBox::from_xywh(300.0, 100.0, 30.0, 40.0), true),
            face(BBox::from_xywh(x, 250.0, 20.0, 20.0), index % 3 == 0),
        ];
        let number = tracker.observe(SIZE, 1.0, Change::Still, Some(&seen));
        if let Some(number) = number.checked_sub(12) {
            let regions = tracker.take(number);
            assert!(
                regions
                    .iter()
                    .any(|region| region.bbox.x1 <= 300.0 && region.bbox.x2 >= 330.0)
            );
        }
        assert!(tracker.tracks() < 200, "{}", tracker.tracks());
    }
}

#[test]
fn settings_out_of_range_are_named() {
    assert!(Settings::default().validate().is_ok());
    let error = settings(251, 0).validate().unwrap_err().to_string();
    assert!(error.contains("look-ahead = 251"), "{error}");
    let error = settings(0, 1000).validate().unwrap_err().to_string();
    assert!(error.contains("hold = 1000"), "{error}");
}
