//! Holds a stream back until others have come: a muxer takes no more streams once it has begun.

use std::sync::{Mutex, PoisonError};

use gst::prelude::*;

use crate::error::{Error, Result};

/// What a pad gives is held until this is released, or dropped.
pub struct Held(Mutex<Option<(gst::Pad, gst::PadProbeId)>>);

impl Held {
    /// Holds what `pad` gives.
    ///
    /// Errors: the pad cannot be held.
    pub fn at(pad: &gst::Pad) -> Result<Self> {
        let probe = pad
            .add_probe(gst::PadProbeType::BLOCK_DOWNSTREAM, |_, _| {
                gst::PadProbeReturn::Ok
            })
            .ok_or_else(|| Error::media(pad.name().as_str(), "cannot be held"))?;
        Ok(Self(Mutex::new(Some((pad.clone(), probe)))))
    }

    /// Lets it go; once is enough.
    pub fn release(&self) {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((pad, probe)) = held {
            pad.remove_probe(probe);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.release();
    }
}
