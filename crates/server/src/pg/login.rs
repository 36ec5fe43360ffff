//! Start-up and login: the database asked for, TLS where it is required, SCRAM-SHA-256.
//!
//! A user who does not exist, one who is disabled and a wrong password all fail alike, after the
//! same exchange and the same wait. Whoever fails too often has to wait, whatever is then tried.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{Sink, SinkExt};
use pgwire::api::auth::sasl::scram::random_nonce;
use pgwire::api::auth::save_startup_parameters_to_metadata;
use pgwire::api::{
    ClientInfo, METADATA_APPLICATION_NAME, METADATA_DATABASE, METADATA_USER, PgWireConnectionState,
    PidSecretKeyGenerator,
};
use pgwire::error::{PgWireError, PgWireResult};
use pgwire::messages::response::{ReadyForQuery, TransactionStatus};
use pgwire::messages::startup::{
    Authentication, BackendKeyData, ParameterStatus, PasswordMessageFamily, Startup,
};
use pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage};

use super::Shared;
use super::cancel::{CancelSlot, Place};
use super::errors::fatal;
use super::scram::{self, Exchange, MECHANISM, ScramError};
use super::session::PgSession;
use super::settings::{REPORTED, Settings};
use crate::fault::Fault;
use crate::limits::LOGIN_FAILURE_MS;

/// How far a login has come.
#[derive(Default)]
pub enum Login {
    #[default]
    Start,
    /// The client was told the mechanisms.
    Offered,
    /// The client's first message was answered.
    Challenged(Box<Exchange>),
    Done,
}

/// What a finished login leaves: the session, and its place on the cancel desk.
pub struct LoggedIn {
    pub session: Arc<PgSession>,
    pub cancel: Arc<CancelSlot>,
    _place: Place,
}

impl Login {
    /// Takes one message of the login; answers the session when it is finished.
    pub async fn step<C>(
        &mut self,
        shared: &Shared,
        client: &mut C,
        message: PgWireFrontendMessage,
    ) -> PgWireResult<Option<LoggedIn>>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        match message {
            PgWireFrontendMessage::Startup(startup) => {
                self.offer(shared, client, &startup).await?;
                Ok(None)
            }
            PgWireFrontendMessage::PasswordMessageFamily(message) => {
                self.exchange(shared, client, message).await
            }
            _ => Err(fatal("08P01", "unexpected message before login")),
        }
    }

    async fn offer<C>(
        &mut self,
        shared: &Shared,
        client: &mut C,
        startup: &Startup,
    ) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        if !matches!(self, Self::Start) {
            return Err(fatal("08P01", "unexpected second start-up message"));
        }
        if shared.tls.required && !client.is_secure() {
            return Err(fatal(
                "28000",
                "this server takes TLS connections only: set sslmode=require",
            ));
        }
        if startup.parameters.contains_key("replication") {
            return Err(fatal("0A000", "replication is not served"));
        }
        let parameter = |name: &str| startup.parameters.get(name).map(String::as_str);
        let user = parameter("user").unwrap_or_default();
        if user.is_empty() {
            return Err(fatal("28000", "no PostgreSQL user name specified in startup packet"));
        }
        // libpq asks for a database of the user's name where none is given, and tools that list
        // databases connect to `postgres` first: both mean the only one there is.
        let database = parameter("database").unwrap_or(user);
        let ours = shared.backend.database();
        if ![ours, user, "postgres"].contains(&database) {
            let reason =
                format!("database \"{database}\" does not exist: the only one is \"{ours}\"");
            return Err(fatal("3D000", reason));
        }
        let (address, now) = (client.socket_addr().ip(), Instant::now());
        if let Some(wait) = shared.throttle.wait(address, user, now) {
            let minutes = wait.as_secs() / 60 + 1;
            return Err(fatal(
                "28000",
                format!("too many failed logins: try again in {minutes} min"),
            ));
        }
        negotiate(client, startup).await?;
        client.set_state(PgWireConnectionState::AuthenticationInProgress);
        let offer = Authentication::SASL(vec![MECHANISM.to_owned()]);
        client.send(PgWireBackendMessage::Authentication(offer)).await?;
        *self = Self::Offered;
        Ok(())
    }

    async fn exchange<C>(
        &mut self,
        shared: &Shared,
        client: &mut C,
        message: PasswordMessageFamily,
    ) -> PgWireResult<Option<LoggedIn>>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let user = client.metadata().get(METADATA_USER).cloned().unwrap_or_default();
        match std::mem::take(self) {
            Self::Offered => {
                let first = message.into_sasl_initial_response()?;
                if first.auth_method != MECHANISM {
                    return Err(fatal("08P01", format!("{MECHANISM} is the only mechanism here")));
                }
                let verifier =
                    shared.backend.scram_verifier(&user).await.map_err(|fault| closing(&fault))?;
                let data = first.data.unwrap_or_default();
                let text = std::str::from_utf8(&data).map_err(|_| malformed())?;
                let decoy = || scram::decoy(shared.backend.decoy_secret(), &user);
                let (answer, exchange) = scram::start(text, &random_nonce(), verifier, decoy)
                    .map_err(|_| malformed())?;
                let answer = Authentication::SASLContinue(answer.into_bytes().into());
                client.send(PgWireBackendMessage::Authentication(answer)).await?;
                *self = Self::Challenged(Box::new(exchange));
                Ok(None)
            }
            Self::Challenged(exchange) => {
                let last = message.into_sasl_response()?;
                let text = std::str::from_utf8(&last.data).map_err(|_| malformed())?;
                // Asked again: of many exchanges begun together only so many may end.
                let (address, now) = (client.socket_addr().ip(), Instant::now());
                if shared.throttle.wait(address, &user, now).is_some() {
                    return Err(denied(shared, address, &user).await);
                }
                let proved = match exchange.finish(text) {
                    Ok(proved) => proved,
                    Err(ScramError::Proof) => return Err(denied(shared, address, &user).await),
                    Err(_) => return Err(malformed()),
                };
                let answer = Authentication::SASLFinal(proved.into_bytes().into());
                client.feed(PgWireBackendMessage::Authentication(answer)).await?;
                let logged_in = welcome(shared, client, &user).await?;
                *self = Self::Done;
                Ok(Some(logged_in))
            }
            Self::Start | Self::Done => Err(fatal("08P01", "unexpected password message")),
        }
    }
}

