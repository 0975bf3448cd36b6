//! What the words do to the users file.

use std::{
    fmt::Write as _,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use httpout_proto::auth::{Secret, UsersFileEditor};

use super::{args::Word, prompt};
use crate::passwords;

/// Keys whose values are milliseconds since 1970.
const DATES: [&str; 3] = ["created", "pass_date", "last_auth"];
/// The first millisecond of the year 10000, which cannot be shown.
const END_OF_TIME: u64 = 253_402_300_800_000;

/// A users file while it is being edited, and what was shown of it.
#[derive(Debug)]
pub(super) struct Edit<A> {
    book: UsersFileEditor,
    shown: String,
    ask: A,
}

impl<A: FnMut(&str) -> Result<Secret, String>> Edit<A> {
    /// `ask` asks for a user's new password.
    pub(super) fn new(book: UsersFileEditor, ask: A) -> Self {
        Self { book, shown: String::new(), ask }
    }

    /// What the file shall be, and what is to be shown.
    pub(super) fn into_parts(self) -> (UsersFileEditor, String) {
        (self.book, self.shown)
    }

    /// Does what a word says.
    pub(super) fn apply(&mut self, word: Word) -> Result<(), String> {
        match word {
            Word::Show => self.show(),
            Word::Reset => {
                self.book = UsersFileEditor::parse("").map_err(|fault| fault.to_string())?;
                self.tell("removed all users and groups");
            }
            Word::User(name) => self.show_user(&name)?,
            Word::SetUser { name, password, info } => self.set_user(&name, password, &info)?,
            Word::RemoveUser(name) => {
                self.book.remove_user(&name)?;
                self.tell(&format!("removed user {name}"));
            }
            Word::SetPassword { name, password } => self.set_password(&name, password)?,
            Word::Group(group) => self.show_group(&group)?,
            Word::SetGroup { group, members: Some(members) } => {
                let members: Vec<&str> = members.iter().map(String::as_str).collect();
                self.book.set_group(&group, &members)?;
                self.tell(&format!("set the members of group {group}"));
            }
            // One that is there keeps its members.
            Word::SetGroup { group, members: None } => {
                if self.book.members(&group).is_none() {
                    self.book.set_group(&group, &[])?;
                    self.tell(&format!("added group {group}"));
                } else {
                    self.tell(&format!("group {group} is there already"));
                }
            }
            Word::RemoveMembers { group, members } => {
                for member in &members {
                    self.book.remove_member(&group, member)?;
                    self.tell(&format!("removed {member} from group {group}"));
                }
            }
            Word::RemoveGroup(group) => {
                self.book.remove_group(&group)?;
                self.tell(&format!("removed group {group}"));
            }
        }
        Ok(())
    }

    fn set_user(
        &mut self,
        name: &str,
        password: Option<Secret>,
        info: &[(String, String)],
    ) -> Result<(), String> {
        match (self.has_user(name), password) {
            (false, password) => {
                let hash = self.hash(name, password)?;
                self.book.add_user(name, &hash, now())?;
                self.tell(&format!("added user {name}"));
            }
            (true, Some(password)) => self.set_password(name, Some(password))?,
            (true, None) if info.is_empty() => {
                return Err(format!(
                    "there is a user {name} already: to change the password, write _{name}"
                ));
            }
            (true, None) => {}
        }
        for (key, value) in info {
            self.book.set_info(name, key, value)?;
            self.tell(&format!("set {key} of user {name}"));
        }
        Ok(())
    }

    fn set_password(&mut self, name: &str, password: Option<Secret>) -> Result<(), String> {
        if !self.has_user(name) {
            return Err(format!("there is no user {name}: to add one, write +{name}"));
        }
        let hash = self.hash(name, password)?;
        self.book.set_hash(name, &hash, now())?;
        self.tell(&format!("changed the password of user {name}"));
        Ok(())
    }

    /// What was done, shown once the file is written.
    fn tell(&mut self, done: &str) {
        self.shown.push_str(done);
        self.shown.push('\n');
    }

    /// Of the password given, or of one that is asked for.
    fn hash(&mut self, name: &str, password: Option<Secret>) -> Result<String, String> {
        let password = match password {
            Some(password) => password,
            None => (self.ask)(name)?,
        };
        prompt::check(&password)?;
        passwords::hash(&password).map_err(|error| format!("cannot hash the password: {error}"))
    }

    fn has_user(&self, name: &str) -> bool {
        self.book.user_info(name).is_some()
    }

    // ---- showing ----

    fn show(&mut self) {
        for user in self.book.users() {
            self.shown.push_str(user);
            self.shown.push('\n');
        }
        for group in self.book.groups() {
            self.shown.push_str(&group_line(&self.book, &group).unwrap_or_default());
        }
    }

    fn show_group(&mut self, group: &str) -> Result<(), String> {
        let line =
            group_line(&self.book, group).ok_or_else(|| format!("there is no group {group}"))?;
        self.shown.push_str(&line);
        Ok(())
    }

    fn show_user(&mut self, name: &str) -> Result<(), String> {
        let info = self.book.user_info(name).ok_or_else(|| format!("there is no user {name}"))?;
        let mut text = format!("{name}\n");
        for (key, value) in info {
            let date = Some(value).filter(|_| DATES.contains(&key)).and_then(date);
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {key}={}", date.as_deref().unwrap_or(value));
        }
        let is_member = |group: &&String| {
            self.book
                .members(group)
                .is_some_and(|members| members.iter().any(|member| member == name))
        };
        let all = self.book.groups();
        let groups: Vec<&str> = all.iter().filter(is_member).map(String::as_str).collect();
        let _ = writeln!(text, "  groups={}", groups.join(","));
        self.shown.push_str(&text);
        Ok(())
    }
}

/// As the command line has it.
fn group_line(book: &UsersFileEditor, group: &str) -> Option<String> {
    Some(format!("@{group}:{}\n", book.members(group)?.join(",")))
}

fn date(milliseconds: &str) -> Option<String> {
    let since = milliseconds.parse().ok().filter(|&since| since < END_OF_TIME)?;
    let date = UNIX_EPOCH + Duration::from_millis(since);
    Some(humantime::format_rfc3339_seconds(date).to_string())
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
