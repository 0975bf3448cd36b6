//! Uploads that are handed on, in a world of their own: a sender that is cut anywhere, and a
//! consumer that takes its time, refuses and fails. What is given is a prefix of the body; told to
//! be whole it is whole, once; what breaks is withdrawn; and the sender hears that it has arrived
//! only if it has.

use std::{
    io,
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;
use httpout_proto::effect::{
    AdminEffect, AuthEffect, ConnectionEffect, DeliveryEffect, FsEffect, HookEffect, LiveEffect,
    LogEffect,
};
use httpout_proto::{
    Config, Done, Effect, FsError, Now, OpId, Session, Step,
    effect::Refusal,
    http::{Piece, Status},
};

use crate::choices::{Choices, Dice, Seeded, bytes};

/// Turns that a world has.
const TURNS: u32 = 20_000;

#[derive(Debug)]
struct World<'c> {
    dice: Dice<'c>,
    session: Session,
    now: Now,
    window: u64,
    uploads: Vec<Upload>,
    /// What the sender has not sent yet.
    unsent: Vec<u8>,
    /// Bytes of all that it sends.
    all: usize,
    heard: Vec<u8>,
    begun: Vec<Delivery>,
    /// The effect that is not answered.
    open: Option<(OpId, Asked)>,
    closed: bool,
    gone: bool,
}

/// What a client sends.
#[derive(Debug)]
struct Upload {
    body: Vec<u8>,
    /// Where it ends on the wire.
    end: usize,
}

/// What the consumer has seen of one.
#[derive(Debug)]
struct Delivery {
    id: OpId,
    upload: usize,
    given: usize,
    whole: bool,
    withdrawn: bool,
    /// The answer to its end.
    arrived: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Deliver,
    Give,
    Given,
}

/// Runs the world of a seed.
///
/// # Errors
/// What should not have happened, with the seed.
pub fn deliver(seed: u64) -> Result<(), String> {
    let mut choices = Seeded::new(seed);
    run(&mut choices).map_err(|what| format!("deliver seed {seed}: {what}"))
}

#[allow(clippy::disallowed_methods, reason = "some moment to begin at")]
fn run(choices: &mut impl Choices) -> Result<(), String> {
    let mut dice = Dice(choices);
    let mut config = Config::default();
    config.source = true;
    config.limits.upload_window = *dice.pick(&[1 << 20, 7, 300, 2000]);
    config.limits.take_time = Duration::from_secs(*dice.pick(&[1, 3600]));
    config.limits.upload = *dice.pick(&[None, None, Some(800)]);
    config.limits.client_errors = 0;
    let window = config.limits.upload_window;
    let site = config.check().map_err(|error| error.to_string())?;
    let (mut uploads, mut unsent) = (Vec::new(), Vec::new());
    for number in 0..1 + dice.below(4) {
        let most = *dice.pick(&[1, 30, 3000]);
        let len = dice.below(most) as usize;
        let body = bytes(number, len);
        encode(&mut dice, number, &body, &mut unsent);
        uploads.push(Upload { body, end: unsent.len() });
    }
    let mut world = World {
        dice,
        session: Session::new(site),
        now: Now { mono: Instant::now(), wall: SystemTime::UNIX_EPOCH },
        window,
        uploads,
        all: unsent.len(),
        unsent,
        heard: Vec::new(),
        begun: Vec::new(),
        open: None,
        closed: false,
        gone: false,
    };
    for _ in 0..TURNS {
        if world.closed && world.open.is_none() {
            return world.judge();
        }
        world.turn()?;
    }
    Err("it goes on for ever".into())
}

fn encode(dice: &mut Dice<'_>, number: u64, body: &[u8], out: &mut Vec<u8>) {
    let method = *dice.pick(&["PUT", "POST"]);
    let head = format!("{method} /{number} HTTP/1.1\r\nHost: a\r\n");
    out.extend_from_slice(head.as_bytes());
    if dice.chance(50) {
        let len = format!("Content-Length: {}\r\n\r\n", body.len());
        out.extend_from_slice(len.as_bytes());
        out.extend_from_slice(body);
        return;
    }
    out.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
    let mut rest = body;
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(dice.share(rest.len()).max(1));
        out.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        out.extend_from_slice(chunk);
        out.extend_from_slice(b"\r\n");
        rest = after;
    }
    out.extend_from_slice(b"0\r\n\r\n");
}

