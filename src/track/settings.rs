//! What the user chooses about tracking, with the allowed ranges.

use crate::error::{Error, Result};

/// Most frames of look-ahead and of hold: ten seconds at 25 frames per second.
pub const MOST_FRAMES: usize = 250;

/// How tracks are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Frames that wait before they are redacted, so that what is detected later can redact them too; 0 to 250.
    pub look_ahead: usize,
    /// Frames for which a region stays after it was last detected; 0 to 250.
    pub hold: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            look_ahead: 12,
            hold: 12,
        }
    }
}

impl Settings {
    /// Checks every value.
    ///
    /// Errors: [`Error::Setting`] with name, value and allowed range.
    pub fn validate(&self) -> Result<()> {
        for (name, value) in [("look-ahead", self.look_ahead), ("hold", self.hold)] {
            if value > MOST_FRAMES {
                let allowed = format!("from 0 to {MOST_FRAMES} frames");
                return Err(Error::setting(name, value, allowed));
            }
        }
        Ok(())
    }
}
