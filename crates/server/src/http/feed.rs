//! Files in, and the city's copy out: what the command line does with `--server`.

use std::path::{Path as FsPath, PathBuf};
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use city::{BackupReport, City, ImportRequest, ImportSummary, Scratch};
use futures::TryStreamExt;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tracing::Instrument as _;
use utoipa::{IntoParams, ToSchema};

use super::datasets::knowledge_of;
use super::input::{Asked, Input, Named, Who};
use super::problem::Problem;
use super::{FIGURES, Http};
use crate::fault::{Code, Fault};
use crate::limits::{IMPORT_SHUTDOWN_SECONDS_MAX, SHUTDOWN_SECONDS_MAX, seconds};
use crate::stopped;

/// A larger file is imported by the command line, next to the data.
pub const IMPORT_BYTES_MAX: u64 = 4 << 30;
/// Files that come in at once: each may lie on the disk whole until it is read.
pub const UPLOADS_MAX: usize = 8;
/// Characters of a file's name.
const NAME_CHARS_MAX: usize = 200;

/// What the file is.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ImportQuery {
    /// The file's name; its ending tells the format.
    file: String,
    /// Text encoding, where it is not found out.
    encoding: Option<String>,
    /// The file's coordinates: `wgs84`, `gcj02`, `bd09` or `cgcs2000`.
    crs: Option<String>,
    /// Texts that mean “no value”, beside the usual ones, one a line.
    null: Option<String>,
    /// Column separator of a CSV file.
    separator: Option<String>,
    /// Sheet of an Excel file, by name; the first where it is left out.
    sheet: Option<String>,
}

/// What became of the rows.
#[derive(Debug, Serialize, ToSchema)]
pub struct Imported {
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub summary: ImportSummary,
}

/// Takes a file, the request's body, into a dataset that one answers for. Each row is taken,
/// unchanged or in quarantine; the same file again changes nothing that nobody else has changed
/// since. Once all of the file is here it is taken to its end, whether or not anybody waits for
/// the answer.
#[utoipa::path(
    post, path = "/api/datasets/{id}/import", tag = "steward", security(("token" = [])),
    params(("id" = String, Path), ImportQuery),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, body = Imported), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem), (status = 413, body = Problem))
)]
pub async fn import(
    State(http): State<Arc<Http>>,
    who: Who,
    Named(id): Named<String>,
    Asked(asked): Asked<ImportQuery>,
    body: Body,
) -> Result<Json<Imported>, Fault> {
    // Whoever may not know of a dataset does not learn of it by feeding it.
    knowledge_of(&http, &who, &id).await?;
    let name = plain_name(&asked.file)?;
    let options = options(&asked)?;
    let Ok(place) = http.uploads.clone().try_acquire_owned() else {
        return Err(Fault::new(Code::Busy, format!("{UPLOADS_MAX} files are coming in already")));
    };
    let scratch = http.city.scratch()?;
    let file = scratch.path().join(name);
    receive(body, &file).await?;
    let request = ImportRequest { dataset: id, file, options, user: who.0.user.clone() };
    let (city, closing) = (http.city.clone(), http.closing.subscribe());
    let received = Received { city, request, scratch, closing, _place: place };
    let done = tokio::spawn(received.take().in_current_span()).await;
    // Nobody cancels this task, so a failed join is a panic of the work: pass it on.
    let taken = done.unwrap_or_else(|join| std::panic::resume_unwind(join.into_panic()));
    Ok(Json(Imported { summary: taken? }))
}

/// A file that is here, with all that it takes to import it: cut off with its request, it would
/// leave a part of its rows taken, and no word of it in the audit.
struct Received {
    city: Arc<City>,
    request: ImportRequest,
    /// Keeps the file until it is read.
    scratch: Scratch,
    closing: watch::Receiver<bool>,
    _place: OwnedSemaphorePermit,
}

impl Received {
    async fn take(self) -> Result<ImportSummary, Fault> {
        // The place is given back last: whoever waits for it wants all else let go of.
        let Self { _place, city, request, scratch, mut closing } = self;
        let stop = async move {
            stopped(&mut closing).await;
            tokio::time::sleep(seconds(IMPORT_SHUTDOWN_SECONDS_MAX)).await;
        };
        let taken = city.import_and_check_until(request, &|_| (), stop).await;
        let summary = taken.map_err(|error| without_path(error.into(), scratch.path()))?;
        FIGURES.rows(&summary.dataset, "taken", summary.rows_taken);
        FIGURES.rows(&summary.dataset, "unchanged", summary.rows_unchanged);
        FIGURES.rows(&summary.dataset, "quarantined", summary.rows_quarantined);
        Ok(summary)
    }
}

