//! The table of all keys. Everything about a key follows from its entry: the field of `Settings` and of `Limits`, the
//! setter and the getter, its environment variable, its checks, what a reload does with it, and its line in
//! `docs/configuration.md`.
//!
//! ```text
//! /// What it means, and what happens at the limit.
//! key_in_files => name_in_code: Kind { default, min, max }, live or restart;
//! ```
//!
//! Numbers are in the unit of the key in files; in code a span of time is a `Duration`, hence the second name. `live`
//! keys are applied by a reload, `restart` keys are only named by it. Upper bounds without a reason beside them are
//! far beyond sense: they are there to catch a wrong unit.

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;
const TIB: u64 = 1024 * GIB;

/// Runs the macro `$consumer` on the table.
macro_rules! with_keys {
    ($consumer:ident) => {
        $consumer! {
            /// Whether traces are captured. Off, the agent starts no part of its tree that captures.
            capture => capture: Switch { default: false }, restart;
            /// Whether errors are captured.
            capture_errors => capture_errors: Switch { default: false }, restart;
            /// Whether the log records of level error are captured as errors.
            logger_fallback => logger_fallback: Switch { default: false }, restart;

            /// The secret that the server knows the service by. Without it requests carry no authorization header;
            /// without it and `server_url`, traces and errors go to `local_dir`.
            #[serde(skip_serializing)]
            api_key => api_key: ApiKey {}, restart;
            /// The server's host, with an optional port (50051). A scheme is accepted and dropped: `use_ssl` decides.
            server_url => server_url: Address { default: "flameon.ai" }, restart;
            /// Whether the connection uses TLS.
            use_ssl => use_ssl: Switch { default: true }, restart;

            /// The service's name, in every profile and error event.
            service => service: Text { default: "unknown" }, restart;
            /// Where the service runs (`production`, `staging`, …), in every profile and error event.
            environment => environment: Text { default: "production" }, restart;
            /// The service's version, in every profile and error event.
            release => release: Text { default: "unknown" }, restart;

            /// The share of requests, jobs and other units of work that are traced.
            sample_rate => sample_rate: Share { default: 0.01, min: 0.0, max: 1.0 }, live;
            /// Blocks that take less than this share of their trace are left out of its profile; their time stays
            /// with their caller.
            // Below half a percent a block is narrower than a pixel or two of a flame graph.
            function_length_threshold => function_length_threshold: Share { default: 0.01, min: 0.005, max: 1.0 }, live;

            /// How long finished traces wait at most before they are sent.
            flush_interval_ms => flush_interval: Millis { default: 5_000, min: 1, max: 60 * 60 * 1_000 }, live;
            /// How many traces make a batch that is sent at once. At most `max_buffer_size`.
            max_batch_size => max_batch_size: Count { default: 50, min: 1, max: 10_000 }, live;
            /// How many finished traces may wait. When full, the oldest is evicted and counted.
            max_buffer_size => max_buffer_size: Count { default: 500, min: 1, max: 1_000_000 }, live;
            /// How many bytes of finished traces may wait. When full, the oldest is evicted and counted.
            max_outbox_bytes => max_outbox_bytes: Memory { default: 32 * MIB, min: 64 * KIB, max: 64 * GIB }, live;

            /// How long error events wait at most before they are sent.
            error_flush_interval_ms => error_flush_interval: Millis { default: 5_000, min: 1, max: 60 * 60 * 1_000 }, live;
            /// How many error events make a batch that is sent at once. At most `max_error_buffer_size`.
            max_error_batch_size => max_error_batch_size: Count { default: 50, min: 1, max: 10_000 }, live;
            /// How many error events may wait. When full, the oldest is evicted and counted.
            max_error_buffer_size => max_error_buffer_size: Count { default: 500, min: 1, max: 1_000_000 }, live;
            /// Equal errors within this time are sent once; the others are counted. 0 switches this off.
            error_dedupe_window_ms => error_dedupe_window: Millis { default: 5_000, min: 0, max: 60 * 60 * 1_000 }, live;
            /// Longest text in an error event, in graphemes. What is longer is cut.
            max_string_length => max_string_length: Count { default: 2_000, min: 1, max: 1_000_000 }, live;
            /// How many breadcrumbs a context keeps: the latest.
            max_breadcrumbs => max_breadcrumbs: Count { default: 50, min: 0, max: 10_000 }, live;
            /// Frames of modules or paths that begin with one of these belong to the application.
            in_app_include => in_app_include: Names {}, restart;
            /// Frames of modules or paths that begin with one of these do not; this wins over `in_app_include`.
            in_app_exclude => in_app_exclude: Names {}, restart;
            /// Whether error events carry the lines of source around each frame, where the source is at hand.
            source_context => source_context: Switch { default: false }, restart;

            /// Where traces and errors are written when neither `api_key` nor `server_url` is set.
            local_dir => local_dir: Folder { default: "flame-on/" }, restart;
            /// How many bytes `local_dir` may hold. When full, the oldest files are deleted.
            local_max_bytes => local_max_bytes: Disk { default: 256 * MIB, min: MIB, max: 1_024 * TIB }, restart;
            /// Where batches that cannot be sent, and what is left at shutdown, wait on disk for this process or the next
            /// one. Processes may share it. Without it they wait in memory only.
            spool_dir => spool_dir: OptionalPath {}, restart;
            /// How many bytes `spool_dir` may hold. When full, the oldest batch is evicted and counted.
            spool_max_bytes => spool_max_bytes: Disk { default: 64 * MIB, min: MIB, max: 1_024 * TIB }, restart;

            /// How many events a trace records in full. Past it, it goes on with polls and samples only.
            max_events => max_events: Count { default: 500_000, min: 1, max: 1_000_000_000 }, live;
            /// How many distinct stack paths a trace has. Past it, new paths fold into their nearest ancestor.
            max_stacks => max_stacks: Count { default: 50_000, min: 1, max: 10_000_000 }, live;
            /// How deep a stack is. Deeper frames fold into their ancestor.
            // The depth has 24 bits in a recorded event.
            max_stack_depth => max_stack_depth: Count { default: 512, min: 1, max: 65_536 }, live;
            /// How many traces run at once. Past it, work goes untraced and is counted.
            max_active_traces => max_active_traces: Count { default: 256, min: 1, max: 100_000 }, live;
            /// How many bytes a running trace may use for events. Past it, new frames are left out and counted. At
            /// most `max_capture_bytes`.
            trace_buffer_size_bytes => trace_buffer_size_bytes: Memory { default: 4 * MIB, min: 64 * KIB, max: 4 * GIB }, live;
            /// How many bytes all traces may use together. Past it, work goes untraced and is counted.
            max_capture_bytes => max_capture_bytes: Memory { default: 64 * MIB, min: 64 * KIB, max: 64 * GIB }, live;
            /// How long a trace lasts at most. Past it, it is shipped as it stands, marked as truncated.
            max_trace_duration_ms => max_trace_duration: Millis { default: 600_000, min: 1, max: 24 * 60 * 60 * 1_000 }, live;
            /// How many traces are finished (named, filtered) at once. Small ones, which take some 10 µs, are finished
            /// where their session runs.
            max_concurrent_finalizations => max_concurrent_finalizations: Count { default: 2, min: 1, max: 256 }, live;

            /// How often a running thread is sampled; 0 switches CPU samples off. When not written, less often (but 99 times a
            /// second) on a machine where that would take more than 0.5 % of the thread: see `stats().native.sample_hz`.
            // 997 is a prime number: no lock step with work that recurs at a round rate. 10,000 samples of 0.5 µs
            // would take half a percent of a core.
            cpu_sample_hz => cpu_sample_hz: Hertz { default: 997, min: 0, max: 10_000 }, restart;
            /// The signal that takes CPU samples: `SIGURG`, `SIGPROF`, `SIGUSR1` or `SIGUSR2`.
            cpu_signal => cpu_signal: CpuSignals { default: CpuSignal::Urg }, restart;
            /// How many threads are sampled. Further ones run without samples.
            max_sampled_threads => max_sampled_threads: Count { default: 64, min: 1, max: 4_096 }, restart;
            /// Whether native stacks are captured, at await sites, at wakes and as CPU samples: `auto` (where the
            /// platform supports it), `on` or `off`.
            native_capture => native_capture: NativeModes { default: NativeCapture::Auto }, restart;
            /// Whether profiles keep the frames of runtimes and adapters, which are folded away otherwise.
            raw_stacks => raw_stacks: Switch { default: false }, restart;
            /// Whether the labels of calls show numbers.
            label_numbers => label_numbers: Switch { default: true }, restart;
            /// How many bytes of symbols are kept. Past it, names come from the symbol table, or are addresses.
            max_symbol_bytes => max_symbol_bytes: Memory { default: 64 * MIB, min: MIB, max: 64 * GIB }, restart;
            /// How long symbols may be read for one trace. Past it, names come from the symbol table, or are addresses.
            // A minute is what the line before the thread that reads them may take.
            max_symbol_time_ms => max_symbol_time: Millis { default: 2_000, min: 1, max: 60 * 1_000 }, live;
            /// The debug information of a stripped executable.
            debug_file => debug_file: OptionalPath {}, restart;

            /// Whether at most one trace of an identifier is shipped within `dedupe_window_seconds`.
            dedupe_enabled => dedupe_enabled: Switch { default: true }, live;
            /// How long a shipped trace keeps further ones of its identifier from being shipped. They are counted.
            dedupe_window_seconds => dedupe_window: Seconds { default: 60, min: 1, max: 24 * 60 * 60 }, live;
            /// How many identifiers are remembered for this. When full, the oldest is forgotten.
            max_dedupe_identifiers => max_dedupe_identifiers: Count { default: 10_000, min: 1, max: 10_000_000 }, live;

            /// Past this anonymous resident memory of the process no new trace starts, until it is below 80 % of
            /// that. When not written: 80 % of the cgroup's limit, else of the machine's memory.
            max_memory_bytes => max_memory_bytes: AutoMemory { min: MIB, max: 1_024 * TIB }, live;
            /// How often the memory is looked at.
            memory_check_interval_ms => memory_check_interval: Millis { default: 5_000, min: 10, max: 60 * 60 * 1_000 }, live;

            /// How long connecting to the server may take. Past it the attempt has failed and is retried later.
            connect_timeout_ms => connect_timeout: Millis { default: 5_000, min: 1, max: 60 * 60 * 1_000 }, restart;
            /// How long a request to the server may take. Past it the attempt has failed and is retried later.
            send_timeout_ms => send_timeout: Millis { default: 10_000, min: 1, max: 60 * 60 * 1_000 }, restart;
            /// How large a request may be before it is compressed. Larger batches are split; a trace that is larger alone
            /// is thinned until it fits.
            // 4 MiB is what gRPC servers accept unless told otherwise; a message's length has 32 bits.
            max_message_bytes => max_message_bytes: Memory { default: 4 * MIB, min: 64 * KIB, max: 4 * GIB - 1 }, restart;
            /// How requests are compressed: `none`, `gzip` or `zstd`. The latter two need the feature of their name.
            compression => compression: Compressions { default: Compression::None }, restart;
            /// Certificates (PEM) of authorities that are trusted beside those of the system. Read again when it changes.
            ca_file => ca_file: OptionalPath {}, restart;
            /// The certificate (PEM) that the agent shows to the server. Needs `client_key_file`. Read again when it changes.
            client_cert_file => client_cert_file: OptionalPath {}, restart;
            /// The private key (PEM) of `client_cert_file`.
            client_key_file => client_key_file: OptionalPath {}, restart;
            /// The name that the server's certificate must have. When not written: the host of `server_url`.
            tls_server_name => tls_server_name: HostName {}, restart;
        }
    };
}
pub(crate) use with_keys;

