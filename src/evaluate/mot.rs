//! MOTChallenge's CSV: one box a line, `frame,id,left,top,width,height,conf,class,visibility`.
//!
//! A first line with names of columns may put them in another order. Frames count from 1.

use crate::detect::Class;
use crate::geometry::BBox;

/// Frames a file may have, over four days at 25 a second.
const MOST_FRAMES: f64 = 1e7;

/// The usual columns by name.
pub(super) const NAMES: &str = "frame,id,left,top,width,height,conf,class,visibility";

/// One line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Record {
    /// Index of the frame, from 0.
    pub frame: usize,
    /// Number of the track; -1 where there is none.
    pub track: i64,
    pub bbox: BBox,
    /// Confidence, or in a truth 0 for a box to be ignored; 1 where there is none.
    pub confidence: f32,
    pub class: Class,
}

/// Where the columns are.
struct Columns {
    frame: usize,
    track: usize,
    sides: [usize; 4],
    confidence: Option<usize>,
    class: Option<usize>,
}

impl Columns {
    /// Without a line that names them.
    const USUAL: Self = Self {
        frame: 0,
        track: 1,
        sides: [2, 3, 4, 5],
        confidence: Some(6),
        class: Some(7),
    };

    fn named(line: &str) -> Result<Self, String> {
        let names: Vec<String> = line.split(',').map(plain).collect();
        let find = |wanted: &[&str]| {
            names
                .iter()
                .position(|name| wanted.contains(&name.as_str()))
        };
        let need = |wanted: &[&str]| {
            find(wanted).ok_or_else(|| format!("no column is named {}: {line:?}", wanted[0]))
        };
        Ok(Self {
            frame: need(&["frame", "framenumber", "frameid"])?,
            track: need(&["id", "track", "trackid"])?,
            sides: [
                need(&["left", "x", "bbleft"])?,
                need(&["top", "y", "bbtop"])?,
                need(&["width", "w", "bbwidth"])?,
                need(&["height", "h", "bbheight"])?,
            ],
            confidence: find(&["conf", "confidence", "score"]),
            class: find(&["class", "classid", "category", "label"]),
        })
    }
}

/// A name in small letters, without spaces and signs.
fn plain(name: &str) -> String {
    let letters = name.chars().filter(|letter| letter.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}

/// The class that a name or number means: 1 or face, 2 or plate.
pub(super) fn class_named(name: &str) -> Option<Class> {
    if let Ok(number) = name.trim().parse::<f64>() {
        // Some write 1.0.
        return match number {
            1.0 => Some(Class::Face),
            2.0 => Some(Class::Plate),
            _ => None,
        };
    }
    match plain(name).as_str() {
        "face" | "faces" | "humanface" => Some(Class::Face),
        "plate"
        | "plates"
        | "licenseplate"
        | "licenceplate"
        | "numberplate"
        | "registrationplate"
        | "vehicleregistrationplate" => Some(Class::Plate),
        _ => None,
    }
}

/// Reads a file's text. With `class` every box is of that class, whatever the file says.
///
/// Errors: which line is wrong, and why.
pub(super) fn parse(text: &str, class: Option<Class>) -> Result<Vec<Record>, String> {
    let mut columns = Columns::USUAL;
    let mut records = Vec::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim_start().starts_with('{') {
        return Err(format!(
            "it is JSON; MOTChallenge CSV is needed, lines of {NAMES}"
        ));
    }
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        let at = |problem: String| format!("line {}: {problem}", index + 1);
        if line.is_empty() {
            continue;
        }
        if index == 0 && line.starts_with(|letter: char| letter.is_alphabetic()) {
            columns = Columns::named(line).map_err(at)?;
            continue;
        }
        records.push(parse_line(line, &columns, class).map_err(at)?);
    }
    Ok(records)
}

