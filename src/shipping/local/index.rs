//! The index: a line of JSON for each profile of the directory.
//!
//! Processes append to it without a lock, and one of them replaces it now and then. No line is lost by that:
//! who replaces it reads on in the old file after the renaming, for what came late; who appends looks
//! afterwards whether its file is still the index, and else appends again. At worst a line is there twice. On other
//! systems than Unix who appends cannot look so, and a line that comes at that moment can be lost.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, BufWriter, Write as _};
use std::path::Path;

use super::stamp;
use crate::shipping::trace::Trace;

/// The index's file name.
pub(super) const INDEX: &str = "index.jsonl";
/// Every line begins like this, followed by the file's name and a quote.
const LINE_START: &str = "{\"file\":\"";
/// Bytes that a line keeps of an event name or an identifier. Profiles have them whole.
const MAX_TEXT: usize = 1_024;
/// How often an append is repeated because the index was being replaced.
const MAX_REPEATS: usize = 3;

/// Adds the line of `trace`, which is in `file`.
pub(super) fn push_line(lines: &mut String, file: &str, trace: &Trace) {
    lines.push_str(LINE_START);
    lines.push_str(file);
    lines.push_str("\",\"event_name\":");
    push_json(lines, trace.event_name());
    lines.push_str(",\"identifier\":");
    push_json(lines, trace.identifier());
    // Writing into a string cannot fail.
    writeln!(
        lines,
        ",\"duration_us\":{},\"captured_at\":\"{}\",\"trace_id\":\"{}\"}}",
        trace.duration().as_micros(),
        stamp::rfc3339(trace.captured_at()),
        trace.id()
    )
    .ok();
}

/// The file that a line is about; `None` if it is not one of our lines.
fn file_of(line: &[u8]) -> Option<&str> {
    let rest = line.strip_prefix(LINE_START.as_bytes())?;
    let end = rest.iter().position(|byte| *byte == b'"')?;
    // A line that was cut by a full disk is no line.
    if !line.ends_with(b"}\n") {
        return None;
    }
    std::str::from_utf8(rest.get(..end)?).ok()
}

/// Adds `text` as a JSON string, cut after [`MAX_TEXT`] bytes.
fn push_json(line: &mut String, text: &str) {
    line.push('"');
    for (at, c) in text.char_indices() {
        if at >= MAX_TEXT {
            line.push('…');
            break;
        }
        match c {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            c if c.is_control() => {
                write!(line, "\\u{:04x}", u32::from(c)).ok();
            }
            c => line.push(c),
        }
    }
    line.push('"');
}

/// Appends whole lines.
pub(super) fn append(dir: &Path, lines: &[u8]) -> io::Result<()> {
    let path = dir.join(INDEX);
    for _ in 0..MAX_REPEATS {
        let mut options = super::directory::private_options();
        let mut index = options.append(true).create(true).open(&path)?;
        // One call: the kernel puts the write of an append-only file as a whole behind what others wrote.
        index.write_all(lines)?;
        if is_at(&index, &path) {
            return Ok(());
        }
    }
    Ok(())
}

/// Replaces the index by those of its lines that `keep` wants. Returns its new length.
pub(super) fn compact(dir: &Path, temp: &Path, keep: impl Fn(&str) -> bool) -> io::Result<u64> {
    let path = dir.join(INDEX);
    let mut options = super::directory::private_options();
    let mut old = match options.read(true).open(&path) {
        Ok(old) => BufReader::new(old),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let mut new = BufWriter::new(super::directory::create_new(temp)?);
    let mut length = copy_kept(&mut old, &mut new, &keep)?;
    new.flush()?;
    drop(new);
    let Some(mut old) = replace(old, temp, &path)? else { return Ok(length) };
    let mut late = Vec::new();
    length += copy_kept(&mut old, &mut late, &keep)?;
    if !late.is_empty() {
        append(dir, &late)?;
    }
    Ok(length)
}

/// Puts the file at `temp` where the `old` one is. That one can be read on where the system lets an open file be
/// replaced: Unix, and Windows since 10 on its own file system.
fn replace(old: BufReader<File>, temp: &Path, path: &Path) -> io::Result<Option<BufReader<File>>> {
    if fs::rename(temp, path).is_ok() {
        return Ok(Some(old));
    }
    drop(old);
    fs::rename(temp, path).map_err(|error| {
        // The first error is the one to tell; what is left is removed as abandoned later.
        fs::remove_file(temp).ok();
        // Windows says so when another process has it open: in a moment it will not.
        let is_in_use = cfg!(windows) && error.kind() == io::ErrorKind::PermissionDenied;
        if is_in_use { io::Error::new(io::ErrorKind::ResourceBusy, error) } else { error }
    })?;
    Ok(None)
}

fn copy_kept(old: &mut BufReader<File>, new: &mut impl io::Write, keep: &impl Fn(&str) -> bool) -> io::Result<u64> {
    let mut length = 0;
    let mut line = Vec::new();
    while old.read_until(b'\n', &mut line)? > 0 {
        if file_of(&line).is_some_and(keep) {
            new.write_all(&line)?;
            length += u64::try_from(line.len()).unwrap_or(u64::MAX);
        }
        line.clear();
    }
    Ok(length)
}

/// Whether `file` is what `path` leads to now.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(file), Ok(path)) => (file.dev(), file.ino()) == (path.dev(), path.ino()),
        // Gone, or not to be seen: nothing that another append would improve.
        _ => true,
    }
}

