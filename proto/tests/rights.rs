//! Rights as a table: users, groups, directories, methods and rule files drawn at random, each
//! verdict compared with a naive model of its own.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]

use std::{
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use httpout_proto::effect::{
    AdminEffect, AuthEffect, ConnectionEffect, DeliveryEffect, FsEffect, HookEffect, LiveEffect,
    LogEffect,
};
use httpout_proto::{
    Client, Config, Done, Effect, FsError, Now, OpId, Session, Site, Step,
    auth::{Rule, Users},
    effect::Verified,
    fs::RelPath,
    http::Piece,
};
use proptest::{option, prelude::*, sample::select};

// ---- the world ----

/// Each section that may stand in a rule file: its directory, and the name that it may have. The
/// first always stands there, without a name; where there is no such directory, or its name would
/// clash with the first one's, there is always a name.
const SECTIONS: [(&str, &str); 6] = [
    ("/r", ""),
    ("/r/a", "vod"),
    ("/r/a/b", "vod/live"),
    ("/r/c", "up"),
    ("/w", "w"),
    ("/none", "svc"),
];
const ALWAYS_NAMED: [&str; 2] = ["/w", "/none"];
const VIRTUAL: &str = "/none";

/// Symbolic links.
const LINKS: [(&str, &str); 5] = [
    ("/r/c/link", "/r/a/b"),
    ("/r/c/file", "/r/a/secret"),
    ("/r/a/out", "/r/c"),
    ("/r/a/b/back", "/r"),
    ("/w/away", "/r/a"),
];

const USERS: [(&str, &[&str]); 4] =
    [("alice", &[]), ("bob", &["staff"]), ("carol", &["staff", "encoders"]), ("dave", &[])];

const PATHS: [&str; 28] = [
    "/",
    "/x",
    "/a",
    "/a/x",
    "/a/b",
    "/a/b/x",
    "/a/b/y/z",
    "/ab/x",
    "/c/x",
    "/c/link",
    "/c/link/x",
    "/c/file",
    "/a/out/x",
    "/a/out/link/x",
    "/a/b/back/x",
    "/a/b/back/c/file",
    "/vod",
    "/vod/x",
    "/vod/b/x",
    "/vod/live/x",
    "/vod/live",
    "/vodka/x",
    "/up/x",
    "/up/link/x",
    "/w/x",
    "/w/away/x",
    "/svc",
    "/svc/x/y",
];

const METHODS: [&str; 7] = ["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS"];

/// Where a path below a root lies. A link that leads out of the root is not followed.
fn real(root: &Path, path: &str, last: bool) -> PathBuf {
    let written = path.split('/').filter(|s| !s.is_empty()).fold(root.to_owned(), |p, s| p.join(s));
    let mut at = PathBuf::new();
    let mut rest: Vec<_> = written.iter().map(ToOwned::to_owned).rev().collect();
    while let Some(segment) = rest.pop() {
        at.push(segment);
        let link = LINKS.iter().find(|(link, _)| Path::new(link) == at);
        if let Some((_, target)) = link.filter(|_| last || !rest.is_empty()) {
            if !Path::new(target).starts_with(root) {
                return written;
            }
            at = PathBuf::from(target);
        }
    }
    at
}

// ---- rule files ----

/// The value of a key.
#[derive(Clone, Debug)]
enum Names {
    All,
    None,
    These(Vec<&'static str>),
}

/// A section, by its index in [`SECTIONS`].
#[derive(Clone, Debug)]
struct Section {
    index: usize,
    named: bool,
    read: [Option<Names>; 2],
    write: [Option<Names>; 2],
}

#[derive(Clone, Debug)]
struct File {
    sections: Vec<Section>,
    wdir: Option<&'static str>,
    insecure: bool,
}

impl Section {
    fn dir(&self) -> &'static str {
        SECTIONS[self.index].0
    }

    fn name(&self) -> Option<&'static str> {
        let (dir, name) = SECTIONS[self.index];
        (!name.is_empty() && (self.named || ALWAYS_NAMED.contains(&dir))).then_some(name)
    }

    fn text(&self) -> String {
        let mut text = format!("[{}]\n", self.dir());
        if let Some(name) = self.name() {
            text += &format!("name = /{name}/\n");
        }
        for (keys, names) in [(["ru", "rg"], &self.read), (["wu", "wg"], &self.write)] {
            for (key, names) in keys.iter().zip(names) {
                text += &match names {
                    None => continue,
                    Some(Names::All) => format!("{key}=$ALL\n"),
                    Some(Names::None) => format!("{key}=$NONE\n"),
                    Some(Names::These(names)) => format!("{key} = {}\n", names.join(" , ")),
                };
            }
        }
        if text.lines().count() == 1 {
            // A file must not end with a section that has no keys.
            text += "mcast = something\n";
        }
        text
    }
}

