//! Panics in a spawned task; its panics abort. The first argument is where errors go, or `stuck`.

use flame_on::{Config, ErrorBatch, ErrorContextExt, FlameOn, ShipContext, ShipError, ShipperAdapter, User};

/// Blocks its thread for ever.
struct Stuck;

impl ShipperAdapter<ErrorBatch> for Stuck {
    async fn ship(&self, _: &ErrorBatch, _: &ShipContext) -> Result<(), ShipError> {
        loop {
            std::thread::park();
        }
    }
}

fn main() {
    let target = std::env::args().nth(1).expect("a folder, or `stuck`");
    let config = Config::builder().ignore_env().capture_errors(true);
    let config = if target == "stuck" { config.error_shipper(Stuck) } else { config.local_dir(target) };
    let flame_on = FlameOn::start(config.build().expect("a configuration")).expect("an agent");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    let work = async {
        flame_on::set_user(User::id("7"));
        tokio::task::yield_now().await;
        panic!("the last words, token=secret");
    };
    runtime.block_on(async { runtime.spawn(work.with_new_error_context()).await }).ok();
    drop(flame_on);
    println!("survived");
}
