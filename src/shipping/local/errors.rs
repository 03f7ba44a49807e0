//! Error events in the directory: a file of JSON lines for each batch.

use super::{ERRORS_SUFFIX, LocalAdapter, stamp};
use crate::model::error_event::ErrorEvent;
use crate::model::redact::json;
use crate::model::redact::keys::SecretKeys;
use crate::shipping::adapter::{ShipContext, ShipperAdapter};
use crate::shipping::errors::ErrorBatch;
use crate::shipping::ship_error::ShipError;

/// An event with every text at its longest is smaller.
const MAX_LINE_BYTES: usize = 64 << 20;

impl ShipperAdapter<ErrorBatch> for LocalAdapter {
    // A batch that fails halfway is written again: the same name, and so the same file.
    async fn ship(&self, batch: &ErrorBatch, _: &ShipContext) -> Result<(), ShipError> {
        let Some(first) = batch.events().first() else { return Ok(()) };
        let keys = SecretKeys::default();
        let lines: String = batch.events().iter().map(|event| line(event, &keys)).collect();
        let file = format!("{}-{}{ERRORS_SUFFIX}", stamp::compact(first.occurred_at), first.event_id);
        Ok(self.directory.write(&file, lines.as_bytes(), "")?)
    }
}

/// The event as a line of JSON, with its time as text before the rest.
fn line(event: &ErrorEvent, keys: &SecretKeys) -> String {
    let json = json::render(event, keys, MAX_LINE_BYTES).unwrap_or_default();
    let rest = json.strip_prefix('{').unwrap_or("}");
    format!("{{\"occurred_at\":\"{}\",{rest}\n", stamp::rfc3339(event.occurred_at))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests {
    use super::*;
    use crate::encode::errors::tests::full;
    use crate::shipping::local::LocalSettings;

    #[tokio::test]
    async fn a_batch_is_a_file_of_json_lines() {
        let dir = tempfile::tempdir().unwrap();
        let settings = LocalSettings { dir: dir.path().to_owned(), max_bytes: 1 << 20 };
        let adapter = LocalAdapter::new(settings);
        let batch = ErrorBatch::new(vec![full(1), full(2)]);
        ShipperAdapter::ship(&adapter, &batch, &ShipContext::default()).await.unwrap();
        ShipperAdapter::ship(&adapter, &batch, &ShipContext::default()).await.unwrap();
        let files: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        let [file] = &files[..] else { panic!("{files:?}") };
        assert!(file.to_str().unwrap().ends_with(ERRORS_SUFFIX));
        let text = std::fs::read_to_string(file).unwrap();
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["event_id"], full(1).event_id.to_string());
        assert_eq!(lines[0]["occurred_at"], "2023-11-14T22:13:20.123Z");
        assert_eq!(lines[0]["exceptions"][0]["frames"][0]["line"], 7);
        assert_eq!(lines[0]["request"]["headers"][0][0], "a");
        assert_eq!(lines[0]["user"]["id"], "7");
    }

    #[tokio::test]
    async fn the_oldest_files_make_room_whatever_is_in_them() {
        let dir = tempfile::tempdir().unwrap();
        let adapter = LocalAdapter::new(LocalSettings { dir: dir.path().to_owned(), max_bytes: 64 << 10 });
        for number in 1..200 {
            let batch = ErrorBatch::new(vec![full(number)]);
            ShipperAdapter::ship(&adapter, &batch, &ShipContext::default()).await.unwrap();
        }
        let sizes = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len());
        assert!(sizes.sum::<u64>() <= 64 << 10);
    }
}
