//! The two query protocols over one session, message by message.
//!
//! Every statement runs inside [`Face::guarded`]: it ends at its deadline, at a cancel request and
//! at a panic, its streaming included, and each of these is an error to its client alone.

use std::fmt::Debug;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};

use arrow::datatypes::{DataType, SchemaRef};
use async_trait::async_trait;
use futures::{FutureExt, Sink, SinkExt, StreamExt};
use pgwire::api::auth::StartupHandler;
use pgwire::api::portal::{Format, Portal, PortalExecutionState};
use pgwire::api::query::{
    ExtendedQueryHandler, SimpleQueryHandler, send_partial_query_response, send_query_response,
    send_ready_for_query,
};
use pgwire::api::results::{
    DescribePortalResponse, DescribeStatementResponse, FieldInfo, QueryResponse, Response, Tag,
};
use pgwire::api::stmt::{QueryParser, StoredStatement};
use pgwire::api::store::{Entry, PortalStore};
use pgwire::api::{ClientInfo, ClientPortalStore, DEFAULT_NAME, PgWireConnectionState, Type};
use pgwire::error::{PgWireError, PgWireResult};
use pgwire::messages::copy::{CopyData, CopyDone, CopyOutResponse};
use pgwire::messages::extendedquery::{
    Bind, BindComplete, Close, CloseComplete, Execute, Parse, ParseComplete, Sync as PgSync,
    TARGET_TYPE_BYTE_PORTAL, TARGET_TYPE_BYTE_STATEMENT,
};
use pgwire::messages::response::{CommandComplete, EmptyQueryResponse, TransactionStatus};
use pgwire::messages::simplequery::Query;
use pgwire::messages::startup::ParameterStatus;
use pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage};
use tokio::sync::Mutex;

use super::Shared;
use super::command::{Command, CopyFormat, parse};
use super::encode::Shape;
use super::errors::{fatal, plain, state, wire};
use super::held::Held;
use super::login::{LoggedIn, Login};
use super::params;
use super::run::{Outcome, run, schema};
use super::session::PgSession;
use super::split::split;
use crate::backend::Rows;
use crate::fault::{Code, Fault};
use crate::limits::{PARAMETERS_MAX, STATEMENT_BYTES_MAX};

/// A prepared statement. It holds no plan: each run plans anew, under the policies of its time.
#[derive(Debug)]
pub struct Prepared {
    sql: String,
    command: Command,
    described: std::sync::Mutex<Described>,
}

/// What was told of a statement, and under which policies.
#[derive(Debug, Clone)]
struct Described {
    epoch: u64,
    schema: Option<SchemaRef>,
    parameters: Vec<Option<DataType>>,
}

