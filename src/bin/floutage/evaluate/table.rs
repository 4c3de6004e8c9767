//! The figures as a table on the terminal.

use floutage::detect::Class;
use floutage::evaluate::{Evaluation, Rate};

use super::figures::{Row, rows};

/// A share in four figures, or a dash when there is nothing it could be of.
fn share(rate: &Rate) -> String {
    if rate.all == 0 {
        return "-".to_owned();
    }
    format!("{:.4}", rate.share())
}

fn interval(rate: &Rate) -> String {
    if rate.all == 0 {
        return "-".to_owned();
    }
    format!("{:.4} to {:.4}", rate.interval.0, rate.interval.1)
}

fn of(rate: &Rate) -> String {
    format!("{} of {}", rate.hits, rate.all)
}

/// The whole report.
pub fn all(evaluation: &Evaluation) -> String {
    let mut text = leaks(evaluation);
    if evaluation.analysed > 0 {
        text.push('\n');
        text.push_str(&detections(evaluation));
    }
    let areas = evaluation.false_areas_per_frame().map(|areas| {
        let named = Class::ALL.map(|class| format!("{:.2} {class} areas", areas[class as usize]));
        format!("; in each {} where nothing is", named.join(" and "))
    });
    let word = if evaluation.pictures {
        "pictures"
    } else {
        "frames"
    };
    text.push_str(&format!(
        "\n{} {word}; {:.2} % of what is neither face nor plate altered{}\n",
        evaluation.frames,
        evaluation.over_redaction() * 100.0,
        areas.unwrap_or_default()
    ));
    text
}

fn each_row(evaluation: &Evaluation, mut line: impl FnMut(Class, Row)) {
    for class in Class::ALL {
        for row in rows(evaluation, class) {
            line(class, row);
        }
    }
}

fn leaks(evaluation: &Evaluation) -> String {
    let mut text = format!(
        "{:7}{:14}{:>7}{:>10}{:>18}",
        "", "height", "boxes", "leak rate", "95 % interval"
    );
    if !evaluation.pictures {
        text.push_str(&format!(
            "{:>15}{:>18}{:>18}{:>9}",
            "leaky frames", "tracks that leak", "95 % interval", "longest"
        ));
    }
    text.push('\n');
    each_row(evaluation, |class, Row { name, figures }| {
        text.push_str(&format!(
            "{:7}{name:14}{:>7}{:>10}{:>18}",
            class.name(),
            figures.leaks.all,
            share(&figures.leaks),
            interval(&figures.leaks)
        ));
        if !evaluation.pictures {
            text.push_str(&format!(
                "{:>15}{:>18}{:>18}{:>9}",
                of(&figures.frames),
                of(&figures.tracks),
                interval(&figures.tracks),
                figures.longest_run
            ));
        }
        text.push('\n');
    });
    text
}

fn detections(evaluation: &Evaluation) -> String {
    let mut text = format!(
        "{:7}{:14}{:>7}{:>10}{:>18}{:>12}{:>18}\n",
        "", "height", "boxes", "recall", "95 % interval", "precision", "95 % interval"
    );
    each_row(evaluation, |class, Row { name, figures }| {
        text.push_str(&format!(
            "{:7}{name:14}{:>7}{:>10}{:>18}{:>12}{:>18}\n",
            class.name(),
            figures.recall.all,
            share(&figures.recall),
            interval(&figures.recall),
            share(&figures.precision),
            interval(&figures.precision)
        ));
    });
    text
}
