//! What a host may do that a sampler has to bear.

use std::ffi::CStr;
use std::io;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::time::Duration;

/// The processor's time that this thread has used.
#[must_use]
pub fn thread_cpu() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is valid during the call.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// How often another user's handler has run.
static FOREIGN: AtomicU64 = AtomicU64::new(0);
/// Whom it calls afterwards.
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// How often the handler of [`install_foreign`] has run.
#[must_use]
pub fn foreign_calls() -> u64 {
    FOREIGN.load(Relaxed)
}

/// Whether another user's handler passes on what is not its own, as it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manners {
    /// It calls who was there before, if that is a handler with a siginfo.
    Chains,
    /// It keeps everything.
    Eats,
}

/// What a process did with a signal.
#[derive(Clone, Copy)]
pub struct Disposition(libc::c_int, libc::sigaction);

impl std::fmt::Debug for Disposition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#x}", self.1.sa_sigaction)
    }
}

impl Disposition {
    /// The address of the handler.
    #[must_use]
    pub fn handler(&self) -> usize {
        self.1.sa_sigaction
    }

    /// At present.
    #[must_use]
    pub fn of(signal: libc::c_int) -> Self {
        let mut present = default_action();
        // SAFETY: the pointer is valid during the call; nothing is changed.
        unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut present) };
        Self(signal, present)
    }

    /// Puts it back.
    pub fn restore(self) {
        // SAFETY: it was in place before.
        unsafe { libc::sigaction(self.0, &raw const self.1, std::ptr::null_mut()) };
    }
}

fn default_action() -> libc::sigaction {
    // SAFETY: all zeroes is a value of this type of C.
    unsafe { std::mem::zeroed() }
}

/// Another user takes the signal. One at a time chains. Returns what was there.
pub fn install_foreign(signal: libc::c_int, manners: Manners) -> Disposition {
    let before = Disposition::of(signal);
    let mut action = default_action();
    action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART | libc::SA_ONSTACK;
    action.sa_sigaction = match manners {
        Manners::Eats => eats as *const () as usize,
        Manners::Chains => {
            NEXT.store(before.handler(), Relaxed);
            chains as *const () as usize
        }
    };
    // SAFETY: both handlers do only what is async-signal-safe: they count, and one calls a handler that was in place.
    unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) };
    before
}

extern "C" fn eats(_: libc::c_int, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
    FOREIGN.fetch_add(1, Relaxed);
}

extern "C" fn chains(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    FOREIGN.fetch_add(1, Relaxed);
    let next = NEXT.load(Relaxed);
    if next == libc::SIG_DFL || next == libc::SIG_IGN {
        return;
    }
    // SAFETY: the address of a handler that was in place; all in these tests take a siginfo.
    let next: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) =
        unsafe { std::mem::transmute(next) };
    next(signal, info, context);
}

/// Takes the signal's default action back.
pub fn reset(signal: libc::c_int) {
    Disposition(signal, default_action()).restore();
}

/// Sends `signal` to the calling thread.
pub fn raise(signal: libc::c_int) {
    // SAFETY: takes a number.
    unsafe { libc::raise(signal) };
}

/// Blocks or unblocks `signal` in the calling thread.
pub fn block(signal: libc::c_int, is_blocked: bool) {
    let how = if is_blocked { libc::SIG_BLOCK } else { libc::SIG_UNBLOCK };
    // SAFETY: `set` is initialised by the first call, and valid during the others.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, signal);
        libc::pthread_sigmask(how, &raw const set, std::ptr::null_mut());
    }
}

/// Lets the kernel send SIGPROF to the process while it uses the processor; zero ends it.
pub fn profile_every(period: Duration) {
    unsafe extern "C" {
        fn setitimer(which: libc::c_int, new: *const libc::itimerval, old: *mut libc::itimerval) -> libc::c_int;
    }
    let value = libc::timeval { tv_sec: 0, tv_usec: i64::from(period.subsec_micros()) };
    let timer = libc::itimerval { it_interval: value, it_value: value };
    // SAFETY: the pointer is valid during the call.
    unsafe { setitimer(libc::ITIMER_PROF, &raw const timer, std::ptr::null_mut()) };
}

/// Sends the calling thread `signal` once a `period`, a second at most, until it is dropped.
#[derive(Debug)]
pub struct Ticking(libc::timer_t);

impl Ticking {
    /// From now on.
    ///
    /// # Errors
    /// When the kernel gives no timer.
    pub fn every(signal: libc::c_int, period: Duration) -> io::Result<Self> {
        // SAFETY: all zeroes is a value of this type of C.
        let mut event: libc::sigevent = unsafe { std::mem::zeroed() };
        event.sigev_notify = libc::SIGEV_THREAD_ID;
        event.sigev_signo = signal;
        let period = libc::timespec { tv_sec: 0, tv_nsec: period.subsec_nanos().into() };
        let value = libc::itimerspec { it_interval: period, it_value: period };
        let mut timer: libc::timer_t = std::ptr::null_mut();
        // SAFETY: the pointers are valid during the calls, and the timer is there when it is set.
        let result = unsafe {
            event.sigev_notify_thread_id = libc::gettid();
            match libc::timer_create(libc::CLOCK_MONOTONIC, &raw mut event, &raw mut timer) {
                0 => libc::timer_settime(timer, 0, &raw const value, std::ptr::null_mut()),
                error => error,
            }
        };
        if result == 0 { Ok(Self(timer)) } else { Err(io::Error::last_os_error()) }
    }
}

