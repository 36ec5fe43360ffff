//! Making a city up, and playing the readings of its sensors.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use chrono::{DateTime, SecondsFormat, Utc};
use indicatif::{ProgressBar, ProgressStyle};
use synth::{Options, Progress, Reading, Stream, StreamOptions};

use crate::args::{StreamArgs, StreamFormat, SynthArgs, SynthCity, SynthCommand};

/// Without a terminal, a line of progress this often.
const PLAIN_PROGRESS_EVERY: Duration = Duration::from_secs(5);
const SPEED_MAX: f64 = 1e9;

pub fn synth(args: SynthArgs) -> Result<ExitCode> {
    match args.command {
        Some(SynthCommand::Stream(args)) => stream(&args),
        None => make(&args.city, &args.out, args.threads),
    }
}

fn make(city: &SynthCity, out: &Path, threads: Option<usize>) -> Result<ExitCode> {
    let pack = load(&city.pack)?;
    let threads =
        threads.or(std::thread::available_parallelism().ok().map(usize::from)).unwrap_or(1);
    let begun = Instant::now();
    let options = Options { people: city.people, seed: city.seed, threads };
    let bar = io::stderr().is_terminal().then(bar);
    let last = Cell::new(Instant::now());
    let written = synth::generate(&pack, out, options, &|progress: Progress| match &bar {
        Some(bar) => {
            bar.set_prefix(progress.what);
            bar.set_length(progress.total as u64);
            bar.set_position(progress.done as u64);
        }
        None if last.get().elapsed() >= PLAIN_PROGRESS_EVERY => {
            last.set(Instant::now());
            eprintln!("{}: {} of {}", progress.what, progress.done, progress.total);
        }
        None => {}
    })?;
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    for (dataset, rows) in &written {
        println!("{}: {rows} rows", out.join(format!("{dataset}.parquet")).display());
    }
    println!("{} people in {:.1} s", city.people, begun.elapsed().as_secs_f64());
    Ok(ExitCode::SUCCESS)
}

fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix} [{bar:40}] {pos}/{len} {eta} left")
        .expect("the template is a constant");
    ProgressBar::new(0).with_style(style)
}

fn load(dir: &Path) -> Result<pack::Pack> {
    pack::load(dir).map_err(|diagnostics| anyhow::anyhow!("{diagnostics}"))
}

fn stream(args: &StreamArgs) -> Result<ExitCode> {
    let (from, own_speed) = match &args.from {
        Some(from) => (moment(from)?, None),
        None => (Utc::now(), Some(1.0)),
    };
    let speed = args.speed.or(own_speed);
    if let Some(speed) = speed.filter(|speed| !(*speed > 0.0 && *speed <= SPEED_MAX)) {
        bail!("--speed {speed}: more than nought, at most {SPEED_MAX}");
    }
    let pack = load(&args.city.pack)?;
    let SynthCity { people, seed, .. } = args.city;
    let options = StreamOptions { people, seed, from, hours: args.hours };
    let stream = Stream::new(&pack, options)?.with_batteries();
    if let Some(path) = &args.truth {
        let mut truth = create(path)?;
        for line in stream.truth() {
            writeln!(truth, "{line}")?;
        }
        truth.flush()?;
    }
    let incidents = stream.incidents.len();
    let sensors = stream.sensors();
    let mut out: Box<dyn Write> = match &args.out {
        Some(path) => Box::new(create(path)?),
        None => Box::new(BufWriter::new(io::stdout().lock())),
    };
    let count = match play(stream, args.format, from, speed, &mut out) {
        // Who reads them has had enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(ExitCode::SUCCESS),
        played => played?,
    };
    eprintln!("{count} readings of {sensors} sensors, {incidents} incidents");
    Ok(ExitCode::SUCCESS)
}

fn moment(text: &str) -> Result<DateTime<Utc>> {
    text.parse().with_context(|| format!("`{text}` is no moment: write 2024-01-31T00:00:00+08:00"))
}

fn create(path: &Path) -> Result<BufWriter<File>> {
    Ok(BufWriter::new(File::create(path).with_context(|| path.display().to_string())?))
}

/// Writes readings, each no sooner than its moment at this speed: rows of `sensing.observation`, or
/// bodies of SensorThings. Returns how many.
fn play(
    stream: Stream,
    format: StreamFormat,
    from: DateTime<Utc>,
    speed: Option<f64>,
    out: &mut dyn Write,
) -> io::Result<u64> {
    if format == StreamFormat::Csv {
        writeln!(
            out,
            "datastream,phenomenon_time,ordinal,result_number,feature_of_interest,flags,owner,sharing,\
             phenomenon_end,result_time,result_json,result_quality,valid_start,valid_end,parameters"
        )?;
    }
    let terms = stream.terms();
    let begun = Instant::now();
    let mut count = 0;
    for reading in stream {
        if let Some(speed) = speed {
            let due = (reading.observed_at - from).to_std().unwrap_or_default().div_f64(speed);
            let early = due.saturating_sub(begun.elapsed());
            if !early.is_zero() {
                out.flush()?;
                std::thread::sleep(early);
            }
        }
        let at = reading.observed_at.to_rfc3339_opts(SecondsFormat::Secs, true);
        match format {
            StreamFormat::Csv => {
                let (owner, sharing) = &terms[reading.kind];
                let Reading { datastream, feature, value, .. } = reading;
                // An import wants all columns of the contract: the last seven are empty.
                writeln!(out, "{datastream},{at},0,{value},{feature},0,{owner},{sharing},,,,,,,")?;
            }
            StreamFormat::Json => writeln!(
                out,
                r#"{{"Datastream":{{"@iot.id":{}}},"FeatureOfInterest":{{"@iot.id":{}}},"phenomenonTime":"{at}","result":{}}}"#,
                reading.datastream, reading.feature, reading.value
            )?,
        }
        count += 1;
    }
    out.flush()?;
    Ok(count)
}
