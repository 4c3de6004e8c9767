//! The RTSP server: `/name` and `/name/sub` of every camera.
//!
//! Invariant: what it serves comes from the hubs, encoded and redacted; who has no right to a camera cannot tell it from
//! one that does not exist.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use gst::glib;
use gst::glib::object::ObjectType;
use gst::prelude::*;
use gst_rtsp_server::prelude::*;

use self::auth::Guardian;
use super::config::outputs::Rtsp;
use super::supervisor::Shared;
use super::unit::Feed;
use super::wire::Stream;
use crate::error::{Error, Result};
use crate::gst::lock;
use crate::media::encode::Codec;
use crate::media::wiring::wiring;

pub use self::auth::mount;

mod auth;
pub mod mounts;
mod reports;

/// Most video that waits in the server before pictures are dropped.
const WAITING: Duration = Duration::from_secs(2);
/// Longest request body in bytes; players send none, or a few parameters.
const REQUEST: u32 = 64 << 10;
/// Most sessions at a time.
const SESSIONS: u32 = 1000;

/// Who watches what: clients by number, with the mount they play.
type Players = Arc<Mutex<HashMap<usize, String>>>;

/// What is served at which mount.
type Served = Arc<Mutex<HashMap<String, (Arc<Shared>, Stream)>>>;

/// The running server.
pub struct Server {
    server: gst_rtsp_server::RTSPServer,
    main: glib::MainLoop,
    thread: Option<JoinHandle<()>>,
    players: Players,
    served: Served,
    multicast: Option<Multicast>,
}

/// Groups that clients may ask for. One stock of addresses for all streams, so that no two share a group.
struct Multicast {
    pool: gst_rtsp_server::RTSPAddressPool,
    interface: Option<String>,
}

impl Multicast {
    fn of(settings: &Rtsp) -> Result<Option<Self>> {
        if !settings.multicast {
            return Ok(None);
        }
        let pool = gst_rtsp_server::RTSPAddressPool::new();
        pool.add_range("239.255.0.0", "239.255.255.255", 5000, 5100, 4)
            .map_err(wiring)?;
        Ok(Some(Self {
            pool,
            interface: settings.multicast_interface.clone(),
        }))
    }
}

impl Server {
    /// Starts the server, as yet without cameras.
    ///
    /// Errors: an address that is taken, a certificate or password that cannot be read.
    pub fn start(settings: &Rtsp) -> Result<Self> {
        let server = gst_rtsp_server::RTSPServer::new();
        server.set_address(&settings.listen.ip().to_string());
        server.set_service(&settings.listen.port().to_string());
        server.set_auth(Guardian::of(settings)?.as_ref());
        server.set_mount_points(Some(&mounts::Mounts::empty()));
        let threads = gst_rtsp_server::RTSPThreadPool::new();
        threads.set_max_threads(2);
        server.set_thread_pool(Some(&threads));
        if let Some(pool) = server.session_pool() {
            pool.set_max_sessions(SESSIONS);
        }
        let players: Players = Arc::default();
        let served = Served::default();
        watch_clients(&server, &players, &served);
        let context = glib::MainContext::new();
        let main = glib::MainLoop::new(Some(&context), false);
        let attached = server.attach(Some(&context));
        attached.map_err(|_| {
            Error::media(
                settings.listen.to_string(),
                "cannot be listened on: is the port taken?",
            )
        })?;
        let weak = server.downgrade();
        let cleaner =
            glib::timeout_source_new_seconds(5, None, glib::Priority::DEFAULT, move || {
                if let Some(pool) = weak.upgrade().and_then(|server| server.session_pool()) {
                    pool.cleanup();
                }
                glib::ControlFlow::Continue
            });
        cleaner.attach(Some(&context));
        let running = main.clone();
        let thread = std::thread::Builder::new()
            .name("rtsp".into())
            .spawn(move || {
                if context.with_thread_default(|| running.run()).is_err() {
                    tracing::error!("the RTSP server cannot run");
                }
            })
            .map_err(|error| Error::media("RTSP server", error.to_string()))?;
        Ok(Self {
            server,
            main,
            thread: Some(thread),
            players,
            served,
            multicast: Multicast::of(settings)?,
        })
    }

    /// The port that is listened on.
    pub fn port(&self) -> i32 {
        self.server.bound_port()
    }

    /// Serves the streams of `camera`.
    ///
    /// Errors: none that is known; GStreamer refuses.
    pub fn add(
        &self,
        camera: &str,
        codec: Codec,
        has_sub: bool,
        shared: &Arc<Shared>,
    ) -> Result<()> {
        let points = self.mounts()?;
        let mut served = lock(&self.served);
        for stream in [Stream::Full, Stream::Sub] {
            served.insert(mounts::mount(camera, stream), (shared.clone(), stream));
        }
        points.add_factory(
            &mounts::mount(camera, Stream::Full),
            self.factory(camera, codec, Stream::Full, shared)?,
        );
        if has_sub {
            points.add_factory(
                &mounts::mount(camera, Stream::Sub),
                self.factory(camera, codec, Stream::Sub, shared)?,
            );
        }
        Ok(())
    }

