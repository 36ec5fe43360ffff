//! The real program: its command line, and a server that is asked over HTTP by a client that costs
//! next to nothing.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

const START_SECONDS_MAX: u64 = 120;
const POLL_MS: u64 = 100;
const HEADERS_MAX: usize = 100;
const USER: &str = "operator";

/// The pack of the city that is made up.
pub fn pack_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packs/chengdu")
}

/// The program beside this one, or the one that is named.
fn program() -> anyhow::Result<PathBuf> {
    let program = match std::env::var_os("BENCH_SHUJIN") {
        Some(named) => PathBuf::from(named),
        None => std::env::current_exe()?.with_file_name("shujin"),
    };
    if !program.exists() {
        bail!("{} is not there: build it, or set BENCH_SHUJIN", program.display());
    }
    Ok(program)
}

/// Runs a command of the program to its end; what it printed.
pub fn shujin(arguments: &[&str]) -> anyhow::Result<String> {
    let root = pack_dir().join("../..");
    let output = Command::new(program()?)
        .args(arguments)
        .current_dir(root)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        bail!("shujin {} failed", arguments.join(" "));
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// A served city.
#[derive(Debug)]
pub struct Served {
    process: Child,
    token: String,
    port: u16,
    connection: Mutex<Option<BufReader<TcpStream>>>,
}

/// What came back.
#[derive(Debug, Clone, Copy)]
pub struct Answer {
    pub status: u16,
    pub bytes: usize,
    /// Whether the tile had no room for something.
    pub left_out: bool,
}

impl Served {
    pub fn start(data: &Path) -> anyhow::Result<Self> {
        let folder = data.to_str().context("the folder's name is not UTF-8")?;
        let token = shujin(&["token", "create", "--data", folder, USER])?;
        let (http, pg) = (free_port()?, free_port()?);
        let process = Command::new(program()?)
            .args(["serve", "--data", folder])
            .args(["--http", &format!("127.0.0.1:{http}"), "--pg", &format!("127.0.0.1:{pg}")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()?;
        let served = Self { process, token, port: http, connection: Mutex::new(None) };
        let started = Instant::now();
        loop {
            if served.get("/readyz").is_ok_and(|answer| answer.status == 200) {
                return Ok(served);
            }
            if started.elapsed() > Duration::from_secs(START_SECONDS_MAX) {
                bail!("the server did not start within {START_SECONDS_MAX} s");
            }
            std::thread::sleep(Duration::from_millis(POLL_MS));
        }
    }

    /// Asks over one connection that stays open.
    pub fn get(&self, path: &str) -> anyhow::Result<Answer> {
        let mut kept = self.connection.lock().expect("no one panics while asking");
        let mut connection = match kept.take() {
            Some(connection) => connection,
            None => {
                let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
                stream.set_nodelay(true)?;
                BufReader::new(stream)
            }
        };
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {}\r\n\r\n",
            self.token
        );
        connection.get_mut().write_all(request.as_bytes())?;
        let answer = read(&mut connection)?;
        *kept = Some(connection);
        Ok(answer)
    }

    /// The server's peak resident set, as the kernel kept it.
    pub fn peak_mib(&self) -> anyhow::Result<f64> {
        crate::memory::peak_mib(self.process.id()).context("the server's memory cannot be read")
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // SIGTERM lets it write what is in memory.
        let _ = Command::new("kill").arg(self.process.id().to_string()).status();
        let _ = self.process.wait();
    }
}

fn read(connection: &mut BufReader<TcpStream>) -> anyhow::Result<Answer> {
    let mut line = String::new();
    connection.read_line(&mut line)?;
    let status = line.split(' ').nth(1).context("no HTTP answer")?.parse()?;
    let mut answer = Answer { status, bytes: 0, left_out: false };
    for _ in 0..HEADERS_MAX {
        line.clear();
        connection.read_line(&mut line)?;
        let header = line.trim_end();
        if header.is_empty() {
            let mut body = vec![0; answer.bytes];
            connection.read_exact(&mut body)?;
            return Ok(answer);
        }
        if let Some((name, value)) = header.split_once(':') {
            match name.to_ascii_lowercase().as_str() {
                "content-length" => answer.bytes = value.trim().parse()?,
                "transfer-encoding" => bail!("the answer's length is not told"),
                "x-features-left-out" => answer.left_out = true,
                _ => {}
            }
        }
    }
    bail!("the answer's head does not end")
}

fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
