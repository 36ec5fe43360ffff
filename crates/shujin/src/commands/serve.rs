//! Serving a city, and the demo: a city of its own with logins to try it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use city::City;
use city::folder::{Folder, make_private_dir};
use server::{Faces, FacesOptions, PgTls, RateOptions};

use super::{open_options, sample};
use crate::args::{DemoArgs, FaceArgs, ServeArgs};

pub async fn serve(args: ServeArgs) -> Result<ExitCode> {
    let options = open_options(&args.data);
    let city = match (&args.pack, Folder::holds_city(&options.dir)) {
        (_, true) => City::open(&options).await?,
        (Some(pack), false) => City::create(&options, pack).await?,
        (None, false) => {
            bail!("no city in {}: name a pack with --pack to make one", options.dir.display())
        }
    };
    run(city, &args.faces, |http, pg| {
        println!("{http}  postgresql://{pg}/city");
    })
    .await
}

/// Marks a folder as a demonstration's; says whether all of it is there.
const DEMONSTRATION: &str = "demonstration";
const FILLED: &str = "filled\n";

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
    if mark.as_deref() != Some(FILLED) {
        sample::fill(&city, &args).await.context("the demonstration city could not be made")?;
        std::fs::write(&marker, FILLED).with_context(|| marker.display().to_string())?;
    }
    let logins = sample::logins(&city).await?;
    run(city, &args.faces, |http, pg| {
        println!("\nShujin serves {} at {http}", args.data.data.display());
        println!("SQL:  psql \"host={} port={} dbname=city user=USER\"\n", pg.ip(), pg.port());
        println!("{}", logins.table());
        println!("Ask:  select site, avg(pm25) from air.pm25 group by site;");
        println!("Stop with Ctrl-C. Start anew by deleting {}.", args.data.data.display());
    })
    .await
}

async fn run(
    city: City,
    args: &FaceArgs,
    ready: impl FnOnce(&str, std::net::SocketAddr),
) -> Result<ExitCode> {
    let city = Arc::new(city);
    let faces = Faces::start(city.clone(), options(args)).await?;
    ready(&faces.http_url(), faces.pg_addr());
    stop_signal().await?;
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
