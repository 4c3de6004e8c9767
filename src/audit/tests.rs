use std::path::PathBuf;

use proptest::prelude::*;
use serde_json::json;
use tempfile::TempDir;

use super::*;

struct Place {
    _folder: TempDir,
    log: PathBuf,
    state: PathBuf,
}

fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    Place {
        log: folder.path().join("audit.jsonl"),
        state: folder.path().join("state"),
        _folder: folder,
    }
}

impl Place {
    fn log(&self) -> Log {
        Log::new(&self.log, &self.state)
    }

    fn filled(count: u64) -> Self {
        let place = place();
        for index in 0..count {
            place.log().append(event(index)).unwrap();
        }
        place
    }

    fn text(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    fn checked(&self) -> Checked {
        check(&self.log, Some(&self.state), &Expected::default()).unwrap()
    }

    fn file(&self, end: &str) -> PathBuf {
        let mut entries = std::fs::read_dir(self.state.join("audit")).unwrap();
        entries
            .find_map(|entry| {
                Some(entry.unwrap().path()).filter(|path| path.to_string_lossy().ends_with(end))
            })
            .unwrap()
    }
}

fn event(index: u64) -> Event {
    Event::Purged {
        files: index,
        bytes: index * 1000,
        days: 30.0,
        source: None,
        through: None,
    }
}

#[test]
fn what_is_appended_checks_out() {
    let place = Place::filled(4);
    let checked = place.checked();
    assert_eq!(checked.problems, [] as [String; 0]);
    assert_eq!((checked.entries, checked.end_known), (5, true));
    assert!(matches!(checked.events[0].1, Event::Opened { .. }));
    assert_eq!(checked.events[3].1, event(2));
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(place.file(".key"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn rotation_is_recorded_and_the_old_key_is_gone() {
    let place = Place::filled(2);
    let old = std::fs::read_to_string(place.file(".key")).unwrap();
    place.log().rotate().unwrap();
    place.log().append(event(9)).unwrap();
    let new = std::fs::read_to_string(place.file(".key")).unwrap();
    assert_ne!(old, new);
    let checked = place.checked();
    assert_eq!(checked.problems, [] as [String; 0]);
    assert_eq!((checked.keys.len(), checked.entries), (2, 5));
    // Either key, known to somebody else, tells that the log is the right one.
    for key in &checked.keys {
        let expected = Expected {
            public_key: Some(key.clone()),
            head: checked.head.clone(),
        };
        assert!(
            check(&place.log, None, &expected)
                .unwrap()
                .problems
                .is_empty()
        );
    }
}

#[test]
fn nobody_is_trusted_without_a_key() {
    let place = Place::filled(2);
    let nobody = check(&place.log, None, &Expected::default()).unwrap();
    assert_eq!(nobody.problems.len(), 1, "{nobody:?}");
    assert!(!nobody.end_known);
    let other = Place::filled(2).checked().keys[0].clone();
    let expected = Expected {
        public_key: Some(other),
        head: None,
    };
    assert!(
        !check(&place.log, None, &expected)
            .unwrap()
            .problems
            .is_empty()
    );
}

#[test]
fn a_changed_log_is_not_continued() {
    let cut = |place: &Place| {
        let text = place.text();
        let end = text[..text.len() - 1].rfind('\n').unwrap();
        std::fs::write(&place.log, &text[..=end]).unwrap();
    };
    let place = Place::filled(3);
    cut(&place);
    let before = place.text();
    let error = place.log().append(event(9)).unwrap_err().to_string();
    assert!(error.contains("has been changed"), "{error}");
    assert_eq!(place.text(), before);
    // Nor one whose head or key is gone, and a new log never takes its place.
    for end in [".head", ".key"] {
        let place = Place::filled(3);
        std::fs::remove_file(place.file(end)).unwrap();
        assert!(place.log().append(event(9)).is_err(), "{end}");
    }
}

#[test]
fn what_a_crash_leaves_is_put_in_order() {
    // In the middle of a line.
    let place = Place::filled(3);
    let whole = place.text();
    std::fs::write(&place.log, format!("{whole}{{\"seq\":4,\"ti")).unwrap();
    assert!(!place.checked().problems.is_empty());
    place.log().append(event(9)).unwrap();
    assert!(place.text().starts_with(&whole));
    assert_eq!(place.checked().problems, [] as [String; 0]);
    // Between the line and its head.
    let head = std::fs::read(place.file(".head")).unwrap();
    place.log().append(event(10)).unwrap();
    std::fs::write(place.file(".head"), head).unwrap();
    place.log().append(event(11)).unwrap();
    assert_eq!(place.checked().problems, [] as [String; 0]);
    assert_eq!(place.checked().entries, 7);
}

#[test]
fn several_writers_take_turns() {
    let place = place();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let log = place.log();
            scope.spawn(move || {
                (0..5).for_each(|index| drop(log.append(event(writer * 10 + index)).unwrap()))
            });
        }
    });
    let checked = place.checked();
    assert_eq!(checked.problems, [] as [String; 0]);
    assert_eq!(checked.entries, 21);
}

#[test]
fn a_log_of_another_machine_and_an_old_copy_are_found() {
    let (one, two) = (Place::filled(3), Place::filled(3));
    std::fs::copy(&two.log, &one.log).unwrap();
    assert!(!one.checked().problems.is_empty());
    let place = Place::filled(2);
    let old = place.text();
    let noted = place.checked().head;
    place.log().append(event(5)).unwrap();
    std::fs::write(&place.log, &old).unwrap();
    assert!(!place.checked().problems.is_empty());
    // A noted head is met by any longer log, and not by a shorter one.
    let place = Place::filled(4);
    let head = place.checked().head;
    place.log().append(event(5)).unwrap();
    let met = |head| {
        let checked = check(
            &place.log,
            Some(&place.state),
            &Expected {
                public_key: None,
                head,
            },
        )
        .unwrap();
        checked.problems.is_empty()
    };
    assert!(met(head));
    assert!(!met(noted));
}

#[test]
fn an_entry_says_nothing_about_anybody() {
    let place = Place::filled(1);
    let report = crate::media::report::Report {
        input: "/home/anna/interview-anna.mp4".into(),
        output: "/srv/out/interview-anna.mp4".into(),
        warnings: vec!["/home/anna: odd".into()],
        frames: 3,
        ..Default::default()
    };
    place
        .log()
        .append(Event::Redacted(Box::new(Redacted::counts(
            "video", &report,
        ))))
        .unwrap();
    assert!(!place.text().contains("anna"));
    assert!(place.text().contains("\"frames\":3"));
}

#[test]
fn the_page_is_in_both_languages_and_harmless() {
    let place = Place::filled(1);
    let gap = Event::Gap {
        source: "<script>x</script>".into(),
        seconds: 60.0,
        reason: "camera".into(),
    };
    place.log().append(gap).unwrap();
    let checked = place.checked();
    let french = page(&checked, Language::French, None, None);
    let english = page(&checked, Language::English, None, None);
    assert!(french.contains("lang=\"fr\"") && french.contains("Le registre est intact"));
    assert!(english.contains("lang=\"en\"") && english.contains("The record is intact"));
    for page in [&french, &english] {
        assert!(!page.contains("<script") && !page.contains("http"));
        assert!(page.contains("&lt;script&gt;"));
    }
    let mut broken = checked;
    broken.problems.push("line 2: <b>".into());
    assert!(page(&broken, Language::English, None, None).contains("NOT intact"));
}

#[test]
fn the_page_tells_operation_retention_leaks_and_attacks() {
    let started = || Event::Started {
        versions: Versions::default(),
        models: Vec::new(),
        settings: json!({ "retention": ["30days, 2.0 GB", ""] }),
    };
    let stopped = || Event::Stopped {
        reason: "asked".into(),
    };
    // Nine hours, then half an hour that ended without a word.
    let checked = Checked {
        events: [
            ("2026-03-01T08:00:00Z", started()),
            ("2026-03-01T17:00:00Z", stopped()),
            ("2026-03-02T08:00:00Z", started()),
            (
                "2026-03-02T08:30:00Z",
                Event::Gap {
                    source: "door".into(),
                    seconds: 9.0,
                    reason: "camera".into(),
                },
            ),
            ("2026-03-02T09:00:00Z", started()),
        ]
        .map(|(time, event)| (time.to_owned(), event))
        .into(),
        ..Checked::default()
    };
    let evaluation = json!({ "classes": { "face": [
        { "height": "12 to 24", "boxes": 1234, "leak_rate": 0.0125 }, { "height": "all", "boxes": 1, "leak_rate": 0.0 }
    ] } });
    let row = |style: &str, default| {
        json!({ "style": style, "default": default, "at_chance": default, "attacks": [
            { "auc": 0.5, "rank1": 0.062 }, { "auc": 0.505, "rank1": 0.05 }
        ], "matcher": { "accuracy": 0.071 }, "tesseract": null })
    };
    let attack = json!({
        "faces": { "rows": [row("nothing", false), row("fill", true)] },
        "plates": { "rows": [row("fill", true)] },
        "rebuild": {
            "frames": [{ "style": "mosaic", "frozen": true, "one": 0.3, "many": 0.304, "gain": 0.004 }],
            "kernels": [{ "style": "Gaussian <19>", "seen": 0.9, "rebuilt": 0.995 }]
        },
    });
    let french = page(&checked, Language::French, Some(&evaluation), Some(&attack));
    for words in [
        "Heures de service</th><td class=\"n\">9,5<",
        "30days, 2.0 GB",
        "tant qu’il y a de la place",
        "<td>visage</td><td>12 à 24</td><td>1\u{202f}234</td><td>0.0125</td>",
        "<td>toutes</td>",
        "<td>fill (par défaut)</td><td>0.505</td><td>0.062</td><td>oui</td>",
        "<td>fill (par défaut)</td><td>0.071</td><td>–</td><td>oui</td>",
        "<td>de la première image</td><td>0.300</td><td>0.304</td><td>0.004</td>",
        "<td>Gaussian &lt;19&gt;</td><td>0.900</td><td>0.995</td>",
    ] {
        assert!(french.contains(words), "{words}: {french}");
    }
    let english = page(
        &checked,
        Language::English,
        Some(&evaluation),
        Some(&attack),
    );
    for words in [
        "Hours in service",
        "9.5<",
        "<td>face</td><td>12 to 24</td>",
        "<td>no</td>",
    ] {
        assert!(english.contains(words), "{words}: {english}");
    }
    assert!(!page(&Checked::default(), Language::English, None, None).contains("Hours in service"));
}

/// A change to a log.
#[derive(Clone, Debug)]
enum Change {
    Flip(prop::sample::Index, u8),
    Insert(prop::sample::Index, u8),
    Delete(prop::sample::Index),
    Remove(prop::sample::Index),
    Double(prop::sample::Index),
    Swap(prop::sample::Index, prop::sample::Index),
    Cut(prop::sample::Index),
    Graft(prop::sample::Index, prop::sample::Index),
}

fn change() -> impl Strategy<Value = Change> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        (index(), 1..=255u8).prop_map(|(at, bits)| Change::Flip(at, bits)),
        (index(), any::<u8>()).prop_map(|(at, byte)| Change::Insert(at, byte)),
        index().prop_map(Change::Delete),
        index().prop_map(Change::Remove),
        index().prop_map(Change::Double),
        (index(), index()).prop_map(|(one, two)| Change::Swap(one, two)),
        index().prop_map(Change::Cut),
        (index(), index()).prop_map(|(from, to)| Change::Graft(from, to)),
    ]
}

