//! Manifests: CSV files with an input a row, its output if that is not to follow from the input, and settings.
//!
//! Invariant: an output that a row names is a path inside the output folder.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, PathBuf};

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The line it begins on, from 1.
    pub line: u64,
    /// What is to be read, as it is named there.
    pub input: PathBuf,
    /// Where to, inside the output folder.
    pub output: Option<PathBuf>,
    /// Settings by name, for this row alone.
    pub settings: Vec<(String, String)>,
}

/// The rows of a manifest. Paths need not be UTF-8.
///
/// Errors: which row is wrong, and why; there is no column `input`.
pub fn parse(content: &[u8]) -> Result<Vec<Row>, String> {
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(content);
    let columns: Vec<String> = reader
        .headers()
        .map_err(|error| format!("the names of the columns cannot be read: {error}"))?
        .iter()
        .map(str::to_owned)
        .collect();
    if !columns.iter().any(|name| name == "input") {
        return Err(format!(
            "there is no column `input`; the first line has {}, and columns are set apart by commas",
            columns.join(", ")
        ));
    }
    for (index, name) in columns.iter().enumerate() {
        if columns[..index].contains(name) {
            return Err(format!("there are two columns `{name}`"));
        }
    }
    let rows: Vec<Row> = reader
        .byte_records()
        .map(|row| {
            let row = row.map_err(|error| error.to_string())?;
            let line = row.position().map_or(0, |position| {
                // It is that behind the row before: empty lines follow.
                let rest = content.get(position.byte() as usize..).unwrap_or_default();
                let blank = rest.iter().take_while(|byte| matches!(byte, b'\n' | b'\r'));
                position.line() + blank.filter(|byte| **byte == b'\n').count() as u64
            });
            read(line, &columns, &row).map_err(|problem| format!("line {line}: {problem}"))
        })
        .collect::<Result<_, String>>()?;
    if rows.is_empty() {
        return Err("there are no rows below the names of the columns".into());
    }
    Ok(rows)
}

fn read(line: u64, columns: &[String], row: &csv::ByteRecord) -> Result<Row, String> {
    let (mut input, mut output, mut settings) = (None, None, Vec::new());
    for (name, value) in columns.iter().zip(row) {
        match (name.as_str(), OsStr::from_bytes(value)) {
            (_, value) if value.is_empty() => {}
            ("input", path) => input = Some(PathBuf::from(path)),
            ("output", path) => output = Some(PathBuf::from(path)),
            (name, value) => {
                let text = value.to_str().ok_or(format!("{name}: must be text"))?;
                settings.push((name.to_owned(), text.to_owned()));
            }
        }
    }
    if let Some(output) = &output {
        let mut parts = output.components();
        if !parts.all(|part| matches!(part, Component::Normal(_))) {
            let shown = output.display();
            return Err(format!(
                "output {shown}: must be a path inside the output folder"
            ));
        }
    }
    Ok(Row {
        line,
        input: input.ok_or("there is no input")?,
        output,
        settings,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_and_wrong_ones_named() {
        let rows = parse(b"input, output ,style\na.mp4,,\n b.mp4 ,x/b.mp4,fill\n\xff.mp4,,\n");
        let rows = rows.unwrap();
        assert_eq!(rows[0].input.to_str(), Some("a.mp4"));
        assert!(rows[0].output.is_none() && rows[0].settings.is_empty());
        assert_eq!(rows[1].output, Some("x/b.mp4".into()));
        assert_eq!(rows[1].settings, [("style".into(), "fill".into())]);
        assert_eq!(rows[2].line, 4);
        let blank = parse(b"input\n\n\na.mp4\n").unwrap();
        assert_eq!(blank[0].line, 4);
        for (wrong, word) in [
            (&b""[..], "no column `input`"),
            (b"file\na.mp4\n", "no column `input`"),
            (b"input,style\n,fill\n", "line 2: there is no input"),
            (b"input,style\na.mp4\n", "line: 2"),
            (b"input,style\na.mp4,\xff\n", "line 2: style: must be text"),
            (b"input,output\na,b\na,../b\n", "line 3: output ../b"),
            (b"input,output\na,/b\n", "inside the output folder"),
            (b"input\n", "no rows"),
            (b"a;input\nb;c\n", "set apart by commas"),
            (b"input,\xff\na,b\n", "names of the columns"),
        ] {
            let error = parse(wrong).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }
}
