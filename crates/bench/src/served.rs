//! The real program: its command line, and a server that is asked over HTTP by a client that costs
//! next to nothing.

use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

const START_SECONDS_MAX: u64 = 120;
const POLL_MS: u64 = 100;
const HEADERS_MAX: usize = 100;
const USER: &str = "operator";
/// Requests a second of one client: the rate is measured, not the limit.
const RATE: &str = "10000000";
/// The longest line of a chunked answer: a length in hexadecimal.
const CHUNK_DIGITS_MAX: usize = 16;

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
    process: Process,
    pub token: String,
    pub http: u16,
    /// Of a city that sensors speak to.
    pub mqtt: u16,
    talk: Mutex<Talk>,
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
        Self::start_as(data, USER, &[])
    }

    /// With an address for MQTT, asked by a user who brings in observations, at any rate.
    pub fn start_sensing(data: &Path, user: &str) -> anyhow::Result<Self> {
        Self::start_as(data, user, &["--http-rate", RATE, "--http-rate-address", RATE, "--mqtt"])
    }

    /// Where the options end in `--mqtt`, its address comes behind them.
    fn start_as(data: &Path, user: &str, options: &[&str]) -> anyhow::Result<Self> {
        let folder = text(data)?;
        let token = shujin(&["token", "create", "--data", folder, user])?;
        let [http, pg, mqtt] = free_ports()?;
        let mut command = Command::new(program()?);
        command
            .args(["serve", "--data", folder])
            .args(["--http", &format!("127.0.0.1:{http}"), "--pg", &format!("127.0.0.1:{pg}")])
            .args(options);
        // Without an option the broker is somewhere free.
        match options.last() {
            Some(&"--mqtt") => command.arg(format!("127.0.0.1:{mqtt}")),
            _ => command.args(["--mqtt", "127.0.0.1:0"]),
        };
        let process = Process(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?);
        let talk = Mutex::new(ready(http)?);
        Ok(Self { process, token, http, mqtt, talk })
    }

    /// A connection of its own.
    pub fn talk(&self) -> anyhow::Result<Talk> {
        Talk::to(self.http)
    }

    /// The server's resident set as it is now.
    pub fn resident_mib(&self) -> anyhow::Result<f64> {
        let resident = crate::memory::resident_mib(self.process.0.id());
        resident.context("the server's memory cannot be read")
    }

    /// Asks over one connection that stays open.
    pub fn get(&self, path: &str) -> anyhow::Result<Answer> {
        let mut talk = self.talk.lock().expect("no one panics while asking");
        talk.get(path, &self.token)
    }

    /// The server's peak resident set, as the kernel kept it.
    pub fn peak_mib(&self) -> anyhow::Result<f64> {
        self.process.peak_mib()
    }
}

/// A demonstration, with the logins that it printed.
#[derive(Debug)]
pub struct Demo {
    process: Process,
    port: u16,
    /// Names and tokens.
    pub logins: Vec<(String, String)>,
    rest: Mutex<Lines<BufReader<ChildStdout>>>,
}

impl Demo {
    /// Returns when its first page can be used: the shell is there, and a planner's board.
    pub fn start(data: &Path, people: u64) -> anyhow::Result<Self> {
        let [http, pg] = free_ports()?;
        let mut process = Command::new(program()?)
            .args(["demo", "--data", text(data)?, "--people", &people.to_string()])
            .args(["--http", &format!("127.0.0.1:{http}"), "--pg", &format!("127.0.0.1:{pg}")])
            .args(["--mqtt", "127.0.0.1:0"])
            .current_dir(pack_dir().join("../.."))
            .env_remove("CITY_DATA")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let said = process.stdout.take().context("its output is not piped")?;
        let process = Process(process);
        let (mut rest, mut logins) = (BufReader::new(said).lines(), Vec::new());
        for line in rest.by_ref() {
            let line = line?;
            let mut words = line.split_whitespace();
            if let (Some(user), Some(_), Some(token)) = (words.next(), words.next(), words.next())
                && token.starts_with("shujin_")
            {
                logins.push((user.to_owned(), token.to_owned()));
            }
            if line.starts_with("Stop with") {
                break;
            }
        }
        let mut talk = ready(http)?;
        let planner = logins.iter().find(|(user, _)| user == "planner");
        let (_, token) = planner.context("the demonstration printed no logins")?;
        for path in ["/", "/api/boards/planner"] {
            let answer = talk.get(path, token)?;
            anyhow::ensure!(answer.status == 200, "{path} was answered {}", answer.status);
        }
        Ok(Self { process, port: http, logins, rest: Mutex::new(rest) })
    }

