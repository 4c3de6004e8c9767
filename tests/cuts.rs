//! Cuts between the rendered clips are seen, and nothing within a clip is taken for one.

mod common;

use common::look::each_frame;
use common::repository;
use floutage::frame::{Colour, Frame, PixelFormat};
use floutage::track::scene::{Change, Thumbnail, View};

const CLIPS: [&str; 4] = ["street-day", "street-night", "entrance", "parking"];

/// The thumbnails of a clip, as if it had the size of all the others.
fn thumbnails(clip: &str) -> Vec<Thumbnail> {
    let mut thumbnails = Vec::new();
    each_frame(
        &repository(&format!("fixtures/{clip}.mp4")),
        |_, picture| {
            let step = picture.width / 640;
            let (width, height) = (640, 360);
            let luma: Vec<u8> = (0..width * height)
                .map(|at| picture.plane(0)[at / width * step * picture.width + at % width * step])
                .collect();
            let chroma = vec![128; width / 2 * height / 2];
            let frame = Frame::new(
                PixelFormat::I420,
                width,
                height,
                Colour::default(),
                &[&luma, &chroma, &chroma],
                &[width, width / 2, width / 2],
            );
            thumbnails.push(Thumbnail::new(&frame.expect("a frame")));
        },
    );
    thumbnails
}

#[test]
fn cuts_are_told_from_motion() {
    let clips = CLIPS.map(thumbnails);
    for (one, name) in clips.iter().zip(CLIPS) {
        // Every frame, then every third one: three times the speed.
        for step in [1, 3] {
            let mut view = View::default();
            for (index, frame) in one.iter().step_by(step).enumerate() {
                assert_ne!(
                    view.next(frame.clone()),
                    Change::Cut,
                    "{name} {step} {index}"
                );
            }
        }
        for (other, other_name) in clips.iter().zip(CLIPS) {
            for (before, after) in one.iter().step_by(25).zip(other.iter().step_by(20)) {
                if name != other_name {
                    assert_eq!(
                        after.change_from(before),
                        Change::Cut,
                        "{name} {other_name}"
                    );
                }
            }
        }
    }
}
