//! A live resource in a world of its own: a source, which is a client or the server itself, and
//! listeners that come, go, stall and fail. Each must get its tune-in data and then whole packets
//! without a gap.

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
    Config, Done, Effect, Now, OpId, Session, Step,
    http::Piece,
    live::{Broadcast, BroadcastOptions, Description, Group, ListenerId, News},
};

use crate::choices::{Choices, Dice, Seeded, bytes};

/// Steps in which things happen, and those in which what is left goes out.
const STEPS: u64 = 120;
const LAST: u64 = 400;

#[derive(Debug)]
struct World<'c> {
    dice: Dice<'c>,
    now: Now,
    live: Broadcast<usize>,
    options: BroadcastOptions,
    /// All that was sent to listeners, one after the other.
    groups: Vec<Group>,
    people: Vec<Person>,
    /// What the source has sent and not yet been answered: room is missing.
    stuck: Option<(OpId, Group)>,
    /// The index of the source among `people`, if it is a client.
    source: Option<usize>,
    over: Option<bool>,
}

/// A connection.
#[derive(Debug)]
struct Person {
    session: Session,
    listens: Option<(OpId, ListenerId)>,
    /// The take that waits for news.
    waits: Option<OpId>,
    got: Vec<u8>,
    /// Bytes a step that it reads.
    speed: u64,
    chunked: bool,
    gone: bool,
    /// The server closed the connection.
    closed: bool,
    lagging: bool,
}

/// Runs the world of a seed.
///
/// # Errors
/// What should not have happened, with the seed.
pub fn listen(seed: u64) -> Result<(), String> {
    let mut choices = Seeded::new(seed);
    run(&mut choices).map_err(|what| format!("live seed {seed}: {what}"))
}

#[allow(clippy::disallowed_methods, reason = "some moment to begin at")]
fn run(choices: &mut impl Choices) -> Result<(), String> {
    let mut dice = Dice(choices);
    let options = BroadcastOptions {
        max_async_buf: *dice.pick(&[100, 1000, 100_000]),
        burst: *dice.pick(&[0, 50, 2000]),
        blockio: dice.chance(30),
        hold: dice.chance(20),
    };
    let mut config = Config::default();
    (config.live, config.icecast, config.chunked) = (true, true, !dice.chance(20));
    // Nobody is cut for being slow, but by what is tried here.
    config.limits.send_time = Duration::from_secs(3600);
    config.limits.body_time = Duration::from_secs(3600);
    let chunked = config.chunked;
    let site = config.check().map_err(|error| error.to_string())?;
    let mut world = World {
        dice,
        now: Now { mono: Instant::now(), wall: SystemTime::UNIX_EPOCH },
        live: Broadcast::new(options),
        options,
        groups: Vec::new(),
        people: Vec::new(),
        stuck: None,
        source: None,
        over: None,
    };
    if world.dice.chance(50) {
        world.source = Some(0);
        let head = if world.dice.chance(50) {
            "PUT /a.bin HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n"
        } else {
            "SOURCE /a.bin HTTP/1.1\r\nHost: a\r\n\r\n"
        };
        world.come(Session::new(site.clone()), head, u64::MAX, false)?;
    }
    for step in 0..STEPS + LAST {
        world.now.mono += Duration::from_millis(10);
        if step < STEPS {
            if world.dice.chance(15) && world.over.is_none() {
                let minor = if world.dice.chance(80) { 1 } else { 0 };
                let speed = *world.dice.pick(&[u64::MAX, 3000, 200, 10, 0]);
                let head = format!("GET /a.bin HTTP/1.{minor}\r\nHost: a\r\n\r\n");
                world.come(Session::new(site.clone()), &head, speed, chunked && minor == 1)?;
            }
            world.feed(step)?;
            world.leave()?;
        } else if step == STEPS {
            world.end()?;
        }
        for at in 0..world.people.len() {
            if step >= STEPS {
                world.people[at].speed = u64::MAX;
            }
            world.drive(at)?;
        }
    }
    world.judge()
}

