use std::convert::Infallible;

use apalis_core::backend::TaskSink;
use apalis_core::backend::memory::MemoryStorage;
use apalis_core::task::Task;
use apalis_core::worker::builder::WorkerBuilder;
use apalis_core::worker::context::WorkerContext;
use flame_on::testing::TestAgent;
use flame_on::{ErrorEvent, Job, SocketEvent, User};

async fn only(agent: &TestAgent) -> ErrorEvent {
    let mut events = agent.errors().await;
    assert_eq!(events.len(), 1, "{events:#?}");
    events.remove(0)
}

fn job() -> Job {
    Job::new("shop.SendEmail").queue("mail").id(7).attempt(2).max_attempts(5)
}

#[tokio::test]
async fn a_failed_job_is_told_with_what_it_was_and_its_result_goes_on() {
    let agent = TestAgent::start().unwrap();
    let args = serde_json::json!({"to": "a@b", "password": "hunter2"});
    let reporter = agent.job(job().args(&args));
    let work = async {
        flame_on::set_user(User::id("7"));
        tokio::task::yield_now().await;
        Err::<(), _>(std::io::Error::other("no mail server"))
    };
    let result = agent.unit("shop.job", || "SendEmail").run(reporter.run(work)).await;
    assert_eq!(result.unwrap_err().to_string(), "no mail server");
    let event = only(&agent).await;
    assert_eq!((event.route.as_str(), event.handled, event.message.as_str()), ("oban.job", false, "no mail server"));
    let contexts: Vec<_> = event.contexts.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(
        contexts,
        [
            r#"args={"password":"[REDACTED]","to":"a@b"}"#,
            "attempt=2",
            "job_id=7",
            "max_attempts=5",
            "queue=mail",
            "worker=shop.SendEmail"
        ]
    );
    assert_eq!(event.user, Some(User::id("7")));
    assert_eq!(event.trace_id, Some(agent.traces().await[0].id()));
}

#[tokio::test]
async fn args_are_shown_only_when_they_are_given() {
    let agent = TestAgent::start().unwrap();
    agent.job(job()).in_scope(|| Err::<(), _>("no mail server")).unwrap_err();
    assert!(!only(&agent).await.contexts.contains_key("args"));
    agent.job(job()).run(async { Ok::<_, Infallible>(7) }).await.unwrap();
    assert!(agent.errors().await.is_empty());
}

#[tokio::test]
async fn an_apalis_worker_tells_its_failures() {
    let agent = TestAgent::start().unwrap();
    async fn send_email(job: u32, worker: WorkerContext) -> Result<(), std::io::Error> {
        flame_on::set_tag("job", job);
        worker.stop().ok();
        Err(std::io::Error::other("no mail server"))
    }
    let mut storage = MemoryStorage::new();
    storage.push(24_u32).await.unwrap();
    let describe = |task: &Task<u32>| Job::apalis("send_email").args(&task.args);
    let worker = WorkerBuilder::new("mail")
        .backend(storage)
        .layer(agent.unit_layer("apalis.job", |_: &Task<u32>| "send_email"))
        .layer(agent.job_layer(describe))
        .build(send_email);
    // Its end may be the job's error.
    worker.run().await.ok();
    let event = only(&agent).await;
    assert_eq!((event.route.as_str(), event.contexts["worker"].as_str()), ("apalis.job", "send_email"));
    assert_eq!((event.contexts["args"].as_str(), event.tags["job"].as_str()), ("24", "24"));
    assert!(event.message.contains("no mail server"), "{}", event.message);
    let traces = agent.traces().await;
    assert_eq!(event.trace_id, Some(traces[0].id()), "the layers are in this order: {traces:?}");
}

#[tokio::test]
async fn a_unit_layer_opens_a_context() {
    use tower::{Layer as _, ServiceExt as _, service_fn};
    let agent = TestAgent::start().unwrap();
    let service = service_fn(|user: &'static str| async move {
        flame_on::set_user(User::id(user));
        tokio::task::yield_now().await;
        flame_on::capture_message("inside", flame_on::Severity::Error);
        Ok::<_, Infallible>(())
    });
    agent.unit_layer("shop.job", |_: &&str| "a").layer(service).oneshot("7").await.unwrap();
    let event = only(&agent).await;
    assert_eq!((event.route.as_str(), event.user), ("shop.job", Some(User::id("7"))));
}

#[tokio::test]
async fn a_failed_socket_event_is_told_with_view_event_and_user() {
    let agent = TestAgent::start().unwrap();
    let event = SocketEvent::new("CartView", "add").user(User::id("7"));
    let result = agent.socket_event(event).run(async { Err::<(), _>("sold out") }).await;
    assert_eq!(result, Err("sold out"));
    let event = only(&agent).await;
    assert_eq!((event.route.as_str(), event.message.as_str(), event.handled), ("live_view.event", "sold out", false));
    assert_eq!((event.contexts["view"].as_str(), event.contexts["event"].as_str()), ("CartView", "add"));
    assert_eq!(event.user, Some(User::id("7")));
}
