//! Files in, and the city's copy out: what the command line does with `--server`.

use std::path::{Path as FsPath, PathBuf};
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use city::{BackupReport, ImportRequest, ImportSummary};
use futures::TryStreamExt;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::Http;
use super::input::{Asked, Input, Who};
use super::problem::Problem;
use crate::fault::{Code, Fault};

/// A larger file is imported by the command line, next to the data.
pub const IMPORT_BYTES_MAX: u64 = 4 << 30;
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
    /// A text that means “no value”, beside the usual ones.
    null: Option<String>,
    /// Column separator of a CSV file.
    separator: Option<String>,
}

/// What became of the rows.
#[derive(Debug, Serialize, ToSchema)]
pub struct Imported {
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub summary: ImportSummary,
}

/// Takes a file, the request's body, into a dataset that one answers for. Each row is taken,
/// unchanged or in quarantine; the same file twice changes nothing.
#[utoipa::path(
    post, path = "/api/datasets/{id}/import", tag = "steward", security(("token" = [])),
    params(("id" = String, Path), ImportQuery),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, body = Imported), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem), (status = 413, body = Problem))
)]
pub async fn import(
    State(http): State<Arc<Http>>,
    who: Who,
    Path(id): Path<String>,
    Asked(asked): Asked<ImportQuery>,
    body: Body,
) -> Result<Json<Imported>, Fault> {
    who.need("import")?;
    let contract = http.city.contract(&id)?;
    if !who.0.organisations.contains(&contract.owner) {
        let reason =
            format!("{id} belongs to {}, for which {} does not act", contract.owner, who.0.user);
        return Err(Fault::new(Code::Refused, reason));
    }
    let name = plain_name(&asked.file)?;
    let options = options(&asked)?;
    let scratch = Scratch::new(http.city.dir()).await?;
    let file = scratch.0.join(name);
    receive(body, &file).await?;
    let request = ImportRequest { dataset: id, file, options, user: who.0.user.clone() };
    let summary = http.city.import(request, &|_| ()).await?;
    Ok(Json(Imported { summary }))
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
    who: Who,
    Input(asked): Input<BackupTo>,
) -> Result<Json<BackedUp>, Fault> {
    who.need("administer")?;
    if !asked.to.is_absolute() || asked.to.starts_with(http.city.dir()) {
        let reason = "name an absolute path outside the city's own folder";
        return Err(Fault::new(Code::Invalid, reason));
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
    options.null.extend(asked.null.clone());
    Ok(options)
}

/// A folder for one upload, gone when the request ends.
struct Scratch(PathBuf);

impl Scratch {
    async fn new(dir: &FsPath) -> Result<Self, Fault> {
        let path = dir.join("uploads").join(Uuid::now_v7().to_string());
        tokio::fs::create_dir_all(&path).await.map_err(Fault::internal)?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, path = %self.0.display(), "an upload was left behind");
        }
    }
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
