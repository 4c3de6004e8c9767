//! Every combination of some settings: how leaks and needless redaction trade off.
//!
//! Each setting of the detector looks at each frame once, whatever follows; tracking runs again for each of its settings, in
//! the same elements as ever; margins need no run of their own.

use std::collections::HashMap;
use std::ffi::OsString;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::str::FromStr;
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, bail};
use floutage::detect::{
    Class, Detection, Detector, DetectorSettings, OnnxDetector, SharedDetector, StageTimes, open,
};
use floutage::evaluate::{ALL_HEIGHTS, Evaluation};
use floutage::frame::Frame;
use floutage::media::pipeline::Tracking;
use floutage::redact::Settings;
use serde_json::{Value, json};

use super::figures;
use super::subject::{Findings, Kind, Subject};

/// Most combinations that are run.
const MOST: usize = 1000;

/// Settings and the values that each is to take: `margin=0.2,0.4,look-ahead=0,12`.
#[derive(Clone, Debug, PartialEq)]
pub struct Sweep(Vec<(String, Vec<String>)>);

impl FromStr for Sweep {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut all: Vec<(String, Vec<String>)> = Vec::new();
        for part in text.split(',').map(str::trim) {
            let value = match part.split_once('=') {
                Some((name, value)) => {
                    if all.iter().any(|(known, _)| known == name.trim()) {
                        return Err(format!("{} is there twice", name.trim()));
                    }
                    all.push((name.trim().to_owned(), Vec::new()));
                    value.trim()
                }
                None => part,
            };
            let Some((_, values)) = all.last_mut() else {
                return Err(format!("{part:?} must be SETTING=VALUE,VALUE,..."));
            };
            if value.is_empty() || values.iter().any(|known| known == value) {
                return Err(format!(
                    "{part:?} has no value, or one that was there already"
                ));
            }
            values.push(value.to_owned());
        }
        let sweep = Self(all);
        // Names and values are checked before anything runs.
        let settings = Chosen::default();
        for (name, values) in &sweep.0 {
            for value in values {
                settings
                    .clone()
                    .set(name, value)
                    .map_err(|error| format!("{error:#}"))?;
            }
        }
        let count = sweep
            .0
            .iter()
            .map(|(_, values)| values.len())
            .product::<usize>();
        if count > MOST {
            return Err(format!(
                "{count} combinations are too many; at most {MOST} are run"
            ));
        }
        Ok(sweep)
    }
}

impl Sweep {
    /// The option of the command line `words` that a swept setting would take the place of.
    pub fn overridden(&self, words: impl Iterator<Item = OsString>) -> Option<String> {
        let mut names: Vec<&str> = self.0.iter().map(|(name, _)| name.as_str()).collect();
        for (both, each) in [
            ("margin", ["face-margin", "plate-margin"]),
            (
                "confidence-threshold",
                ["face-threshold", "plate-threshold"],
            ),
        ] {
            if names.contains(&both) {
                names.extend(each);
            }
        }
        let mut given = words.filter_map(|word| {
            let word = word.into_string().ok()?;
            let option = word.strip_prefix("--")?;
            let name = option.split_once('=').map_or(option, |(name, _)| name);
            names.contains(&name).then(|| format!("--{name}"))
        });
        given.next()
    }
}

/// The settings of one run.
#[derive(Clone, Debug, Default)]
pub struct Chosen {
    pub detector: DetectorSettings,
    pub tracking: Tracking,
    pub redaction: Settings,
}

/// Settings of the detector that can be swept.
const OF_DETECTOR: [&str; 6] = [
    "confidence-threshold",
    "face-threshold",
    "plate-threshold",
    "track-threshold",
    "iou-threshold",
    "input-size",
];
const OF_TRACKING: [&str; 3] = ["look-ahead", "hold", "detect-every"];

