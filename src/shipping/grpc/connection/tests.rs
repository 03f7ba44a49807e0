#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use super::*;
use crate::model::config::Compression;
use crate::shipping::grpc::settings::{ProxySettings, TlsSettings};

/// Opens pipes whose other end is silent.
#[derive(Debug, Default)]
struct Pipes(Mutex<Vec<tokio::io::DuplexStream>>);

impl Dial for Pipes {
    fn dial(&self) -> Pin<Box<dyn Future<Output = Result<BoxStream, DialError>> + Send + '_>> {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        self.0.lock().unwrap().push(theirs);
        Box::pin(std::future::ready(Ok(BoxStream::new(ours))))
    }
}

fn connection() -> Connection {
    let settings = GrpcSettings {
        host: "127.0.0.1".into(),
        port: 1,
        socket: None,
        proxy: ProxySettings::default(),
        api_key: None,
        use_ssl: false,
        connect_timeout: Duration::from_secs(5),
        send_timeout: Duration::from_secs(10),
        max_message_bytes: 4 << 20,
        compression: Compression::None,
        tls: TlsSettings::default(),
    };
    Connection::with_dialer(settings, Arc::new(Pipes::default())).unwrap()
}

impl Connection {
    fn is_open(&self) -> bool {
        lock(&self.live).is_some()
    }

    /// A call that is answered at once.
    async fn call_once(&self) {
        self.open_call().await.unwrap().is_sound = true;
    }
}

/// Lets the task that closes the channel look at the new time.
async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
    for _ in 0..5 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_channel_is_used_again_until_it_has_been_idle_for_a_minute() {
    let connection = connection();
    assert!(!connection.is_open());
    connection.call_once().await;
    pass(MAX_IDLE / 2).await;
    let mut call = connection.open_call().await.unwrap();
    assert!(call.is_reused);
    call.is_sound = true;
    drop(call);
    pass(MAX_IDLE - Duration::from_millis(1)).await;
    assert!(connection.is_open());
    pass(Duration::from_millis(1)).await;
    assert!(!connection.is_open());
    assert!(!connection.open_call().await.unwrap().is_reused);
}

#[tokio::test(start_paused = true)]
async fn a_channel_is_replaced_when_it_is_old_however_busy() {
    let connection = connection();
    connection.call_once().await;
    for _ in 1..60 {
        pass(MAX_AGE / 60).await;
        let mut call = connection.open_call().await.unwrap();
        assert!(call.is_reused);
        call.is_sound = true;
    }
    pass(MAX_AGE / 60).await;
    assert!(!connection.open_call().await.unwrap().is_reused);
}

#[tokio::test(start_paused = true)]
async fn an_open_call_keeps_its_channel() {
    let connection = connection();
    let mut call = connection.open_call().await.unwrap();
    pass(MAX_IDLE * 3).await;
    assert!(connection.is_open());
    call.is_sound = true;
    drop(call);
    pass(MAX_IDLE * 2).await;
    assert!(!connection.is_open());
}

#[tokio::test(start_paused = true)]
async fn a_call_without_an_answer_gives_its_channel_up_but_not_a_later_one() {
    let connection = connection();
    let first = connection.open_call().await.unwrap();
    connection.close();
    pass(Duration::from_secs(1)).await;
    connection.call_once().await;
    drop(first);
    assert!(connection.is_open());
    drop(connection.open_call().await.unwrap());
    assert!(!connection.is_open());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_left_running_after_the_connection() {
    let connection = connection();
    connection.call_once().await;
    drop(connection);
    pass(MAX_AGE).await;
    assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), 0);
}
