//! Vector tiles of streets and boundaries over HTTP, beside PostGIS's `ST_AsMVT` over the same rows
//! with a GiST index: the same tiles, the same classes from the same zooms, one after another.
//!
//! ```text
//!  synth's files ─► shujin import ─► shujin serve ─► GET /tiles/… ─┐
//!       └─────────► CSV ─► COPY ─► PostGIS, GiST ─► ST_AsMVT ──────┴─► p50, p95 by layer
//! ```

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, bail, ensure};

use super::fresh;
use crate::Settings;
use crate::peers::Server;
use crate::report::{Line, Report, Verdict};
use crate::served::{Served, shujin};
use crate::stats::{median, percentile};

/// People of the full city.
const PEOPLE: u64 = 21_000_000;
const PEOPLE_MIN: u64 = 10_000;
const ZOOMS: std::ops::RangeInclusive<u8> = 8..=15;
const TILES_A_ZOOM: u32 = 25;
const MS_BAR: f64 = 50.0;
const RATIO_BAR: f64 = 1.0;

/// What is drawn on both sides. The classes and their zooms are those of the pack's map.
struct Subject {
    layer: &'static str,
    /// How the sides are called.
    sides: [&'static str; 2],
    dataset: &'static str,
    key: &'static str,
    class: &'static str,
    zooms: &'static [(&'static str, u8)],
}

const SUBJECTS: [Subject; 2] = [
    Subject {
        layer: "street",
        sides: ["streets: shujin, governed (5–95 %)", "streets: PostGIS (5–95 %)"],
        dataset: "road.edge",
        key: "id",
        class: "class",
        zooms: &[
            ("expressway", 6),
            ("trunk", 8),
            ("primary", 9),
            ("secondary", 11),
            ("tertiary", 12),
            ("residential", 13),
        ],
    },
    Subject {
        layer: "area",
        sides: ["areas: shujin, governed (5–95 %)", "areas: PostGIS (5–95 %)"],
        dataset: "place.boundary",
        key: "code",
        class: "level",
        zooms: &[
            ("city", 5),
            ("district", 7),
            ("street", 10),
            ("community", 12),
            ("grid", 14),
            ("micro_grid", 15),
        ],
    },
];

/// A tile and how it is called.
type Tile = (u8, u32, u32);

pub fn measure(settings: &Settings) -> anyhow::Result<Report> {
    let files = files(settings)?;
    let data = fresh(&settings.dir, "tiles")?;
    for subject in &SUBJECTS {
        let file = files.join(format!("{}.parquet", subject.dataset));
        shujin(&["import", "--data", text(&data)?, subject.dataset, text(&file)?])?;
    }
    let served = Served::start(&data)?;
    let server = Server::start()?;
    server.sql("CREATE EXTENSION postgis")?;
    let (mut lines, mut verdicts, mut notes) = (Vec::new(), Vec::new(), Vec::new());
    for subject in &SUBJECTS {
        let rows = load(&server, subject, &files, &settings.dir)?;
        let tiles = tiles(&server, subject)?;
        // The first request packs the features: it is told apart.
        let started = Instant::now();
        served.get(&address(subject, tiles[0]))?;
        let packing = started.elapsed().as_secs_f64();
        let (mut ours, mut peers) = (Vec::new(), Vec::new());
        let (mut bytes, mut left_out) = (0, 0);
        let watch = server.watch();
        for _ in 0..settings.rounds {
            for tile in &tiles {
                let started = Instant::now();
                let answer = served.get(&address(subject, *tile))?;
                ours.push(started.elapsed().as_secs_f64() * 1_000.0);
                ensure!(
                    matches!(answer.status, 200 | 204),
                    "a tile was answered {}",
                    answer.status
                );
                bytes += answer.bytes;
                left_out += usize::from(answer.left_out);
            }
            peers.extend(server.timed(&script(subject, &tiles, &settings.dir)?)?);
        }
        ensure!(peers.len() == ours.len(), "psql timed {} of {} tiles", peers.len(), ours.len());
        lines.push(line(subject.sides[0], &ours, served.peak_mib()?));
        lines.push(line(subject.sides[1], &peers, watch.peak_mib()));
        let (our_p95, peer_p95) = (percentile(&ours, 95), percentile(&peers, 95));
        verdicts.push(Verdict::at_most(&owned(subject, "p95, ms"), our_p95, MS_BAR));
        verdicts.push(Verdict::at_least(
            &owned(subject, "p95, PostGIS's over ours"),
            peer_p95 / our_p95,
            RATIO_BAR,
        ));
        verdicts.push(Verdict::at_least(
            &owned(subject, "median, PostGIS's over ours"),
            median(&peers) / median(&ours),
            RATIO_BAR,
        ));
        notes.push(format!(
            "{}: {rows} rows, {} tiles a round, {} KiB a tile on average; packed once in {packing:.2} s; \
             {left_out} answers left something out for want of room.",
            subject.layer,
            tiles.len(),
            bytes / 1_024 / ours.len().max(1),
        ));
    }
    notes.push(
        "Ours is timed from the request to the last byte over HTTP, with token and access rules; \
         the peer's by psql from sending the statement to having the answer. Both are warm. What \
         the browser would be answered from its own cache is not counted."
            .to_owned(),
    );
    Ok(Report {
        name: "tiles",
        what: format!(
            "vector tiles at zooms {}–{}, {TILES_A_ZOOM} a zoom at places chosen by the streets' \
             density, one after another, {} rounds",
            ZOOMS.start(),
            ZOOMS.end(),
            settings.rounds
        ),
        lines,
        verdicts,
        notes,
    })
}

