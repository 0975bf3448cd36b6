//! Who may do what in a site with rules: drawn at random, written as a rule file for the server,
//! and looked up here in the simplest way.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use httpout_proto::{
    Client, Config,
    auth::{Credential, Rule, Users},
};

use crate::{choices::Dice, request::Request};

/// Where the simulated disk is mounted.
pub(crate) const ROOT: &str = "/simulated";

/// Symbolic links in the root: a name, and the directory there that it leads to.
pub(crate) const LINKS: [(&str, &str); 2] = [("via", "secret"), ("up", "inbox")];

/// Users and their passwords.
const PASSWORDS: [(&str, &str); 3] = [("alice", "open sesame"), ("bob", "b:o:b"), ("carol", "c")];

/// The users file: `dave` has no password yet.
const USERS: &str = "[alice]\nhash=$argon2id$open sesame\n[bob]\nhash=$argon2id$b:o:b\n\
    [carol]\nhash=$argon2id$c\n[dave]\n";

/// Some users.
type Names = Option<&'static [&'static str]>;

/// Everybody, without a name too.
const ALL: Names = None;
const ALICE: Names = Some(&["alice"]);
const BOB: Names = Some(&["bob"]);
const BOTH: Names = Some(&["alice", "bob"]);
const NOBODY: Names = Some(&[]);

/// Who may do what.
#[derive(Debug)]
pub(crate) struct Rights {
    /// Directory, readers, writers; below another one its own line alone counts.
    sections: Vec<(&'static str, Names, Names)>,
    /// Passwords are taken from everybody.
    insecure: bool,
    /// Somebody guesses, and is not held up by anything but the gate.
    pub(crate) besieged: bool,
}

/// What a request is to come to, as far as rights go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Right {
    Granted,
    /// Refused with this status, without a look at a password.
    Refused(u16),
    /// The password decides: whether it is right, and whether its user may then.
    Asked {
        right: bool,
        may: bool,
    },
}

impl Rights {
    /// Draws the rules of a site, and configures it so.
    pub(crate) fn draw(dice: &mut Dice<'_>, config: &mut Config) -> Self {
        let rights = Self {
            sections: vec![
                ("", *dice.pick(&[ALL, ALL, BOTH]), ALL),
                ("secret", ALICE, *dice.pick(&[ALICE, ALL, BOTH])),
                ("secret/open", *dice.pick(&[ALL, BOTH]), *dice.pick(&[BOB, NOBODY])),
                ("inbox", *dice.pick(&[ALL, BOB, BOTH]), BOB),
            ],
            insecure: dice.chance(80),
            besieged: dice.chance(6),
        };
        if rights.besieged {
            config.limits.wrong_password_time = Duration::from_millis(20);
            config.limits.client_errors = 0;
        }
        config.rules = Rule::parse(&rights.file()).expect("the rules can be read");
        config.users = Users::parse(USERS).expect("the users can be read");
        config.insecure_auth = rights.insecure;
        rights
    }

    fn file(&self) -> String {
        let mut text = String::new();
        for (dir, read, write) in &self.sections {
            let slash = if dir.is_empty() { "" } else { "/" };
            let names = |names: &Names| match names {
                None => "$ALL".to_owned(),
                Some([]) => "$NONE".to_owned(),
                Some(names) => names.join(","),
            };
            let (read, write) = (names(read), names(write));
            let _ = writeln!(text, "[{ROOT}{slash}{dir}]\nru={read}\nwu={write}");
        }
        text
    }

