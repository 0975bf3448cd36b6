//! Users, their credentials and groups.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
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
    credentials: BTreeMap<String, Credential>,
    groups: BTreeMap<String, BTreeSet<String>>,
}

impl Users {
    /// What the user's password is checked against.
    pub fn credential(&self, user: &str) -> Option<&Credential> {
        self.credentials.get(user)
    }

    /// True if the user is a member of the group.
    pub fn is_member(&self, user: &str, group: &str) -> bool {
        self.groups.get(group).is_some_and(|members| members.contains(user))
    }
}
