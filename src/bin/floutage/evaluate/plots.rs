//! The report's plots, as SVG.

use floutage::detect::Class;
use floutage::evaluate::{ENOUGH, Evaluation, Heights, TrackResult, buckets};
use maud::{Markup, html};

use super::figures::name;
use super::sweep::Swept;

/// Width of every plot.
const WIDTH: f64 = 860.0;
/// Most tracks drawn; the worst ones come first.
const MOST_TRACKS: usize = 80;
/// Colours by `Class as usize`; of what leaks, of what is covered. Each pair differs in lightness, too.
const CLASSES: [&str; 2] = ["#3b5b92", "#c98a1b"];
const LEAKS: &str = "#b3202c";
const COVERED: &str = "#b9d6c2";

fn number(value: f64) -> String {
    format!("{value:.1}")
}

fn legend(entries: &[(&str, &str)]) -> Markup {
    html! {
        p.legend {
            @for (colour, text) in entries {
                span style=(format!("background:{colour}")) {} (text) " "
            }
        }
    }
}

/// Leak rates by class and size, with their intervals.
pub fn leak_rates(evaluation: &Evaluation) -> Markup {
    let (left, top, height) = (46.0, 12.0, 220.0);
    let all: Vec<Heights> = buckets().collect();
    let step = (WIDTH - left) / all.len() as f64;
    let y = |share: f64| top + height * (1.0 - share);
    html! {
        (legend(&[(CLASSES[0], "faces"), (CLASSES[1], "plates")]))
        svg viewBox=(format!("0 0 {WIDTH} 280")) role="img" aria-label="Leak rate by height with 95 % intervals" {
            @for tick in 0..=4 {
                @let share = f64::from(tick) / 4.0;
                line x1=(left) x2=(WIDTH) y1=(number(y(share))) y2=(number(y(share))) class="grid" {}
                text x=(left - 6.0) y=(number(y(share) + 4.0)) text-anchor="end" { (tick * 25) " %" }
            }
            @for (index, heights) in all.iter().enumerate() {
                @let from = left + step * index as f64;
                text x=(number(from + step / 2.0)) y=(top + height + 20.0) text-anchor="middle" {
                    (name(*heights)) " px"
                }
                @for class in Class::ALL {
                    @let rate = evaluation.figures(class, *heights).leaks;
                    @let middle = from + step * (0.33 + 0.34 * class as usize as f64);
                    @if rate.all > 0 {
                        g {
                            title { (format!("{class}: {} of {} boxes leak, 95 %: {:.1} to {:.1} %", rate.hits, rate.all,
                                rate.interval.0 * 100.0, rate.interval.1 * 100.0)) }
                            rect x=(number(middle - 20.0)) width="40" y=(number(y(rate.share())))
                                height=(number((height * rate.share()).max(1.0))) fill=(CLASSES[class as usize]) {}
                            path d=(format!("M{0:.1} {1:.1}V{2:.1}M{3:.1} {1:.1}h12M{3:.1} {2:.1}h12", middle,
                                y(rate.interval.1), y(rate.interval.0), middle - 6.0)) class="whisker" {}
                            text x=(number(middle)) y=(top + height + 38.0) text-anchor="middle" class="small" {
                                (rate.hits) " / " (rate.all)
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Stretches of frames in which a track is there and alike: first frame, length, and whether it leaks.
fn stretches(track: &TrackResult) -> Vec<(usize, usize, bool)> {
    let mut all: Vec<(usize, usize, bool)> = Vec::new();
    for &(frame, covered) in &track.covered {
        let leaks = covered < ENOUGH;
        match all.last_mut() {
            Some((from, length, same)) if *from + *length == frame && *same == leaks => {
                *length += 1
            }
            _ => all.push((frame, 1, leaks)),
        }
    }
    all
}

fn label(track: &TrackResult) -> String {
    format!("{} {}, {:.0} px", track.class, track.track, track.height)
}

/// When each track is covered, the worst first.
pub fn timelines(evaluation: &Evaluation, tracks: &[TrackResult]) -> Markup {
    let (left, row) = (150.0, 15.0);
    let shown = &tracks[..tracks.len().min(MOST_TRACKS)];
    let bottom = row * shown.len() as f64 + 6.0;
    let frames = evaluation.frames.max(1) as f64;
    let x = |frame: f64| left + (WIDTH - left - 10.0) * frame / frames;
    html! {
        (legend(&[(COVERED, "covered"), (LEAKS, "leaks")]))
        @if shown.len() < tracks.len() {
            p { "The " (shown.len()) " worst of " (tracks.len()) " tracks." }
        }
        svg viewBox=(format!("0 0 {WIDTH} {}", bottom + 22.0)) role="img" aria-label="Coverage of each track over time" {
            @for (index, track) in shown.iter().enumerate() {
                @let y = row * index as f64 + 3.0;
                text x=(left - 6.0) y=(number(y + 10.0)) text-anchor="end" class="small" { (label(track)) }
                @for (from, length, leaks) in stretches(track) {
                    rect x=(number(x(from as f64))) width=(format!("{:.2}", x((from + length) as f64) - x(from as f64)))
                        y=(number(y)) height="11" fill=(if leaks { LEAKS } else { COVERED }) {
                        title { (format!("{}: frames {} to {} {}", label(track), from + 1, from + length,
                            if leaks { "leak" } else { "covered" })) }
                    }
                }
            }
            @for tick in 0..=5 {
                @let frame = frames * f64::from(tick) / 5.0;
                line x1=(number(x(frame))) x2=(number(x(frame))) y1="0" y2=(number(bottom)) class="grid" {}
                text x=(number(x(frame))) y=(number(bottom + 14.0)) class="small"
                    text-anchor=(if tick == 5 { "end" } else { "middle" }) { (format!("{frame:.0}")) }
            }
        }
    }
}

/// The longest exposed runs, the worst first.
pub fn longest_runs(tracks: &[TrackResult]) -> Markup {
    let (left, row) = (150.0, 17.0);
    let leaking = tracks.iter().filter(|track| track.leaks > 0);
    let shown: Vec<&TrackResult> = leaking.take(25).collect();
    let most = shown
        .iter()
        .map(|track| track.longest_run.1)
        .max()
        .unwrap_or(1) as f64;
    html! {
        @if shown.is_empty() {
            p { "No track leaks in any frame." }
        } @else {
            svg viewBox=(format!("0 0 {WIDTH} {}", row * shown.len() as f64 + 6.0)) role="img"
                aria-label="Longest exposed run of each leaking track" {
                @for (index, track) in shown.iter().enumerate() {
                    @let y = row * index as f64 + 3.0;
                    @let (from, length) = track.longest_run;
                    @let width = (WIDTH - left - 230.0) * length as f64 / most;
                    text x=(left - 6.0) y=(number(y + 11.0)) text-anchor="end" class="small" { (label(track)) }
                    rect x=(left) y=(number(y)) width=(number(width)) height="12" fill=(LEAKS) {}
                    text x=(number(left + width + 6.0)) y=(number(y + 11.0)) class="small" {
                        (length) @if length == 1 { " frame" } @else { " frames" }
                        " from " (from + 1) "; " (track.leaks) " of " (track.covered.len()) " leak"
                    }
                }
            }
        }
    }
}

/// A round number at or above `most`, for the end of an axis.
fn round_up(most: f64) -> f64 {
    let steps = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0];
    steps.into_iter().find(|&step| step >= most).unwrap_or(1.0)
}

/// Leaks against what was altered without need, a point for each combination.
pub fn trade_off(swept: &Swept) -> Markup {
    let (left, top, width, height) = (60.0, 12.0, WIDTH - 90.0, 320.0);
    let places: Vec<(f64, f64)> = swept
        .points
        .iter()
        .map(|point| (point.evaluation.over_redaction(), point.leak_rate()))
        .collect();
    let most = |of: fn(&(f64, f64)) -> f64| round_up(places.iter().map(of).fold(0.001, f64::max));
    let (most_x, most_y) = (most(|it| it.0), most(|it| it.1));
    let x = |value: f64| left + width * value / most_x;
    let y = |value: f64| top + height * (1.0 - value / most_y);
    let mut front: Vec<(f64, f64)> = places
        .iter()
        .zip(&swept.points)
        .filter(|(_, point)| point.best)
        .map(|(place, _)| *place)
        .collect();
    front.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.total_cmp(&a.1)));
    let line: Vec<String> = front
        .iter()
        .map(|it| format!("{:.1},{:.1}", x(it.0), y(it.1)))
        .collect();
    let percent = |value: f64| format!("{} %", (value * 1e6).round() / 1e4);
    html! {
        @if places.iter().all(|it| it.1 == 0.0) {
            p { "No box leaks with any of these combinations." }
        }
        (legend(&[(LEAKS, "nothing else is better in both"), ("#8a8f98", "other combinations")]))
        svg viewBox=(format!("0 0 {WIDTH} 390")) role="img" aria-label="Leak rate against over-redaction" {
            @for tick in 0..=4 {
                @let share = f64::from(tick) / 4.0;
                line x1=(left) x2=(left + width) y1=(number(y(share * most_y))) y2=(number(y(share * most_y))) class="grid" {}
                text x=(left - 6.0) y=(number(y(share * most_y) + 4.0)) text-anchor="end" { (percent(share * most_y)) }
                line x1=(number(x(share * most_x))) x2=(number(x(share * most_x))) y1=(top) y2=(top + height) class="grid" {}
                text x=(number(x(share * most_x))) y=(top + height + 18.0) text-anchor="middle" { (percent(share * most_x)) }
            }
            text x=(left + width / 2.0) y=(top + height + 40.0) text-anchor="middle" {
                "altered without need (share of what is neither face nor plate)"
            }
            text transform=(format!("translate(14 {}) rotate(-90)", top + height / 2.0)) text-anchor="middle" {
                "boxes that leak"
            }
            polyline points=(line.join(" ")) class="front" {}
            @for (place, point) in places.iter().zip(&swept.points) {
                @let settings = swept.names.iter().zip(&point.values).map(|(name, value)| format!("{name} {value}"));
                circle cx=(number(x(place.0))) cy=(number(y(place.1))) r=(if point.best { "6" } else { "4.5" })
                    fill=(if point.best { LEAKS } else { "#8a8f98" }) {
                    title { (format!("{}: {:.2} % leak, {:.2} % altered", settings.collect::<Vec<_>>().join(", "),
                        place.1 * 100.0, place.0 * 100.0)) }
                }
            }
        }
    }
}
