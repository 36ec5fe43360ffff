//! The first packet and its answer: who it is, and which session it has.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::broker::Broker;
use crate::connection::Peer;
use crate::decode;
use crate::encode::{self, Connack};
use crate::figures::{FIGURES, count};
use crate::hooks::{Credentials, Hooks};
use crate::limits::{
    CLIENT_ID_BYTES_MAX, CONNECT_BYTES_MAX, CONNECT_SECONDS_MAX, KEEP_ALIVE_SECONDS_MAX,
    PASSWORD_BYTES_MAX, READ_BYTES, READ_MUCH_BYTES, USER_BYTES_MAX, WRITE_SECONDS_MAX, seconds,
};
use crate::packet::{Connect, Packet, Version};
use crate::reason::{Reason, Refusal};
use crate::sessions::Attached;
use crate::topic::name_fault;

/// A stream with what was read of it and what is to be written.
pub(crate) struct Line<S> {
    stream: S,
    pub inbox: BytesMut,
    pub out: BytesMut,
    /// The last read filled its room.
    much: bool,
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Line<S> {
    pub fn of(stream: S) -> Self {
        Self { stream, inbox: BytesMut::new(), out: BytesMut::new(), much: false }
    }

    /// How many bytes came; none at the end. What was read stays where this is given up.
    pub async fn read(&mut self) -> std::io::Result<usize> {
        self.inbox.reserve(if self.much { READ_MUCH_BYTES } else { READ_BYTES });
        let read = self.stream.read_buf(&mut self.inbox).await?;
        self.much = read >= READ_BYTES;
        Ok(read)
    }

    pub async fn flush(&mut self) -> std::io::Result<()> {
        let Self { stream, out, .. } = self;
        if out.is_empty() {
            return Ok(());
        }
        let written = async {
            stream.write_all(out).await?;
            stream.flush().await
        };
        let written = tokio::time::timeout(seconds(WRITE_SECONDS_MAX), written).await;
        written.map_err(|_| std::io::ErrorKind::TimedOut)??;
        match out.capacity() > 2 * crate::limits::WRITE_BYTES {
            true => *out = BytesMut::new(),
            false => out.clear(),
        }
        Ok(())
    }

    /// Ends it, so that the other side reads what was written and then the end.
    pub async fn close(&mut self) {
        if self.flush().await.is_ok() {
            let ended = self.stream.shutdown();
            let _ = tokio::time::timeout(seconds(WRITE_SECONDS_MAX), ended).await;
        }
    }
}

/// A client that is in.
pub(crate) struct Greeted<H: Hooks> {
    pub connect: Connect,
    pub attached: Attached<H>,
    /// Silence after which the client is taken to be gone.
    pub silence: Duration,
}

/// Reads the first packet and answers it; none where nobody came in.
pub(crate) async fn greet<H: Hooks, S: AsyncRead + AsyncWrite + Send + Unpin>(
    broker: &Broker<H>,
    line: &mut Line<S>,
    peer: &Peer,
) -> Option<Greeted<H>> {
    let first = tokio::time::timeout(seconds(CONNECT_SECONDS_MAX), first(line)).await;
    let connect = first.ok().flatten()?;
    let version = connect.version;
    let asked_id = connect.client_id.clone();
    match admit(broker, &connect, peer).await {
        Ok(attached) => {
            let asked = connect.keep_alive_s;
            let given = match asked {
                0 => KEEP_ALIVE_SECONDS_MAX,
                asked => asked.min(KEEP_ALIVE_SECONDS_MAX),
            };
            let expiry_s = attached.expiry_s;
            let said = Connack {
                reason: Reason::SUCCESS,
                text: "",
                session_present: attached.was_there,
                assigned_id: asked_id.is_empty().then_some(attached.session.client_id.as_str()),
                session_expiry_s: (expiry_s != connect.session_expiry_s).then_some(expiry_s),
                keep_alive_s: (given != asked).then_some(given),
            };
            encode::connack(&mut line.out, version, &said);
            count(&FIGURES.connects, 1);
            let silence = seconds(u64::from(given)) * 3 / 2;
            Some(Greeted { connect, attached, silence })
        }
        Err(refusal) => {
            count(&FIGURES.connects_refused, 1);
            encode::connack(&mut line.out, version, &Connack::refusing(&refusal));
            line.close().await;
            None
        }
    }
}

async fn first<S: AsyncRead + AsyncWrite + Send + Unpin>(line: &mut Line<S>) -> Option<Connect> {
    loop {
        match decode::next(&mut line.inbox, None, CONNECT_BYTES_MAX) {
            Ok(Some(Packet::Connect(connect))) => return Some(*connect),
            Ok(Some(_)) => return None,
            Ok(None) => {}
            Err(fault) => {
                count(&FIGURES.malformed, 1);
                tracing::debug!(%fault, "a first packet that is none");
                if fault.reason == Reason::UNSUPPORTED_VERSION {
                    // Of a protocol that is not known, the oldest answer is understood by most.
                    let refusal = Refusal::new(fault.reason, fault.what);
                    let said = Connack::refusing(&refusal);
                    encode::connack(&mut line.out, Version::V311, &said);
                    line.close().await;
                }
                return None;
            }
        }
        if line.read().await.ok()? == 0 {
            return None;
        }
    }
}

async fn admit<H: Hooks>(
    broker: &Broker<H>,
    connect: &Connect,
    peer: &Peer,
) -> Result<Attached<H>, Refusal> {
    check(connect)?;
    let shown = Credentials {
        address: peer.address,
        user: connect.user.as_deref(),
        password: connect.password.as_deref(),
        certified: &peer.certified,
    };
    let client = broker.hooks.authenticate(shown).await?;
    let client_id = match connect.client_id.is_empty() {
        true => new_id()?,
        false => connect.client_id.clone(),
    };
    let hooks: &Arc<H> = &broker.hooks;
    broker.sessions.attach(hooks, client, client_id, connect)
}

fn check(connect: &Connect) -> Result<(), Refusal> {
    if connect.auth_method {
        let text = "there is no extended authentication: give a user name and a password";
        return Err(Refusal::new(Reason::BAD_METHOD, text));
    }
    let user_bytes = connect.user.as_ref().map_or(0, String::len);
    let password_bytes = connect.password.as_ref().map_or(0, bytes::Bytes::len);
    if user_bytes > USER_BYTES_MAX || password_bytes > PASSWORD_BYTES_MAX {
        return Err(Refusal::new(Reason::BAD_LOGIN, "the user name or the password is too long"));
    }
    if connect.client_id.len() > CLIENT_ID_BYTES_MAX {
        let text = format!("a client identifier has at most {CLIENT_ID_BYTES_MAX} bytes");
        return Err(Refusal::new(Reason::CLIENT_ID_INVALID, text));
    }
    let nameless = connect.client_id.is_empty() && connect.version == Version::V311;
    if nameless && !connect.clean_start {
        let text = "a session that lasts needs a client identifier";
        return Err(Refusal::new(Reason::CLIENT_ID_INVALID, text));
    }
    if let Some(fault) = connect.will.as_ref().and_then(|will| name_fault(&will.topic)) {
        return Err(Refusal::new(Reason::TOPIC_INVALID, fault));
    }
    Ok(())
}

/// A name for a client that has none.
fn new_id() -> Result<String, Refusal> {
    let mut random = [0_u8; 8];
    let failed =
        |_| Refusal::for_now(Reason::UNAVAILABLE, "no name could be made up: try it again");
    getrandom::fill(&mut random).map_err(failed)?;
    Ok(format!("auto-{:016x}", u64::from_be_bytes(random)))
}
