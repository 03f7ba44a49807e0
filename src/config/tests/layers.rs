//! Tests of how the layers go together, and of what each of them understands.

use std::path::Path;
use std::time::Duration;

use super::{Environment, built, env, problems_of, toml};
use crate::{Compression, Config, CpuSignal, NativeCapture, UnitSettings};

#[test]
fn code_wins_over_environment_over_settings_over_defaults() {
    let settings = toml("service = 'file'\nenvironment = 'file'\nrelease = 'file'");
    let variables = env([("FLAME_ON_SERVICE", "env"), ("FLAME_ON_ENVIRONMENT", "env")]);
    let config = Config::builder().service("code").settings(settings).build_with(&variables).unwrap();
    assert_eq!((config.service(), config.environment(), config.release()), ("code", "env", "file"));
    assert_eq!(config.sample_rate(), 0.01);
}

#[test]
fn every_kind_of_setter_is_read_back() {
    let config = built(
        Config::builder()
            .capture(true)
            .sample_rate(0.5)
            .max_batch_size(7)
            .max_outbox_bytes(1 << 20)
            .local_max_bytes(1 << 40)
            .max_memory_bytes(1 << 30)
            .cpu_sample_hz(0)
            .flush_interval(Duration::from_secs(1))
            .dedupe_window(Duration::from_secs(2))
            .server_url("https://[::1]:7/")
            .api_key("k")
            .tls_server_name("example.org")
            .ca_file("/ca.pem")
            .local_dir(Path::new("/tmp/x"))
            .cpu_signal(CpuSignal::Prof)
            .native_capture(NativeCapture::Off)
            .compression(Compression::Gzip)
            .in_app_include(["app", "lib"]),
    );
    assert!(config.capture());
    assert_eq!((config.sample_rate(), config.max_batch_size(), config.cpu_sample_hz()), (0.5, 7, 0));
    assert_eq!((config.max_outbox_bytes(), config.local_max_bytes()), (1 << 20, 1 << 40));
    assert_eq!(config.max_memory_bytes(), Some(1 << 30));
    assert_eq!((config.flush_interval(), config.dedupe_window()), (Duration::from_secs(1), Duration::from_secs(2)));
    assert_eq!(config.server_url().to_string(), "[::1]:7");
    assert!(config.api_key().is_some_and(|key| key.expose() == "k"));
    assert_eq!(config.tls_server_name(), Some("example.org"));
    assert_eq!((config.ca_file(), config.local_dir()), (Some(Path::new("/ca.pem")), Path::new("/tmp/x")));
    assert_eq!(config.in_app_include(), ["app", "lib"]);
    assert_eq!(
        (config.cpu_signal(), config.native_capture(), config.compression()),
        (CpuSignal::Prof, NativeCapture::Off, Compression::Gzip)
    );
}

#[test]
fn all_problems_of_all_layers_are_listed() {
    let settings = toml("max_events = 0\nevents.a.sample_rate = 2\nclient_key_file = 'k'");
    let variables = env([("FLAME_ON_CAPTURE", "maybe"), ("FLAME_ON_MAX_STACKS", "-1")]);
    let wrong = Config::builder()
        .settings(settings)
        .sample_rate(7.0)
        .flush_interval(Duration::ZERO)
        .connect_timeout(Duration::MAX)
        .server_url("ftp://x")
        .event("b", UnitSettings::new().threshold(Duration::MAX))
        .build_with(&variables);
    assert_eq!(
        problems_of(wrong),
        [
            "FLAME_ON_CAPTURE = maybe: expected true or false",
            "FLAME_ON_MAX_STACKS = -1: expected 1 to 10000000",
            "server_url = ftp://x: expected a host with an optional port, such as flameon.ai or [::1]:50051, without \
             path or user; or unix:/path",
            "sample_rate = 7: expected 0.0 to 1.0",
            "flush_interval_ms = 0: expected 1 to 3600000",
            "max_events = 0: expected 1 to 1000000000",
            "connect_timeout_ms = 18446744073709551615: expected 1 to 3600000",
            "events.\"a\".sample_rate = 2: expected 0.0 to 1.0",
            "events.\"b\".threshold_ms = 18446744073709551615: expected 0 to 86400000",
            "client_key_file = k: expected client_cert_file beside it",
        ]
    );
}

#[test]
fn nan_and_infinity_are_refused_everywhere() {
    for wrong in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let builder = Config::builder()
            .sample_rate(wrong)
            .function_length_threshold(wrong)
            .event("a", UnitSettings::new().sample_rate(wrong));
        assert_eq!(problems_of(builder.build_with(&Environment::default())).len(), 3);
    }
}

#[test]
fn a_function_length_threshold_below_half_a_percent_is_refused() {
    let wrong = Config::builder().function_length_threshold(0.0049).build_with(&Environment::default());
    assert_eq!(problems_of(wrong), ["function_length_threshold = 0.0049: expected 0.005 to 1.0"]);
}

#[test]
fn a_part_of_a_millisecond_rounds_up() {
    let config = built(Config::builder().flush_interval(Duration::from_nanos(1_000_001)));
    assert_eq!(config.flush_interval(), Duration::from_millis(2));
}

#[test]
fn an_empty_text_counts_as_not_written_in_every_layer() {
    let settings = toml("service = 'file'\nserver_url = ''\nca_file = ''\ncpu_signal = ''");
    let config = Config::builder()
        .settings(settings)
        .service("")
        .api_key("")
        .build_with(&env([("FLAME_ON_RELEASE", "")]))
        .unwrap();
    assert_eq!((config.service(), config.release(), config.ca_file()), ("file", "unknown", None));
    assert!(config.is_local_default());
}

