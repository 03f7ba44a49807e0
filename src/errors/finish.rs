//! What is done to an event in the agent's blocking pool, once, before its first try: names and lines for its frames,
//! and the host's `before_send`.

use std::backtrace::Backtrace;
use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::backtrace;
use super::context::default_keys;
use super::core::LiveLimits;
use crate::model::counters::{Count, Counters};
use crate::model::error_event::{ErrorEvent, StackFrame};
use crate::model::in_app::InAppRules;
use crate::model::redact::event::EventRedactor;

/// Lines of source before and after a frame's own.
const CONTEXT_LINES: usize = 5;
/// The largest source file that is read: far above any that a person wrote.
const MAX_SOURCE_BYTES: u64 = 4 << 20;
/// The longest line that is kept; generated code has longer ones.
const MAX_LINE_BYTES: usize = 400;

/// The host's last word about an event.
pub(crate) type BeforeSend = Arc<dyn Fn(ErrorEvent) -> Option<ErrorEvent> + Send + Sync>;

/// See the module.
pub(crate) struct Finisher {
    pub(crate) counters: Arc<Counters>,
    pub(crate) limits: Arc<LiveLimits>,
    pub(crate) in_app: InAppRules,
    pub(crate) has_source: bool,
    pub(crate) before_send: Option<BeforeSend>,
}

impl Finisher {
    /// The event as it is shipped; `None` when `before_send` dropped it.
    pub(crate) fn finish(&self, event: &ErrorEvent, backtrace: Option<&Backtrace>) -> Option<ErrorEvent> {
        let mut event = event.clone();
        if let (Some(backtrace), Some(first)) = (backtrace, event.exceptions.first_mut()) {
            let frames = backtrace::resolve(backtrace);
            if !frames.is_empty() {
                first.frames = frames;
            }
        }
        let mut sources = Sources::default();
        let redactor = EventRedactor {
            keys: default_keys(),
            max_string_length: self.limits.max_string_length(),
            max_breadcrumbs: usize::MAX,
        };
        for frame in event.exceptions.iter_mut().flat_map(|exception| &mut exception.frames) {
            frame.in_app = self.in_app.is_in_app(frame);
            if self.has_source {
                sources.add_lines(frame);
            }
            redactor.frame(frame);
        }
        self.ask_host(event)
    }

    fn ask_host(&self, event: ErrorEvent) -> Option<ErrorEvent> {
        let Some(before_send) = &self.before_send else { return Some(event) };
        let counters = &self.counters;
        match catch_unwind(AssertUnwindSafe(|| before_send(event))) {
            Ok(Some(event)) => return Some(event),
            Ok(None) => counters.count(Count::ErrorsDroppedByHost),
            Err(payload) => {
                // Its drop may panic again, so it is leaked: a few bytes, once a panic.
                std::mem::forget(payload);
                counters.count(Count::BeforeSendPanics);
            }
        }
        None
    }
}

/// The source files of one event.
#[derive(Default)]
struct Sources(HashMap<String, Option<String>>);

impl Sources {
    fn add_lines(&mut self, frame: &mut StackFrame) {
        let Some(index) = usize::try_from(frame.line).ok().and_then(|line| line.checked_sub(1)) else { return };
        let text = self.0.entry(frame.abs_path.clone()).or_insert_with(|| read(&frame.abs_path));
        let Some(text) = text else { return };
        let from = index.saturating_sub(CONTEXT_LINES);
        let lines: Vec<String> =
            text.lines().skip(from).take(index - from + 1 + CONTEXT_LINES).map(shortened).collect();
        let Some((before, rest)) = lines.split_at_checked(index - from) else { return };
        if let [line, after @ ..] = rest {
            frame.context_line.clone_from(line);
            frame.pre_context = before.to_vec();
            frame.post_context = after.to_vec();
        }
    }
}

fn shortened(line: &str) -> String {
    crate::model::graphemes::first_bytes(line, MAX_LINE_BYTES).to_owned()
}

/// The text of a source file, if it is one that can be read.
fn read(path: &str) -> Option<String> {
    // Before anything is opened: the name comes from debug information, and may be that of a device.
    let is_source = std::path::Path::new(path).extension().is_some_and(|extension| extension == "rs");
    let metadata = std::fs::metadata(path).ok().filter(|_| is_source)?;
    if !metadata.is_file() || metadata.len() > MAX_SOURCE_BYTES {
        return None;
    }
    let mut text = String::new();
    File::open(path).ok()?.take(MAX_SOURCE_BYTES).read_to_string(&mut text).ok()?;
    Some(text)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn lines_of(text: &str, line: u32) -> StackFrame {
        let file = tempfile::Builder::new().suffix(".rs").tempfile().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let abs_path = file.path().to_str().unwrap().to_owned();
        let mut frame = StackFrame { abs_path, line, ..StackFrame::default() };
        Sources::default().add_lines(&mut frame);
        frame
    }

    #[test]
    fn five_lines_before_and_after_are_read_where_there_are_so_many() {
        let text = (1..=20).map(|line| format!("line {line}\n")).collect::<String>();
        let frame = lines_of(&text, 10);
        assert_eq!(frame.context_line, "line 10");
        assert_eq!(frame.pre_context, ["line 5", "line 6", "line 7", "line 8", "line 9"]);
        assert_eq!(frame.post_context, ["line 11", "line 12", "line 13", "line 14", "line 15"]);
        let first = lines_of(&text, 1);
        assert_eq!((first.context_line.as_str(), first.pre_context.len(), first.post_context.len()), ("line 1", 0, 5));
        let last = lines_of(&text, 20);
        assert_eq!((last.context_line.as_str(), last.pre_context.len(), last.post_context.len()), ("line 20", 5, 0));
        for line in [0, 21, u32::MAX] {
            assert_eq!(lines_of(&text, line).context_line, "");
        }
    }

    #[test]
    fn only_sources_are_read() {
        for path in ["/dev/zero", "/etc/passwd", "/none.rs", "", "/dev/zero.rs"] {
            assert_eq!(read(path), None, "{path}");
        }
    }
}
