//! Batches as JSON (OData JSON format 4.01, 19): `{"requests":[…]}` in, `{"responses":[…]}` out.

use axum::body::Bytes;
use axum::http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::{Answered, Inner, Part, Reply};
use crate::fault::{Code, Fault};

#[derive(Deserialize)]
struct Batch<'b> {
    #[serde(borrow)]
    requests: Vec<Item<'b>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item<'b> {
    id: Option<String>,
    /// Requests of one group that stand together are a change set.
    atomicity_group: Option<String>,
    method: String,
    url: String,
    #[serde(default)]
    headers: Map<String, Value>,
    /// As it stands there: the handlers read it.
    #[serde(borrow)]
    body: Option<&'b RawValue>,
}

/// The parts of a batch.
pub(super) fn read(body: &[u8]) -> Result<Vec<Part>, Fault> {
    let batch: Batch<'_> = serde_json::from_slice(body)
        .map_err(|cause| Fault::new(Code::Invalid, format!("no batch in JSON: {cause}")))?;
    let mut parts: Vec<Part> = Vec::new();
    let mut group: Option<String> = None;
    for item in batch.requests {
        let of = item.atomicity_group.clone();
        let (joins, begins) = (of.is_some() && group == of, of.is_some());
        let request = request(item);
        match parts.last_mut() {
            Some(Part::Set(set)) if joins => set.push(request),
            _ if begins => parts.push(Part::Set(vec![request])),
            _ => parts.push(Part::One(Box::new(request))),
        }
        group = of;
    }
    Ok(parts)
}

fn request(item: Item<'_>) -> Result<Inner, Fault> {
    let method = item.method.to_ascii_uppercase().parse::<Method>();
    let method =
        method.map_err(|_| Fault::new(Code::Invalid, "a request whose method is no method"))?;
    let media = item.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    Ok(Inner {
        id: item.id,
        method,
        url: item.url,
        media: media.and_then(|(_, media)| media.as_str()).map(str::to_owned),
        body: item.body.map_or_else(Bytes::new, |body| Bytes::from(body.get().to_owned())),
    })
}

/// The answer: to each request one, also of a change set that failed.
pub(super) fn written(answers: &[Answered]) -> Vec<u8> {
    let mut responses: Vec<Value> = Vec::new();
    for answer in answers {
        match answer {
            Answered::One(reply) => responses.push(response(reply)),
            Answered::Set(replies) => responses.extend(replies.iter().map(response)),
            Answered::Failed(reply, others) => {
                responses.push(response(reply));
                let status = StatusCode::FAILED_DEPENDENCY.as_u16();
                responses.extend(others.iter().map(|id| json!({ "id": id, "status": status })));
            }
        }
    }
    json!({ "responses": responses }).to_string().into_bytes()
}

fn response(reply: &Reply) -> Value {
    let mut headers = Map::new();
    let given = [("content-type", &reply.media), ("location", &reply.location)];
    for (name, value) in given {
        headers.extend(value.clone().map(|value| (name.to_owned(), Value::from(value))));
    }
    let body = match serde_json::from_slice(&reply.body) {
        Ok(body) => body,
        Err(_) if reply.body.is_empty() => Value::Null,
        Err(_) => Value::from(String::from_utf8_lossy(&reply.body)),
    };
    let (id, status) = (&reply.id, reply.status.as_u16());
    json!({ "id": id, "status": status, "headers": headers, "body": body })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_of_one_group_that_stand_together_are_a_change_set() {
        let batch = json!({"requests": [
            {"id": "0", "method": "get", "url": "Things"},
            {"id": "1", "method": "post", "url": "Things", "atomicityGroup": "a", "body": {"x": 1}},
            {"id": "2", "method": "patch", "url": "$1", "atomicityGroup": "a",
             "headers": {"Content-Type": "application/json-patch+json"}, "body": []},
            {"id": "3", "method": "delete", "url": "Things(1)", "atomicityGroup": "b"},
        ]});
        let parts = read(batch.to_string().as_bytes()).unwrap();
        let [Part::One(get), Part::Set(two), Part::Set(one)] = parts.as_slice() else {
            panic!("{parts:?}")
        };
        assert_eq!(get.as_ref().as_ref().unwrap().method, Method::GET);
        let [Ok(post), Ok(patch)] = two.as_slice() else { panic!("{two:?}") };
        assert_eq!(post.body, "{\"x\":1}");
        assert_eq!(patch.media.as_deref(), Some("application/json-patch+json"));
        assert_eq!(one.len(), 1);
        assert!(read(b"{}").is_err() && read(b"[]").is_err());
    }

    #[test]
    fn a_change_set_that_failed_answers_for_each_of_its_requests() {
        let reply = Reply {
            id: Some("2".to_owned()),
            status: StatusCode::NOT_FOUND,
            media: None,
            location: None,
            body: Bytes::from_static(b"gone"),
        };
        let failed = Answered::Failed(reply, vec![Some("1".to_owned())]);
        let text: Value = serde_json::from_slice(&written(&[failed])).unwrap();
        let statuses: Vec<_> = text["responses"].as_array().unwrap().iter().collect();
        assert_eq!(statuses[0]["status"], 404);
        assert_eq!(statuses[0]["body"], "gone");
        assert_eq!((&statuses[1]["id"], &statuses[1]["status"]), (&json!("1"), &json!(424)));
    }
}