impl File {
    fn site(&self) -> Arc<Site> {
        let text: String = self.sections.iter().map(Section::text).collect();
        let mut config = Config::default();
        config.rules = Rule::parse(&text).unwrap();
        for rule in &mut config.rules {
            // As a runtime does it.
            if rule.dir == Path::new(VIRTUAL) {
                rule.missing = true;
            }
        }
        config.users = users();
        config.write_dir = self.wdir.map(PathBuf::from);
        config.insecure_auth = self.insecure;
        config.limits.client_errors = 0;
        config.check().unwrap_or_else(|e| panic!("{e:?} of\n{text}"))
    }
}

fn users() -> Users {
    let sections = USERS.map(|(user, _)| format!("[{user}]\nhash=$argon2id${user}\n"));
    let group = |name: &str| {
        let members = USERS.iter().filter(|(_, groups)| groups.contains(&name));
        members.map(|(user, _)| *user).collect::<Vec<_>>().join(",")
    };
    let groups = format!("[groups]\nstaff={}\nencoders={}\n", group("staff"), group("encoders"));
    Users::parse(&(sections.concat() + &groups)).unwrap()
}

// ---- requests ----

#[derive(Clone, Debug)]
enum Credentials {
    Missing,
    OtherScheme,
    Malformed,
    /// The password is right for a known user if it is.
    Basic(&'static str, bool),
}

/// Who is at the other end.
#[derive(Clone, Copy, Debug)]
enum Peer {
    Local,
    Remote,
    /// Over TLS, with a certificate or without.
    Tls(Option<&'static str>),
}

#[derive(Clone, Debug)]
struct Ask {
    method: &'static str,
    path: &'static str,
    spelling: usize,
    credentials: Credentials,
    peer: Peer,
}

impl Ask {
    /// The same path, written in another way.
    fn target(&self) -> String {
        match self.spelling {
            0 => self.path.to_owned(),
            1 => self.path.replace('/', "//"),
            2 => self.path.replace('/', "/./"),
            3 => self.path.replace('a', "%61").replace('/', "/%2e//"),
            4 => format!("{}?a=/r/a", self.path),
            _ => self.path.replace('b', "%62").replace('i', "%69"),
        }
    }

    fn text(&self) -> String {
        let mut text = format!("{} {} HTTP/1.1\r\nHost: h\r\n", self.method, self.target());
        let basic = |what: String| format!("Authorization: Basic {}\r\n", STANDARD.encode(what));
        text += &match &self.credentials {
            Credentials::Missing => String::new(),
            Credentials::OtherScheme => "Authorization: Bearer YTpi\r\n".to_owned(),
            Credentials::Malformed => "Authorization: Basic !\r\n".to_owned(),
            Credentials::Basic(user, true) => basic(format!("{user}:{user}-secret")),
            Credentials::Basic(user, false) => basic(format!("{user}:wrong")),
        };
        match self.method {
            "PUT" | "POST" => text + "Content-Length: 1\r\n\r\nx",
            "PATCH" => {
                let part = "Content-Range: bytes 0-0/1\r\n\r\nx";
                let head = "Content-Type: message/byterange\r\nContent-Length";
                text + &format!("{head}: {}\r\n\r\n{part}", part.len())
            }
            _ => text + "\r\n",
        }
    }