    /// Who may read or write what really lies at `path`.
    fn who(&self, path: &str, writes: bool) -> Names {
        let inside = |dir: &str| {
            let rest = path.strip_prefix(dir);
            dir.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let sections = self.sections.iter().filter(|(dir, ..)| inside(dir));
        let closest = sections.max_by_key(|(dir, ..)| dir.len());
        closest.map_or(NOBODY, |(_, read, write)| if writes { *write } else { *read })
    }

    /// What the request is to come to.
    pub(crate) fn of(&self, request: &Request, client: &Client) -> Right {
        if !request.reaches_files() {
            return Right::Granted;
        }
        let Some(names) = self.who(&request.place(), request.writes()) else {
            return Right::Granted;
        };
        let loopback = client.address.is_some_and(|address| address.is_loopback());
        if names.is_empty() || !(self.insecure || client.tls || loopback) {
            return Right::Refused(403);
        }
        match request.login {
            Login::None => Right::Refused(401),
            Login::Broken(_) => Right::Refused(400),
            Login::Other(_) => Right::Refused(401),
            Login::Named { user, password, .. } => {
                Right::Asked { right: is_right(user, password), may: names.contains(&user) }
            }
        }
    }

    /// Is the link to `target` shown to who asked this and got an answer?
    pub(crate) fn shows(&self, target: &str, request: &Request) -> bool {
        // Who needs no name to list the directory is nobody to it.
        let named = self.who(&request.place(), false).is_some();
        match (self.who(target, false), request.login) {
            (None, _) => true,
            (Some(names), Login::Named { user, .. }) => named && names.contains(&user),
            (Some(_), Login::None | Login::Broken(_) | Login::Other(_)) => false,
        }
    }
}

/// What a client says of who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Login {
    None,
    /// In words that mean nothing.
    Broken(&'static str),
    /// In a way that is none of the server's.
    Other(&'static str),
    Named {
        line: &'static str,
        user: &'static str,
        password: &'static str,
    },
}

const fn named(line: &'static str, user: &'static str, password: &'static str) -> Login {
    Login::Named { line, user, password }
}

const RIGHT: [Login; 3] = [
    named("Basic YWxpY2U6b3BlbiBzZXNhbWU=", "alice", "open sesame"),
    named("basic Ym9iOmI6bzpi", "bob", "b:o:b"),
    named("Basic   Y2Fyb2w6Yw", "carol", "c"),
];
const WRONG: [Login; 6] = [
    named("Basic YWxpY2U6b3BlbiBzZXNhbQ==", "alice", "open sesam"),
    named("Basic YWxpY2U6YjpvOmI=", "alice", "b:o:b"),
    named("Basic ZGF2ZTo=", "dave", ""),
    named("Basic bWFsbG9yeTpvcGVuIHNlc2FtZQ==", "mallory", "open sesame"),
    named("Basic Og==", "", ""),
    named("Basic Ym9iOg==", "bob", ""),
];
const NO_USE: [Login; 6] = [
    Login::Broken("Basic !!!!"),
    Login::Broken("Basic YWI="),
    Login::Broken("Basic /zo="),
    Login::Broken("Basic YWxpY2U6b3BlbiBzZXNhbWU=\r\nAuthorization: Basic Ym9iOmI6bzpi"),
    Login::Other("Bearer YWxpY2U6b3BlbiBzZXNhbWU="),
    Login::Other("Digest username=\"alice\""),
];

impl Login {
    pub(crate) fn draw(dice: &mut Dice<'_>) -> Self {
        match dice.below(20) {
            0..4 => Self::None,
            4..15 => *dice.pick(&RIGHT[..2]),
            15 => RIGHT[2],
            16..18 => *dice.pick(&WRONG),
            _ => *dice.pick(&NO_USE),
        }
    }

    /// Guesses.
    pub(crate) fn wrong(dice: &mut Dice<'_>) -> Self {
        *dice.pick(&WRONG)
    }

    pub(crate) fn line(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Broken(line) | Self::Other(line) | Self::Named { line, .. } => Some(line),
        }
    }
}

/// The truth about a password.
pub(crate) fn is_right(user: &str, password: &str) -> bool {
    PASSWORDS.contains(&(user, password))
}

/// True if there is something to check a password of the user against.
pub(crate) fn has_password(user: &str) -> bool {
    PASSWORDS.iter().any(|(name, _)| *name == user)
}

/// What checking a password comes to, by what it is checked against.
pub(crate) fn check(password: &str, credential: Option<&Credential>) -> bool {
    match credential {
        Some(Credential::Argon2(hash)) => hash.strip_prefix("$argon2id$") == Some(password),
        Some(Credential::Bcrypt(_) | Credential::Sha1(_) | Credential::Salted { .. }) | None => {
            false
        }
    }
}

/// Where a path of a URL really leads, below the root; with `last`, the last segment is followed
/// too.
pub(crate) fn real(path: &str, last: bool) -> String {
    for (link, target) in LINKS {
        match path.strip_prefix(link) {
            Some("") if last => return target.to_owned(),
            Some(rest) if rest.starts_with('/') => return format!("{target}{rest}"),
            Some(_) | None => {}
        }
    }
    path.to_owned()
}

/// Where a client comes from; of a siege, all from one place.
pub(crate) fn client(dice: &mut Dice<'_>, siege: bool) -> Client {
    let others = if siege { 1 } else { 3 };
    let address = *dice.pick(
        &[Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2), Ipv4Addr::LOCALHOST][..others],
    );
    Client { address: Some(IpAddr::V4(address)), tls: dice.chance(20), user: None }
}

/// Wrong passwords by where they came from.
pub(crate) type Guesses = BTreeMap<IpAddr, u32>;
