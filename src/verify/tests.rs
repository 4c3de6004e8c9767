use super::*;

fn findings(bytes: &[u8]) -> Vec<Finding> {
    inspect_source(&bytes).unwrap().findings
}

fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut bytes = (body.len() as u32 + 8).to_be_bytes().to_vec();
    bytes.extend(kind);
    bytes.extend(body);
    bytes
}

#[test]
fn what_is_no_video_or_picture_is_told() {
    for bytes in [&b""[..], b"text", b"GIF89a", &[0; 100]] {
        assert_eq!(findings(bytes).len(), 1, "{bytes:?}");
    }
}

#[test]
fn boxes_on_no_list_are_told_with_their_place() {
    let head = boxed(b"ftyp", b"mp42\0\0\0\0mp42");
    for hidden in [
        boxed(b"free", b"secret"),
        boxed(b"skip", b"secret"),
        boxed(b"uuid", b"0123456789abcdefsecret"),
        boxed(b"meta", b"secret"),
        b"secret".to_vec(),
        vec![
            0, 0, 0, 1, b'm', b'd', b'a', b't', 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        ],
    ] {
        let found = findings(&[&head[..], &hidden].concat());
        assert!(
            found.iter().any(|finding| finding.offset == 20),
            "{found:?}"
        );
    }
}

#[test]
fn what_lies_behind_the_end_is_told_at_the_end() {
    let chunk = |whole: u32, size: u32| {
        let head = [
            &b"RIFF"[..],
            &whole.to_le_bytes(),
            b"WEBPVP8L",
            &size.to_le_bytes(),
        ]
        .concat();
        [head, vec![0; 12]].concat()
    };
    assert!(findings(&chunk(24, 12)).is_empty());
    for (whole, size, word) in [
        (24, 1 << 20, "cut off"),
        (1 << 20, 12, "should have 1048584 bytes"),
        (20, 12, "4 bytes after the picture"),
        (24, 8, "after the pixels"),
    ] {
        let found = findings(&chunk(whole, size));
        let told = found.iter().any(|finding| finding.problem.contains(word));
        assert!(told, "{word}: {found:?}");
        assert!(found.iter().all(|finding| finding.offset <= 32));
    }
}

#[test]
fn segments_of_pictures_are_told() {
    let jpeg = |part: &[u8]| [&[0xff, 0xd8][..], part, &[0xff, 0xd9]].concat();
    assert!(findings(&jpeg(&[])).is_empty());
    for (kind, place) in [
        (0xe1, "APP1"),
        (0xe2, "APP2"),
        (0xed, "APP13"),
        (0xfe, "COM"),
    ] {
        let found = findings(&jpeg(&[&[0xff, kind, 0, 8][..], b"secret"].concat()));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].offset, found[0].place.as_str()), (2, place));
        assert!(found[0].problem.contains("secret"));
    }
    // A thumbnail inside JFIF's own segment.
    let thumbnail = b"\xff\xe0\0\x13JFIF\0\x01\x01\0\0\x01\0\x01\x01\x01abc";
    assert_eq!(findings(&jpeg(thumbnail)).len(), 1);
    assert_eq!(findings(&[&jpeg(&[])[..], b"secret"].concat())[0].offset, 4);
}

#[test]
fn endless_findings_end() {
    let head = boxed(b"ftyp", b"mp42\0\0\0\0mp42");
    let many = boxed(b"skip", b"").repeat(MOST_FINDINGS * 3);
    assert_eq!(findings(&[head, many].concat()).len(), MOST_FINDINGS);
}
