//! Who owns which time when spans of the real `tracing` go through the layer, by a clock that the test moves.

mod examples;
mod random;

use tracing_subscriber::layer::SubscriberExt as _;

use super::*;
use crate::capture::tests::rig::Own;

/// Runs `f` under a subscriber with the layer alone.
fn with_layer<R>(f: impl FnOnce() -> R) -> R {
    with(tracing_layer(), f)
}

fn with<R>(layer: TracingLayer, f: impl FnOnce() -> R) -> R {
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), f)
}

/// The paths without this module's name in front of each span's.
fn short(own: Own) -> Own {
    let cut = |path: String| {
        let names = path.split(';').map(|name| name.rsplit("::").next().unwrap_or(name));
        names.collect::<Vec<_>>().join(";")
    };
    own.into_iter().map(|(path, time)| (cut(path), time)).collect()
}
