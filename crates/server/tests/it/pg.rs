//! The PostgreSQL wire, spoken by psql. The tests are skipped, aloud, where psql is not installed.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use server::tls::{PgTls, load};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::small::{PASSWORD, Small};

/// A served small city; it stops when dropped.
struct Served {
    address: SocketAddr,
    city: Arc<Small>,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

async fn served(tls: &PgTls, listen: &str) -> Served {
    let listener = TcpListener::bind(listen).await.unwrap();
    let address = listener.local_addr().unwrap();
    let tls = load(tls, address, &[server::pg::ALPN]).unwrap();
    let (stop, stopped) = watch::channel(false);
    let city = Arc::new(Small::default());
    let task =
        tokio::spawn(server::pg::serve(listener, city.clone(), tls, Default::default(), stopped));
    Served { address, city, stop, task }
}

/// Keeps a small city served for trying clients by hand:
/// `SERVE=127.0.0.1:5433 cargo test -p server --test it by_hand -- --ignored`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "serves until it is interrupted"]
async fn by_hand() {
    let listen = std::env::var("SERVE").unwrap_or_else(|_| "127.0.0.1:0".to_owned());
    let served = served(&PgTls::Off, &listen).await;
    println!("serving on {}", served.address);
    std::future::pending::<()>().await;
}

/// Who connects, and how.
struct Client<'a> {
    user: &'a str,
    password: &'a str,
    options: &'a [(&'a str, &'a str)],
}

const CHEN: Client<'static> = Client { user: "chen", password: PASSWORD, options: &[] };

