//! The driver of a session: polls it, and moves bytes between it and its socket.

use std::{io, time::Duration};

use bytes::Bytes;
use httpout_proto::{Now, Step, Wait, http::Piece};

use crate::{
    invariants::ONE_READ,
    link::{End, Read},
    world::World,
};

/// Effects that one poll after another may bring.
const MOST_EFFECTS: usize = 1000;

impl World<'_> {
    pub(crate) fn poll(&mut self, c: usize) -> Result<(), String> {
        let now = Now { mono: self.base + self.now, wall: self.wall() };
        self.conns[c].dirty = false;
        for _ in 0..MOST_EFFECTS {
            match self.conns[c].session.poll(now) {
                Step::Do(effect) => self.run(c, effect)?,
                Step::Wait(wait) => {
                    self.check_wait(c, wait, self.now)?;
                    let conn = &mut self.conns[c];
                    conn.dirty = false;
                    if conn.wait.replace(wait) != Some(wait) {
                        let until =
                            wait.deadline.map(|(at, timer)| (at.duration_since(self.base), timer));
                        let Wait { read, write, .. } = wait;
                        self.trace(|| format!("[{c}] waits, read {read} write {write} {until:?}"));
                    }
                    return match self.conns[c].session.poll(now) {
                        Step::Wait(again) if again == wait => Ok(()),
                        other @ (Step::Do(_) | Step::Wait(_) | Step::Closed(_)) => {
                            Err(format!("[{c}] after {wait:?}, at the same time: {other:?}"))
                        }
                    };
                }
                Step::Closed(how) => {
                    self.trace(|| format!("[{c}] closed {how:?}"));
                    self.check_closed(c)?;
                    self.check_deaf(c, now)?;
                    let end = if how.reset { End::Reset } else { End::Fin };
                    let keep = self.dice.index(self.conns[c].link.down.len() + 1);
                    let conn = &mut self.conns[c];
                    conn.over = true;
                    conn.link.closed_by_server(end, keep);
                    return Ok(());
                }
            }
        }
        Err(format!("[{c}] has always something more to be done"))
    }

    /// Time alone, short of a deadline, changes nothing.
    pub(crate) fn poll_for_nothing(&mut self) -> Result<(), String> {
        let now = Now { mono: self.base + self.now, wall: self.wall() };
        for (c, conn) in self.conns.iter_mut().enumerate() {
            let Some(wait) = conn.wait.filter(|_| !conn.over && !conn.dirty) else { continue };
            if wait.deadline.is_some_and(|(at, _)| at <= now.mono) || !self.dice.chance(10) {
                continue;
            }
            match conn.session.poll(now) {
                Step::Wait(again) if again == wait => {}
                other @ (Step::Do(_) | Step::Wait(_) | Step::Closed(_)) => {
                    return Err(format!("[{c}] without news, after {wait:?}: {other:?}"));
                }
            }
        }
        Ok(())
    }

    /// After the end everything is a no-op.
    fn check_deaf(&mut self, c: usize, now: Now) -> Result<(), String> {
        let session = &mut self.conns[c].session;
        session.handle_data(Bytes::from_static(b"GET / HTTP/1.1\r\nHost: sim\r\n\r\n"));
        session.handle_sent(1);
        session.handle_eof();
        session.handle_unsendable(io::ErrorKind::BrokenPipe);
        session.handle_broken(io::ErrorKind::ConnectionReset);
        session.abort(io::ErrorKind::ConnectionReset);
        session.shut_down();
        let later = Now { mono: now.mono + Duration::from_secs(100), ..now };
        match session.poll(later) {
            Step::Closed(_) if session.transmit().is_none() => Ok(()),
            other @ (Step::Do(_) | Step::Wait(_) | Step::Closed(_)) => {
                Err(format!("[{c}] after its end: {other:?}"))
            }
        }
    }

    pub(crate) fn receive(&mut self, c: usize) {
        let conn = &mut self.conns[c];
        let most = self.dice.share(conn.link.up.len().clamp(1, ONE_READ));
        // Once per poll: what a session waits for is known no longer.
        if let Some(wait) = &mut conn.wait {
            wait.read = false;
        }
        conn.dirty = true;
        match conn.link.up.read(most) {
            Read::Bytes(bytes) => {
                conn.watch.received += bytes.len();
                conn.session.handle_data(bytes.into());
            }
            Read::End(End::Fin) => {
                conn.watch.eof = true;
                conn.session.handle_eof();
            }
            Read::End(End::Reset) => {
                conn.watch.eof = true;
                conn.session.handle_broken(io::ErrorKind::ConnectionReset);
            }
        }
    }

    pub(crate) fn send(&mut self, c: usize) -> Result<(), String> {
        let conn = &mut self.conns[c];
        conn.dirty = true;
        if conn.link.down.ended() == Some(End::Reset) {
            conn.session.handle_unsendable(io::ErrorKind::BrokenPipe);
            return Ok(());
        }
        let file_of = |piece| match piece {
            Piece::File { file, .. } => Some(file),
            Piece::Bytes(_) => None,
        };
        if let Some(file) = conn.session.transmit().into_iter().flatten().find_map(file_of)
            && self.dice.chance(self.faults / 4)
        {
            // The file is shorter than it was, or the device is broken.
            conn.excused = true;
            conn.session.handle_lost_file(file, io::ErrorKind::UnexpectedEof);
            return Ok(());
        }
        let most = self.dice.share(conn.link.down.space());
        let mut bytes = Vec::new();
        let mut shown = 0;
        for piece in conn.session.transmit().into_iter().flatten() {
            let left = most - bytes.len();
            match piece {
                Piece::Bytes(piece) => {
                    shown += piece.len() as u64;
                    bytes.extend_from_slice(&piece[..piece.len().min(left)]);
                }
                Piece::File { file, at, len } => {
                    shown += len;
                    let handle = conn.files.get(&file).ok_or("sends a file that is not open")?;
                    let data = handle.inode().data();
                    let end = (at + len.min(left as u64)) as usize;
                    bytes.extend_from_slice(
                        data.get(at as usize..end).ok_or("sends what is not there")?,
                    );
                }
            }
        }
        conn.session.handle_sent(bytes.len() as u64);
        let pieces = conn.session.transmit().into_iter().flatten();
        let left: u64 = pieces
            .map(|piece| match piece {
                Piece::Bytes(bytes) => bytes.len() as u64,
                Piece::File { len, .. } => len,
            })
            .sum();
        if left + bytes.len() as u64 != shown {
            return Err(format!(
                "[{c}] showed {shown}, {} were sent, {left} are left",
                bytes.len()
            ));
        }
        conn.link.down.write(&bytes);
        let first = conn.watch.answered();
        let heads: Vec<_> = conn
            .client
            .asked
            .iter()
            .map(|asked| asked.request.is_head() && !conn.client.turned_away)
            .collect();
        let statuses = conn.watch.sent(&bytes, &heads)?;
        self.trace(|| format!("[{c}] sends {} of {shown} bytes", bytes.len()));
        for (index, status) in statuses.into_iter().enumerate() {
            self.trace(|| format!("[{c}] has answered request {} with {status}", first + index));
            self.check_penalty((c, first + index), status)?;
            if let Some(asked) = self.conns[c].client.asked.get(first + index)
                && matches!(status, 200 | 201)
                && self.site.config().durable
            {
                let path = asked.request.place();
                self.model.promise(&path, (c, first + index));
            }
        }
        Ok(())
    }
}
