//! Requests and the SQL they become, as text: the files in `golden/`.
//!
//! A line that begins with `GET` is a request; what follows it, up to the next one, is what its
//! plan says. `BLESS=1` writes the files anew: read the difference before committing it.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::planned;
use crate::plan::{Child, Column, Part, Plan, Role, Statement, Value, next_link};

/// Keys that expansions are shown with: one parent, and several.
const ONE_KEY: [i64; 1] = [1];
const SEVERAL_KEYS: [i64; 3] = [1, 2, 3];

#[test]
fn requests_become_this_sql() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/plan/tests/golden");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut requests = 0;
    for file in files {
        let expected = std::fs::read_to_string(&file).unwrap();
        let found = written_anew(&expected);
        requests += found.lines().filter(|line| line.starts_with("GET ")).count();
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&file, &found).unwrap();
            continue;
        }
        assert_eq!(found, expected, "{}: run with BLESS=1 if this is meant", file.display());
    }
    assert!(requests >= 120, "{requests} requests");
}

/// The head of a file, then each request with its plan.
fn written_anew(text: &str) -> String {
    let mut found = String::new();
    let mut head = true;
    for line in text.lines() {
        if let Some(url) = line.strip_prefix("GET ") {
            head = false;
            let plan = planned(url, |request, plan| match plan {
                Ok(plan) => shown(&plan, &next_link(request, &plan, None)),
                Err(fault) => format!("  refused: {fault}\n"),
            });
            let plan = plan.unwrap_or_else(|fault| format!("  not read: {fault}\n"));
            let _ = write!(found, "\nGET {url}\n{plan}");
        } else if head && line.starts_with('#') {
            let _ = writeln!(found, "{line}");
        }
    }
    found
}

fn shown(plan: &Plan<'_>, next: &str) -> String {
    let mut text = String::new();
    show_statement(&mut text, "parents", plan.parents.as_ref());
    show_statement(&mut text, "page", plan.page.as_ref());
    show_statement(&mut text, "count", plan.count.as_ref());
    show_columns(&mut text, 1, &plan.columns);
    if !plan.member.is_empty() {
        let _ = writeln!(text, "  member {}", plan.member);
    }
    if matches!(plan.target, crate::odata::Target::Collection(_)) && plan.page.is_some() {
        let _ = writeln!(text, "  next {next}");
    }
    for child in &plan.children {
        show_child(&mut text, 1, child);
    }
    text
}

fn show_child(text: &mut String, depth: usize, child: &Child<'_>) {
    let indent = "  ".repeat(depth);
    let newest = if child.is_newest() { ", the newest of each" } else { "" };
    let name = child.navigation.name;
    let _ = writeln!(text, "{indent}{name} of {}{newest}", child.keyed_by);
    let show = |text: &mut String, name: &str, statement: Option<Statement>| {
        let mut own = String::new();
        show_statement(&mut own, name, statement.as_ref());
        for line in own.lines() {
            let _ = writeln!(text, "{indent}{line}");
        }
    };
    if child.navigation.is_many() {
        show(text, "of one", child.statement(&ONE_KEY).unwrap());
    }
    show(text, "of several", child.statement(&SEVERAL_KEYS).unwrap());
    show(text, "count", child.count(&SEVERAL_KEYS).unwrap());
    show_columns(text, depth + 1, &child.columns);
    for child in &child.children {
        show_child(text, depth + 1, child);
    }
}

fn show_statement(text: &mut String, name: &str, statement: Option<&Statement>) {
    let Some(statement) = statement else { return };
    let _ = writeln!(text, "  {name}");
    for line in statement.sql.lines() {
        let _ = writeln!(text, "    {line}");
    }
    for (index, value) in statement.parameters.iter().enumerate() {
        let value = match value {
            Value::Boolean(value) => value.to_string(),
            Value::Integer(value) => value.to_string(),
            Value::Number(value) => format!("{value:?}"),
            Value::Text(value) => format!("'{value}'"),
            Value::Instant(value) => match chrono::DateTime::from_timestamp_micros(*value) {
                Some(instant) => format!("{instant:?}"),
                None => format!("{value} µs"),
            },
        };
        let _ = writeln!(text, "    ${} = {value}", index + 1);
    }
}

fn show_columns(text: &mut String, depth: usize, columns: &[Column]) {
    if columns.is_empty() {
        return;
    }
    let shown: Vec<String> = columns
        .iter()
        .map(|column| {
            let roles: Vec<String> = column.roles.iter().map(role).collect();
            format!("{}: {}", column.name, roles.join("+"))
        })
        .collect();
    let _ = writeln!(text, "{}columns {}", "  ".repeat(depth), shown.join(", "));
}

fn role(role: &Role) -> String {
    let of = |part: &Part| match part {
        Part::Value => String::new(),
        other => format!(".{}", format!("{other:?}").to_lowercase()),
    };
    match role {
        Role::Key => "key".to_owned(),
        Role::Property { property, part } => format!("{}{}", property.name, of(part)),
        Role::Link => "link".to_owned(),
        Role::Parent => "parent".to_owned(),
        Role::Group { key, part } => format!("key {}{}", key + 1, of(part)),
        Role::Aggregate { item, part } => format!("aggregate {}{}", item + 1, of(part)),
    }
}
