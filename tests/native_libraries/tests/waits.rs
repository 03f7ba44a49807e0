//! Where large libraries wait, by the functions of those who call them: reqwest and sqlx.

use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use flame_on::testing::TestAgent;
use flame_on::{NativeCapture, Trace};

static AGENT: LazyLock<Mutex<TestAgent>> =
    LazyLock::new(|| Mutex::new(TestAgent::with(|config| config.native_capture(NativeCapture::On)).unwrap()));

fn trace<F: Future<Output = ()> + Send + 'static>(work: F) -> Trace {
    let agent = AGENT.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let scope = agent.unit("test", || "one");
    runtime.block_on(async { tokio::spawn(scope.run(work)).await.unwrap() });
    let ended = Instant::now();
    loop {
        // The symbols of a program that is not optimised can take long to read.
        if let Some(trace) = agent.traces_blocking().pop() {
            return trace;
        }
        assert!(ended.elapsed() < Duration::from_secs(180), "{:#?}", agent.stats());
    }
}

/// The longest wait, without the root and the name of this program.
fn longest_wait(trace: &Trace) -> String {
    let waits = trace.paths().filter(|(path, _)| path.contains("SLEEP") && !path.contains("QUEUE"));
    let (path, _) = waits.max_by_key(|(_, time)| *time).unwrap();
    path.split_once(';').unwrap().1.replace("waits::", "")
}

async fn serve() -> String {
    let handler = || async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        "done"
    };
    let app = axum::Router::new().route("/", axum::routing::get(handler));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}

async fn fetches() {
    let url = serve().await;
    fetch_page(&url).await;
}

async fn fetch_page(url: &str) {
    let page = reqwest::get(url).await.unwrap().text().await.unwrap();
    assert_eq!(page, "done");
}

#[test]
fn a_request_with_reqwest() {
    let trace = trace(fetches());
    let wait = longest_wait(&trace);
    assert!(wait.starts_with("fetches;fetch_page;"), "{wait}: {:#?}", trace.paths().collect::<Vec<_>>());
}

async fn queries() {
    let pool = sqlx::SqlitePool::connect("sqlite::memory:").await.unwrap();
    count_numbers(&pool).await;
}

async fn count_numbers(pool: &sqlx::SqlitePool) {
    let query = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 2000000) select count(*) from n";
    let count: i64 = sqlx::query_scalar(query).fetch_one(pool).await.unwrap();
    assert_eq!(count, 2_000_000);
}

#[test]
fn a_query_with_sqlx() {
    let trace = trace(queries());
    let wait = longest_wait(&trace);
    assert!(wait.starts_with("queries;count_numbers;"), "{wait}: {:#?}", trace.paths().collect::<Vec<_>>());
}