/// Whether `file` is what `path` leads to now: elsewhere the standard library does not tell.
#[cfg(not(unix))]
fn is_at(_file: &File, _path: &Path) -> bool {
    true
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::shipping::trace::tests::parts;
    use crate::shipping::trace::{Trace, TraceParts};

    #[test]
    fn a_line_is_json_whatever_the_names_hold() {
        let wild = "a\"b\\c\n\u{1}\u{7f}é😀";
        let long = "é".repeat(2_000);
        let trace = Trace::new(TraceParts { event_name: wild.into(), identifier: long.clone().into(), ..parts(1) });
        let mut line = String::new();
        push_line(&mut line, "f.pb.gz", &trace);
        assert_eq!(line.lines().count(), 1);
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["file"], "f.pb.gz");
        assert_eq!(value["event_name"], wild);
        assert_eq!(value["identifier"], format!("{}…", "é".repeat(512)));
        assert_eq!(value["duration_us"], 6_001);
        assert_eq!(value["captured_at"], "2026-11-22T19:51:36.123Z");
        assert_eq!(value["trace_id"], trace.id().to_string());
        assert_eq!(file_of(line.as_bytes()), Some("f.pb.gz"));
    }

    #[test]
    fn a_cut_or_foreign_line_is_nobodys() {
        for line in ["{\"file\":\"a.pb.gz\",\"event", "{}\n", "\n", "{\"file\":\"a"] {
            assert_eq!(file_of(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn lines_appended_during_a_replacement_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let line = |name: &str| format!("{LINE_START}{name}\"}}\n");
        append(dir.path(), line("old").as_bytes()).unwrap();
        append(dir.path(), line("live").as_bytes()).unwrap();
        // The predicate is asked while the index is being copied: the moment for another process to append.
        let late = std::cell::Cell::new(false);
        let length = compact(dir.path(), &dir.path().join("temp"), |name| {
            if !late.replace(true) {
                append(dir.path(), line("late").as_bytes()).unwrap();
            }
            name != "old"
        })
        .unwrap();
        let index = fs::read_to_string(dir.path().join(INDEX)).unwrap();
        assert_eq!(index, line("live") + &line("late"));
        assert_eq!(length, index.len() as u64);
    }

    #[test]
    fn a_replacement_that_fails_says_so_and_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let [old, temp, taken] = ["old", "temp", "taken"].map(|name| dir.path().join(name));
        fs::write(&old, "x\n").unwrap();
        fs::write(&temp, "y\n").unwrap();
        fs::create_dir(&taken).unwrap();
        let open = BufReader::new(File::open(&old).unwrap());
        assert!(replace(open, &temp, &taken).is_err());
        assert!(!temp.exists() && taken.is_dir());
    }

    #[cfg(unix)]
    #[test]
    fn a_replaced_index_is_noticed_by_who_appends() {
        let dir = tempfile::tempdir().unwrap();
        append(dir.path(), b"x\n").unwrap();
        let path = dir.path().join(INDEX);
        let open = File::options().append(true).open(&path).unwrap();
        assert!(is_at(&open, &path));
        compact(dir.path(), &dir.path().join("temp"), |_| true).unwrap();
        assert!(!is_at(&open, &path));
    }
}
