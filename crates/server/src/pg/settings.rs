//! A session's settings: what `SET` may set, what `SHOW` shows.
//!
//! Only names on this list exist. Most are there because clients set them on connecting and
//! would fail otherwise; those change nothing. The ones that matter: `TimeZone`,
//! `statement_timeout`, `application_name`, `shujin.as_of` and `shujin.scenario`.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use pgwire::error::PgWireResult;

use super::errors::state;
use crate::limits::STATEMENT_SECONDS_MAX;

/// The version that clients see. Catalogue queries of psql and drivers depend on it.
pub const SERVER_VERSION: &str = "15.0";
pub const SERVER_VERSION_NUMBER: &str = "150000";

/// Characters of any setting's value.
const VALUE_CHARS_MAX: usize = 1_000;

/// How a value is checked.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// Cannot be changed.
    Fixed,
    /// Any text; kept for `SHOW`.
    Text,
    /// One of these, without regard to case; kept for `SHOW`.
    OneOf(&'static [&'static str]),
    Zone,
    /// Milliseconds, or a number with a unit.
    Duration,
    AsOf,
    Scenario,
}

/// Name, default, kind. In order of name without regard to case.
const SETTINGS: &[(&str, &str, Kind)] = &[
    ("application_name", "", Kind::Text),
    ("bytea_output", "hex", Kind::OneOf(&["hex", "escape"])),
    ("client_encoding", "UTF8", Kind::OneOf(&["utf8", "utf-8", "unicode"])),
    ("client_min_messages", "notice", Kind::Text),
    ("DateStyle", "ISO, YMD", Kind::OneOf(&["iso", "iso, ymd", "iso, mdy", "iso, dmy"])),
    ("default_transaction_isolation", "repeatable read", Kind::Text),
    ("default_transaction_read_only", "on", Kind::Text),
    ("extra_float_digits", "1", Kind::OneOf(&["0", "1", "2", "3"])),
    ("idle_in_transaction_session_timeout", "0", Kind::Text),
    ("in_hot_standby", "off", Kind::Fixed),
    ("integer_datetimes", "on", Kind::Fixed),
    ("IntervalStyle", "postgres", Kind::OneOf(&["postgres", "iso_8601", "sql_standard"])),
    ("is_superuser", "off", Kind::Fixed),
    ("jit", "off", Kind::Text),
    ("lc_collate", "C.UTF-8", Kind::Fixed),
    ("lc_ctype", "C.UTF-8", Kind::Fixed),
    ("lc_messages", "C.UTF-8", Kind::Text),
    ("lc_monetary", "C.UTF-8", Kind::Text),
    ("lock_timeout", "0", Kind::Text),
    ("max_identifier_length", "63", Kind::Fixed),
    ("max_index_keys", "32", Kind::Fixed),
    ("row_security", "on", Kind::Fixed),
    ("search_path", "\"$user\", public", Kind::Text),
    ("server_encoding", "UTF8", Kind::Fixed),
    ("server_version", SERVER_VERSION, Kind::Fixed),
    ("server_version_num", SERVER_VERSION_NUMBER, Kind::Fixed),
    ("session_authorization", "", Kind::Fixed),
    ("shujin.as_of", "", Kind::AsOf),
    ("shujin.scenario", "", Kind::Scenario),
    ("standard_conforming_strings", "on", Kind::OneOf(&["on", "true"])),
    ("statement_timeout", "0", Kind::Duration),
    ("synchronize_seqscans", "off", Kind::Text),
    ("TimeZone", "UTC", Kind::Zone),
    ("transaction_isolation", "repeatable read", Kind::Text),
    ("transaction_read_only", "on", Kind::Text),
];

/// Settings whose change the client is told of (`ParameterStatus`).
pub const REPORTED: &[&str] = &[
    "application_name",
    "client_encoding",
    "DateStyle",
    "default_transaction_read_only",
    "in_hot_standby",
    "integer_datetimes",
    "IntervalStyle",
    "is_superuser",
    "server_encoding",
    "server_version",
    "session_authorization",
    "standard_conforming_strings",
    "TimeZone",
];

