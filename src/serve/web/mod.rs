//! The web page, API and metrics.

use std::sync::Arc;

use super::config::web::WebSettings;
use super::state::Site;
use crate::Result;

/// The running server; it ends when this is dropped.
#[derive(Debug)]
pub struct Handle(());

/// Starts the server.
///
/// Errors: none yet.
pub fn start(_settings: WebSettings, _site: Arc<dyn Site>) -> Result<Handle> {
    Ok(Handle(()))
}
