//! What is wrong with the city's sensors, each thing once: a network or a gateway of which nothing
//! comes in any more is one finding, not one for each device behind it.

use std::collections::{BTreeMap, BTreeSet};

use catalog::Session;
use chrono::{DateTime, Utc};
use pack::Text;

use super::devices::{COLUMNS, Device, devices_of};
use super::{Conditions, DEVICE_STATE, THING, count_of, integer, itself, text};
use crate::sta::table::Table;
use crate::{City, CityError};

/// A network or a gateway of fewer devices is no finding of its own.
const TOGETHER_MIN: u64 = 3;
/// Networks and gateways that are looked at.
const GROUPS_MAX: usize = 100_000;
/// Findings of each sort.
const FINDINGS_MAX: usize = 500;
/// Silent networks and gateways whose devices are left out of the single ones. Behind as many,
/// some may be told of twice.
const GROUPS_LEFT_OUT_MAX: usize = 5_000;
/// Devices that are shown of a finding.
const SAMPLE_MAX: usize = 5;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FindingKind {
    Network,
    Gateway,
    Device,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    pub kind: FindingKind,
    /// The network's name, or the number of the gateway or the device.
    pub key: String,
    pub title: Text,
    /// Devices that are silent by it.
    pub devices: u64,
    /// When the last of them fell silent, µs since 1970.
    pub since_us: Option<i64>,
    /// Where it is one owner's.
    pub owner: Option<String>,
    /// The smallest area that holds them all, where there is one.
    pub area_code: Option<String>,
    pub sample: Vec<Device>,
}

#[derive(Debug)]
pub struct Findings {
    pub at: DateTime<Utc>,
    /// Networks first, then gateways, then devices; each with the newest first.
    pub findings: Vec<Finding>,
}

/// Devices that share a network and a gateway, or what is summed up of several such.
#[derive(Debug, Clone, Default, PartialEq)]
struct Group {
    network: Option<String>,
    gateway: Option<i64>,
    /// Devices that have ever sent something, and are not retired.
    heard: u64,
    silent: u64,
    since_us: Option<i64>,
    /// The first and the last owner and area by the alphabet.
    owners: Option<(String, String)>,
    areas: Option<(String, String)>,
}

fn widened(
    one: Option<(String, String)>,
    other: &Option<(String, String)>,
) -> Option<(String, String)> {
    match (one, other) {
        (Some((low, high)), Some((other_low, other_high))) => {
            Some((low.min(other_low.clone()), high.max(other_high.clone())))
        }
        (one, other) => one.or_else(|| other.clone()),
    }
}

impl Group {
    fn add(&mut self, other: &Self) {
        self.heard += other.heard;
        self.silent += other.silent;
        self.since_us = self.since_us.max(other.since_us);
        self.owners = widened(self.owners.take(), &other.owners);
        self.areas = widened(self.areas.take(), &other.areas);
    }

    /// Whether nothing comes in any more of all that did.
    fn is_silent(&self) -> bool {
        self.silent >= TOGETHER_MIN && self.silent == self.heard
    }

    fn finding(&self, kind: FindingKind, key: String) -> Finding {
        let owner = self.owners.as_ref().filter(|(low, high)| low == high);
        Finding {
            kind,
            title: itself(&key),
            key,
            devices: self.silent,
            since_us: self.since_us,
            owner: owner.map(|(owner, _)| owner.clone()),
            area_code: self.areas.as_ref().and_then(|(low, high)| common_area(low, high)),
            sample: Vec::new(),
        }
    }
}

/// The smallest area that both lie in, and so all between them.
fn common_area(low: &str, high: &str) -> Option<String> {
    const DIGITS: usize = pack::codes::AREA_CODE_DIGITS;
    const STEPS: [usize; 4] = [12, 9, 6, 4];
    if low == high {
        return Some(low.to_owned());
    }
    let common = low.bytes().zip(high.bytes()).take_while(|(a, b)| a == b).count();
    let end = STEPS.into_iter().find(|step| *step <= common)?;
    Some(format!("{:0<DIGITS$}", &low[..end]))
}

