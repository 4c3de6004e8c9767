//! Names of objects: `s3://bucket/key`.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use crate::error::{Error, Result};

/// How an address begins.
const SCHEME: &str = "s3://";

/// True when `path` names something in object storage and no file.
pub fn is_address(path: impl AsRef<Path>) -> bool {
    path.as_ref()
        .as_os_str()
        .as_encoded_bytes()
        .starts_with(SCHEME.as_bytes())
}

/// A bucket, and a key or the beginning of keys in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    /// The bucket.
    pub bucket: String,
    /// The key, without a slash at either end; empty for the whole bucket.
    pub key: String,
}

impl Address {
    /// The address that `path` is.
    ///
    /// Errors: [`Error::Media`] when it is none.
    pub fn of(path: impl AsRef<Path>) -> Result<Self> {
        path.as_ref().to_string_lossy().parse()
    }

    /// Another key in the same bucket.
    pub fn with_key(&self, key: impl Into<String>) -> Self {
        Self {
            bucket: self.bucket.clone(),
            key: key.into(),
        }
    }
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = |problem: &str| Error::media(text, problem);
        let Some(rest) = text.strip_prefix(SCHEME) else {
            return Err(wrong("this is no address of an object: s3://bucket/key"));
        };
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        let known =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b':');
        if bucket.is_empty() || !bucket.bytes().all(known) {
            return Err(wrong("there is no name of a bucket in it: s3://bucket/key"));
        }
        let key = key.trim_end_matches('/');
        if object_store::path::Path::parse(key).is_err() || key.starts_with('/') {
            return Err(wrong(
                "keys with empty parts, `.` or `..` between slashes, or control characters are not supported; copy the \
                 object to another key",
            ));
        }
        Ok(Self {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}/{}", self.bucket, self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written() {
        let address: Address = "s3://archive/2024/a b.mp4".parse().unwrap();
        assert_eq!(
            (address.bucket.as_str(), address.key.as_str()),
            ("archive", "2024/a b.mp4")
        );
        assert_eq!(address.to_string(), "s3://archive/2024/a b.mp4");
        let folder = Address::of("s3://archive/2024/").unwrap();
        assert_eq!(folder.key, "2024");
        assert_eq!("s3://archive".parse::<Address>().unwrap().key, "");
        for wrong in [
            "s3://",
            "s3:///x",
            "archive/x",
            "s3://a/b//c",
            "s3://a/../c",
            "s3://u@h/x",
        ] {
            assert!(wrong.parse::<Address>().is_err(), "{wrong}");
        }
        assert!(is_address("s3://x/y") && !is_address("/s3://x") && !is_address("s3:/x"));
    }
}
