use flame_on::ErrorContextExt;
use flame_on::testing::TestAgent;

#[tokio::test]
async fn an_error_in_a_traced_request_has_that_traces_id_and_both_arrive() {
    let agent = TestAgent::start().unwrap();
    let work = async {
        tokio::task::yield_now().await;
        flame_on::capture_message("inside", flame_on::Severity::Error);
        let child = async { flame_on::capture_message("spawned", flame_on::Severity::Error) };
        tokio::spawn(child.with_error_context()).await.unwrap();
    };
    agent.unit("shop.batch", || "nightly").run(work.with_new_error_context()).await;
    agent.capture(flame_on::Report::message("outside"));
    let (traces, errors) = (agent.traces().await, agent.errors().await);
    assert_eq!(traces.len(), 1);
    let told: Vec<_> = errors.iter().map(|event| (event.message.as_str(), event.trace_id)).collect();
    let id = Some(traces[0].id());
    assert_eq!(told, [("inside", id), ("spawned", id), ("outside", None)]);
}

#[tokio::test]
async fn two_agents_do_not_mix() {
    let (one, two) = (TestAgent::start().unwrap(), TestAgent::start().unwrap());
    for (agent, name) in [(&one, "one"), (&two, "two")] {
        agent
            .unit("a", || name)
            .run(async {
                tokio::task::yield_now().await;
                flame_on::capture_message(name, flame_on::Severity::Error);
            })
            .await;
    }
    let messages =
        |events: Vec<flame_on::ErrorEvent>| events.into_iter().map(|event| event.message).collect::<Vec<_>>();
    assert_eq!(messages(one.errors().await), ["one"]);
    assert_eq!(messages(two.errors().await), ["two"]);
}
