//! Chance made into requests and into the manners of clients.

use std::{collections::BTreeMap, rc::Rc, time::Duration};

use crate::{
    choices::{Dice, bytes},
    client::{How, Manner},
    listing::ASKINGS,
    packer::ACCEPTS,
    request::{Ask, Coding, Condition, Form, Request, What},
    rights::Login,
};

/// Names that are fought over.
const PATHS: [&str; 8] =
    ["a.m4s", "m.mpd", "a.m4s", "b.ts", "raw", "d/x.m4s", "d/e/y.m4s", "d/e/m.mpd"];

/// Those that may be compressed.
pub(crate) const TEXTS: [&str; 2] = ["m.mpd", "d/e/m.mpd"];

/// Names that not everybody may use.
const RULED: [&str; 9] = [
    "secret/x.m4s",
    "secret/t.txt",
    "secret/open/y.txt",
    "inbox/x.m4s",
    "inbox/t.txt",
    "via/x.m4s",
    "via/t.txt",
    "via/open/y.txt",
    "up/x.m4s",
];

/// Directories, with rules and without.
const DIRS: [&str; 4] = ["", "d", "d/e", "d/many"];
const RULED_DIRS: [&str; 5] = ["secret", "inbox", "secret/open", "via", "via/open"];

/// A body that must never be read as anything else.
const DECOY: &str = "\r\n\r\nDELETE /a.m4s HTTP/1.1\r\nHost: sim\r\n\r\nGET /b.ts HTTP/1.1\r\n\r\n";

/// What clients know of each other.
#[derive(Debug)]
pub(crate) struct Lore {
    /// Entity tags as they were seen.
    pub(crate) tags: BTreeMap<String, String>,
    /// How many of the names are used.
    pub(crate) paths: usize,
    /// There are rules.
    pub(crate) ruled: bool,
    /// There is a large directory, and who lists it.
    pub(crate) many: bool,
    /// Most want texts, compressed, and many leave before they have them.
    pub(crate) texts: bool,
    /// Of a hundred passwords so many are guessed.
    pub(crate) guesses: u64,
    bodies: u64,
}

impl Default for Lore {
    fn default() -> Self {
        Self {
            tags: BTreeMap::new(),
            paths: usize::MAX,
            ruled: false,
            many: false,
            texts: false,
            guesses: 0,
            bodies: 0,
        }
    }
}

/// The next request of some client.
pub(crate) fn request(dice: &mut Dice<'_>, lore: &mut Lore) -> Request {
    if lore.many && dice.chance(50) {
        let request = list(dice, lore);
        return with_login(request, dice, lore);
    }
    if lore.texts && dice.chance(80) {
        let mut request = get(TEXTS[dice.index(TEXTS.len())], dice, lore);
        request.accept = Some(*dice.pick(&ACCEPTS));
        return with_login(request, dice, lore);
    }
    let path = match dice.below(40) {
        39 => "d",
        38 => "d/e",
        37 if lore.ruled => "secret",
        number if lore.ruled && number % 4 > 0 => {
            RULED[number as usize % RULED.len().min(lore.paths)]
        }
        number => PATHS[number as usize % PATHS.len().min(lore.paths)],
    };
    let mut request = match dice.below(100) {
        0..45 => get(path, dice, lore),
        45..76 => {
            let (body, condition) = (body(dice, lore), condition(path, dice, lore));
            Request::of(path, What::Put { body, condition })
        }
        76..86 => fill(path, dice, lore),
        86..91 => {
            let body = if dice.chance(30) { dice.index(300) } else { 0 };
            let condition = condition(path, dice, lore);
            Request::of(path, What::Delete { body, condition })
        }
        91..93 => Request::of(path, What::Options),
        93..96 => list(dice, lore),
        _ => return wrong(dice),
    };
    let uploads = matches!(request.what, What::Put { .. } | What::Fill { .. });
    request.coding = match dice.below(10) {
        0..5 => Coding::Length,
        _ if !uploads && !matches!(request.what, What::Delete { .. }) => Coding::Length,
        9 if uploads && dice.chance(50) => Coding::Broken(sizes(dice)),
        _ => Coding::Chunked(sizes(dice)),
    };
    if dice.chance(10) && matches!(request.coding, Coding::Length) {
        request.minor = 0;
    }
    let own_type = match &request.what {
        What::Fill { form, .. } => matches!(form, Form::Message | Form::Multipart),
        What::Put { .. } => false,
        What::Get { .. }
        | What::Delete { .. }
        | What::List { .. }
        | What::Options
        | What::Own
        | What::Wrong { .. } => true,
    };
    if !own_type {
        request.media_type =
            *dice.pick(&[None, Some("text/x-one"), Some("a/two;b=c"), Some("*/*")]);
    }
    request.close = dice.chance(5);
    request.expect = request.minor == 1 && uploads && dice.chance(20);
    if matches!(request.what, What::Get { .. }) && dice.chance(40) {
        request.accept = Some(*dice.pick(&ACCEPTS));
    }
    with_login(request, dice, lore)
}

