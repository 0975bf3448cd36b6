//! One live stream to many listeners, beside icecast2 and beside the least that can be done.
//!
//! The stream is 640 kb/s in packets of 8000 bytes, one each 100 ms. That is what a server gets to
//! read from an encoder: ffmpeg and its like put what they have muxed into a buffer of 32 KiB at
//! most and flush it by time or by frames, so a read gives several audio frames (an MP3 frame of
//! 320 kb/s is 1 KiB) or the transport stream packets of one to three video frames, some kilobytes,
//! some ten to fifty times a second. 1600 bytes each 20 ms, the same stream from an encoder that
//! flushes each frame, is measured too, for information: what a packet costs by itself counts five
//! times there.
//!
//! icecast2 gets the same bytes at the same times from a source client. Where loopback delivers a
//! packet in the context of the sender, that time is the server's, for all servers alike.

use std::time::Duration;

use crate::{
    Plan,
    broadcast::{self, Feed, Sample},
    error::{Context, Result},
    measure::{self, median, percentile},
    peers::Kind,
    report::{Report, Target, grouped},
};

const FEED: Feed = Feed { packet: 8000, period: Duration::from_millis(100) };
/// Measured for information.
const SMALL: Feed = Feed { packet: 1600, period: Duration::from_millis(20) };
/// 128 kb/s, the usual radio.
const THIN: Feed = Feed { packet: 1600, period: Duration::from_millis(100) };
const LISTENERS: usize = 500;
const MANY: usize = 5000;
/// Shorter ones see too few packets for a 99th percentile.
const SHORTEST: Duration = Duration::from_secs(5);
/// Of the processor time that icecast2 takes.
const MOST_CPU: f64 = 0.25;
/// Packets.
const MOST_UNEVEN: f64 = 1.0;
const MOST_P99: f64 = 5.0;
/// Bytes of memory.
const MOST_EACH: f64 = 4096.0;

/// Processor time and latency with 500 listeners.
pub(crate) fn run(plan: &Plan) -> Result<Report> {
    let window = plan.seconds.max(SHORTEST);
    let mut report = Report::new(
        format!("fanout: {LISTENERS} listeners, {} rounds of {window:?}", plan.rounds),
        &[
            "packets",
            "server",
            "CPU µs/(packet × listener)",
            "× icecast2",
            "lost",
            "uneven, packets",
            "to the last: p50, ms",
            "p99, ms",
            "max, ms",
        ],
    );
    measure::need_files(LISTENERS as u64 + 100)?;
    for feed in [FEED, SMALL] {
        let servers: Vec<Kind> = servers(plan).collect();
        let mut samples: Vec<Vec<Sample>> = servers.iter().map(|_| Vec::new()).collect();
        for _ in 0..plan.rounds {
            for (&kind, samples) in servers.iter().zip(&mut samples) {
                let sample = broadcast::sample(kind, &plan.lab, feed, LISTENERS, window);
                samples.push(sample.context(kind.name())?);
            }
        }
        let all: Vec<Figures> = samples.iter().map(|samples| Figures::of(samples)).collect();
        for (kind, figures) in servers.into_iter().zip(&all) {
            let cost = figures.cpu / all[0].cpu;
            let Figures { cpu, lost, uneven, ref latencies, .. } = *figures;
            let latency = |percent| percentile(latencies, percent);
            report.row([
                feed.name(),
                kind.name().into(),
                format!("{cpu:.2}"),
                format!("{cost:.2}"),
                grouped(lost),
                format!("{uneven:.2}"),
                format!("{:.2}", latency(50.0)),
                format!("{:.2}", latency(99.0)),
                format!("{:.2}", latency(100.0)),
            ]);
            if plan.ours.contains(&kind) && feed.packet == FEED.packet {
                let name = kind.name();
                let mut check = |what, value, unit, most| {
                    report.check(
                        format!("fanout, {what}, {name}"),
                        value,
                        unit,
                        Target::AtMost(most),
                    );
                };
                check("processor time", cost, "× icecast2", MOST_CPU);
                check("lost", lost, "", 0.0);
                check("uneven", uneven, "packets", MOST_UNEVEN);
                check("p99 to the last", latency(99.0), "ms", MOST_P99);
            }
        }
    }
    Ok(report)
}