fn changed(text: &str, other: &str, change: &Change) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    let count = lines.len();
    match change {
        Change::Flip(at, bits) => bytes[at.index(text.len())] ^= bits,
        Change::Insert(at, byte) => bytes.insert(at.index(text.len() + 1), *byte),
        Change::Delete(at) => drop(bytes.remove(at.index(text.len()))),
        Change::Cut(at) => bytes.truncate(at.index(text.len())),
        Change::Remove(at) => drop(lines.remove(at.index(count))),
        Change::Double(at) => lines.insert(at.index(count), lines[at.index(count)]),
        Change::Swap(one, two) => lines.swap(one.index(count), two.index(count)),
        Change::Graft(from, to) => {
            let theirs: Vec<&str> = other.split_inclusive('\n').collect();
            lines[to.index(count)] = theirs[from.index(theirs.len())];
        }
    }
    match change {
        Change::Remove(_) | Change::Double(_) | Change::Swap(..) | Change::Graft(..) => {
            lines.concat().into_bytes()
        }
        _ => bytes,
    }
}

#[test]
fn every_change_is_found() {
    let place = Place::filled(4);
    place.log().rotate().unwrap();
    place.log().append(event(7)).unwrap();
    let text = place.text();
    let other = Place::filled(6).text();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    runner
        .run(&prop::collection::vec(change(), 1..3), |changes| {
            let mut now = text.clone().into_bytes();
            for change in &changes {
                let Ok(so_far) = String::from_utf8(now.clone()) else {
                    break;
                };
                if so_far.is_empty() {
                    break;
                }
                now = changed(&so_far, &other, change);
            }
            prop_assume!(now != text.as_bytes());
            std::fs::write(&place.log, &now).unwrap();
            let found = place.checked();
            prop_assert!(!found.problems.is_empty(), "not found: {changes:?}");
            // The lines of a changed log never panic on appending, and never make it look whole.
            let _ = place.log().append(event(8));
            prop_assert!(std::fs::read(&place.log).unwrap() != text.as_bytes());
            Ok(())
        })
        .unwrap();
}