    fn writes(&self) -> bool {
        ["PUT", "POST", "PATCH", "DELETE"].contains(&self.method)
    }
}

// ---- the model ----

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// What follows is no matter of rights.
    Through,
    /// 400
    Malformed,
    /// 401, after so long.
    Prompt { held: bool },
    /// 403
    Forbidden,
}

/// The right answer, by the model.
fn expected(file: &File, ask: &Ask) -> Verdict {
    if ask.method == "OPTIONS" {
        return Verdict::Through;
    }
    let Some(section) = section_of(file, ask) else { return Verdict::Through };
    let keys = if ask.writes() { &section.write } else { &section.read };
    if keys.iter().any(|key| matches!(key, Some(Names::All))) {
        return Verdict::Through;
    }
    let said = keys.iter().any(Option::is_some);
    if !said && !ask.writes() {
        return Verdict::Through;
    }
    if !keys.iter().any(|key| matches!(key, Some(Names::These(_)))) {
        return Verdict::Forbidden;
    }
    if matches!(ask.peer, Peer::Remote) && !file.insecure {
        return Verdict::Forbidden;
    }
    let (user, right) = match &ask.credentials {
        Credentials::Missing | Credentials::OtherScheme => match ask.peer {
            Peer::Tls(Some(name)) => (name, true),
            Peer::Tls(None) | Peer::Local | Peer::Remote => {
                return Verdict::Prompt { held: false };
            }
        },
        Credentials::Malformed => return Verdict::Malformed,
        Credentials::Basic(user, right) => (*user, *right),
    };
    let known = USERS.iter().find(|(known, _)| *known == user).filter(|_| right);
    let groups = match (known, &ask.credentials) {
        (Some((_, groups)), _) => *groups,
        (None, Credentials::Basic(..)) => return Verdict::Prompt { held: true },
        // A certificate needs no entry in the users file.
        (None, _) => &[],
    };
    let lists = |key: &Option<Names>, wanted: &dyn Fn(&str) -> bool| match key {
        Some(Names::These(names)) => names.iter().any(|name| wanted(name)),
        Some(Names::All | Names::None) | None => false,
    };
    let [by_name, by_group] = keys;
    if lists(by_name, &|name| name == user) || lists(by_group, &|name| groups.contains(&name)) {
        Verdict::Through
    } else {
        Verdict::Forbidden
    }
}

/// The section that judges a request, if any does.
fn section_of<'a>(file: &'a File, ask: &Ask) -> Option<&'a Section> {
    let path: Vec<_> = ask.path.split('/').filter(|segment| !segment.is_empty()).collect();
    let named = |section: &&Section| {
        section.name().is_some_and(|name| path.starts_with(&name.split('/').collect::<Vec<_>>()))
    };
    let length = |section: &&Section| section.name().map_or(0, |name| name.split('/').count());
    let mount = file.sections.iter().filter(named).max_by_key(length);
    let (root, rest) = match mount {
        Some(section) if section.dir() == VIRTUAL => return Some(section),
        Some(section) => (section.dir(), path[length(&section)..].join("/")),
        None if ask.writes() => (file.wdir.unwrap_or("/r"), path.join("/")),
        None => ("/r", path.join("/")),
    };
    let real = real(Path::new(root), &rest, ask.method != "DELETE");
    let holds = |section: &&Section| section.dir() != VIRTUAL && real.starts_with(section.dir());
    file.sections.iter().filter(holds).max_by_key(|section| section.dir().len())
}

// ---- what the session does ----

struct Rig {
    session: Session,
    now: Now,
    sent: String,
}

impl Rig {
    fn new(site: Arc<Site>, peer: Peer) -> Self {
        let address: IpAddr = match peer {
            Peer::Local => Ipv4Addr::LOCALHOST.into(),
            Peer::Remote | Peer::Tls(_) => Ipv4Addr::new(192, 0, 2, 7).into(),
        };
        let tls = matches!(peer, Peer::Tls(_));
        let client = Client { address: Some(address), tls, user: None };
        let now = Now { mono: Instant::now(), wall: SystemTime::UNIX_EPOCH };
        let mut session = Session::new(site).with_client(client);
        if let Peer::Tls(Some(name)) = peer {
            session.identify(name.into());
        }
        Self { session, now, sent: String::new() }
    }

