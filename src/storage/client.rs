//! The connection to a server of objects.

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::{Either, select};
use futures_util::{StreamExt, TryStreamExt};
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::client::ClientOptions;
use object_store::path::Path as Key;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, RetryConfig};
use tokio::runtime::{Handle, Runtime};

use super::address::Address;
use super::profile;
use crate::error::{Error, Result};

/// Objects asked about at a time.
const ASKED: usize = 32;
/// How often a wait looks whether it is to stop.
const TICK: Duration = Duration::from_millis(100);
/// What one request may take, and until when a failed one is tried again. Together less than what a pipeline waits
/// before it is taken for stuck.
const REQUEST: Duration = Duration::from_secs(60);
const RETRIES: Duration = Duration::from_secs(45);

/// What tells cheaply that an object may have changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Bytes.
    pub size: u64,
    /// Time of the last change in nanoseconds since 1970, as precise as the server tells it.
    pub modified_ns: i64,
    /// The server's mark of the content.
    pub etag: Option<String>,
}

impl From<ObjectMeta> for Found {
    fn from(meta: ObjectMeta) -> Self {
        Self {
            size: meta.size,
            modified_ns: meta.last_modified.timestamp_nanos_opt().unwrap_or(i64::MAX),
            etag: meta.e_tag,
        }
    }
}

/// Connections to buckets, made when they are first needed. Requests that fail for a passing reason are repeated.
pub struct Storage {
    runtime: Runtime,
    endpoint: Option<String>,
    stopped: fn() -> bool,
    buckets: Mutex<HashMap<String, Arc<AmazonS3>>>,
}

impl Storage {
    /// Storage at `endpoint`, or where AWS's usual variables and files say. `stopped` ends every wait.
    ///
    /// Errors: [`Error::Media`] when no thread can be started.
    pub fn new(endpoint: Option<String>, stopped: fn() -> bool) -> Result<Self> {
        // Everything that speaks TLS here uses this; it may be set already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("storage")
            .enable_all()
            .build()
            .map_err(|error| Error::media("object storage", error.to_string()))?;
        Ok(Self {
            runtime,
            endpoint,
            stopped,
            buckets: Mutex::default(),
        })
    }

    /// What is at `address`; None when there is no such object.
    ///
    /// Errors: [`Error::Media`]; [`Error::Interrupted`].
    pub fn find(&self, address: &Address) -> Result<Option<Found>> {
        let bucket = self.bucket(address)?;
        self.line().wait(head(&bucket, address))
    }

    /// The same for many, several at a time, in their order.
    pub fn find_all(&self, addresses: &[Address]) -> Result<Vec<Option<Found>>> {
        let all = addresses
            .iter()
            .map(|address| Ok((self.bucket(address)?, address)))
            .collect::<Result<Vec<_>>>()?;
        let asked = futures_util::stream::iter(all)
            .map(|(bucket, address)| async move { head(&bucket, address).await })
            .buffered(ASKED)
            .try_collect();
        self.line().wait(asked)
    }

    /// Every object whose key is in the folder `folder`, in the order of keys.
    ///
    /// Errors: [`Error::Media`], also when there is no such bucket; [`Error::Interrupted`].
    pub fn list(&self, folder: &Address) -> Result<Vec<(Address, Found)>> {
        let bucket = self.bucket(folder)?;
        let prefix = (!folder.key.is_empty()).then(|| key(folder));
        let listed = async {
            let all: Vec<ObjectMeta> = bucket
                .list(prefix.as_ref())
                .try_collect()
                .await
                .map_err(|error| explain(folder, "listing", error))?;
            Ok(all)
        };
        let mut found: Vec<(Address, Found)> = self
            .line()
            .wait(listed)?
            .into_iter()
            .map(|meta| (folder.with_key(meta.location.to_string()), meta.into()))
            .collect();
        found.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(found)
    }

    /// Checks that the bucket of `address` can be reached, before hours of work.
    ///
    /// Errors: [`Error::Media`]; [`Error::Interrupted`].
    pub fn check_bucket(&self, address: &Address) -> Result<()> {
        let bucket = self.bucket(address)?;
        let folder = key(address);
        self.line().wait(async {
            let mut listed = bucket.list(Some(&folder));
            match listed.next().await.transpose() {
                Ok(_) => Ok(()),
                Err(error) => Err(explain(address, "reaching the bucket", error)),
            }
        })
    }

