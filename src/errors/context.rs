//! What is known about the work at hand, so that every error in it can carry it.
//!
//! ```text
//! thread-local CURRENT ──► Slot of the task being polled          set by `enter`, for one poll
//!         or  OWN      ──► Slot of a thread without a runtime     lives as long as the thread
//!         or  nothing      on a runtime's thread outside any scope: a context here would be the next task's too
//! ```
//!
//! A slot is a task's; the lock in it is there for the type system. It is never waited for: where it is taken, the
//! taker is this thread itself (a closure given to [`configure_context`] that calls back), or a task whose pieces run
//! in several threads, and the change is left out and counted.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};

use serde::Serialize;

use super::core::{ErrorCore, is_any_capturing};
use crate::FlameOn;
use crate::model::counters::Count;
use crate::model::error_dedupe::{ErrorDedupe, ErrorKind};
use crate::model::error_event::{Breadcrumb, ErrorEvent, User};
use crate::model::graphemes;
use crate::model::ids::TraceId;
use crate::model::redact::json;
use crate::model::redact::keys::SecretKeys;
use crate::model::time::Nanos;

/// Tags and contexts that a context keeps, each; further keys are left out.
const MAX_ENTRIES: usize = 256;
/// The limits of a context that was made before any agent.
const DEFAULT_BREADCRUMBS: usize = 50;
const DEFAULT_STRING_LENGTH: usize = 2_000;

/// What every error of one task carries. Texts are kept up to about their limit in bytes, the latest `max_breadcrumbs`
/// breadcrumbs, and 256 tags and contexts.
#[derive(Debug, Clone)]
pub struct ErrorContext {
    pub(crate) user: Option<User>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) contexts: BTreeMap<String, String>,
    pub(crate) breadcrumbs: VecDeque<Breadcrumb>,
    max_breadcrumbs: usize,
    max_bytes: usize,
}

impl ErrorContext {
    fn new() -> Self {
        let agent = FlameOn::current();
        let limits = agent.errors().map(|core| &core.limits);
        Self {
            user: None,
            tags: BTreeMap::new(),
            contexts: BTreeMap::new(),
            breadcrumbs: VecDeque::new(),
            max_breadcrumbs: limits.map_or(DEFAULT_BREADCRUMBS, |limits| limits.max_breadcrumbs()),
            max_bytes: graphemes::max_bytes(limits.map_or(DEFAULT_STRING_LENGTH, |limits| limits.max_string_length())),
        }
    }

    /// An empty context with the limits of `core`.
    pub(crate) fn of(core: &ErrorCore) -> Self {
        Self {
            user: None,
            tags: BTreeMap::new(),
            contexts: BTreeMap::new(),
            breadcrumbs: VecDeque::new(),
            max_breadcrumbs: core.limits.max_breadcrumbs(),
            max_bytes: graphemes::max_bytes(core.limits.max_string_length()),
        }
    }

    /// Says for whom the work is done; `None` takes it back.
    pub fn set_user(&mut self, user: impl Into<Option<User>>) {
        self.user = user.into();
    }

    /// Sets a short fact to search by; the last value of a key counts.
    pub fn set_tag(&mut self, key: impl Into<String>, value: impl ToString) {
        let value = self.cut(value.to_string());
        insert(&mut self.tags, key.into(), value);
    }

    /// Sets a longer fact; the last value of a name counts. Anything but a scalar is kept as compact JSON, without the
    /// values of secret keys. `None` and `()` take the name out.
    pub fn set_context(&mut self, name: impl Into<String>, value: impl Serialize) {
        self.put_context(name.into(), json::render(&value, default_keys(), self.max_bytes));
    }

    fn put_context(&mut self, name: String, value: Option<String>) {
        match value {
            Some(value) => insert(&mut self.contexts, name, value),
            None => drop(self.contexts.remove(&name)),
        }
    }

