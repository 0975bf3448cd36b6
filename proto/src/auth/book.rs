//! A `users.cfg` as something to edit. What an edit does not concern stays as it is: comments, other keys, the order.

use std::{collections::BTreeSet, fmt, ops::Range};

use super::{
    Fault, Users,
    ini::{self, Line},
    users::{GROUPS, check_name, is_htpasswd},
};

/// The group that every new user joins, as the original has it.
const EVERY: &str = "users";
/// Keys of a user that only the server itself sets.
const RESERVED: [&str; 7] =
    ["salt", "password", "hash", "created", "pass_date", "last_auth", GROUPS];
/// Keys of a user that are not shown.
const SECRET: [&str; 3] = ["salt", "password", "hash"];

/// The text of a `users.cfg`, line by line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Book {
    lines: Vec<Text>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Text {
    Section(String),
    Key(String, String),
    /// As it was read.
    Raw(String),
}

impl Book {
    /// Reads the file.
    ///
    /// # Errors
    /// It is htpasswd's, or what [`Users::parse`] says.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        if is_htpasswd(text) {
            return Err(Fault {
                line: 0,
                problem: "the file was made with htpasswd".into(),
                help: "change it with htpasswd -B, or name another with --users",
            });
        }
        let mut lines = Vec::new();
        for (number, line) in ini::lines(text.strip_suffix('\n').unwrap_or(text)) {
            lines.push(match Line::read(line, number)? {
                Line::Nothing => Text::Raw(line.trim_end_matches('\r').to_owned()),
                Line::Section(name) => Text::Section(name.to_owned()),
                Line::Key(name, value) => Text::Key(name.to_owned(), value.to_owned()),
            });
        }
        Users::parse(text)?;
        if text.is_empty() {
            lines.clear();
        }
        Ok(Self { lines })
    }

    // ---- users ----

    /// The users, in the order of the file.
    pub fn users(&self) -> Vec<&str> {
        let sections = self.lines.iter().filter_map(|line| match line {
            Text::Section(name) if name != GROUPS => Some(name.as_str()),
            Text::Section(_) | Text::Key(..) | Text::Raw(_) => None,
        });
        sections.collect()
    }

    /// What is kept of a user beside the secrets; `None`: there is no such user.
    pub fn user_info(&self, user: &str) -> Option<Vec<(&str, &str)>> {
        let keys = self.lines[self.user(user)?].iter().filter_map(|line| match line {
            Text::Key(name, value) if !SECRET.contains(&name.as_str()) => {
                Some((name.as_str(), value.as_str()))
            }
            Text::Section(_) | Text::Key(..) | Text::Raw(_) => None,
        });
        Some(keys.collect())
    }

    /// Adds a user, who joins the group `users`. `now_ms`: milliseconds since 1970.
    ///
    /// # Errors
    /// There is such a user, or the name cannot be used.
    pub fn add_user(&mut self, user: &str, hash: &str, now_ms: u64) -> Result<(), String> {
        check_name(user)?;
        if user == GROUPS {
            return Err(format!("{GROUPS} is the name of the section of groups"));
        }
        if self.user(user).is_some() {
            return Err(format!("there is a user {user} already"));
        }
        if self.lines.last().is_some_and(|last| *last != Text::Raw(String::new())) {
            self.lines.push(Text::Raw(String::new()));
        }
        self.lines.push(Text::Section(user.to_owned()));
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
    /// There is no such user.
    pub fn set_hash(&mut self, user: &str, hash: &str, now_ms: u64) -> Result<(), String> {
        self.known(user)?;
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
        let line = format!("{key}={value}");
        if Line::read(&line, 1) != Ok(Line::Key(key, value)) {
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
        self.lines.drain(section);
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
        let keys = self.lines[section].iter().filter_map(|line| match line {
            Text::Key(name, _) => Some(name.clone()),
            Text::Section(_) | Text::Raw(_) => None,
        });
        keys.collect()
    }

    /// The members of a group; `None`: there is no such group.
    pub fn members(&self, group: &str) -> Option<Vec<String>> {
        let at = self.key(self.section(GROUPS)?, group)?;
        let Text::Key(_, value) = &self.lines[at] else { return None };
        let names = value.split(',').map(str::trim).filter(|name| !name.is_empty());
        Some(names.map(str::to_owned).collect())
    }

    /// Makes a group, or gives it other members.
    ///
    /// # Errors
    /// A member is no user; the name cannot be used.
    pub fn set_group(&mut self, group: &str, members: &[&str]) -> Result<(), String> {
        check_name(group)?;
        if let Some(unknown) = members.iter().find(|member| self.user(member).is_none()) {
            return Err(format!("there is no user {unknown}"));
        }
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

    // ---- lines ----

    fn user(&self, user: &str) -> Option<Range<usize>> {
        self.section(user).filter(|_| user != GROUPS)
    }

    fn known(&self, user: &str) -> Result<Range<usize>, String> {
        self.user(user).ok_or_else(|| format!("there is no user {user}"))
    }

    /// Its lines, the head first; what is no key at the end stays with what follows.
    fn section(&self, name: &str) -> Option<Range<usize>> {
        let is = |line: &Text| matches!(line, Text::Section(section) if section == name);
        let start = self.lines.iter().position(is)?;
        let rest = &self.lines[start + 1..];
        let next = rest.iter().position(|line| matches!(line, Text::Section(_)));
        let body = &rest[..next.unwrap_or(rest.len())];
        let keys = body.iter().rposition(|line| matches!(line, Text::Key(..)));
        Some(start..start + 1 + keys.map_or(0, |last| last + 1))
    }

    fn key(&self, section: Range<usize>, name: &str) -> Option<usize> {
        let start = section.start;
        let is = |line: &Text| matches!(line, Text::Key(key, _) if key == name);
        self.lines[section].iter().position(is).map(|at| start + at)
    }

    fn set(&mut self, section: &str, name: &str, value: &str) {
        let Some(section) = self.section(section) else { return };
        let line = Text::Key(name.to_owned(), value.to_owned());
        match self.key(section.clone(), name) {
            Some(at) => self.lines[at] = line,
            None => self.lines.insert(section.end, line),
        }
    }

    fn unset(&mut self, section: &str, name: &str) {
        if let Some(at) = self.section(section).and_then(|section| self.key(section, name)) {
            self.lines.remove(at);
        }
    }

    fn write_group(&mut self, group: &str, members: &[String]) {
        if self.section(GROUPS).is_none() {
            self.lines.push(Text::Raw(String::new()));
            self.lines.push(Text::Section(GROUPS.to_owned()));
        }
        self.set(GROUPS, group, &members.join(","));
    }
}

impl fmt::Display for Book {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.lines {
            match line {
                Text::Section(name) => writeln!(f, "[{name}]")?,
                Text::Key(name, value) => writeln!(f, "{name}={value}")?,
                Text::Raw(text) => writeln!(f, "{text}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
