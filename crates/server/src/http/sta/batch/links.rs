//! `$id`: what a request of a batch made, as later ones refer to it.

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::http::Uri;
use serde_json::Value;

use super::super::ROOT;
use crate::fault::{Code, Fault};

/// Characters of an id that a client gives a request.
const ID_CHARS_MAX: usize = 100;
/// The member that links to an entity.
const LINK: &str = "@iot.id";

/// What was made, by the id of the request that made it, as it stands below the root: `Things(5)`.
#[derive(Debug, Default)]
pub(super) struct Links(BTreeMap<String, String>);

impl Links {
    /// Notes what a request made, by its whole address.
    pub fn note(&mut self, id: &str, location: &str) {
        if let Some((_, path)) = location.split_once(&format!("{ROOT}/"))
            && (1..=ID_CHARS_MAX).contains(&id.chars().count())
        {
            self.0.insert(id.to_owned(), path.to_owned());
        }
    }

    /// What those made who failed is no more.
    pub fn forget<'i>(&mut self, ids: impl Iterator<Item = &'i str>) {
        for id in ids {
            self.0.remove(id);
        }
    }

    /// The address of a request below the root of the service: given whole, from the host's root,
    /// from the service's root, or from what an earlier request made.
    pub fn resolved(&self, url: &str) -> Result<Uri, Fault> {
        let wrong = || Fault::new(Code::Invalid, format!("`{url}` is no address below {ROOT}"));
        let below = match (url.strip_prefix('$'), url.find("://")) {
            (Some(reference), _) => {
                let end = reference.find(['/', '?']).unwrap_or(reference.len());
                let made = self.0.get(&reference[..end]);
                let made = made.map(|made| format!("{made}{}", &reference[end..]));
                // Not an id, such as `$batch`: it is nothing that there is.
                made.unwrap_or_else(|| url.to_owned())
            }
            (None, Some(scheme)) if !url[..scheme].contains(['/', '?', '(']) => {
                let path = url[scheme + 3..].find('/').map(|at| &url[scheme + 3 + at..]);
                below_root(path.ok_or_else(wrong)?).ok_or_else(wrong)?.to_owned()
            }
            _ if url.starts_with('/') => below_root(url).ok_or_else(wrong)?.to_owned(),
            _ => url.to_owned(),
        };
        encoded(&format!("{ROOT}/{}", self.filled(&below))).parse().map_err(|_| wrong())
    }

    /// `Things($thing)` with the id of what was made.
    fn filled(&self, path: &str) -> String {
        let Some((before, behind)) = path.split_once("($") else { return path.to_owned() };
        let made = behind.split_once(')').and_then(|(id, rest)| Some((self.0.get(id)?, rest)));
        match made.and_then(|(made, rest)| Some((key_of(made)?, rest))) {
            Some((key, rest)) => format!("{before}({key}){rest}"),
            None => path.to_owned(),
        }
    }

    /// A body with links to what was made.
    pub fn linked(&self, body: Bytes) -> Bytes {
        if self.0.is_empty() || !body.contains(&b'$') {
            return body;
        }
        let Ok(mut value) = serde_json::from_slice::<Value>(&body) else { return body };
        match self.put(&mut value) {
            true => Bytes::from(value.to_string()),
            false => body,
        }
    }

    /// Whether there was any. As deep as the JSON library reads.
    fn put(&self, value: &mut Value) -> bool {
        match value {
            Value::Array(items) => items.iter_mut().fold(false, |any, item| self.put(item) | any),
            Value::Object(members) => members.iter_mut().fold(false, |any, (name, member)| {
                let made = match member {
                    Value::String(text) if name == LINK => {
                        text.strip_prefix('$').and_then(|id| self.0.get(id))
                    }
                    _ => None,
                };
                match made.and_then(|made| id_of(made)) {
                    Some(id) => {
                        *member = id;
                        true
                    }
                    None => self.put(member) | any,
                }
            }),
            _ => false,
        }
    }
}

/// What stands behind the service's root.
fn below_root(path: &str) -> Option<&str> {
    let behind = path.strip_prefix(ROOT)?;
    behind.strip_prefix('/').or_else(|| behind.is_empty().then_some(""))
}

/// `5` of `Things(5)`.
fn key_of(made: &str) -> Option<&str> {
    made.split_once('(')?.1.strip_suffix(')')
}

/// The same as it stands in JSON.
fn id_of(made: &str) -> Option<Value> {
    let key = key_of(made)?;
    Some(match key.parse::<i64>() {
        Ok(id) => Value::from(id),
        Err(_) => Value::from(key.trim_matches('\'')),
    })
}

/// What people write into an address and no request may have.
fn encoded(url: &str) -> String {
    let mut out = String::with_capacity(url.len());
    for byte in url.bytes() {
        match byte {
            b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' | b'#' => {
                out.push_str(&format!("%{byte:02X}"));
            }
            byte if byte.is_ascii_graphic() => out.push(char::from(byte)),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn links() -> Links {
        let mut links = Links::default();
        links.note("t", "http://x.example/sta/v1.1/Things(5)");
        links.note("o", "http://x.example/sta/v1.1/Observations('5-10-0')");
        links
    }

    #[test]
    fn an_address_is_found_however_it_is_given() {
        let of = |url: &str| links().resolved(url).map(|uri| uri.to_string()).ok();
        for (url, expected) in [
            ("Things(1)", "/sta/v1.1/Things(1)"),
            ("/sta/v1.1/Things(1)?$top=1", "/sta/v1.1/Things(1)?$top=1"),
            ("http://h:8080/sta/v1.1/Things", "/sta/v1.1/Things"),
            ("$t/Datastreams", "/sta/v1.1/Things(5)/Datastreams"),
            ("$t", "/sta/v1.1/Things(5)"),
            ("$o", "/sta/v1.1/Observations('5-10-0')"),
            ("Things($t)/Locations", "/sta/v1.1/Things(5)/Locations"),
            ("Things?$filter=name eq '蜀'", "/sta/v1.1/Things?$filter=name%20eq%20'%E8%9C%80'"),
            ("Things?$filter=u eq 'http://a/b'", "/sta/v1.1/Things?$filter=u%20eq%20'http://a/b'"),
            ("$nobody", "/sta/v1.1/$nobody"),
            ("/sta/v1.1", "/sta/v1.1/"),
        ] {
            assert_eq!(of(url).as_deref(), Some(expected), "{url}");
        }
        for wrong in ["/api/sql", "http://h/other", "/v1.1/Things", "/sta/v1.10", "http://h"] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_body_links_to_what_was_made() {
        let body = json!({"name": "$t", "Thing": {"@iot.id": "$t"},
                          "list": [{"@iot.id": "$o"}, {"@iot.id": "$nobody"}]});
        let linked = links().linked(Bytes::from(body.to_string()));
        let expected = json!({"name": "$t", "Thing": {"@iot.id": 5},
                              "list": [{"@iot.id": "5-10-0"}, {"@iot.id": "$nobody"}]});
        assert_eq!(serde_json::from_slice::<Value>(&linked).unwrap(), expected);
        let other = Bytes::from_static(b"{ \"a\": \"$t\" }");
        assert_eq!(links().linked(other.clone()), other, "what links to nothing stays as it is");
        let mut forgotten = links();
        forgotten.forget(["t"].into_iter());
        assert_eq!(forgotten.resolved("$t").unwrap().path(), "/sta/v1.1/$t");
    }
}
