//! What the configuration makes of error capture.

use std::sync::Arc;

use super::start::{at_least_one, spooling};
use super::{FlameOn, Inner};
use crate::actors::ship_queue::{QueueSettings, ShipQueue};
use crate::config::Config;
use crate::errors::core::{ErrorCore, ErrorCoreParts, LiveLimits};
use crate::errors::finish::Finisher;
use crate::errors::{logger, panic_hook};
use crate::model::counters::Counters;
use crate::model::error_event::EventOrigin;
use crate::model::in_app::InAppRules;
use crate::shipping::adapter::BoxedAdapter;
use crate::shipping::errors::{ErrorBatch, Finish, Finishing, QueuedError, QueuedErrors};
use crate::shipping::outbox::OutboxLimits;
use crate::shipping::trace::Origin;

/// What captures errors, and what ships them.
#[derive(Clone)]
pub(super) struct ErrorParts {
    pub(super) core: Arc<ErrorCore>,
    pub(super) queue: Arc<ShipQueue<QueuedErrors>>,
}

impl ErrorParts {
    /// `None` when errors are not captured.
    pub(super) fn new(
        config: &Config,
        counters: &Arc<Counters>,
        origin: &Arc<Origin>,
        adapter: BoxedAdapter<ErrorBatch>,
    ) -> Option<Self> {
        if !config.capture_errors() {
            return None;
        }
        let limits = live_limits(config);
        let finishing = Finishing::new(adapter, finish(config, counters.clone(), limits.clone()));
        let queue = ShipQueue::new(origin.clone(), BoxedAdapter::new(finishing), queue_settings(config)).with_bell();
        let queue = Arc::new(spooling(config, queue));
        let pushed = queue.clone();
        let core = ErrorCore::new(ErrorCoreParts {
            counters: counters.clone(),
            origin: EventOrigin {
                environment: config.environment().into(),
                service: config.service().into(),
                release: config.release().into(),
            },
            limits,
            captures_logs: config.logger_fallback(),
            queue: Box::new(move |event, backtrace| pushed.push(QueuedError::new(event, backtrace))),
        });
        Some(Self { core, queue })
    }

    /// Puts a new configuration into force, as far as a running agent can.
    pub(super) fn apply(&self, new: &Config) {
        self.core.limits.set(new.max_string_length(), new.max_breadcrumbs(), new.error_dedupe_window());
        self.queue.configure(queue_settings(new));
    }
}

/// Opens error capture, once the agent is up.
pub(super) fn begin(inner: &Arc<Inner>) {
    let Some(ErrorParts { core, .. }) = &inner.made.errors else { return };
    // Weak: the flush is a part of what it flushes.
    let agent = Arc::downgrade(inner);
    core.set_flush(Box::new(move |limit| {
        if let Some(inner) = agent.upgrade() {
            FlameOn(Some(inner)).flush_blocking(limit);
        }
    }));
    core.open();
    panic_hook::install();
    if core.captures_logs {
        logger::warn_without_bridge();
    }
}

fn live_limits(config: &Config) -> Arc<LiveLimits> {
    Arc::new(LiveLimits::new(config.max_string_length(), config.max_breadcrumbs(), config.error_dedupe_window()))
}

/// What is done to an event before it is shipped.
fn finish(config: &Config, counters: Arc<Counters>, limits: Arc<LiveLimits>) -> Finish {
    let finisher = Finisher {
        counters,
        limits,
        in_app: InAppRules { include: config.in_app_include().to_vec(), exclude: config.in_app_exclude().to_vec() },
        has_source: config.source_context(),
        before_send: config.hooks().before_send.clone(),
    };
    Arc::new(move |event, backtrace| finisher.finish(event, backtrace))
}

fn queue_settings(config: &Config) -> QueueSettings {
    QueueSettings {
        limits: OutboxLimits {
            items: at_least_one(config.max_error_buffer_size()),
            bytes: config.max_outbox_bytes(),
            batch: at_least_one(config.max_error_batch_size()),
        },
        flush_interval: config.error_flush_interval(),
        send_timeout: config.send_timeout(),
    }
}