fn text(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("the folder's name is not UTF-8")
}

fn owned(subject: &Subject, what: &str) -> String {
    format!("{}, {what}", subject.layer)
}

fn address(subject: &Subject, (z, x, y): Tile) -> String {
    format!("/tiles/{}/{z}/{x}/{y}", subject.layer)
}

fn line(side: &'static str, rounds: &[f64], peak_mib: f64) -> Line {
    let range = (percentile(rounds, 5), percentile(rounds, 95));
    Line { side, value: median(rounds), unit: "ms", range, peak_mib }
}

/// The city's files: given, or made here.
fn files(settings: &Settings) -> anyhow::Result<PathBuf> {
    if let Some(given) = &settings.city {
        return Ok(given.clone());
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    let people = ((PEOPLE as f64 * settings.scale) as u64).max(PEOPLE_MIN);
    let folder = settings.dir.join(format!("city-{people}"));
    if !folder.join("road.edge.parquet").exists() {
        let people = people.to_string();
        let pack = crate::served::pack_dir();
        let arguments =
            ["synth", "--pack", text(&pack)?, "--out", text(&folder)?, "--people", &people];
        shujin(&arguments)?;
    }
    Ok(folder)
}

/// Loads a dataset into PostGIS as its users would: Web Mercator, a GiST index, in its order.
fn load(server: &Server, subject: &Subject, files: &Path, dir: &Path) -> anyhow::Result<usize> {
    let Subject { layer, dataset, key, class, zooms, .. } = subject;
    let csv = dir.join(format!("{layer}.csv"));
    let file = files.join(format!("{dataset}.parquet"));
    let rows = crate::work::parquet_to_csv(&file, &csv, &[key, "name", class, "geometry"])?;
    let cases: String =
        zooms.iter().map(|(name, zoom)| format!("WHEN '{name}' THEN {zoom} ")).collect();
    server.sql(&format!("CREATE TABLE raw_{layer} (id text, name text, class text, wkb text)"))?;
    server.sql(&format!("\\copy raw_{layer} FROM '{}' (FORMAT csv, HEADER)", text(&csv)?))?;
    server.sql(&format!(
        "CREATE TABLE {layer} AS SELECT id, name, class, \
         (CASE class {cases}ELSE 14 END)::smallint AS minzoom, \
         ST_Transform(ST_SetSRID(ST_GeomFromWKB(decode(wkb, 'hex')), 4326), 3857) AS geom \
         FROM raw_{layer}"
    ))?;
    server.sql(&format!("DROP TABLE raw_{layer}"))?;
    server.sql(&format!("CREATE INDEX {layer}_geom ON {layer} USING gist (geom)"))?;
    server.sql(&format!("CLUSTER {layer} USING {layer}_geom"))?;
    server.sql(&format!("VACUUM ANALYZE {layer}"))?;
    Ok(rows)
}

/// The same tiles on every run: around rows chosen by a hash of their keys.
fn tiles(server: &Server, subject: &Subject) -> anyhow::Result<Vec<Tile>> {
    let mut tiles = Vec::new();
    for zoom in ZOOMS {
        let side = 1_u32 << zoom;
        let found = server.sql(&format!(
            "SELECT floor((ST_X(p) / 20037508.342789244 + 1) / 2 * {side})::int, \
             floor((1 - ST_Y(p) / 20037508.342789244) / 2 * {side})::int FROM ( \
             SELECT ST_PointOnSurface(geom) AS p FROM {} ORDER BY md5(id || '{zoom}') \
             LIMIT {TILES_A_ZOOM}) chosen",
            subject.layer
        ))?;
        for line in found.lines() {
            let (x, y) = line.split_once('|').context("psql's answer has another form")?;
            tiles.push((zoom, x.parse()?, y.parse()?));
        }
    }
    if tiles.is_empty() {
        bail!("{} has no rows", subject.dataset);
    }
    Ok(tiles)
}

/// One statement a tile, as a tile server over PostGIS sends it.
fn script(subject: &Subject, tiles: &[Tile], dir: &Path) -> anyhow::Result<PathBuf> {
    let layer = subject.layer;
    let statements: String = tiles
        .iter()
        .map(|(z, x, y)| {
            format!(
                "SELECT ST_AsMVT(q, '{layer}', 4096, 'geom') FROM (SELECT id, name, class, \
                 ST_AsMVTGeom(geom, ST_TileEnvelope({z}, {x}, {y}), 4096, 64, true) AS geom \
                 FROM {layer} WHERE geom && ST_TileEnvelope({z}, {x}, {y}, margin => 0.015625) \
                 AND minzoom <= {z}) q WHERE geom IS NOT NULL;\n"
            )
        })
        .collect();
    let file = dir.join(format!("{layer}.sql"));
    std::fs::write(&file, statements)?;
    Ok(file)
}
