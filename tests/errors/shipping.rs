use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use flame_on::testing::TestAgent;
use flame_on::{ErrorBatch, Report, ShipContext, ShipError, ShipperAdapter};

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<Vec<String>>>>);

impl ShipperAdapter<ErrorBatch> for Kept {
    async fn ship(&self, batch: &ErrorBatch, context: &ShipContext) -> Result<(), ShipError> {
        assert_eq!(&*context.service, "shop");
        self.0.lock().unwrap().push(batch.events().iter().map(|event| event.message.clone()).collect());
        Ok(())
    }
}

fn capture(agent: &TestAgent, count: usize) {
    for number in 0..count {
        agent.capture(Report::message(number.to_string()));
    }
}

#[test]
fn before_send_changes_and_drops_and_its_panics_drop() {
    let agent = TestAgent::with(|config| {
        config.before_send(|mut event| {
            assert_ne!(event.message, "2", "a panic in before_send");
            event.tags.insert("region".into(), "eu".into());
            (event.message != "1").then_some(event)
        })
    })
    .unwrap();
    capture(&agent, 4);
    let events = agent.errors_blocking();
    let told: Vec<_> = events.iter().map(|event| (event.message.as_str(), event.tags["region"].as_str())).collect();
    assert_eq!(told, [("0", "eu"), ("3", "eu")]);
    let stats = agent.stats();
    assert_eq!((stats.errors_captured, stats.errors_dropped_by_host, stats.before_send_panics), (4, 1, 1));
}

#[test]
fn before_send_sees_what_is_redacted() {
    let seen = Arc::new(Mutex::new(String::new()));
    let looked = seen.clone();
    let agent = TestAgent::with(|config| {
        config.before_send(move |event| {
            *looked.lock().unwrap() = event.message.clone();
            None
        })
    })
    .unwrap();
    agent.capture(Report::message("password=hunter2"));
    assert!(agent.errors_blocking().is_empty());
    assert_eq!(*seen.lock().unwrap(), "password=[REDACTED]");
}

#[test]
fn batches_go_to_the_hosts_adapter_in_order_and_below_their_size() {
    let kept = Kept::default();
    let agent =
        TestAgent::with(|config| config.service("shop").max_error_batch_size(3).error_shipper(kept.clone())).unwrap();
    capture(&agent, 8);
    agent.flush_blocking(Duration::from_secs(30));
    let batches = kept.0.lock().unwrap().clone();
    assert!(batches.iter().all(|batch| batch.len() <= 3), "{batches:?}");
    assert_eq!(batches.concat(), (0..8).map(|number| number.to_string()).collect::<Vec<_>>());
    assert_eq!(agent.stats().error_queue.sent, 8);
}

#[test]
fn errors_alone_need_no_traces() {
    let agent = TestAgent::with(|config| config.capture(false)).unwrap();
    capture(&agent, 1);
    assert_eq!(agent.errors_blocking().len(), 1);
}

#[test]
fn a_full_buffer_drops_the_oldest_and_counts_it() {
    /// Never answers while the test fills the buffer.
    struct Stuck;
    impl ShipperAdapter<ErrorBatch> for Stuck {
        async fn ship(&self, _: &ErrorBatch, _: &ShipContext) -> Result<(), ShipError> {
            std::future::pending().await
        }
    }
    let agent = TestAgent::with(|config| config.max_error_batch_size(1).max_error_buffer_size(10).error_shipper(Stuck))
        .unwrap();
    capture(&agent, 100);
    // One of them may just be on its way to the adapter.
    let begun = Instant::now();
    let queue = loop {
        let queue = agent.stats().error_queue;
        if queue.evicted + queue.waiting == 100 {
            break queue;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{queue:?}");
    };
    assert_eq!(queue.produced, 100);
    assert!((10..=11).contains(&queue.waiting), "{queue:?}");
}

#[test]
fn what_was_captured_is_conserved_through_a_shutdown() {
    let agent = TestAgent::start().unwrap();
    capture(&agent, 5);
    let handle = agent.handle();
    tokio::runtime::Runtime::new().unwrap().block_on(agent.shutdown());
    let queue = handle.stats().error_queue;
    assert_eq!((queue.produced, queue.sent, queue.waiting), (5, 5, 0));
}

#[test]
fn a_killed_error_shipper_comes_back_and_loses_nothing() {
    let agent = TestAgent::start().unwrap();
    capture(&agent, 1);
    assert!(agent.__kill("error_shipper"));
    capture(&agent, 1);
    let mut shipped = agent.errors_blocking();
    shipped.extend(agent.errors_blocking());
    assert_eq!(shipped.len(), 2);
    assert_eq!(agent.stats().restarts, 1);
}

#[test]
fn a_reload_changes_limits_and_the_window() {
    let agent = TestAgent::start().unwrap();
    let mut settings = flame_on::Settings::default();
    settings.max_string_length = Some(3);
    settings.error_dedupe_window_ms = Some(60_000);
    let reloaded = agent.reload(&settings).unwrap();
    assert!(reloaded.needs_restart.is_empty());
    for _ in 0..2 {
        agent.capture(Report::message("abcdef"));
    }
    let events = agent.errors_blocking();
    assert_eq!(events.iter().map(|event| event.message.as_str()).collect::<Vec<_>>(), ["abc"]);
}