impl Prepared {
    fn described(&self) -> Described {
        self.described.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}

/// One connection's handlers.
pub struct Face {
    shared: Arc<Shared>,
    login: Mutex<Login>,
    logged_in: OnceLock<LoggedIn>,
    /// What the store behind the connection holds.
    statements: std::sync::Mutex<Held>,
    portals: std::sync::Mutex<Held>,
}

fn locked(held: &std::sync::Mutex<Held>) -> std::sync::MutexGuard<'_, Held> {
    held.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Face {
    pub fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            login: Mutex::default(),
            logged_in: OnceLock::new(),
            statements: std::sync::Mutex::default(),
            portals: std::sync::Mutex::default(),
        }
    }

    fn logged_in(&self) -> PgWireResult<&LoggedIn> {
        self.logged_in.get().ok_or_else(|| fatal("08P01", "log in first"))
    }

    fn session(&self) -> PgWireResult<&Arc<PgSession>> {
        self.logged_in().map(|logged_in| &logged_in.session)
    }

    /// Runs a statement to its end, or to its deadline, a cancel request or a panic.
    async fn guarded<T>(&self, work: impl Future<Output = PgWireResult<T>>) -> PgWireResult<T> {
        let LoggedIn { session, cancel, .. } = self.logged_in()?;
        let stop = cancel.begin();
        let work = tokio::time::timeout(session.deadline(), AssertUnwindSafe(work).catch_unwind());
        let ended = tokio::select! {
            ended = work => match ended {
                Ok(Ok(result)) => result,
                Ok(Err(panic)) => Err(plain(Fault::internal(crate::panic_text(&*panic)))),
                Err(_) => Err(plain(Fault::timeout())),
            },
            Ok(()) = stop => Err(plain(Fault::cancelled())),
        };
        cancel.end();
        ended
    }

    /// In a failed transaction nothing is done but ending it, as clients expect.
    fn allowed_now<C: ClientInfo>(client: &C, command: &Command) -> PgWireResult<()> {
        let failed = client.transaction_status() == TransactionStatus::Error;
        let ends = matches!(command, Command::Commit | Command::Rollback)
            || *command == Command::Nothing("ROLLBACK");
        if failed && !ends {
            return Err(state(
                "25P02",
                "current transaction is aborted, commands ignored until end of transaction block",
            ));
        }
        Ok(())
    }

    /// Sends what a command led to, rows excepted.
    async fn finish<C>(&self, client: &mut C, outcome: Outcome) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let tag = match outcome {
            Outcome::Rows { .. } => return Err(plain(Fault::internal("rows were not sent"))),
            Outcome::CopyOut { shape, rows, format } => {
                return copy_out(client, &shape, rows, &format).await;
            }
            Outcome::Done { tag, changed } => {
                for (name, value) in changed {
                    let status = ParameterStatus::new(name.to_owned(), value);
                    client.feed(PgWireBackendMessage::ParameterStatus(status)).await?;
                }
                if tag == "ROLLBACK" && client.transaction_status() == TransactionStatus::Error {
                    client.set_transaction_status(TransactionStatus::Transaction);
                }
                tag
            }
            Outcome::Begin => {
                client.set_transaction_status(TransactionStatus::Transaction);
                "BEGIN"
            }
            Outcome::Commit => {
                let failed = client.transaction_status() == TransactionStatus::Error;
                client.set_transaction_status(TransactionStatus::Idle);
                if failed { "ROLLBACK" } else { "COMMIT" }
            }
            Outcome::Rollback => {
                client.set_transaction_status(TransactionStatus::Idle);
                "ROLLBACK"
            }
        };
        complete(client, Tag::new(tag)).await
    }

    /// One statement of the simple protocol, answered whole.
    async fn simple<C>(&self, client: &mut C, sql: &str) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let Some(command) = parse(sql).map_err(plain_at(sql, 0))? else { return Ok(()) };
        Self::allowed_now(client, &command)?;
        if let Some(tag) = self.forgotten(client, &command) {
            return complete(client, Tag::new(tag)).await;
        }
        let session = self.session()?;
        match run(session, &command, Vec::new(), &Format::UnifiedText).await? {
            Outcome::Rows { shape, rows, tag } => {
                let mut response = QueryResponse::new(shape.fields.clone(), shape.rows(rows));
                response.set_command_tag(tag);
                send_query_response(client, response, true).await
            }
            other => self.finish(client, other).await,
        }
    }

    /// Forgets statements that were prepared by messages, for `DEALLOCATE` and `DISCARD ALL` mean
    /// them too. The tag, where that was all there was to do.
    fn forgotten<C>(&self, client: &C, command: &Command) -> Option<&'static str>
    where
        C: ClientPortalStore,
        C::PortalStore: PortalStore,
    {
        match command {
            Command::Deallocate { name: Some(name) } => {
                let known = locked(&self.statements).remove(name);
                client.portal_store().rm_statement(name);
                known.then_some("DEALLOCATE")
            }
            // Statements that were prepared in SQL go by the same commands, elsewhere.
            Command::Deallocate { name: None } | Command::DiscardAll => {
                for name in locked(&self.statements).clear() {
                    client.portal_store().rm_statement(&name);
                }
                None
            }
            _ => None,
        }
    }

    /// Lets go of all portals, and so of the queries that some of them hold.
    fn end_portals<C>(&self, client: &C)
    where
        C: ClientPortalStore,
        C::PortalStore: PortalStore,
    {
        locked(&self.portals).clear();
        client.portal_store().clear_portals();
    }

    /// The description under which a statement runs now. Where policies moved since it was told
    /// to the client and the columns are others, the client has to prepare again.
    async fn current(&self, prepared: &Prepared) -> PgWireResult<Described> {
        let session = self.session()?;
        let told = prepared.described();
        if told.epoch == session.policy_epoch() {
            return Ok(told);
        }
        let now = describe(session, &prepared.command).await?;
        if now.schema != told.schema || now.parameters != told.parameters {
            return Err(state("0A000", "cached plan must not change result type"));
        }
        *prepared.described.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = now.clone();
        Ok(now)
    }

    async fn start_portal<C>(
        &self,
        client: &mut C,
        portal: &Portal<Arc<Prepared>>,
    ) -> PgWireResult<Option<QueryResponse>>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let prepared = &portal.statement.statement;
        Self::allowed_now(client, &prepared.command)?;
        if let Some(tag) = self.forgotten(client, &prepared.command) {
            complete(client, Tag::new(tag)).await?;
            return Ok(None);
        }
        let described = self.current(prepared).await?;
        let values = params::values(portal, &described.parameters)?;
        let session = self.session()?;
        match run(session, &prepared.command, values, &portal.result_column_format).await? {
            Outcome::Rows { shape, rows, tag } => {
                let mut response = QueryResponse::new(shape.fields.clone(), shape.rows(rows));
                response.set_command_tag(tag);
                Ok(Some(response))
            }
            other => self.finish(client, other).await.map(|()| None),
        }
    }
}

