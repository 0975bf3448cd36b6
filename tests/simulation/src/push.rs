//! proto's client against proto's server, in a world of its own: uploads over connections that are
//! refused, reset at any byte, stalled, or answered by somebody else; bodies that come late, that
//! cannot be had twice, that fail; disks that are full or broken. What the client says is stored is
//! stored, whole; what failed is told, and was tried as often as it may be; nothing hangs.

mod client;
mod judge;
mod server;
mod task;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use httpout_proto::{
    Config, Now, Push, Site, Wait,
    push::{JobId, PushConfig, PushOptions},
};

use self::{server::Conn, task::Task};
use crate::{
    choices::{Choices, Dice, Seeded},
    client::Time,
    disk::Disk,
    rights::ROOT,
};

/// Steps after which a world is taken to run in circles.
const MOST_STEPS: u64 = 1_000_000;

pub(super) struct World<'c> {
    dice: Dice<'c>,
    now: Time,
    base: Instant,
    site: Arc<Site>,
    disk: Disk,
    config: PushConfig,
    push: Push,
    /// What the client waits for; `None` if it is to be polled first.
    wait: Option<Wait>,
    closed: bool,
    tasks: Vec<Task>,
    /// The client's connection.
    socket: Option<usize>,
    /// It came to its end, and the client knows.
    ended: bool,
    /// When the dial under way is answered; `None`: never.
    dial: Option<Option<Time>>,
    pulls: Vec<(Time, JobId, u64)>,
    conns: Vec<Conn>,
    /// Path and content of all that was ever committed.
    commits: Vec<(String, Vec<u8>)>,
    /// Faults that may still happen to connections.
    troubles: u64,
    /// Of a hundred effects of the server so many fail.
    faults: u64,
    /// Something happened that ends a job rightly.
    excused: bool,
    calm: bool,
    /// No connection is ever made.
    walled: bool,
    story: Vec<String>,
    steps: u64,
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Add(usize),
    Poll,
    Receive,
    Send,
    Dialled,
    Supply(usize),
    Server(usize, server::Act),
}

/// Runs the world of a seed; the number of its steps.
///
/// # Errors
/// What happened, and what should not have happened.
pub fn upload(seed: u64) -> Result<u64, String> {
    let mut choices = Seeded::new(seed);
    let mut world = World::new(&mut choices);
    let outcome = catch_unwind(AssertUnwindSafe(|| world.run()));
    let what = match outcome {
        Ok(Ok(())) => return Ok(world.steps),
        Ok(Err(what)) => what,
        Err(_) => "a panic".into(),
    };
    Err(format!("{}\npush seed {seed}: {what}", world.story.join("\n")))
}

/// Runs the world of any choices, such as a fuzzer's.
///
/// # Errors
/// What should not have happened.
pub fn upload_by(choices: &mut impl Choices) -> Result<u64, String> {
    let mut world = World::new(choices);
    let outcome = world.run();
    outcome.map(|()| world.steps).map_err(|what| format!("{}\n{what}", world.story.join("\n")))
}

impl<'c> World<'c> {
    #[allow(clippy::disallowed_methods, reason = "some moment to begin at")]
    fn new(choices: &'c mut dyn Choices) -> Self {
        let mut dice = Dice(choices);
        let calm = dice.chance(15);
        let site = server_config(&mut dice).check().expect("a configuration with directories");
        let config = client_config(&mut dice);
        let options = PushOptions::new(config.clone()).expect("fields that can be sent");
        let small = !calm && dice.chance(10);
        let walled = !calm && dice.chance(3);
        let mut world = Self {
            now: Time::ZERO,
            base: Instant::now(),
            site,
            disk: Disk::new(if small { 200 + dice.below(4000) } else { 1 << 30 }),
            push: Push::new(Arc::new(options)),
            config,
            wait: None,
            closed: false,
            tasks: Vec::new(),
            socket: None,
            ended: false,
            dial: None,
            pulls: Vec::new(),
            conns: Vec::new(),
            commits: Vec::new(),
            troubles: if calm { 0 } else { dice.below(7) },
            faults: if calm { 0 } else { *dice.pick(&[0, 0, 0, 0, 3]) },
            excused: small || walled,
            calm,
            walled,
            story: Vec::new(),
            steps: 0,
            dice,
        };
        for number in 0..1 + world.dice.below(6) as u32 {
            world.plan(number);
        }
        world
    }

