//! What is stated about an output.

use serde::Serialize;

use crate::redact::Style;

/// What was done to an output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Statement {
    /// How faces were redacted.
    #[serde(serialize_with = "by_name")]
    pub face_style: Style,
    /// How licence plates were.
    #[serde(serialize_with = "by_name")]
    pub plate_style: Style,
    /// SHA-256 of each model, in hexadecimal.
    pub models: Vec<String>,
    /// Pictures.
    pub frames: u64,
    /// Faces redacted, summed over all frames.
    pub faces: u64,
    /// Licence plates likewise.
    pub plates: u64,
    /// Frames filled whole because they could not be analysed.
    pub frames_filled: u64,
}

/// Credentials that were found to be what is written here, and to hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Signed {
    /// SHA-256 of the certificate that signed, in hexadecimal. Whose it is, nobody has checked.
    pub certificate: String,
    /// Version of the program that wrote them.
    pub version: String,
    /// What they state.
    pub statement: Statement,
}

fn by_name<S: serde::Serializer>(style: &Style, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(style.name())
}
