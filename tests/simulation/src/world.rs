//! The world: a server, its disk, its clients, one clock; and what happens next.

use std::{
    collections::BTreeMap,
    io,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use httpout_proto::{Config, Hub, Session, Site, fs::RelPath, site::Multirange};

use crate::{
    choices::{Choices, Dice},
    client::{Client, How, Manner, Time},
    disk::{Disk, Inode},
    guard::Guard,
    host::{Conn, Follower, Job},
    invariants::ONE_READ,
    link::{End, Link},
    model::{Model, Version, Who},
    packer::Packer,
    reply::Reply,
    rights::{self, Rights},
    script::{self, Lore},
    verdict::{Record, told},
};

/// A whole world. Nothing in it depends on anything but the choices.
#[derive(Debug)]
pub struct World<'c> {
    pub(crate) dice: Dice<'c>,
    pub(crate) now: Time,
    pub(crate) base: Instant,
    wall: SystemTime,
    pub(crate) site: Arc<Site>,
    pub(crate) rules: Rules,
    /// Who may do what, where the site has rules.
    pub(crate) rights: Option<Rights>,
    pub(crate) guard: Guard,
    pub(crate) packer: Packer,
    pub(crate) hub: Hub<RelPath, std::rc::Rc<Inode>, Follower>,
    pub(crate) disk: Disk,
    pub(crate) model: Model,
    pub(crate) lore: Lore,
    pub(crate) conns: Vec<Conn>,
    pub(crate) jobs: Vec<Job>,
    pub(crate) records: BTreeMap<Who, Record>,
    /// Of a hundred effects so many fail.
    pub(crate) faults: u64,
    /// How long each work of the disk takes, beside what chance adds.
    pub(crate) disk_time: Duration,
    /// In so many of a hundred cases something else comes before a session is polled.
    pub(crate) laziness: u64,
    /// The server was killed at least once.
    pub(crate) crashed: bool,
    plan: Vec<(Time, Event)>,
    steps: u64,
    story: Option<Vec<String>>,
}

/// What the answers depend on.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) validators: bool,
    pub(crate) norange: bool,
    pub(crate) ranges: usize,
    pub(crate) multirange: Multirange,
    pub(crate) zmax: u64,
}

/// What comes over the world from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A client connects.
    Connect,
    /// The process is killed; with it, the machine may lose power.
    Crash { power: bool },
    /// The wall clock is set.
    SetClock { seconds: u64, back: bool },
    /// The server is told to stop.
    ShutDown,
    /// It waits no longer.
    Abort,
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Poll(usize),
    Receive(usize),
    Send(usize),
    Read(usize),
    Write(usize),
    Mail(usize),
    Job(usize),
    Happen(usize),
}

/// Steps after which a world is taken to run in circles.
const MOST_STEPS: u64 = 400_000;

impl<'c> World<'c> {
    /// A server with this configuration, whose directories are those of the simulated disk.
    /// `choices` decides the order of what happens.
    ///
    /// # Panics
    /// If the configuration is refused.
    pub fn new(mut config: Config, choices: &'c mut dyn Choices) -> Self {
        if config.rules.is_empty() {
            config.read_dirs = vec![rights::ROOT.into()];
            config.write_dir = Some(rights::ROOT.into());
        }
        let site = config.check().expect("a configuration with directories is fine");
        let config = site.config();
        let rules = Rules {
            validators: config.cache_control.as_deref() != Some("none"),
            norange: config.ignore_ranges,
            ranges: config.limits.ranges,
            multirange: config.multirange,
            zmax: config.compress_max,
        };
        Self {
            dice: Dice(choices),
            now: Time::ZERO,
            base: Instant::now(),
            wall: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
            site,
            rules,
            rights: None,
            guard: Guard::default(),
            packer: Packer::default(),
            hub: Hub::default(),
            disk: Disk::new(1 << 30),
            model: Model::default(),
            lore: Lore::default(),
            conns: Vec::new(),
            jobs: Vec::new(),
            records: BTreeMap::new(),
            faults: 0,
            disk_time: Duration::ZERO,
            laziness: 0,
            crashed: false,
            plan: Vec::new(),
            steps: 0,
            story: None,
        }
    }

    /// Keeps an account of what happens.
    pub fn tell(&mut self) {
        self.story = Some(Vec::new());
    }

    /// The account so far.
    pub fn story(&self) -> &[String] {
        self.story.as_deref().unwrap_or_default()
    }