impl World<'_> {
    /// Somebody connects and asks, in pieces.
    fn come(
        &mut self,
        session: Session,
        head: &str,
        speed: u64,
        chunked: bool,
    ) -> Result<(), String> {
        let at = self.people.len();
        self.people.push(Person {
            session,
            listens: None,
            waits: None,
            got: Vec::new(),
            speed,
            chunked,
            gone: false,
            closed: false,
            lagging: false,
        });
        let mut rest = head.as_bytes();
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(self.dice.share(rest.len()));
            self.people[at].session.handle_data(Bytes::copy_from_slice(piece));
            rest = after;
            self.drive(at)?;
        }
        Ok(())
    }

    /// More comes in: from the client, or from the server itself.
    fn feed(&mut self, step: u64) -> Result<(), String> {
        if self.over.is_some() || !self.dice.chance(60) {
            return Ok(());
        }
        let most = *self.dice.pick(&[20, 400, 3000]);
        let len = 1 + self.dice.below(most) as usize;
        let data = bytes(step, len);
        match self.source {
            Some(at) if !self.people[at].gone => {
                self.people[at].session.handle_data(data.into());
                self.drive(at)
            }
            Some(_) => Ok(()),
            None if self.live.has_room() => {
                let joinable = self.dice.chance(50);
                let tune_in = joinable.then(|| Bytes::from(format!("<{step}>")).into());
                self.push(Group { data: data.into(), tune_in, random_access: joinable })
            }
            None => Ok(()),
        }
    }

    /// Somebody goes, one way or another.
    fn leave(&mut self) -> Result<(), String> {
        if self.people.is_empty() || !self.dice.chance(4) {
            return Ok(());
        }
        let at = self.dice.index(self.people.len());
        let person = &mut self.people[at];
        if self.source == Some(at) || person.gone {
            return Ok(());
        }
        person.gone = true;
        match self.dice.below(3) {
            0 => person.session.handle_eof(),
            1 => person.session.handle_broken(io::ErrorKind::ConnectionReset),
            _ => person.session.handle_unsendable(io::ErrorKind::BrokenPipe),
        }
        self.drive(at)
    }

    /// The source comes to its end, or fails.
    fn end(&mut self) -> Result<(), String> {
        let complete = self.dice.chance(70);
        match self.source {
            Some(at) => {
                let session = &mut self.people[at].session;
                if complete {
                    session.handle_eof();
                } else {
                    session.handle_broken(io::ErrorKind::ConnectionReset);
                }
                self.drive(at)
            }
            None => self.finish(complete),
        }
    }

    fn push(&mut self, group: Group) -> Result<(), String> {
        self.groups.push(group.clone());
        let mut told = Vec::new();
        self.live.push(group, self.now.mono, |who| told.push(who));
        self.tell(told)
    }

    fn finish(&mut self, complete: bool) -> Result<(), String> {
        self.over = Some(complete);
        let mut told = Vec::new();
        self.live.end(complete, |who| told.push(who));
        self.tell(told)
    }

    fn tell(&mut self, told: Vec<usize>) -> Result<(), String> {
        for who in told {
            match self.people[who].waits.take() {
                Some(op) => self.take(who, op)?,
                None => {
                    let person = &mut self.people[who];
                    let (_, id) = person.listens.ok_or("told without listening")?;
                    if !self.live.must_go(id) {
                        return Err("told without waiting".into());
                    }
                    person.lagging = true;
                    person.session.abort(io::ErrorKind::TimedOut);
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, at: usize, op: OpId) -> Result<(), String> {
        let person = &mut self.people[at];
        let (_, id) = person.listens.ok_or("took without listening")?;
        match self.live.take(id, || at) {
            Some(news) => {
                person.lagging |= news == News::Lagging;
                person.session.handle_done(op, Ok(Done::News(news)));
            }
            None => person.waits = Some(op),
        }
        Ok(())
    }

    /// Lets one connection go on until it waits.
    fn drive(&mut self, at: usize) -> Result<(), String> {
        let mut budget = self.people[at].speed;
        for _ in 0..10_000 {
            if let Some((op, group)) = self.stuck.take_if(|_| self.live.has_room()) {
                self.push(group)?;
                let source = self.source.ok_or("sent without a source")?;
                self.people[source].session.handle_done(op, Ok(Done::Ok));
                if source != at {
                    self.drive(source)?;
                }
            }
            let person = &mut self.people[at];
            match person.session.poll(self.now) {
                Step::Do(effect) => self.run(at, effect)?,
                Step::Closed(_) => {
                    person.closed = true;
                    if let Some((_, id)) = person.listens.take() {
                        self.live.leave(id);
                    }
                    return Ok(());
                }
                Step::Wait(wait) => {
                    let held = wait.write && !self.send(at, &mut budget);
                    if !wait.write || held {
                        return Ok(());
                    }
                }
            }
        }
        Err("it goes on for ever".into())
    }

    /// Sends what the peer takes; false if that is nothing.
    fn send(&mut self, at: usize, budget: &mut u64) -> bool {
        let most = self.options.max_async_buf.max(64 << 10) as usize;
        let person = &mut self.people[at];
        let Some(shown) = person.session.transmit() else { return false };
        let all: Vec<u8> = shown
            .flat_map(|piece| match piece {
                Piece::Bytes(bytes) => bytes.to_vec(),
                Piece::File { .. } => Vec::new(),
            })
            .collect();
        // A packet, what it may be behind, a head.
        assert!(all.len() <= most + (3 << 10) + 4096, "{} bytes are held for one", all.len());
        let count = self.dice.share(all.len()).min(usize::try_from(*budget).unwrap_or(usize::MAX));
        *budget = budget.saturating_sub(count as u64);
        person.got.extend_from_slice(&all[..count]);
        person.session.handle_sent(count as u64);
        count > 0
    }

    fn run(&mut self, at: usize, effect: Effect) -> Result<(), String> {
        let person = &mut self.people[at];
        match effect {
            Effect::Live(_, LiveEffect::Listen { op, .. }) => {
                let id = self.live.join();
                person.listens = Some((op, id));
                person.session.handle_done(
                    op,
                    Ok(Done::Live { description: Description::new("a/b").into(), held: false }),
                );
            }
            Effect::Live(_, LiveEffect::Take { op, .. }) => self.take(at, op)?,
            Effect::Live(_, LiveEffect::Leave { live }) => {
                if let Some((_, id)) = person.listens.take_if(|(op, _)| *op == live) {
                    self.live.leave(id);
                }
            }
            Effect::Live(_, LiveEffect::Publish { op, .. }) => {
                person.session.handle_done(op, Ok(Done::Ok))
            }
            Effect::Live(_, LiveEffect::PublishGroup { op, group, .. }) => {
                if self.stuck.replace((op, group)).is_some() {
                    return Err("sent before the last was answered".into());
                }
            }
            Effect::Live(_, LiveEffect::SetTitle { op, .. }) => {
                person.session.handle_done(op, Ok(Done::Ok))
            }
            Effect::Live(_, LiveEffect::Unpublish { complete, .. }) => {
                self.stuck = None;
                self.finish(complete)?;
            }
            Effect::Log(_, LogEffect::Over(_))
            | Effect::Connection(ConnectionEffect::Recheck { .. })
            | Effect::Connection(ConnectionEffect::ShutdownWrite) => {}
            other @ (Effect::Fs(_, FsEffect::Open { .. })
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
            | Effect::Admin(_, AdminEffect::Metrics { .. })
            | Effect::Admin(_, AdminEffect::Health { .. })
            | Effect::Delivery(_, DeliveryEffect::Begin { .. })
            | Effect::Delivery(_, DeliveryEffect::Data { .. })
            | Effect::Delivery(_, DeliveryEffect::End { .. })
            | Effect::Delivery(_, DeliveryEffect::Abort { .. })
            | Effect::Hook(_, HookEffect::Ask { .. })
            | Effect::Hook(_, HookEffect::Pull { .. })
            | Effect::Hook(_, HookEffect::Pace { .. })
            | Effect::Hook(_, HookEffect::Dismiss { .. })
            | Effect::Log(_, LogEffect::Begun { .. })) => {
                return Err(format!("nobody asked for {other:?}"));
            }
        }
        Ok(())
    }

    /// Looks at what everybody got.
    fn judge(&self) -> Result<(), String> {
        let over = self.over.ok_or("it has no end")?;
        if self.live.listeners() > 0 {
            return Err("somebody listens still".into());
        }
        for (at, person) in self.people.iter().enumerate() {
            if self.source == Some(at) {
                continue;
            }
            let wrong = |what: &str| Err(format!("listener {at}: {what}"));
            if self.options.blockio && person.lagging {
                return wrong("it was dropped although the input waits for it");
            }
            let Some(end) = person.got.windows(4).position(|at| at == b"\r\n\r\n") else {
                continue;
            };
            let (body, whole) = unframe(&person.got[end + 4..], person.chunked)?;
            let told_end =
                if person.chunked { whole } else { !person.gone && !person.lagging && over };
            if whole && person.chunked && (person.lagging || !over) {
                return wrong("it was told of an end that there was not");
            }
            if person.chunked && !person.gone && !person.lagging && over && !whole {
                return wrong("it was not told of the end");
            }
            if body.is_empty() {
                continue;
            }
            if !self.is_run(&body, told_end) {
                return wrong("what it got is no run of packets");
            }
        }
        Ok(())
    }

    /// Tune-in data, and packets from there; to the last one if it `ends`, else perhaps cut.
    fn is_run(&self, body: &[u8], ends: bool) -> bool {
        (0..self.groups.len()).any(|first| {
            let Some(tune_in) = &self.groups[first].tune_in else { return false };
            let mut run = tune_in.concat().to_vec();
            for group in &self.groups[first..] {
                run.extend_from_slice(&group.data);
            }
            if ends { run == body } else { run.starts_with(body) }
        })
    }
}

/// The content of a body, and whether its last chunk is there.
fn unframe(mut rest: &[u8], chunked: bool) -> Result<(Vec<u8>, bool), String> {
    if !chunked {
        return Ok((rest.to_vec(), false));
    }
    let mut body = Vec::new();
    loop {
        let Some(line) = rest.windows(2).position(|at| at == b"\r\n") else {
            return Ok((body, false));
        };
        let size = std::str::from_utf8(&rest[..line]).map_err(|_| "a size that is no text")?;
        let size = usize::from_str_radix(size, 16).map_err(|_| format!("the size {size}"))?;
        rest = &rest[line + 2..];
        if size == 0 {
            return Ok((body, rest == b"\r\n"));
        }
        body.extend_from_slice(&rest[..size.min(rest.len())]);
        match rest.get(size..size + 2) {
            Some(b"\r\n") => rest = &rest[size + 2..],
            Some(_) => return Err("a chunk does not end where it says".into()),
            None => return Ok((body, false)),
        }
    }
}