    /// Adds something that happened; the latest `max_breadcrumbs` are kept.
    pub fn add_breadcrumb(&mut self, mut breadcrumb: Breadcrumb) {
        if self.max_breadcrumbs == 0 {
            return;
        }
        while self.breadcrumbs.len() >= self.max_breadcrumbs {
            self.breadcrumbs.pop_front();
        }
        for text in [&mut breadcrumb.category, &mut breadcrumb.message, &mut breadcrumb.kind] {
            cut_bytes(text, self.max_bytes);
        }
        breadcrumb.data.values_mut().for_each(|value| cut_bytes(value, self.max_bytes));
        self.breadcrumbs.push_back(breadcrumb);
    }

    /// Forgets all of it: user, tags, contexts and breadcrumbs. What the layer knows of the request stays.
    pub fn clear(&mut self) {
        self.user = None;
        self.tags.clear();
        self.contexts.clear();
        self.breadcrumbs.clear();
    }

    fn cut(&self, mut text: String) -> String {
        cut_bytes(&mut text, self.max_bytes);
        text
    }
}

/// A full map takes no further keys, but new values of those it has.
fn insert(map: &mut BTreeMap<String, String>, key: String, value: String) {
    if map.len() < MAX_ENTRIES || map.contains_key(&key) {
        map.insert(key, value);
    }
}

fn cut_bytes(text: &mut String, max: usize) {
    if text.len() > max {
        text.truncate(graphemes::first_bytes(text, max).len());
        text.shrink_to_fit();
    }
}

/// The keys that are secret in every event, split into words once.
pub(crate) fn default_keys() -> &'static SecretKeys {
    static KEYS: std::sync::LazyLock<SecretKeys> = std::sync::LazyLock::new(SecretKeys::default);
    &KEYS
}

/// What a reporter knows about the work, looked at only when there is an error to tell.
pub(crate) trait Surroundings: Send + Sync {
    /// Adds it to `event`: what the event says already counts more.
    fn describe(&self, event: &mut ErrorEvent);
}

/// The context of one task.
pub(crate) struct TaskContext {
    context: Mutex<ErrorContext>,
    dedupe: Mutex<ErrorDedupe>,
    surroundings: Option<Arc<dyn Surroundings>>,
    /// The trace of the task that this one was spawned from.
    trace_id: Option<TraceId>,
    /// A panic in this task has been told: what comes of it is not told again.
    has_panicked: AtomicBool,
}

/// See [`TaskContext`].
pub(crate) type Slot = Arc<TaskContext>;

impl TaskContext {
    /// An empty context, in which a reporter may know something.
    pub(crate) fn new(context: ErrorContext, surroundings: Option<Arc<dyn Surroundings>>) -> Slot {
        Self::with(context, surroundings, None)
    }

    fn with(context: ErrorContext, surroundings: Option<Arc<dyn Surroundings>>, trace_id: Option<TraceId>) -> Slot {
        Arc::new(Self {
            context: Mutex::new(context),
            dedupe: Mutex::new(ErrorDedupe::new()),
            surroundings,
            trace_id,
            has_panicked: AtomicBool::new(false),
        })
    }

    /// Runs `change` on the context, unless somebody has it already.
    fn configure(&self, change: impl FnOnce(&mut ErrorContext)) -> bool {
        match try_lock(&self.context) {
            Some(mut context) => {
                change(&mut context);
                true
            }
            None => false,
        }
    }

    /// Fills in what `event` does not say itself.
    pub(crate) fn describe(&self, event: &mut ErrorEvent, has_own_user: bool) {
        if let Some(context) = try_lock(&self.context) {
            if !has_own_user {
                event.user.clone_from(&context.user);
            }
            fill(&mut event.tags, &context.tags);
            fill(&mut event.contexts, &context.contexts);
            let own = std::mem::take(&mut event.breadcrumbs);
            event.breadcrumbs = context.breadcrumbs.iter().cloned().chain(own).collect();
        }
        if let Some(surroundings) = &self.surroundings {
            surroundings.describe(event);
        }
        event.trace_id = event.trace_id.or(self.trace_id);
    }

    /// See [`ErrorDedupe::is_duplicate`].
    pub(crate) fn is_duplicate(&self, kind: ErrorKind, now: Nanos, window: Nanos) -> bool {
        try_lock(&self.dedupe).is_some_and(|mut dedupe| dedupe.is_duplicate(kind, now, window))
    }

