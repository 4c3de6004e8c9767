//! Sockets, TLS, and limits: what clients can take of the machine.
//!
//! Invariant: a client that sends or reads slowly, or opens connections without end, holds a bounded number of them for a
//! bounded time.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Extension;
use axum::middleware::AddExtension;
use axum_server::accept::Accept;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_io_timeout::TimeoutStream;
use tower::Layer;

use super::login::Accounts;
use super::pages::Pages;
use super::sessions::Sessions;
use super::{Web, router};
use crate::error::{Error, Result};
use crate::serve::config::web::{Tls, WebSettings};
use crate::serve::state::Site;

/// Largest head of a request, in bytes.
const LARGEST_HEAD: usize = 16 * 1024;
/// Streams of single pictures at the same time; each costs the gateway an encoded picture per frame.
const PICTURE_STREAMS: usize = 16;
/// Questions to the gateway at the same time.
const QUESTIONS: usize = 32;
/// How long running answers may still take when the server stops.
const PARTING: Duration = Duration::from_secs(2);

/// How long and how often clients may do what.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For the head of a request to arrive, the first one and any later one on a kept connection.
    pub head: Duration,
    /// For a request's body to arrive and the head of the answer to be ready.
    pub answer: Duration,
    /// For a client to take some of what is sent.
    pub write: Duration,
    /// Connections at the same time.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(15),
            answer: Duration::from_secs(30),
            write: Duration::from_secs(30),
            connections: 512,
        }
    }
}

/// A running server. It stops when this is dropped.
#[derive(Debug)]
pub struct Handle {
    address: SocketAddr,
    control: axum_server::Handle<SocketAddr>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Handle {
    /// Where it listens, with the port it got.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops it: no new connections, running answers have 2 s, then it returns.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.stop.send_replace(true);
        self.control.graceful_shutdown(Some(PARTING));
        if let Some(thread) = self.thread.take() {
            // A panic there was logged when it happened.
            let _ = thread.join();
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.end();
    }
}

/// Starts the web page of `site`.
///
/// Errors: [`Error::Setting`] from [`WebSettings::validate`]; [`Error::Io`] when the certificate or key cannot be used;
/// [`Error::Media`] when the address cannot be listened on.
pub fn start(settings: WebSettings, site: Arc<dyn Site>) -> Result<Handle> {
    start_with(settings, site, Limits::default())
}

/// [`start`] with other limits.
///
/// Errors: as [`start`].
pub fn start_with(settings: WebSettings, site: Arc<dyn Site>, limits: Limits) -> Result<Handle> {
    settings.validate()?;
    let tls = settings.tls.as_ref().map(tls_config).transpose()?;
    let failed = |problem: &str, error: io::Error| {
        let listen = settings.listen;
        Error::media(
            format!("web.listen = {listen}"),
            format!("{problem}: {error}"),
        )
    };
    let listener = TcpListener::bind(settings.listen)
        .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
        .map_err(|error| failed("cannot be listened on", error))?;
    let address = listener
        .local_addr()
        .map_err(|error| failed("has no address", error))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(QUESTIONS)
        .thread_name("floutage-web")
        .enable_all()
        .build()
        .map_err(|error| failed("threads cannot be started", error))?;
    let (stop, stopping) = watch::channel(false);
    let web = Arc::new(Web {
        site,
        accounts: Accounts::new(settings.users.clone()),
        sessions: Sessions::default(),
        pages: Pages::load(settings.language)?,
        tls: tls.is_some(),
        metrics_token: settings.metrics_token.clone(),
        changes: tokio::sync::Mutex::new(()),
        streams: Arc::new(Semaphore::new(PICTURE_STREAMS)),
        stop: stopping,
    });
    let control = axum_server::Handle::new();
    let serving = control.clone();
    let thread = std::thread::Builder::new()
        .name("floutage-web".into())
        .spawn(move || {
            if let Err(error) = serve(&runtime, listener, tls, serving, web, limits) {
                tracing::error!("web: the server ended: {error}");
            }
            // Questions that the gateway does not answer are not waited for.
            runtime.shutdown_background();
        })
        .map_err(|error| failed("a thread cannot be started", error))?;
    tracing::info!("web: listening on {address}");
    Ok(Handle {
        address,
        control,
        stop,
        thread: Some(thread),
    })
}

fn serve(
    runtime: &Runtime,
    listener: TcpListener,
    tls: Option<RustlsConfig>,
    control: axum_server::Handle<SocketAddr>,
    web: Arc<Web>,
    limits: Limits,
) -> io::Result<()> {
    let app = router::router(web, limits.answer);
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    let doorkeeper = Doorkeeper {
        free: Arc::new(Semaphore::new(limits.connections)),
        write: limits.write,
    };
    runtime.block_on(async move {
        let mut server = axum_server::from_tcp(listener)?
            .handle(control)
            .first_request_timeout(limits.head);
        let builder = server.http_builder();
        builder
            .http1()
            .timer(hyper_util::rt::TokioTimer::new())
            .header_read_timeout(limits.head)
            .max_buf_size(LARGEST_HEAD);
        builder
            .http2()
            .timer(hyper_util::rt::TokioTimer::new())
            .max_header_list_size(LARGEST_HEAD as u32)
            .max_concurrent_streams(64)
            .keep_alive_interval(limits.head)
            .keep_alive_timeout(limits.head);
        match tls {
            Some(config) => {
                let acceptor = RustlsAcceptor::new(config).handshake_timeout(limits.head);
                server
                    .acceptor(acceptor.acceptor(doorkeeper))
                    .serve(app)
                    .await
            }
            None => server.acceptor(doorkeeper).serve(app).await,
        }
    })
}

/// Lets in so many connections, and ends those that take nothing of what is sent to them.
#[derive(Clone)]
struct Doorkeeper {
    free: Arc<Semaphore>,
    write: Duration,
}

/// Given back when the connection's service is dropped.
type Place = Arc<OwnedSemaphorePermit>;

impl<S> Accept<TcpStream, S> for Doorkeeper {
    type Stream = Pin<Box<TimeoutStream<TcpStream>>>;
    type Service = AddExtension<S, Place>;
    type Future = std::future::Ready<io::Result<(Self::Stream, Self::Service)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let place = self.free.clone().try_acquire_owned();
        std::future::ready(place.map_err(io::Error::other).map(|place| {
            // Without it, small answers wait for the acknowledgement of earlier ones.
            let _ = stream.set_nodelay(true);
            let mut stream = TimeoutStream::new(stream);
            stream.set_write_timeout(Some(self.write));
            (Box::pin(stream), Extension(Arc::new(place)).layer(service))
        }))
    }
}

/// Reads the certificate and key.
fn tls_config(tls: &Tls) -> Result<RustlsConfig> {
    let wrong = |path: &Path, error: &dyn std::fmt::Display| {
        Error::io(
            path,
            "reading",
            io::Error::new(io::ErrorKind::InvalidData, error.to_string()),
        )
    };
    let chain = CertificateDer::pem_file_iter(&tls.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| wrong(&tls.certificate, &error))?;
    let key = PrivateKeyDer::from_pem_file(&tls.key).map_err(|error| wrong(&tls.key, &error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| {
            wrong(
                &tls.certificate,
                &format!("{error} (with {})", tls.key.display()),
            )
        })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(RustlsConfig::from_config(Arc::new(config)))
}