fn with_login(mut request: Request, dice: &mut Dice<'_>, lore: &Lore) -> Request {
    if lore.ruled {
        let guesses = dice.chance(lore.guesses);
        request.login = if guesses { Login::wrong(dice) } else { Login::draw(dice) };
        // From outside, an answer of 400 does not show whether it knows that it is to a HEAD, and
        // so has no body.
        if request.is_head() && matches!(request.login, Login::Broken(_)) {
            request.login = Login::None;
        }
    }
    request
}

/// What an operator asks.
pub(crate) fn own(dice: &mut Dice<'_>) -> Request {
    let path = *dice.pick(&["metrics", "readyz", "healthz", "a.m4s"]);
    let mut request = Request::of(path, What::Own);
    request.close = dice.chance(5);
    request
}

fn list(dice: &mut Dice<'_>, lore: &Lore) -> Request {
    let path = if lore.many && dice.chance(70) {
        "d/many"
    } else if lore.ruled && dice.chance(50) {
        *dice.pick(&RULED_DIRS)
    } else {
        *dice.pick(&DIRS)
    };
    let asking = *dice.pick(&ASKINGS);
    Request::of(path, What::List { head: dice.chance(20), asking })
}

fn get(path: &str, dice: &mut Dice<'_>, lore: &Lore) -> Request {
    let head = dice.chance(12);
    let ranges = if dice.chance(45) {
        let many = if dice.chance(35) { 1 + dice.index(6) } else { 1 };
        (0..many).map(|_| ask(dice)).collect()
    } else {
        Vec::new()
    };
    let tag = lore.tags.get(path).cloned();
    let if_range = tag.filter(|_| dice.chance(20));
    let condition = condition(path, dice, lore);
    Request::of(path, What::Get { head, ranges, condition, if_range })
}

fn ask(dice: &mut Dice<'_>) -> Ask {
    let most = *dice.pick(&[100, 700, 3000]);
    match dice.below(10) {
        0..4 => {
            let first = dice.below(most);
            Ask::Closed(first, first + dice.below(most))
        }
        4 => Ask::From(0),
        5 | 6 => Ask::From(dice.below(most)),
        7 => Ask::Closed(dice.below(50), (1 << 53) - 1 + dice.below(2)),
        _ => Ask::Suffix(dice.below(most)),
    }
}

fn fill(path: &str, dice: &mut Dice<'_>, lore: &mut Lore) -> Request {
    let form = *dice.pick(&[Form::Range, Form::ContentRange, Form::Message, Form::Multipart]);
    let many = match form {
        Form::Range | Form::Multipart => 1 + dice.index(3),
        Form::ContentRange | Form::Message => 1,
    };
    let mut runs: Vec<_> = (0..many)
        .map(|_| (*dice.pick(&[0, 0, 1, 40, 300]) + dice.below(20), Some(1 + dice.below(80))))
        .collect();
    if dice.chance(40) {
        runs[0].0 = 0;
    }
    let mut len = runs.iter().map(|(_, len)| len.unwrap_or(0)).sum::<u64>();
    if form == Form::Range && dice.chance(25) {
        runs[many - 1].1 = None;
        len += dice.below(100);
    }
    if dice.chance(10) {
        len = (len + dice.below(3)).saturating_sub(1);
    }
    lore.bodies += 1;
    let body = Rc::new(bytes(lore.bodies, len as usize));
    let condition = condition(path, dice, lore);
    Request::of(path, What::Fill { runs, body, form, condition })
}

fn body(dice: &mut Dice<'_>, lore: &mut Lore) -> Rc<Vec<u8>> {
    let most = *dice.pick(&[1, 2, 60, 700, 700, 4000]);
    lore.bodies += 1;
    let mut body = bytes(lore.bodies, dice.index(most));
    if dice.chance(10) {
        body.splice(0..0, DECOY.bytes());
    }
    Rc::new(body)
}