/// What 5000 listeners take, and that they are not too many.
pub(crate) fn hold(plan: &Plan) -> Result<Report> {
    let window = (plan.seconds * plan.rounds).max(SHORTEST);
    let mut report = Report::new(
        format!("fanout: {MANY} listeners, held for {window:?}"),
        &[
            "packets",
            "server",
            "CPU µs/(packet × listener)",
            "lost",
            "uneven, packets",
            "VmRSS, bytes/listener",
        ],
    );
    measure::need_files(MANY as u64 + 100)?;
    // By its figure with 500, icecast2 would need almost two processors for 5000 of FEED, and a
    // source has one thread there.
    let full = servers(plan).filter(|kind| *kind != Kind::Icecast).map(|kind| (FEED, kind));
    for (feed, kind) in full.chain(servers(plan).map(|kind| (THIN, kind))) {
        let (packets, name) = (feed.name(), kind.name());
        // Not to hold them is an outcome, too.
        let (lost, memory) = match broadcast::sample(kind, &plan.lab, feed, MANY, window) {
            Ok(sample) => {
                let Figures { cpu, lost, uneven, memory, .. } = Figures::of(&[sample]);
                report.row([
                    packets.clone(),
                    name.into(),
                    format!("{cpu:.2}"),
                    grouped(lost),
                    format!("{uneven:.2}"),
                    grouped(memory),
                ]);
                (lost, memory)
            }
            Err(error) => {
                report.row([packets.clone(), name.into(), format!("{error}")]);
                (f64::NAN, f64::NAN)
            }
        };
        if plan.ours.contains(&kind) {
            let mut check = |what, value, unit, most| {
                let what = format!("fanout, {MANY} of {packets}, {what}, {name}");
                report.check(what, value, unit, Target::AtMost(most));
            };
            check("lost", lost, "", 0.0);
            check("memory", memory, "bytes", MOST_EACH);
        }
    }
    Ok(report)
}

/// icecast2 is the first.
fn servers(plan: &Plan) -> impl Iterator<Item = Kind> + use<> {
    [Kind::Icecast, Kind::Floor].into_iter().chain(plan.ours.iter().copied())
}

/// What several samples of one server come to.
#[derive(Debug)]
struct Figures {
    /// Microseconds for each packet and listener, the median.
    cpu: f64,
    /// Bytes of memory for each listener, the median.
    memory: f64,
    /// Listeners dropped and gaps heard, together.
    lost: f64,
    /// The worst.
    uneven: f64,
    /// All.
    latencies: Vec<f64>,
}

impl Figures {
    fn of(samples: &[Sample]) -> Self {
        let each = |figure: fn(&Sample) -> f64| samples.iter().map(figure).collect::<Vec<f64>>();
        let lost = each(|sample| sample.dropped as f64 + sample.gaps as f64);
        Self {
            cpu: median(&each(|sample| sample.cpu * 1e6 / (sample.packets * sample.count) as f64)),
            memory: median(&each(|sample| sample.memory / sample.count as f64)),
            lost: lost.iter().sum(),
            uneven: percentile(&each(|sample| sample.uneven), 100.0),
            latencies: samples.iter().flat_map(|sample| sample.latencies.clone()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_of_all_samples() {
        let sample = |cpu, dropped, uneven| Sample {
            count: 10,
            packets: 100,
            cpu,
            memory: 20_480.0,
            dropped,
            gaps: 1,
            uneven,
            latencies: vec![uneven],
        };
        let figures =
            Figures::of(&[sample(0.02, 0, 0.5), sample(0.01, 2, 0.25), sample(0.03, 0, 0.0)]);
        assert!((figures.cpu - 20.0).abs() < 1e-9);
        assert_eq!((figures.memory, figures.lost, figures.uneven), (2048.0, 5.0, 0.5));
        assert_eq!(figures.latencies, [0.5, 0.25, 0.0]);
    }
}
