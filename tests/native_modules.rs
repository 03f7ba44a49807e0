//! Libraries that are loaded and unloaded while traces run: their functions are known, and never by another's name.

#![cfg(all(native_capture, feature = "testing"))]
#![allow(clippy::unwrap_used, reason = "tests")]

use std::cell::RefCell;
use std::ffi::{CStr, CString};
use std::path::Path;
use std::pin::Pin;
use std::process::Command;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use flame_on::__sampler::host::Library;
use flame_on::NativeCapture;
use flame_on::testing::TestAgent;

/// In the address space, of a library's size.
const MOST_GAPS: u32 = 200;
/// Until another thread's memory does not come between.
const ATTEMPTS: u32 = 20;
/// Ends a test that waits for what never comes.
const LIMIT: Duration = Duration::from_secs(180);

thread_local! {
    /// The waker of the poll that runs, and what a leaf keeps of it.
    static WAKER: RefCell<Option<Waker>> = const { RefCell::new(None) };
    static KEPT: RefCell<Option<Waker>> = const { RefCell::new(None) };
}

/// What the library calls: a leaf that is about to wait.
extern "C" fn waits() {
    KEPT.set(WAKER.with_borrow(Clone::clone));
}

/// Waits once, in a function of the library.
struct CallsLibrary<'a> {
    library: &'a Library,
    function: &'a CStr,
    has_waited: bool,
}

impl Future for CallsLibrary<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.has_waited, true) {
            return Poll::Ready(());
        }
        // A waker of the poll's own, so that the library's clone of it is the site.
        WAKER.set(Some(cx.waker().clone()));
        assert!(self.library.call_back(self.function, waits));
        WAKER.take();
        Poll::Pending
    }
}

/// The paths of one trace that waits in `function` of `library`.
fn paths(agent: &TestAgent, library: &Library, function: &CStr) -> Vec<String> {
    let work = CallsLibrary { library, function, has_waited: false };
    let mut work = Box::pin(agent.unit("test", || "one").run(work));
    let mut poll = || work.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(poll().is_pending());
    std::thread::sleep(Duration::from_millis(5));
    KEPT.take().unwrap().wake();
    assert!(poll().is_ready());
    drop(work);
    let ended = Instant::now();
    let trace = loop {
        // The symbols of a program that is not optimised can take long to read.
        if let Some(trace) = agent.traces_blocking().pop() {
            break trace;
        }
        assert!(ended.elapsed() < LIMIT, "{:#?}", agent.stats());
    };
    trace.paths().map(|(path, _)| path.to_owned()).collect()
}

/// A library at `path` whose function has the name `function`, and is one of several so that the code differs.
fn build(path: &Path, function: &str) {
    let source = path.with_extension("c");
    let code = format!(
        "void {function}(void (*back)(void)) {{ volatile int before = 1; back(); volatile int after = before; (void)after; }}\n"
    );
    std::fs::write(&source, code).unwrap();
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let arguments = ["-shared", "-fPIC", "-O0", "-g0", "-Wl,--build-id", "-o"];
    assert!(Command::new(compiler).args(arguments).arg(path).arg(&source).status().unwrap().success());
}

/// Until a trace has `name` in its paths.
#[track_caller]
fn is_found(agent: &TestAgent, library: &Library, name: &str) {
    let (function, begun) = (CString::new(name).unwrap(), Instant::now());
    loop {
        let paths = paths(agent, library, &function);
        if paths.iter().any(|path| path.contains(name)) {
            return;
        }
        assert!(begun.elapsed() < LIMIT, "{paths:#?}");
    }
}

/// Loads the file at `second` into the place that the one at `first` had before; `None` where something else has come there.
fn replaced(agent: &TestAgent, first: &Path, second: &Path) -> Option<Library> {
    let library = open(first);
    let place = library.address(c"waits_in_alpha");
    is_found(agent, &library, "waits_in_alpha");
    drop(library);
    // Gaps above the place are filled first.
    let mut others = Vec::new();
    (0..MOST_GAPS).find_map(|number| {
        let copy = second.with_extension(number.to_string());
        std::fs::copy(second, &copy).unwrap();
        let library = open(&copy);
        if library.address(c"waits_in_omega") == place {
            return Some(library);
        }
        others.push(library);
        None
    })
}

fn open(path: &Path) -> Library {
    Library::open(&CString::new(path.to_str().unwrap()).unwrap()).unwrap()
}

#[test]
fn a_library_that_comes_into_the_place_of_another_has_its_own_functions() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first.so"), folder.path().join("second.so"));
    build(&first, "waits_in_alpha");
    build(&second, "waits_in_omega");
    // Without samples, and with all frames: the library is nobody's own code.
    let agent =
        TestAgent::with(|config| config.native_capture(NativeCapture::On).cpu_sample_hz(0).raw_stacks(true)).unwrap();
    let library = (0..ATTEMPTS).find_map(|_| replaced(&agent, &first, &second)).unwrap();
    is_found(&agent, &library, "waits_in_omega");
    let paths = paths(&agent, &library, c"waits_in_omega");
    assert!(paths.iter().all(|path| !path.contains("alpha")), "{paths:#?}");
}