fn condition(path: &str, dice: &mut Dice<'_>, lore: &Lore) -> Condition {
    let tag = match lore.tags.get(path) {
        Some(tag) if dice.chance(70) => tag.clone(),
        _ if dice.chance(20) => "\"no-such-tag\"".into(),
        _ => "*".into(),
    };
    match dice.below(10) {
        8 => Condition::Match(tag),
        9 => Condition::NoneMatch(tag),
        _ => Condition::None,
    }
}

fn sizes(dice: &mut Dice<'_>) -> Vec<usize> {
    let most = *dice.pick(&[1000, 1, 3, 50, 300]);
    (0..1 + dice.below(4)).map(|_| 1 + dice.index(most)).collect()
}

fn wrong(dice: &mut Dice<'_>) -> Request {
    const END: &str = "\r\nHost: sim\r\n\r\n";
    let number = dice.below(17);
    let (raw, status, closes) = match number {
        0 => ("GET / HTTP/1.1\nHost: sim\n\n".into(), 400, true),
        1 => ("GET /a.m4s HTTP/1.1\r\n\r\n".into(), 400, true),
        2 => (format!("GET /a.m4s HTTP/2.0{END}"), 505, true),
        3 => (format!("BREW /a.m4s HTTP/1.1{END}"), 501, true),
        4 => (
            format!(
                "PUT /a.m4s HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked{END}0\r\n\r\n"
            ),
            400,
            true,
        ),
        5 => (
            format!("PUT /a.m4s HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 3{END}abc"),
            400,
            true,
        ),
        6 => (format!("PUT /a.m4s HTTP/1.1{END}"), 411, false),
        7 => (format!("GET /a.m4s HTTP/1.1\r\nExpect: a miracle{END}"), 417, true),
        8 => (format!("GET /../a.m4s HTTP/1.1{END}"), 400, false),
        9 => (format!("PUT /.httpout-1.part HTTP/1.1\r\nContent-Length: 1{END}x"), 403, false),
        10 => (format!("GET /.httpout-0000.part HTTP/1.1{END}"), 404, false),
        11 => (
            format!(
                "PATCH /a.m4s HTTP/1.1\r\nContent-Type: text/plain\r\nContent-Length: 2{END}ab"
            ),
            415,
            false,
        ),
        12 => ("\x16\x03\x01\x02\0\x01\0\x01\u{fc}\x03\x03".into(), 400, true),
        13 => (format!("GET /{} HTTP/1.1{END}", "a".repeat(17 << 10)), 414, true),
        14 => (format!("GET / HTTP/1.1\r\nX: {}{END}", "b".repeat(17 << 10)), 431, true),
        15 => (format!("GET / HTTP/1.1{}{END}", "\r\nX: y".repeat(101)), 431, true),
        _ => (format!("GET / HTTP/1.1\r\n folded: x{END}"), 400, true),
    };
    let mut request = Request::wrong(raw, status, closes);
    if matches!(number, 6 | 11) {
        // Whose framing is right, and which is for a file.
        request.path = "a.m4s".into();
    }
    request
}

/// How a client behaves. `times` are the limits of the server, shortest first.
pub(crate) fn manner(dice: &mut Dice<'_>, requests: usize, times: &[Duration]) -> Manner {
    let calm = dice.chance(35);
    let pace = |dice: &mut Dice<'_>| {
        let most = *dice.pick(&[
            Duration::ZERO,
            Duration::ZERO,
            Duration::from_millis(5),
            Duration::from_millis(80),
        ]);
        dice.delay(most.max(Duration::from_micros(1)))
    };
    let stall = |dice: &mut Dice<'_>| {
        let time = *dice.pick(times);
        let long = time / 2 + Duration::from_micros(dice.below(time.as_micros() as u64));
        (dice.index(3000), long)
    };
    let mut manner = Manner {
        requests,
        depth: if dice.chance(40) { 1 + dice.index(4) } else { 1 },
        write_pace: pace(dice),
        read_pace: pace(dice),
        lingers: dice.chance(15),
        half_closes: dice.chance(20),
        patience: Duration::from_millis(dice.below(1500)),
        ..Manner::default()
    };
    if !calm {
        manner.write_stall = dice.chance(15).then(|| stall(dice));
        manner.read_stall = dice.chance(15).then(|| stall(dice));
        if dice.chance(25) {
            let how = *dice.pick(&[How::Reset, How::Close, How::Half]);
            manner.leaves = Some((dice.index(3000), how));
        }
    }
    manner
}
