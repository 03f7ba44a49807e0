//! Which agent the free functions mean.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError, TryLockError, Weak};

use super::{FlameOn, Inner};
use crate::capture::current::current_agent;

/// The agents of this process, the process default first.
static AGENTS: Mutex<Agents> = Mutex::new(Agents { default: None, all: Vec::new() });

/// How often the lock is tried before a panic goes unreported: it is held for a look-up.
const LOCK_TRIES: usize = 1_000;

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
    of_thread().unwrap_or_else(|tracing| known(&AGENTS.lock().unwrap_or_else(PoisonError::into_inner), tracing))
}

/// As [`current`], for a thread that panics, perhaps while it holds the lock: then there is none.
pub(super) fn current_in_panic() -> FlameOn {
    of_thread().unwrap_or_else(|tracing| {
        for _ in 0..LOCK_TRIES {
            match AGENTS.try_lock() {
                Ok(agents) => return known(&agents, tracing),
                Err(TryLockError::Poisoned(poisoned)) => return known(&poisoned.into_inner(), tracing),
                Err(TryLockError::WouldBlock) => std::thread::yield_now(),
            }
        }
        FlameOn(None)
    })
}

/// The agent that this thread says; else the one whose trace runs here has to be looked up.
fn of_thread() -> Result<FlameOn, Option<u64>> {
    let tracing = current_agent();
    let entered = ENTERED.try_with(|entered| entered.try_borrow().ok()?.last().cloned()).ok().flatten();
    match (entered, tracing) {
        (Some(agent), None) => Ok(agent),
        // The usual case of a traced request, without the lock.
        (Some(agent), Some(id)) if agent.core().is_some_and(|core| core.agent == id) => Ok(agent),
        (_, tracing) => Err(tracing),
    }
}

fn known(agents: &Agents, tracing: Option<u64>) -> FlameOn {
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
            let left = ENTERED.try_with(|entered| entered.try_borrow_mut().ok()?.pop()).ok();
            // Outside of the borrow: it may be the last handle, whose drop runs the host's code.
            drop(left);
        }
    }
    let push = |entered: &RefCell<Vec<FlameOn>>| {
        entered.try_borrow_mut().map(|mut entered| entered.push(agent.clone())).is_ok()
    };
    let is_entered = ENTERED.try_with(push).unwrap_or(false);
    let _leave = is_entered.then_some(Leave);
    f()
}