impl World<'_> {
    /// Something happens, and the session goes on.
    fn turn(&mut self) -> Result<(), String> {
        let reads = self.drive()?;
        if self.closed && self.open.is_none() {
            return Ok(());
        }
        match self.dice.below(10) {
            0 => {
                let time = *self.dice.pick(&[1, 20, 2000]);
                self.now.mono += Duration::from_millis(time);
            }
            1 if self.dice.chance(3) && !self.gone => {
                self.gone = true;
                match self.dice.below(3) {
                    0 => self.session.handle_eof(),
                    1 => self.session.handle_broken(io::ErrorKind::ConnectionReset),
                    _ => self.session.abort(io::ErrorKind::ConnectionAborted),
                }
            }
            1..=4 if self.open.is_some() => self.answer(),
            _ if reads && !self.gone && !self.unsent.is_empty() => {
                let len = self.dice.share(self.unsent.len()).max(1);
                let data: Vec<u8> = self.unsent.drain(..len).collect();
                self.session.handle_data(data.into());
            }
            _ if self.unsent.is_empty() && self.open.is_none() && !self.gone => {
                self.gone = true;
                self.session.handle_eof();
            }
            _ => {}
        }
        Ok(())
    }

    /// The consumer answers, well or not.
    fn answer(&mut self) {
        let Some((op, asked)) = self.open.take() else { return };
        let result = match self.dice.below(30) {
            0 => Err(FsError::Full),
            1 => Ok(Done::Refused(Refusal::new(Status::INTERNAL_SERVER_ERROR, "no"))),
            _ if asked == Asked::Given && self.dice.chance(50) => {
                Ok(Done::Delivered { created: self.dice.chance(50) })
            }
            _ => Ok(Done::Ok),
        };
        if asked == Asked::Given
            && let Some(delivery) = self.begun.last_mut()
        {
            delivery.arrived = Some(!matches!(result, Err(_) | Ok(Done::Refused(_))));
        }
        self.session.handle_done(op, result);
    }

    /// Lets the session go on until it waits; whether it reads then.
    fn drive(&mut self) -> Result<bool, String> {
        loop {
            match self.session.poll(self.now) {
                Step::Do(effect) => self.run(effect)?,
                Step::Closed(_) => {
                    self.closed = true;
                    return Ok(false);
                }
                Step::Wait(wait) => {
                    if wait.deadline.is_some_and(|(at, _)| at <= self.now.mono) {
                        return Err("a deadline that has passed".into());
                    }
                    if !wait.write {
                        return Ok(wait.read);
                    }
                    let shown: Vec<u8> = self
                        .session
                        .transmit()
                        .into_iter()
                        .flatten()
                        .flat_map(|piece| match piece {
                            Piece::Bytes(bytes) => bytes.to_vec(),
                            Piece::File { .. } => Vec::new(),
                        })
                        .collect();
                    let len = self.dice.share(shown.len()).max(1);
                    self.heard.extend_from_slice(&shown[..len]);
                    self.session.handle_sent(len as u64);
                }
            }
        }
    }

    fn run(&mut self, effect: Effect) -> Result<(), String> {
        let shown = format!("{effect:?}");
        let wrong = |what: &str| Err(format!("{what}: {shown}"));
        match effect {
            Effect::Delivery(_, DeliveryEffect::Begin { op, delivery }) => {
                // What was told before to who is gone may still be under way.
                if self.begun.last().is_some_and(|last| !last.whole && !last.withdrawn) {
                    return wrong("two at a time");
                }
                self.open = Some((op, Asked::Deliver));
                let number = delivery.path.as_str().parse().map_err(|_| "an odd path")?;
                if self.begun.iter().any(|other| other.id == op || other.upload == number) {
                    return wrong("begun twice");
                }
                self.begun.push(Delivery {
                    id: op,
                    upload: number,
                    given: 0,
                    whole: false,
                    withdrawn: false,
                    arrived: None,
                });
            }
            Effect::Delivery(_, DeliveryEffect::Data { op, to, data }) => {
                let busy = self.open.replace((op, Asked::Give)).is_some();
                return self.give(to, &data, busy).or_else(|what| wrong(&what));
            }
            Effect::Delivery(_, DeliveryEffect::End { op, to }) => {
                let busy = self.open.replace((op, Asked::Given)).is_some();
                let sent = self.all - self.unsent.len();
                let Some(delivery) = self.begun.last_mut().filter(|it| it.id == to) else {
                    return wrong("of no delivery");
                };
                let upload = &self.uploads[delivery.upload];
                if busy || std::mem::replace(&mut delivery.whole, true) || delivery.withdrawn {
                    return wrong("told at the wrong time");
                }
                if delivery.given != upload.body.len() || sent < upload.end {
                    return wrong("told to be whole, and is not");
                }
            }
            Effect::Delivery(_, DeliveryEffect::Abort { to }) => {
                self.open = None;
                let Some(delivery) = self.begun.last_mut().filter(|it| it.id == to) else {
                    return wrong("of no delivery");
                };
                if delivery.whole || std::mem::replace(&mut delivery.withdrawn, true) {
                    return wrong("withdrawn, and was over");
                }
            }
            Effect::Log(_, LogEffect::Over(_))
            | Effect::Connection(ConnectionEffect::Recheck { .. })
            | Effect::Connection(ConnectionEffect::ShutdownWrite) => {}
            Effect::Fs(_, FsEffect::Open { .. })
            | Effect::Fs(_, FsEffect::Stat { .. })
            | Effect::Fs(_, FsEffect::Create { .. })
            | Effect::Fs(_, FsEffect::MediaType { .. })
            | Effect::Fs(_, FsEffect::Write { .. })
            | Effect::Fs(_, FsEffect::Commit { .. })
            | Effect::Fs(_, FsEffect::CommitPatches { .. })
            | Effect::Fs(_, FsEffect::Remove { .. })
            | Effect::Fs(_, FsEffect::Close { .. })
            | Effect::Live(_, LiveEffect::Announce { .. })
            | Effect::Live(_, LiveEffect::Grown { .. })
            | Effect::Live(_, LiveEffect::Ended { .. })
            | Effect::Live(_, LiveEffect::Follow { .. })
            | Effect::Live(_, LiveEffect::Unfollow { .. })
            | Effect::Fs(_, FsEffect::Locate { .. })
            | Effect::Auth(_, AuthEffect::Verify { .. })
            | Effect::Fs(_, FsEffect::List { .. })
            | Effect::Fs(_, FsEffect::Encode { .. })
            | Effect::Live(_, LiveEffect::Listen { .. })
            | Effect::Live(_, LiveEffect::Take { .. })
            | Effect::Live(_, LiveEffect::Leave { .. })
            | Effect::Live(_, LiveEffect::Publish { .. })
            | Effect::Live(_, LiveEffect::PublishGroup { .. })
            | Effect::Live(_, LiveEffect::SetTitle { .. })
            | Effect::Live(_, LiveEffect::Unpublish { .. })
            | Effect::Hook(_, HookEffect::Ask { .. })
            | Effect::Hook(_, HookEffect::Pull { .. })
            | Effect::Hook(_, HookEffect::Pace { .. })
            | Effect::Hook(_, HookEffect::Dismiss { .. })
            | Effect::Admin(_, AdminEffect::Metrics { .. })
            | Effect::Admin(_, AdminEffect::Health { .. })
            | Effect::Log(_, LogEffect::Begun { .. }) => return wrong("nobody asked for it"),
        }
        Ok(())
    }

    fn give(&mut self, to: OpId, data: &[Bytes], busy: bool) -> Result<(), String> {
        let delivery = self.begun.last_mut().filter(|it| it.id == to).ok_or("of no delivery")?;
        if busy || delivery.whole || delivery.withdrawn {
            return Err("given at the wrong time".into());
        }
        if data.is_empty() || data.iter().any(Bytes::is_empty) {
            return Err("nothing is given".into());
        }
        let data = data.concat();
        if data.len() as u64 > self.window {
            return Err("more than the window".into());
        }
        let body = &self.uploads[delivery.upload].body;
        if !body[delivery.given.min(body.len())..].starts_with(&data) {
            return Err("what is given is not what was sent".into());
        }
        delivery.given += data.len();
        Ok(())
    }

    /// The connection is over.
    fn judge(&self) -> Result<(), String> {
        if let Some(left) = self.begun.iter().find(|it| !it.whole && !it.withdrawn) {
            return Err(format!("neither whole nor withdrawn: {left:?}"));
        }
        let heard = String::from_utf8_lossy(&self.heard);
        let good = heard.matches("HTTP/1.1 200 ").count() + heard.matches("HTTP/1.1 201 ").count();
        let arrived = self.begun.iter().filter(|it| it.arrived == Some(true)).count();
        if good > arrived {
            return Err(format!("{good} are told to have arrived, and {arrived} have:\n{heard}"));
        }
        if !self.gone && good < arrived {
            return Err(format!("{arrived} have arrived, and {good} are told of:\n{heard}"));
        }
        Ok(())
    }
}