/// One session's values: the defaults, and what the session set.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    values: BTreeMap<&'static str, String>,
    /// What `RESET` goes back to where it is not the list's default.
    starts: BTreeMap<&'static str, String>,
    as_of: Option<DateTime<Utc>>,
}

fn find(name: &str) -> Option<&'static (&'static str, &'static str, Kind)> {
    SETTINGS.iter().find(|(known, _, _)| known.eq_ignore_ascii_case(name))
}

fn unknown(name: &str) -> pgwire::error::PgWireError {
    state("42704", format!("unrecognized configuration parameter \"{name}\""))
}

impl Settings {
    pub fn new(user: &str, zone: &str) -> Self {
        let starts = BTreeMap::from([
            ("session_authorization", user.to_owned()),
            ("TimeZone", zone.to_owned()),
        ]);
        Self { values: BTreeMap::new(), starts, as_of: None }
    }

    /// The value that `SHOW` shows, with the setting's own spelling of its name.
    pub fn show(&self, name: &str) -> PgWireResult<(&'static str, String)> {
        let (name, default, _) = find(name).ok_or_else(|| unknown(name))?;
        let value = self.values.get(name).or_else(|| self.starts.get(name));
        Ok((name, value.cloned().unwrap_or_else(|| (*default).to_owned())))
    }

    pub fn get(&self, name: &'static str) -> String {
        self.show(name).map(|(_, value)| value).unwrap_or_default()
    }

    pub fn all(&self) -> Vec<(&'static str, String)> {
        SETTINGS.iter().map(|(name, _, _)| (*name, self.get(name))).collect()
    }

    /// Sets a value, or refuses it with the reason. `None` goes back to the default. Answers the
    /// name in the setting's own spelling.
    pub fn set(&mut self, name: &str, value: Option<&str>) -> PgWireResult<&'static str> {
        let (name, _, kind) = find(name).ok_or_else(|| unknown(name))?;
        let Some(value) = value else {
            if !matches!(kind, Kind::Fixed) {
                self.values.remove(name);
                if matches!(kind, Kind::AsOf) {
                    self.as_of = None;
                }
            }
            return Ok(name);
        };
        if value.chars().count() > VALUE_CHARS_MAX {
            return Err(invalid(name, "that long a value"));
        }
        let value = match kind {
            Kind::Fixed if self.get(name).eq_ignore_ascii_case(value) => return Ok(name),
            Kind::Fixed => {
                return Err(state("55P02", format!("parameter \"{name}\" cannot be changed")));
            }
            Kind::Text | Kind::Scenario => value.to_owned(),
            Kind::OneOf(allowed) => {
                let known = allowed.iter().any(|one| one.eq_ignore_ascii_case(value));
                known.then(|| value.to_owned()).ok_or_else(|| invalid(name, value))?
            }
            Kind::Zone => zone(value).ok_or_else(|| invalid(name, value))?,
            Kind::Duration => {
                duration(value).ok_or_else(|| invalid(name, value))?;
                value.to_owned()
            }
            Kind::AsOf => {
                self.as_of = match value.trim() {
                    "" => None,
                    text => Some(moment(text).ok_or_else(|| {
                        state(
                            "22007",
                            format!(
                                "\"{text}\" is not a moment: write 2020-01-31, or \
                                 2020-01-31T08:00:00Z"
                            ),
                        )
                    })?),
                };
                value.to_owned()
            }
        };
        self.values.insert(name, value);
        Ok(name)
    }

    /// `RESET ALL`, `DISCARD ALL`.
    pub fn reset(&mut self) {
        self.values.clear();
        self.as_of = None;
    }

    pub fn as_of(&self) -> Option<DateTime<Utc>> {
        self.as_of
    }

    pub fn scenario(&self) -> Option<String> {
        Some(self.get("shujin.scenario")).filter(|name| !name.is_empty())
    }

    /// The deadline of the next statement: the session's, never longer than the server's.
    pub fn deadline(&self) -> Duration {
        let server = Duration::from_secs(STATEMENT_SECONDS_MAX);
        match duration(&self.get("statement_timeout")) {
            Some(asked) if !asked.is_zero() => asked.min(server),
            _ => server,
        }
    }
}

