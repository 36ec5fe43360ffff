//! Batches as `multipart/mixed` (RFC 2046): read, and answered.
//!
//! Lines may end in CRLF or in LF alone, as people write them by hand. A part that is no request is
//! a fault in its place; a body that is no multipart at all is one of the whole batch.

use axum::body::Bytes;
use axum::http::Method;
use uuid::Uuid;

use super::{Answered, Inner, Part, Reply};
use crate::fault::{Code, Fault};

/// Characters of a boundary (RFC 2046, 5.1.1).
const BOUNDARY_CHARS_MAX: usize = 70;
/// Header lines of a part, or of the request in it.
const HEADERS_MAX: usize = 50;
/// Bytes of such a line, or of a request's first one.
const LINE_BYTES_MAX: usize = 32 << 10;

fn wrong(reason: impl Into<String>) -> Fault {
    Fault::new(Code::Invalid, reason)
}

/// The boundary of `multipart/mixed;boundary=…`.
pub(super) fn boundary(media: &str) -> Option<String> {
    let mut parameters = media.split(';');
    let kind = parameters.next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("multipart/mixed") {
        return None;
    }
    let (_, boundary) = parameters
        .filter_map(|parameter| parameter.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("boundary"))?;
    let boundary = boundary.trim().trim_matches('"');
    let fits = (1..=BOUNDARY_CHARS_MAX).contains(&boundary.len()) && boundary.is_ascii();
    fits.then(|| boundary.to_owned())
}

/// The parts of a batch.
pub(super) fn read(body: &[u8], boundary: &str) -> Result<Vec<Part>, Fault> {
    let parts = divided(body, boundary)?;
    Ok(parts.into_iter().map(part).collect())
}

fn part(text: &[u8]) -> Part {
    let one = |request| Part::One(Box::new(request));
    let (head, rest) = match Head::read(text) {
        Ok(read) => read,
        Err(fault) => return one(Err(fault)),
    };
    let Some(inner) = boundary(head.value("content-type").unwrap_or_default()) else {
        return one(request(&head, rest));
    };
    match divided(rest, &inner) {
        Ok(parts) => Part::Set(parts.into_iter().map(part_of_set).collect()),
        Err(fault) => one(Err(fault)),
    }
}

fn part_of_set(text: &[u8]) -> Result<Inner, Fault> {
    let (head, rest) = Head::read(text)?;
    request(&head, rest)
}

/// What stands between the delimiters.
fn divided<'b>(body: &'b [u8], boundary: &str) -> Result<Vec<&'b [u8]>, Fault> {
    let delimiter = format!("--{boundary}");
    let (mut parts, mut from, mut at) = (Vec::new(), None, 0);
    while at < body.len() {
        let end = line_end(body, at);
        let line = body[at..end].trim_ascii_end();
        if let Some(behind) = line.strip_prefix(delimiter.as_bytes())
            && (behind.is_empty() || behind == b"--")
        {
            // The line break before a delimiter is the delimiter's.
            parts.extend(from.map(|from: usize| without_break(&body[from..at.max(from)])));
            if behind == b"--" {
                return Ok(parts);
            }
            from = Some(end);
        }
        at = end;
    }
    match from {
        Some(_) => Err(wrong(format!("the last part is not ended by {delimiter}--"))),
        None => Err(wrong(format!("there is no part that begins with {delimiter}"))),
    }
}

/// Where the line that begins at a place ends, its break included.
fn line_end(text: &[u8], at: usize) -> usize {
    let length = text[at..].iter().position(|byte| *byte == b'\n');
    length.map_or(text.len(), |length| at + length + 1)
}

fn without_break(text: &[u8]) -> &[u8] {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    text.strip_suffix(b"\r").unwrap_or(text)
}

/// Header lines, by their names in small letters.
struct Head<'b>(Vec<(String, &'b str)>);

impl<'b> Head<'b> {
    /// The lines up to an empty one, and what stands behind it.
    fn read(text: &'b [u8]) -> Result<(Self, &'b [u8]), Fault> {
        let (mut lines, mut at) = (Vec::new(), 0);
        while at < text.len() {
            let end = line_end(text, at);
            let line = text_of(&text[at..end])?;
            at = end;
            if line.is_empty() {
                break;
            }
            let (name, value) = line
                .split_once(':')
                .ok_or_else(|| wrong(format!("`{}` is no header", cut(line))))?;
            if lines.len() == HEADERS_MAX {
                return Err(wrong(format!("more than {HEADERS_MAX} headers")));
            }
            lines.push((name.trim().to_ascii_lowercase(), value.trim()));
        }
        Ok((Self(lines), &text[at..]))
    }

