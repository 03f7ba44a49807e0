use super::*;
use crate::actors::rig::{PATIENCE, parent, parts, stats, unit};
use crate::capture::routes::{CallMessage, CallStep};

async fn start(parts: &Arc<Parts>) -> ActorRef<SeqTraceRouterMsg> {
    let router = SeqTraceRouter::start_link(parts.clone(), parent().await).await.unwrap();
    parts.slots.router.set(Some(router.clone()));
    router
}

fn message(call: u32) -> CallMessage {
    CallMessage { call, step: CallStep::Send, raw: 1 }
}

async fn flush(parts: &Parts) {
    assert!(parts.slots.router.call(SeqTraceRouterMsg::Flush, PATIENCE).await.is_some());
}

#[tokio::test]
async fn a_message_reaches_the_trace_of_its_label_and_no_other_one_anything() {
    let parts = parts(|_| ());
    start(&parts).await;
    let (scope, routes) = (unit(&parts), &parts.core.routes);
    let trace = scope.shared().unwrap().clone();
    trace.register_route();
    assert!(routes.route(trace.label, message(7)) && routes.route(trace.label + 1_000_000, message(8)));
    flush(&parts).await;
    assert_eq!((trace.next_call(), trace.next_call()), (Some(message(7)), None));
    assert_eq!((stats(&parts).calls_routed, stats(&parts).calls_dropped), (1, 1));
    // Over, so its label is forgotten.
    trace.close();
    assert!(routes.route(trace.label, message(9)));
    flush(&parts).await;
    assert_eq!((trace.next_call(), stats(&parts).calls_dropped), (None, 2));
}

#[tokio::test]
async fn a_new_instance_delivers_what_its_predecessor_left() {
    let parts = parts(|_| ());
    start(&parts).await.kill_and_wait(Some(PATIENCE)).await.unwrap();
    let (scope, routes) = (unit(&parts), &parts.core.routes);
    let trace = scope.shared().unwrap().clone();
    trace.register_route();
    assert!(routes.route(trace.label, message(7)));
    start(&parts).await;
    flush(&parts).await;
    assert_eq!(trace.next_call(), Some(message(7)));
}

#[tokio::test]
async fn more_messages_than_a_trace_has_room_for_are_dropped_and_counted() {
    let parts = parts(|_| ());
    let (scope, routes) = (unit(&parts), &parts.core.routes);
    let trace = scope.shared().unwrap().clone();
    trace.register_route();
    let taken = (0..).take_while(|&call| routes.route(trace.label, message(call))).count();
    start(&parts).await;
    flush(&parts).await;
    let kept = std::iter::from_fn(|| trace.next_call()).count();
    let stats = stats(&parts);
    assert!(0 < kept && kept < taken, "{kept} of {taken}");
    assert_eq!((stats.calls_routed, stats.calls_dropped), (kept as u64, (taken - kept) as u64));
    assert!(routes.route(trace.label, message(0)), "there is room again");
}
