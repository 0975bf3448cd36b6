//! One world after the other.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use httpout_proto::{Config, Limits, site::Multirange};

use crate::{
    choices::{Choices, Dice, Seeded, bytes},
    client::Time,
    disk::Disk,
    rights::Rights,
    script,
    world::{Event, World},
};

/// Runs the world that `choices` make; the number of its steps.
///
/// # Errors
/// What should not have happened.
pub fn run(choices: &mut impl Choices) -> Result<u64, String> {
    let (config, rights) = config(&mut Dice(choices));
    let mut world = World::new(config, choices);
    prepare(&mut world, rights);
    world.finish().map(|()| world.steps())
}

/// Runs the world of a seed; where something is wrong with it, tells what happened in it and how to
/// see that again.
///
/// # Errors
/// The account, and what should not have happened.
pub fn replay(seed: u64) -> Result<u64, String> {
    let once = catch_unwind(AssertUnwindSafe(|| run(&mut Seeded::new(seed))));
    if let Ok(Ok(steps)) = once {
        return Ok(steps);
    }
    // Once more, with an account. Most worlds need none, and it is what takes longest.
    let mut choices = Seeded::new(seed);
    let (config, rights) = config(&mut Dice(&mut choices));
    let settings = format!("{config:#?}");
    let mut world = World::new(config, &mut choices);
    world.tell();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        prepare(&mut world, rights);
        world.finish()
    }));
    let what = match outcome {
        Ok(Ok(())) => "nothing, the second time: something in here is not deterministic".into(),
        Ok(Err(what)) => what,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            format!("a panic: {}", text.unwrap_or("without words"))
        }
    };
    Err(format!(
        "{settings}\n{}\n\nseed {seed}: {what}\n\n    \
         HTTPOUT_SEED={seed} cargo test -p httpout-simulation --test seeds replay -- --nocapture\n",
        world.story().join("\n")
    ))
}

/// Who comes, and what comes over them.
fn prepare(world: &mut World<'_>, rights: Option<Rights>) {
    let millis = |world: &mut World<'_>, most| Time::from_millis(world.dice.below(most));
    world.faults = *world.dice.pick(&[0, 0, 0, 2, 12]);
    world.laziness = *world.dice.pick(&[0, 30, 90]);
    world.lore.paths = *world.dice.pick(&[usize::MAX, usize::MAX, 2, 1]);
    world.lore.ruled = rights.is_some();
    let besieged = rights.as_ref().is_some_and(|rights| rights.besieged);
    world.lore.guesses = if besieged { 95 } else { *world.dice.pick(&[0, 0, 0, 40]) };
    world.rights = rights;
    if world.dice.chance(10) {
        world.disk = Disk::new(500 + world.dice.below(4000));
    } else {
        stock(world);
    }
    for _ in 0..2 + world.dice.below(4) {
        let at = millis(world, 100);
        world.plan(at, Event::Connect);
    }
    if world.dice.chance(15) {
        let at = millis(world, 200);
        let power = world.dice.chance(50);
        world.plan(at, Event::Crash { power });
        for _ in 0..2 {
            let after = Time::from_nanos(1) + millis(world, 100);
            world.plan(at + after, Event::Connect);
        }
    }
    if world.dice.chance(20) {
        let at = millis(world, 200);
        let back = world.dice.chance(60);
        world.plan(at, Event::SetClock { seconds: 3600, back });
    }
    if world.dice.chance(8) {
        let at = millis(world, 300);
        world.plan(at, Event::ShutDown);
        let grace = millis(world, 2000);
        world.plan(at + grace, Event::Abort);
    }
}

/// What is there before anybody comes.
fn stock(world: &mut World<'_>) {
    let ruled = ["secret/x.m4s", "secret/t.txt", "secret/open/y.txt", "inbox/x.m4s"];
    let ruled = if world.lore.ruled { &ruled[..] } else { &[] };
    for (number, path) in ruled.iter().enumerate() {
        world.stock(path, bytes(u64::MAX - number as u64, 700));
    }
    world.lore.texts = world.site.config().compress_max > 0 && world.dice.chance(8);
    let texts: &[&str] = if world.lore.texts { &script::TEXTS } else { &[] };
    for path in texts {
        world.stock(path, bytes(path.len() as u64, 300));
    }
    // More than goes into one piece of a listing.
    if world.site.config().list_directories && world.dice.chance(6) {
        world.lore.many = true;
        for number in 0..200 + world.dice.below(400) {
            world.stock(&format!("d/many/{number}.ts"), bytes(number, number as usize % 3));
        }
    }
}

fn config(dice: &mut Dice<'_>) -> (Config, Option<Rights>) {
    let mut config = Config::default();
    let often = |dice: &mut Dice<'_>, percent| dice.chance(percent);
    config.multirange = *dice.pick(&[Multirange::Concat, Multirange::Multipart, Multirange::Merge]);
    config.wait_missing = Duration::from_millis(*dice.pick(&[0, 0, 50, 1500]));
    config.durable = often(dice, 40);
    config.close_connections = often(dice, 5);
    config.chunked = !often(dice, 15);
    config.ignore_ranges = often(dice, 5);
    config.cache_control = often(dice, 10).then(|| "none".into());
    config.list_directories = often(dice, 40);
    config.compress_max = *dice.pick(&[50_000, 0, 400]);
    config.log_begin = often(dice, 10);
    config.limits = limits(dice);
    config.limits.hook_time = Duration::from_secs(2);
    let rights = dice.chance(35).then(|| Rights::draw(dice, &mut config));
    config.hook = rights.is_none() && dice.chance(30);
    (config, rights)
}

fn limits(dice: &mut Dice<'_>) -> Limits {
    let mut limits = Limits::default();
    limits.upload_window = *dice.pick(&[1 << 20, 7, 64, 300, 2000]);
    limits.pipelined = *dice.pick(&[64 << 10, 10, 500]);
    limits.linger_bytes = *dice.pick(&[64 << 10, 0, 100, 2000]);
    limits.unwanted_body = *dice.pick(&[64 << 10, 0, 100, 2000]);
    limits.upload = *dice.pick(&[None, None, None, Some(1500), Some(40)]);
    limits.ranges = *dice.pick(&[128, 3]);
    limits.client_errors = *dice.pick(&[20, 0, 1, 3]);
    limits.body_rate = *dice.pick(&[0, 500]);
    limits.head_time = Duration::from_secs(2);
    limits.idle_time =
        *dice.pick(&[Some(Duration::from_secs(4)), None, Some(Duration::from_millis(20))]);
    limits.body_time = Duration::from_secs(3);
    limits.send_time = Duration::from_secs(3);
    limits.linger_time = Duration::from_secs(*dice.pick(&[1, 4]));
    limits.linger_pause = Duration::from_secs(1);
    limits.half_closed_time = Duration::from_secs(2);
    limits.wrong_password_time = Duration::from_millis(*dice.pick(&[1000, 1000, 70, 0]));
    limits.listed = *dice.pick(&[1000, 1000, 2]);
    if dice.chance(10) {
        limits.requests = 1 + dice.below(3) as u32;
    }
    if dice.chance(10) {
        limits.age = Some(Duration::from_millis(50));
    }
    limits
}
