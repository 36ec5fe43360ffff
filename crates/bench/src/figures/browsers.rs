//! A demonstration from the command to a page that can be used, and then 200 browsers at once:
//! the map, the catalogue, boards and a live stream each, against one process on this machine.

use std::io::BufRead as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use chrono::{Days, Utc};
use city::{City, OPERATOR, OpenOptions};
use registry::{NewToken, NewUser};
use serde_json::Value;

use super::fresh;
use crate::Settings;
use crate::report::{Line, Report, Verdict};
use crate::served::{Demo, Talk};
use crate::stats::{median, percentile};

const PEOPLE: u64 = 100_000;
const BROWSERS: usize = 200;
const LOAD: Duration = Duration::from_secs(60);
/// A person looks at a page before the next one.
const LOOK: Duration = Duration::from_secs(5);
const LATE: Duration = Duration::from_secs(1);
const USABLE_SECONDS_BAR: f64 = 8.0;

/// What a page asks for, as the browser's own log shows it.
struct Page {
    kind: &'static str,
    asks: &'static [&'static str],
}

const PAGES: [Page; 4] = [
    Page {
        kind: "map: description, areas, 15 tiles",
        asks: &[
            "/api/map",
            "/api/areas?code=510100000000",
            "/tiles/area/9/404/211",
            "/tiles/area/9/404/210",
            "/tiles/area/9/403/211",
            "/tiles/area/9/403/210",
            "/tiles/street/11/1616/842",
            "/tiles/street/11/1616/843",
            "/tiles/street/11/1617/842",
            "/tiles/street/11/1617/843",
            "/tiles/facility/12/3232/1685",
            "/tiles/facility/12/3233/1685",
            "/tiles/park/12/3232/1685",
            "/tiles/park/12/3233/1685",
            "/tiles/metro_line/11/1616/842",
            "/tiles/metro_station/11/1616/842",
            "/tiles/area/12/3233/1685",
        ],
    },
    Page {
        kind: "catalogue: search, a dataset's page, its quality",
        asks: &[
            "/api/datasets?q=PM2.5",
            "/api/datasets/air.pm25",
            "/api/datasets/air.pm25/quality",
            "/api/sharing-requests",
        ],
    },
    Page { kind: "boards: the list, the city's board", asks: &["/api/boards", "/api/boards/city"] },
    Page { kind: "shell: the page itself", asks: &["/"] },
];

pub fn measure(settings: &Settings) -> anyhow::Result<Report> {
    let data = fresh(&settings.dir, "browsers")?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    let people = ((PEOPLE as f64 * settings.scale) as u64).max(10_000);
    let started = Instant::now();
    let demo = Demo::start(&data, people)?;
    let usable = started.elapsed().as_secs_f64();
    demo.wait_filled()?;
    let filled = started.elapsed().as_secs_f64();
    let logins: Vec<String> = demo.logins.iter().map(|(name, _)| name.clone()).collect();
    drop(demo);
    let tokens = tokio::runtime::Runtime::new()?.block_on(users(&data, &logins))?;
    let started = Instant::now();
    let demo = Demo::start(&data, people)?;
    let again = started.elapsed().as_secs_f64();

    let begun = Instant::now();
    let browsers: Vec<_> = (tokens.into_iter().enumerate())
        .map(|(index, token)| {
            let port = demo.port();
            std::thread::spawn(move || browse(index, port, &token))
        })
        .collect();
    let mut taken: Vec<Vec<f64>> = vec![Vec::new(); PAGES.len()];
    let mut sum = Seen::default();
    for browser in browsers {
        let seen = browser.join().map_err(|_| anyhow::anyhow!("a browser panicked"))??;
        for (all, of_one) in taken.iter_mut().zip(seen.taken) {
            all.extend(of_one);
        }
        sum.events += seen.events;
        sum.refused += seen.refused;
        sum.unknown += seen.unknown;
        sum.late += seen.late;
        sum.pages += seen.pages;
        sum.tiles += seen.tiles;
        sum.failed_tiles += seen.failed_tiles;
    }
    let took = begun.elapsed().as_secs_f64();
    let peak = demo.peak_mib()?;
    let all: Vec<f64> = taken.iter().flatten().copied().collect();
    let mut lines: Vec<Line> = Vec::new();
    for (page, taken) in PAGES.iter().zip(&taken) {
        lines.push(line(page.kind, taken, peak));
    }
    lines.push(line("every request", &all, peak));
    let rate = all.len() as f64 / took;
    Ok(Report {
        name: "browsers",
        what: format!(
            "a demonstration of {people} people; then {BROWSERS} users' browsers for {} s, each \
             with a live stream, a page every {} s by the clock, its requests one after another \
             on a connection that stays open; the range is from the 5th to the 95th percentile",
            LOAD.as_secs(),
            LOOK.as_secs()
        ),
        lines,
        verdicts: vec![
            Verdict::at_most(
                "from the command to a usable page, empty folder, s",
                usable,
                USABLE_SECONDS_BAR,
            ),
            Verdict::at_most(
                "from the command to a usable page, filled city, s",
                again,
                USABLE_SECONDS_BAR,
            ),
            Verdict::reported("from the command to a filled city, s", filled),
            Verdict::reported("requests a second", rate),
            Verdict::reported("p95 of every request, ms", percentile(&all, 95)),
            Verdict::reported("p99 of every request, ms", percentile(&all, 99)),
            Verdict::at_most(
                "tiles of boards without an answer, though their reader may have one, %",
                100.0 * sum.failed_tiles as f64 / sum.tiles.max(1) as f64,
                0.0,
            ),
            Verdict::reported(
                "pages begun over a second late, %",
                100.0 * sum.late as f64 / sum.pages.max(1) as f64,
            ),
        ],
        notes: vec![format!(
            "Usable: the shell and a planner's board are answered, the board without rows where \
             there are none yet. {} events came down the {BROWSERS} streams. {} requests were \
             refused by the access rules, as their reader's role has it, and {} asked for what \
             does not exist for their reader; both count. The browsers ran on the same cores as \
             the server, and load nothing anew when an event comes.",
            sum.events, sum.refused, sum.unknown
        )],
    })
}