async fn negotiate<C>(client: &mut C, startup: &Startup) -> PgWireResult<()>
where
    C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send,
    PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
{
    let (major, minor) = (startup.protocol_number_major, startup.protocol_number_minor);
    match pgwire::messages::ProtocolVersion::from_version_number(major, minor) {
        Some(version) => client.set_protocol_version(version),
        None if major == 3 => {
            let newest = pgwire::messages::ProtocolVersion::default();
            let message =
                pgwire::messages::startup::NegotiateProtocolVersion::new(newest.into(), vec![]);
            client.send(PgWireBackendMessage::NegotiateProtocolVersion(message)).await?;
            client.set_protocol_version(newest);
        }
        None => return Err(PgWireError::UnsupportedProtocolVersion(major, minor)),
    }
    save_startup_parameters_to_metadata(client, startup);
    Ok(())
}

fn malformed() -> PgWireError {
    fatal("08P01", "malformed SCRAM message")
}

async fn denied(shared: &Shared, address: IpAddr, user: &str) -> PgWireError {
    // Counted before the wait: a hundred guesses at once are a hundred failures.
    let locked = shared.throttle.failed(address, user, Instant::now());
    tracing::warn!(user, %address, locked, "login refused");
    shared.backend.note_refused_login(user, address).await;
    tokio::time::sleep(Duration::from_millis(LOGIN_FAILURE_MS)).await;
    fatal("28P01", format!("password authentication failed for user \"{user}\""))
}

/// A fault during login ends the connection.
fn closing(fault: &Fault) -> PgWireError {
    let code = super::errors::sqlstate(fault.code);
    fatal(code, format!("{} (correlation id {})", fault.message, fault.correlation))
}

async fn welcome<C>(shared: &Shared, client: &mut C, user: &str) -> PgWireResult<LoggedIn>
where
    C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send,
    PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
{
    let principal = shared.backend.principal(user).await.map_err(|fault| closing(&fault))?;
    if principal.is_none() {
        return Err(denied(shared, client.socket_addr().ip(), user).await);
    }
    let needs = shared.backend.needs_second_factor(user, shared.demonstration);
    if needs.await.map_err(|fault| closing(&fault))? {
        // Told to nobody but who has just proved the password.
        return Err(fatal(
            "28000",
            "this user signs in with a second factor, which this protocol does not carry: ask \
             over HTTP, or as a user for programs",
        ));
    }
    let address = client.socket_addr().ip();
    shared.throttle.succeeded(address, user);
    shared.backend.note_login(user, address).await;
    let mut settings = Settings::new(user, shared.backend.zone());
    start_settings(client, &mut settings)?;

    client.feed(PgWireBackendMessage::Authentication(Authentication::Ok)).await?;
    for name in REPORTED {
        let (name, value) = settings.show(name)?;
        let status = ParameterStatus::new(name.to_owned(), value);
        client.feed(PgWireBackendMessage::ParameterStatus(status)).await?;
    }
    let (pid, secret) = shared.keys.generate(client);
    client.set_pid_and_secret_key(pid, secret.clone());
    let cancel = Arc::new(CancelSlot::default());
    let place = shared.desk.register(pid, &secret, cancel.clone());
    client.feed(PgWireBackendMessage::BackendKeyData(BackendKeyData::new(pid, secret))).await?;
    let ready = ReadyForQuery::new(TransactionStatus::Idle);
    client.send(PgWireBackendMessage::ReadyForQuery(ready)).await?;
    client.set_state(PgWireConnectionState::ReadyForQuery);
    let backend = shared.backend.clone();
    let session = Arc::new(PgSession::new(backend, user, shared.demonstration, settings));
    Ok(LoggedIn { session, cancel, _place: place })
}

/// Settings that came with the start-up message, as parameters or as `options=-c name=value`.
fn start_settings<C: ClientInfo>(client: &C, settings: &mut Settings) -> PgWireResult<()> {
    let apply = |settings: &mut Settings, name: &str, value: &str| {
        settings.set(name, Some(value)).map(|_| ()).map_err(|error| match error {
            PgWireError::UserError(info) => fatal(&info.code, info.message),
            other => other,
        })
    };
    for (name, value) in client.metadata() {
        match name.as_str() {
            METADATA_USER | METADATA_DATABASE => {}
            "options" => {
                let words: Vec<_> = value.split_whitespace().collect();
                let pairs = words.iter().filter_map(|word| {
                    word.trim_start_matches("--").trim_start_matches("-c").split_once('=')
                });
                for (name, value) in pairs {
                    apply(settings, name, value)?;
                }
            }
            // A protocol extension that is not known may be ignored.
            name if name.starts_with("_pq_.") => {}
            METADATA_APPLICATION_NAME => {
                apply(settings, name, &value.chars().take(200).collect::<String>())?
            }
            name => apply(settings, name, value)?,
        }
    }
    Ok(())
}