    /// Waits until all is there that it is filled with.
    pub fn wait_filled(&self) -> anyhow::Result<()> {
        let mut rest = self.rest.lock().expect("no one panics while reading");
        for line in rest.by_ref() {
            if line?.starts_with("The city is filled") {
                return Ok(());
            }
        }
        bail!("the demonstration ended before it was filled")
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn peak_mib(&self) -> anyhow::Result<f64> {
        self.process.peak_mib()
    }
}

/// Ended in order when it is let go of.
#[derive(Debug)]
struct Process(Child);

impl Process {
    fn peak_mib(&self) -> anyhow::Result<f64> {
        crate::memory::peak_mib(self.0.id()).context("the server's memory cannot be read")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // SIGTERM lets it write what is in memory.
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

fn text(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("the folder's name is not UTF-8")
}

/// Waits until a server answers.
fn ready(port: u16) -> anyhow::Result<Talk> {
    let started = Instant::now();
    loop {
        if let Ok(mut talk) = Talk::to(port)
            && talk.get("/readyz", "").is_ok_and(|answer| answer.status == 200)
        {
            return Ok(talk);
        }
        if started.elapsed() > Duration::from_secs(START_SECONDS_MAX) {
            bail!("the server did not start within {START_SECONDS_MAX} s");
        }
        std::thread::sleep(Duration::from_millis(POLL_MS));
    }
}

/// One connection that stays open.
#[derive(Debug)]
pub struct Talk(BufReader<TcpStream>);

impl Talk {
    pub fn to(port: u16) -> anyhow::Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    pub fn get(&mut self, path: &str, token: &str) -> anyhow::Result<Answer> {
        Ok(self.get_body(path, token)?.0)
    }

    pub fn get_body(&mut self, path: &str, token: &str) -> anyhow::Result<(Answer, Vec<u8>)> {
        self.ask(path, token)?;
        read(&mut self.0)
    }

    pub fn post(
        &mut self,
        path: &str,
        token: &str,
        body: &[u8],
    ) -> anyhow::Result<(Answer, Vec<u8>)> {
        let mut request = format!(
            "POST {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        // One write: a second one would wait for the first to be acknowledged.
        request.extend_from_slice(body);
        self.0.get_mut().write_all(&request)?;
        read(&mut self.0)
    }

    /// Asks for a stream; what is left to read is the stream.
    pub fn stream(mut self, path: &str, token: &str) -> anyhow::Result<BufReader<TcpStream>> {
        self.ask(path, token)?;
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        anyhow::ensure!(line.contains(" 200 "), "{path} was answered {}", line.trim_end());
        Ok(self.0)
    }

    fn ask(&mut self, path: &str, token: &str) -> anyhow::Result<()> {
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {token}\r\n\r\n");
        Ok(self.0.get_mut().write_all(request.as_bytes())?)
    }
}

fn read(connection: &mut BufReader<TcpStream>) -> anyhow::Result<(Answer, Vec<u8>)> {
    let mut line = String::new();
    connection.read_line(&mut line)?;
    let status = line.split(' ').nth(1).context("no HTTP answer")?.parse()?;
    let mut answer = Answer { status, bytes: 0, left_out: false };
    let mut chunked = false;
    for _ in 0..HEADERS_MAX {
        line.clear();
        connection.read_line(&mut line)?;
        let header = line.trim_end();
        if header.is_empty() {
            if chunked {
                let body = read_chunks(connection)?;
                answer.bytes = body.len();
                return Ok((answer, body));
            }
            let mut body = vec![0; answer.bytes];
            connection.read_exact(&mut body)?;
            return Ok((answer, body));
        }
        if let Some((name, value)) = header.split_once(':') {
            match name.to_ascii_lowercase().as_str() {
                "content-length" => answer.bytes = value.trim().parse()?,
                "transfer-encoding" => chunked = true,
                "x-features-left-out" => answer.left_out = true,
                _ => {}
            }
        }
    }
    bail!("the answer's head does not end")
}

/// A body that is sent as it is made.
fn read_chunks(connection: &mut BufReader<TcpStream>) -> anyhow::Result<Vec<u8>> {
    let (mut body, mut line) = (Vec::new(), String::new());
    loop {
        line.clear();
        connection.read_line(&mut line)?;
        let digits = line.trim_end();
        anyhow::ensure!(digits.len() <= CHUNK_DIGITS_MAX, "a chunk's length is too long");
        let length = usize::from_str_radix(digits, 16).context("a chunk's length is none")?;
        let start = body.len();
        // Its end of line is read along and cut off.
        body.resize(start + length + 2, 0);
        connection.read_exact(&mut body[start..])?;
        body.truncate(start + length);
        if length == 0 {
            return Ok(body);
        }
    }
}

/// Held together: one that was let go of could be given twice.
pub fn free_ports<const N: usize>() -> anyhow::Result<[u16; N]> {
    let free = |_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let held = (0..N).map(free).collect::<Result<Vec<_>, _>>()?;
    let mut ports = [0; N];
    for (port, listener) in ports.iter_mut().zip(&held) {
        *port = listener.local_addr()?.port();
    }
    Ok(ports)
}