/// One entry of the table, as far as it is the same for all kinds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    /// The key in files.
    pub(crate) name: &'static str,
    /// Whether a reload applies it.
    pub(crate) is_live: bool,
    /// The lines of its documentation.
    #[cfg_attr(not(test), expect(dead_code, reason = "read by the test that writes docs/configuration.md"))]
    pub(crate) docs: &'static [&'static str],
}

impl Key {
    /// Whether a reload applies the key of this name. `events` is not in the table, but live.
    pub(crate) fn is_live(name: &str) -> bool {
        name == "events" || KEYS.iter().any(|key| key.name == name && key.is_live)
    }
}

macro_rules! is_live {
    (live) => {
        true
    };
    (restart) => {
        false
    };
}

macro_rules! keys {
    ($(
        $(#[doc = $doc:literal])+ $(#[serde($serde:ident)])?
        $key:ident => $name:ident: $kind:ident $spec:tt, $change:ident;
    )+) => {
        /// All scalar keys and lists, in the order of the table.
        pub(crate) const KEYS: &[Key] =
            &[$(Key { name: stringify!($key), is_live: is_live!($change), docs: &[$($doc),+] },)+];

        /// What the table says about the value of each key, by the key's name.
        #[expect(non_upper_case_globals, reason = "constants with the names of keys")]
        pub(crate) mod key {
            use super::super::kinds::*;
            use super::{GIB, KIB, MIB, TIB};

            $($(#[doc = $doc])+ pub(crate) const $key: $kind = $kind $spec;)+
        }
    };
}

with_keys!(keys);
