//! The same commands through a running server, by its HTTP face.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::{Body, Client, RequestBuilder, Response, Url};

use crate::args::{Format, ImportArgs, ServerArgs, SqlArgs};
use crate::upload::Upload;

/// Long enough for an import of gigabytes; a server that is gone is noticed by its connection.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(3_600);

pub struct Remote {
    client: Client,
    base: Url,
    token: String,
}

impl Remote {
    /// The server that the flags name, if they name one.
    pub fn of(args: &ServerArgs) -> Result<Option<Self>> {
        let Some(server) = &args.server else { return Ok(None) };
        let base = Url::parse(server).with_context(|| format!("`{server}` is no URL"))?;
        let token = args
            .token
            .clone()
            .context("a server asks for a token: give --token or SHUJIN_TOKEN")?;
        let client = Client::builder().timeout(REQUEST_TIME_MAX).build()?;
        Ok(Some(Self { client, base, token }))
    }

    fn post(&self, path: &str) -> Result<RequestBuilder> {
        Ok(self.client.post(self.base.join(path)?).bearer_auth(&self.token))
    }

    pub async fn sql(&self, args: &SqlArgs) -> Result<()> {
        let accept = match args.format {
            // The server has no tables for terminals: CSV is what both read.
            Format::Table | Format::Csv => "text/csv",
            Format::Json => "application/json",
            Format::Parquet => bail!("a server answers CSV and JSON; Parquet is written locally"),
        };
        let body = serde_json::json!({
            "sql": args.sql, "as_of": args.as_of, "scenario": args.scenario,
        });
        let request = self
            .post("/api/sql")?
            .header("content-type", "application/json")
            .header("accept", accept)
            .body(body.to_string());
        let mut response = checked(request.send().await?).await?;
        let mut out = std::io::stdout().lock();
        if args.format == Format::Json {
            // The same list of rows that the command prints without a server.
            let answer: serde_json::Value = serde_json::from_slice(&response.bytes().await?)?;
            writeln!(out, "{}", answer.get("rows").unwrap_or(&answer))?;
            return Ok(());
        }
        while let Some(bytes) = response.chunk().await? {
            out.write_all(&bytes)?;
        }
        Ok(())
    }

    pub async fn import(&self, args: &ImportArgs) -> Result<String> {
        let name = args.file.file_name().context("the file has no name")?.to_string_lossy();
        let upload = Upload::of(&args.file).with_context(|| args.file.display().to_string())?;
        let mut url = self.base.join(&format!("/api/datasets/{}/import", args.dataset))?;
        {
            let mut query = url.query_pairs_mut();
            query.append_pair("file", &name);
            if let Some(encoding) = &args.encoding {
                query.append_pair("encoding", encoding);
            }
            if let Some(crs) = args.crs {
                query.append_pair("crs", &format!("{crs:?}").to_lowercase());
            }
            if !args.nulls.is_empty() {
                query.append_pair("null", &args.nulls.join("\n"));
            }
            if let Some(separator) = args.separator {
                query.append_pair("separator", &separator.to_string());
            }
            if let Some(sheet) = &args.sheet {
                query.append_pair("sheet", sheet);
            }
        }
        let request = self.client.post(url).bearer_auth(&self.token).body(Body::wrap(upload));
        Ok(checked(request.send().await?).await?.text().await?)
    }

    pub async fn backup(&self, to: &Path) -> Result<String> {
        let to = std::path::absolute(to)?;
        let body = serde_json::json!({ "to": to }).to_string();
        let request =
            self.post("/api/backup")?.header("content-type", "application/json").body(body);
        Ok(checked(request.send().await?).await?.text().await?)
    }
}

/// The response, or the server's reason as an error.
async fn checked(response: Response) -> Result<Response> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let text = response.text().await.unwrap_or_default();
    let problem: Option<serde_json::Value> = serde_json::from_str(&text).ok();
    let reason = problem
        .as_ref()
        .and_then(|problem| problem.get("detail").or(problem.get("title")))
        .and_then(serde_json::Value::as_str)
        .unwrap_or(&text);
    bail!("the server refused ({status}): {reason}")
}