/// Silent networks, and silent gateways outside of them.
fn collapsed(groups: &[Group]) -> (BTreeMap<String, Group>, BTreeMap<i64, Group>) {
    let mut networks: BTreeMap<String, Group> = BTreeMap::new();
    let mut gateways: BTreeMap<i64, Group> = BTreeMap::new();
    for group in groups {
        if let Some(network) = &group.network {
            networks.entry(network.clone()).or_default().add(group);
        }
        if let Some(gateway) = group.gateway {
            gateways.entry(gateway).or_default().add(group);
        }
    }
    networks.retain(|_, network| network.is_silent());
    let within: BTreeSet<i64> = groups
        .iter()
        .filter(|group| group.network.as_ref().is_some_and(|name| networks.contains_key(name)))
        .filter_map(|group| group.gateway)
        .collect();
    // A gateway of a silent network is told of with it, where it serves no other.
    let elsewhere: BTreeSet<i64> = groups
        .iter()
        .filter(|group| group.silent > 0)
        .filter(|group| !group.network.as_ref().is_some_and(|name| networks.contains_key(name)))
        .filter_map(|group| group.gateway)
        .collect();
    let told = |gateway: &i64| within.contains(gateway) && !elsewhere.contains(gateway);
    gateways.retain(|gateway, group| group.is_silent() && !told(gateway));
    (networks, gateways)
}

fn newest_first(findings: &mut Vec<Finding>) {
    findings.sort_by(|a, b| b.since_us.cmp(&a.since_us).then_with(|| a.key.cmp(&b.key)));
    findings.truncate(FINDINGS_MAX);
}

fn group_of(table: &Table, row: usize) -> Group {
    Group {
        network: table.text("network", row).filter(|name| !name.is_empty()),
        gateway: table.integer("gateway", row),
        heard: count_of(table, "heard", row),
        silent: count_of(table, "silent", row),
        since_us: table.instant("since", row),
        owners: table.text("owner_low", row).zip(table.text("owner_high", row)),
        areas: table.text("area_low", row).zip(table.text("area_high", row)),
    }
}

impl City {
    /// What is wrong with the devices that the session sees.
    pub async fn findings(&self, session: &Session) -> Result<Findings, CityError> {
        let sql = format!(
            "SELECT network, TRY_CAST(gateway AS BIGINT) AS gateway, \
             count(CASE WHEN state IN ('connected', 'reporting', 'silent') THEN 1 END) AS heard, \
             count(CASE WHEN state = 'silent' THEN 1 END) AS silent, \
             max(CASE WHEN state = 'silent' THEN since END) AS since, \
             min(owner) AS owner_low, max(owner) AS owner_high, \
             min(area_code) AS area_low, max(area_code) AS area_high \
             FROM sensing.device_state \
             WHERE state <> 'retired' AND (network IS NOT NULL OR gateway IS NOT NULL) \
             GROUP BY 1, 2 LIMIT {GROUPS_MAX}"
        );
        let table = self.sensed(session, &[DEVICE_STATE], &sql, &[]).await?;
        let groups: Vec<Group> = (0..table.len()).map(|row| group_of(&table, row)).collect();
        let (networks, gateways) = collapsed(&groups);

        let of_network =
            |(key, group): (&String, &Group)| group.finding(FindingKind::Network, key.clone());
        let mut findings: Vec<Finding> = networks.iter().map(of_network).collect();
        newest_first(&mut findings);
        let of_gateway =
            |(key, group): (&i64, &Group)| group.finding(FindingKind::Gateway, key.to_string());
        let mut by_gateway: Vec<Finding> = gateways.iter().map(of_gateway).collect();
        newest_first(&mut by_gateway);
        let shown = |findings: &[Finding]| -> BTreeSet<String> {
            findings.iter().map(|finding| finding.key.clone()).collect()
        };
        let (names, numbers) = (shown(&findings), shown(&by_gateway));
        findings.extend(by_gateway);
        self.add_samples(session, &mut findings, &names, &numbers).await?;
        self.name_gateways(session, &mut findings).await?;
        findings.extend(self.silent_alone(session, &networks, &gateways).await?);
        Ok(Findings { at: Utc::now(), findings })
    }