/// Runs psql with statements, each in a message of its own; `None` where it is not installed.
async fn psql(served: &Served, client: &Client<'_>, statements: &[&str]) -> Option<Output> {
    let mut command = Command::new("psql");
    command
        .args(["-h", &served.address.ip().to_string(), "-p", &served.address.port().to_string()])
        .args(["-U", client.user, "-X", "-q", "-A", "-t", "-v", "VERBOSITY=verbose"])
        .env("PGPASSWORD", client.password)
        .env("PGDATABASE", "chengdu")
        .env("PGCONNECT_TIMEOUT", "10");
    for (name, value) in client.options {
        command.env(name, value);
    }
    for statement in statements {
        command.args(["-c", statement]);
    }
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap();
    if output.is_err() {
        println!("skipped: psql is not installed");
    }
    output.ok()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_come_as_postgresql_writes_them() {
    let served = served(&PgTls::Off, "127.0.0.1:0").await;
    let asked = [
        "select id, flag, ratio, day, at, amount, raw from test.kinds order by id",
        "set timezone = 'UTC'",
        "select at from test.kinds where id = 1",
        "select count(*), max(pm25) from air.pm25",
    ];
    let Some(output) = psql(&served, &CHEN, &asked).await else { return };
    let expected = "1|t|0.1|2010-01-01|2010-01-01 08:00:00.000001+08|-1234.56|\\x00ff0a\n\
                    2||||||\n2010-01-01 00:00:00.000001+00\n6000|99.5";
    assert_eq!(out(&output), expected, "{}", err(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_fail_alike_whatever_is_wrong() {
    let served = served(&PgTls::Off, "127.0.0.1:0").await;
    let wrong = Client { password: "wrong", ..CHEN };
    let Some(first) = psql(&served, &wrong, &["select 1"]).await else { return };
    let nobody = Client { user: "nobody", ..CHEN };
    let second = psql(&served, &nobody, &["select 1"]).await.unwrap();
    for (output, user) in [(&first, "chen"), (&second, "nobody")] {
        assert_eq!(output.status.code(), Some(2));
        let expected = format!("password authentication failed for user \"{user}\"");
        assert!(err(output).contains(&expected), "{}", err(output));
    }
    let elsewhere = Client { options: &[("PGDATABASE", "beijing")], ..CHEN };
    let third = psql(&served, &elsewhere, &["select 1"]).await.unwrap();
    assert!(err(&third).contains("database \"beijing\" does not exist"), "{}", err(&third));
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_carry_their_sqlstate_and_the_connection_lives() {
    let served = served(&PgTls::Off, "127.0.0.1:0").await;
    for (statement, sqlstate) in [
        ("selec 1", "42601"),
        ("select * from no.such", "42P01"),
        ("select nope from air.pm25", "42703"),
        ("drop table air.pm25", "42501"),
        ("copy air.pm25 from stdin", "42501"),
        ("copy air.pm25 to '/tmp/x'", "42501"),
        ("select * from pg_class, air.pm25", "0A000"),
        ("set no_such_setting = 1", "42704"),
        ("set client_encoding = 'GBK'", "22023"),
        ("execute nothing", "26000"),
        ("select 'panic_please'", "XX000"),
        ("set shujin.as_of = 'someday'", "22007"),
    ] {
        let Some(output) = psql(&served, &CHEN, &[statement, "select 'alive'"]).await else {
            return;
        };
        let text = err(&output);
        assert!(text.contains(&format!("ERROR:  {sqlstate}:")), "{statement}: {text}");
        assert_eq!(out(&output), "alive", "{statement}");
    }
    let panicked = psql(&served, &CHEN, &["select 'panic_please'"]).await.unwrap();
    assert!(err(&panicked).contains("correlation id:"), "{}", err(&panicked));
    assert!(!err(&panicked).contains("asked to"), "what a panic says stays in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_ends_at_its_deadline() {
    let served = served(&PgTls::Off, "127.0.0.1:0").await;
    let endless = "select sum(a.pm25 * b.pm25 * c.pm25) from air.pm25 a, air.pm25 b, air.pm25 c";
    let started = Instant::now();
    let asked = ["set statement_timeout = '300ms'", endless, "select 'alive'"];
    let Some(output) = psql(&served, &CHEN, &asked).await else { return };
    assert!(err(&output).contains("57014"), "{}", err(&output));
    assert_eq!(out(&output), "alive");
    // Left alone it would run for days; a busy machine may take its time to notice.
    assert!(started.elapsed() < Duration::from_secs(120));
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_and_prepared_statements_behave() {
    let served = served(&PgTls::Off, "127.0.0.1:0").await;
    let asked = [
        "begin; select 1; selec 2",
        "rollback",
        "select 'outside'",
        "prepare p as select count(*) from air.pm25 where pm25 > $1",
        "execute p(50)",
        "execute p('no number')",
        "deallocate p",
        "execute p(50)",
    ];
    let Some(output) = psql(&served, &CHEN, &asked).await else { return };
    // A message is one statement's fault in PostgreSQL too: the transaction is over with it, but
    // our session says so in words.
    let errors = err(&output);
    for sqlstate in ["42601", "22P02", "26000"] {
        assert!(errors.contains(sqlstate), "{sqlstate} is not in {errors}");
    }
    assert!(out(&output).contains("2546"), "{}", out(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn copy_writes_text_and_csv() {
    let served = served(&PgTls::Off, "127.0.0.1:0").await;
    let asked = [
        "copy (select id, name from test.kinds order by id) to stdout",
        "copy (select id, name as \"a,b\" from test.kinds order by id) to stdout with (format csv, header)",
    ];
    let Some(output) = psql(&served, &CHEN, &asked).await else { return };
    let expected =
        "1\ta\\tb\\\\\"x\",\\n成都\n2\t\\N\nid,\"a,b\"\n1,\"a\tb\\\"\"x\"\",\n成都\"\n2,";
    assert_eq!(out(&output), expected, "{}", err(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_system_catalogues_show_what_each_user_may_know() {
    let served = served(&PgTls::Off, "127.0.0.1:0").await;
    let guest = Client { user: "guest", ..CHEN };
    let asked = ["\\dt *.*", "\\dn", "\\d air.pm25", "\\l", "\\du", "\\d+ air.pm25", "\\dt+"];
    let Some(theirs) = psql(&served, &CHEN, &asked).await else { return };
    assert_eq!(err(&theirs), "", "every command is answered");
    for part in ["secrets", "kinds", "pm25", "double precision", "细颗粒物", "ecology"] {
        assert!(out(&theirs).contains(part), "{part} is not in {}", out(&theirs));
    }
    let few = psql(&served, &guest, &asked).await.unwrap();
    assert_eq!(err(&few), "");
    assert!(out(&few).contains("pm25") && !out(&few).contains("secrets"), "{}", out(&few));
    let hidden = ["select 'test.secrets'::regclass", "select * from test.secrets"];
    let refused = psql(&served, &guest, &hidden).await.unwrap();
    assert_eq!(err(&refused).matches("42P01").count(), 2, "{}", err(&refused));
}

/// Writes a certificate for `localhost` and its key.
fn certificate(dir: &Path) -> (std::path::PathBuf, std::path::PathBuf) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (cert, key) = (dir.join("cert.pem"), dir.join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    (cert, key)
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_spoken_and_clear_text_refused_where_it_is_required() {
    let dir = tempfile::tempdir().unwrap();
    let (cert, key) = certificate(dir.path());
    let root = cert.display().to_string();
    let required = served(&PgTls::Required { cert, key }, "127.0.0.1:0").await;
    let clear = Client { options: &[("PGSSLMODE", "disable")], ..CHEN };
    let Some(refused) = psql(&required, &clear, &["select 1"]).await else { return };
    assert!(err(&refused).contains("TLS connections only"), "{}", err(&refused));
    let options = [("PGSSLMODE", "verify-ca"), ("PGSSLROOTCERT", root.as_str())];
    let safe = Client { options: &options, ..CHEN };
    let answered = psql(&required, &safe, &["select 1"]).await.unwrap();
    assert_eq!(out(&answered), "1", "{}", err(&answered));

    let off = served(&PgTls::Off, "127.0.0.1:0").await;
    let wanting = Client { options: &[("PGSSLMODE", "require")], ..CHEN };
    let refused = psql(&off, &wanting, &["select 1"]).await.unwrap();
    assert!(err(&refused).contains("does not support SSL"), "{}", err(&refused));
}

/// A psql session that asks, waits until the test has done something, and asks again.
async fn psql_around(served: &Served, meanwhile: impl FnOnce()) -> Option<Output> {
    let dir = tempfile::tempdir().unwrap();
    let (reached, done) = (dir.path().join("reached"), dir.path().join("done"));
    let wait = format!(
        "\\! touch {}; while [ ! -e {} ]; do sleep 0.05; done",
        reached.display(),
        done.display()
    );
    let asked = ["select 'before'", &wait, "select 'after'"];
    let session = psql(served, &CHEN, &asked);
    let middle = async {
        let there = async {
            while !reached.exists() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        // Where psql is not installed nothing will ever be there.
        let _ = tokio::time::timeout(Duration::from_secs(30), there).await;
        meanwhile();
        tokio::time::sleep(Duration::from_millis(200)).await;
        std::fs::write(&done, "").unwrap();
    };
    tokio::join!(session, middle).0
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_that_move_are_seen_by_open_connections() {
    let served = served(&PgTls::Off, "127.0.0.1:0").await;
    let city = served.city.clone();
    let output = psql_around(&served, || {
        city.disabled.store(true, Ordering::Relaxed);
        city.epoch.fetch_add(1, Ordering::Relaxed);
    });
    let Some(output) = output.await else { return };
    assert_eq!(out(&output), "before", "{}", err(&output));
    assert!(err(&output).contains("may no longer log in"), "{}", err(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_ends_idle_connections_and_returns() {
    let served = served(&PgTls::Off, "127.0.0.1:0").await;
    let stop = served.stop.clone();
    let output = psql_around(&served, || stop.send(true).unwrap()).await;
    tokio::time::timeout(Duration::from_secs(30), served.task).await.expect("it returns").unwrap();
    let Some(output) = output else { return };
    assert_eq!(out(&output), "before");
    assert!(err(&output).contains("57P01"), "{}", err(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_guesses_passwords_has_to_wait() {
    let served = served(&PgTls::Off, "127.0.0.1:0").await;
    let wrong = Client { password: "wrong", ..CHEN };
    for _ in 0..server::limits::LOGIN_FAILURES_MAX {
        let Some(refused) = psql(&served, &wrong, &["select 1"]).await else { return };
        assert!(err(&refused).contains("password authentication failed"), "{}", err(&refused));
    }
    let right = psql(&served, &CHEN, &["select 1"]).await.unwrap();
    assert!(err(&right).contains("too many failed logins"), "{}", err(&right));
    let guest = Client { user: "guest", ..CHEN };
    let other = psql(&served, &guest, &["select 1"]).await.unwrap();
    assert_eq!(out(&other), "1", "{}", err(&other));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_cannot_send_a_message_without_end() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let served = served(&PgTls::Off, "127.0.0.1:0").await;
    let mut stranger = tokio::net::TcpStream::connect(served.address).await.unwrap();
    let parameters = b"\0\x03\0\0user\0chen\0database\0chengdu\0\0";
    let length = u32::try_from(parameters.len() + 4).unwrap();
    stranger.write_all(&[&length.to_be_bytes()[..], parameters].concat()).await.unwrap();
    // Half a gigabyte is announced in the middle of the login, and begun.
    stranger.write_all(&[&b"Q"[..], &(1_u32 << 29).to_be_bytes()].concat()).await.unwrap();
    let bytes = vec![b' '; 4 * server::limits::PG_LOGIN_MESSAGE_BYTES_MAX];
    // The server may hang up before all of it is sent.
    let _ = stranger.write_all(&bytes).await;
    let mut answer = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(5), stranger.read_to_end(&mut answer));
    let _ = ended.await.expect("the stranger is hung up on");
}
