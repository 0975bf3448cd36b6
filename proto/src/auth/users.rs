//! Users, their credentials and groups.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    Fault,
    ini::{self, Section},
};

/// What a password is checked against.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// A PHC string that begins with `$argon2id$`.
    Argon2(String),
    /// `$2y$…`, `$2b$…` or `$2a$…`, as htpasswd writes it.
    Bcrypt(String),
    /// htpasswd's `{SHA}`: the SHA-1 of the password.
    Sha1([u8; 20]),
    /// GPAC's: the SHA-256 of the password, an `@` and the salt.
    Salted {
        /// The digest.
        digest: [u8; 32],
        /// The salt's bytes.
        salt: Vec<u8>,
    },
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Argon2(_) => "Argon2(..)",
            Self::Bcrypt(_) => "Bcrypt(..)",
            Self::Sha1(_) => "Sha1(..)",
            Self::Salted { .. } => "Salted(..)",
        })
    }
}

/// A password. Its `Debug` form does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a password.
    pub fn new(password: String) -> Self {
        Self(password)
    }

    /// The password.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// The users of a server and their groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Users {
    credentials: BTreeMap<String, Option<Credential>>,
    groups: BTreeMap<String, BTreeSet<String>>,
}

impl Users {
    /// Reads a users file: GPAC's `users.cfg`, or htpasswd's.
    ///
    /// # Errors
    /// The first line that cannot be used.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        if is_htpasswd(text) { parse_htpasswd(text) } else { parse_sections(text) }
    }

    /// All users.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.credentials.keys().map(String::as_str)
    }

    /// All groups.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        self.groups.keys().map(String::as_str)
    }

    /// What the user's password is checked against. `None`: there is no such user, or one that has
    /// no password yet.
    pub fn credential(&self, user: &str) -> Option<&Credential> {
        self.credentials.get(user)?.as_ref()
    }

    /// True if there is such a user.
    pub fn has_user(&self, user: &str) -> bool {
        self.credentials.contains_key(user)
    }

    /// True if there is such a group.
    pub fn has_group(&self, group: &str) -> bool {
        self.groups.contains_key(group)
    }

    /// True if the user is a member of the group.
    pub fn is_member(&self, user: &str, group: &str) -> bool {
        self.groups.get(group).is_some_and(|members| members.contains(user))
    }
}

/// True for a file of htpasswd's: what comes first is no section.
pub(super) fn is_htpasswd(text: &str) -> bool {
    let mut lines = ini::lines(text).map(|(_, line)| line.trim());
    let first = lines.find(|line| !line.is_empty() && !line.starts_with(['#', ';']));
    first.is_some_and(|line| !line.starts_with('['))
}

/// The section that holds the groups.
pub(super) const GROUPS: &str = "groups";

/// True for what the key `hash` of a user may hold.
pub(super) fn is_hash(text: &str) -> bool {
    htpasswd_hash(text, 0).is_ok()
}

/// What is wrong with a user's or a group's name.
pub(super) fn check_name(name: &str) -> Result<(), &'static str> {
    match name {
        "" => Err("a name is empty"),
        _ if name.starts_with('$') => Err("a name begins with $, as $ALL and $NONE do"),
        _ if name.len() > 255 => Err("a name is longer than 255 bytes"),
        _ if name.trim() != name => Err("a name has white space at its ends"),
        _ if name.contains([':', ',', '[', ']', '=', '\u{feff}'])
            || name.contains(char::is_control) =>
        {
            Err("a name holds one of : , [ ] = or a control character")
        }
        _ => Ok(()),
    }
}

fn parse_sections(text: &str) -> Result<Users, Fault> {
    let mut users = Users::default();
    for section in ini::parse(text)? {
        if section.name == GROUPS {
            for key in &section.keys {
                let members = key.value.split(',').map(|name| name.trim().to_owned());
                let members = members.filter(|name| !name.is_empty()).collect();
                users.groups.insert(key.name.to_owned(), members);
            }
            continue;
        }
        check_name(section.name).map_err(|problem| Fault {
            line: section.line,
            problem: problem.into(),
            help: "give the user another name",
        })?;
        let credential = section_credential(&section)?;
        users.credentials.insert(section.name.to_owned(), credential);
    }
    Ok(users)
}

fn section_credential(section: &Section<'_>) -> Result<Option<Credential>, Fault> {
    let key = |name| section.keys.iter().find(|key| key.name == name);
    if let Some(hash) = key("hash") {
        return htpasswd_hash(hash.value, hash.line).map(Some);
    }
    let Some(password) = key("password") else { return Ok(None) };
    let fault = |line, problem: &str| {
        let help = "set the password anew: httpout creds _NAME";
        Fault { line, problem: problem.into(), help }
    };
    let Some(salt) = key("salt") else {
        return Err(fault(password.line, "the password has no salt beside it"));
    };
    let digest = unhex(password.value)
        .and_then(|digest| digest.try_into().ok())
        .ok_or_else(|| fault(password.line, "the password is not 64 hexadecimal digits"))?;
    let salt = unhex(salt.value)
        .filter(|salt| !salt.is_empty())
        .ok_or_else(|| fault(salt.line, "the salt is not hexadecimal"))?;
    Ok(Some(Credential::Salted { digest, salt }))
}

