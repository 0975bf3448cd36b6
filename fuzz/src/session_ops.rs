//! A session with everything that can happen to it, in any order: bytes, short writes, time,
//! answers, growth, breakage.
//!
//! What is checked: [`world`] checks the contract between a session and its runtime after each
//! step, [`ledger`] what the session asks for (files are closed once, nothing is used that is not
//! open), [`responses`] that what it says is HTTP with right framing, one answer per request.

mod ledger;
mod lookups;
mod op;
mod requests;
mod responses;
mod templates;
mod world;

use std::{sync::Arc, time::Duration};

use arbitrary::Unstructured;
use httpout_proto::{
    Limits, Session, Site,
    auth::{Rule, Users},
    site::{Config, Multirange},
};

use op::Op;
use world::World;

/// Most steps of one input.
const MOST: usize = 256;

/// One input: two bytes of options, then steps.
pub fn run(data: &[u8]) {
    let Some((options, data)) = data.split_first_chunk() else { return };
    let site = site(*options);
    let session = match (options[1] & 0x40 != 0, options[1] & 0x80 != 0) {
        (true, _) => Session::overloaded,
        (false, true) => Session::admin,
        (false, false) => Session::new,
    };
    let mut world = World::new(session(site.clone()), site, options[1] & 0x40 != 0);
    let mut steps = Unstructured::new(data);
    for _ in 0..MOST {
        if steps.is_empty() {
            break;
        }
        let Ok((op, drained)) = Op::next(&mut steps) else { break };
        world.step(op);
        if drained {
            world.drain();
        }
    }
    world.finish(options[1] & 0x20 != 0);
}

/// Some paths are for all, some for one user, some for nobody.
const RULES: &str =
    "[/media]\nwu=$ALL\n[/media/l]\nru=alice\nwu=alice\n[/media/p]\nru=$NONE\nwu=$NONE\n";
const USERS: &str = "[alice]\nhash=$argon2id$x\n[bob]\nhash=$argon2id$y\n";

fn site([flags, more]: [u8; 2]) -> Arc<Site> {
    let flag = |bit: u8| flags & (1 << bit) != 0;
    let mut config = Config::default();
    config.read_dirs = vec!["media".into()];
    config.close_connections = flag(0);
    config.chunked = !flag(1);
    config.ignore_ranges = flag(2);
    config.multirange = match (flag(3), flag(4)) {
        (true, true) | (false, false) => Multirange::Concat,
        (true, false) => Multirange::Multipart,
        (false, true) => Multirange::Merge,
    };
    config.wait_missing = Duration::from_secs(if flag(5) { 5 } else { 0 });
    config.durable = flag(6);
    config.write_dir = (!flag(7)).then(|| "media".into());
    config.cache_control = match more & 3 {
        0 | 1 => None,
        2 => Some("none".into()),
        _ => Some("max-age=1".into()),
    };
    if more & 4 != 0 {
        config.limits = small();
    }
    if more & 8 != 0 {
        config.read_dirs.clear();
        config.write_dir = None;
        config.rules = Rule::parse(RULES).expect("they are well-formed");
        config.users = Users::parse(USERS).expect("they are well-formed");
        config.insecure_auth = true;
    }
    if more & 3 == 1 {
        config.source = true;
        config.read_dirs.clear();
        config.write_dir = None;
    }
    config.list_directories = more & 0x10 != 0;
    config.log_begin = config.list_directories;
    config.check().expect("it is well-formed")
}

/// Limits that are soon met.
fn small() -> Limits {
    let mut limits = Limits::default();
    (limits.request_line, limits.field_line, limits.head, limits.fields) = (60, 60, 160, 6);
    (limits.chunk_extensions, limits.trailers, limits.trailer_fields) = (8, 16, 2);
    (limits.upload, limits.upload_window, limits.pipelined) = (Some(20), 5, 40);
    (limits.linger_bytes, limits.ranges, limits.requests) = (10, 2, 3);
    limits.client_errors = 2;
    limits.age = Some(Duration::from_secs(60));
    limits
}
