//! Records of `tracing` through the layer, and the spans beside them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use flame_on::ErrorContextExt;
use flame_on::testing::TestAgent;
use tracing_subscriber::layer::SubscriberExt as _;

#[test]
fn error_records_are_events_linked_to_their_trace_and_lower_ones_breadcrumbs() {
    let layer = flame_on::tracing_layer().with_breadcrumbs(tracing::level_filters::LevelFilter::WARN);
    let subscriber = tracing_subscriber::registry().with(layer);
    let agent = TestAgent::with(|config| config.logger_fallback(true)).unwrap();
    let work = async {
        tracing::warn!(target: "shop", "slow token={}", "secret");
        tracing::info!(target: "shop", "not asked for");
        tracing::error!(target: "shop", order = 17, "not paid");
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    tracing::subscriber::with_default(subscriber, || {
        let work = agent.in_context(|| work.with_new_error_context());
        runtime.block_on(agent.unit("shop.batch", || "nightly").run(work));
    });
    let (traces, events) = (agent.traces_blocking(), agent.errors_blocking());
    let [event] = &events[..] else { panic!("{events:#?}") };
    assert_eq!((event.message.as_str(), event.route.as_str()), ("not paid", "logger.error"));
    assert_eq!(event.trace_id, Some(traces[0].id()));
    assert_eq!((event.contexts["order"].as_str(), event.contexts["target"].as_str()), ("17", "shop"));
    let crumbs: Vec<_> = event.breadcrumbs.iter().map(|crumb| crumb.message.as_str()).collect();
    assert_eq!(crumbs, ["slow token=[REDACTED]"]);
}