/// The columns that a statement answers, in a portal's formats.
fn fields(
    session: &PgSession,
    prepared: &Prepared,
    described: &Described,
    format: &Format,
) -> PgWireResult<Vec<FieldInfo>> {
    let Some(schema) = &described.schema else { return Ok(Vec::new()) };
    let titles = match &prepared.command {
        Command::Rows { titles, .. } => titles,
        _ => &None,
    };
    let zone = session.settings().get("TimeZone");
    Ok(Shape::titled(schema, titles, format, &zone)?.fields.to_vec())
}

async fn describe(session: &PgSession, command: &Command) -> PgWireResult<Described> {
    let epoch = session.policy_epoch();
    match command {
        Command::Rows { sql, route, .. } => {
            let description = session.describe(*route, sql).await.map_err(plain_at(sql, 0))?;
            let (schema, parameters) = (Some(description.schema), description.parameters);
            Ok(Described { epoch, schema, parameters })
        }
        Command::CopyOut { sql, route, .. } => {
            let parameters = session.describe(*route, sql).await.map_err(plain)?.parameters;
            Ok(Described { epoch, schema: None, parameters })
        }
        other => Ok(Described { epoch, schema: schema(session, other).await?, parameters: vec![] }),
    }
}

fn plain_at(sql: &str, offset_chars: usize) -> impl Fn(Fault) -> PgWireError {
    move |fault| wire(fault, sql, offset_chars)
}

async fn complete<C>(client: &mut C, tag: Tag) -> PgWireResult<()>
where
    C: Sink<PgWireBackendMessage> + Unpin,
    PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
{
    client.feed(PgWireBackendMessage::CommandComplete(CommandComplete::from(tag))).await?;
    Ok(())
}

async fn copy_out<C>(
    client: &mut C,
    shape: &Shape,
    rows: Rows,
    format: &CopyFormat,
) -> PgWireResult<()>
where
    C: Sink<PgWireBackendMessage> + Unpin,
    PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
{
    let count = shape.fields.len();
    let columns = i16::try_from(count)
        .map_err(|_| plain(Fault::new(Code::TooLarge, "COPY of more than 32,767 columns")))?;
    let start = CopyOutResponse::new(0, columns, vec![0; count]);
    client.feed(PgWireBackendMessage::CopyOutResponse(start)).await?;
    let mut lines = Box::pin(shape.copy(rows, format));
    let mut sent = 0_usize;
    while let Some(line) = lines.next().await {
        client.feed(PgWireBackendMessage::CopyData(CopyData::new(line?))).await?;
        sent += 1;
    }
    client.feed(PgWireBackendMessage::CopyDone(CopyDone::new())).await?;
    complete(client, Tag::new("COPY").with_rows(sent - usize::from(format.header))).await
}

#[async_trait]
impl StartupHandler for Face {
    async fn on_startup<C>(
        &self,
        client: &mut C,
        message: PgWireFrontendMessage,
    ) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let mut login = self.login.lock().await;
        if let Some(logged_in) = login.step(&self.shared, client, message).await? {
            // A finished login takes no further messages, so this is the first and only one.
            let _ = self.logged_in.set(logged_in);
        }
        Ok(())
    }
}

#[async_trait]
impl SimpleQueryHandler for Face {
    async fn on_query<C>(&self, client: &mut C, query: Query) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let text = query.query;
        if text.len() > STATEMENT_BYTES_MAX {
            let reason = format!("the statement is longer than {STATEMENT_BYTES_MAX} bytes");
            return Err(plain(Fault::new(Code::TooLarge, reason)));
        }
        client.set_state(PgWireConnectionState::QueryInProgress);
        let parts = split(&text).map_err(plain_at(&text, 0))?;
        if parts.is_empty() {
            client
                .feed(PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse::new()))
                .await?;
        }
        for part in parts {
            let done = self.guarded(self.simple(client, part.sql)).await;
            done.map_err(|error| moved(error, part.offset_chars))?;
        }
        if client.transaction_status() == TransactionStatus::Idle {
            self.end_portals(client);
        }
        client.set_state(PgWireConnectionState::ReadyForQuery);
        send_ready_for_query(client, client.transaction_status()).await
    }

    async fn do_query<C>(&self, _client: &mut C, _query: &str) -> PgWireResult<Vec<Response>>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        // `on_query` answers by itself, so that cancelling reaches the stream.
        Err(plain(Fault::internal("simple queries are answered as they come")))
    }
}

