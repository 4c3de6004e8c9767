//! What processes of ours say to each other: the ones that decode may have been taken over by what they decode.

use std::io::Write;
use std::os::unix::net::UnixStream;

use floutage::serve::wire::{FromWorker, ToWorker, receive, send};
use floutage::storage::link;

/// Reads `data` as messages of a camera's worker, and as the gateway's to it. What is understood can be said again.
pub fn wire(data: &[u8]) {
    let mut rest = data;
    while let Ok((message, body)) = receive::<FromWorker>(&mut rest) {
        let mut again = Vec::new();
        send(&mut again, &message, &body).expect("what came can be sent");
        let (same, same_body) = receive::<FromWorker>(&mut again.as_slice()).expect("a message");
        assert_eq!(format!("{same:?}"), format!("{message:?}"));
        assert_eq!(same_body, body);
    }
    let mut rest = data;
    while receive::<ToWorker>(&mut rest).is_ok() {}
}

/// Serves `data` as the requests of a process that has no objects: none is granted, and the connection ends.
pub fn link(data: &[u8]) {
    // Answers wait in the socket until the end, and are longer than what asks for them.
    let data = &data[..data.len().min(2000)];
    let (ours, mut theirs) = UnixStream::pair().expect("sockets can be made");
    theirs.write_all(data).expect("it fits");
    theirs
        .shutdown(std::net::Shutdown::Write)
        .expect("it is open");
    let outcome = link::serve(ours, None, None);
    if let Err(error) = outcome {
        assert!(error.to_string().contains("no such object"), "{error}");
    }
}
