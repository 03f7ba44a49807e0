//! The host's own rules about requests. A panic in one of them is not the request's.

use std::borrow::Cow;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::RequestInfo;
use crate::capture::core::CaptureCore;
use crate::model::counters::Count;

type Rule<T> = Arc<dyn Fn(&RequestInfo<'_>) -> T + Send + Sync>;

/// See [`FlameOnLayer`](super::FlameOnLayer) for what each of them does.
#[derive(Clone, Default)]
pub(super) struct Rules {
    pub(super) skip: Option<Rule<bool>>,
    pub(super) force: Option<Rule<bool>>,
    pub(super) route: Option<Rule<Option<String>>>,
}

/// What the rules say about tracing a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Skip,
    Trace,
    Undecided,
}

impl Rules {
    /// Asks `skip`, then `force`; neither while the agent is off.
    #[inline]
    pub(super) fn verdict(&self, core: &CaptureCore, info: &RequestInfo<'_>) -> Verdict {
        let has_rules = self.skip.is_some() || self.force.is_some();
        if has_rules && core.is_on() { self.ask_both(core, info) } else { Verdict::Undecided }
    }

    /// As [`Rules::route_of`], for an error's sake: a panic in the rule is then not counted.
    pub(super) fn quiet_route_of(&self, info: &RequestInfo<'_>) -> Option<String> {
        let ruled = || {
            let rule = self.route.as_ref()?;
            // Leaked, as in `ask`.
            catch_unwind(AssertUnwindSafe(|| rule(info))).map_err(std::mem::forget).ok().flatten()
        };
        info.matched_path().map(str::to_owned).or_else(ruled)
    }

    fn ask_both(&self, core: &CaptureCore, info: &RequestInfo<'_>) -> Verdict {
        if ask(core, self.skip.as_ref(), info) == Some(true) {
            Verdict::Skip
        } else if ask(core, self.force.as_ref(), info) == Some(true) {
            Verdict::Trace
        } else {
            Verdict::Undecided
        }
    }

    /// The route of a request: its matched path, else what the host's rule says.
    pub(super) fn route_of<'a>(&self, core: &CaptureCore, info: &RequestInfo<'a>) -> Option<Cow<'a, str>> {
        let matched = info.matched_path().map(Cow::Borrowed);
        matched.or_else(|| ask(core, self.route.as_ref(), info).flatten().map(Cow::Owned))
    }
}

/// The rule's answer; none without a rule, and when it panics.
fn ask<T>(core: &CaptureCore, rule: Option<&Rule<T>>, info: &RequestInfo<'_>) -> Option<T> {
    let rule = rule?;
    let asked = catch_unwind(AssertUnwindSafe(|| rule(info)));
    asked
        .map_err(|payload| {
            // Its own drop may panic too, so it is leaked: a few bytes, once a panic.
            std::mem::forget(payload);
            core.counters.count(Count::HandlerPanics);
        })
        .ok()
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules")
            .field("skip", &self.skip.is_some())
            .field("force", &self.force.is_some())
            .field("route", &self.route.is_some())
            .finish()
    }
}
