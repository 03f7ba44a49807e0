//! Which agent the free functions mean.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::{FlameOn, Inner};
use crate::capture::current::current_agent;

/// The agents of this process, the process default first.
static AGENTS: Mutex<Agents> = Mutex::new(Agents { default: None, all: Vec::new() });

thread_local! {
    static ENTERED: RefCell<Vec<FlameOn>> = const { RefCell::new(Vec::new()) };
}

struct Agents {
    default: Option<Weak<Inner>>,
    all: Vec<(u64, Weak<Inner>)>,
}

/// Makes an agent known; the first that may be the process default becomes it, until it is gone.
pub(super) fn register(agent: &Arc<Inner>, may_be_default: bool) {
    let mut agents = AGENTS.lock().unwrap_or_else(PoisonError::into_inner);
    agents.all.retain(|(_, known)| known.strong_count() > 0);
    agents.all.push((agent.made.core.agent, Arc::downgrade(agent)));
    if may_be_default && agents.default.as_ref().is_none_or(|known| !is_alive(known)) {
        agents.default = Some(Arc::downgrade(agent));
    }
}

fn is_alive(agent: &Weak<Inner>) -> bool {
    agent.upgrade().is_some_and(|agent| !agent.lines.is_closed())
}

pub(super) fn current() -> FlameOn {
    let tracing = current_agent();
    let entered = || ENTERED.try_with(|entered| entered.borrow().last().cloned()).ok().flatten();
    if tracing.is_none()
        && let Some(agent) = entered()
    {
        return agent;
    }
    let agents = AGENTS.lock().unwrap_or_else(PoisonError::into_inner);
    let found = match tracing {
        Some(id) => agents.all.iter().find(|(agent, _)| *agent == id).and_then(|(_, agent)| agent.upgrade()),
        None => agents.default.as_ref().and_then(Weak::upgrade),
    };
    FlameOn(found)
}

pub(super) fn enter<R>(agent: &FlameOn, f: impl FnOnce() -> R) -> R {
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            // `Err` only while the thread is torn down.
            ENTERED.try_with(|entered| drop(entered.borrow_mut().pop())).ok();
        }
    }
    let is_entered = ENTERED.try_with(|entered| entered.borrow_mut().push(agent.clone())).is_ok();
    let _leave = is_entered.then_some(Leave);
    f()
}
