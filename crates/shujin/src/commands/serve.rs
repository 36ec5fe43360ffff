//! Serving a city, and the demo: a city of its own with logins to try it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use city::City;
use city::folder::{Folder, make_private_dir};
use server::http::doors::Doors;
use server::http::oidc::{self, Provider};
use server::{Faces, FacesOptions, MqttOptions, PgTls, RateOptions};
use tokio::task::JoinHandle;

use super::live::{self, Sensors};
use super::{open_options, sample};
use crate::args::{DemoArgs, FaceArgs, ServeArgs};
use crate::ui::EmbeddedUi;

pub async fn serve(args: ServeArgs) -> Result<ExitCode> {
    let mut options = open_options(&args.data);
    options.source_secrets.clone_from(&args.faces.source_secrets);
    let city = match (&args.pack, Folder::holds_city(&options.dir)) {
        (_, true) => City::open(&options).await?,
        (Some(_), false) if options.dir.join(DEMONSTRATION).exists() => {
            bail!("{} is a demonstration's: name another folder", options.dir.display())
        }
        (Some(pack), false) => City::create(&options, pack).await?,
        (None, false) => {
            bail!("no city in {}: name a pack with --pack to make one", options.dir.display())
        }
    };
    let ready = |faces: &Faces| {
        let mqtt = faces.mqtt_url().map(|url| format!("  {url}")).unwrap_or_default();
        println!("{}  postgresql://{}/city{mqtt}", faces.http_url(), faces.pg_addr());
    };
    run(city, &args.faces, Doors::default(), ready, |_| None).await
}

/// Marks a folder as a demonstration's; says whether all of it is there, and of which city.
const DEMONSTRATION: &str = "demonstration";

/// What the mark of a demonstration says.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mark {
    filled: bool,
    people: usize,
    seed: u64,
    /// Where its real files came from.
    city_data: Option<PathBuf>,
}

impl Mark {
    const FILLED: &str = "filled";
    const BEGUN: &str = "being filled";

    /// One that cannot be read is of a demonstration that nothing is known of.
    fn read(path: &Path) -> Option<Option<Self>> {
        let text = std::fs::read_to_string(path).ok()?;
        Some(text.parse().ok())
    }

    fn write(&self, path: &Path) -> Result<()> {
        // A mark that was half written would be none.
        let new = path.with_extension("new");
        let written = std::fs::write(&new, self.to_string());
        written
            .and_then(|()| std::fs::rename(&new, path))
            .with_context(|| path.display().to_string())
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.filled { Self::FILLED } else { Self::BEGUN };
        writeln!(f, "{state}\npeople {}\nseed {}", self.people, self.seed)?;
        self.city_data.iter().try_for_each(|dir| writeln!(f, "city data {}", dir.display()))
    }
}

impl FromStr for Mark {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut lines = text.lines();
        let filled = match lines.next() {
            Some(Self::FILLED) => true,
            Some(Self::BEGUN) => false,
            other => bail!("a demonstration is filled or being filled, not {other:?}"),
        };
        let (mut people, mut seed, mut city_data) = (None, None, None);
        for line in lines {
            if let Some(count) = line.strip_prefix("people ") {
                people = Some(count.parse()?);
            } else if let Some(number) = line.strip_prefix("seed ") {
                seed = Some(number.parse()?);
            } else if let Some(dir) = line.strip_prefix("city data ") {
                city_data = Some(PathBuf::from(dir));
            }
        }
        let (people, seed) = people.zip(seed).context("people and seed are not told")?;
        Ok(Self { filled, people, seed, city_data })
    }
}

pub async fn demo(mut args: DemoArgs) -> Result<ExitCode> {
    let faces = &args.faces;
    if [faces.http, faces.pg, faces.mqtt].iter().any(|address| !address.ip().is_loopback()) {
        bail!("everybody knows a demonstration's passwords: it is served on loopback only");
    }
    let mut options = open_options(&args.data);
    options.source_secrets.clone_from(&args.faces.source_secrets);
    let marker = options.dir.join(DEMONSTRATION);
    let mark = Mark::read(&marker);
    if Folder::holds_city(&options.dir) && mark.is_none() {
        bail!(
            "{} holds a city that is no demonstration, and a demonstration makes logins whose \
             passwords everybody knows: name another folder with --data, or serve it with \
             `shujin serve`",
            options.dir.display()
        );
    }
    let mark = match mark {
        None => {
            make_private_dir(&options.dir)?;
            let (people, seed) = (args.people, args.seed);
            let city_data = args.city_data.as_ref().map(std::path::absolute).transpose()?;
            let mark = Mark { filled: false, people, seed, city_data };
            mark.write(&marker)?;
            mark
        }
        Some(Some(mark)) => mark,
        Some(None) => bail!(
            "{} is a demonstration of another version: delete it to start anew",
            options.dir.display()
        ),
    };
    if (mark.people, mark.seed) != (args.people, args.seed) {
        // One that was stopped while it was filled goes on as it was begun: of two it would be
        // neither.
        println!(
            "{} is a city of {} people, seed {}: delete it to make another",
            options.dir.display(),
            mark.people,
            mark.seed
        );
    }
    (args.people, args.seed) = (mark.people, mark.seed);
    args.city_data.clone_from(&mark.city_data);
    let city = match City::open_or_create(&options, &args.pack).await {
        Ok(city) => city,
        Err(error) => {
            if !Folder::holds_city(&options.dir) {
                // A city that is made here one day must not be taken for a demonstration.
                let _ = std::fs::remove_file(&marker);
            }
            return Err(error.into());
        }
    };
    if !mark.filled {
        // Whoever makes a Thing while the city is filled is given no number of a sensor's.
        city.sta_pass_numbers(synth::NUMBERS_MAX).await?;
    }
    let logins = sample::logins(&city).await?;
    let doors = Doors { demo: Some(logins.doors()), ..Doors::default() };
    let data = args.data.data.display().to_string();
    let ready = |faces: &Faces| {
        let pg = faces.pg_addr();
        println!("\nShujin serves {data} at {}", faces.http_url());
        println!("SQL:  psql \"host={} port={} dbname=city user=USER\"", pg.ip(), pg.port());
        if let Some(mqtt) = faces.mqtt_url() {
            println!("MQTT: {mqtt}  (a user's name, and a token as its password)");
        }
        println!();
        println!("{}", logins.table());
        println!("Ask:  select site, avg(pm25) from air.pm25 group by site;");
        println!("Stop with Ctrl-C. Start anew by deleting {data}.");
    };
    let faces = args.faces.clone();
    let living = |city| Some(tokio::spawn(inhabit(city, args, marker, mark)));
    run(city, &faces, doors, ready, living).await
}

