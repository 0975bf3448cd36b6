//! A client: sends its requests at its own pace, reads answers at its own pace, and may leave at
//! any byte.

use std::{collections::VecDeque, time::Duration};

use crate::{
    choices::Dice,
    link::{End, Link, Read},
    model::Seq,
    reply::{Heard, Reader, Reply},
    request::Request,
};

/// Time since the world began.
pub(crate) type Time = Duration;

/// How a client behaves.
#[derive(Clone, Debug)]
pub(crate) struct Manner {
    /// Requests it makes up by itself.
    pub(crate) requests: usize,
    /// Requests it sends before earlier answers are there.
    pub(crate) depth: usize,
    pub(crate) write_pace: Duration,
    pub(crate) read_pace: Duration,
    /// After so many bytes it does nothing for so long.
    pub(crate) write_stall: Option<(usize, Duration)>,
    pub(crate) read_stall: Option<(usize, Duration)>,
    /// After so many bytes sent and received together it leaves.
    pub(crate) leaves: Option<(usize, How)>,
    /// Does not close when it is done.
    pub(crate) lingers: bool,
    /// Closes its sending side as soon as its last request is sent.
    pub(crate) half_closes: bool,
    /// How long it waits for `100 Continue`.
    pub(crate) patience: Duration,
    /// Most bytes of the request under way that may be sent: held by a test.
    pub(crate) leash: Option<usize>,
}

/// How a client leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Reset,
    /// Closes its socket.
    Close,
    /// Closes its sending side, wherever it is.
    Half,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            requests: 0,
            depth: 1,
            write_pace: Duration::ZERO,
            read_pace: Duration::ZERO,
            write_stall: None,
            read_stall: None,
            leaves: None,
            lingers: false,
            half_closes: false,
            patience: Duration::from_secs(1),
            leash: None,
        }
    }
}

/// A request that was begun.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) request: Request,
    pub(crate) wire: Vec<u8>,
    body_at: usize,
    pub(crate) sent: usize,
    pub(crate) from: Seq,
    pub(crate) at: Time,
    /// The body was held back for `100 Continue`, which has come or was given up.
    waited: Option<bool>,
    /// `100 Continue` came.
    pub(crate) continued: bool,
}

impl Asked {
    pub(crate) fn is_whole(&self) -> bool {
        self.sent == self.wire.len()
    }

    /// The client waited for `100 Continue` and has sent nothing of the body.
    pub(crate) fn holds_back(&self) -> bool {
        self.request.expect && self.sent <= self.body_at && self.body_at < self.wire.len()
    }
}

/// An answer, and when its head and its end were read.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) reply: Reply,
    pub(crate) head: Seq,
    pub(crate) at: Time,
}

#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) manner: Manner,
    pub(crate) queue: VecDeque<Request>,
    pub(crate) asked: Vec<Asked>,
    pub(crate) answered: Vec<Answered>,
    reader: Reader,
    head: Option<Seq>,
    continues: usize,
    /// When it reads again.
    pub(crate) read_at: Time,
    write_at: Time,
    bytes: usize,
    /// The server said that it takes no more requests.
    dismissed: bool,
    /// The sending side is closed.
    pub(crate) silent: bool,
    /// It left by itself.
    pub(crate) left: bool,
    pub(crate) end: Option<End>,
    /// The server takes no request of it, and answers before it has read one.
    pub(crate) turned_away: bool,
    /// It is an operator, on the admin address.
    pub(crate) operates: bool,
}

/// What a client is about to do when it may write.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Bytes,
    GiveUpWaiting,
    Begin,
    Finish,
}

