//! The pages: the login, the cameras, one camera.
//!
//! Pages hold what does not change; scripts fill in the rest through the API. Whatever is put into a page is escaped.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Extension;
use axum::extract::rejection::FormRejection;
use axum::extract::{ConnectInfo, Form, Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use minijinja::{Environment, context};
use serde::Deserialize;

use super::Web;
use super::access::{cookie, same_origin};
use super::answer::Failure;
use super::assets;
use super::sessions::{Session, same, token};
use super::text::{LANGUAGE_COOKIE, Text};
use crate::error::{Error, Result};
use crate::serve::config::web::{Language, Role};

/// Cookie whose value the login form repeats, so that no other site can log somebody in as another.
const FORM_COOKIE: &str = "floutage-form";
/// How long a choice of language is kept, in seconds.
const YEAR: u64 = 365 * 24 * 60 * 60;

/// Templates and words.
pub struct Pages {
    templates: Environment<'static>,
    text: Text,
    version: String,
    language: Language,
}

impl Pages {
    /// Reads the built-in templates; `language` is for people whose browser asks for none that there is.
    ///
    /// Errors: [`Error::Media`] when they are not well formed, which a test excludes.
    pub fn load(language: Language) -> Result<Self> {
        let mut templates = Environment::new();
        for (name, source) in [
            ("layout.html", include_str!("pages/layout.html")),
            ("login.html", include_str!("pages/login.html")),
            ("cameras.html", include_str!("pages/cameras.html")),
            ("camera.html", include_str!("pages/camera.html")),
            ("missing.html", include_str!("pages/missing.html")),
        ] {
            templates
                .add_template(name, source)
                .map_err(|error| Error::media(format!("web page, {name}"), error.to_string()))?;
        }
        Ok(Self {
            templates,
            text: Text::load()?,
            version: assets::version(),
            language,
        })
    }

    fn show(&self, name: &str, view: &View, more: minijinja::Value) -> Response {
        let language = view.language.unwrap_or(self.language);
        let words = self.text.of(language);
        // Read by the scripts. Within <script>, the only dangerous character is the one that could end it.
        let data = serde_json::json!({
            "language": language.code(),
            "words": words,
            "csrf": view.session.as_ref().map(|session| &session.csrf),
            "admin": view.session.as_ref().is_some_and(|session| session.role == Role::Admin),
            "camera": view.camera,
        });
        let data = data.to_string().replace('<', "\\u003c");
        let shown = self.templates.get_template(name).and_then(|template| {
            template.render(context! {
                t => words,
                language => language.code(),
                assets => minijinja::Value::from_safe_string(format!("/assets/{}", self.version)),
                user => view.session.as_ref().map(|session| &session.user),
                admin => view.session.as_ref().is_some_and(|session| session.role == Role::Admin),
                camera => &view.camera,
                path => &view.path,
                data => minijinja::Value::from_safe_string(data),
                version => env!("CARGO_PKG_VERSION"),
                ..more
            })
        });
        match shown {
            Ok(page) => Html(page).into_response(),
            Err(error) => Failure::internal(format!("{name}: {error}")).into_response(),
        }
    }
}

/// What a page is shown with.
#[derive(Default)]
struct View {
    language: Option<Language>,
    session: Option<Arc<Session>>,
    camera: Option<String>,
    path: String,
}

/// `?lang=fr` changes the language, for good.
#[derive(Deserialize)]
pub struct Choice {
    lang: Option<String>,
    next: Option<String>,
}

impl Choice {
    fn language(&self) -> Option<Language> {
        Language::from_code(self.lang.as_deref()?)
    }
}

/// The cameras.
pub async fn cameras(
    State(web): State<Arc<Web>>,
    Extension(session): Extension<Arc<Session>>,
    Query(choice): Query<Choice>,
    headers: HeaderMap,
) -> Response {
    let view = View {
        session: Some(session),
        path: "/".into(),
        ..web.view(&choice, &headers)
    };
    web.with_choice(&choice, web.pages.show("cameras.html", &view, context! {}))
}

/// One camera.
pub async fn camera(
    State(web): State<Arc<Web>>,
    Extension(session): Extension<Arc<Session>>,
    Path(name): Path<String>,
    Query(choice): Query<Choice>,
    headers: HeaderMap,
    uri: axum::http::Uri,
) -> Result<Response, Failure> {
    let cameras = web.ask(|site| site.cameras()).await?;
    let known = cameras.into_iter().find(|camera| camera.name == name);
    let view = View {
        session: Some(session),
        path: uri.path().to_owned(),
        camera: known.map(|camera| camera.name),
        ..web.view(&choice, &headers)
    };
    if view.camera.is_none() {
        let page = web.pages.show("missing.html", &view, context! {});
        return Ok((StatusCode::NOT_FOUND, page).into_response());
    }
    let page = web.pages.show("camera.html", &view, context! {});
    Ok(web.with_choice(&choice, page))
}

/// The form to log in.
pub async fn login(
    State(web): State<Arc<Web>>,
    Query(choice): Query<Choice>,
    headers: HeaderMap,
) -> Response {
    let next = target(choice.next.as_deref());
    if web.session(&headers).is_some() {
        return Redirect::to(next).into_response();
    }
    let view = View {
        path: "/login".into(),
        ..web.view(&choice, &headers)
    };
    web.with_choice(&choice, web.login_page(&view, next, "", None, &headers))
}

/// What the form sends.
#[derive(Deserialize)]
pub struct LoginForm {
    name: String,
    password: String,
    form: String,
    next: Option<String>,
}

/// Logs in by the form.
pub async fn log_in(
    State(web): State<Arc<Web>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    form: Result<Form<LoginForm>, FormRejection>,
) -> Result<Response, Failure> {
    same_origin(&headers)?;
    let Form(form) = form.map_err(|error| Failure::invalid(error.body_text()))?;
    let no_choice = Choice {
        lang: None,
        next: None,
    };
    let view = View {
        path: "/login".into(),
        ..web.view(&no_choice, &headers)
    };
    let next = target(form.next.as_deref());
    let ours = cookie(&headers, FORM_COOKIE).filter(|cookie| cookie.len() == 64);
    let failure = if !ours.is_some_and(|cookie| same(cookie, &form.form)) {
        Failure::forbidden("form-expired", "the form is not the one that was shown")
    } else {
        match web.log_in(peer.ip(), &form.name, form.password).await {
            Ok((id, _)) => {
                let cookie = web.cookie_header(web.session_cookie(), &id, None);
                return Ok(([(header::SET_COOKIE, cookie)], Redirect::to(next)).into_response());
            }
            Err(failure) => failure,
        }
    };
    let page = web.login_page(&view, next, &form.name, Some(&failure), &headers);
    let (mut parts, _) = failure.into_response().into_parts();
    let (page_parts, body) = page.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.extend(page_parts.headers);
    Ok(Response::from_parts(parts, body))
}

impl Web {
    fn view(&self, choice: &Choice, headers: &HeaderMap) -> View {
        let chosen = choice.language();
        View {
            language: Some(
                chosen.unwrap_or_else(|| Language::wanted(headers, self.pages.language)),
            ),
            ..View::default()
        }
    }

    /// Keeps a choice of language in a cookie.
    fn with_choice(&self, choice: &Choice, mut page: Response) -> Response {
        if let Some(language) = choice.language() {
            let cookie = self.cookie_header(LANGUAGE_COOKIE, language.code(), Some(YEAR));
            append_cookie(&mut page, &cookie);
        }
        page
    }

    fn login_page(
        &self,
        view: &View,
        next: &str,
        name: &str,
        failure: Option<&Failure>,
        headers: &HeaderMap,
    ) -> Response {
        // Several windows may show the form: they share its token.
        let known = cookie(headers, FORM_COOKIE).filter(|cookie| {
            cookie.len() == 64 && cookie.bytes().all(|digit| digit.is_ascii_hexdigit())
        });
        let Some(form) = known.map(str::to_owned).or_else(token) else {
            return Failure::internal("the system has no randomness to give").into_response();
        };
        let more = context! {
            form => &form,
            next => next,
            name => name,
            failure => failure.map(Failure::code),
            nobody => self.accounts.is_empty(),
        };
        let mut page = self.pages.show("login.html", view, more);
        append_cookie(&mut page, &self.cookie_header(FORM_COOKIE, &form, None));
        page
    }
}

fn append_cookie(page: &mut Response, cookie: &str) {
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        page.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

/// Where to go after the login: one of our own pages, never another site.
fn target(next: Option<&str>) -> &str {
    match next {
        Some(next) if is_own(next) => next,
        _ => "/",
    }
}

fn is_own(path: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"\\?#\"<>".contains(&byte);
    let Some(camera) = path.strip_prefix("/cameras/") else {
        return false;
    };
    !camera.is_empty() && !camera.contains('/') && camera.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_the_login_only_own_pages_follow() {
        assert_eq!(
            target(Some("/cameras/gate%20north")),
            "/cameras/gate%20north"
        );
        for other in [
            "",
            "/",
            "//evil.example",
            "https://evil.example",
            "/\\evil.example",
            "/login",
            "/cameras/",
            "/cameras/a/b",
            "/cameras/a\r\nx: y",
            "/cameras/a?b",
            "/cameras/..//x",
        ] {
            assert_eq!(target(Some(other)), "/", "{other}");
        }
        assert_eq!(target(None), "/");
    }
}