impl Drop for Ticking {
    fn drop(&mut self) {
        // SAFETY: it was made by `every`, and nobody else deletes it.
        unsafe { libc::timer_delete(self.0) };
    }
}

/// Lets the kernel give this process no more timers.
pub fn forbid_timers() {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is valid during the call.
    unsafe { libc::setrlimit(libc::RLIMIT_SIGPENDING, &raw const none) };
}

/// Runs `work` in a handler on an alternate stack of the usual size: 8 KiB on x86_64, 16 KiB on aarch64, more where the
/// kernel asks for more.
///
/// # Errors
/// When the kernel takes no such stack.
pub fn on_alternate_stack(work: &mut dyn FnMut()) -> io::Result<()> {
    // Beside the sampler's signals and std's.
    const SIGNAL: libc::c_int = libc::SIGWINCH;
    let mut memory = vec![0u8; libc::SIGSTKSZ.max(minimal_stack())];
    let stack = libc::stack_t { ss_sp: memory.as_mut_ptr().cast(), ss_flags: 0, ss_size: memory.len() };
    let mut before = libc::stack_t { ss_sp: std::ptr::null_mut(), ss_flags: 0, ss_size: 0 };
    // SAFETY: the memory outlives its use: the stack from before is put back below.
    if unsafe { libc::sigaltstack(&raw const stack, &raw mut before) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let mut work = work;
    WORK.set(Some((&raw mut work).cast()));
    let mut action = default_action();
    action.sa_flags = libc::SA_ONSTACK;
    action.sa_sigaction = run_work as *const () as usize;
    // SAFETY: the handler runs in this thread and at a known place, in `raise`: nothing is interrupted in it. All
    // pointers are valid during the calls.
    unsafe {
        libc::sigaction(SIGNAL, &raw const action, std::ptr::null_mut());
        libc::raise(SIGNAL);
        libc::sigaltstack(&raw const before, std::ptr::null_mut());
    }
    WORK.set(None);
    Ok(())
}

fn minimal_stack() -> usize {
    // SAFETY: takes a number.
    let minimum = unsafe { libc::getauxval(libc::AT_MINSIGSTKSZ) };
    // Room for a second signal, which the sampler's is.
    usize::try_from(minimum).unwrap_or(0) * 2 + 4_096
}

thread_local! {
    static WORK: std::cell::Cell<Option<*mut &'static mut dyn FnMut()>> = const { std::cell::Cell::new(None) };
}

extern "C" fn run_work(_: libc::c_int) {
    if let Some(work) = WORK.get() {
        // SAFETY: `on_alternate_stack` has put it there, and waits for this call.
        unsafe { (*work)() };
    }
}

/// A shared object with one function without arguments or result.
#[derive(Debug)]
pub struct Library(*mut libc::c_void);

impl Library {
    /// Loads the file at `path`.
    #[must_use]
    pub fn open(path: &CStr) -> Option<Self> {
        // SAFETY: a string; the file's initialisers are those of a test.
        let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        (!handle.is_null()).then_some(Self(handle))
    }

    /// Calls a function of C of the type `void (void)`; false when there is none.
    #[must_use]
    pub fn call(&self, name: &CStr) -> bool {
        let Some(address) = self.address(name) else { return false };
        // SAFETY: the test's own object has a function of this type under the name.
        let function: extern "C" fn() = unsafe { std::mem::transmute(address) };
        function();
        true
    }

    /// Has a function of C of the type `void (void (*)(void))` call `back`; false when there is none.
    #[must_use]
    pub fn call_back(&self, name: &CStr, back: extern "C" fn()) -> bool {
        let Some(address) = self.address(name) else { return false };
        // SAFETY: the test's own object has a function of this type under the name.
        let function: extern "C" fn(extern "C" fn()) = unsafe { std::mem::transmute(address) };
        function(back);
        true
    }

    /// Where it has the function.
    #[must_use]
    pub fn address(&self, name: &CStr) -> Option<*mut ()> {
        // SAFETY: the handle is open.
        let address = unsafe { libc::dlsym(self.0, name.as_ptr()) };
        (!address.is_null()).then_some(address.cast())
    }
}

impl Drop for Library {
    fn drop(&mut self) {
        // SAFETY: opened once, closed once, and nothing of it runs.
        unsafe { libc::dlclose(self.0) };
    }
}

/// Forks; the child runs `work` and ends with 0 if that says true. It may do only what is async-signal-safe.
///
/// # Errors
/// When there is no fork, or the child ends otherwise.
pub fn in_child(work: fn() -> bool) -> io::Result<bool> {
    crate::capture::native::fork::testing::fork_and_check(work)
}
