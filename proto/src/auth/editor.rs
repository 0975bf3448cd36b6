//! A `users.cfg` as something to edit. What an edit does not concern stays as it is: comments,
//! other keys, the order.

use std::{collections::BTreeSet, fmt, ops::Range};

use super::{
    Fault,
    ini::{self, Line},
    users::{GROUPS, check_name, is_hash, is_htpasswd},
};

/// The group that every new user joins, as the original has it.
const EVERY: &str = "users";
/// Keys of a user that only the server itself sets.
const RESERVED: [&str; 7] =
    ["salt", "password", "hash", "created", "pass_date", "last_auth", GROUPS];
/// Keys of a user that are not shown.
const SECRET: [&str; 3] = ["salt", "password", "hash"];

/// The text of a `users.cfg`, line by line. Its `Debug` form does not show it: it holds secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct UsersFileEditor {
    rows: Vec<Row>,
}

/// A line.
#[derive(Clone, PartialEq, Eq)]
struct Row {
    /// As it stands in the file, with its end. Only the last may have none.
    text: String,
    what: What,
}

#[derive(Clone, PartialEq, Eq)]
enum What {
    Section(String),
    Key(String, String),
    Nothing,
}

impl UsersFileEditor {
    /// Reads the file. Hashes and names are not looked at, so that what
    /// [`Users::parse`](super::Users::parse) refuses of them can be mended.
    ///
    /// # Errors
    /// It is htpasswd's, or the first line that is not to be understood.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        if is_htpasswd(text) {
            return Err(Fault {
                line: 0,
                problem: "the file begins with no section, as if htpasswd had made it".into(),
                help: "change it with htpasswd -B, or name another with --users",
            });
        }
        ini::parse(text)?;
        let rows = text.split_inclusive('\n').zip(ini::lines(text));
        let rows = rows.map(|(text, (number, line))| {
            let what = match Line::read(line, number)? {
                Line::Section(name) => What::Section(name.to_owned()),
                Line::Key(name, value) => What::Key(name.to_owned(), value.to_owned()),
                Line::Nothing => What::Nothing,
            };
            Ok(Row { text: text.to_owned(), what })
        });
        Ok(Self { rows: rows.collect::<Result<_, _>>()? })
    }

    // ---- users ----

    /// The users, in the order of the file.
    pub fn users(&self) -> Vec<&str> {
        let sections = self.rows.iter().filter_map(|row| match &row.what {
            What::Section(name) if name != GROUPS => Some(name.as_str()),
            What::Section(_) | What::Key(..) | What::Nothing => None,
        });
        sections.collect()
    }

    /// What is kept of a user beside the secrets; `None`: there is no such user.
    pub fn user_info(&self, user: &str) -> Option<Vec<(&str, &str)>> {
        let keys = self.rows[self.user(user)?].iter().filter_map(|row| match &row.what {
            What::Key(name, value) if !SECRET.contains(&name.as_str()) => {
                Some((name.as_str(), value.as_str()))
            }
            What::Section(_) | What::Key(..) | What::Nothing => None,
        });
        Some(keys.collect())
    }

    /// Adds a user, who joins the group `users`. `now_ms`: milliseconds since 1970.
    ///
    /// # Errors
    /// There is such a user, the name cannot be used, or the hash is none.
    pub fn add_user(&mut self, user: &str, hash: &str, now_ms: u64) -> Result<(), String> {
        check_name(user)?;
        if user == GROUPS {
            return Err(format!("{GROUPS} is the name of the section of groups"));
        }
        if self.user(user).is_some() {
            return Err(format!("there is a user {user} already"));
        }
        check_hash(hash)?;
        self.append_section(user);
        self.set(user, "hash", hash);
        self.set(user, "created", &now_ms.to_string());
        self.set(user, "pass_date", &now_ms.to_string());
        let mut members = self.members(EVERY).unwrap_or_default();
        members.push(user.to_owned());
        self.write_group(EVERY, &members);
        Ok(())
    }

    /// Gives a user another password.
    ///
    /// # Errors
    /// There is no such user, or the hash is none.
    pub fn set_hash(&mut self, user: &str, hash: &str, now_ms: u64) -> Result<(), String> {
        self.known(user)?;
        check_hash(hash)?;
        self.unset(user, "password");
        self.unset(user, "salt");
        self.set(user, "hash", hash);
        self.set(user, "pass_date", &now_ms.to_string());
        Ok(())
    }

    /// Sets what is known of a user: `email`, `company`, what one likes.
    ///
    /// # Errors
    /// There is no such user; the key is the server's own, or it or the value cannot be written.
    pub fn set_info(&mut self, user: &str, key: &str, value: &str) -> Result<(), String> {
        self.known(user)?;
        if RESERVED.contains(&key) {
            return Err(format!("{key} cannot be set by hand"));
        }
        if !is_key(key, value) {
            return Err(format!(
                "{key}={value} cannot be written: no control characters, no white space at the ends"
            ));
        }
        self.set(user, key, value);
        Ok(())
    }

    /// Removes a user, also from all groups.
    ///
    /// # Errors
    /// There is no such user.
    pub fn remove_user(&mut self, user: &str) -> Result<(), String> {
        let section = self.known(user)?;
        self.rows.drain(section);
        for group in self.groups() {
            let members = self.members(&group).unwrap_or_default();
            if members.iter().any(|member| member == user) {
                let left: Vec<_> = members.into_iter().filter(|member| member != user).collect();
                self.write_group(&group, &left);
            }
        }
        Ok(())
    }

    // ---- groups ----

    /// The groups, in the order of the file.
    pub fn groups(&self) -> Vec<String> {
        let Some(section) = self.section(GROUPS) else { return Vec::new() };
        let keys = self.rows[section].iter().filter_map(|row| match &row.what {
            What::Key(name, _) => Some(name.clone()),
            What::Section(_) | What::Nothing => None,
        });
        keys.collect()
    }

    /// The members of a group; `None`: there is no such group.
    pub fn members(&self, group: &str) -> Option<Vec<String>> {
        let at = self.key(self.section(GROUPS)?, group)?;
        let What::Key(_, value) = &self.rows[at].what else { return None };
        let names = value.split(',').map(str::trim).filter(|name| !name.is_empty());
        Some(names.map(str::to_owned).collect())
    }

    /// Makes a group, or gives it other members.
    ///
    /// # Errors
    /// A member is no user; the group's name or a member's cannot be used.
    pub fn set_group(&mut self, group: &str, members: &[&str]) -> Result<(), String> {
        check_name(group)?;
        if !is_key(group, "") {
            return Err(format!("{group} cannot be written: it would be a comment"));
        }
        if let Some(unknown) = members.iter().find(|member| self.user(member).is_none()) {
            return Err(format!("there is no user {unknown}"));
        }
        // The file may have been written by hand: a comma would make two members of one.
        members.iter().try_for_each(|member| check_name(member))?;
        let mut seen = BTreeSet::new();
        let once = members.iter().filter(|member| seen.insert(**member));
        let members: Vec<_> = once.map(|&member| member.to_owned()).collect();
        self.write_group(group, &members);
        Ok(())
    }

    /// Takes a user out of a group.
    ///
    /// # Errors
    /// There is no such group, or it has no such member.
    pub fn remove_member(&mut self, group: &str, user: &str) -> Result<(), String> {
        let mut members =
            self.members(group).ok_or_else(|| format!("there is no group {group}"))?;
        let before = members.len();
        members.retain(|member| member != user);
        if members.len() == before {
            return Err(format!("{user} is no member of {group}"));
        }
        self.write_group(group, &members);
        Ok(())
    }

    /// Removes a group.
    ///
    /// # Errors
    /// There is no such group, or it is `users`.
    pub fn remove_group(&mut self, group: &str) -> Result<(), String> {
        if group == EVERY {
            return Err(format!("the group {EVERY} cannot be removed: every user is in it"));
        }
        if self.members(group).is_none() {
            return Err(format!("there is no group {group}"));
        }
        self.unset(GROUPS, group);
        Ok(())
    }

    // ---- rows ----

    fn user(&self, user: &str) -> Option<Range<usize>> {
        self.section(user).filter(|_| user != GROUPS)
    }

    fn known(&self, user: &str) -> Result<Range<usize>, String> {
        self.user(user).ok_or_else(|| format!("there is no user {user}"))
    }

    /// Its rows, the head first; what is no key at the end stays with what follows.
    fn section(&self, name: &str) -> Option<Range<usize>> {
        let is = |row: &Row| matches!(&row.what, What::Section(section) if section == name);
        let start = self.rows.iter().position(is)?;
        let rest = &self.rows[start + 1..];
        let next = rest.iter().position(|row| matches!(row.what, What::Section(_)));
        let body = &rest[..next.unwrap_or(rest.len())];
        let keys = body.iter().rposition(|row| matches!(row.what, What::Key(..)));
        Some(start..start + 1 + keys.map_or(0, |last| last + 1))
    }

    fn key(&self, section: Range<usize>, name: &str) -> Option<usize> {
        let start = section.start;
        let is = |row: &Row| matches!(&row.what, What::Key(key, _) if key == name);
        self.rows[section].iter().position(is).map(|at| start + at)
    }

    fn set(&mut self, section: &str, name: &str, value: &str) {
        let Some(section) = self.section(section) else { return };
        let what = What::Key(name.to_owned(), value.to_owned());
        let row = self.row(&format!("{name}={value}"), what);
        match self.key(section.clone(), name) {
            Some(at) => self.rows[at] = row,
            None => self.insert(section.end, row),
        }
    }

    fn unset(&mut self, section: &str, name: &str) {
        if let Some(at) = self.section(section).and_then(|section| self.key(section, name)) {
            self.rows.remove(at);
        }
    }

    fn write_group(&mut self, group: &str, members: &[String]) {
        if self.section(GROUPS).is_none() {
            self.append_section(GROUPS);
        }
        self.set(GROUPS, group, &members.join(","));
    }

    /// Begins a section at the end of the file, with an empty line above it.
    fn append_section(&mut self, name: &str) {
        if self.rows.last().is_some_and(|last| !last.text.trim().is_empty()) {
            self.insert(self.rows.len(), self.row("", What::Nothing));
        }
        let row = self.row(&format!("[{name}]"), What::Section(name.to_owned()));
        self.insert(self.rows.len(), row);
    }

    fn insert(&mut self, at: usize, row: Row) {
        let end = self.end();
        if let Some(before) = self.rows[..at].last_mut().filter(|row| !row.text.ends_with('\n')) {
            before.text.push_str(end);
        }
        self.rows.insert(at, row);
    }

    fn row(&self, text: &str, what: What) -> Row {
        Row { text: format!("{text}{}", self.end()), what }
    }

    /// How lines end in this file.
    fn end(&self) -> &'static str {
        match self.rows.first() {
            Some(first) if first.text.ends_with("\r\n") => "\r\n",
            Some(_) | None => "\n",
        }
    }
}

/// Would this be read again as it is?
fn is_key(name: &str, value: &str) -> bool {
    Line::read(&format!("{name}={value}"), 1) == Ok(Line::Key(name, value))
}

fn check_hash(hash: &str) -> Result<(), String> {
    if is_hash(hash) && is_key("hash", hash) {
        Ok(())
    } else {
        Err("the password's hash is of no known kind".to_owned())
    }
}

impl fmt::Display for UsersFileEditor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rows.iter().try_for_each(|row| f.write_str(&row.text))
    }
}

impl fmt::Debug for UsersFileEditor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UsersFileEditor").field("users", &self.users()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