/// Moves an error's position from its statement into the whole message.
fn moved(error: PgWireError, offset_chars: usize) -> PgWireError {
    match error {
        PgWireError::UserError(mut info) => {
            let place = info.position.as_deref().and_then(|text| text.parse::<usize>().ok());
            if let Some(place) = place {
                info.position = Some((place + offset_chars).to_string());
            }
            PgWireError::UserError(info)
        }
        other => other,
    }
}

/// Reads and describes statements for the extended protocol.
pub struct Parser(Arc<PgSession>);

#[async_trait]
impl QueryParser for Parser {
    type Statement = Arc<Prepared>;

    async fn parse_sql<C>(
        &self,
        _client: &C,
        sql: &str,
        types: &[Option<Type>],
    ) -> PgWireResult<Option<Self::Statement>>
    where
        C: ClientInfo + Unpin + Send + Sync,
    {
        let Some(command) = parse(sql).map_err(plain_at(sql, 0))? else { return Ok(None) };
        let described = describe(&self.0, &command).await?;
        if described.parameters.len().max(types.len()) > PARAMETERS_MAX {
            let reason = format!("a statement may have {PARAMETERS_MAX} parameters");
            return Err(plain(Fault::new(Code::TooLarge, reason)));
        }
        let described = std::sync::Mutex::new(described);
        Ok(Some(Arc::new(Prepared { sql: sql.to_owned(), command, described })))
    }

    fn get_parameter_types(&self, statement: &Self::Statement) -> PgWireResult<Vec<Type>> {
        let parameters = statement.described().parameters;
        Ok(parameters.iter().map(|wanted| params::wire_type(None, wanted.as_ref())).collect())
    }

    fn get_result_schema(
        &self,
        statement: &Self::Statement,
        format: Option<&Format>,
    ) -> PgWireResult<Vec<FieldInfo>> {
        let format = format.unwrap_or(&Format::UnifiedText);
        fields(&self.0, statement, &statement.described(), format)
    }
}

#[async_trait]
impl ExtendedQueryHandler for Face {
    type Statement = Arc<Prepared>;
    type QueryParser = Parser;

    fn query_parser(&self) -> Arc<Self::QueryParser> {
        let session = &self.logged_in.get().expect("no query is read before the login").session;
        Arc::new(Parser(session.clone()))
    }

