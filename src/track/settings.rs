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

    /// Checks that where one frame of `every` is analysed, what appears between two of them is found before those are let go.
    ///
    /// Errors: [`Error::Setting`] about `detect-every` that says what would do.
    pub fn check_cover(&self, every: u32) -> Result<()> {
        let (look_ahead, most) = (self.look_ahead, self.look_ahead + 1);
        if every as usize <= most {
            return Ok(());
        }
        let allowed = format!(
            "at most {most} with a look-ahead of {look_ahead} frames: what appears between two analysed frames would show until the next one"
        );
        Err(Error::setting("detect-every", every, allowed))
    }
}
