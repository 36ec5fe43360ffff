//! Readings by MQTT with QoS 1 from a thousand clients, beside mosquitto, which stores nothing.

use std::time::Duration;

use super::mosquitto::Mosquitto;
use super::{Cities, Found, STREAMS};
use crate::figures::line;
use crate::load::mqtt::{Load, Login};
use crate::report::Verdict;
use crate::stats::median;
use crate::work::sense::USER;

const CLIENTS: usize = 1_000;
/// Messages of a client that wait for their acknowledgement.
const WINDOW: u16 = 8;
const SECONDS: u64 = 20;
const RATE_BAR: f64 = 50_000.0;

pub(super) fn measure(cities: &mut Cities<'_>) -> anyhow::Result<Found> {
    let settings = cities.settings;
    let (mut rates, mut tails_ms, mut peaks) = (Vec::new(), Vec::new(), Vec::new());
    let mut refused = Vec::new();
    let (mut peer_rates, mut peer_tails_ms, mut peer_peaks) = (Vec::new(), Vec::new(), Vec::new());
    let time = Duration::from_secs(SECONDS);
    for _ in 0..settings.rounds {
        let served = cities.load()?;
        let login = Login { user: USER.to_owned(), token: served.token.clone() };
        let load = Load {
            port: served.mqtt,
            login: Some(login),
            clients: CLIENTS,
            window: WINDOW,
            streams: STREAMS,
            time,
        };
        let told = load.clone().run()?;
        refused.push(100.0 * told.refused as f64 / (told.rows + told.refused).max(1) as f64);
        rates.push(told.rows_per_second());
        tails_ms.push(told.percentile_ms(99));
        peaks.push(served.peak_mib()?);
        drop(served);

        let mosquitto = Mosquitto::start(&settings.dir)?;
        let told = Load { port: mosquitto.port, login: None, ..load }.run()?;
        peer_rates.push(told.rows_per_second());
        peer_tails_ms.push(told.percentile_ms(99));
        peer_peaks.push(mosquitto.peak_mib()?);
    }
    Ok(Found {
        lines: vec![
            line("mqtt: shujin, durable", "msg/s", &rates, &peaks),
            line("mqtt: shujin, p99", "ms", &tails_ms, &peaks),
            line("mqtt: mosquitto, nothing stored", "msg/s", &peer_rates, &peer_peaks),
            line("mqtt: mosquitto, p99", "ms", &peer_tails_ms, &peer_peaks),
        ],
        verdicts: vec![
            Verdict::at_least("mqtt: msg/s", median(&rates), RATE_BAR),
            Verdict::reported("mqtt: told to come later, %", median(&refused)),
            Verdict::reported("mqtt: of mosquitto's", median(&rates) / median(&peer_rates)),
        ],
        notes: vec![format!(
            "mqtt: {CLIENTS} clients of MQTT 5 for {SECONDS} s, each with up to {WINDOW} messages \
             of QoS 1 on the way and a topic of its own; ours is acknowledged after fsync. \
             mosquitto has no subscriber, no login and no persistence: it reads and acknowledges."
        )],
    })
}
