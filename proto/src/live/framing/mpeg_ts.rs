//! MPEG-2 transport streams. A packet is a run of up to seven TS packets (1316 bytes, what fits a
//! datagram), cut
//!
//! * before and behind the tables (PAT and PMT),
//! * before a random-access point, so that a client joins right at it, with the latest tables as
//!   tune-in data,
//! * behind a TS packet with stuffing, which ends a PES packet: so the end of a picture does not
//!   wait for the next one.

use bytes::Bytes;

use super::{
    Fault, Frames, Packet, Step, TuneIn,
    clock::{Clock, ticks},
    psi::{Sort, Tables},
    search::{Probe, Search},
};

/// Bytes of a TS packet.
pub(super) const TS: usize = 188;

/// TS packets in a run.
const RUN: usize = 7;

/// So many sync bytes in their places are no accident.
const SURE: usize = 3;

/// PCR and PTS count 90 000 to the second, 33 bits wide.
const WRAP: u64 = 1 << 33;

#[derive(Debug, Default)]
pub(super) struct Ts {
    search: Search,
    synced: bool,
    tables: Tables,
    run: Run,
    tune_in: Bytes,
    /// There are other tables than `tune_in` has.
    stale: bool,
    clock: Clock,
    /// The latest PCR or PTS, and the same without the wraps.
    ticks: Option<(u64, u64)>,
}

/// What is gathered.
#[derive(Debug, Default)]
struct Run {
    packets: usize,
    tables: bool,
    join: bool,
}

impl Frames for Ts {
    fn next(&mut self, data: &[u8], last: bool) -> Result<Step, Fault> {
        loop {
            let at = self.run.packets * TS;
            let Some(packet) = data.get(at..at + TS) else {
                return Ok(if last && at > 0 { self.cut() } else { Step::Need(at + TS) });
            };
            if !self.synced || packet[0] != 0x47 {
                if at > 0 {
                    return Ok(self.cut());
                }
                self.synced = false;
                let help = "name its real format; TS packets must be of 188 bytes, not 192 or 204";
                let found = self.search.run(data, "TS packets", help, |data| probe(data, last))?;
                if let Some(step) = found {
                    return Ok(step);
                }
                self.synced = true;
            }
            let packet = TsPacket(packet);
            let tables = self.tables.has(packet.pid());
            let join = !tables && self.is_join(packet);
            if at > 0 && (join || tables != self.run.tables) {
                return Ok(self.cut());
            }
            if at == 0 {
                self.run = Run { packets: 0, tables, join };
            }
            self.run.packets += 1;
            self.learn(packet);
            if self.run.packets == RUN || packet.is_stuffed() {
                return Ok(self.cut());
            }
        }
    }

    fn taken(&mut self, packet: &Packet) {
        if packet.content && std::mem::take(&mut self.stale) {
            self.tune_in = self.tables.packets();
        }
    }

    fn tune_in(&self) -> TuneIn {
        self.tune_in.clone().into()
    }
}

impl Ts {
    fn cut(&mut self) -> Step {
        let Run { packets, join, .. } = std::mem::take(&mut self.run);
        let (len, time) = (packets * TS, self.clock.now());
        Step::Take { len, random_access: join, content: true, time }
    }

    /// Video: where the stream says so, or where a picture that needs no other begins. Sound: at
    /// any PES packet.
    fn is_join(&self, packet: TsPacket<'_>) -> bool {
        let Some(stream) = self.tables.leader().filter(|stream| stream.pid == packet.pid()) else {
            return false;
        };
        if stream.sort != Sort::Video {
            return packet.starts();
        }
        packet.says_random_access()
            || packet.starts()
                && packet.pes().is_some_and(|pes| is_key(stream.kind, pes.get(9..).unwrap_or(&[])))
    }

    fn learn(&mut self, packet: TsPacket<'_>) {
        let pid = packet.pid();
        if self.tables.has(pid) {
            self.tables.learn(pid, packet.0, packet.payload(), packet.starts());
            self.stale = true;
        }
        let ticks = match self.tables.clock() {
            Some(clock) if clock == pid => packet.pcr(),
            // There is none: the PES packets tell the time.
            None if self.tables.leader().is_some_and(|leader| leader.pid == pid) => packet.pts(),
            Some(_) | None => None,
        };
        if let Some(ticks) = ticks {
            self.tick(ticks);
        }
    }

    fn tick(&mut self, now: u64) {
        let unwrapped = match self.ticks {
            None => WRAP,
            Some((before, unwrapped)) => {
                let step = now.wrapping_sub(before) % WRAP;
                if step < WRAP / 2 {
                    unwrapped + step
                } else {
                    unwrapped.saturating_sub(WRAP - step)
                }
            }
        };
        self.ticks = Some((now, unwrapped));
        self.clock.at(ticks(unwrapped, 90_000));
    }
}