impl Chosen {
    fn set(&mut self, name: &str, value: &str) -> Result<()> {
        fn number<T: FromStr>(name: &str, value: &str) -> Result<T> {
            value
                .parse()
                .ok()
                .with_context(|| format!("{name}={value}: not a number of the kind that is needed"))
        }
        let share = || number::<f32>(name, value);
        let count = || number::<usize>(name, value);
        match name {
            "confidence-threshold" => {
                self.detector.face_threshold = Some(share()?);
                self.detector.plate_threshold = Some(share()?);
            }
            "face-threshold" => self.detector.face_threshold = Some(share()?),
            "plate-threshold" => self.detector.plate_threshold = Some(share()?),
            "track-threshold" => self.detector.track_threshold = Some(share()?),
            "iou-threshold" => self.detector.iou_threshold = share()?,
            "input-size" => self.detector.input_size = value.parse()?,
            "look-ahead" => self.tracking.settings.look_ahead = count()?,
            "hold" => self.tracking.settings.hold = count()?,
            "detect-every" => self.tracking.detect_every = number(name, value)?,
            "margin" => {
                self.redaction.face.margin = share()?;
                self.redaction.plate.margin = share()?;
            }
            "face-margin" => self.redaction.face.margin = share()?,
            "plate-margin" => self.redaction.plate.margin = share()?,
            _ => bail!(
                "{name:?} cannot be swept; what can is {}, {}, margin, face-margin, plate-margin",
                OF_DETECTOR.join(", "),
                OF_TRACKING.join(", ")
            ),
        }
        self.detector.validate()?;
        self.tracking.validate()?;
        self.redaction.validate()?;
        Ok(())
    }
}

/// One combination and what came of it.
pub struct Point {
    /// The values, in the order of the sweep's settings.
    pub values: Vec<String>,
    pub evaluation: Evaluation,
    /// No other combination has both fewer leaks and less redacted without need.
    pub best: bool,
}

impl Point {
    /// Boxes that leak, and all boxes.
    pub fn leaks(&self, class: Class) -> (u64, u64) {
        let leaks = self.evaluation.figures(class, ALL_HEIGHTS).leaks;
        (leaks.hits, leaks.all)
    }

