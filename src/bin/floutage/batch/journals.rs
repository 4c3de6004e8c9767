//! The journals of one folder together: that of a whole batch, those of shards, those of earlier plans.
//!
//! Invariant: where there is a plan, it says which journal a file is in; no file counts twice.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use floutage::batch::journal::{Entry, Journal, OTHER_INPUT, State};
use floutage::batch::plan::{Plan, journal_name, shards_of};

use super::job::FOLDER;
use super::{JOURNAL, LEFT_OUT, PLAN};

/// What the journals of a folder tell.
pub struct Told {
    /// The folder that they are in.
    pub folder: PathBuf,
    /// Every file of the batch, once.
    pub entries: Vec<Entry>,
    /// What was left out of input folders, and results of files that are no longer part of the batch; one line each.
    pub left_out: Vec<String>,
    /// Files that a process was at work on when it was killed; they are pending.
    pub cut_off: Vec<Entry>,
}

/// The folder of journals that `named` is or holds.
pub fn folder(named: &Path) -> PathBuf {
    let inner = named.join(FOLDER);
    if inner.is_dir() {
        inner
    } else {
        named.to_owned()
    }
}

/// The journals in `folder`, in order.
fn paths(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name == JOURNAL || shards_of(&name).is_some()
        })
        .collect();
    paths.sort();
    paths
}

/// What is known of the batch in `named`, its folder or its output folder.
pub fn look(named: &Path) -> Result<Told> {
    let folder = folder(named);
    let mut told = Told {
        entries: Vec::new(),
        left_out: Vec::new(),
        cut_off: Vec::new(),
        folder,
    };
    let plan = told.folder.join(PLAN);
    if plan.is_file() {
        let plan = Plan::read(&plan)?;
        told.left_out.clone_from(&plan.left_out);
        told.of_plan(&plan)?;
        return Ok(told);
    }
    let paths = paths(&told.folder);
    // That of a whole batch has taken over what shards did before.
    let whole = told.folder.join(JOURNAL);
    if paths.contains(&whole) {
        let journal = Journal::look(&whole)?;
        told.add_listed(&journal, &whole)?;
        told.left_out = left_out(&journal)?;
        return Ok(told);
    }
    if paths.is_empty() {
        bail!("{}: there is no journal of a batch", told.folder.display());
    }
    let plans: HashSet<usize> = paths.iter().filter_map(|path| of(path)).collect();
    if plans.len() > 1 {
        bail!(
            "{}: these are journals of shards of several plans, and there is no {PLAN}: plan again, or move the others away",
            told.folder.display()
        );
    }
    for path in paths {
        told.add_listed(&Journal::look(&path)?, &path)?;
    }
    Ok(told)
}

/// How many shards the plan has that the journal at `path` belongs to; None for that of a whole batch.
fn of(path: &Path) -> Option<usize> {
    shards_of(&path.file_name()?.to_string_lossy())
}

/// What is noted in the journal of a whole batch of input folders, and results of files that are no longer part of it.
pub fn left_out(journal: &Journal) -> Result<Vec<String>> {
    let noted = journal.noted(LEFT_OUT)?.unwrap_or_default();
    let mut lines: Vec<String> = noted.lines().map(str::to_owned).collect();
    lines.extend(journal.unlisted()?.iter().map(not_counted));
    Ok(lines)
}

fn not_counted(entry: &Entry) -> String {
    format!(
        "not counted: {}: made by an earlier start from {}, which is no longer part of the batch",
        entry.output, entry.input
    )
}

impl Told {
    /// Adds what `journal`, which is at `path`, lists.
    fn add_listed(&mut self, journal: &Journal, path: &Path) -> Result<()> {
        let at_rest = !Journal::is_in_use(path);
        for entry in journal.entries()? {
            self.add(entry, at_rest);
        }
        Ok(())
    }

