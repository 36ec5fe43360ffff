//! The PostgreSQL wire, spoken by psql where it is installed.

use std::net::SocketAddr;
use std::process::{Command, Output};
use std::sync::Arc;

use server::tls::{PgTls, load};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::small::{PASSWORD, Small};

/// A served small city; it stops when dropped.
struct Served {
    address: SocketAddr,
    _stop: watch::Sender<bool>,
}

async fn served(tls: &PgTls, listen: &str) -> Served {
    let listener = TcpListener::bind(listen).await.unwrap();
    let address = listener.local_addr().unwrap();
    let tls = load(tls, address, &[server::pg::ALPN]).unwrap();
    let (sender, receiver) = watch::channel(false);
    tokio::spawn(server::pg::serve(listener, Arc::new(Small::default()), tls, receiver));
    Served { address, _stop: sender }
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

/// Runs psql with a script; `None` where it is not installed.
async fn psql(address: SocketAddr, user: &str, script: &'static str) -> Option<Output> {
    let user = user.to_owned();
    tokio::task::spawn_blocking(move || {
        Command::new("psql")
            .args(["-h", &address.ip().to_string(), "-p", &address.port().to_string()])
            .args(["-U", &user, "-d", "chengdu", "-X", "-q", "-A", "-t", "-c", script])
            .env("PGPASSWORD", PASSWORD)
            .env("PGCONNECT_TIMEOUT", "10")
            .output()
            .ok()
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_logs_in_and_reads() {
    let served = served(&PgTls::Off, "127.0.0.1:0").await;
    let Some(output) = psql(served.address, "chen", "select 1, count(*) from air.pm25").await
    else {
        println!("skipped: psql is not installed");
        return;
    };
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.trim(), "1|6000", "{}", String::from_utf8_lossy(&output.stderr));
}
