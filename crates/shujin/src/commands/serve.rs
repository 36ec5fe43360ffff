//! Serving a city, and the demo: a city of its own with logins to try it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use city::City;
use city::folder::{Folder, make_private_dir};
use server::http::doors::Doors;
use server::http::oidc::{self, Provider};
use server::{Faces, FacesOptions, PgTls, RateOptions};
use tokio::task::JoinHandle;

use super::live::{self, Sensors};
use super::{open_options, sample};
use crate::args::{DemoArgs, FaceArgs, ServeArgs};
use crate::ui::EmbeddedUi;

pub async fn serve(args: ServeArgs) -> Result<ExitCode> {
    let options = open_options(&args.data);
    let city = match (&args.pack, Folder::holds_city(&options.dir)) {
        (_, true) => City::open(&options).await?,
        (Some(pack), false) => City::create(&options, pack).await?,
        (None, false) => {
            bail!("no city in {}: name a pack with --pack to make one", options.dir.display())
        }
    };
    let ready = |http: &str, pg: SocketAddr| println!("{http}  postgresql://{pg}/city");
    run(city, &args.faces, Doors::default(), ready, |_| None).await
}

/// Marks a folder as a demonstration's; says whether all of it is there, and of which city.
const DEMONSTRATION: &str = "demonstration";
const FILLED: &str = "filled";

pub async fn demo(args: DemoArgs) -> Result<ExitCode> {
    if !args.faces.http.ip().is_loopback() || !args.faces.pg.ip().is_loopback() {
        bail!("everybody knows a demonstration's passwords: it is served on loopback only");
    }
    let options = open_options(&args.data);
    let marker = options.dir.join(DEMONSTRATION);
    let mark = std::fs::read_to_string(&marker).ok();
    if Folder::holds_city(&options.dir) && mark.is_none() {
        bail!(
            "{} holds a city that is no demonstration, and a demonstration makes logins whose \
             passwords everybody knows: name another folder with --data, or serve it with \
             `shujin serve`",
            options.dir.display()
        );
    }
    if mark.is_none() {
        make_private_dir(&options.dir)?;
        std::fs::write(&marker, "being filled\n").with_context(|| marker.display().to_string())?;
    }
    let city = City::open_or_create(&options, &args.pack).await?;
    let logins = sample::logins(&city).await?;
    let doors = Doors { demo: Some(logins.doors()), ..Doors::default() };
    let data = args.data.data.display().to_string();
    let ready = |http: &str, pg: SocketAddr| {
        println!("\nShujin serves {data} at {http}");
        println!("SQL:  psql \"host={} port={} dbname=city user=USER\"\n", pg.ip(), pg.port());
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
async fn inhabit(
    city: Arc<City>,
    args: DemoArgs,
    marker: PathBuf,
    mark: Option<String>,
) -> Result<()> {
    let mut mark = mark.unwrap_or_default();
    // One that was stopped while it was filled goes on: a file taken twice changes nothing.
    if !mark.starts_with(FILLED) {
        println!("\nThe city is being filled; what is there so far can be seen.\n");
        let started = Instant::now();
        sample::fill(&city, &args).await.context("the demonstration city could not be made")?;
        mark = format!("{FILLED} {} {}\n", args.people, args.seed);
        std::fs::write(&marker, &mark).with_context(|| marker.display().to_string())?;
        println!("\nThe city is filled ({:.0} s).", started.elapsed().as_secs_f64());
    }
    if let Some(sensors) = played(&mark) {
        live::play(&city, sensors).await;
    }
    Ok(())
}

/// The sensors of the city that a demonstration was filled with.
fn played(mark: &str) -> Option<Sensors> {
    let mut words = mark.strip_prefix(FILLED)?.split_whitespace();
    let (people, seed) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    Some(Sensors { people, seed })
}

async fn run(
    city: City,
    args: &FaceArgs,
    mut doors: Doors,
    ready: impl FnOnce(&str, SocketAddr),
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
    ready(&faces.http_url(), faces.pg_addr());
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