    pub(super) fn line(&self) -> Line {
        Line {
            handle: self.runtime.handle().clone(),
            stopped: self.stopped,
        }
    }

    pub(super) fn bucket(&self, address: &Address) -> Result<Arc<AmazonS3>> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = buckets.get(&address.bucket) {
            return Ok(known.clone());
        }
        let made = Arc::new(self.connect(address)?);
        buckets.insert(address.bucket.clone(), made.clone());
        Ok(made)
    }

    fn connect(&self, address: &Address) -> Result<AmazonS3> {
        let wrong = |problem: String| Error::media(address.to_string(), problem);
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let mut builder = AmazonS3Builder::from_env();
        let mut endpoint = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"]
            .into_iter()
            .find_map(variable);
        let own = variable("AWS_ACCESS_KEY_ID").is_some();
        for (name, value) in profile::load(variable) {
            let setting = match name.as_str() {
                "aws_access_key_id" if !own => AmazonS3ConfigKey::AccessKeyId,
                "aws_secret_access_key" if !own => AmazonS3ConfigKey::SecretAccessKey,
                "aws_session_token" if !own => AmazonS3ConfigKey::Token,
                "region"
                    if variable("AWS_REGION")
                        .or(variable("AWS_DEFAULT_REGION"))
                        .is_none() =>
                {
                    AmazonS3ConfigKey::Region
                }
                "endpoint_url" => {
                    endpoint.get_or_insert(value);
                    continue;
                }
                _ => continue,
            };
            builder = builder.with_config(setting, value);
        }
        let known = [
            AmazonS3ConfigKey::AccessKeyId,
            AmazonS3ConfigKey::WebIdentityTokenFile,
            AmazonS3ConfigKey::ContainerCredentialsRelativeUri,
            AmazonS3ConfigKey::ContainerCredentialsFullUri,
        ]
        .iter()
        .any(|key| builder.get_config_value(key).is_some());
        let no_instance = variable("AWS_EC2_METADATA_DISABLED").as_deref() == Some("true");
        if !known && no_instance {
            return Err(wrong(
                "there are no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE".into(),
            ));
        }
        let mut insecure = variable("AWS_ALLOW_HTTP").as_deref() == Some("true");
        if let Some(endpoint) = self.endpoint.clone().or(endpoint) {
            let url = reqwest::Url::parse(&endpoint)
                .ok()
                .filter(|url| {
                    url.host_str().is_some()
                        && url.username().is_empty()
                        && url.password().is_none()
                })
                .ok_or_else(|| {
                    wrong(
                        "the endpoint must be https://HOST or https://HOST:PORT, without a user"
                            .into(),
                    )
                })?;
            let here = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
            insecure |= here;
            if url.scheme() != "https" && !insecure {
                return Err(wrong(format!(
                    "{endpoint} is not encrypted, so unredacted video could be read on its way; use https, or set \
                     AWS_ALLOW_HTTP=true on a network that nobody else can read"
                )));
            }
            builder = builder.with_config(AmazonS3ConfigKey::S3Endpoint, endpoint);
        }
        let options = ClientOptions::new()
            .with_allow_http(insecure)
            .with_connect_timeout(Duration::from_secs(10))
            .with_timeout(REQUEST);
        let retry = RetryConfig {
            max_retries: 5,
            retry_timeout: RETRIES,
            ..RetryConfig::default()
        };
        builder
            .with_bucket_name(&address.bucket)
            .with_client_options(options)
            .with_retry(retry)
            .build()
            .map_err(|error| explain(address, "connecting", error))
    }
}

/// Waits for answers outside of the runtime.
#[derive(Clone)]
pub(super) struct Line {
    pub handle: Handle,
    stopped: fn() -> bool,
}

impl Line {
    /// Waits for `work`, unless it is to stop.
    pub fn wait<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let stopped = self.stopped;
        self.handle.block_on(async move {
            let stop = pin!(async move {
                while !stopped() {
                    tokio::time::sleep(TICK).await;
                }
            });
            match select(pin!(work), stop).await {
                Either::Left((outcome, _)) => outcome,
                Either::Right(_) => Err(Error::Interrupted),
            }
        })
    }

    /// Waits for `work` even then, but not for long; None when it took too long.
    pub fn wait_shortly<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        self.handle.block_on(async {
            tokio::time::timeout(Duration::from_secs(10), work)
                .await
                .ok()
        })
    }
}