/// What goes on while a demonstration is served: it is filled, where it is not yet, so that nobody
/// waits in front of a closed door; then its sensors tell what they see.
async fn inhabit(city: Arc<City>, args: DemoArgs, marker: PathBuf, mark: Mark) -> Result<()> {
    // One that was stopped while it was filled goes on: its files are those of the seed again.
    if !mark.filled {
        println!("\nThe city is being filled; what is there so far can be seen.\n");
        let started = Instant::now();
        sample::fill(&city, &args).await.context("the demonstration city could not be made")?;
        Mark { filled: true, ..mark.clone() }.write(&marker)?;
        println!("\nThe city is filled ({:.0} s).", started.elapsed().as_secs_f64());
    }
    live::play(&city, Sensors { people: mark.people, seed: mark.seed }).await;
    Ok(())
}

async fn run(
    city: City,
    args: &FaceArgs,
    mut doors: Doors,
    ready: impl FnOnce(&Faces),
    work: impl FnOnce(Arc<City>) -> Option<JoinHandle<Result<()>>>,
) -> Result<ExitCode> {
    doors.public_url = args.public_url.as_ref().map(|url| url.trim_end_matches('/').to_owned());
    if let Some(path) = &args.oidc {
        for config in oidc::config::read(path)? {
            doors.oidc.push(Provider::new(config)?);
        }
    }
    let city = Arc::new(city);
    let faces = Faces::start(city.clone(), options(args), doors, Arc::new(EmbeddedUi)).await?;
    ready(&faces);
    let mut work = work(city.clone());
    let ended = tokio::select! {
        stopped = stop_signal() => stopped,
        failure = failure(work.as_mut()) => Err(failure),
    };
    if let Some(work) = work.filter(|work| !work.is_finished()) {
        work.abort();
        // Ended or not, it has let go of the city.
        let _ = work.await;
    }
    faces.stop().await;
    match Arc::try_unwrap(city) {
        Ok(city) => city.close().await?,
        // A request that would not end holds on to it; all that was acknowledged is on the disk.
        Err(_) => eprintln!("stopped while a request was still under way"),
    }
    ended.map(|()| ExitCode::SUCCESS)
}

/// Why the work beside the serving ended. Work that is done well, or not there, never says.
async fn failure(work: Option<&mut JoinHandle<Result<()>>>) -> anyhow::Error {
    if let Some(work) = work {
        match work.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return error,
            Err(error) => return error.into(),
        }
    }
    std::future::pending().await
}

fn options(args: &FaceArgs) -> FacesOptions {
    let pair = |cert: &Option<PathBuf>, key: &Option<PathBuf>| cert.clone().zip(key.clone());
    let pg_tls = match pair(&args.tls_cert, &args.tls_key) {
        Some((cert, key)) => PgTls::Required { cert, key },
        None => PgTls::Off,
    };
    FacesOptions {
        http_tls: pair(&args.http_tls_cert, &args.http_tls_key),
        http_behind_proxy: args.http_behind_proxy,
        rates: RateOptions {
            principal_per_second: args.http_rate,
            address_per_second: args.http_rate_address,
        },
        metrics_on_loopback: args.metrics_on_loopback,
        pg_tls,
        mqtt: Some(MqttOptions {
            tls: pair(&args.mqtt_tls_cert, &args.mqtt_tls_key),
            client_ca: args.mqtt_client_ca.clone(),
            principal_per_second: args.mqtt_rate,
            ..MqttOptions::new(args.mqtt)
        }),
        ..FacesOptions::new(args.http, args.pg)
    }
}

async fn stop_signal() -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_was_written() {
        for (filled, city_data) in [(false, None), (true, Some(PathBuf::from("/data/of a city")))] {
            let mark = Mark { filled, people: 20_000, seed: 7, city_data };
            assert_eq!(mark.to_string().parse::<Mark>().unwrap(), mark);
        }
        for wrong in
            ["", "filled", "filled\npeople 3", "full\npeople 3\nseed 1", "filled\npeople x"]
        {
            assert!(wrong.parse::<Mark>().is_err(), "{wrong}");
        }
    }
}