impl Client {
    pub(crate) fn new(manner: Manner, at: Time) -> Self {
        Self {
            manner,
            queue: VecDeque::new(),
            asked: Vec::new(),
            answered: Vec::new(),
            reader: Reader::default(),
            head: None,
            continues: 0,
            read_at: at,
            write_at: at,
            bytes: 0,
            dismissed: false,
            silent: false,
            left: false,
            end: None,
            turned_away: false,
            operates: false,
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.end.is_some()
    }

    // ---- writing ----

    fn next(&self, link: &Link) -> Option<(Next, Time)> {
        if self.silent || link.up.ended().is_some() {
            return None;
        }
        if self.dismissed {
            return (!self.manner.lingers).then_some((Next::Finish, self.write_at));
        }
        if let Some(asked) = self.asked.last().filter(|asked| !asked.is_whole()) {
            let held =
                asked.holds_back() && asked.sent == asked.body_at && asked.waited != Some(true);
            if held {
                // The time was set when the head was sent.
                return Some((Next::GiveUpWaiting, self.write_at));
            }
            let leashed = self.manner.leash.is_some_and(|leash| asked.sent >= leash);
            let may = !leashed && link.up.space() > 0;
            return may.then_some((Next::Bytes, self.write_at));
        }
        let under_way = self.asked.len() - self.answered.len().min(self.asked.len());
        if !self.queue.is_empty() || self.manner.requests > 0 {
            return (under_way < self.manner.depth).then_some((Next::Begin, self.write_at));
        }
        let done = under_way == 0 || self.manner.half_closes;
        (done && !self.manner.lingers).then_some((Next::Finish, self.write_at))
    }

    /// When it can write, if it wants to.
    pub(crate) fn writes_at(&self, link: &Link) -> Option<Time> {
        self.next(link).map(|(_, at)| at)
    }

    /// Writes something, or begins the request that `make` gives.
    pub(crate) fn write(
        &mut self,
        now: Time,
        link: &mut Link,
        dice: &mut Dice<'_>,
        make: impl FnOnce(&mut Dice<'_>) -> (Request, Seq),
    ) {
        let Some((next, _)) = self.next(link) else { return };
        self.write_at = now;
        match next {
            Next::GiveUpWaiting => {
                if let Some(asked) = self.asked.last_mut() {
                    asked.waited = Some(true);
                }
            }
            Next::Begin => {
                let (made, from) = make(dice);
                let request = self.queue.pop_front().unwrap_or_else(|| {
                    self.manner.requests -= 1;
                    made
                });
                let (wire, body_at) = request.encode();
                let at = now;
                self.asked.push(Asked {
                    request,
                    wire,
                    body_at,
                    sent: 0,
                    from,
                    at,
                    waited: None,
                    continued: false,
                });
            }
            Next::Finish => {
                self.silent = true;
                link.up.finish(End::Fin, 0);
            }
            Next::Bytes => self.write_bytes(now, link, dice),
        }
    }

    fn write_bytes(&mut self, now: Time, link: &mut Link, dice: &mut Dice<'_>) {
        let leash = self.manner.leash.unwrap_or(usize::MAX);
        let Some(asked) = self.asked.last_mut() else { return };
        let mut end = asked.wire.len().min(leash);
        if asked.holds_back() && asked.waited.is_none() {
            end = end.min(asked.body_at);
        }
        let most = (end - asked.sent).min(link.up.space());
        let count = dice.share(most);
        link.up.write(&asked.wire[asked.sent..asked.sent + count]);
        asked.sent += count;
        self.write_at = now + dice.delay(self.manner.write_pace);
        if asked.holds_back() && asked.sent == asked.body_at {
            self.write_at = now + self.manner.patience;
        }
        self.bytes += count;
        if self.manner.write_stall.is_some_and(|(after, _)| self.bytes > after)
            && let Some((_, long)) = self.manner.write_stall.take()
        {
            self.write_at = now + long;
        }
        self.leave(link, dice);
    }

    /// Leaves if it is time to.
    fn leave(&mut self, link: &mut Link, dice: &mut Dice<'_>) {
        if self.manner.leaves.is_none_or(|(after, _)| self.bytes <= after) {
            return;
        }
        let Some((_, how)) = self.manner.leaves.take() else { return };
        self.go(how, link, dice);
    }

    pub(crate) fn go(&mut self, how: How, link: &mut Link, dice: &mut Dice<'_>) {
        self.silent = true;
        match how {
            How::Reset => link.reset_by_client(dice.index(link.up.len() + 1)),
            How::Close => link.closed_by_client(),
            How::Half => return link.up.finish(End::Fin, 0),
        }
        self.left = true;
        self.end = Some(End::Reset);
    }

    // ---- reading ----

    /// When it can read, if there is something.
    pub(crate) fn reads_at(&self, link: &Link) -> Option<Time> {
        (!self.is_over() && link.down.is_readable()).then_some(self.read_at)
    }

    /// Reads something; true if an answer is whole now, or is cut.
    pub(crate) fn read(
        &mut self,
        now: Time,
        seq: Seq,
        link: &mut Link,
        dice: &mut Dice<'_>,
    ) -> Result<bool, String> {
        let before = self.answered.len();
        self.read_at = now + dice.delay(self.manner.read_pace);
        match link.down.read(dice.share(link.down.len().max(1))) {
            Read::End(end) => {
                self.end = Some(end);
                self.silent = true;
                // Its own end is seen by the server even where it has more to say.
                link.up.finish(End::Fin, 0);
                if let Some(reply) = self.reader.end(end) {
                    self.answer(reply, now, seq);
                }
            }
            Read::Bytes(bytes) => {
                self.bytes += bytes.len();
                self.reader.push(&bytes);
                self.hear(now, seq)?;
                if self.manner.read_stall.is_some_and(|(after, _)| self.bytes > after)
                    && let Some((_, long)) = self.manner.read_stall.take()
                {
                    self.read_at = now + long;
                }
                self.leave(link, dice);
            }
        }
        Ok(self.answered.len() > before)
    }

    fn hear(&mut self, now: Time, seq: Seq) -> Result<(), String> {
        loop {
            let asked = self.asked.get_mut(self.answered.len());
            let to_head =
                !self.turned_away && asked.as_ref().is_some_and(|asked| asked.request.is_head());
            match self.reader.next(to_head)? {
                None => return Ok(()),
                Some(Heard::Head) => self.head = Some(seq),
                Some(Heard::Continue) => {
                    self.continues += 1;
                    match asked {
                        Some(asked) if asked.request.expect => {
                            asked.continued = true;
                            if asked.holds_back() {
                                self.write_at = now;
                            }
                            if asked.waited.replace(true).is_some_and(|_| self.continues > 1) {
                                return Err("100 Continue twice".into());
                            }
                        }
                        _ => return Err("100 Continue that nobody asked for".into()),
                    }
                }
                Some(Heard::Whole(reply)) => {
                    if asked.is_some_and(|asked| asked.holds_back()) && !reply.closes() {
                        return Err("the body was not asked for, and what follows may be it".into());
                    }
                    self.answer(reply, now, seq);
                }
            }
        }
    }

    fn answer(&mut self, reply: Reply, now: Time, seq: Seq) {
        self.continues = 0;
        self.dismissed |= reply.closes();
        let head = self.head.take().unwrap_or(seq);
        self.answered.push(Answered { reply, head, at: now });
    }
}