    /// The trace of the task that this one was spawned from.
    pub(crate) fn trace_id(&self) -> Option<TraceId> {
        self.trace_id
    }

    /// A panic in this task has been told.
    pub(crate) fn note_panic(&self) {
        self.has_panicked.store(true, Ordering::Relaxed);
    }

    /// Whether a panic in this task has been told.
    pub(crate) fn has_panicked(&self) -> bool {
        self.has_panicked.load(Ordering::Relaxed)
    }
}

fn fill(own: &mut BTreeMap<String, String>, stored: &BTreeMap<String, String>) {
    for (key, value) in stored {
        if !own.contains_key(key) {
            own.insert(key.clone(), value.clone());
        }
    }
}

fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

thread_local! {
    static CURRENT: RefCell<Option<Slot>> = const { RefCell::new(None) };
    static OWN: RefCell<Option<Slot>> = const { RefCell::new(None) };
}

/// The slot of the task that is polled here.
fn of_task() -> Option<Slot> {
    CURRENT.try_with(|current| current.try_borrow().ok()?.clone()).ok().flatten()
}

/// The slot that errors and changes here belong to. A thread without a runtime gets one of its own.
pub(crate) fn current() -> Option<Slot> {
    of_task().or_else(|| if is_on_runtime() { None } else { own() })
}

/// Whether this thread runs tasks: of a runtime's workers, of its blocking pool, or inside `block_on`.
fn is_on_runtime() -> bool {
    tokio::runtime::Handle::try_current().is_ok()
}

fn own() -> Option<Slot> {
    let known = OWN.try_with(|own| own.try_borrow().ok()?.clone()).ok()?;
    if known.is_some() {
        return known;
    }
    // Made outside of the borrow: it asks for the current agent.
    let slot = TaskContext::new(ErrorContext::new(), None);
    OWN.try_with(|own| own.try_borrow_mut().map(|mut own| *own = Some(slot.clone())).is_ok()).ok()?;
    Some(slot)
}

/// A new context that begins as a copy of the one here.
pub(crate) fn copied(trace_id: Option<TraceId>) -> Slot {
    let Some(slot) = current() else { return TaskContext::with(ErrorContext::new(), None, trace_id) };
    let context = try_lock(&slot.context).map_or_else(ErrorContext::new, |context| context.clone());
    TaskContext::with(context, slot.surroundings.clone(), trace_id.or(slot.trace_id))
}

/// A new, empty context.
pub(crate) fn empty() -> Slot {
    TaskContext::new(ErrorContext::new(), None)
}

/// Runs `f` with `slot` in force.
pub(crate) fn enter<R>(slot: &Slot, f: impl FnOnce() -> R) -> R {
    struct Restore(Option<Slot>);
    impl Drop for Restore {
        fn drop(&mut self) {
            replace(self.0.take());
        }
    }
    let _restore = Restore(replace(Some(slot.clone())));
    f()
}

fn replace(slot: Option<Slot>) -> Option<Slot> {
    let replace = |current: &RefCell<Option<Slot>>| {
        // `Err` cannot be: no borrow lasts longer than a clone.
        current.try_borrow_mut().ok().and_then(|mut current| std::mem::replace(&mut *current, slot))
    };
    CURRENT.try_with(replace).ok().flatten()
}

/// As [`configure`], without counting where there is no context.
#[cfg_attr(not(any(feature = "log", feature = "tracing")), allow(dead_code, reason = "its users are behind features"))]
pub(crate) fn configure_quietly(change: impl FnOnce(&mut ErrorContext)) {
    if is_any_capturing()
        && let Some(slot) = current()
    {
        slot.configure(change);
    }
}

/// Changes the context here; see [`configure_context`](super::api::configure_context).
pub(crate) fn configure(change: impl FnOnce(&mut ErrorContext)) {
    if !is_any_capturing() {
        return;
    }
    let is_done = current().is_some_and(|slot| slot.configure(change));
    if !is_done && let Some(core) = FlameOn::current().errors() {
        core.counters.count(Count::ErrorContextsIgnored);
    }
}
