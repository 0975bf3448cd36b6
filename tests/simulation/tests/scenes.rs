//! Scenes that chance finds too rarely, each in several orders of events.

use std::time::Duration;

use httpout_proto::effect::{FsEffect, LiveEffect};
use httpout_proto::{
    Config, Done, Effect, FsError, Now, OpId, Session, Step,
    live::{Growth, GrowthState},
};
use httpout_simulation::{Ask, Calm, Choices, Request, Seeded, World};

const MILLISECOND: Duration = Duration::from_millis(1);

/// Plays a scene in order, and then in as many orders as there are seeds; it is to end with nothing
/// left.
fn play(config: impl Fn(&mut Config), scene: impl Fn(&mut World<'_>) -> Result<(), String>) {
    let once = |choices: &mut dyn Choices, name: &str| {
        let mut settings = Config::default();
        config(&mut settings);
        let mut world = World::new(settings, choices);
        world.tell();
        if let Err(what) = scene(&mut world).and_then(|()| world.finish()) {
            panic!("{}\n{name}: {what}", world.story().join("\n"));
        }
    };
    once(&mut Calm, "in order");
    for seed in 0..30 {
        once(&mut Seeded::new(seed), &format!("seed {seed}"));
    }
}

/// So long that everything that can happen has.
fn settle(world: &mut World<'_>) -> Result<(), String> {
    world.pass(Duration::from_millis(900))
}

/// Fails unless the client has these answers: status, length of the content, whether it is whole.
#[track_caller]
fn assert_replies(world: &World<'_>, c: usize, expected: &[(u16, usize, bool)]) {
    let replies: Vec<_> = world
        .replies(c)
        .iter()
        .map(|reply| (reply.status, reply.body.len(), reply.whole))
        .collect();
    assert_eq!(replies, expected, "{}", world.story().join("\n"));
}

#[test]
fn readers_join_an_upload_at_each_stage() {
    play(
        |_| {},
        |world| {
            let upload = || Request::put("/live.m4s", vec![b'x'; 3000]).chunked(1000);
            let (head, chunk) = (67, 1009);
            let source = world.client([upload(), upload()]);
            world.leash(source, Some(head));
            settle(world)?;
            let first = world.client([Request::get("/live.m4s")]);
            settle(world)?;
            assert_replies(world, first, &[]);
            world.leash(source, Some(head + chunk));
            settle(world)?;
            let second = world.client([Request::get("/live.m4s")]);
            let middle =
                world.client([Request::get_ranges("/live.m4s", &[Ask::Closed(500, 2499)])]);
            settle(world)?;
            assert_replies(world, middle, &[]);
            world.leash(source, Some(head + 3 * chunk));
            settle(world)?;
            assert_replies(world, middle, &[(206, 2000, true)]);
            assert_replies(world, first, &[]);
            // Over, and begun again: the second upload is cut.
            world.leash(source, None);
            settle(world)?;
            assert_replies(world, source, &[(201, 0, true), (200, 0, true)]);
            for reader in [first, second] {
                assert_replies(world, reader, &[(200, 3000, true)]);
            }
            let again = world.client([upload()]);
            world.leash(again, Some(head + chunk));
            settle(world)?;
            let last = world.client([Request::get("/live.m4s")]);
            settle(world)?;
            world.reset(again);
            settle(world)?;
            assert_replies(world, last, &[(200, 1000, false)]);
            assert_eq!(world.file("live.m4s").map(|file| file.len()), Some(3000));
            Ok(())
        },
    );
}

#[test]
fn a_reset_leaves_nothing_behind() {
    play(
        |_| {},
        |world| {
            world.client([Request::put("/a.ts", vec![b'a'; 60_000])]);
            settle(world)?;
            let upload = world.client([Request::put("/d/b.ts", vec![b'b'; 5000])]);
            world.leash(upload, Some(2000));
            settle(world)?;
            let download = world.client([Request::get("/a.ts")]);
            world.stall_reading(download, 20_000, Duration::from_secs(5));
            let live = world.client([Request::get("/d/b.ts")]);
            settle(world)?;
            assert!(world.has_parts());
            for client in [live, download, upload] {
                world.reset(client);
                settle(world)?;
                assert!(!world.is_open(client));
            }
            assert!(!world.has_parts());
            assert_eq!(world.file("d/b.ts"), None);
            Ok(())
        },
    );
}

/// An encoder that ends without reading its answers: what it sent whole is stored, in order.
#[test]
fn uploads_of_a_client_that_left_are_stored() {
    play(
        |_| {},
        |world| {
            let client = world.client([
                Request::put("/a.ts", vec![b'a'; 1000]),
                Request::put("/a.ts", vec![b'b'; 2000]).chunked(700),
                Request::get("/a.ts"),
                Request::put("/d/b.ts", vec![b'c'; 3000]),
            ]);
            world.only_sends(client);
            world.pass(Duration::from_secs(5))?;
            assert!(!world.is_open(client));
            assert_eq!(world.file("a.ts"), Some(vec![b'b'; 2000]));
            assert_eq!(world.file("d/b.ts"), Some(vec![b'c'; 3000]));
            Ok(())
        },
    );
}

/// The world checks that readers see one of them, whole.
#[test]
fn ten_uploads_to_one_name_with_deletes_and_readers() {
    play(
        |_| {},
        |world| {
            let uploads: Vec<_> = (1..=10u8)
                .map(|n| {
                    let upload = Request::put("/a.ts", vec![n; 1000]);
                    let upload = if n % 2 == 0 { upload.chunked(300) } else { upload };
                    world.client([upload, Request::get("/a.ts")])
                })
                .collect();
            let readers = world.client((0..10).map(|_| Request::get("/a.ts")));
            let deletes = world.client([Request::delete("/a.ts"), Request::delete("/a.ts")]);
            settle(world)?;
            assert_eq!(world.replies(deletes).len(), 2);
            assert_eq!(world.replies(readers).len(), 10);
            for client in uploads {
                let replies = world.replies(client);
                assert!(replies.len() == 2 && matches!(replies[0].status, 200 | 201));
            }
            Ok(())
        },
    );
}

#[test]
fn a_wall_clock_that_is_set_back_ends_no_connection() {
    play(
        |_| {},
        |world| {
            let rests = world.client([Request::put("/a.mpd", "first")]);
            world.stay(rests, true);
            let upload = world.client([Request::put("/b.ts", vec![b'b'; 5000])]);
            world.leash(upload, Some(1000));
            settle(world)?;
            let reader = world.client([Request::get("/b.ts"), Request::get("/a.mpd")]);
            settle(world)?;
            world.set_back(Duration::from_secs(3600))?;
            settle(world)?;
            assert!(world.is_open(rests) && world.is_open(upload) && world.is_open(reader));
            world.leash(upload, None);
            settle(world)?;
            assert_replies(world, upload, &[(201, 0, true)]);
            assert_replies(world, reader, &[(200, 5000, true), (200, 5, true)]);
            assert!(world.is_open(rests));
            Ok(())
        },
    );
}

#[test]
fn a_crash_amidst_a_patch_leaves_the_old_file() {
    for power in [false, true] {
        play(
            |config| config.durable = true,
            |world| {
                world.client([Request::put("/a.ts", vec![b'a'; 1000])]);
                settle(world)?;
                world.slow_disk(MILLISECOND * 100);
                let patch = world.client([Request::fill("/a.ts", &[(0, 3), (10, 3)], "ABCDEF")]);
                // Stat, create, write; the commit is under way.
                world.pass(MILLISECOND * 350)?;
                world.crash(power)?;
                assert_replies(world, patch, &[]);
                assert_eq!(world.file("a.ts"), Some(vec![b'a'; 1000]));
                assert!(!world.has_parts());
                world.slow_disk(Duration::ZERO);
                let after = world.client([Request::get("/a.ts")]);
                settle(world)?;
                assert_replies(world, after, &[(200, 1000, true)]);
                Ok(())
            },
        );
    }
}

#[test]
fn an_answer_that_comes_when_its_connection_is_gone_is_the_last_of_it() {
    // Create, write, commit: each is under way once when the client resets.
    for (step, stands) in [(50, false), (150, false), (250, true)] {
        play(
            |_| {},
            |world| {
                world.slow_disk(MILLISECOND * 100);
                let upload = world.client([Request::put("/d/a.ts", vec![b'a'; 1000])]);
                world.pass(MILLISECOND * step)?;
                world.reset(upload);
                world.pass(MILLISECOND)?;
                assert!(world.has_parts() || step == 50);
                // Chance may have made the disk slower than that.
                world.pass(Duration::from_secs(2))?;
                assert!(!world.has_parts() && !world.is_open(upload));
                let file = world.file("d/a.ts");
                assert!(file.is_none_or(|file| file.len() == 1000 && stands || step < 250));
                Ok(())
            },
        );
    }
}

#[test]
fn a_full_disk_is_told_and_the_old_file_stays() {
    play(
        |_| {},
        |world| {
            world.small_disk(2500);
            let client = world.client([
                Request::put("/a.ts", vec![b'a'; 1000]),
                Request::put("/a.ts", vec![b'b'; 2000]),
                Request::put("/a.ts", vec![b'b'; 2000]).chunked(500),
                Request::get("/a.ts"),
            ]);
            settle(world)?;
            assert_eq!(world.replies(client)[1].status, 507);
            assert_eq!(world.file("a.ts"), Some(vec![b'a'; 1000]));
            Ok(())
        },
    );
}

#[test]
fn a_stop_lets_requests_finish() {
    play(
        |_| {},
        |world| {
            let upload =
                world.client([Request::put("/a.ts", vec![b'a'; 5000]), Request::get("/a.ts")]);
            world.leash(upload, Some(1000));
            settle(world)?;
            let reader = world.client([Request::get("/a.ts")]);
            let rests = world.client([Request::get("/nothing")]);
            world.stay(rests, true);
            settle(world)?;
            world.shut_down()?;
            settle(world)?;
            assert!(!world.is_open(rests) && world.is_open(upload) && world.is_open(reader));
            world.leash(upload, None);
            settle(world)?;
            assert_replies(world, upload, &[(201, 0, true)]);
            assert_replies(world, reader, &[(200, 5000, true)]);
            assert!(!world.is_open(upload) && !world.is_open(reader));
            Ok(())
        },
    );
}

/// Where only the end of the connection ends a body, a slow reader must see that it was cut.
#[test]
fn a_body_without_length_that_is_cut_ends_in_a_reset() {
    play(
        |config| config.limits.send_time = Duration::from_secs(3),
        |world| {
            let upload = world.client([Request::put("/a.ts", vec![b'a'; 60_000])]);
            world.leash(upload, Some(50_000));
            settle(world)?;
            let reader = world.client([Request::get("/a.ts").http10()]);
            world.stall_reading(reader, 2000, Duration::from_secs(8));
            settle(world)?;
            world.leash(upload, None);
            world.pass(Duration::from_secs(10))?;
            let replies = world.replies(reader);
            assert!(replies.len() == 1 && !replies[0].whole);
            Ok(())
        },
    );
}

#[test]
fn a_missing_file_is_waited_for() {
    play(
        |config| config.wait_missing = Duration::from_secs(5),
        |world| {
            let early = world.client([Request::get("/a.ts"), Request::get("/never.ts")]);
            settle(world)?;
            let upload = world.client([Request::put("/a.ts", vec![b'a'; 1000])]);
            world.leash(upload, Some(500));
            settle(world)?;
            assert_replies(world, early, &[]);
            world.leash(upload, None);
            settle(world)?;
            assert_replies(world, early, &[(200, 1000, true)]);
            world.pass(Duration::from_secs(5))?;
            assert_eq!(world.replies(early)[1].status, 404);
            Ok(())
        },
    );
}

/// The file that was waited for as an upload is open when the session learns that it stands on the
/// disk, too.
#[test]
fn an_upload_that_begins_when_it_is_waited_for_no_longer_is_closed() {
    let mut config = Config::default();
    config.read_dirs = vec!["/simulated".into()];
    config.write_dir = Some("/simulated".into());
    config.wait_missing = Duration::from_secs(5);
    let mut session = Session::new(config.check().unwrap());
    let now = Now { mono: std::time::Instant::now(), wall: std::time::SystemTime::now() };
    session.handle_data("GET /a.ts HTTP/1.1\r\nHost: sim\r\n\r\n".into());
    let ops = |session: &mut Session| {
        let mut ops: Vec<OpId> = Vec::new();
        let mut closed = 0;
        loop {
            match session.poll(now) {
                Step::Do(
                    Effect::Fs(_, FsEffect::Open { op, .. })
                    | Effect::Live(_, LiveEffect::Follow { op, .. }),
                ) => ops.push(op),
                Step::Do(Effect::Fs(_, FsEffect::Close { .. })) => closed += 1,
                Step::Do(_) => {}
                Step::Wait(_) | Step::Closed(_) => return (ops, closed),
            }
        }
    };
    let (look, _) = ops(&mut session);
    session.handle_done(look[0], Ok(Done::NotGrowing));
    let (open, _) = ops(&mut session);
    session.handle_done(open[0], Err(FsError::NotFound));
    let (waits, _) = ops(&mut session);
    // The disk fails, and at the same time the upload begins.
    session.handle_done(waits[1], Err(FsError::Denied));
    let growth = Growth { len: 0, total: None, state: GrowthState::Growing };
    session.handle_done(waits[0], Ok(Done::Following(growth)));
    assert_eq!(ops(&mut session).1, 1, "the file of the upload that began stays open");
}