    fn run(&mut self) -> Result<(), String> {
        while !self.closed {
            self.steps += 1;
            if self.steps > MOST_STEPS {
                return Err("the world runs in circles".into());
            }
            let mut acts = Vec::new();
            let next = self.acts(&mut acts);
            if acts.is_empty() {
                self.now = next.ok_or("the client hangs")?;
                continue;
            }
            let act = *self.dice.pick(&acts);
            self.act(act)?;
        }
        self.judge_end()
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
        for (index, task) in self.tasks.iter().enumerate().filter(|(_, task)| !task.added) {
            at(task.at, Act::Add(index));
        }
        for (index, (time, ..)) in self.pulls.iter().enumerate() {
            at(*time, Act::Supply(index));
        }
        if let Some(Some(time)) = self.dial {
            at(time, Act::Dialled);
        }
        match self.wait {
            None => at(now, Act::Poll),
            Some(wait) => {
                if let Some((deadline, _)) = wait.deadline {
                    at(deadline.saturating_duration_since(self.base), Act::Poll);
                }
                if let Some(conn) = self.socket.map(|c| &self.conns[c]) {
                    let calm = conn.stalled_until.max(now);
                    if wait.read && conn.link.down.is_readable() {
                        at(calm, Act::Receive);
                    }
                    if wait.write && conn.takes_bytes() {
                        at(calm, Act::Send);
                    }
                }
            }
        }
        for (c, conn) in self.conns.iter().enumerate() {
            conn.acts(now, self.base, |time, act| at(time, Act::Server(c, act)));
        }
        next
    }

    fn act(&mut self, act: Act) -> Result<(), String> {
        match act {
            Act::Add(index) => {
                let task = &mut self.tasks[index];
                task.added = true;
                self.push.add(task.job.clone());
                if self.tasks.iter().all(|task| task.added) {
                    self.push.finish();
                }
                self.wait = None;
                Ok(())
            }
            Act::Poll => self.poll_client(),
            Act::Receive => {
                self.client_receives();
                Ok(())
            }
            Act::Send => self.client_sends(),
            Act::Dialled => {
                self.dialled();
                Ok(())
            }
            Act::Supply(index) => {
                let (_, job, at) = self.pulls.swap_remove(index);
                self.supply(job, at)
            }
            Act::Server(c, act) => self.serve(c, act),
        }
    }

    fn time(&self) -> Now {
        let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000) + self.now;
        Now { mono: self.base + self.now, wall }
    }

    fn tell(&mut self, line: String) {
        self.story.push(format!("{:>12.6} {line}", self.now.as_secs_f64()));
    }

    /// True if a fault is to happen now.
    fn trouble(&mut self) -> bool {
        let trouble = self.troubles > 0 && self.dice.chance(40);
        self.troubles -= u64::from(trouble);
        trouble
    }
}

fn server_config(dice: &mut Dice<'_>) -> Config {
    let mut config = Config::default();
    config.read_dirs = vec![ROOT.into()];
    config.write_dir = Some(ROOT.into());
    config.durable = dice.chance(20);
    config.close_connections = dice.chance(10);
    config.limits.upload_window = *dice.pick(&[1 << 20, 64, 700]);
    config.limits.linger_bytes = *dice.pick(&[64 << 10, 0, 300]);
    config.limits.unwanted_body = *dice.pick(&[64 << 10, 0, 300]);
    config.limits.body_rate = 0;
    config.limits.idle_time = Some(Duration::from_millis(*dice.pick(&[30_000, 400])));
    config.limits.requests = *dice.pick(&[10_000, 2]);
    config
}

fn client_config(dice: &mut Dice<'_>) -> PushConfig {
    let mut config = PushConfig {
        post: dice.chance(20),
        expect_from: *dice.pick(&[None, Some(0), Some(1000)]),
        close: dice.chance(10),
        verify: dice.chance(30),
        keep_input: !dice.chance(10),
        ..PushConfig::default()
    };
    config.limits.continue_time = Duration::from_millis(*dice.pick(&[1000, 1]));
    config.limits.idle_time = Some(Duration::from_millis(*dice.pick(&[30_000, 300])));
    config.limits.answer_time = Duration::from_secs(20);
    config.limits.send_time = Duration::from_secs(15);
    config
}