fn parse_htpasswd(text: &str) -> Result<Users, Fault> {
    let mut users = Users::default();
    for (line, text) in ini::lines(text) {
        let text = text.trim_matches([' ', '\t', '\r']);
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let fault = |problem: &str, help| Fault { line, problem: problem.into(), help };
        let Some((name, hash)) = text.split_once(':') else {
            return Err(fault("is not NAME:HASH", "make the file with htpasswd -B"));
        };
        check_name(name).map_err(|problem| fault(problem, "give the user another name"))?;
        let credential = Some(htpasswd_hash(hash, line)?);
        if users.credentials.insert(name.to_owned(), credential).is_some() {
            return Err(fault("there is such a user already", "leave one of them"));
        }
    }
    Ok(users)
}

/// A hash in its usual form.
fn htpasswd_hash(hash: &str, line: usize) -> Result<Credential, Fault> {
    let fault = |problem: &str| {
        let help = "make it anew: httpout creds _NAME, or htpasswd -B FILE NAME";
        Fault { line, problem: problem.into(), help }
    };
    if hash.starts_with("$argon2id$") {
        return Ok(Credential::Argon2(hash.to_owned()));
    }
    if ["$2y$", "$2b$", "$2a$"].iter().any(|prefix| hash.starts_with(prefix)) {
        return if is_bcrypt(&hash[4..]) {
            Ok(Credential::Bcrypt(hash.to_owned()))
        } else {
            Err(fault("the bcrypt hash is broken"))
        };
    }
    if let Some(encoded) = hash.strip_prefix("{SHA}") {
        let digest = STANDARD.decode(encoded).ok().and_then(|digest| digest.try_into().ok());
        return digest
            .map(Credential::Sha1)
            .ok_or_else(|| fault("{SHA} is not followed by the base64 of 20 bytes"));
    }
    Err(fault(if hash.starts_with("$apr1$") || hash.starts_with("$1$") {
        "the password is hashed with MD5, which is not taken"
    } else {
        "the password is hashed in a way that is not taken, or not at all"
    }))
}

/// What follows the version: the cost, and 53 characters.
fn is_bcrypt(rest: &str) -> bool {
    let (cost, hash) = match rest.split_once('$') {
        Some((cost, hash)) if cost.len() == 2 => (cost, hash),
        Some(_) | None => return false,
    };
    let cost = cost.bytes().all(|b| b.is_ascii_digit()) && ("04"..="31").contains(&cost);
    let in_alphabet = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'/');
    cost && hash.len() == 53 && hash.bytes().all(in_alphabet)
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let digits = digits.filter(|digits| digits.len().is_multiple_of(2))?;
    Some(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BCRYPT: &str = "$2y$05$abcdefghijklmnopqrstuuXo4Rp3GPnBGYsIhzHwkHkkVmD2yQN9m";

    #[test]
    fn both_kinds_of_files_are_read() {
        let hex = "ab".repeat(32);
        let text = format!(
            "# users\n[alice]\npassword={hex}\nsalt=0102\nemail=a@b\n[bob]\nhash=$argon2id$x\npassword=zz\n\
             [new]\n[groups]\nusers=alice, bob\nempty=\n"
        );
        let users = Users::parse(&text).unwrap();
        let salted = Credential::Salted { digest: [0xab; 32], salt: vec![1, 2] };
        assert_eq!(users.credential("alice"), Some(&salted));
        assert_eq!(users.credential("bob"), Some(&Credential::Argon2("$argon2id$x".into())));
        assert!(users.has_user("new") && users.credential("new").is_none());
        assert!(users.is_member("bob", "users") && !users.is_member("new", "users"));
        assert!(users.has_group("empty") && !users.has_user("groups"));

        let text = format!("\n# x\ncarol:{BCRYPT}\r\ndave:{{SHA}}AAAAAAAAAAAAAAAAAAAAAAAAAAA=\n");
        let users = Users::parse(&text).unwrap();
        assert_eq!(users.credential("carol"), Some(&Credential::Bcrypt(BCRYPT.into())));
        assert_eq!(users.credential("dave"), Some(&Credential::Sha1([0; 20])));
        assert_eq!(Users::parse(""), Ok(Users::default()));
    }

    #[test]
    fn faults_name_their_line() {
        let hex = "ab".repeat(32);
        for (text, line) in [
            ("a:$apr1$x$y", 1),
            ("a:plain", 1),
            ("a", 1),
            (":x", 1),
            ("a:$2y$05$short", 1),
            ("a:$2y$99$abcdefghijklmnopqrstuuXo4Rp3GPnBGYsIhzHwkHkkVmD2yQN9m", 1),
            ("a:{SHA}x", 1),
            ("a:{SHA}AAAAAAAAAAAAAAAAAAAAAAAAAAA=\na:{SHA}AAAAAAAAAAAAAAAAAAAAAAAAAAA=", 2),
            ("[a]\npassword=12\nsalt=12", 2),
            (&format!("[a]\npassword={hex}"), 2),
            (&format!("[a]\npassword={hex}\nsalt=xy"), 3),
            ("[a:b]", 1),
            ("[a]\nhash=x", 2),
        ] {
            assert_eq!(Users::parse(text).unwrap_err().line, line, "{text:?}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let shown =
            format!("{:?} {:?}", Secret::new("hush".into()), Credential::Argon2("hush".into()));
        assert!(!shown.contains("hush"), "{shown}");
    }
}
