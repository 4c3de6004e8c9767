//! Files and objects alike: what the one or the other is named by tells which.

use std::collections::HashSet;
use std::sync::OnceLock;

use anyhow::Result;
use floutage::batch::identity::{Stamp, hash_file};
use floutage::batch::name;
use floutage::batch::plan::Item;
use floutage::storage::{Address, Storage, is_address};

use crate::redact::STOP;

/// Where a batch's files and objects are.
#[derive(Default)]
pub struct Places {
    /// The server of objects, where the job names one.
    endpoint: Option<String>,
    /// Connected when the first object comes up.
    storage: OnceLock<Storage>,
}

impl Places {
    pub fn new(endpoint: Option<String>) -> Self {
        Self {
            endpoint,
            storage: OnceLock::new(),
        }
    }

    /// The object storage.
    pub fn storage(&self) -> Result<&Storage> {
        if let Some(storage) = self.storage.get() {
            return Ok(storage);
        }
        let storage = Storage::new(self.endpoint.clone(), || STOP.requested())?;
        Ok(self.storage.get_or_init(|| storage))
    }

    /// Checks, before hours of work, that the buckets that `items` are written to can be reached.
    pub fn check_targets(&self, items: &[Item]) -> Result<()> {
        let mut seen = HashSet::new();
        for output in items.iter().map(|item| &item.output) {
            if is_address(output) {
                let address = Address::of(output)?;
                if seen.insert(address.bucket.clone()) {
                    self.storage()?.check_bucket(&address)?;
                }
            }
        }
        Ok(())
    }

    /// What is at `path`; None where nothing is.
    pub fn find(&self, path: &str) -> Result<Option<Stamp>> {
        if is_address(path) {
            let found = self.storage()?.find(&Address::of(path)?)?;
            return Ok(found.map(Stamp::from));
        }
        let path = &*name::path(path);
        Ok(match path.symlink_metadata() {
            Ok(_) => Some(Stamp::of(path)?),
            Err(_) => None,
        })
    }

    /// The stamp of what is at `path`.
    pub fn stamp(&self, path: &str) -> Result<Stamp> {
        match self.find(path)? {
            Some(stamp) => Ok(stamp),
            None => anyhow::bail!("{path}: there is no such file or object"),
        }
    }

    /// BLAKE3 of what is at `path`; None where nothing is, or a file that cannot be read.
    pub fn hash_if_there(&self, path: &str) -> Result<Option<String>> {
        if !is_address(path) {
            return Ok(hash_file(&name::path(path)).ok());
        }
        // A server that does not answer says nothing about the object.
        match self.find(path)? {
            Some(_) => self.hash(path).map(Some),
            None => Ok(None),
        }
    }

    /// BLAKE3 of what is at `path`.
    pub fn hash(&self, path: &str) -> Result<String> {
        if is_address(path) {
            return Ok(self.storage()?.hash(&Address::of(path)?)?);
        }
        Ok(hash_file(&name::path(path))?)
    }
}
