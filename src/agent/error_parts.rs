//! What the configuration makes of error capture.

use std::sync::Arc;

use crate::config::Config;
use crate::errors::core::{ErrorCore, ErrorCoreParts, LiveLimits, Queue};
use crate::errors::finish::Finisher;
use crate::model::counters::Counters;
use crate::model::error_event::EventOrigin;
use crate::model::in_app::InAppRules;
use crate::shipping::errors::Finish;

/// What captures errors, and puts them into `queue`.
pub(super) fn core(config: &Config, counters: Arc<Counters>, queue: Queue) -> Arc<ErrorCore> {
    ErrorCore::new(ErrorCoreParts {
        counters,
        origin: EventOrigin {
            environment: config.environment().into(),
            service: config.service().into(),
            release: config.release().into(),
        },
        limits: LiveLimits::new(config.max_string_length(), config.max_breadcrumbs(), config.error_dedupe_window()),
        captures_logs: config.logger_fallback(),
        queue,
    })
}

/// Puts a new configuration into force.
pub(super) fn apply(core: &ErrorCore, new: &Config) {
    core.limits.set(new.max_string_length(), new.max_breadcrumbs(), new.error_dedupe_window());
}

/// What is done to an event before it is shipped.
pub(super) fn finish(config: &Config, core: Arc<ErrorCore>) -> Finish {
    let finisher = Finisher {
        core,
        in_app: InAppRules { include: config.in_app_include().to_vec(), exclude: config.in_app_exclude().to_vec() },
        has_source: config.source_context(),
        before_send: config.hooks().before_send.clone(),
    };
    Arc::new(move |event, backtrace| finisher.finish(event, backtrace))
}
