//! How long videos are, by what their containers say; nothing is decoded.

use std::path::Path;
use std::time::{Duration, Instant};

use gst::prelude::*;

use super::guard::Guard;
use super::wiring::{make, wiring};
use crate::error::{Error, Result};

/// What a container may take to tell.
const LIMIT: Duration = Duration::from_secs(10);

/// The length of each of `paths` in seconds; None where it cannot be told, as of pictures.
pub fn durations(paths: &[&Path]) -> Vec<Option<f64>> {
    paths
        .iter()
        .map(|path| duration(path).ok().flatten())
        .collect()
}

fn duration(path: &Path) -> Result<Option<f64>> {
    let pipeline = gst::Pipeline::new();
    let guard = Guard::new(path.display().to_string(), &pipeline);
    let source = make("filesrc")?;
    source.set_property("location", path);
    let parse = make("parsebin")?;
    super::source::stay_inside(&parse, &guard);
    pipeline
        .add_many([&source, &parse])
        .and_then(|()| source.link(&parse))
        .map_err(wiring)?;
    let weak = pipeline.downgrade();
    parse.connect_pad_added(move |_, pad| {
        let _ = guard.run(|| {
            let Some(pipeline) = weak.upgrade() else {
                return Ok(());
            };
            let sink = make("fakesink")?;
            pipeline.add(&sink).map_err(wiring)?;
            sink.sync_state_with_parent().map_err(wiring)?;
            let entry = super::wiring::pad(&sink, "sink")?;
            pad.link(&entry)
                .map_err(|error| Error::media("parsebin", error.to_string()))?;
            Ok(())
        });
    });
    let found = wait(&pipeline);
    let _ = pipeline.set_state(gst::State::Null);
    Ok(found)
}

/// Waits until every stream has its first packet, or the container is refused.
fn wait(pipeline: &gst::Pipeline) -> Option<f64> {
    let bus = pipeline.bus()?;
    pipeline.set_state(gst::State::Paused).ok()?;
    let end = Instant::now() + LIMIT;
    while Instant::now() < end {
        let message = bus.timed_pop_filtered(
            gst::ClockTime::from_mseconds(200),
            &[
                gst::MessageType::AsyncDone,
                gst::MessageType::Error,
                gst::MessageType::Eos,
            ],
        );
        match message.as_ref().map(|message| message.view()) {
            Some(gst::MessageView::Error(_)) => return None,
            Some(_) => {
                return pipeline
                    .query_duration::<gst::ClockTime>()
                    .map(|length| length.nseconds() as f64 / 1e9)
                    .filter(|seconds| *seconds > 0.0);
            }
            None => {}
        }
    }
    None
}