    fn of_plan(&mut self, plan: &Plan) -> Result<()> {
        let planned: HashSet<&str> = plan
            .files
            .iter()
            .map(|(_, item)| item.output.as_str())
            .collect();
        // By journal and output what it knows, with whether it is at rest; and what no plan names any more.
        let mut known: HashMap<PathBuf, (HashMap<String, Entry>, bool)> = HashMap::new();
        let mut gone = BTreeMap::new();
        for path in paths(&self.folder) {
            let is_own = of(&path) == Some(plan.shards);
            let entries = match Journal::look(&path).and_then(|journal| journal.known()) {
                Ok(entries) => entries,
                Err(error) if is_own => return Err(error.into()),
                // Of an earlier plan: nothing here depends on it.
                Err(error) => {
                    self.left_out.push(format!("not read: {error}"));
                    continue;
                }
            };
            let (named, others): (Vec<Entry>, Vec<Entry>) = entries
                .into_iter()
                .partition(|entry| planned.contains(entry.output.as_str()));
            let done = others
                .into_iter()
                .filter(|entry| entry.state == State::Done);
            gone.extend(done.map(|entry| (entry.output.clone(), entry)));
            if is_own {
                let named = named
                    .into_iter()
                    .map(|entry| (entry.output.clone(), entry))
                    .collect();
                let at_rest = !Journal::is_in_use(&path);
                known.insert(path, (named, at_rest));
            }
        }
        for (shard, item) in &plan.files {
            let path = self.folder.join(journal_name(*shard, plan.shards));
            let (entry, at_rest) = match known.get_mut(&path) {
                Some((entries, at_rest)) => (entries.remove(&item.output), *at_rest),
                None => (None, true),
            };
            // What no shard has begun is part of the batch.
            let mut entry = entry.unwrap_or_else(|| Entry::planned(item));
            if entry.state == State::Done {
                let other = (entry.input != item.input).then_some(OTHER_INPUT);
                let reason = entry.differs(item).or(other).map(str::to_owned);
                entry.changed = entry.changed.or(reason);
            }
            self.add(entry, at_rest);
        }
        self.left_out.extend(gone.values().map(not_counted));
        Ok(())
    }

    fn add(&mut self, mut entry: Entry, at_rest: bool) {
        if at_rest && entry.state == State::Running {
            entry.state = State::Pending;
            self.cut_off.push(entry.clone());
        }
        self.entries.push(entry);
    }
}

/// What any journal of `folder` has made something of: by output, what was done last, and the journal that knows it.
pub fn newest(folder: &Path) -> Result<HashMap<String, (Entry, PathBuf)>> {
    let mut newest: HashMap<String, (Entry, PathBuf)> = HashMap::new();
    for path in paths(folder) {
        let known = Journal::look(&path)?.known()?.into_iter();
        for entry in known.filter(Entry::has_made) {
            let key = |entry: &Entry| (entry.last(), entry.state == State::Done);
            match newest.get_mut(&entry.output) {
                Some((best, _)) if key(best) >= key(&entry) => {}
                _ => drop(newest.insert(entry.output.clone(), (entry, path.clone()))),
            }
        }
    }
    Ok(newest)
}

/// Hands what is known in the journals of `folder` over to those that now stand for it: `outputs` by journal.
/// Returns how many files that are done were taken over.
///
/// Errors: a process is at work on one of the journals; one cannot be read.
pub fn take_over(folder: &Path, outputs: &BTreeMap<PathBuf, Vec<&str>>) -> Result<usize> {
    for path in paths(folder) {
        if Journal::is_in_use(&path) {
            bail!(
                "{}: another process is at work on this batch; wait for it, or stop it",
                path.display()
            );
        }
    }
    let newest = newest(folder)?;
    let mut count = 0;
    for (target, outputs) in outputs {
        let mut from: BTreeMap<&Path, Vec<&str>> = BTreeMap::new();
        for output in outputs {
            if let Some((entry, path)) = newest.get(*output)
                && path != target
            {
                from.entry(path).or_default().push(output);
                count += usize::from(entry.state == State::Done);
            }
        }
        if from.is_empty() {
            continue;
        }
        let mut journal = Journal::open(target)?;
        for (other, outputs) in from {
            // Opened to write, those of older versions become of this one.
            journal.adopt(&Journal::open(other)?, outputs)?;
        }
    }
    Ok(count)
}
