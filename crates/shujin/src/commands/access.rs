//! Who may ask what: users, tokens, sharing.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use catalog::sharing::{Ask, Terms};
use catalog::{Principal, Surface};
use chrono::{Days, Utc};
use city::{City, OPERATOR};
use pack::Mask;
use registry::{NewToken, NewUser};
use uuid::Uuid;

use super::open;
use crate::args::{GrantCommand, TokenCommand, UserCommand};

pub async fn user(command: UserCommand) -> Result<ExitCode> {
    match command {
        UserCommand::Add { data, name, organisation, roles, areas, password } => {
            let password = password.then(read_password).transpose()?;
            let city = open(&data).await?;
            let user = NewUser { name: name.clone(), organisation, roles, areas, password };
            let added = city.registry().create_user(OPERATOR, user, city.pack(), Utc::now()).await;
            city.close().await?;
            added?;
            println!("{name}: added");
        }
        UserCommand::List { data } => {
            let city = open(&data).await?;
            for user in city.registry().users().await? {
                println!(
                    "{}\t{}\t{}\t{}",
                    user.name,
                    user.organisation,
                    user.roles.join(","),
                    user.areas.join(",")
                );
            }
            city.close().await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// From standard input, so that it stands in no history and no list of processes.
fn read_password() -> Result<String> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).context("no password on standard input")?;
    let password = line.trim_end_matches(['\r', '\n']).to_owned();
    if password.is_empty() {
        bail!("no password on standard input");
    }
    Ok(password)
}

pub async fn token(command: TokenCommand) -> Result<ExitCode> {
    match command {
        TokenCommand::Create { data, user, days } => {
            let city = open(&data).await?;
            let token = NewToken {
                user,
                label: "command line".to_owned(),
                scope: None,
                expires_at: Utc::now() + Days::new(days.into()),
            };
            let made = city.registry().create_token(OPERATOR, token, Utc::now()).await;
            city.close().await?;
            let (info, text) = made?;
            eprintln!("token {} until {}; it is shown this once:", info.id, info.expires_at);
            println!("{text}");
        }
        TokenCommand::Revoke { data, id } => {
            let id = id.parse::<Uuid>().with_context(|| format!("`{id}` is no token's id"))?;
            let city = open(&data).await?;
            let revoked = city.registry().revoke_token(OPERATOR, id, Utc::now()).await;
            city.close().await?;
            revoked?;
            println!("{id}: revoked");
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub async fn grant(command: GrantCommand) -> Result<ExitCode> {
    let data = match &command {
        GrantCommand::Request { data, .. }
        | GrantCommand::List { data, .. }
        | GrantCommand::Approve { data, .. }
        | GrantCommand::Refuse { data, .. }
        | GrantCommand::Revoke { data, .. } => data.clone(),
    };
    let city = open(&data).await?;
    let done = step(&city, command).await;
    city.close().await?;
    done?;
    Ok(ExitCode::SUCCESS)
}

async fn principal(city: &City, user: &str) -> Result<Principal> {
    Ok(city.session(user, Surface::Cli).await?.principal.as_ref().clone())
}

async fn step(city: &City, command: GrantCommand) -> Result<()> {
    let now = Utc::now();
    let sharing = city.sharing();
    match command {
        GrantCommand::Request {
            dataset, user, purpose, legal_ground, fields, rows, days, ..
        } => {
            let fields = match fields.is_empty() {
                true => city.contract(&dataset)?.fields.iter().map(|f| f.name.clone()).collect(),
                false => fields,
            };
            let until = now + Days::new(days.into());
            let ask = Ask { dataset, fields, rows, purpose, legal_ground, until };
            let request = sharing.request(&principal(city, &user).await?, ask, now).await?;
            println!("{}", request.id);
        }
        GrantCommand::List { user, .. } => {
            for request in sharing.requests(&principal(city, &user).await?).await? {
                println!(
                    "{}  {}  {} for {}: {}",
                    request.id,
                    request.state.as_str(),
                    request.dataset,
                    request.organisation,
                    request.purpose
                );
            }
        }
        GrantCommand::Approve { id, user, rows, masks, .. } => {
            let terms = Terms { row_filter: rows, masks: parse_masks(&masks)?, ..Terms::default() };
            let owner = principal(city, &user).await?;
            let grant = sharing.grant(&owner, parse_id(&id)?, terms, now).await?;
            println!("{id}: granted until {}", grant.expires_at);
        }
        GrantCommand::Refuse { id, user, reason, .. } => {
            let owner = principal(city, &user).await?;
            sharing.refuse(&owner, parse_id(&id)?, &reason, now).await?;
            println!("{id}: refused");
        }
        GrantCommand::Revoke { id, user, reason, .. } => {
            let owner = principal(city, &user).await?;
            sharing.revoke(&owner, parse_id(&id)?, &reason, now).await?;
            println!("{id}: revoked");
        }
    }
    Ok(())
}

fn parse_id(text: &str) -> Result<Uuid> {
    text.parse().with_context(|| format!("`{text}` is no request's id"))
}

fn parse_masks(texts: &[String]) -> Result<BTreeMap<String, Mask>> {
    texts
        .iter()
        .map(|text| {
            let (field, mask) = text
                .split_once('=')
                .with_context(|| format!("`{text}` is no mask: write field=redact"))?;
            let mask = serde_json::from_value(serde_json::Value::String(mask.to_owned()))
                .with_context(|| {
                    format!("`{mask}` is no mask: redact, last_four, year_only or token")
                })?;
            Ok((field.to_owned(), mask))
        })
        .collect()
}