    fn value(&self, name: &str) -> Option<&'b str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }
}

fn text_of(line: &[u8]) -> Result<&str, Fault> {
    if line.len() > LINE_BYTES_MAX {
        return Err(wrong(format!("a line of more than {LINE_BYTES_MAX} bytes")));
    }
    let line = std::str::from_utf8(line).map_err(|_| wrong("a line that is no UTF-8"))?;
    Ok(line.trim_end_matches(['\r', '\n']))
}

fn cut(text: &str) -> &str {
    const SHOWN_CHARS_MAX: usize = 40;
    text.char_indices().nth(SHOWN_CHARS_MAX).map_or(text, |(end, _)| &text[..end])
}

/// `POST Things HTTP/1.1`, headers, an empty line, a body.
fn request(part: &Head<'_>, text: &[u8]) -> Result<Inner, Fault> {
    let kind = part.value("content-type").unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/http") {
        let reason = "a part is application/http, or a change set as multipart/mixed";
        return Err(wrong(reason).hint(format!("it says `{}`", cut(kind))));
    }
    let mut at = 0;
    let mut first = "";
    while at < text.len() && first.is_empty() {
        let end = line_end(text, at);
        first = text_of(&text[at..end])?.trim();
        at = end;
    }
    let (method, url) = first
        .split_once(' ')
        .ok_or_else(|| wrong(format!("`{}` is no request: METHOD URL", cut(first))))?;
    let url = match url.rsplit_once(' ') {
        Some((url, version)) if version.starts_with("HTTP/") => url,
        _ => url,
    };
    let method = method.to_ascii_uppercase().parse::<Method>();
    let method = method.map_err(|_| wrong(format!("`{}` is no method", cut(first))))?;
    let (head, mut body) = Head::read(&text[at..])?;
    let length = head.value("content-length").and_then(|length| length.parse::<usize>().ok());
    if let Some(shorter) = length.and_then(|length| body.get(..length)) {
        body = shorter;
    }
    let id = part.value("content-id").or_else(|| head.value("content-id"));
    Ok(Inner {
        id: id.map(|id| id.trim_matches(['<', '>']).to_owned()),
        method,
        url: url.trim().to_owned(),
        media: head.value("content-type").map(str::to_owned),
        body: Bytes::copy_from_slice(body),
    })
}

/// The answer and its media type.
pub(super) fn written(answers: &[Answered]) -> (String, Vec<u8>) {
    let boundary = format!("batch_{}", Uuid::now_v7());
    let mut out = Vec::new();
    for answer in answers {
        out.extend_from_slice(format!("--{boundary}\r\n").as_bytes());
        match answer {
            Answered::One(reply) | Answered::Failed(reply, _) => push(&mut out, reply),
            Answered::Set(replies) => {
                let inner = format!("changeset_{}", Uuid::now_v7());
                let head = format!("Content-Type: multipart/mixed;boundary={inner}\r\n\r\n");
                out.extend_from_slice(head.as_bytes());
                for reply in replies {
                    out.extend_from_slice(format!("--{inner}\r\n").as_bytes());
                    push(&mut out, reply);
                }
                out.extend_from_slice(format!("--{inner}--\r\n").as_bytes());
            }
        }
    }
    out.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    (format!("multipart/mixed;boundary={boundary}"), out)
}

fn push(out: &mut Vec<u8>, reply: &Reply) {
    let mut head = String::new();
    line(&mut head, "Content-Type", "application/http");
    line(&mut head, "Content-Transfer-Encoding", "binary");
    if let Some(id) = &reply.id {
        line(&mut head, "Content-ID", id);
    }
    let reason = reply.status.canonical_reason().unwrap_or_default();
    for part in ["\r\nHTTP/1.1 ", reply.status.as_str(), " ", reason, "\r\n"] {
        head.push_str(part);
    }
    if let Some(media) = &reply.media {
        line(&mut head, "Content-Type", media);
    }
    if let Some(location) = &reply.location {
        line(&mut head, "Location", location);
    }
    line(&mut head, "Content-Length", &reply.body.len().to_string());
    head.push_str("\r\n");
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(&reply.body);
    out.extend_from_slice(b"\r\n");
}