    /// Sends a request, answers its effects, and returns what became of it.
    fn ask(&mut self, ask: &Ask) -> Verdict {
        self.sent.clear();
        let began = self.now.mono;
        self.session.handle_data(Bytes::from(ask.text()));
        let (mut touched, mut located, mut verified) = (false, 0, 0);
        loop {
            match self.session.poll(self.now) {
                Step::Do(Effect::Fs(_, FsEffect::Locate { op, place, last })) => {
                    assert!(!touched, "rights are looked up after something was touched");
                    located += 1;
                    let root = &self.session.site(op.exchange()).roots()[place.root.index()];
                    let real = real(root, place.path.as_str(), last);
                    let path = real.strip_prefix(root).unwrap_or(&real).to_str().unwrap();
                    let path = RelPath::new(path.trim_start_matches('/')).unwrap();
                    self.session.handle_done(op, Ok(Done::Located { real, root: None, path }));
                }
                Step::Do(Effect::Auth(
                    _,
                    AuthEffect::Verify { op, user, password, credential },
                )) => {
                    assert!(!touched, "a password is checked after something was touched");
                    verified += 1;
                    assert_eq!(credential.as_ref(), users().credential(&user));
                    let known = USERS.iter().any(|(known, _)| **known == *user);
                    let right = known && password.reveal() == format!("{user}-secret");
                    let verified = if right { Verified::Right } else { Verified::Wrong };
                    self.session.handle_done(op, Ok(Done::Verified(verified)));
                }
                Step::Do(effect) => {
                    if let Some((op, result)) = answer(&effect) {
                        touched = true;
                        self.session.handle_done(op, result);
                    }
                }
                Step::Wait(wait) => {
                    if self.send() {
                        continue;
                    }
                    if self.status().is_some() {
                        break;
                    }
                    // The only thing that is waited for is the answer to a wrong password.
                    let (at, _) = wait.deadline.unwrap();
                    self.now.mono = at;
                }
                Step::Closed(_) => break,
            }
        }
        assert!(located <= 1 && verified <= 1, "{located} looks, {verified} checks");
        if ask.method == "OPTIONS" {
            assert!(!touched && located + verified == 0 && self.status() == Some(200));
        }
        let held = self.now.mono - began;
        match self.status().unwrap() {
            _ if touched => Verdict::Through,
            400 => Verdict::Malformed,
            401 => {
                let challenge = "WWW-Authenticate: Basic realm=\"httpout\", charset=\"UTF-8\"\r\n";
                assert!(self.sent.contains(challenge), "{}", self.sent);
                assert!(self.sent.contains("Content-Length: "), "{}", self.sent);
                assert!(held.is_zero() || held == Duration::from_secs(1), "{held:?}");
                Verdict::Prompt { held: !held.is_zero() }
            }
            403 => {
                assert!(!self.sent.contains("WWW-Authenticate"), "{}", self.sent);
                Verdict::Forbidden
            }
            _ => Verdict::Through,
        }
    }

    /// Takes what is to be sent; whether there was anything.
    fn send(&mut self) -> bool {
        let pieces: Vec<_> = self.session.transmit().into_iter().flatten().collect();
        let mut count = 0;
        for piece in pieces {
            match piece {
                Piece::Bytes(bytes) => {
                    self.sent.push_str(std::str::from_utf8(bytes).unwrap());
                    count += bytes.len() as u64;
                }
                Piece::File { .. } => panic!("no file was ever opened"),
            }
        }
        self.session.handle_sent(count);
        count > 0
    }

    fn status(&self) -> Option<u16> {
        let mut answers = self.sent.split("HTTP/1.1 ").skip(1);
        answers.find(|answer| !answer.starts_with('1')).map(|answer| answer[..3].parse().unwrap())
    }
}

