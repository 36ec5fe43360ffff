//! Serving a city, and the demo: a city of its own with logins to try it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use city::City;
use city::folder::{Folder, make_private_dir};
use server::http::doors::Doors;
use server::http::oidc::{self, Provider};
use server::{Faces, FacesOptions, PgTls, RateOptions};

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
    run(city, &args.faces, None, Doors::default(), |http, pg| {
        println!("{http}  postgresql://{pg}/city");
    })
    .await
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
    // One that was stopped while it was filled goes on: a file taken twice changes nothing.
    let mut sensors = mark.as_deref().and_then(played);
    if !mark.is_some_and(|mark| mark.starts_with(FILLED)) {
        sample::fill(&city, &args).await.context("the demonstration city could not be made")?;
        let mark = format!("{FILLED} {} {}\n", args.people, args.seed);
        std::fs::write(&marker, &mark).with_context(|| marker.display().to_string())?;
        sensors = played(&mark);
    }
    let logins = sample::logins(&city).await?;
    let doors = Doors { demo: Some(logins.doors()), ..Doors::default() };
    run(city, &args.faces, sensors, doors, |http, pg| {
        println!("\nShujin serves {} at {http}", args.data.data.display());
        println!("SQL:  psql \"host={} port={} dbname=city user=USER\"\n", pg.ip(), pg.port());
        println!("{}", logins.table());
        println!("Ask:  select site, avg(pm25) from air.pm25 group by site;");
        println!("Stop with Ctrl-C. Start anew by deleting {}.", args.data.data.display());
    })
    .await
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
    sensors: Option<Sensors>,
    mut doors: Doors,
    ready: impl FnOnce(&str, std::net::SocketAddr),
) -> Result<ExitCode> {
    doors.public_url = args.public_url.as_ref().map(|url| url.trim_end_matches('/').to_owned());
    if let Some(path) = &args.oidc {
        for config in oidc::config::read(path)? {
            doors.oidc.push(Provider::new(config)?);
        }
    }
    let city = Arc::new(city);
    let faces = Faces::start(city.clone(), options(args), doors, Arc::new(EmbeddedUi)).await?;
    let sensors = sensors.and_then(|sensors| live::play(city.clone(), sensors));
    ready(&faces.http_url(), faces.pg_addr());
    stop_signal().await?;
    if let Some(sensors) = sensors {
        sensors.abort();
        // Ended or not, it has let go of the city.
        let _ = sensors.await;
    }
    faces.stop().await;
    match Arc::try_unwrap(city) {
        Ok(city) => city.close().await?,
        // A request that would not end holds on to it; all that was acknowledged is on the disk.
        Err(_) => eprintln!("stopped while a request was still under way"),
    }
    Ok(ExitCode::SUCCESS)
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
