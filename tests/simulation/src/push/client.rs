//! The runtime of the client: dials, reads its inputs, and moves bytes between the machine and its
//! socket.

use std::{io, time::Duration};

use httpout_proto::{
    Step, Timer,
    http::Piece,
    push::{DialError, Outcome, PushEffect, PushError},
};

use super::{World, server::Conn};
use crate::link::{End, Read};

/// Effects that one poll after another may bring.
const MOST_EFFECTS: usize = 1000;

impl World<'_> {
    pub(super) fn poll_client(&mut self) -> Result<(), String> {
        let now = self.time();
        let due = self.wait.and_then(|wait| wait.deadline).filter(|&(at, _)| at <= now.mono);
        let waited = self.config.limits.continue_time >= Duration::from_secs(1);
        if let (true, Some((_, timer))) = (self.calm, due)
            && (matches!(timer, Timer::Answer | Timer::Send) || timer == Timer::Continue && waited)
        {
            return Err(format!("the {timer} deadline passes although nothing is wrong"));
        }
        for _ in 0..MOST_EFFECTS {
            match self.push.poll(now) {
                Step::Do(effect) => self.client_effect(effect)?,
                Step::Wait(wait) => {
                    if wait.write != self.push.transmit().is_some() {
                        return Err("waits to write what it does not show".into());
                    }
                    if wait.deadline.is_some_and(|(at, _)| at <= now.mono) {
                        return Err(format!("waits for the past: {wait:?}"));
                    }
                    if (wait.read || wait.write) && self.socket.is_none() {
                        return Err("waits for a connection that there is not".into());
                    }
                    if self.ended {
                        return Err("keeps a connection that came to its end".into());
                    }
                    self.wait = Some(wait);
                    return match self.push.poll(now) {
                        Step::Wait(again) if again == wait => Ok(()),
                        other @ (Step::Do(_) | Step::Wait(_) | Step::Closed(_)) => {
                            Err(format!("after {wait:?}, at the same time: {other:?}"))
                        }
                    };
                }
                Step::Closed(_) => {
                    self.closed = true;
                    return match (self.push.poll(now), self.socket) {
                        (Step::Closed(_), None) => Ok(()),
                        (other, socket) => Err(format!("after its end: {other:?} {socket:?}")),
                    };
                }
            }
        }
        Err("the client has always something more to be done".into())
    }

    fn client_effect(&mut self, effect: PushEffect) -> Result<(), String> {
        self.tell(format!("{effect:?}"));
        match effect {
            PushEffect::Dial { .. } => {
                if self.socket.is_some() || self.dial.is_some() {
                    return Err("dials twice".into());
                }
                let time = self.now + self.dice.delay(Duration::from_millis(50));
                // Sometimes nobody answers.
                let never = self.troubles > 0 && self.dice.chance(3);
                self.troubles -= u64::from(never);
                self.dial = Some((!never).then_some(time));
            }
            PushEffect::HangUp => {
                if self.dial.take().is_none() && self.socket.is_none() {
                    return Err("hangs up what it does not have".into());
                }
                self.ended = false;
                if let Some(c) = self.socket.take() {
                    let conn = &mut self.conns[c];
                    if self.dice.chance(50) {
                        conn.link.closed_by_client();
                    } else {
                        let keep = self.dice.index(conn.link.up.len() + 1);
                        conn.link.reset_by_client(keep);
                    }
                }
            }
            PushEffect::Pull { job, at } => {
                // Of an earlier try, a pull may be unanswered still.
                let again = self.pulls.iter().any(|&(_, own, offset)| (own, offset) == (job, at));
                if again && !self.tasks[job.0 as usize].repeated {
                    return Err("asks twice for one part".into());
                }
                let slow = *self.dice.pick(&[0, 0, 30, 500]);
                let time = self.now + self.dice.delay(Duration::from_millis(slow.max(1)));
                self.pulls.push((time, job, at));
            }
            PushEffect::Recheck => {
                let Some(c) = self.socket else {
                    return Err("tries a socket that it does not have".into());
                };
                if !self.ended && self.conns[c].link.down.is_readable() {
                    self.client_receives();
                }
                if self.push.transmit().is_some() && self.conns[c].link.up.space() > 0 {
                    self.client_sends()?;
                }
            }
            PushEffect::Retry { job, after, why } => {
                let fresh = self.conns.last().is_none_or(|conn| !conn.heard);
                if after.is_zero() && fresh && matches!(why, PushError::Lost(_)) {
                    return Err("repeats at once what a fresh connection lost".into());
                }
                let task = &mut self.tasks[job.0 as usize];
                task.stale += u32::from(after.is_zero());
                task.repeated = true;
            }
            PushEffect::Redirected { job, .. } => self.tasks[job.0 as usize].repeated = true,
            PushEffect::Over { job, outcome } => self.over(job, outcome)?,
        }
        Ok(())
    }

    fn over(&mut self, job: httpout_proto::push::JobId, outcome: Outcome) -> Result<(), String> {
        let index = job.0 as usize;
        if self.tasks[index].outcome.replace(outcome.clone()).is_some() {
            return Err(format!("{job:?} is over twice"));
        }
        self.judge(index, &outcome)
    }

    pub(super) fn dialled(&mut self) {
        self.dial = None;
        self.wait = None;
        let trouble = self.trouble();
        if self.walled || trouble && self.dice.chance(25) {
            self.tell("the dial is refused".into());
            self.push.handle_dial_failed(DialError { what: "refused".into(), temporary: true });
            return;
        }
        let conn = Conn::draw(trouble, self.site.clone(), &mut self.dice, self.now);
        self.excused |= conn.refuses();
        self.tell(format!("[{}] {}", self.conns.len(), conn.describe()));
        self.socket = Some(self.conns.len());
        self.conns.push(conn);
        self.push.handle_dialled();
    }

    pub(super) fn client_receives(&mut self) {
        let Some(c) = self.socket else { return };
        self.wait = None;
        let conn = &mut self.conns[c];
        let most = self.dice.share(conn.link.down.len().max(1));
        let read = conn.link.down.read(most);
        self.ended |= matches!(read, Read::End(_));
        match read {
            Read::Bytes(bytes) => {
                conn.count(bytes.len(), &mut self.dice);
                conn.heard = true;
                self.push.handle_data(bytes.into());
            }
            Read::End(End::Fin) => self.push.handle_eof(),
            Read::End(End::Reset) => self.push.handle_broken(io::ErrorKind::ConnectionReset),
        }
    }

    pub(super) fn client_sends(&mut self) -> Result<(), String> {
        let Some(c) = self.socket else { return Ok(()) };
        self.wait = None;
        if self.conns[c].link.up.ended().is_some() {
            self.push.handle_unsendable(io::ErrorKind::BrokenPipe);
            return Ok(());
        }
        let mut shown = Vec::new();
        for piece in self.push.transmit().into_iter().flatten() {
            match piece {
                Piece::Bytes(bytes) => shown.extend_from_slice(bytes),
                Piece::File { file, at, len } => {
                    let task = self.tasks.iter().find(|task| task.job.id.file() == file);
                    let task = task.ok_or("sends a file that is nobody's")?;
                    if task.outcome.is_some() {
                        return Err("sends the file of a job that is over".into());
                    }
                    let span = task.body.get(at as usize..(at + len) as usize);
                    shown.extend_from_slice(span.ok_or("sends what is not there")?);
                }
            }
        }
        if shown.len() as u64 > (64 << 10) + 220_000 {
            return Err(format!("{} bytes are queued", shown.len()));
        }
        let conn = &mut self.conns[c];
        let sent = self.dice.share(conn.link.up.space().min(shown.len()).max(1)).min(shown.len());
        let sent = sent.min(conn.link.up.space());
        conn.link.up.write(&shown[..sent]);
        conn.written.extend_from_slice(&shown[..sent]);
        conn.count(sent, &mut self.dice);
        self.push.handle_sent(sent as u64);
        Ok(())
    }
}
