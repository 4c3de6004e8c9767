//! Model files, as `floutage models inspect` and every detector open them.

use floutage::detect::heads::{Head, OutputShape};
use floutage::detect::session::{Port, Session, SessionOptions};

/// Opens `data` as an ONNX model and looks at its inputs and outputs.
pub fn model(data: &[u8]) {
    let options = SessionOptions {
        threads: 1,
        ..SessionOptions::default()
    };
    let session = match Session::open("fuzz", data, &options) {
        Ok(session) => session,
        Err(error) => {
            let said = error.to_string();
            assert!(!said.is_empty());
            // Without the library nothing would be tried at all.
            assert!(!said.contains("ORT_DYLIB_PATH"), "{said}");
            return;
        }
    };
    let shapes: Vec<OutputShape<'_>> = session.outputs().iter().map(Port::output_shape).collect();
    let _ = Head::fitting(&shapes);
    for port in session.inputs().iter().chain(session.outputs()) {
        assert!(!port.to_string().is_empty());
    }
}
