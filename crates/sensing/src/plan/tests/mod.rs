//! Requests as SQL.

mod golden;
mod plans;

use chrono::{DateTime, Offset, Utc};

use super::{Context, Extras, Plan, Request, Result, plan};
use crate::odata::{QueryOptions, ResourcePath};
use crate::schema::SENSORTHINGS_1_1;

fn context() -> Context {
    Context {
        schema: &SENSORTHINGS_1_1,
        now: DateTime::<Utc>::from_timestamp(1_704_067_200, 0).unwrap(),
        zone: Utc.fix(),
        root: "https://city.example/sta/v1.1".to_owned(),
    }
}

/// Plans what stands in a URL behind the service's root. What cannot be read is the text of why.
fn planned<T>(
    url: &str,
    then: impl FnOnce(&Request<'_>, Result<Plan<'_>>) -> T,
) -> std::result::Result<T, String> {
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let path = ResourcePath::parse(&SENSORTHINGS_1_1, path).map_err(|fault| fault.to_string())?;
    let options = QueryOptions::parse(&SENSORTHINGS_1_1, path.target(), query)
        .map_err(|fault| fault.to_string())?;
    let extras = Extras::parse(query).map_err(|fault| fault.to_string())?;
    let request = Request { path: &path, options: &options, extras };
    let context = context();
    Ok(then(&request, plan(&request, &context)))
}
