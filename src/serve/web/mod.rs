//! The gateway's HTTP server: web page, JSON API, metrics.
//!
//! | module | what it is for |
//! |---|---|
//! | `server` | sockets, TLS, limits of time and number |
//! | `router` | all routes and the headers of every answer |
//! | `access`, `sessions`, `login`, [`password`] | who may ask for what |
//! | `api` | JSON, live pictures, recordings |
//! | `metrics` | for programs that watch |
//! | `pages`, `text`, `assets` | the page itself, in English and French |
//!
//! Invariants: it sees encoded, redacted pictures only ([`Site`]); it runs on threads of its own, so that neither a slow client
//! nor a busy page delays redaction; all answers but `/health`, `/ready`, the login and the page's style need a login.

mod access;
mod answer;
mod api;
mod assets;
mod login;
mod metrics;
mod pages;
pub mod password;
mod router;
mod server;
mod sessions;
mod text;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{Mutex, Semaphore, watch};

use self::answer::Failure;
use self::login::{Accounts, Refusal};
use self::pages::Pages;
pub use self::server::{Handle, Limits, start, start_with};
use self::sessions::{Session, Sessions};
use super::config::secret::Secret;
use super::state::Site;

/// What all requests share.
struct Web {
    site: Arc<dyn Site>,
    accounts: Accounts,
    sessions: Sessions,
    pages: Pages,
    /// True when browsers reach this server over TLS.
    tls: bool,
    metrics_token: Option<Secret>,
    /// Changes of settings, one after the other.
    changes: Mutex<()>,
    /// Streams of pictures that may still begin.
    streams: Arc<Semaphore>,
    /// Becomes true when the server is to stop.
    stop: watch::Receiver<bool>,
}

impl Web {
    /// Asks the gateway, on a thread that may wait.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&dyn Site) -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let site = self.site.clone();
        let answer = tokio::task::spawn_blocking(move || question(site.as_ref())).await;
        answer.map_err(|_| Failure::internal("the gateway did not answer; its log says why"))
    }

    /// Opens a session for a name and its password. Returns the session's id for the cookie.
    async fn log_in(
        &self,
        address: IpAddr,
        name: &str,
        password: String,
    ) -> Result<(String, Arc<Session>), Failure> {
        match self.accounts.check(address, name, password).await {
            Ok(role) => {
                tracing::info!("web: {name} logged in from {address}");
                let opened = self.sessions.open(name, role, Instant::now());
                opened.ok_or_else(|| Failure::internal("the system has no randomness to give"))
            }
            // The name is not logged: it may be a password in the wrong field.
            Err(Refusal::Wrong) => {
                tracing::warn!("web: wrong login from {address}");
                Err(Failure::wrong_password())
            }
            Err(Refusal::TooMany(wait)) => {
                tracing::warn!("web: too many logins, last from {address}");
                Err(Failure::too_many(wait.as_secs() + 1))
            }
        }
    }
}