    async fn on_parse<C>(&self, client: &mut C, message: Parse) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Self::Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let name = message.name.clone().unwrap_or_else(|| DEFAULT_NAME.to_owned());
        let bytes = message.query.len();
        locked(&self.statements).check("prepared statements", &name, bytes).map_err(plain)?;
        let parser = self.query_parser();
        let parse = async { StoredStatement::parse(&*client, &message, parser).await };
        match self.guarded(parse).await? {
            Some(statement) => client.portal_store().put_statement(Arc::new(statement)),
            None => client.portal_store().put_empty_statement(&name),
        }
        locked(&self.statements).put(&name, bytes);
        client.feed(PgWireBackendMessage::ParseComplete(ParseComplete::new())).await?;
        Ok(())
    }

    async fn on_bind<C>(&self, client: &mut C, message: Bind) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Self::Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let statement = message.statement_name.as_deref().unwrap_or(DEFAULT_NAME);
        let name = message.portal_name.as_deref().unwrap_or(DEFAULT_NAME);
        let bytes = message.parameters.iter().flatten().map(|value| value.len()).sum();
        locked(&self.portals).check("portals", name, bytes).map_err(plain)?;
        match client.portal_store().get_statement(statement) {
            Some(Entry::Value(statement)) => {
                let portal = Portal::try_new(&message, statement)?;
                client.portal_store().put_portal(Arc::new(portal));
            }
            Some(Entry::Empty) if message.parameters.is_empty() => {
                client.portal_store().put_empty_portal(name);
            }
            Some(Entry::Empty) => {
                return Err(state("08P01", "an empty statement takes no parameters"));
            }
            None => return Err(PgWireError::StatementNotFound(statement.to_owned())),
        }
        locked(&self.portals).put(name, bytes);
        client.feed(PgWireBackendMessage::BindComplete(BindComplete::new())).await?;
        Ok(())
    }

    async fn on_close<C>(&self, client: &mut C, message: Close) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Self::Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let name = message.name.as_deref().unwrap_or(DEFAULT_NAME);
        match message.target_type {
            TARGET_TYPE_BYTE_STATEMENT => {
                locked(&self.statements).remove(name);
                client.portal_store().rm_statement(name);
            }
            TARGET_TYPE_BYTE_PORTAL => {
                locked(&self.portals).remove(name);
                client.portal_store().rm_portal(name);
            }
            _ => {}
        }
        client.feed(PgWireBackendMessage::CloseComplete(CloseComplete::new())).await?;
        Ok(())
    }

    /// Outside a transaction block a portal lives until `Sync`, as in PostgreSQL: a query that was
    /// read in part does not keep its place while its client thinks.
    async fn on_sync<C>(&self, client: &mut C, _message: PgSync) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Self::Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        if client.transaction_status() == TransactionStatus::Idle {
            self.end_portals(client);
        } else {
            locked(&self.portals).remove(DEFAULT_NAME);
            client.portal_store().rm_portal(DEFAULT_NAME);
        }
        send_ready_for_query(client, client.transaction_status()).await
    }

    async fn on_execute<C>(&self, client: &mut C, message: Execute) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Self::Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let name = message.name.as_deref().unwrap_or(DEFAULT_NAME);
        let portal = match client.portal_store().get_portal(name) {
            Some(Entry::Value(portal)) => portal,
            Some(Entry::Empty) => {
                client
                    .feed(PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse::new()))
                    .await?;
                return Ok(());
            }
            None => return Err(PgWireError::PortalNotFound(name.to_owned())),
        };
        let rows_max = usize::try_from(message.max_rows).unwrap_or(0);
        client.set_state(PgWireConnectionState::QueryInProgress);
        let state = portal.state();
        let mut state = state.lock().await;
        // Taken out while it runs: whatever ends the run early leaves a finished portal.
        let before = std::mem::replace(&mut *state, PortalExecutionState::Finished);
        let work = async {
            let response = match before {
                PortalExecutionState::Initial => self.start_portal(client, &portal).await?,
                PortalExecutionState::Suspended(response) => Some(response),
                PortalExecutionState::Finished => {
                    complete(client, Tag::new("SELECT").with_rows(0)).await?;
                    None
                }
            };
            let Some(mut response) = response else { return Ok(None) };
            let more = send_partial_query_response(client, &mut response, rows_max).await?;
            Ok(more.then_some(response))
        };
        if let Some(rest) = self.guarded(work).await? {
            *state = PortalExecutionState::Suspended(rest);
        }
        client.set_state(PgWireConnectionState::ReadyForQuery);
        Ok(())
    }

    async fn do_describe_statement<C>(
        &self,
        _client: &mut C,
        target: &StoredStatement<Self::Statement>,
    ) -> PgWireResult<DescribeStatementResponse>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Self::Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let described = self.current(&target.statement).await?;
        let count = described.parameters.len().max(target.parameter_types.len());
        let parameters = (0..count).map(|index| {
            let client = target.parameter_types.get(index).and_then(Option::as_ref);
            params::wire_type(client, described.parameters.get(index).and_then(Option::as_ref))
        });
        let format = Format::UnifiedText;
        let fields = fields(self.session()?, &target.statement, &described, &format)?;
        Ok(DescribeStatementResponse::new(parameters.collect(), fields))
    }

    async fn do_describe_portal<C>(
        &self,
        _client: &mut C,
        target: &Portal<Self::Statement>,
    ) -> PgWireResult<DescribePortalResponse>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Self::Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let prepared = &target.statement.statement;
        let described = self.current(prepared).await?;
        let format = &target.result_column_format;
        let fields = fields(self.session()?, prepared, &described, format)?;
        Ok(DescribePortalResponse::new(fields))
    }

    async fn do_query<C>(
        &self,
        _client: &mut C,
        portal: &Portal<Self::Statement>,
        _max_rows: usize,
    ) -> PgWireResult<Response>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Self::Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        // `on_execute` answers by itself, so that rows stream and cancelling reaches them.
        let sql = &portal.statement.statement.sql;
        Err(plain(Fault::internal(format!("a portal was not executed as it came: {sql}"))))
    }
}
