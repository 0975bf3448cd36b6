//! Rights: rule files, users files, credentials. Text in, decisions out; no file and no hash
//! function.

mod editor;
mod ini;
mod nearest;
mod rules;
#[cfg(test)]
mod tests;
pub mod throttle;
mod users;

use std::fmt;

pub use editor::UsersFileEditor;
pub use nearest::{is_slip, nearest};
pub use rules::{Access, Rule, Who};
pub use throttle::PasswordThrottle;
pub use users::{Credential, Secret, Users};

/// A line of a rule file or a users file that cannot be obeyed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Counted from 1; 0: the file as a whole.
    pub line: usize,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub help: &'static str,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}; {}", self.problem, self.help),
            line => write!(f, "line {line}: {}; {}", self.problem, self.help),
        }
    }
}

impl std::error::Error for Fault {}