    /// Serves `camera` no more; who watches it is cut off.
    pub fn remove(&self, camera: &str) {
        let Ok(points) = self.mounts() else { return };
        for stream in [Stream::Sub, Stream::Full] {
            let path = mounts::mount(camera, stream);
            points.remove_factory(&path);
            lock(&self.served).remove(&path);
            let players = self.players.clone();
            self.server.client_filter(Some(
                &mut |_: &gst_rtsp_server::RTSPServer, client: &gst_rtsp_server::RTSPClient| {
                    let plays = lock(&players)
                        .get(&number(client))
                        .is_some_and(|played| *played == path);
                    if plays {
                        gst_rtsp_server::RTSPFilterResult::Remove
                    } else {
                        gst_rtsp_server::RTSPFilterResult::Keep
                    }
                },
            ));
        }
    }

    /// How many clients watch `camera`.
    pub fn clients(&self, camera: &str) -> u32 {
        let mine = |mount: &&String| mounts::camera(mount) == camera;
        lock(&self.players).values().filter(mine).count() as u32
    }

    fn factory(
        &self,
        camera: &str,
        codec: Codec,
        stream: Stream,
        shared: &Arc<Shared>,
    ) -> Result<gst_rtsp_server::RTSPMediaFactory> {
        let factory = gst_rtsp_server::RTSPMediaFactory::new();
        let pay = if codec == Codec::H265 {
            "rtph265pay"
        } else {
            "rtph264pay"
        };
        factory.set_launch(&format!(
            "( appsrc name=source ! {pay} name=pay0 pt=96 config-interval=-1 )"
        ));
        factory.set_shared(true);
        let mut ways = gst_rtsp::RTSPLowerTrans::UDP | gst_rtsp::RTSPLowerTrans::TCP;
        if let Some(multicast) = &self.multicast {
            ways |= gst_rtsp::RTSPLowerTrans::UDP_MCAST;
            factory.set_address_pool(Some(&multicast.pool));
            factory.set_multicast_iface(multicast.interface.as_deref());
        }
        factory.set_protocols(ways);
        auth::open_to_watchers(&factory);
        let (camera, shared) = (camera.to_owned(), shared.clone());
        factory.connect_media_configure(move |_, media| {
            let source = media
                .element()
                .downcast::<gst::Bin>()
                .ok()
                .and_then(|bin| bin.by_name("source"));
            let Some(source) = source.and_then(|source| source.downcast::<gst_app::AppSrc>().ok())
            else {
                tracing::error!("camera {camera}: the RTSP server has no way in");
                return;
            };
            let feed = Feed::new(source, codec, WAITING, shared.dropped.clone());
            reports::tell_camera_time(media, &feed);
            shared.hub(stream).add(feed.clone());
            media.connect_unprepared(move |_| feed.end());
        });
        Ok(factory)
    }

    fn mounts(&self) -> Result<gst_rtsp_server::RTSPMountPoints> {
        self.server
            .mount_points()
            .ok_or_else(|| Error::media("RTSP server", "has no mount points"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.server.client_filter(Some(
            &mut |_: &gst_rtsp_server::RTSPServer, _: &gst_rtsp_server::RTSPClient| {
                gst_rtsp_server::RTSPFilterResult::Remove
            },
        ));
        self.main.quit();
        if let Some(thread) = self.thread.take() {
            // A panic there has been reported.
            let _ = thread.join();
        }
    }
}

fn number(client: &gst_rtsp_server::RTSPClient) -> usize {
    client.as_ptr() as usize
}

fn watch_clients(server: &gst_rtsp_server::RTSPServer, players: &Players, served: &Served) {
    let (players, served) = (players.clone(), served.clone());
    server.connect_client_connected(move |_, client| {
        client.set_content_length_limit(REQUEST);
        let (begin, end, served) = (players.clone(), players.clone(), served.clone());
        client.connect_play_request(move |client, context| {
            let path = context.uri().map(auth::mount).unwrap_or_default();
            if let Some((shared, stream)) = lock(&served).get(&path) {
                shared.hub(*stream).ask_for_key();
            }
            lock(&begin).insert(number(client), path);
        });
        client.connect_teardown_request({
            let players = players.clone();
            move |client, _| {
                lock(&players).remove(&number(client));
            }
        });
        client.connect_closed(move |client| {
            lock(&end).remove(&number(client));
        });
    });
}