/// There is nothing and nothing can be made: an answer to every effect behind the rights.
fn answer(effect: &Effect) -> Option<(OpId, Result<Done, FsError>)> {
    match effect {
        Effect::Live(_, LiveEffect::Follow { op, .. }) => Some((*op, Ok(Done::NotGrowing))),
        Effect::Fs(_, FsEffect::Open { op, .. })
        | Effect::Fs(_, FsEffect::Stat { op, .. })
        | Effect::Fs(_, FsEffect::Create { op, .. })
        | Effect::Fs(_, FsEffect::Remove { op, .. })
        | Effect::Fs(_, FsEffect::List { op, .. }) => Some((*op, Err(FsError::NotFound))),
        Effect::Fs(_, FsEffect::Close { .. })
        | Effect::Live(_, LiveEffect::Unfollow { .. })
        | Effect::Live(_, LiveEffect::Ended { .. })
        | Effect::Log(_, LogEffect::Begun { .. })
        | Effect::Log(_, LogEffect::Over(_))
        | Effect::Connection(ConnectionEffect::Recheck { .. })
        | Effect::Connection(ConnectionEffect::ShutdownWrite) => None,
        Effect::Fs(_, FsEffect::MediaType { .. })
        | Effect::Fs(_, FsEffect::Write { .. })
        | Effect::Fs(_, FsEffect::Commit { .. })
        | Effect::Fs(_, FsEffect::CommitPatches { .. })
        | Effect::Live(_, LiveEffect::Announce { .. })
        | Effect::Live(_, LiveEffect::Grown { .. })
        | Effect::Fs(_, FsEffect::Locate { .. })
        | Effect::Auth(_, AuthEffect::Verify { .. })
        | Effect::Fs(_, FsEffect::Encode { .. })
        | Effect::Live(_, LiveEffect::Listen { .. })
        | Effect::Live(_, LiveEffect::Take { .. })
        | Effect::Live(_, LiveEffect::Leave { .. })
        | Effect::Live(_, LiveEffect::Publish { .. })
        | Effect::Live(_, LiveEffect::PublishGroup { .. })
        | Effect::Live(_, LiveEffect::SetTitle { .. })
        | Effect::Live(_, LiveEffect::Unpublish { .. })
        | Effect::Delivery(_, DeliveryEffect::Begin { .. })
        | Effect::Delivery(_, DeliveryEffect::Data { .. })
        | Effect::Delivery(_, DeliveryEffect::End { .. })
        | Effect::Delivery(_, DeliveryEffect::Abort { .. })
        | Effect::Hook(_, HookEffect::Ask { .. })
        | Effect::Hook(_, HookEffect::Pull { .. })
        | Effect::Hook(_, HookEffect::Pace { .. })
        | Effect::Hook(_, HookEffect::Dismiss { .. })
        | Effect::Admin(_, AdminEffect::Metrics { .. })
        | Effect::Admin(_, AdminEffect::Health { .. }) => {
            panic!("{effect:?} where nothing can be opened or made")
        }
    }
}

// ---- chance ----

fn names(known: &'static [&'static str]) -> impl Strategy<Value = Option<Names>> {
    let these = proptest::sample::subsequence(known, 1..=known.len());
    let value = prop_oneof![
        1 => Just(Names::All),
        1 => Just(Names::None),
        3 => these.prop_map(Names::These),
    ];
    option::of(value)
}

fn section(index: usize) -> impl Strategy<Value = Section> {
    const GROUPS: &[&str] = &["staff", "encoders", "nogroup"];
    let who = || (names(&["alice", "bob", "nouser"]), names(GROUPS)).prop_map(<[_; 2]>::from);
    (any::<bool>(), who(), who()).prop_map(move |(named, read, write)| Section {
        index,
        named,
        read,
        write,
    })
}

fn file() -> impl Strategy<Value = File> {
    let others: Vec<_> = (1..SECTIONS.len()).map(|index| option::of(section(index))).collect();
    let sections = (section(0), others).prop_map(|(first, others)| {
        std::iter::once(first).chain(others.into_iter().flatten()).collect::<Vec<_>>()
    });
    let wdir = option::of(select(vec!["/w", "/r/c", "/elsewhere"]));
    (sections.prop_shuffle(), wdir, any::<bool>()).prop_map(|(sections, wdir, insecure)| File {
        sections,
        wdir,
        insecure,
    })
}