    /// A few devices of each network and gateway.
    async fn add_samples(
        &self,
        session: &Session,
        findings: &mut [Finding],
        networks: &BTreeSet<String>,
        gateways: &BTreeSet<String>,
    ) -> Result<(), CityError> {
        for (column, kind, keys) in [
            ("network", FindingKind::Network, networks),
            ("TRY_CAST(gateway AS BIGINT)", FindingKind::Gateway, gateways),
        ] {
            let mut asked = Conditions::default();
            let values = keys.iter().map(|key| match kind {
                FindingKind::Gateway => integer(key.parse().unwrap_or_default()),
                _ => text(key),
            });
            asked.plain("state = 'silent'");
            asked.within(column, values);
            if keys.is_empty() {
                continue;
            }
            let sql = format!(
                "SELECT {COLUMNS} FROM (SELECT *, row_number() OVER (PARTITION BY {column} \
                 ORDER BY thing) AS place_in_line FROM sensing.device_state{}) AS silent \
                 WHERE place_in_line <= {SAMPLE_MAX} ORDER BY thing",
                asked.clause()
            );
            let table = self.sensed(session, &[DEVICE_STATE], &sql, &asked.params).await?;
            for device in devices_of(&table) {
                let key = match kind {
                    FindingKind::Gateway => device.gateway.map(|gateway| gateway.to_string()),
                    _ => device.network.clone(),
                };
                let own = findings
                    .iter_mut()
                    .find(|finding| finding.kind == kind && Some(&finding.key) == key.as_ref());
                if let Some(finding) = own {
                    finding.sample.push(device);
                }
            }
        }
        Ok(())
    }

    /// Gateways by their names, where they are Things that the session sees.
    async fn name_gateways(
        &self,
        session: &Session,
        findings: &mut [Finding],
    ) -> Result<(), CityError> {
        let gateways = findings.iter().filter(|finding| finding.kind == FindingKind::Gateway);
        let keys: Vec<i64> = gateways.filter_map(|finding| finding.key.parse().ok()).collect();
        let names = self.things_called(session, &keys).await?;
        for finding in findings.iter_mut().filter(|found| found.kind == FindingKind::Gateway) {
            let name = finding.key.parse().ok().and_then(|key: i64| names.get(&key));
            if let Some(name) = name {
                finding.title = itself(name);
            }
        }
        Ok(())
    }

    /// The names of Things, of those that the session sees.
    pub(super) async fn things_called(
        &self,
        session: &Session,
        things: &[i64],
    ) -> Result<BTreeMap<i64, String>, CityError> {
        if things.is_empty() {
            return Ok(BTreeMap::new());
        }
        let mut asked = Conditions::default();
        asked.within("id", things.iter().map(|thing| integer(*thing)));
        let sql = format!("SELECT id, name FROM sensing.thing{}", asked.clause());
        let table = self.sensed(session, &[THING], &sql, &asked.params).await?;
        let named = |row: usize| Some((table.integer("id", row)?, table.text("name", row)?));
        Ok((0..table.len()).filter_map(named).collect())
    }

