//! Log lines on standard error. `FLOUTAGE_LOG` chooses what is shown (default: warnings, or errors where a command is to be
//! quiet).

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Starts logging. What this library's GStreamer elements log comes along; the rest of GStreamer's log is shown
/// with `GST_DEBUG` as usual.
pub fn start(quiet: bool) {
    let level = if quiet { "error" } else { "warn" };
    // What is wrong with content credentials is told by what asked for them.
    let usual = format!("{level},c2pa=off");
    let filter = EnvFilter::try_from_env("FLOUTAGE_LOG").unwrap_or_else(|_| EnvFilter::new(usual));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .without_time()
        .init();
}

/// Passes the elements' warnings on. To be called once, after GStreamer has started.
pub fn bridge() {
    for name in ["floutagedetect", "floutageredact", "floutagegate"] {
        gst::log::set_threshold_for_name(name, gst::DebugLevel::Warning);
    }
    gst::log::add_log_function(|category, level, _, _, _, _, message| {
        if !category.name().starts_with("floutage") {
            return;
        }
        let Some(text) = message.get() else { return };
        match level {
            gst::DebugLevel::Error => tracing::error!("{}: {text}", category.name()),
            gst::DebugLevel::Warning => tracing::warn!("{}: {text}", category.name()),
            _ => tracing::debug!("{}: {text}", category.name()),
        }
    });
    // What is bridged would be printed twice.
    if std::env::var_os("GST_DEBUG").is_none() {
        gst::log::remove_default_log_function();
    }
}
