#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use super::*;
use crate::shipping::grpc::settings::TlsSettings;

/// Opens channels, but never a socket: channels connect when they are used.
fn connection() -> Connection {
    Connection::new(GrpcSettings {
        host: "127.0.0.1".into(),
        port: 1,
        api_key: None,
        use_ssl: false,
        connect_timeout: Duration::from_secs(5),
        send_timeout: Duration::from_secs(10),
        max_message_bytes: 4 << 20,
        tls: TlsSettings::default(),
    })
    .unwrap()
}

impl Connection {
    fn is_open(&self) -> bool {
        lock(&self.live).is_some()
    }

    /// A call that is answered at once.
    fn call_once(&self) {
        self.open_call().unwrap().is_sound = true;
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
    connection.call_once();
    pass(MAX_IDLE / 2).await;
    let mut call = connection.open_call().unwrap();
    assert!(call.is_reused);
    call.is_sound = true;
    drop(call);
    pass(MAX_IDLE - Duration::from_millis(1)).await;
    assert!(connection.is_open());
    pass(Duration::from_millis(1)).await;
    assert!(!connection.is_open());
    assert!(!connection.open_call().unwrap().is_reused);
}

#[tokio::test(start_paused = true)]
async fn a_channel_is_replaced_when_it_is_old_however_busy() {
    let connection = connection();
    connection.call_once();
    for _ in 1..60 {
        pass(MAX_AGE / 60).await;
        let mut call = connection.open_call().unwrap();
        assert!(call.is_reused);
        call.is_sound = true;
    }
    pass(MAX_AGE / 60).await;
    assert!(!connection.open_call().unwrap().is_reused);
}

#[tokio::test(start_paused = true)]
async fn an_open_call_keeps_its_channel() {
    let connection = connection();
    let mut call = connection.open_call().unwrap();
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
    let first = connection.open_call().unwrap();
    connection.close();
    pass(Duration::from_secs(1)).await;
    connection.call_once();
    drop(first);
    assert!(connection.is_open());
    drop(connection.open_call().unwrap());
    assert!(!connection.is_open());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_left_running_after_the_connection() {
    let connection = connection();
    connection.call_once();
    drop(connection);
    pass(MAX_AGE).await;
    assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), 0);
}