fn ask() -> impl Strategy<Value = Ask> {
    let user = select(vec!["alice", "bob", "carol", "dave", "mallory", "staff", ""]);
    let credentials = prop_oneof![
        1 => Just(Credentials::Missing),
        1 => Just(Credentials::OtherScheme),
        1 => Just(Credentials::Malformed),
        6 => (user, proptest::bool::weighted(0.8)).prop_map(|(u, right)| Credentials::Basic(u, right)),
    ];
    let named = select(vec!["alice", "bob", "carol", "mallory"]);
    let peer = prop_oneof![
        5 => Just(Peer::Local),
        2 => Just(Peer::Remote),
        1 => Just(Peer::Tls(None)),
        3 => named.prop_map(|name| Peer::Tls(Some(name))),
    ];
    (select(&METHODS[..]), select(&PATHS[..]), 0_usize..6, credentials, peer).prop_map(
        |(method, path, spelling, credentials, peer)| {
            // That the top is no file is told before anything is touched.
            let path = if path == "/" && method == "DELETE" { "/x" } else { path };
            Ask { method, path, spelling, credentials, peer }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn rights_are_what_the_rules_say(file in file(), asks in prop::collection::vec(ask(), 1..8)) {
        let site = file.site();
        for ask in &asks {
            let verdict = Rig::new(site.clone(), ask.peer).ask(ask);
            prop_assert_eq!(verdict, expected(&file, ask), "{:?}", ask);
        }
    }

    #[test]
    fn rights_change_between_requests_of_a_connection(
        files in prop::collection::vec(file(), 2..4),
        ask in ask(),
    ) {
        let mut rig = Rig::new(files[0].site(), ask.peer);
        for file in &files {
            rig.session.renew(file.site());
            let verdict = rig.ask(&ask);
            prop_assert_eq!(verdict, expected(file, &ask));
            if rig.sent.contains("Connection: close") {
                rig = Rig::new(file.site(), ask.peer);
            }
        }
    }
}

#[test]
fn the_model_meets_every_verdict() {
    let these = |name| Some(Names::These(vec![name]));
    let section = |index, read, write| Section { index, named: true, read, write };
    let sections = vec![
        section(0, [None, None], [Some(Names::None), None]),
        section(1, [these("alice"), None], [None, these("encoders")]),
        section(5, [None, these("staff")], [None, None]),
    ];
    let file = File { sections, wdir: None, insecure: false };
    let (prompt, held) = (Verdict::Prompt { held: false }, Verdict::Prompt { held: true });
    let (through, forbidden) = (Verdict::Through, Verdict::Forbidden);
    let by = |name| Peer::Tls(Some(name));
    let (local, remote, tls) = (Peer::Local, Peer::Remote, Peer::Tls(None));
    for (method, path, credentials, peer, verdict) in [
        ("GET", "/x", Credentials::Malformed, remote, through),
        ("PUT", "/x", Credentials::Basic("alice", true), local, forbidden),
        ("GET", "/a/x", Credentials::Missing, local, prompt),
        ("GET", "/vod/x", Credentials::Basic("alice", false), local, held),
        ("HEAD", "/vod/x", Credentials::Basic("alice", true), local, through),
        ("HEAD", "/vod/x", Credentials::Basic("alice", true), remote, forbidden),
        ("GET", "/c/file", Credentials::Basic("bob", true), local, forbidden),
        ("GET", "/c/link/x", Credentials::Malformed, local, Verdict::Malformed),
        ("DELETE", "/c/file", Credentials::Basic("carol", true), local, forbidden),
        ("PATCH", "/vod/x", Credentials::Basic("carol", true), local, through),
        ("OPTIONS", "/vod/x", Credentials::Missing, remote, through),
        ("GET", "/svc/x/y", Credentials::Basic("bob", true), local, through),
        ("GET", "/svc", Credentials::OtherScheme, local, prompt),
        ("PUT", "/svc", Credentials::Basic("bob", true), local, forbidden),
        ("GET", "/a/x", Credentials::Missing, tls, prompt),
        ("GET", "/a/x", Credentials::Missing, by("alice"), through),
        ("GET", "/a/x", Credentials::OtherScheme, by("bob"), forbidden),
        ("GET", "/a/x", Credentials::Missing, by("mallory"), forbidden),
        ("GET", "/a/x", Credentials::Basic("alice", true), by("bob"), through),
        ("GET", "/a/x", Credentials::Basic("bob", true), by("alice"), forbidden),
        ("GET", "/a/x", Credentials::Basic("bob", false), by("alice"), held),
        ("GET", "/svc", Credentials::Missing, by("bob"), through),
    ] {
        let ask = Ask { method, path, spelling: 0, credentials, peer };
        assert_eq!(expected(&file, &ask), verdict, "the model: {ask:?}");
        assert_eq!(Rig::new(file.site(), peer).ask(&ask), verdict, "the session: {ask:?}");
    }
}
