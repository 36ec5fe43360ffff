//! SQL behaviour as text: `golden/*.txt` hold who asks, what, and the answer or refusal. Run with
//! `BLESS=1` to write them anew, and read the difference before committing it.

use std::fmt::Write as _;
use std::path::PathBuf;

use arrow::util::pretty::pretty_format_batches;
use catalog::{Catalog, SqlError};

use crate::support::{ask, catalog, session};

const RULE: &str = "----";
const BREAK: &str = "====";

/// `@who` on a line, SQL on the next, the rule, the answer; cases are parted by the break.
async fn check(name: &str) {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests/it/golden", name].iter().collect();
    let expected = std::fs::read_to_string(&path).expect("the golden file is there");
    let catalog = catalog();
    let mut found = Vec::new();
    for case in expected.split(&format!("{BREAK}\n")) {
        let question = case.split(&format!("{RULE}\n")).next().unwrap_or_default().trim();
        let (who, sql) = question.split_once('\n').expect("who, then SQL");
        let answer = told(&catalog, who.trim_start_matches('@'), sql).await;
        found.push(format!("{question}\n{RULE}\n{answer}"));
    }
    let found = found.join(&format!("{BREAK}\n"));
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, found).expect("the golden file can be written");
        return;
    }
    assert_eq!(found, expected, "{name}: run with BLESS=1 if this is meant");
}

async fn told(catalog: &Catalog, who: &str, sql: &str) -> String {
    let mut text = String::new();
    match ask(catalog, &session(who), sql).await {
        Ok(batches) => {
            let table = pretty_format_batches(&batches).expect("batches print");
            writeln!(text, "{table}").expect("texts take writes");
        }
        // The id differs each time; that it is there is tested with the attacks.
        Err(SqlError::Internal { code, .. }) => {
            writeln!(text, "failed: {code}").expect("texts take writes");
        }
        Err(error) => writeln!(text, "{error}").expect("texts take writes"),
    }
    text
}

#[tokio::test]
async fn answers() {
    check("answers.txt").await;
}

#[tokio::test]
async fn refusals() {
    check("refusals.txt").await;
}
