//! What the ingest server received, as files: `.pb.gz` for any pprof reader, `.svg` for the eye.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use flame_on::__server::{ReceivedTrace, profiles::Profile};
use flate2::Compression;
use flate2::write::GzEncoder;
use inferno::flamegraph;
use inferno::flamegraph::color::{BackgroundColor, Color, PaletteMap};
use prost::Message as _;

/// One path: its frames, root to leaf, and its own time in µs.
struct Stack<'p> {
    frames: Vec<&'p str>,
    micros: i64,
}

/// Writes two files for each trace and prints a table of them.
pub(crate) fn write_all(traces: &[ReceivedTrace], directory: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(directory)?;
    println!("{:<28} {:>9} {:>7} {:>7} {:>7}  file", "identifier", "ms", "cpu", "wait", "call");
    for trace in traces {
        let stacks = stacks_of(&trace.profile)?;
        let total: i64 = stacks.iter().map(|stack| stack.micros).sum();
        let measured = trace.profile.duration_nanos / 1_000;
        anyhow::ensure!(total == measured, "{}: the parts sum to {total} µs of {measured}", trace.identifier);
        let file = directory.join(file_name(&trace.identifier));
        write_profile(&trace.profile, &file.with_extension("pb.gz"))?;
        write_svg(trace, &stacks, &file.with_extension("svg"))?;
        print_row(trace, &stacks, total, &file);
    }
    println!("\nOpen the .svg files in a browser, or look at a profile with `go tool pprof -http=: FILE.pb.gz`.");
    Ok(())
}

fn stacks_of(profile: &Profile) -> anyhow::Result<Vec<Stack<'_>>> {
    let name = |location: u64| {
        let function = profile.function.iter().find(|function| function.id == location)?;
        profile.string_table.get(usize::try_from(function.name).ok()?).map(String::as_str)
    };
    let stack = |sample: &'_ flame_on::__server::profiles::Sample| {
        let frames = sample.location_id.iter().rev().map(|location| name(*location)).collect::<Option<Vec<_>>>()?;
        Some(Stack { frames, micros: *sample.value.first()? })
    };
    profile.sample.iter().map(|sample| stack(sample).ok_or_else(|| anyhow::anyhow!("a broken sample"))).collect()
}

fn file_name(identifier: &str) -> String {
    let safe = identifier.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' });
    safe.collect::<String>().split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

fn write_profile(profile: &Profile, file: &Path) -> anyhow::Result<()> {
    let mut encoder = GzEncoder::new(fs::File::create(file)?, Compression::default());
    encoder.write_all(&profile.encode_to_vec())?;
    encoder.finish()?;
    Ok(())
}

fn write_svg(trace: &ReceivedTrace, stacks: &[Stack<'_>], file: &Path) -> anyhow::Result<()> {
    let line = |stack: &Stack<'_>| {
        let frames: Vec<_> = stack.frames.iter().map(|frame| frame.replace(';', ":")).collect();
        format!("{} {}", frames.join(";"), stack.micros)
    };
    let lines: Vec<_> = stacks.iter().map(line).collect();
    let mut colors = PaletteMap::default();
    // The row below the root, which inferno adds.
    colors.insert("all", Color { r: 235, g: 235, b: 235 });
    colors.insert("", Color { r: 235, g: 235, b: 235 });
    for frame in stacks.iter().flat_map(|stack| &stack.frames) {
        colors.insert(*frame, color_of(frame));
    }
    let mut options = flamegraph::Options::default();
    options.title = trace.identifier.clone();
    options.subtitle =
        Some("violet: waiting · teal: waiting for somebody who has a name · grey: the client · warm: on a CPU".into());
    options.count_name = "µs".into();
    options.min_width = 0.0;
    options.bgcolors = Some(BackgroundColor::Flat(Color { r: 255, g: 255, b: 255 }));
    options.palette_map = Some(&mut colors);
    flamegraph::from_lines(&mut options, lines.iter().map(String::as_str), fs::File::create(file)?)?;
    Ok(())
}

/// What a task waits for, cool; what it does, warm, by the name's bytes so that neighbours differ.
fn color_of(frame: &str) -> Color {
    match frame {
        "SLEEP" | "QUEUE" => Color { r: 176, g: 164, b: 214 },
        "PEER" => Color { r: 190, g: 190, b: 190 },
        call if call.starts_with("CALL ") => Color { r: 110, g: 190, b: 180 },
        _ => {
            let shade = frame.bytes().fold(0_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte)) % 70;
            Color { r: 250, g: 140 + shade, b: 70 + shade / 2 }
        }
    }
}

fn print_row(trace: &ReceivedTrace, stacks: &[Stack<'_>], total: i64, file: &Path) {
    let share = |is_in: &dyn Fn(&Stack<'_>) -> bool| {
        let micros: i64 = stacks.iter().filter(|stack| is_in(stack)).map(|stack| stack.micros).sum();
        format!("{:.0} %", 100.0 * micros as f64 / total.max(1) as f64)
    };
    let is_call = |stack: &Stack<'_>| stack.frames.iter().any(|frame| frame.starts_with("CALL "));
    let is_waiting = |stack: &Stack<'_>| stack.frames.iter().any(|frame| matches!(*frame, "SLEEP" | "PEER"));
    println!(
        "{:<28} {:>9.1} {:>7} {:>7} {:>7}  {}.{{svg,pb.gz}}",
        trace.identifier,
        total as f64 / 1_000.0,
        share(&|stack| !is_waiting(stack)),
        share(&|stack| is_waiting(stack) && !is_call(stack)),
        share(&is_call),
        file.display(),
    );
}