fn parse_line(line: &str, columns: &Columns, class: Option<Class>) -> Result<Record, String> {
    let fields: Vec<&str> = line.split(',').map(str::trim).collect();
    let shown: String = line.chars().take(120).collect();
    let number = |index: usize, name: &str| {
        let field = fields
            .get(index)
            .ok_or_else(|| format!("{shown:?} has no {name}"))?;
        let value = field.parse::<f64>().ok().filter(|value| value.is_finite());
        value.ok_or_else(|| format!("{name} is {field:?}, not a number"))
    };
    let frame = number(columns.frame, "frame")?;
    if frame.fract() != 0.0 || !(1.0..=MOST_FRAMES).contains(&frame) {
        return Err(format!(
            "frame is {frame}, not a whole number from 1 to {MOST_FRAMES}"
        ));
    }
    let track = number(columns.track, "id")?;
    if track.fract() != 0.0 || track.abs() > 9e15 {
        return Err(format!("id is {track}, not a whole number"));
    }
    let mut sides = [0.0; 4];
    for ((side, &column), name) in sides
        .iter_mut()
        .zip(&columns.sides)
        .zip(["left", "top", "width", "height"])
    {
        *side = number(column, name)? as f32;
    }
    let [left, top, width, height] = sides;
    let bbox = BBox::from_xywh(left, top, width, height);
    if !bbox.is_valid() {
        return Err(format!(
            "a box of {width} by {height} pixels at {left}, {top} has no area"
        ));
    }
    let given = |column: Option<usize>| column.filter(|&column| column < fields.len());
    let confidence = match given(columns.confidence) {
        Some(column) => number(column, "conf")? as f32,
        None => 1.0,
    };
    let class = match (class, given(columns.class)) {
        (Some(class), _) => class,
        (None, Some(column)) => {
            let class = fields[column];
            class_named(class).ok_or_else(|| {
                format!(
                    "class is {class:?}, neither 1 (face) nor 2 (plate); --class says what every box is"
                )
            })?
        }
        (None, None) => {
            return Err(format!(
                "{shown:?} has no class; --class says what every box is"
            ));
        }
    };
    Ok(Record {
        frame: frame as usize - 1,
        track: track as i64,
        bbox,
        confidence,
        class,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_can_be_named_in_any_order() {
        let text = "\u{feff}label, Frame ,Track ID,x,y,w,h,score\nlicence_plate,3,7,1,2,30,10,0.5\r\nFace,4,-1,1,2,30,40,1\n";
        let records = parse(text, None).unwrap();
        let wanted = Record {
            frame: 2,
            track: 7,
            bbox: BBox::from_xywh(1.0, 2.0, 30.0, 10.0),
            confidence: 0.5,
            class: Class::Plate,
        };
        assert_eq!(records[0], wanted);
        assert_eq!(
            (records[1].frame, records[1].track, records[1].class),
            (3, -1, Class::Face)
        );
        let error = parse("frame,id,left,top,width\n", None).unwrap_err();
        assert!(
            error.starts_with("line 1: no column is named height"),
            "{error}"
        );
    }

    #[test]
    fn a_class_given_takes_the_place_of_the_files() {
        let read = |text: &str| parse(text, Some(Class::Face)).unwrap()[0];
        // As trackers write it, as MOTChallenge does for pedestrians, and without any.
        for line in [
            "1,-1,1,2,3,4,0.7,-1,-1,-1",
            "1,5,1,2,3,4,1,7,0.5",
            "1,5,1,2,3,4",
        ] {
            assert_eq!(read(line).class, Class::Face);
        }
        assert_eq!(read("1,-1,1,2,3,4,0.7,-1,-1,-1").confidence, 0.7);
        assert_eq!(read("1,5,1,2,3,4").confidence, 1.0);
        assert_eq!(
            parse("1,5,1,2,3,4,1,2.0,1", None).unwrap()[0].class,
            Class::Plate
        );
    }

    #[test]
    fn lines_that_are_wrong_are_named() {
        for (bad, word) in [
            ("0,1,1,1,2,2,1,1,1", "frame"),
            ("1.5,1,1,1,2,2,1,1,1", "frame"),
            ("99999999,1,1,1,2,2,1,1,1", "frame"),
            ("1,x,1,1,2,2,1,1,1", "id"),
            ("1,1,1,1,0,2,1,1,1", "no area"),
            ("1,1,1,1,2,-2,1,1,1", "no area"),
            ("1,1,nan,1,2,2,1,1,1", "left"),
            ("1,1,1,inf,2,2,1,1,1", "top"),
            ("1,1,1,1,1e39,2,1,1,1", "no area"),
            ("1,1,1,1,2,2,NaN,1,1", "conf"),
            ("1,1,1,1,2,2,1,3,1", "class"),
            ("1,1,1,1,2,2,1,person,1", "--class"),
            ("1,1,1,1,2,2,1,10,1", "--class"),
            ("1,1,1,1,2,2,1", "--class"),
            ("1,1,1,1", "width"),
            ("[1]", "frame"),
        ] {
            let error = parse(&format!("1,1,1,1,2,2,1,1,1\n{bad}\n"), None).unwrap_err();
            assert!(
                error.starts_with("line 2: ") && error.contains(word),
                "{bad}: {error}"
            );
        }
    }
}