    /// Silent devices of no silent network and no silent gateway.
    async fn silent_alone(
        &self,
        session: &Session,
        networks: &BTreeMap<String, Group>,
        gateways: &BTreeMap<i64, Group>,
    ) -> Result<Vec<Finding>, CityError> {
        let mut asked = Conditions::default();
        asked.plain("state = 'silent'");
        let kept = networks.keys().take(GROUPS_LEFT_OUT_MAX).map(|network| text(network));
        if !networks.is_empty() {
            asked.within("network", kept);
            negate_last(&mut asked, "network");
        }
        let kept = gateways.keys().take(GROUPS_LEFT_OUT_MAX).map(|gateway| integer(*gateway));
        if !gateways.is_empty() {
            asked.within("TRY_CAST(gateway AS BIGINT)", kept);
            negate_last(&mut asked, "gateway");
        }
        let sql = format!(
            "SELECT {COLUMNS} FROM sensing.device_state{} ORDER BY since DESC, thing \
             LIMIT {FINDINGS_MAX}",
            asked.clause()
        );
        let table = self.sensed(session, &[DEVICE_STATE], &sql, &asked.params).await?;
        let findings = devices_of(&table).into_iter().map(|device| Finding {
            kind: FindingKind::Device,
            key: device.thing.to_string(),
            title: itself(&device.name),
            devices: 1,
            since_us: device.since_us,
            owner: device.owner.clone(),
            area_code: device.area_code.clone(),
            sample: vec![device],
        });
        Ok(findings.collect())
    }
}

/// The last condition the other way about, true also where there is nothing to compare.
fn negate_last(asked: &mut Conditions, column: &str) {
    if let Some(last) = asked.all.last_mut() {
        *last = format!("({column} IS NULL OR NOT ({last}))");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(network: Option<&str>, gateway: Option<i64>, heard: u64, silent: u64) -> Group {
        Group {
            network: network.map(str::to_owned),
            gateway,
            heard,
            silent,
            since_us: Some(i64::try_from(silent).unwrap()),
            owners: Some(("water".into(), "water".into())),
            areas: Some(("510104017001".into(), "510104017002".into())),
        }
    }

    #[test]
    fn a_silent_network_is_one_finding() {
        let groups = [
            group(Some("lora"), Some(1), 2, 2),
            group(Some("lora"), Some(2), 5, 5),
            group(Some("cable"), Some(3), 4, 3),
            group(Some("few"), None, 2, 2),
            group(None, Some(4), 3, 3),
        ];
        let (networks, gateways) = collapsed(&groups);
        assert_eq!(networks.keys().collect::<Vec<_>>(), ["lora"]);
        assert_eq!(gateways.keys().collect::<Vec<_>>(), [&4], "those of lora are told of with it");
        let finding = networks["lora"].finding(FindingKind::Network, "lora".into());
        assert_eq!((finding.devices, finding.since_us), (7, Some(5)));
        assert_eq!(finding.owner.as_deref(), Some("water"));
        assert_eq!(finding.area_code.as_deref(), Some("510104017000"));
    }

    #[test]
    fn a_silent_gateway_of_a_network_that_lives_is_one_finding() {
        let groups = [group(Some("lora"), Some(1), 3, 3), group(Some("lora"), Some(2), 5, 0)];
        let (networks, gateways) = collapsed(&groups);
        assert!(networks.is_empty());
        assert_eq!(gateways.keys().collect::<Vec<_>>(), [&1]);
    }

    #[test]
    fn what_is_told_of_together_is_not_told_of_alone() {
        let mut asked = Conditions::default();
        asked.within("network", [text("lora")]);
        negate_last(&mut asked, "network");
        assert_eq!(asked.clause(), " WHERE (network IS NULL OR NOT (network IN ($1)))");
    }

    #[test]
    fn areas_have_the_area_above_in_common() {
        assert_eq!(common_area("510104017001", "510104018001").as_deref(), Some("510104000000"));
        assert_eq!(common_area("510104017001", "510185001001").as_deref(), Some("510100000000"));
        assert_eq!(common_area("510104017001", "110101001001"), None);
        assert_eq!(
            common_area("51010401700103", "51010401700103").as_deref(),
            Some("51010401700103")
        );
    }
}