/// A header. What came from a client goes into no second line.
fn line(head: &mut String, name: &str, value: &str) {
    let value = value.replace(['\r', '\n'], " ");
    for part in [name, ": ", &value, "\r\n"] {
        head.push_str(part);
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::*;

    const BATCH: &str = "--b\r\nContent-Type: application/http\r\n\
        Content-Transfer-Encoding: binary\r\n\r\n\
        GET Things(1)?$filter=name eq 'x' HTTP/1.1\r\nHost: localhost\r\n\r\n\r\n\
        --b\r\nContent-Type: multipart/mixed;boundary=s\r\n\r\n\
        --s\r\nContent-Type: application/http\r\nContent-ID: one\r\n\r\n\
        POST Things HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 8\r\n\r\n\
        {\"a\":1}\n\r\n\
        --s\r\nContent-Type: application/http\r\n\r\nDELETE /sta/v1.1/Things(2)\r\n\r\n\
        --s--\r\n--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n--b--\r\nepilogue";

    fn check(text: &str) {
        let parts = read(text.as_bytes(), "b").unwrap();
        let [Part::One(get), Part::Set(set), Part::One(odd)] = parts.as_slice() else {
            panic!("{parts:?}")
        };
        let get = get.as_ref().as_ref().unwrap();
        assert_eq!(
            (&get.method, get.url.as_str()),
            (&Method::GET, "Things(1)?$filter=name eq 'x'")
        );
        assert!(get.body.trim_ascii().is_empty());
        let [Ok(post), Ok(delete)] = set.as_slice() else { panic!("{set:?}") };
        assert_eq!((post.id.as_deref(), post.url.as_str()), (Some("one"), "Things"));
        assert_eq!(post.media.as_deref(), Some("application/json"));
        assert_eq!(post.body.trim_ascii(), b"{\"a\":1}");
        assert_eq!((&delete.method, delete.url.as_str()), (&Method::DELETE, "/sta/v1.1/Things(2)"));
        assert!(odd.is_err());
    }

    #[test]
    fn a_batch_is_read_with_either_line_break() {
        check(BATCH);
        check(&BATCH.replace("\r\n", "\n"));
    }

    #[test]
    fn what_is_no_batch_is_told() {
        for text in ["", "hello", "--c\r\n\r\n--c--", "--b\r\nContent-Type: application/http\r\n"] {
            assert_eq!(read(text.as_bytes(), "b").unwrap_err().code, Code::Invalid, "{text}");
        }
        for part in ["GET", "G(T Things", "GET Things HTTP/1.1\r\nno header"] {
            let text = format!("--b\r\nContent-Type: application/http\r\n\r\n{part}\r\n--b--");
            let parts = read(text.as_bytes(), "b").unwrap();
            let [Part::One(one)] = parts.as_slice() else { panic!("{parts:?}") };
            assert!(one.is_err(), "{part}");
        }
    }

    #[test]
    fn an_answer_reads_back_as_parts() {
        let reply = |status, body: &'static str| Reply {
            id: Some("one".to_owned()),
            status,
            media: Some("application/json".to_owned()),
            location: None,
            body: Bytes::from_static(body.as_bytes()),
        };
        let answers = [
            Answered::One(reply(StatusCode::OK, "{}")),
            Answered::Set(vec![reply(StatusCode::CREATED, "{\"x\":2}")]),
        ];
        let (media, text) = written(&answers);
        let parts = divided(&text, &boundary(&media).unwrap()).unwrap();
        assert_eq!(parts.len(), 2);
        let (head, rest) = Head::read(parts[0]).unwrap();
        assert_eq!(head.value("content-id"), Some("one"));
        assert!(rest.starts_with(b"HTTP/1.1 200 OK\r\n") && rest.ends_with(b"\r\n\r\n{}"));
        let (head, rest) = Head::read(parts[1]).unwrap();
        let inner = boundary(head.value("content-type").unwrap()).unwrap();
        assert_eq!(divided(rest, &inner).unwrap().len(), 1);
    }
}