/// The files that are being imported, for who has to wait for their end.
#[derive(Debug)]
pub struct Imports(Arc<Semaphore>);

impl Imports {
    pub fn of(uploads: &Arc<Semaphore>) -> Self {
        Self(uploads.clone())
    }

    /// Returns when none is under way any more: a server that stops has them end by themselves.
    pub async fn ended(&self) {
        let all = u32::try_from(UPLOADS_MAX).unwrap_or(u32::MAX);
        let ended = self.0.acquire_many(all);
        if tokio::time::timeout(seconds(SHUTDOWN_SECONDS_MAX), ended).await.is_err() {
            tracing::warn!("files that were being imported were cut off: import them again");
        }
    }
}

/// Where the copy goes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BackupTo {
    /// An absolute path on the server, of a folder that does not exist yet.
    #[schema(value_type = String)]
    pub to: PathBuf,
}

/// What was copied.
#[derive(Debug, Serialize, ToSchema)]
pub struct BackedUp {
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub report: BackupReport,
}

/// Copies the city, as it goes on serving, into a folder on the server's machine.
#[utoipa::path(
    post, path = "/api/backup", tag = "steward", security(("token" = [])), request_body = BackupTo,
    responses((status = 200, body = BackedUp), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem))
)]
pub async fn backup(
    State(http): State<Arc<Http>>,
    Input(asked): Input<BackupTo>,
) -> Result<Json<BackedUp>, Fault> {
    if !asked.to.is_absolute() {
        return Err(Fault::new(Code::Invalid, "name an absolute path on the server"));
    }
    let report = http.city.backup(&asked.to).await?;
    Ok(Json(BackedUp { report }))
}

/// A name without a path in it: it becomes a file in the scratch folder.
fn plain_name(name: &str) -> Result<&str, Fault> {
    let plain = FsPath::new(name).file_name().is_some_and(|own| own == name);
    match plain && name.chars().count() <= NAME_CHARS_MAX && !name.contains(['\\', '\0']) {
        true => Ok(name),
        false => Err(Fault::new(Code::Invalid, "`file` must be a plain file name, without a path")),
    }
}

fn options(asked: &ImportQuery) -> Result<intake::Options, Fault> {
    let mut options = intake::Options { encoding: asked.encoding.clone(), ..Default::default() };
    if let Some(name) = &asked.crs {
        let crs = serde_json::from_value(serde_json::Value::String(name.clone()));
        let wanted = "`crs` is one of wgs84, gcj02, bd09 and cgcs2000";
        options.crs = Some(crs.map_err(|_| Fault::new(Code::Invalid, wanted))?);
    }
    if let Some(separator) = &asked.separator {
        let [separator] = separator.as_bytes() else {
            return Err(Fault::new(Code::Invalid, "`separator` is one ASCII character"));
        };
        options.delimiter = Some(*separator);
    }
    options.null.extend(asked.null.iter().flat_map(|texts| texts.lines()).map(str::to_owned));
    options.sheet = asked.sheet.clone();
    Ok(options)
}

/// A fault that names the file as its sender does, not where the server put it.
fn without_path(mut fault: Fault, scratch: &FsPath) -> Fault {
    fault.message = fault.message.replace(&format!("{}/", scratch.display()), "");
    fault
}

async fn receive(body: Body, file: &FsPath) -> Result<(), Fault> {
    let mut out = tokio::fs::File::create_new(file).await.map_err(Fault::internal)?;
    let mut bytes = body.into_data_stream();
    let mut received = 0_u64;
    while let Some(chunk) = bytes
        .try_next()
        .await
        .map_err(|error| Fault::new(Code::Invalid, format!("the upload broke off: {error}")))?
    {
        received += chunk.len() as u64;
        if received > IMPORT_BYTES_MAX {
            let reason = format!(
                "a file of more than {IMPORT_BYTES_MAX} bytes: import it by the command line"
            );
            return Err(Fault::new(Code::TooLarge, reason));
        }
        out.write_all(&chunk).await.map_err(Fault::internal)?;
    }
    out.flush().await.map_err(Fault::internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_texts_may_mean_no_value() {
        let asked = ImportQuery {
            file: "a.xlsx".to_owned(),
            encoding: None,
            crs: None,
            null: Some("无\n不详".to_owned()),
            separator: None,
            sheet: Some("二月".to_owned()),
        };
        let options = options(&asked).unwrap();
        assert!(options.null.ends_with(&["无".to_owned(), "不详".to_owned()]));
        assert_eq!(options.sheet.as_deref(), Some("二月"));
    }
}
