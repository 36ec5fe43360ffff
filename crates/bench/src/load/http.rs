//! Producers over HTTP: a thread and a connection each, one request after the other.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{anyhow, ensure};

use super::{Told, data_arrays, moments_ms, reading};
use crate::served::{Served, Talk};

const CREATED: u16 = 201;
const BULK: &str = "/sta/v1.1/CreateObservations";

/// What is sent.
#[derive(Debug, Clone, Copy)]
pub enum Sent {
    /// One observation a request.
    Single,
    /// So many data arrays a request, each of so many rows.
    Arrays { groups: u64, rows: u64 },
}

#[derive(Debug, Clone, Copy)]
pub struct Load {
    pub sent: Sent,
    pub clients: u32,
    /// Datastreams from 1 that it is spread over.
    pub streams: u64,
    /// Observations a second of all clients; as fast as they are acknowledged where none is given.
    pub per_second: Option<f64>,
}

impl Load {
    fn rows(&self) -> u64 {
        match self.sent {
            Sent::Single => 1,
            Sent::Arrays { groups, rows } => groups * rows,
        }
    }

    /// Runs for so long.
    pub fn run(&self, served: &Served, time: Duration) -> anyhow::Result<Told> {
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(time);
                stop.store(true, Ordering::Relaxed);
            });
            self.until(served, &stop)
        })
    }

    /// Runs until it is stopped.
    pub fn until(&self, served: &Served, stop: &AtomicBool) -> anyhow::Result<Told> {
        let started = Instant::now();
        let mut told = Told::default();
        std::thread::scope(|scope| {
            let clients: Vec<_> = (0..self.clients)
                .map(|client| scope.spawn(move || self.client(client, served, stop)))
                .collect();
            for client in clients {
                told.add(client.join().map_err(|_| anyhow!("a producer panicked"))??);
            }
            anyhow::Ok(())
        })?;
        told.seconds = started.elapsed().as_secs_f64();
        Ok(told)
    }

    fn client(&self, client: u32, served: &Served, stop: &AtomicBool) -> anyhow::Result<Told> {
        let mut talk = served.talk()?;
        let (mut told, mut body) = (Told::default(), String::new());
        let pace = self.per_second.map(|rate| {
            Duration::from_secs_f64(f64::from(self.clients) * self.rows() as f64 / rate)
        });
        // Clients do not all send at the same moment.
        let share = f64::from(client) / f64::from(self.clients);
        let mut due = Instant::now() + pace.map_or(Duration::ZERO, |pace| pace.mul_f64(share));
        while !stop.load(Ordering::Relaxed) {
            if let Some(pace) = pace {
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                due += pace;
            }
            self.send(&mut talk, &served.token, &mut body, &mut told)?;
        }
        Ok(told)
    }

    fn send(
        &self,
        talk: &mut Talk,
        token: &str,
        body: &mut String,
        told: &mut Told,
    ) -> anyhow::Result<()> {
        let single;
        let path = match self.sent {
            Sent::Single => {
                let ms = moments_ms(1);
                *body = reading(ms);
                let stream = ms.unsigned_abs() % self.streams + 1;
                single = format!("/sta/v1.1/Datastreams({stream})/Observations");
                single.as_str()
            }
            Sent::Arrays { groups, rows } => {
                data_arrays(body, groups, rows, self.streams);
                BULK
            }
        };
        let asked = Instant::now();
        let (answer, text) = talk.post(path, token, body.as_bytes())?;
        match answer.status {
            CREATED => {
                told.latencies_ms.push(asked.elapsed().as_secs_f64() * 1_000.0);
                told.rows += self.rows();
                let text = String::from_utf8_lossy(&text);
                ensure!(!text.contains("\"error\""), "rows of a body were refused");
            }
            // The server asks for patience.
            429 | 503 => told.refused += self.rows(),
            status => {
                anyhow::bail!("{path} was answered {status}: {}", String::from_utf8_lossy(&text))
            }
        }
        Ok(())
    }
}