/// The key of `address`, which was checked when it was read.
pub(super) fn key(address: &Address) -> Key {
    Key::parse(&address.key).unwrap_or_default()
}

async fn head(bucket: &AmazonS3, address: &Address) -> Result<Option<Found>> {
    match bucket.head(&key(address)).await {
        Ok(meta) => Ok(Some(meta.into())),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(explain(address, "looking it up", error)),
    }
}

/// What went wrong while `doing` something with `address`, and what to do.
pub(super) fn explain(address: &Address, doing: &str, error: object_store::Error) -> Error {
    let text = causes(&error);
    let problem = if text.contains("NoSuchBucket") {
        format!(
            "there is no bucket {}; make it, or name another one",
            address.bucket
        )
    } else if text.contains("NoSuchUpload") {
        "the upload was ended by somebody else; try again".to_owned()
    } else {
        match error {
            object_store::Error::NotFound { .. } => {
                format!("{doing} failed: there is no such object or bucket")
            }
            object_store::Error::Precondition { .. } => {
                "the object has changed while it was read; wait until it is complete".to_owned()
            }
            object_store::Error::PermissionDenied { .. }
            | object_store::Error::Unauthenticated { .. } => format!(
                "{doing} was refused{}; check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY or AWS_PROFILE, and what the key \
                 may do",
                code(&text)
            ),
            _ => format!("{doing} failed{}: {}", code(&text), shortened(&text)),
        }
    };
    Error::media(address.to_string(), problem)
}

/// An error and what caused it, in one line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The server's own word for the error, in brackets, if it said one.
fn code(text: &str) -> String {
    let said = text
        .split_once("<Code>")
        .and_then(|(_, rest)| rest.split_once("</Code>"))
        .map(|(code, _)| code);
    match said {
        Some(code) if code.len() < 60 && code.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
            format!(" ({code})")
        }
        _ => String::new(),
    }
}

/// Without what servers send as pages.
fn shortened(text: &str) -> &str {
    let end = text.find('<').unwrap_or(text.len()).min(300);
    let end = (0..=end).rev().find(|end| text.is_char_boundary(*end));
    text[..end.unwrap_or(0)].trim_end_matches([' ', ':'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_what_to_do() {
        let address: Address = "s3://b/k".parse().unwrap();
        let source = |text: &str| -> Box<dyn std::error::Error + Send + Sync> { text.into() };
        let denied = object_store::Error::PermissionDenied {
            path: "k".into(),
            source: source("403: <Error><Code>InvalidAccessKeyId</Code></Error>"),
        };
        let text = explain(&address, "listing", denied).to_string();
        assert!(
            text.contains("s3://b/k") && text.contains("InvalidAccessKeyId"),
            "{text}"
        );
        assert!(text.contains("AWS_PROFILE"), "{text}");
        let missing = object_store::Error::NotFound {
            path: "k".into(),
            source: source("404: <Error><Code>NoSuchBucket</Code></Error>"),
        };
        assert!(
            explain(&address, "listing", missing)
                .to_string()
                .contains("no bucket b")
        );
        let other = object_store::Error::Generic {
            store: "S3",
            source: source("broken\n  <html>page</html>"),
        };
        let text = explain(&address, "listing", other).to_string();
        assert!(text.ends_with("broken"), "{text}");
    }

    #[test]
    fn what_is_not_encrypted_is_refused() {
        let address: Address = "s3://b/k".parse().unwrap();
        let with = |endpoint: &str| {
            let storage = Storage::new(Some(endpoint.into()), || false).unwrap();
            storage
                .connect(&address)
                .map(|_| ())
                .map_err(|error| error.to_string())
        };
        assert!(
            with("http://storage.example")
                .unwrap_err()
                .contains("not encrypted")
        );
        assert!(
            with("https://user:secret@storage.example").is_err_and(|text| !text.contains("secret"))
        );
        assert_eq!(with("https://storage.example"), Ok(()));
        assert_eq!(with("http://127.0.0.1:9"), Ok(()));
    }

    #[test]
    fn a_wait_ends_when_it_is_to_stop() {
        let storage = Storage::new(None, || true).unwrap();
        let never = std::future::pending::<Result<()>>();
        assert!(matches!(
            storage.line().wait(never),
            Err(Error::Interrupted)
        ));
    }
}
