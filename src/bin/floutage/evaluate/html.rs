//! The report as one HTML file: nothing is loaded from elsewhere, no script runs.

use floutage::detect::Class;
use floutage::evaluate::{Evaluation, Rate};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::Outcome;
use super::crops::{self, Crop};
use super::figures::rows;
use super::plots;
use super::sweep::Swept;

const STYLE: &str = include_str!("report.css");

/// The page. `about` says what was measured; `crops` are pictures of leaks, where they were asked for.
pub fn page(about: &[(&str, String)], outcome: &Outcome, crops: &[Crop]) -> String {
    let body = match outcome {
        Outcome::One(evaluation) => one(evaluation),
        Outcome::Many(swept) => many(swept),
    };
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width";
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'";
                title { "What leaks: " (about.first().map_or("", |it| it.1.as_str())) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                @if !crops.is_empty() {
                    p.warning { (crops::WARNING) }
                }
                h1 { "What leaks" }
                dl {
                    @for (name, value) in about {
                        dt { (name) } dd { (value) }
                    }
                }
                (body)
                @if !crops.is_empty() {
                    h2 { "Worst leaks" }
                    (contact_sheet(crops))
                }
            }
        }
    };
    page.into_string()
}

fn percent(rate: &Rate) -> String {
    if rate.all == 0 {
        return "–".to_owned();
    }
    format!("{:.1} %", rate.share() * 100.0)
}

fn interval(rate: &Rate) -> String {
    if rate.all == 0 {
        return String::new();
    }
    format!(
        "{:.1}–{:.1}",
        rate.interval.0 * 100.0,
        rate.interval.1 * 100.0
    )
}

fn one(evaluation: &Evaluation) -> Markup {
    let mut tracks = evaluation.tracks();
    tracks.sort_by_key(|track| std::cmp::Reverse((track.longest_run.1, track.leaks)));
    let word = if evaluation.pictures {
        "pictures"
    } else {
        "frames"
    };
    html! {
        @if evaluation.is_out_of_step() {
            p.warning {
                (evaluation.out_of_step) " of " (evaluation.frames) " frames show another time of the original. All that moves counts as "
                "redacted in them: the figures are too good."
            }
        }
        p {
            (evaluation.frames) " " (word) "; "
            strong { (format!("{:.2} %", evaluation.over_redaction() * 100.0)) }
            " of what is neither face nor plate was altered; "
            @if let Some(areas) = evaluation.false_areas_per_frame() {
                (format!("{:.2}", areas.iter().sum::<f64>()))
                " redacted areas per " (word.trim_end_matches('s')) " meet no box of the truth."
            } @else {
                "how many areas meet no box of the truth is not known from pixels."
            }
        }
        (table(evaluation))
        p.note {
            "A box leaks when less than 90 % of it was altered. Leaks and exposed runs are counted on the redacted areas, margin \
             included, or on the pixels that differ; recall and precision (at IoU 0.5) on detections before tracking and margin, \
             in frames that were analysed. Intervals are of 95 %: over tracks (bootstrap) for boxes and tracks that leak, \
             Wilson's for the rest. Heights are those of the truth's boxes."
        }
        h2 { "Boxes that leak, by height" }
        (plots::leak_rates(evaluation))
        @if !evaluation.pictures {
            h2 { "Longest exposed runs" }
            (plots::longest_runs(&tracks))
            h2 { "Coverage of each track, by frame" }
            (plots::timelines(evaluation, &tracks))
        }
    }
}

fn table(evaluation: &Evaluation) -> Markup {
    let detections = evaluation.analysed > 0;
    html! {
        table {
            thead { tr {
                th {} th { "height, px" } th { "boxes" } th { "leak rate" } th { "95 %" }
                @if !evaluation.pictures {
                    th { "frames that leak" } th { "tracks that leak" } th { "95 %" } th { "longest run" }
                }
                @if detections {
                    th { "recall" } th { "95 %" } th { "precision" } th { "95 %" }
                }
            } }
            tbody {
                @for class in Class::ALL {
                    @for row in rows(evaluation, class) {
                        @let figures = &row.figures;
                        tr.all[row.name == "all"] {
                            td { (class) } td { (row.name) } td { (figures.leaks.all) }
                            td { (percent(&figures.leaks)) } td.small { (interval(&figures.leaks)) }
                            @if !evaluation.pictures {
                                td { (figures.frames.hits) " of " (figures.frames.all) }
                                td { (figures.tracks.hits) " of " (figures.tracks.all) }
                                td.small { (interval(&figures.tracks)) } td { (figures.longest_run) }
                            }
                            @if detections {
                                td { (percent(&figures.recall)) } td.small { (interval(&figures.recall)) }
                                td { (percent(&figures.precision)) } td.small { (interval(&figures.precision)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn many(swept: &Swept) -> Markup {
    html! {
        h2 { "Leaks against needless redaction" }
        (plots::trade_off(swept))
        table {
            thead { tr {
                @for name in &swept.names { th { (name) } }
                th { "faces that leak" } th { "plates that leak" } th { "tracks that leak" } th { "altered without need" }
                th { "false areas per frame" }
            } }
            tbody {
                @for point in &swept.points {
                    @let evaluation = &point.evaluation;
                    @let tracks = evaluation.tracks();
                    tr.best[point.best] {
                        @for value in &point.values { td { (value) } }
                        @for class in Class::ALL {
                            td { (point.leaks(class).0) " of " (point.leaks(class).1) }
                        }
                        td { (tracks.iter().filter(|track| track.leaks > 0).count()) " of " (tracks.len()) }
                        td { (format!("{:.2} %", evaluation.over_redaction() * 100.0)) }
                        td { (format!("{:.2}", evaluation.false_areas.iter().sum::<u64>() as f64
                            / evaluation.frames.max(1) as f64)) }
                    }
                }
            }
        }
        p.note { "In bold: no other combination has both fewer leaks and less altered without need." }
    }
}

fn contact_sheet(crops: &[Crop]) -> Markup {
    html! {
        div.sheet {
            @for crop in crops {
                figure {
                    svg viewBox=(format!("0 0 {} {}", crop.width, crop.height)) width=(crop.width) height=(crop.height) {
                        image href=(crop.data) width=(crop.width) height=(crop.height) {}
                        rect x=(crop.place[0]) y=(crop.place[1]) width=(crop.place[2]) height=(crop.place[3]) class="box" {}
                    }
                    figcaption { (crop.caption) }
                }
            }
        }
    }
}
