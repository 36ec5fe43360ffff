//! The demonstration city: real files where a folder of them is given, a synthetic city, made-up
//! calls and readings elsewhere, and one login for each kind of user.
//!
//! What is made up says so, and nobody's number is real. The same seed makes the same rows.
//! Everything goes in by `import`, as a city's own files would.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use chrono::{DateTime, Days, TimeDelta, Utc};
use city::{City, ImportRequest, OPERATOR};
use pack::AreaLevel;
use registry::{NewToken, NewUser, RegistryError};

use super::feed;
use crate::args::DemoArgs;

/// The real files by dataset, as `CITY_DATA` has them.
const REAL_FILES: [(&str, &str); 4] = [
    ("air.pm25", "chengdu_pm25_2010_2015.csv.gz"),
    ("people.census_2020", "chengdu_census_2020.csv"),
    ("place.area", "chengdu_streets.csv"),
    ("transit.station", "chengdu_metro_stations.csv"),
];
const READING_DAYS: i64 = 30;
const RESIDENTS_PER_CALL: usize = 10;
/// The moment that the made-up rows lead up to; fixed, so that a seed makes the same city.
const MADE_UP_TO: &str = "2024-01-31T16:00:00Z";

/// Name, password or none, organisation, role, area or the whole city.
type Login = (&'static str, &'static str, &'static str, Option<&'static str>, &'static str);

/// Demonstration logins; only `demo` makes them. Their password is their name and `-of-shujin`.
const LOGINS: [Login; 9] = [
    ("steward", "data", "data_steward", None, "runs the catalogue"),
    ("police", "public_security", "data_steward", None, "owns people.resident"),
    ("market", "market_regulation", "data_steward", None, "owns market.enterprise"),
    ("tax", "tax", "analyst", None, "sees enterprises with masks"),
    ("health", "health", "analyst", None, "has no grant for enterprises"),
    ("jinjiang", "jinjiang", "district_officer", Some("510104000000"), "sees its own district"),
    ("researcher", "statistics", "researcher", None, "sees groups, never persons"),
    ("auditor", "audit_office", "auditor", None, "reads the audit"),
    ("admin", "data", "administrator", None, "manages users"),
];

/// Fills an empty city.
pub async fn fill(city: &City, args: &DemoArgs) -> Result<()> {
    let scratch = city.scratch()?;
    fill_from(city, args, scratch.path()).await
}

async fn fill_from(city: &City, args: &DemoArgs, scratch: &Path) -> Result<()> {
    let mut real = Vec::new();
    for (dataset, name) in REAL_FILES {
        let path = args.city_data.as_ref().map(|dir| dir.join(name)).filter(|path| path.is_file());
        if let Some(path) = path {
            take(city, dataset, path).await?;
            real.push(dataset);
        }
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let options = synth::Options { people: args.people, seed: args.seed, threads };
    for (dataset, _) in synth::generate(city.pack(), scratch, options, &|_| {})? {
        if !real.contains(&dataset.as_str()) {
            take(city, &dataset, scratch.join(format!("{dataset}.parquet"))).await?;
        }
    }
    let mut maker = Maker::new(city, args.seed);
    let mut made = vec![("casework.hotline", maker.calls(args.people / RESIDENTS_PER_CALL))];
    if !real.contains(&"air.pm25") {
        made.push(("air.pm25", maker.readings()));
    }
    for (dataset, text) in made {
        let path = scratch.join(format!("made-up-{dataset}.csv"));
        std::fs::write(&path, text)?;
        take(city, dataset, path).await?;
    }
    Ok(())
}

async fn take(city: &City, dataset: &str, file: PathBuf) -> Result<()> {
    let request = ImportRequest {
        dataset: dataset.to_owned(),
        file: file.clone(),
        options: intake::Options::default(),
        user: OPERATOR.to_owned(),
    };
    let summary =
        feed::import_file(city, request).await.with_context(|| file.display().to_string())?;
    feed::tell(&summary);
    Ok(())
}

/// Logins and tokens of a demonstration.
pub struct Logins {
    rows: Vec<(Login, String)>,
}

/// Makes the logins that are not there yet, and a new token for each.
pub async fn logins(city: &City) -> Result<Logins> {
    let registry = city.registry();
    let mut rows = Vec::new();
    for login in LOGINS {
        let (name, organisation, role, area, _) = login;
        if let Err(RegistryError::UnknownUser(_)) = registry.user(name).await {
            let user = NewUser {
                name: name.to_owned(),
                organisation: organisation.to_owned(),
                roles: vec![role.to_owned()],
                areas: vec![area.unwrap_or(&city.pack().city.code).to_owned()],
                password: Some(format!("{name}-of-shujin")),
            };
            registry.create_user(OPERATOR, user, city.pack(), Utc::now()).await?;
        }
        let token = NewToken {
            user: name.to_owned(),
            label: "demonstration".to_owned(),
            scope: None,
            expires_at: Utc::now() + Days::new(1),
        };
        let (_, text) = registry.create_token(OPERATOR, token, Utc::now()).await?;
        rows.push((login, text));
    }
    Ok(Logins { rows })
}

impl Logins {
    pub fn table(&self) -> String {
        let mut text = String::from(
            "user         password              HTTP token (one day)                             who\n",
        );
        for ((name, _, _, _, who), token) in &self.rows {
            let password = format!("{name}-of-shujin");
            writeln!(text, "{name:<12} {password:<21} {token:<48} {who}")
                .expect("writing to a text does not fail");
        }
        text
    }
}

/// Makes rows up, always the same ones for a seed.
struct Maker {
    state: u64,
    communities: Vec<String>,
    until: DateTime<Utc>,
}

impl Maker {
    fn new(city: &City, seed: u64) -> Self {
        let communities = city
            .pack()
            .areas
            .iter()
            .filter(|area| area.level == AreaLevel::Community)
            .map(|area| area.code.clone())
            .collect();
        let until = MADE_UP_TO.parse().expect("the constant is a moment");
        Self { state: seed, communities, until }
    }

    /// SplitMix64 (Steele, Lea, Flood 2014): small, and good enough to make rows up.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        let at = usize::try_from(self.below(from.len() as u64)).expect("below a length");
        from[at]
    }

    fn community(&mut self) -> String {
        let at =
            usize::try_from(self.below(self.communities.len() as u64)).expect("below a length");
        self.communities.get(at).cloned().unwrap_or_default()
    }

    fn phone(&mut self) -> String {
        format!("100{:08}", self.below(100_000_000))
    }

    fn past(&mut self, days: u64) -> DateTime<Utc> {
        let minutes = i64::try_from(self.below(days * 24 * 60)).unwrap_or(0);
        self.until - TimeDelta::minutes(minutes)
    }

    fn calls(&mut self, calls: usize) -> String {
        const KINDS: [&str; 8] = [
            "噪声扰民",
            "占道停车",
            "供水",
            "物业管理",
            "道路破损",
            "劳动保障",
            "消费维权",
            "环境卫生",
        ];
        const HANDLERS: [&str; 5] =
            ["urban_management", "water", "transport", "human_resources", "market_regulation"];
        let mut text = String::from(
            "ticket,received_at,area_code,category,urgency,caller,phone,content,handler,closed_at,satisfied\n",
        );
        for nth in 0..calls {
            let received = self.past(365);
            let hours = i64::try_from(1 + self.below(15 * 24)).unwrap_or(1);
            let closed = received + TimeDelta::hours(hours);
            let done = closed < self.until;
            let (community, kind, phone) = (self.community(), self.pick(&KINDS), self.phone());
            let urgency =
                self.pick(&["urgent", "hot", "ordinary", "ordinary", "ordinary", "ordinary"]);
            let handler = self.pick(&HANDLERS);
            let satisfied = if self.below(100) < 94 { "true" } else { "false" };
            writeln!(
                text,
                "T{nth:08},{},{community},{kind},{urgency},来电人{nth:05},{phone},{kind}（示例）,{handler},{},{}",
                received.format("%Y-%m-%dT%H:%M:%SZ"),
                if done { closed.format("%Y-%m-%dT%H:%M:%SZ").to_string() } else { String::new() },
                if done { satisfied } else { "" }
            )
            .expect("writing to a text does not fail");
        }
        text
    }

    fn readings(&mut self) -> String {
        let mut text = String::from("site,observed_at,pm25\n");
        for (site, level) in [("示例站甲", 62.0), ("示例站乙", 71.0), ("示例站丙", 55.0)]
        {
            let mut value: f64 = level;
            for hour in 0..READING_DAYS * 24 {
                let at = self.until - TimeDelta::hours(READING_DAYS * 24 - hour);
                let noise = f64::from(u32::try_from(self.below(2_001)).unwrap_or(0)) / 100.0 - 10.0;
                value = (value + (level - value) * 0.05 + noise * 0.6).clamp(3.0, 400.0);
                writeln!(text, "{site},{},{value:.0}", at.format("%Y-%m-%dT%H:%M:%SZ"))
                    .expect("writing to a text does not fail");
            }
        }
        text
    }
}
