use super::*;
use crate::actors::rig::{PATIENCE, eventually, parent, parts, stats, unit};
use crate::capture::scope::Scope;

async fn start(parts: &Arc<Parts>) -> ActorRef<SessionsMsg> {
    let sessions = TraceSessionSupervisor::start_link(parts.clone(), parent().await).await.unwrap();
    parts.slots.sessions.set(Some(sessions.clone()));
    sessions
}

fn traced(parts: &Parts) -> (Scope, Arc<SharedTrace>) {
    let scope = unit(parts);
    let trace = scope.shared().unwrap().clone();
    assert!(trace.take_up());
    (scope, trace)
}

#[tokio::test]
async fn it_knows_a_session_for_as_long_as_it_lives() {
    let parts = parts(|_| ());
    start(&parts).await;
    let (scope, trace) = traced(&parts);
    let session = parts.slots.sessions.call(|reply| SessionsMsg::Spawn(trace, reply), PATIENCE).await.unwrap();
    let live = parts.slots.sessions.call(SessionsMsg::List, PATIENCE).await.unwrap();
    assert_eq!(live.iter().map(|live| live.actor.get_id()).collect::<Vec<_>>(), [session.get_id()]);
    session.kill_and_wait(Some(PATIENCE)).await.unwrap();
    eventually("it is counted", || stats(&parts).session_crashed == 1).await;
    assert!(parts.slots.sessions.call(SessionsMsg::List, PATIENCE).await.unwrap().is_empty());
    assert_eq!(parts.core.permits.active(), 0);
    drop(scope);
}

#[tokio::test]
async fn a_session_that_nobody_waits_for_is_stopped() {
    let parts = parts(|_| ());
    let sessions = start(&parts).await;
    let (scope, trace) = traced(&parts);
    // As a Collector that gave up before the answer.
    let (reply, gave_up) = ractor::concurrency::oneshot();
    drop(gave_up);
    sessions.cast(SessionsMsg::Spawn(trace, reply.into())).unwrap();
    eventually("its permit is free", || parts.core.permits.active() == 0).await;
    eventually("it is forgotten", || stats(&parts).session_crashed == 1).await;
    assert_eq!(scope.in_scope(|| 7), 7);
}

#[tokio::test]
async fn its_end_is_the_end_of_its_sessions() {
    let parts = parts(|_| ());
    let sessions = start(&parts).await;
    let mut scopes = Vec::new();
    for _ in 0..3 {
        let (scope, trace) = traced(&parts);
        parts.slots.sessions.call(|reply| SessionsMsg::Spawn(trace, reply), PATIENCE).await.unwrap();
        scopes.push(scope);
    }
    sessions.kill();
    eventually("all are counted", || stats(&parts).session_ended_by_restart == 3).await;
    assert_eq!(parts.core.permits.active(), 0);
}