fn probe(data: &[u8], last: bool) -> Probe {
    let mut syncs = data.iter().step_by(TS).take(SURE);
    if !syncs.all(|&byte| byte == 0x47) {
        return Probe::No;
    }
    let enough = if last { TS } else { TS * (SURE - 1) + 1 };
    match data.len() {
        len if len >= enough => Probe::Yes,
        _ if last => Probe::No,
        _ => Probe::Need(enough),
    }
}

/// Whether what begins with `es` is a picture that needs no other, by ISO 13818-1's `stream_type`.
fn is_key(stream_type: u8, es: &[u8]) -> bool {
    memchr::memmem::find_iter(es, &[0, 0, 1]).filter_map(|at| es.get(at + 3)).any(|&unit| {
        match stream_type {
            // A sequence header.
            0x01 | 0x02 => unit == 0xB3,
            // An IDR slice, or the SPS that stands before one.
            0x1B => matches!(unit & 0x1F, 5 | 7),
            // An IRAP picture, or VPS and SPS.
            0x24 => matches!(unit >> 1 & 0x3F, 16..=23 | 32 | 33),
            _ => false,
        }
    })
}

/// ISO 13818-1 §2.4.3.2.
#[derive(Clone, Copy, Debug)]
struct TsPacket<'a>(&'a [u8]);

impl<'a> TsPacket<'a> {
    fn pid(self) -> u16 {
        u16::from_be_bytes([self.0[1] & 0x1F, self.0[2]])
    }

    /// A PES packet or a section begins here.
    fn starts(self) -> bool {
        self.0[1] & 0x40 != 0
    }

    /// The adaptation field, without its length.
    fn adaptation(self) -> Option<&'a [u8]> {
        if self.0[3] & 0x20 == 0 {
            return None;
        }
        self.0.get(5..5 + usize::from(self.0[4]))
    }

    fn payload(self) -> Option<&'a [u8]> {
        match self.0[3] >> 4 & 3 {
            1 => self.0.get(4..),
            3 => self.0.get(5 + usize::from(self.0[4])..),
            _ => None,
        }
    }

    fn says_random_access(self) -> bool {
        self.adaptation().and_then(<[u8]>::first).is_some_and(|flags| flags & 0x40 != 0)
    }

    /// The adaptation field tells nothing: it only fills up, behind the end of a PES packet.
    fn is_stuffed(self) -> bool {
        self.adaptation().is_some_and(|field| field.first().is_none_or(|&flags| flags == 0))
    }

    /// In 90 000ths of a second.
    fn pcr(self) -> Option<u64> {
        let &[flags, a, b, c, d, e, ..] = self.adaptation()? else { return None };
        let base = u64::from(u32::from_be_bytes([a, b, c, d])) << 1 | u64::from(e >> 7);
        (flags & 0x10 != 0).then_some(base)
    }

    /// From the start of a PES packet's optional header: ISO 13818-1 §2.4.3.6.
    fn pes(self) -> Option<&'a [u8]> {
        self.payload().filter(|payload| payload.starts_with(&[0, 0, 1]))
    }

    fn pts(self) -> Option<u64> {
        let pes = self.pes().filter(|_| self.starts())?;
        let &[_, _, _, _, _, _, _, flags, _, a, b, c, d, e, ..] = pes else { return None };
        let [a, b, c, d, e] = [a, b, c, d, e].map(u64::from);
        (flags & 0x80 != 0)
            .then_some((a >> 1 & 7) << 30 | b << 22 | (c >> 1) << 15 | d << 7 | e >> 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(ts: &Ts) -> u128 {
        ts.clock.now().map_or(0, |time| time.as_millis())
    }

    #[test]
    fn time_goes_on_over_the_wrap() {
        let mut ts = Ts::default();
        for (ticks, expected) in [(WRAP - 90_000, 0), (WRAP - 45_000, 500), (45_000, 1500)] {
            ts.tick(ticks);
            assert_eq!(millis(&ts), expected);
        }
        ts.tick(WRAP - 45_000);
        assert_eq!(millis(&ts), 1500, "a step back is not shown");
    }

    #[test]
    fn pictures_are_known_without_the_indicator() {
        assert!(is_key(0x1B, &[9, 0, 0, 0, 1, 0x09, 0xF0, 0, 0, 1, 0x67]));
        assert!(!is_key(0x1B, &[0, 0, 0, 1, 0x09, 0xF0, 0, 0, 1, 0x41]));
        assert!(is_key(0x24, &[0, 0, 1, 0x26, 1]), "IDR_W_RADL");
        assert!(!is_key(0x24, &[0, 0, 1, 0x02, 1]));
        assert!(is_key(0x02, &[0, 0, 1, 0xB3]));
        assert!(!is_key(0x02, &[0, 0, 1, 0x00, 0, 0, 1]));
    }
}
