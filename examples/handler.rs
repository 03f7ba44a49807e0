//! An own handler with fall-through, suppression and an own metadata type; a closure as handler.
use std::time::Duration;

use flame_on::{Capture, Config, Decision, EventHandler, FlameOn, Metadata, StartEvent, metadata};

// Neither Send, Sync nor Clone is needed: it is only lent to the handler.
struct Import<'s> {
    tenant: std::rc::Rc<str>,
    files: std::cell::Cell<u32>,
    _source: std::marker::PhantomData<&'s ()>,
}

struct Shop {
    noisy: Vec<&'static str>,
}
impl EventHandler for Shop {
    fn handle(&self, event: &StartEvent<'_>) -> Decision {
        match event.name() {
            "axum.request.start" if event.str("route").is_some_and(|r| self.noisy.contains(&r)) => Decision::Skip,
            "shop.import.start" => match event.typed::<Import<'static>>() {
                Some(i) if i.files.get() > 0 => {
                    Capture::new("shop.import", &*i.tenant).threshold(Duration::from_secs(2)).into()
                }
                _ => Decision::Skip,
            },
            _ => Decision::Next,
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let flame_on =
        FlameOn::start(
            Config::builder()
                .ignore_env()
                .local_dir(dir.path())
                .capture(true)
                .sample_rate(1.0)
                .handler(Shop { noisy: vec!["/health"] })
                .handler(|event: &StartEvent<'_>| {
                    if event.name() == "cron.start" { Capture::new("cron", "tick").into() } else { Decision::Next }
                })
                .handler_fn(|event| event.str("kind").map_or(Decision::Next, |kind| Capture::new("kind", kind).into()))
                .build()?,
        )?;
    let import = Import { tenant: "acme".into(), files: 3.into(), _source: std::marker::PhantomData };
    let scope = flame_on.event("shop.import.start", || Metadata::typed(&import));
    assert!(scope.is_sampled());
    scope.in_scope(|| ());
    assert!(
        !flame_on.event("axum.request.start", || metadata! { "method" => "GET", "route" => "/health" }).is_sampled()
    );
    assert!(
        flame_on.event("axum.request.start", || metadata! { "method" => "GET", "route" => "/users/{id}" }).is_sampled()
    );
    assert!(flame_on.event("other", || metadata! { "kind" => String::from("k") }).is_sampled());
    Ok(())
}