    /// Share of all boxes that leak.
    pub fn leak_rate(&self) -> f64 {
        let (leaks, all) = Class::ALL
            .map(|class| self.leaks(class))
            .into_iter()
            .fold((0, 0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
        leaks as f64 / all.max(1) as f64
    }
}

/// What came of a sweep.
pub struct Swept {
    /// Names of the settings.
    pub names: Vec<String>,
    pub points: Vec<Point>,
}

/// A detector that looks at each picture once.
struct Remembering {
    detector: OnnxDetector,
    known: HashMap<u64, Vec<Detection>>,
}

impl Detector for Remembering {
    fn detect(&mut self, frame: &Frame<'_>) -> floutage::Result<(Vec<Detection>, StageTimes)> {
        let key = fingerprint(frame);
        if let Some(found) = self.known.get(&key) {
            return Ok((found.clone(), StageTimes::default()));
        }
        let (found, times) = self.detector.detect(frame)?;
        self.known.insert(key, found.clone());
        Ok((found, times))
    }
}

/// A number that is the same for the same picture only, as good as certainly.
fn fingerprint(frame: &Frame<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    (
        frame.format(),
        frame.width(),
        frame.height(),
        frame.colour(),
    )
        .hash(&mut hasher);
    for plane in 0..frame.format().planes() {
        let (_, rows) = frame
            .format()
            .plane_size(plane, frame.width(), frame.height());
        for row in 0..rows {
            hasher.write(frame.row(plane, row));
        }
    }
    hasher.finish()
}

impl Sweep {
    /// Every combination, those with the same detector settings in a row, and of those the ones with the same tracking.
    fn combinations(&self) -> Vec<Vec<&str>> {
        let rank = |name: &str| {
            let of_detector = OF_DETECTOR.contains(&name);
            2 - 2 * usize::from(of_detector) - usize::from(OF_TRACKING.contains(&name))
        };
        let mut order: Vec<usize> = (0..self.0.len()).collect();
        order.sort_by_key(|&at| rank(&self.0[at].0));
        let mut all = vec![vec![""; self.0.len()]];
        for at in order {
            all = all
                .iter()
                .flat_map(|values| {
                    self.0[at].1.iter().map(move |value| {
                        let mut values = values.clone();
                        values[at] = value.as_str();
                        values
                    })
                })
                .collect();
        }
        all
    }

    /// `base` with one combination of values.
    fn chosen(&self, base: &Chosen, values: &[&str]) -> Result<Chosen> {
        let mut chosen = base.clone();
        for ((name, _), value) in self.0.iter().zip(values) {
            chosen.set(name, value)?;
        }
        Ok(chosen)
    }

    /// Runs all combinations, each with the other settings of `base`.
    pub fn run(&self, subject: &Subject, base: &Chosen) -> Result<Swept> {
        if let (Kind::Pictures(_), Some((name, _))) = (
            &subject.kind,
            self.0
                .iter()
                .find(|it| OF_TRACKING.contains(&it.0.as_str())),
        ) {
            bail!("--sweep {name}: it changes nothing in pictures, which have no order in time");
        }
        for values in self.combinations() {
            self.chosen(base, &values)?.tracking.check_cover()?;
        }
        let mut detector: Option<(DetectorSettings, SharedDetector)> = None;
        let mut findings: Option<(DetectorSettings, Tracking, Findings)> = None;
        let mut points = Vec::new();
        for values in self.combinations() {
            let chosen = self.chosen(base, &values)?;
            let shared = match &detector {
                Some((settings, shared)) if *settings == chosen.detector => shared.clone(),
                _ => {
                    let shared: SharedDetector = Arc::new(Mutex::new(Remembering {
                        detector: open(&chosen.detector)?,
                        known: HashMap::new(),
                    }));
                    detector = Some((chosen.detector.clone(), shared.clone()));
                    shared
                }
            };
            let same = matches!(&findings, Some((detector, tracking, _))
                if *detector == chosen.detector && *tracking == chosen.tracking);
            if !same {
                let found = subject.find(shared, &chosen.redaction, chosen.tracking)?;
                findings = Some((chosen.detector.clone(), chosen.tracking, found));
            }
            if let Some((_, _, found)) = &findings {
                points.push(Point {
                    values: values.iter().map(|&value| value.to_owned()).collect(),
                    evaluation: subject.compare(found, &chosen.redaction),
                    best: false,
                });
            }
        }
        mark_best(&mut points);
        Ok(Swept {
            names: self.0.iter().map(|(name, _)| name.clone()).collect(),
            points,
        })
    }
}

fn mark_best(points: &mut [Point]) {
    let all: Vec<(f64, f64)> = points
        .iter()
        .map(|point| (point.leak_rate(), point.evaluation.over_redaction()))
        .collect();
    for (point, mine) in points.iter_mut().zip(&all) {
        let beats = |other: &(f64, f64)| other.0 <= mine.0 && other.1 <= mine.1 && other != mine;
        point.best = !all.iter().any(beats);
    }
}

impl Swept {
    /// The table on the terminal.
    pub fn table(&self) -> String {
        let widths: Vec<usize> = self.names.iter().map(|name| name.len().max(6)).collect();
        let mut text = String::from("  ");
        for (name, width) in self.names.iter().zip(&widths) {
            text.push_str(&format!("{name:>width$}  "));
        }
        text.push_str(&format!(
            "{:>16}{:>9}{:>16}{:>9}{:>14}{:>9}{:>12}\n",
            "faces that leak",
            "tracks",
            "plates",
            "tracks",
            "longest run",
            "altered",
            "false areas"
        ));
        for point in &self.points {
            text.push_str(if point.best { "* " } else { "  " });
            for (value, width) in point.values.iter().zip(&widths) {
                text.push_str(&format!("{value:>width$}  "));
            }
            let mut longest = 0;
            for (class, width) in Class::ALL.into_iter().zip([16, 16]) {
                let figures = point.evaluation.figures(class, ALL_HEIGHTS);
                longest = longest.max(figures.longest_run);
                let leaks = format!("{} of {}", figures.leaks.hits, figures.leaks.all);
                let tracks = format!("{}/{}", figures.tracks.hits, figures.tracks.all);
                text.push_str(&format!("{leaks:>width$}{tracks:>9}"));
            }
            let evaluation = &point.evaluation;
            let areas = evaluation.false_areas_per_frame().unwrap_or_default();
            text.push_str(&format!(
                "{longest:>14}{:>8.2}%{:>12.2}\n",
                evaluation.over_redaction() * 100.0,
                areas.iter().sum::<f64>()
            ));
        }
        text.push_str(
            "\n* no other combination has both fewer leaks and less altered without need\n\
             altered: share of what is neither face nor plate; false areas: per frame\n",
        );
        text
    }

    /// All points with all figures.
    pub fn json(&self) -> Value {
        let point = |point: &Point| {
            let settings = self.names.iter().cloned().zip(&point.values);
            let settings: serde_json::Map<String, Value> = settings
                .map(|(name, value)| {
                    let number = value
                        .parse::<f64>()
                        .map_or_else(|_| json!(value), Value::from);
                    (name, number)
                })
                .collect();
            let mut all = figures::all(&point.evaluation);
            if let Some(all) = all.as_object_mut() {
                all.remove("tracks");
            }
            json!({"settings": settings, "best": point.best, "leak_rate": point.leak_rate(), "figures": all})
        };
        json!({"sweep": self.points.iter().map(point).collect::<Vec<_>>()})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_swept_is_not_given_beside() {
        let sweep: Sweep = "margin=0.2,0.4,hold=0,12".parse().unwrap();
        let told = |words: &[&str]| sweep.overridden(words.iter().map(OsString::from));
        assert_eq!(told(&["a.mp4", "--sweep", "margin=0.2", "--cells=2"]), None);
        assert_eq!(told(&["--margin", "1"]), Some("--margin".into()));
        assert_eq!(told(&["--plate-margin=1"]), Some("--plate-margin".into()));
        assert_eq!(told(&["--hold=3"]), Some("--hold".into()));
    }

    #[test]
    fn settings_and_values_are_told_apart() {
        let sweep: Sweep = "margin=0.2,0.4,look-ahead=0,6,12,confidence-threshold=0.3"
            .parse()
            .unwrap();
        assert_eq!(sweep.0.len(), 3);
        let all = sweep.combinations();
        assert_eq!(all.len(), 6);
        assert_eq!(all[0], ["0.2", "0", "0.3"]);
        // Margins vary first, so that each run serves all of them.
        assert_eq!(all[1], ["0.4", "0", "0.3"]);
        assert_eq!(all[2], ["0.2", "6", "0.3"]);
    }

    #[test]
    fn what_cannot_be_swept_is_refused_before_anything_runs() {
        for (wrong, word) in [
            ("", "SETTING=VALUE"),
            ("0.4", "SETTING=VALUE"),
            ("margin", "SETTING=VALUE"),
            ("margin=", "no value"),
            ("margin=0.4,0.4", "already"),
            ("margin=0.4,margin=0.5", "twice"),
            ("margin=9", "margin"),
            ("hold=-1", "hold"),
            ("hold=1.5", "hold"),
            ("detect-every=0", "detect-every"),
            ("confidence-threshold=nan", "threshold"),
            ("input-size=100", "input-size"),
            ("colour=red", "cannot be swept"),
        ] {
            let error = wrong.parse::<Sweep>().unwrap_err();
            assert!(error.contains(word), "{wrong}: {error}");
        }
        let many = (0..=200)
            .map(|it| it.to_string())
            .collect::<Vec<_>>()
            .join(",");
        let error = format!("hold={many},look-ahead={many}")
            .parse::<Sweep>()
            .unwrap_err();
        assert!(error.contains("too many"), "{error}");
    }

    #[test]
    fn the_best_are_those_that_nothing_beats() {
        let point = |leaks: u64, altered: u64| {
            let mut evaluation = Evaluation {
                outside: (altered, 100),
                ..Evaluation::default()
            };
            for index in 0..10 {
                evaluation.boxes.push(floutage::evaluate::BoxResult {
                    frame: index as usize,
                    track: 1,
                    class: Class::Face,
                    bbox: floutage::geometry::BBox::new(0.0, 0.0, 9.0, 9.0),
                    covered: if index < leaks { 0.0 } else { 1.0 },
                    found: None,
                });
            }
            Point {
                values: Vec::new(),
                evaluation,
                best: false,
            }
        };
        let mut points = [
            point(1, 50),
            point(5, 20),
            point(5, 30),
            point(1, 50),
            point(9, 10),
        ];
        mark_best(&mut points);
        assert_eq!(
            points.map(|point| point.best),
            [true, true, false, true, true]
        );
    }
}
