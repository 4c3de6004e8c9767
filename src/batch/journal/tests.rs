use super::*;
use crate::batch::plan::tests::item;

fn identity(blake3: &str) -> Identity {
    Identity {
        stamp: Stamp {
            size: 3,
            mtime_ns: 4,
            etag: Some("mark".into()),
        },
        blake3: blake3.into(),
    }
}

#[test]
fn a_file_goes_through_its_states_and_survives_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/journal.sqlite");
    let mut journal = Journal::open(&path).unwrap();
    let items = [item("a.mp4", 1.0), item("b.mp4", 1.0)];
    journal.list(&items).unwrap();
    let id = journal.entries().unwrap()[0].id;
    journal.reset(id, &items[0]).unwrap();
    journal.start(id, &identity("in")).unwrap();
    journal.progress(id, 7, Some(0.5)).unwrap();
    let seen = Journal::look(&path).unwrap().entries().unwrap();
    assert_eq!((seen[0].state, seen[0].frames), (State::Running, 7));
    journal.written(id, "result", &Report::default()).unwrap();
    assert_eq!(journal.entries().unwrap()[0].result, None);
    journal.done(id, &identity("").stamp).unwrap();
    assert!(Journal::open(&path).is_err(), "it is in use");
    drop(journal);

    let mut journal = Journal::open(&path).unwrap();
    journal.list(&items[1..]).unwrap();
    assert_eq!(journal.entries().unwrap().len(), 1);
    journal.list(&items).unwrap();
    let entries = journal.entries().unwrap();
    assert_eq!(entries[0].state, State::Done);
    assert_eq!(entries[0].result, Some(identity("result")));
    assert_eq!(entries[0].identity, Some(identity("in")));
    assert_eq!(entries[1].state, State::Pending);
    journal.reset(id, &items[0]).unwrap();
    assert_eq!(journal.entries().unwrap()[0].result, None);
    journal.note("what", "this").unwrap();
    assert_eq!(journal.noted("what").unwrap().as_deref(), Some("this"));
}

#[test]
fn journals_of_the_first_version_are_looked_at_and_continued() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.sqlite");
    let mut journal = Journal::open(&path).unwrap();
    journal.list(&[item("a.mp4", 1.0)]).unwrap();
    let back = "ALTER TABLE file DROP COLUMN etag; ALTER TABLE file DROP COLUMN result_etag;
         ALTER TABLE file DROP COLUMN upload; PRAGMA user_version = 1;";
    journal.connection.execute_batch(back).unwrap();
    drop(journal);
    assert_eq!(Journal::look(&path).unwrap().entries().unwrap().len(), 1);
    let journal = Journal::open(&path).unwrap();
    let id = journal.entries().unwrap()[0].id;
    journal.start(id, &identity("in")).unwrap();
    journal.uploading(id, Some("u")).unwrap();
    let entry = &journal.entries().unwrap()[0];
    assert_eq!(entry.upload.as_deref(), Some("u"));
    assert_eq!(entry.identity, Some(identity("in")));
    journal.done(id, &identity("").stamp).unwrap();
    assert_eq!(journal.entries().unwrap()[0].upload, None);
}

#[test]
fn what_is_no_journal_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.sqlite");
    assert!(Journal::look(&path).is_err());
    std::fs::write(&path, "words and words and words".repeat(99)).unwrap();
    assert!(Journal::open(&path).is_err());
    assert!(Journal::look(&path).is_err());
}
