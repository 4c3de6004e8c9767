//! Who may watch which camera.

use std::collections::HashMap;
use std::sync::Mutex;

use gst::glib;
use gst::glib::translate::*;
use gst_rtsp_server::prelude::*;
use gst_rtsp_server::subclass::prelude::*;

use crate::error::{Error, Result};
use crate::gst::lock;
use crate::serve::config::outputs::Rtsp;
use crate::serve::rtsp::mounts;

/// The one role there is; what a watcher may see is decided here and not by roles.
const ROLE: &str = "watcher";
/// The field of a token that has the user's name.
const USER: &str = "floutage.user";

glib::wrapper! {
    /// Checks users, and their rights to cameras.
    pub struct Guardian(ObjectSubclass<imp::Guardian>) @extends gst_rtsp_server::RTSPAuth;
}

impl Guardian {
    /// As `settings` have it; None where everybody may watch without TLS.
    ///
    /// Errors: a certificate or password that cannot be read.
    pub fn of(settings: &Rtsp) -> Result<Option<Self>> {
        if settings.users.is_empty() && settings.tls.is_none() {
            return Ok(None);
        }
        let guardian: Self = glib::Object::new();
        guardian.set_realm(Some("floutage"));
        guardian.set_supported_methods(gst_rtsp::RTSPAuthMethod::Digest);
        let token = |user: &str| {
            gst_rtsp_server::RTSPToken::builder()
                .field(
                    gst_rtsp_server::RTSP_TOKEN_MEDIA_FACTORY_ROLE.as_str(),
                    ROLE,
                )
                .field(USER, user)
                .build()
        };
        let mut rights = HashMap::new();
        for user in &settings.users {
            let password = user
                .login()
                .password()?
                .ok_or_else(|| Error::setting("password-file", "none", "given for each user"))?;
            guardian.add_digest(&user.name, password.reveal(), &token(&user.name));
            rights.insert(user.name.clone(), user.cameras.clone());
        }
        if settings.users.is_empty() {
            guardian.set_default_token(Some(&mut token("")));
            rights.insert(String::new(), vec!["*".into()]);
        }
        *lock(&guardian.imp().rights) = rights;
        if let Some(tls) = &settings.tls {
            let certificate =
                gio::TlsCertificate::from_files(&tls.certificate, &tls.key).map_err(|error| {
                    Error::setting(
                        "certificate",
                        tls.certificate.display(),
                        format!("a PEM file with its key beside it ({error})"),
                    )
                })?;
            guardian.set_tls_certificate(Some(&certificate));
        }
        Ok(Some(guardian))
    }
}

/// The mount that `url` means, without the stream's number that players append.
pub fn mount(url: &gst_rtsp::RTSPUrl) -> String {
    // The request's address begins with the scheme and the host.
    let uri = url.request_uri();
    let after = uri.split_once("://").map_or(uri.as_str(), |(_, rest)| rest);
    let path = after.find('/').map_or("", |at| &after[at..]);
    let path = path
        .split('?')
        .next()
        .unwrap_or_default()
        .trim_end_matches('/');
    let path = path.split_once("/stream=").map_or(path, |(path, _)| path);
    mounts::of_path(path)
}

/// Lets the role of watchers in; whether one may see this camera is checked beside it.
pub fn open_to_watchers(factory: &gst_rtsp_server::RTSPMediaFactory) {
    let role = gst::Structure::builder(ROLE)
        .field("media.factory.access", true)
        .field("media.factory.construct", true)
        .build();
    // SAFETY: the permissions are made, filled and given away here; the structure outlives the call, which copies it.
    // The bindings have no type for permissions.
    unsafe {
        let permissions = gst_rtsp_server::ffi::gst_rtsp_permissions_new();
        gst_rtsp_server::ffi::gst_rtsp_permissions_add_role_from_structure(
            permissions,
            role.as_ptr() as *mut _,
        );
        gst_rtsp_server::ffi::gst_rtsp_media_factory_set_permissions(
            factory.to_glib_none().0,
            permissions,
        );
        gst::ffi::gst_mini_object_unref(permissions as *mut _);
    }
}

/// Answers the request that is being worked on as one for a camera that does not exist. Whoever refuses has to answer.
fn answer_not_found() {
    // SAFETY: within a check there is a current request, of which everything that is used here outlives the call; a
    // response is made anew in place. The bindings cannot send one.
    unsafe {
        let context = gst_rtsp_server::ffi::gst_rtsp_context_get_current();
        if context.is_null() || (*context).client.is_null() || (*context).response.is_null() {
            return;
        }
        let code = gst_rtsp::ffi::GST_RTSP_STS_NOT_FOUND;
        let made = gst_rtsp::ffi::gst_rtsp_message_init_response(
            (*context).response,
            code,
            gst_rtsp::ffi::gst_rtsp_status_as_text(code),
            (*context).request,
        );
        if made == gst_rtsp::ffi::GST_RTSP_OK {
            gst_rtsp_server::ffi::gst_rtsp_client_send_message(
                (*context).client,
                (*context).session,
                (*context).response,
            );
        }
    }
}

mod imp {
    use super::*;

    #[derive(Default)]
    pub struct Guardian {
        pub(super) rights: Mutex<HashMap<String, Vec<String>>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Guardian {
        const NAME: &'static str = "FloutageRtspGuardian";
        type Type = super::Guardian;
        type ParentType = gst_rtsp_server::RTSPAuth;
    }

    impl ObjectImpl for Guardian {}

    impl RTSPAuthImpl for Guardian {
        fn check(&self, context: &gst_rtsp_server::RTSPContext, check: &glib::GString) -> bool {
            if !self.parent_check(context, check) {
                return false;
            }
            if check.as_str() != "auth.check.media.factory.access" {
                return true;
            }
            let user = context.token().and_then(|token| token.string(USER));
            let mount = context.uri().map(mount).unwrap_or_default();
            let camera = mounts::camera(&mount);
            let rights = lock(&self.rights);
            let allowed = user
                .and_then(|user| rights.get(&user))
                .is_some_and(|cameras| cameras.iter().any(|name| name == "*" || name == camera));
            if !allowed {
                answer_not_found();
            }
            allowed
        }
    }
}
