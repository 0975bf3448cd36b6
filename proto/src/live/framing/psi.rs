//! The tables of a transport stream that a client needs first: the PAT and the PMTs, with the TS
//! packets that carry them.

use bytes::Bytes;

use super::mpeg_ts::TS;

/// Most programs that are looked at.
const PROGRAMS: usize = 16;

/// Most TS packets that a section lies in: it has 1024 bytes at the most, and might start late.
const SECTION_PACKETS: usize = 7;

/// Not a PID: there is no PCR.
const NO_PID: u16 = 0x1FFF;

/// PAT and PMTs, as they were last.
#[derive(Debug, Default)]
pub(super) struct Tables {
    pat: Section,
    programs: Vec<Program>,
    /// By which stream a client joins.
    leader: Option<Stream>,
}

/// An elementary stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stream {
    pub(super) pid: u16,
    /// ISO 13818-1, table 2-34.
    pub(super) kind: u8,
    pub(super) sort: Sort,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    Video,
    Audio,
    Other,
}

#[derive(Debug)]
struct Program {
    pid: u16,
    pmt: Section,
    clock: u16,
    streams: Vec<Stream>,
}

/// A section, as it comes.
#[derive(Debug, Default)]
struct Section {
    /// The TS packets of the one that is coming, and its bytes.
    coming: Option<(Vec<u8>, Vec<u8>)>,
    /// The TS packets of the latest whole one.
    packets: Vec<u8>,
}

impl Tables {
    /// Whether tables are sent with this PID.
    pub(super) fn has(&self, pid: u16) -> bool {
        pid == 0 || self.programs.iter().any(|program| program.pid == pid)
    }

    /// A TS packet of a PID that there `has` been.
    pub(super) fn learn(&mut self, pid: u16, packet: &[u8], payload: Option<&[u8]>, starts: bool) {
        let Some(payload) = payload else { return };
        if pid == 0 {
            if let Some(section) = self.pat.gather(packet, payload, starts) {
                self.learn_pat(&section);
            }
        } else if let Some(program) = self.programs.iter_mut().find(|program| program.pid == pid)
            && let Some(section) = program.pmt.gather(packet, payload, starts)
        {
            program.learn_pmt(&section);
        }
        let streams = || self.programs.iter().flat_map(|program| &program.streams);
        let of = |sort| streams().find(|stream| stream.sort == sort);
        self.leader =
            of(Sort::Video).or_else(|| of(Sort::Audio)).or_else(|| streams().next()).copied();
    }

    /// The stream at which a client joins: the first video stream, else the first of sound.
    pub(super) fn leader(&self) -> Option<Stream> {
        self.leader
    }

    /// The PID that carries the PCR of the leader's program.
    pub(super) fn clock(&self) -> Option<u16> {
        let leader = self.leader?;
        let program = self.programs.iter().find(|program| program.streams.contains(&leader))?;
        (program.clock != NO_PID).then_some(program.clock)
    }

    /// The TS packets of all.
    pub(super) fn packets(&self) -> Bytes {
        let pmts = self.programs.iter().map(|program| &program.pmt.packets);
        let all: Vec<_> = [&self.pat.packets].into_iter().chain(pmts).map(Vec::as_slice).collect();
        all.concat().into()
    }

    /// ISO 13818-1 §2.4.4.4.
    fn learn_pat(&mut self, section: &[u8]) {
        if section.first() != Some(&0) {
            return;
        }
        let entries = section.get(8..section.len() - 4).unwrap_or(&[]);
        let mut pids = Vec::new();
        for entry in entries.chunks_exact(4).filter(|entry| entry[..2] != [0, 0]) {
            let pid = u16::from_be_bytes([entry[2] & 0x1F, entry[3]]);
            if pid != 0 && !pids.contains(&pid) && pids.len() < PROGRAMS {
                pids.push(pid);
            }
        }
        self.programs.retain(|program| pids.contains(&program.pid));
        for pid in pids {
            if !self.has(pid) {
                let pmt = Section::default();
                self.programs.push(Program { pid, pmt, clock: NO_PID, streams: Vec::new() });
            }
        }
    }
}

impl Program {
    /// ISO 13818-1 §2.4.4.8.
    fn learn_pmt(&mut self, section: &[u8]) {
        let number = |at: usize| match section.get(at..at + 2) {
            Some(&[a, b]) => u16::from_be_bytes([a, b]),
            Some(_) | None => 0,
        };
        if section.first() != Some(&2) {
            return;
        }
        self.clock = number(8) & 0x1FFF;
        self.streams.clear();
        let mut at = 12 + usize::from(number(10) & 0xFFF);
        while let Some(&kind) = section.get(at)
            && at + 5 + 4 <= section.len()
        {
            self.streams.push(Stream { pid: number(at + 1) & 0x1FFF, kind, sort: sort(kind) });
            at += 5 + usize::from(number(at + 3) & 0xFFF);
        }
    }
}

fn sort(stream_type: u8) -> Sort {
    match stream_type {
        0x01
        | 0x02
        | 0x10
        | 0x1B
        | 0x1E..=0x21
        | 0x24
        | 0x25
        | 0x33
        | 0x42
        | 0xD1
        | 0xD2
        | 0xEA => Sort::Video,
        0x03 | 0x04 | 0x0F | 0x11 | 0x1C | 0x2D | 0x2E | 0x80..=0x87 | 0xC1..=0xC2 | 0xCF => {
            Sort::Audio
        }
        _ => Sort::Other,
    }
}

impl Section {
    /// Gives the section when it is whole and in force.
    fn gather(&mut self, packet: &[u8], payload: &[u8], starts: bool) -> Option<Vec<u8>> {
        if starts {
            let pointer = usize::from(*payload.first()?);
            self.coming = Some((packet.to_vec(), payload.get(1 + pointer..)?.to_vec()));
        } else {
            let (packets, section) = self.coming.as_mut()?;
            packets.extend_from_slice(packet);
            section.extend_from_slice(payload);
        }
        let (packets, section) = self.coming.as_mut()?;
        let &[_, a, b, ..] = section.as_slice() else { return None };
        let len = 3 + usize::from(u16::from_be_bytes([a & 0xF, b]));
        if section.len() < len {
            if packets.len() >= SECTION_PACKETS * TS {
                self.coming = None;
            }
            return None;
        }
        section.truncate(len);
        let (packets, section) = self.coming.take()?;
        let in_force = len >= 12 && section[5] & 1 == 1;
        in_force.then(|| {
            self.packets = packets;
            section
        })
    }
}
