use std::task::{Context, Waker};

use super::*;
use crate::actors::rig::{PATIENCE, eventually, parent, parts, stats, unit};
use crate::actors::trace_session_supervisor::TraceSessionSupervisor;
use crate::capture::scope::Scope;

async fn start(parts: &Arc<Parts>) -> ActorRef<CollectorMsg> {
    let collector = Collector::start_link(parts.clone(), parent().await).await.unwrap();
    parts.slots.collector.set(Some(collector.clone()));
    collector
}

async fn start_sessions(parts: &Arc<Parts>) {
    let sessions = TraceSessionSupervisor::start_link(parts.clone(), parent().await).await.unwrap();
    parts.slots.sessions.set(Some(sessions));
}

#[tokio::test]
async fn without_a_supervisor_of_sessions_a_trace_is_counted_and_its_permit_is_free() {
    let parts = parts(|_| ());
    start(&parts).await;
    let scope = unit(&parts);
    assert!(parts.slots.collector.call(CollectorMsg::Flush, PATIENCE).await.is_some());
    assert_eq!((stats(&parts).session_not_spawned, parts.core.permits.active()), (1, 0));
    // Its recorder is disarmed, and the work goes on.
    assert_eq!(scope.in_scope(|| 7), 7);
    assert_eq!((stats(&parts).started, stats(&parts).done), (1, 0));
}

#[tokio::test]
async fn a_dead_supervisor_of_sessions_costs_a_trace_its_session_and_nothing_else() {
    let parts = parts(|_| ());
    start_sessions(&parts).await;
    // It does not answer any more, but its slot still has it.
    parts.slots.sessions.get().unwrap().kill_and_wait(Some(PATIENCE)).await.unwrap();
    start(&parts).await;
    let scope = unit(&parts);
    assert!(parts.slots.collector.call(CollectorMsg::Flush, PATIENCE).await.is_some());
    assert_eq!((stats(&parts).session_not_spawned, parts.core.permits.active()), (1, 0));
    drop(scope);
}

#[tokio::test]
async fn a_full_inbox_refuses_the_trace_and_counts_it() {
    // Room for more traces than signals.
    let parts = parts(|limits| {
        limits.max_active_traces = 100_000;
        limits.max_capture_bytes = 1 << 30;
        limits.trace_buffer_size_bytes = 64 << 10;
    });
    let scopes: Vec<_> = std::iter::from_fn(|| Some(unit(&parts)).filter(Scope::is_sampled)).collect();
    assert_eq!((stats(&parts).inbox_full, stats(&parts).started), (1, scopes.len() as u64 + 1));
    assert_eq!(parts.core.permits.active(), scopes.len());
    // What never ran is settled by its own thread; the Collector only has to empty the inbox.
    drop(scopes);
    start(&parts).await;
    assert!(parts.slots.collector.call(CollectorMsg::Flush, PATIENCE).await.is_some());
    eventually("there is room again", || unit(&parts).is_sampled()).await;
    assert_eq!(stats(&parts).inbox_full, 1);
}

#[tokio::test]
async fn a_new_instance_follows_the_sessions_that_live() {
    let parts = parts(|_| ());
    start_sessions(&parts).await;
    let first = start(&parts).await;
    let scope = unit(&parts);
    assert!(parts.slots.collector.call(CollectorMsg::Flush, PATIENCE).await.is_some());
    first.kill_and_wait(Some(PATIENCE)).await.unwrap();
    start(&parts).await;
    scope.in_scope(|| ());
    assert!(parts.slots.collector.call(CollectorMsg::Flush, PATIENCE).await.is_some());
    assert_eq!((parts.traces.outbox.len(), parts.core.permits.active()), (1, 0));
}

#[tokio::test]
async fn at_the_shutdown_it_has_running_traces_cut_and_finished() {
    let parts = parts(|_| ());
    start_sessions(&parts).await;
    let collector = start(&parts).await;
    let mut scope = unit(&parts);
    scope.poll_with(&mut Context::from_waker(Waker::noop()), |_| ());
    assert!(parts.slots.collector.call(CollectorMsg::FinishAll, PATIENCE).await.is_some());
    assert_eq!((stats(&parts).truncated, parts.traces.outbox.len(), parts.core.permits.active()), (1, 1, 0));
    collector.drain_and_wait(Some(PATIENCE)).await.unwrap();
    drop(scope);
}
