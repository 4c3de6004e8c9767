//! What libav's decoders say of damaged streams. They conceal it in the pictures, and GStreamer's wrapper passes it on to
//! its log alone.

use std::sync::{Arc, Mutex, PoisonError};

/// Category of GStreamer's log.
const CATEGORY: &str = "libav";

/// Listens from its creation to the end of its life.
///
/// The log does not say which pipeline it is about: of two that run at the same time in one process, both hear it.
pub struct DecoderLog {
    heard: Arc<Mutex<Heard>>,
    function: Option<gst::log::DebugLogFunction>,
}

#[derive(Default)]
struct Heard {
    errors: u64,
    first: String,
}

impl DecoderLog {
    /// Begins to listen. GStreamer must have been initialised.
    pub fn listen() -> Self {
        Self::listen_with(|_| {})
    }

    /// Likewise, and hands each error to `hear` on the thread that found it.
    pub fn listen_with(hear: impl Fn(&str) + Send + Sync + 'static) -> Self {
        gst::log::set_threshold_for_name(CATEGORY, gst::DebugLevel::Error);
        let heard = Arc::new(Mutex::new(Heard::default()));
        let note = heard.clone();
        let function = gst::log::add_log_function(move |category, level, _, _, _, _, message| {
            if level != gst::DebugLevel::Error || category.name() != CATEGORY {
                return;
            }
            let text = message.get();
            hear(text.as_deref().unwrap_or_default());
            let mut heard = note.lock().unwrap_or_else(PoisonError::into_inner);
            heard.errors += 1;
            if heard.first.is_empty()
                && let Some(text) = text
            {
                // In front there is the place in the decoder.
                heard.first = text.trim_start_matches([':', '0', ' ']).trim().to_owned();
            }
        });
        Self {
            heard,
            function: Some(function),
        }
    }

    /// What was heard so far, in words; None when the decoders were content.
    pub fn damage(&self) -> Option<String> {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        (heard.errors > 0).then(|| {
            format!(
                "the decoder found damage ({} errors, the first: {}); pictures may be broken or missing",
                heard.errors, heard.first
            )
        })
    }
}

impl Drop for DecoderLog {
    fn drop(&mut self) {
        if let Some(function) = self.function.take() {
            gst::log::remove_log_function(function);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_decoders_are_heard_and_no_others() {
        gst::init().unwrap();
        let log = DecoderLog::listen();
        let category = |name| gst::DebugCategory::get(name);
        if let Some(other) = category("GST_PADS") {
            gst::error!(other, "something else");
        }
        assert_eq!(log.damage(), None);
        // The category comes with the plugin.
        if gst::ElementFactory::make("avdec_h264").build().is_err() {
            return;
        }
        let libav = category(CATEGORY).expect("the plugin is loaded");
        gst::warning!(libav, "may be");
        assert_eq!(log.damage(), None);
        gst::error!(libav, ":0:: ac-tex damaged at 1 2");
        gst::error!(libav, ":0:: more");
        let damage = log.damage().unwrap();
        assert!(
            damage.contains("(2 errors, the first: ac-tex damaged at 1 2)"),
            "{damage}"
        );
    }
}
