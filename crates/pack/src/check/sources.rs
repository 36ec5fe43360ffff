//! Sources of devices: what they name is there, units become each other, addresses are ones that
//! may be asked, and no topic has two readers.

use std::net::IpAddr;

use url::{Host, Url};

use super::{Names, plain_name, unique};
use crate::diagnostics::Diagnostic;
use crate::load::{Draft, Sited};
use crate::mapped::units::{self, Conversion};
use crate::mapped::{
    Arrival, Column, Duplicate, Find, Form, HeaderText, Poll, Reading, ReadingKind, Source,
    StreamBy, TimeRule, is_link_local,
};

/// Sources of a city.
const SOURCES_MAX: usize = 256;
/// Readings of one record.
const READINGS_MAX: usize = 256;
/// Headers that a request is given.
const HEADERS_MAX: usize = 16;
/// Headers that are the client's own.
const OWN_HEADERS: [&str; 8] = [
    "host",
    "connection",
    "content-length",
    "transfer-encoding",
    "if-none-match",
    "if-modified-since",
    "upgrade",
    "te",
];

pub(super) fn check(draft: &Draft, names: &Names<'_>) {
    let sources = &draft.sources;
    unique("source", sources.iter().map(|s| (s.value.id.as_str(), s.sites.place("id"))), names);
    if let Some(beyond) = sources.get(SOURCES_MAX) {
        names.fault(
            Diagnostic::new(beyond.sites.place("id"), "too many sources")
                .expected(format!("at most {SOURCES_MAX}"))
                .found(sources.len().to_string()),
        );
    }
    for (index, source) in sources.iter().enumerate() {
        let Sited { value, sites, .. } = source;
        if !value.id.is_empty() && !plain_name(&value.id) {
            names.fault(
                Diagnostic::new(sites.place("id"), "bad source id")
                    .expected("small letters, digits and `_`"),
            );
        }
        names.organisation(&value.owner, || sites.place("owner"));
        if !source.sound {
            continue;
        }
        if let Arrival::Poll(poll) = &value.arrival {
            address(poll, source, names);
            headers(poll, source, names);
        }
        finds(source, names);
        readings(source, names);
        overlap(&sources[..index], source, names);
    }
}

/// Two sources that take one topic: which of them would be chance.
fn overlap(before: &[Sited<Source>], source: &Sited<Source>, names: &Names<'_>) {
    let Some(topic) = source.value.topic() else { return };
    let met = before.iter().filter(|other| other.sound).find_map(|other| {
        let other_topic = other.value.topic()?;
        topic.meets(other_topic).then_some((other, other_topic))
    });
    if let Some((other, other_topic)) = met {
        names.fault(
            Diagnostic::new(source.sites.place("mqtt.topic"), "two sources take one topic")
                .found(format!("`{topic}` here, `{other_topic}` in {}", other.value.id))
                .mend("have them differ in a level that is written out"),
        );
    }
}

fn address(poll: &Poll, source: &Sited<Source>, names: &Names<'_>) {
    let place = || source.sites.place("poll.url");
    let fault = |problem: &str, expected: &str| {
        names.fault(Diagnostic::new(place(), problem).expected(expected));
    };
    let Ok(url) = Url::parse(&poll.url) else {
        return fault("bad address", "one such as http://gauges.example.org/latest.json");
    };
    if !matches!(url.scheme(), "http" | "https") {
        fault("an address of another kind", "http or https");
    }
    if !url.username().is_empty() || url.password().is_some() {
        names.fault(
            Diagnostic::new(place(), "a user in the address")
                .mend("name a file of secrets in `headers`: a pack is read by many"),
        );
    }
    let of_the_link = match url.host() {
        Some(Host::Ipv4(ip)) => is_link_local(IpAddr::V4(ip)),
        Some(Host::Ipv6(ip)) => is_link_local(IpAddr::V6(ip)),
        _ => false,
    };
    if of_the_link && !poll.link_local {
        names.fault(
            Diagnostic::new(place(), "an address of the link alone")
                .mend("write `link_local = true` where that is meant"),
        );
    }
    if poll.timeout_s > poll.every_s.max(1) {
        names.fault(
            Diagnostic::new(
                source.sites.place("poll.timeout_s"),
                "it is asked again before it could answer",
            )
            .expected(format!("at most `every_s`, {}", poll.every_s))
            .found(poll.timeout_s.to_string()),
        );
    }
}

fn headers(poll: &Poll, source: &Sited<Source>, names: &Names<'_>) {
    if poll.headers.len() > HEADERS_MAX {
        names.fault(
            Diagnostic::new(source.sites.place("poll.headers"), "too many headers")
                .expected(format!("at most {HEADERS_MAX}")),
        );
    }
    for header in &poll.headers {
        let place = source.sites.place(&format!("poll.headers.{}", header.name));
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if header.name.is_empty() || !header.name.bytes().all(is_token) {
            names.fault(
                Diagnostic::new(place.clone(), "bad name of a header")
                    .expected("letters, digits and `-`")
                    .found(format!("`{}`", header.name)),
            );
        }
        if OWN_HEADERS.contains(&header.name.to_ascii_lowercase().as_str()) {
            names.fault(
                Diagnostic::new(place.clone(), format!("`{}` is the client's own", header.name))
                    .mend("leave it out"),
            );
        }
        match &header.value {
            HeaderText::Secret { file, .. } if !is_file_name(file) => names.fault(
                Diagnostic::new(place, "bad name of a secret")
                    .expected("the name of a file: letters, digits, `-`, `_` and `.`")
                    .found(format!("`{file}`")),
            ),
            HeaderText::Plain(_) if is_secret(&header.name) => names.fault(
                Diagnostic::new(place, "a secret in the pack")
                    .mend("write `{ secret = \"FILE\" }`, and serve with --source-secrets DIR"),
            ),
            HeaderText::Plain(text) | HeaderText::Secret { prefix: text, .. }
                if text.chars().any(char::is_control) || !text.is_ascii() =>
            {
                names.fault(Diagnostic::new(place, "a header is plain ASCII"));
            }
            _ => {}
        }
    }
}