fn line(side: &'static str, taken: &[f64], peak_mib: f64) -> Line {
    let range = (percentile(taken, 5), percentile(taken, 95));
    Line { side, value: median(taken), unit: "ms", range, peak_mib }
}

#[derive(Default)]
struct Seen {
    taken: Vec<Vec<f64>>,
    events: usize,
    refused: usize,
    unknown: usize,
    pages: usize,
    /// Pages that the ones before them kept from beginning when they should have.
    late: usize,
    tiles: usize,
    failed_tiles: usize,
}

/// A user for each browser, with the roles of one of the demonstration's; their tokens.
async fn users(data: &Path, logins: &[String]) -> anyhow::Result<Vec<String>> {
    let city = City::open(&OpenOptions { dir: data.to_owned(), ..OpenOptions::default() }).await?;
    let (registry, pack, now) = (city.registry(), city.pack(), Utc::now());
    let mut tokens = Vec::new();
    for (index, login) in logins.iter().cycle().take(BROWSERS).enumerate() {
        let like = registry.user(login).await?;
        let user = NewUser {
            name: format!("browser_{index}"),
            organisation: like.organisation,
            roles: like.roles,
            areas: like.areas,
            password: None,
        };
        let token = NewToken {
            user: user.name.clone(),
            label: "load".to_owned(),
            scope: None,
            expires_at: now + Days::new(1),
        };
        registry.create_user(OPERATOR, user, pack, now).await?;
        tokens.push(registry.create_token(OPERATOR, token, now).await?.1);
    }
    city.close().await?;
    Ok(tokens)
}

/// How many tiles a board's page has, and how many of them failed: not those that their reader may
/// not have.
fn tiles_of(page: &[u8]) -> anyhow::Result<(usize, usize)> {
    let page: Value = serde_json::from_slice(page)?;
    let tiles = page["tiles"].as_array().context("a board has tiles")?;
    let failed = |tile: &&Value| {
        let code = tile["error"]["code"].as_str();
        code.is_some_and(|code| !["refused", "not_found"].contains(&code))
    };
    Ok((tiles.len(), tiles.iter().filter(failed).count()))
}

/// One browser: a stream that is listened to, and page after page.
fn browse(index: usize, port: u16, token: &str) -> anyhow::Result<Seen> {
    let mut talk = Talk::to(port)?;
    let mut stream = Talk::to(port)?.stream("/api/events", token)?;
    let ear = stream.get_ref().try_clone()?;
    let listener = std::thread::spawn(move || {
        let (mut line, mut events) = (String::new(), 0);
        while stream.read_line(&mut line).is_ok_and(|read| read > 0) {
            events += usize::from(line.starts_with("event:"));
            line.clear();
        }
        events
    });
    let mut seen = Seen { taken: vec![Vec::new(); PAGES.len()], ..Seen::default() };
    // Nobody opens their page at the same moment as everybody else.
    let mut due = Instant::now() + LOOK.mul_f64(index as f64 / BROWSERS as f64);
    let end = Instant::now() + LOAD;
    for at in index.. {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if Instant::now() > end {
            break;
        }
        seen.pages += 1;
        seen.late += usize::from(due.elapsed() > LATE);
        due += LOOK;
        let kind = at % PAGES.len();
        for path in PAGES[kind].asks {
            let asked = Instant::now();
            let (answer, body) = talk.get_body(path, token)?;
            seen.taken[kind].push(asked.elapsed().as_secs_f64() * 1_000.0);
            ensure!(answer.status < 500 && answer.status != 429, "{path}: {}", answer.status);
            seen.refused += usize::from(answer.status == 403);
            seen.unknown += usize::from(answer.status == 404);
            if answer.status == 200 && path.starts_with("/api/boards/") {
                let (tiles, failed) = tiles_of(&body)?;
                seen.tiles += tiles;
                seen.failed_tiles += failed;
            }
        }
    }
    ear.shutdown(std::net::Shutdown::Both).context("the stream does not end")?;
    seen.events = listener.join().map_err(|_| anyhow::anyhow!("a listener panicked"))?;
    Ok(seen)
}