fn invalid(name: &str, value: &str) -> pgwire::error::PgWireError {
    state("22023", format!("invalid value for parameter \"{name}\": \"{value}\""))
}

/// An IANA zone or a fixed offset that Arrow can show times in.
fn zone(value: &str) -> Option<String> {
    let value = value.trim();
    // PostgreSQL counts a bare number in hours east of Greenwich.
    if let Ok(hours) = value.parse::<i32>() {
        return (-14..=14).contains(&hours).then(|| format!("{hours:+03}:00"));
    }
    let name = if value.eq_ignore_ascii_case("utc") { "UTC" } else { value };
    name.parse::<arrow::array::timezone::Tz>().is_ok().then(|| name.to_owned())
}

fn duration(value: &str) -> Option<Duration> {
    let value = value.trim();
    let digits = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
    let (number, unit) = value.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let ms = match unit.trim() {
        "" | "ms" => 1,
        "s" => 1_000,
        "min" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    number.checked_mul(ms).map(Duration::from_millis)
}

/// A moment: RFC 3339, or a date or local-looking time read as UTC.
pub fn moment(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
        return Some(moment.with_timezone(&Utc));
    }
    for format in ["%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%d %H:%M%#z"] {
        if let Ok(moment) = DateTime::parse_from_str(text, format) {
            return Some(moment.with_timezone(&Utc));
        }
    }
    for format in ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M"] {
        if let Ok(moment) = NaiveDateTime::parse_from_str(text, format) {
            return Some(moment.and_utc());
        }
    }
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    Some(date.and_hms_opt(0, 0, 0)?.and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_in_order_and_its_defaults_are_allowed() {
        let names: Vec<_> = SETTINGS.iter().map(|(n, _, _)| n.to_ascii_lowercase()).collect();
        assert!(names.is_sorted(), "{names:?}");
        let mut settings = Settings::new("chen", "Asia/Shanghai");
        for (name, default, kind) in SETTINGS {
            if !matches!(kind, Kind::Fixed) {
                settings.set(name, Some(default)).unwrap_or_else(|e| panic!("{name}: {e}"));
            }
        }
        for name in REPORTED {
            assert!(find(name).is_some(), "{name}");
        }
    }

    #[test]
    fn values_are_checked() {
        let mut settings = Settings::new("chen", "Asia/Shanghai");
        assert_eq!(settings.get("TimeZone"), "Asia/Shanghai");
        for (name, value) in [
            ("client_encoding", "GBK"),
            ("TimeZone", "Mars/Olympus"),
            ("statement_timeout", "soon"),
            ("shujin.as_of", "yesterday"),
            ("server_version", "99"),
            ("no_such_setting", "1"),
        ] {
            assert!(settings.set(name, Some(value)).is_err(), "{name} = {value}");
        }
        assert_eq!(settings.set("timezone", Some("8")).unwrap(), "TimeZone");
        assert_eq!(settings.get("TimeZone"), "+08:00");
        settings.set("TimeZone", None).unwrap();
        assert_eq!(settings.get("TimeZone"), "Asia/Shanghai");
    }

    #[test]
    fn a_statement_never_runs_longer_than_the_server_allows() {
        let mut settings = Settings::new("chen", "UTC");
        settings.set("statement_timeout", Some("1500")).unwrap();
        assert_eq!(settings.deadline(), Duration::from_millis(1_500));
        settings.set("statement_timeout", Some("24h")).unwrap();
        assert_eq!(settings.deadline(), Duration::from_secs(STATEMENT_SECONDS_MAX));
    }

    #[test]
    fn moments_are_read_in_the_forms_people_write() {
        for text in [
            "2020-01-31T08:00:00+08:00",
            "2020-01-31T00:00:00Z",
            "2020-01-31 08:00:00+08",
            "2020-01-31 00:00",
            "2020-01-31",
        ] {
            let expected = "2020-01-31T00:00:00Z".parse::<DateTime<Utc>>().unwrap();
            assert_eq!(moment(text), Some(expected), "{text}");
        }
    }
}
