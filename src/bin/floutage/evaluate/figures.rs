//! The figures by class and size, and as JSON.

use floutage::detect::Class;
use floutage::evaluate::{ALL_HEIGHTS, Evaluation, Figures, Heights, Rate, TrackResult, buckets};
use serde_json::{Map, Value, json};

/// The figures of one class and size.
pub struct Row {
    /// "12 to 24" and the like.
    pub name: String,
    pub figures: Figures,
}

/// "12 to 24" and the like.
pub fn name(heights: Heights) -> String {
    match heights {
        ALL_HEIGHTS => "all".to_owned(),
        (0.0, most) => format!("under {most}"),
        (least, f32::INFINITY) => format!("{least} and more"),
        (least, most) => format!("{least} to {most}"),
    }
}

/// Those sizes of `class` of which there is anything, and all together.
pub fn rows(evaluation: &Evaluation, class: Class) -> Vec<Row> {
    let row = |heights| Row {
        name: name(heights),
        figures: evaluation.figures(class, heights),
    };
    let all = buckets().chain([ALL_HEIGHTS]).map(row);
    all.filter(|row| row.figures.leaks.all > 0 || row.figures.precision.all > 0)
        .collect()
}

/// All figures.
pub fn all(evaluation: &Evaluation) -> Value {
    let by_class = |of: &dyn Fn(Class) -> Value| -> Map<String, Value> {
        let entry = |class: Class| (class.name().to_owned(), of(class));
        Class::ALL.into_iter().map(entry).collect()
    };
    let classes = by_class(&|class| {
        let rows = rows(evaluation, class);
        rows.iter().map(figures).collect()
    });
    let tracks = by_class(&|class| {
        let tracks = evaluation.tracks();
        let tracks = tracks.iter().filter(|track| track.class == class);
        tracks.map(track_figures).collect()
    });
    // What nothing is known of is null, not 0.
    let areas = |of: [u64; Class::ALL.len()]| {
        (evaluation.with_areas > 0).then(|| by_class(&|class| of[class as usize].into()))
    };
    let mut all = json!({
        "frames": evaluation.frames,
        "frames_analysed": evaluation.analysed,
        "classes": classes,
        "tracks": tracks,
        "over_redaction": evaluation.over_redaction(),
        "boxes_outside_frames": evaluation.beyond,
        "frames_out_of_step": evaluation.out_of_step,
        "areas": areas(evaluation.areas),
        "false_areas": areas(evaluation.false_areas),
        "false_areas_per_frame": evaluation
            .false_areas_per_frame()
            .map(|areas| areas.iter().sum::<f64>()),
    });
    if let (true, Some(all)) = (evaluation.pictures, all.as_object_mut()) {
        all.remove("tracks");
    }
    all
}

fn figures(row: &Row) -> Value {
    let Row { name, figures } = row;
    // What nothing is known of is null, not 0.
    let share = |rate: &Rate| (rate.all > 0).then(|| rate.share());
    let interval = |rate: &Rate| (rate.all > 0).then_some(rate.interval);
    json!({
        "height": name,
        "boxes": figures.leaks.all,
        "leaks": figures.leaks.hits,
        "leak_rate": share(&figures.leaks),
        "leak_rate_95": interval(&figures.leaks),
        "coverage": share(&figures.leaks).map(|share| 1.0 - share),
        "frames": figures.frames.all,
        "leaking_frames": figures.frames.hits,
        "frame_leak_rate": share(&figures.frames),
        "frame_leak_rate_95": interval(&figures.frames),
        "tracks": figures.tracks.all,
        "leaking_tracks": figures.tracks.hits,
        "track_leak_rate": share(&figures.tracks),
        "track_leak_rate_95": interval(&figures.tracks),
        "longest_run": figures.longest_run,
        "boxes_analysed": figures.recall.all,
        "boxes_found": figures.recall.hits,
        "recall": share(&figures.recall),
        "recall_95": interval(&figures.recall),
        "false_detections": figures.precision.all - figures.precision.hits,
        "precision": share(&figures.precision),
        "precision_95": interval(&figures.precision),
    })
}

fn track_figures(track: &TrackResult) -> Value {
    json!({
        "id": track.track,
        "height": track.height,
        "boxes": track.covered.len(),
        "leaks": track.leaks,
        "longest_run": track.longest_run.1,
        // As in the truth, frames are counted from 1.
        "longest_run_from": (track.longest_run.1 > 0).then_some(track.longest_run.0 + 1),
    })
}
