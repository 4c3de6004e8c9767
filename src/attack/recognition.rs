//! The attacker who has a recognition model. Only here is one ever loaded, and only one that the user names.

use std::path::Path;

use super::disguise::Disguise;
use super::picture::Picture;
use super::ridge::Labelled;
use crate::detect::session::{Session, SessionOptions};
use crate::error::{Error, Result};

/// Side of the model's input where the model leaves it open, as most recognition models have it.
const SIDE: usize = 112;

/// A model that turns a face into numbers that are alike for pictures of one person.
pub struct Recogniser {
    session: Session,
    size: (usize, usize),
    path: String,
}

impl Recogniser {
    /// Loads the ONNX file at `path`: one input of 1 × 3 × height × width, R, G, B from -1 to 1; the first output is the
    /// embedding. Embeddings are compared by the angle between them.
    ///
    /// Errors: [`Error::Io`], [`Error::Runtime`], or [`Error::Model`] when it is no such model.
    pub fn open(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|error| Error::io(path, "reading", error))?;
        let name = path.display().to_string();
        let session = Session::open(&name, &bytes, &SessionOptions::default())?;
        let size = match session.inputs() {
            [input] => match *input.shape.as_slice() {
                [_, None | Some(3), height, width] => {
                    Some((width.unwrap_or(SIDE), height.unwrap_or(SIDE)))
                }
                _ => None,
            },
            _ => None,
        };
        let size = size.ok_or_else(|| {
            Error::model(
                &name,
                "is no recognition model that can be used: one input of batch x 3 x height x width is needed",
            )
        })?;
        let path = name;
        Ok(Self {
            session,
            size,
            path,
        })
    }

    /// The embeddings of `pictures` as `style` leaves them.
    pub(super) fn features(
        &mut self,
        pictures: &[(usize, &Picture)],
        style: &Disguise,
    ) -> Result<Vec<Labelled>> {
        let seen = |(own, picture): &(usize, &Picture)| {
            Ok((*own, self.embedding(&style.applied(picture)?)?))
        };
        pictures.iter().map(seen).collect()
    }

    fn embedding(&mut self, picture: &Picture) -> Result<Vec<f64>> {
        let (width, height) = self.size;
        let picture = picture.resized(width, height);
        let channel = |n: usize| picture.pixels().iter().skip(n).step_by(3);
        let planes = [0, 1, 2].into_iter().flat_map(channel);
        let input: Vec<f32> = planes
            .map(|&value| (f32::from(value) - 127.5) / 127.5)
            .collect();
        let path = &self.path;
        self.session.run(&input, [1, 3, height, width], |outputs| {
            let first = outputs.first().filter(|output| !output.data.is_empty());
            let output = first.ok_or_else(|| Error::model(path, "has no output of numbers"))?;
            if output.data.iter().any(|value| !value.is_finite()) {
                return Err(Error::model(path, "gives an embedding that is not finite"));
            }
            Ok(output.data.iter().map(|&value| f64::from(value)).collect())
        })
    }
}