    /// Steps taken.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    pub(crate) fn plan(&mut self, at: Time, event: Event) {
        self.plan.push((at, event));
    }

    pub(crate) fn trace(&mut self, line: impl FnOnce() -> String) {
        if let Some(story) = &mut self.story {
            story.push(format!("{:>12.6} {}", self.now.as_secs_f64(), line()));
        }
    }

    pub(crate) fn wall(&self) -> SystemTime {
        self.wall + self.now
    }

    pub(crate) fn open(&mut self, session: Session, link: Link, manner: Manner) -> usize {
        let client = Client::new(manner, self.now);
        self.conns.push(Conn::new(session, link, client, self.now));
        self.conns.len() - 1
    }

    /// Puts a file there as if it had always been there.
    pub(crate) fn stock(&mut self, path: &str, content: Vec<u8>) {
        let wall = self.wall();
        let meta = self.disk.stock(path, content.clone(), wall);
        let etag = httpout_proto::semantics::conditional::etag(&meta);
        let media_type = told(path, None, None);
        let version = Version { content, etag, media_type };
        self.model.shows(path, Some(version.into()), (usize::MAX, 0));
    }

    /// Somebody connects, who has a mind of its own.
    fn connect(&mut self) {
        let limits = &self.site.config().limits;
        let times = [limits.linger_time, limits.head_time, limits.send_time];
        let rests = limits.idle_time.is_some();
        let besieged = self.rights.as_ref().is_some_and(|rights| rights.besieged);
        let requests = 1 + self.dice.index(if besieged { 50 } else { 6 });
        let mut manner = script::manner(&mut self.dice, requests, &times);
        // Somebody has to close the connection.
        manner.lingers &= rests;
        if self.lore.texts && self.dice.chance(50) {
            manner.leaves = Some((self.dice.index(200), How::Reset));
        }
        let room = *self.dice.pick(&[ONE_READ, 1000, 100, 16]);
        let turned_away = self.dice.chance(2);
        let site = self.site.clone();
        let operates = !turned_away && self.dice.chance(3);
        let from = rights::client(&mut self.dice, besieged);
        let session = match (turned_away, operates) {
            (true, _) => Session::overloaded(site),
            (false, true) => Session::admin(site),
            (false, false) => Session::new(site).with_client(from.clone()),
        };
        let c = self.open(session, Link::new(room), manner);
        let conn = &mut self.conns[c];
        conn.from = from;
        (conn.client.turned_away, conn.client.operates) = (turned_away, operates);
    }

    /// Goes on until nothing is left to happen.
    ///
    /// # Errors
    /// What should not have happened.
    pub fn finish(&mut self) -> Result<(), String> {
        self.go(None)?;
        self.check_end()
    }

    /// Goes on for so long.
    ///
    /// # Errors
    /// What should not have happened.
    pub fn pass(&mut self, time: Duration) -> Result<(), String> {
        let until = self.now + time;
        self.go(Some(until))?;
        self.now = until;
        Ok(())
    }

    fn go(&mut self, until: Option<Time>) -> Result<(), String> {
        loop {
            let mut acts = Vec::new();
            let next = self.acts(&mut acts);
            if acts.is_empty() {
                let Some(next) = next.filter(|next| until.is_none_or(|until| *next <= until))
                else {
                    return Ok(());
                };
                self.now = next;
                self.poll_for_nothing()?;
                continue;
            }
            self.steps += 1;
            if self.steps > MOST_STEPS {
                return Err("the world runs in circles".into());
            }
            let mut act = *self.dice.pick(&acts);
            if let Act::Poll(_) = act
                && self.dice.chance(self.laziness)
            {
                act = *self.dice.pick(&acts);
            }
            self.act(act)?;
        }
    }

    /// All that can happen now, and else when something can.
    fn acts(&self, acts: &mut Vec<Act>) -> Option<Time> {
        let now = self.now;
        let mut next: Option<Time> = None;
        let mut at = |time: Time, act: Act| {
            if time <= now {
                acts.push(act);
            } else {
                next = Some(next.map_or(time, |next| next.min(time)));
            }
        };
        for (c, conn) in self.conns.iter().enumerate() {
            if !conn.over {
                if conn.dirty || conn.wait.is_none() {
                    at(now, Act::Poll(c));
                }
                if let Some(wait) = conn.wait {
                    if let Some((deadline, _)) = wait.deadline {
                        at(deadline.saturating_duration_since(self.base), Act::Poll(c));
                    }
                    if wait.read && conn.link.up.is_readable() {
                        at(now, Act::Receive(c));
                    }
                    let takes =
                        conn.link.down.space() > 0 || conn.link.down.ended() == Some(End::Reset);
                    if wait.write && takes && conn.session.transmit().is_some() {
                        at(now, Act::Send(c));
                    }
                }
            }
            if let Some(first) = conn.mail.iter().map(|mail| mail.at).min() {
                at(first, Act::Mail(c));
            }
            if let Some(time) = conn.client.reads_at(&conn.link) {
                at(time, Act::Read(c));
            }
            if let Some(time) = conn.client.writes_at(&conn.link) {
                at(time, Act::Write(c));
            }
        }
        for (index, job) in self.jobs.iter().enumerate() {
            at(job.at, Act::Job(index));
        }
        for (index, (time, _)) in self.plan.iter().enumerate() {
            at(*time, Act::Happen(index));
        }
        next
    }

    fn act(&mut self, act: Act) -> Result<(), String> {
        match act {
            Act::Poll(c) => self.poll(c),
            Act::Receive(c) => {
                self.receive(c);
                Ok(())
            }
            Act::Send(c) => self.send(c),
            Act::Read(c) => self.client_reads(c),
            Act::Write(c) => {
                self.client_writes(c);
                Ok(())
            }
            Act::Mail(c) => {
                let due = self.conns[c].mail.iter().filter(|mail| mail.at <= self.now).count();
                let skip = self.dice.index(due);
                let Some(index) = self.conns[c].due_mail(self.now, skip) else {
                    // An older message of the same effect is still under way.
                    let now = self.now;
                    self.conns[c].mail.iter_mut().for_each(|mail| mail.at = mail.at.min(now));
                    return Ok(());
                };
                let mail = self.conns[c].mail.remove(index);
                self.trace(|| format!("[{c}] hears {mail:?}"));
                self.deliver(c, mail);
                Ok(())
            }
            Act::Job(index) => {
                let job = self.jobs.swap_remove(index);
                self.do_job(job, false)
            }
            Act::Happen(index) => {
                let (_, event) = self.plan.swap_remove(index);
                self.happen(event)
            }
        }
    }

    // ---- the clients' side ----

    fn client_writes(&mut self, c: usize) {
        let (model, lore) = (&mut self.model, &mut self.lore);
        let conn = &mut self.conns[c];
        let (before, now) = (conn.client.asked.len(), self.now);
        let operates = conn.client.operates;
        conn.client.write(now, &mut conn.link, &mut self.dice, |dice| {
            let request = if operates { script::own(dice) } else { script::request(dice, lore) };
            (request, model.tick())
        });
        if conn.client.asked.len() > before {
            let summary = conn.client.asked[before].request.summary();
            self.trace(|| format!("[{c}] client asks {before}: {summary}"));
        }
    }

    fn client_reads(&mut self, c: usize) -> Result<(), String> {
        let seq = self.model.tick();
        let (conn, now) = (&mut self.conns[c], self.now);
        let answered = conn
            .client
            .read(now, seq, &mut conn.link, &mut self.dice)
            .map_err(|why| format!("[{c}] client: {why}"))?;
        let (count, over) = (conn.client.answered.len(), conn.client.is_over());
        if answered {
            let before = count - 1;
            let Reply { status, whole, ref body, .. } = conn.client.answered[before].reply;
            let len = body.len();
            self.trace(|| {
                format!("[{c}] client has {before}: {status}, {len} bytes, whole: {whole}")
            });
            self.judge(c)?;
        }
        if over { self.judge_end(c) } else { Ok(()) }
    }

    // ---- what comes from outside ----

    pub(crate) fn happen(&mut self, event: Event) -> Result<(), String> {
        self.trace(|| format!("{event:?}"));
        match event {
            Event::Connect => self.connect(),
            Event::Crash { power } => self.end_all(power)?,
            Event::SetClock { seconds, back: true } => self.wall -= Duration::from_secs(seconds),
            Event::SetClock { seconds, back: false } => self.wall += Duration::from_secs(seconds),
            Event::ShutDown => {
                for conn in self.conns.iter_mut().filter(|conn| !conn.over) {
                    (conn.dirty, conn.excused) = (true, true);
                    conn.session.shut_down();
                }
            }
            Event::Abort => {
                for conn in self.conns.iter_mut().filter(|conn| !conn.over) {
                    (conn.dirty, conn.excused) = (true, true);
                    conn.session.abort(io::ErrorKind::ConnectionAborted);
                }
            }
        }
        Ok(())
    }

    fn end_all(&mut self, power: bool) -> Result<(), String> {
        self.crashed = true;
        for c in 0..self.conns.len() {
            if !self.conns[c].over {
                self.drop_tables(c);
                self.conns[c].over = true;
                let keep = self.dice.index(self.conns[c].link.down.len() + 1);
                self.conns[c].link.closed_by_server(End::Reset, keep);
            }
            self.conns[c].mail.clear();
        }
        self.jobs.clear();
        self.guard = Guard::default();
        let dice = &mut self.dice;
        self.disk.crash(power, || dice.chance(50));
        let paths: Vec<_> = self.model.paths().map(str::to_owned).collect();
        for path in paths {
            let etag = self
                .disk
                .file(&path)
                .map(|inode| httpout_proto::semantics::conditional::etag(&inode.meta()));
            self.model.recovered(&path, etag.as_deref())?;
        }
        Ok(())
    }
}
