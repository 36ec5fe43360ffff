//! A mosquitto of Debian's package, without persistence: it stores nothing.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::memory::peak_mib;
use crate::served::free_ports;

const START_SECONDS_MAX: u64 = 10;
const POLL_MS: u64 = 50;
/// Debian puts it where only root looks.
const PLACES: [&str; 2] = ["/usr/sbin/mosquitto", "/usr/bin/mosquitto"];

/// Ended when it is let go of.
#[derive(Debug)]
pub struct Mosquitto {
    process: Child,
    pub port: u16,
}

impl Mosquitto {
    pub fn start(dir: &Path) -> anyhow::Result<Self> {
        let program = PLACES.iter().map(PathBuf::from).find(|place| place.exists());
        let program = program.context("no mosquitto is installed: run scripts/setup bench")?;
        let [port] = free_ports()?;
        let config = dir.join("mosquitto.conf");
        std::fs::write(
            &config,
            format!(
                "listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n\
                 log_type error\nmax_connections -1\n"
            ),
        )?;
        let process = Command::new(program)
            .arg("-c")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()?;
        let started = Self { process, port };
        let begun = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            if begun.elapsed() > Duration::from_secs(START_SECONDS_MAX) {
                bail!("mosquitto did not start within {START_SECONDS_MAX} s");
            }
            std::thread::sleep(Duration::from_millis(POLL_MS));
        }
        Ok(started)
    }

    pub fn peak_mib(&self) -> anyhow::Result<f64> {
        peak_mib(self.process.id()).context("mosquitto's memory cannot be read")
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