/// A file right in the folder of secrets.
fn is_file_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !name.starts_with('.') && !name.is_empty() && name.bytes().all(is_plain)
}

/// Headers whose values nobody should read in a pack.
fn is_secret(header: &str) -> bool {
    let header = header.to_ascii_lowercase();
    matches!(header.as_str(), "authorization" | "proxy-authorization" | "cookie")
        || ["token", "secret", "key", "password"].iter().any(|word| header.contains(word))
}

/// Each value is looked for where messages of this form have one.
fn finds(source: &Sited<Source>, names: &Names<'_>) {
    let value = &source.value;
    at(&value.device, "device", source, names);
    if let TimeRule::Said { find, .. } = &value.time {
        at(find, "time", source, names);
    }
    if let Duplicate::Sequence(find) = &value.duplicate {
        at(find, "duplicate", source, names);
    }
    for (index, reading) in value.readings.iter().enumerate() {
        at(&reading.find, &format!("reading.{index}"), source, names);
    }
}

fn at(find: &Find, path: &str, source: &Sited<Source>, names: &Names<'_>) {
    let place = || source.sites.place(path);
    match (find, &source.value.form) {
        (Find::Path(_) | Find::Around(_), Form::Csv { .. }) => names
            .fault(Diagnostic::new(place(), "CSV has no paths").expected("column, topic or fixed")),
        (Find::Column(_), Form::Json { .. }) => names.fault(
            Diagnostic::new(place(), "JSON has no columns").expected("path, topic or fixed"),
        ),
        (Find::Column(Column::Name(name)), Form::Csv { header: false, columns, .. })
            if !columns.contains(name) =>
        {
            names.fault(
                Diagnostic::new(place(), format!("no column `{name}`"))
                    .suggest(name, columns.iter().map(String::as_str)),
            );
        }
        (Find::Topic(level), _) => {
            let topic = source.value.topic();
            let named: Vec<&str> = topic.map(|topic| topic.names().collect()).unwrap_or_default();
            if !named.contains(&level.as_str()) {
                names.fault(
                    Diagnostic::new(place(), format!("no level `{level}` of the topic"))
                        .suggest(level, named),
                );
            }
        }
        _ => {}
    }
}

fn readings(source: &Sited<Source>, names: &Names<'_>) {
    let readings = &source.value.readings;
    if readings.len() > READINGS_MAX {
        names.fault(
            Diagnostic::new(source.sites.place("reading"), "too many readings of one record")
                .expected(format!("at most {READINGS_MAX}"))
                .found(readings.len().to_string()),
        );
    }
    let keyed = readings.iter().enumerate().filter_map(|(index, reading)| match &reading.stream {
        StreamBy::Key(key) => {
            Some((key.as_str(), source.sites.place(&format!("reading.{index}.key"))))
        }
        StreamBy::Id(_) => None,
    });
    unique("key of a reading", keyed, names);
    for (index, reading) in readings.iter().enumerate() {
        unit(reading, index, source, names);
    }
}

fn unit(reading: &Reading, index: usize, source: &Sited<Source>, names: &Names<'_>) {
    let place = |key: &str| source.sites.place(&format!("reading.{index}.{key}"));
    let Some(from) = &reading.unit else {
        if reading.to.is_some() {
            names.fault(
                Diagnostic::new(place("to"), "a unit to become, and none to come from")
                    .mend("say in `unit` what the readings come in"),
            );
        }
        return;
    };
    if reading.kind != ReadingKind::Number {
        names.fault(
            Diagnostic::new(place("unit"), "what is no number has no unit")
                .mend("leave out `unit`, or write `kind = \"number\"`"),
        );
    }
    for (key, unit) in [("unit", Some(from)), ("to", reading.to.as_ref())] {
        let Some(unit) = unit else { continue };
        if !units::is_known(unit) {
            names.fault(
                Diagnostic::new(place(key), format!("unknown unit `{unit}`"))
                    .suggest(unit, units::codes()),
            );
            return;
        }
    }
    if let Some(to) = &reading.to
        && let Err(fault) = Conversion::of(from, to)
    {
        names.fault(Diagnostic::new(place("to"), fault.to_string()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_files_of_their_folder() {
        assert!(is_file_name("water-token.txt"));
        for wrong in ["", ".", "..", "../x", "a/b", ".hidden", "名"] {
            assert!(!is_file_name(wrong), "{wrong}");
        }
        assert!(is_secret("X-Api-Key") && is_secret("Authorization") && !is_secret("Accept"));
    }
}
