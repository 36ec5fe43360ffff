//! Starts a real PostgreSQL on a free port in a temporary folder, and stops it by its own pid.
//!
//! `postgres` refuses to run as root, so root starts it as the user `postgres` (or `nobody`).

use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::Folder;

const START_SECONDS_MAX: u64 = 60;
const STOP_SECONDS_MAX: u64 = 10;
const POLL_MS: u64 = 50;
const SUPERUSER: &str = "shujin";

/// How the server shall run.
#[derive(Debug, Clone, Default)]
pub struct PostgresOptions {
    /// Off for tests, which no power cut outlives; on for benchmarks that compare durable writes.
    pub fsync: bool,
    /// Further settings, e.g. `("shared_buffers", "256MB")`.
    pub settings: Vec<(String, String)>,
}

#[derive(Debug)]
pub struct Postgres {
    programs: PathBuf,
    server: Child,
    port: u16,
    folder: Folder,
    databases: AtomicU32,
}

impl Postgres {
    /// One server for all tests of a program that run at the same time; the last to drop it stops
    /// it. `None`, after a loud message, where PostgreSQL is not installed.
    pub fn shared() -> Option<Arc<Self>> {
        static RUNNING: Mutex<Weak<Postgres>> = Mutex::new(Weak::new());
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = running.upgrade() {
            return Some(server);
        }
        let server = Arc::new(Self::start(&PostgresOptions::default())?);
        *running = Arc::downgrade(&server);
        Some(server)
    }

    /// A server of one's own. `None`, after a loud message, where PostgreSQL is not installed;
    /// panics where it is installed and does not start.
    pub fn start(options: &PostgresOptions) -> Option<Self> {
        let Some(programs) = programs() else {
            warn_once();
            return None;
        };
        let folder = Folder::new("postgres");
        let user = unprivileged();
        if let Some((uid, gid)) = user {
            chown(folder.path(), Some(uid), Some(gid)).expect("root may give its folder away");
        }
        init(&programs, folder.path(), user);
        let port = free_port();
        let server = serve(&programs, folder.path(), port, user, options);
        let postgres = Self { programs, server, port, folder, databases: AtomicU32::new(0) };
        postgres.wait_until_ready();
        Some(postgres)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder with PostgreSQL's programs: `psql`, `pgbench` …
    pub fn programs(&self) -> &Path {
        &self.programs
    }

    /// The main process, for whoever measures its memory.
    pub fn pid(&self) -> u32 {
        self.server.id()
    }

    pub fn url(&self, database: &str) -> String {
        format!("postgres://{SUPERUSER}@127.0.0.1:{}/{database}", self.port)
    }

    /// Makes an empty database and returns its URL.
    pub fn new_database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let made = self.client("createdb").arg(&name).output();
        succeed("createdb", made);
        self.url(&name)
    }

    fn client(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", SUPERUSER]);
        command
    }

    fn wait_until_ready(&self) {
        let deadline = Instant::now() + Duration::from_secs(START_SECONDS_MAX);
        while Instant::now() < deadline {
            let ready = self.client("pg_isready").stdout(Stdio::null()).status();
            if ready.is_ok_and(|status| status.success()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(POLL_MS));
        }
        let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        panic!("PostgreSQL did not start within {START_SECONDS_MAX} s:\n{log}");
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // SIGINT is PostgreSQL's fast shutdown: it ends its own backends. SIGKILL would leave
        // them to find out for themselves.
        let pid = self.server.id().to_string();
        let _ = Command::new("kill").args(["-INT", &pid]).status();
        let deadline = Instant::now() + Duration::from_secs(STOP_SECONDS_MAX);
        while Instant::now() < deadline {
            if matches!(self.server.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(POLL_MS));
        }
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// The newest of Debian's installed versions.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut found: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let version = entry.file_name().to_str()?.parse().ok()?;
            let bin = entry.path().join("bin");
            bin.join("initdb").exists().then_some((version, bin))
        })
        .collect();
    found.sort();
    found.pop().map(|(_, bin)| bin)
}

fn warn_once() {
    static WARNED: Once = Once::new();
    WARNED.call_once(|| {
        eprintln!(
            "\n*** PostgreSQL is not installed: the record tests run on SQLite ALONE. ***\n\
             *** Install it with: apt-get install postgresql                      ***\n"
        );
    });
}

/// Whom to run as, when this process is root.
fn unprivileged() -> Option<(u32, u32)> {
    let me = std::fs::metadata("/proc/self").ok()?.uid();
    if me != 0 {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").expect("root may read /etc/passwd");
    let ids = |name: &str| {
        let line = users.lines().find(|line| line.starts_with(&format!("{name}:")))?;
        let mut parts = line.split(':').skip(2);
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    };
    Some(ids("postgres").or_else(|| ids("nobody")).expect("there is a user beside root"))
}

fn command_as(program: &Path, user: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).current_dir("/");
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
    command
}

fn init(programs: &Path, folder: &Path, user: Option<(u32, u32)>) {
    let made = command_as(&programs.join("initdb"), user)
        .args(["--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C"])
        .args(["--username", SUPERUSER, "--pgdata"])
        .arg(folder.join("data"))
        .output();
    succeed("initdb", made);
}

fn serve(
    programs: &Path,
    folder: &Path,
    port: u16,
    user: Option<(u32, u32)>,
    options: &PostgresOptions,
) -> Child {
    let log = std::fs::File::create(folder.join("log")).expect("the folder takes a log");
    let mut command = command_as(&programs.join("postgres"), user);
    command
        .arg("-D")
        .arg(folder.join("data"))
        .args(["-h", "127.0.0.1", "-p", &port.to_string(), "-k"])
        .arg(folder)
        .args(["-c", if options.fsync { "fsync=on" } else { "fsync=off" }]);
    for (name, value) in &options.settings {
        command.args(["-c", &format!("{name}={value}")]);
    }
    command.stdout(Stdio::null()).stderr(log).spawn().expect("postgres starts")
}

/// Another process may take it before PostgreSQL does; then the start fails and says so.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
    listener.local_addr().expect("a bound listener has an address").port()
}

fn succeed(program: &str, output: std::io::Result<Output>) {
    let output = output.unwrap_or_else(|cause| panic!("{program} does not run: {cause}"));
    assert!(
        output.status.success(),
        "{program} failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