#[test]
fn switches_are_read_from_many_words() {
    for (text, is_on) in [
        ("true", true),
        ("1", true),
        ("YES", true),
        ("On", true),
        ("False", false),
        ("0", false),
        ("no", false),
        ("OFF", false),
    ] {
        let config = Config::builder().build_with(&env([("FLAME_ON_CAPTURE", text)])).unwrap();
        assert_eq!(config.capture(), is_on, "{text}");
    }
}

#[test]
fn the_shared_api_key_wins_over_the_own_one_and_a_difference_is_told() {
    let key = |variables: &Environment| {
        let config = Config::builder().build_with(variables).unwrap();
        (config.api_key().unwrap().expose().to_owned(), config.warnings().to_vec())
    };
    assert_eq!(key(&env([("FLAMEON_API_KEY", "a")])), ("a".to_owned(), vec![]));
    assert_eq!(key(&env([("FLAME_ON_API_KEY", "b")])), ("b".to_owned(), vec![]));
    assert_eq!(key(&env([("FLAMEON_API_KEY", ""), ("FLAME_ON_API_KEY", "b")])), ("b".to_owned(), vec![]));
    assert_eq!(
        key(&env([("FLAMEON_API_KEY", "a"), ("FLAME_ON_API_KEY", "b")])),
        ("a".to_owned(), vec!["FLAMEON_API_KEY and FLAME_ON_API_KEY differ; the former is used".to_owned()])
    );
}

#[cfg(unix)]
#[test]
fn a_value_that_is_not_utf_8_is_a_problem() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let variables: Environment =
        [("FLAME_ON_SERVICE", OsStr::from_bytes(b"a\xff")), ("FLAMEON_API_KEY", OsStr::from_bytes(b"s3cret\xff"))]
            .into_iter()
            .collect();
    assert_eq!(
        problems_of(Config::builder().build_with(&variables)),
        ["FLAME_ON_SERVICE = a\u{fffd}: expected UTF-8", "FLAMEON_API_KEY = [redacted]: expected UTF-8"]
    );
}

#[test]
fn an_unknown_variable_is_a_warning_that_names_the_nearest_key_but_not_its_value() {
    let variables = env([
        ("FLAME_ON_SAMPEL_RATE", "0.5"),
        ("FLAME_ON_VECTORS", "x"),
        ("FLAME_ON_", "x"),
        ("FLAME_ON_API_KYE", "s3cret"),
        ("OTHER_SAMPLE_RATE", "7"),
    ]);
    let config = Config::builder().build_with(&variables).unwrap();
    assert_eq!(
        config.warnings(),
        [
            "FLAME_ON_ sets nothing: there is no such key, or the environment cannot hold it",
            "FLAME_ON_API_KYE sets nothing; did you mean FLAME_ON_API_KEY?",
            "FLAME_ON_SAMPEL_RATE sets nothing; did you mean FLAME_ON_SAMPLE_RATE?",
            "FLAME_ON_VECTORS sets nothing: there is no such key, or the environment cannot hold it",
        ]
    );
}

#[test]
fn a_scheme_without_effect_is_a_warning() {
    let warnings = |text| built(Config::builder().settings(toml(text))).warnings().len();
    assert_eq!(warnings("server_url = 'HTTP://localhost'"), 1);
    assert_eq!(warnings("server_url = 'http://localhost'\nuse_ssl = false"), 0);
    assert_eq!(warnings("server_url = 'https://localhost'"), 0);
}

#[test]
fn the_local_default_ends_with_a_key_or_a_server() {
    assert!(built(Config::builder()).is_local_default());
    assert!(!built(Config::builder().api_key("k")).is_local_default());
    assert!(!built(Config::builder().server_url("flameon.ai")).is_local_default());
}

#[test]
fn layers_say_different_things_about_one_event() {
    let settings =
        toml("events.'axum.request.start' = { threshold_ms = 300, sample_rate = 0.5 }\nevents.b.capture = false");
    let config =
        built(Config::builder().settings(settings).event("axum.request", UnitSettings::new().sample_rate(1.0)));
    let rule = config.limits().events.of("axum.request.start");
    assert_eq!((rule.threshold, rule.sample_rate), (Some(Duration::from_millis(300)), Some(1.0)));
    assert!(!config.limits().events.of("b").capture);
}

/// The environment of a process is its own business, so this test runs once more in a child that has one.
#[test]
fn the_environment_of_the_process_is_read_unless_it_is_ignored() {
    const NAME: &str = "config::tests::layers::the_environment_of_the_process_is_read_unless_it_is_ignored";
    const IN_CHILD: &str = "CONFIG_TEST_IN_CHILD";
    if std::env::var_os(IN_CHILD).is_some() {
        assert_eq!(Config::builder().build().unwrap().service(), "from-env");
        assert_eq!(Config::builder().ignore_env().build().unwrap().service(), "unknown");
        return;
    }
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    let child = child.args([NAME, "--exact"]).env(IN_CHILD, "1").env("FLAME_ON_SERVICE", "from-env");
    let output = child.output().unwrap();
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && report.contains("1 passed"), "{report}");
}

#[test]
fn a_handler_is_kept_and_the_place_of_the_process_default_can_be_left() {
    let config = built(Config::builder());
    assert!(config.is_process_default() && config.hooks().handlers.is_empty());
    assert!(!built(Config::builder().process_default(false)).is_process_default());
}
