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
use pack::{AreaLevel, Text};
use registry::{NewToken, NewUser, RegistryError};
use server::http::doors::DemoLogin;
use tokio::task::spawn_blocking;

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

/// A login that everybody may use: its password is its name and `-of-shujin`.
struct Login {
    name: &'static str,
    organisation: &'static str,
    role: &'static str,
    /// None: the whole of what the organisation answers for.
    area: Option<&'static str>,
    zh: &'static str,
    en: &'static str,
}

const fn login(
    (name, organisation, role): (&'static str, &'static str, &'static str),
    zh: &'static str,
    en: &'static str,
) -> Login {
    Login { name, organisation, role, area: None, zh, en }
}

impl Login {
    const fn within(self, area: &'static str) -> Self {
        Self { area: Some(area), ..self }
    }

    fn password(&self) -> String {
        format!("{}-of-shujin", self.name)
    }
}

/// Demonstration logins, one for each role and a few more for what sharing is about; only `demo`
/// makes them.
const LOGINS: [Login; 19] = [
    login(("duty", "emergency", "duty_officer"), "市应急管理局值班长", "on duty for emergencies"),
    login(
        ("dispatch", "government_services", "dispatcher"),
        "热线分拨员",
        "passes hotline calls on",
    ),
    login(("grid", "jinjiang", "grid_worker"), "锦江区一街道的网格员", "walks a street's grids")
        .within("510104017000"),
    login(
        ("head", "ecology_environment", "department_head"),
        "市生态环境局负责人",
        "decides for ecology",
    ),
    login(
        ("planner", "planning_natural_resources", "planner"),
        "规划师",
        "plans land and facilities",
    ),
    login(("policy", "general_office", "policy_office"), "政策研究室", "asks what if"),
    login(("enterprise", "public", "enterprise"), "企业用户", "an enterprise, sees what is open"),
    login(("resident", "public", "resident"), "市民", "a resident, sees what is open"),
    login(("steward", "data", "data_steward"), "市数据局数据管家", "runs the catalogue"),
    login(
        ("police", "public_security", "data_steward"),
        "市公安局数据管家",
        "owns people.resident",
    ),
    login(
        ("market", "market_regulation", "data_steward"),
        "市市场监管局数据管家",
        "owns market.enterprise",
    ),
    login(("tax", "tax", "analyst"), "税务分析员", "sees enterprises with masks"),
    login(("health", "health", "analyst"), "卫生健康分析员", "has no grant for enterprises"),
    login(("jinjiang", "jinjiang", "district_officer"), "锦江区工作人员", "sees its own district")
        .within("510104000000"),
    login(("researcher", "statistics", "researcher"), "研究人员", "sees groups, never persons"),
    login(("reader", "transport", "reader"), "数据读者", "reads what is shared with all"),
    login(("admin", "data", "administrator"), "系统管理员", "runs the platform"),
    login(("security", "chengdu", "security_officer"), "安全管理员", "makes users, gives rights"),
    login(("auditor", "audit_office", "auditor"), "审计员", "reads the audit"),
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
    let (pack, folder) = (city.pack().clone(), scratch.to_owned());
    let made = spawn_blocking(move || synth::generate(&pack, &folder, options, &|_| {}));
    for (dataset, _) in made.await?? {
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
    rows: Vec<(&'static Login, String)>,
}

/// Makes the logins that are not there yet, and a new token for each.
pub async fn logins(city: &City) -> Result<Logins> {
    let registry = city.registry();
    let mut rows = Vec::new();
    for login in &LOGINS {
        if let Err(RegistryError::UnknownUser(_)) = registry.user(login.name).await {
            let user = NewUser {
                name: login.name.to_owned(),
                organisation: login.organisation.to_owned(),
                roles: vec![login.role.to_owned()],
                areas: login.area.map(str::to_owned).into_iter().collect(),
                password: Some(login.password()),
            };
            registry.create_user(OPERATOR, user, city.pack(), Utc::now()).await?;
        }
        let token = NewToken {
            user: login.name.to_owned(),
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
        for (login, token) in &self.rows {
            let (name, password, who) = (login.name, login.password(), login.en);
            writeln!(text, "{name:<12} {password:<21} {token:<48} {who}")
                .expect("writing to a text does not fail");
        }
        text
    }

    /// What the sign-in page offers.
    pub fn doors(&self) -> Vec<DemoLogin> {
        let login = |(login, _): &(&'static Login, String)| DemoLogin {
            user: login.name.to_owned(),
            password: login.password(),
            title: Text { zh: login.zh.to_owned(), en: login.en.to_owned() },
            role: login.role.to_owned(),
        };
        self.rows.iter().map(login).collect()
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
