//! Rule files: which directory is mounted where, and which users may read and write it.

use std::{collections::BTreeSet, path::PathBuf};

use super::{
    Fault, Users,
    ini::{self, Key, Section},
    nearest::nearest,
};
use crate::fs::RelPath;

/// Stands for everybody, those without a name too.
const ALL: &str = "$ALL";
/// The word for no user.
const NONE: &str = "$NONE";
/// The keys of a section. `mcast` is for GPAC's RTSP server.
const KEYS: [&str; 7] = ["name", "ru", "rg", "wu", "wg", "filters", "mcast"];

/// The users that a rule admits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// All, without a name too.
    Everybody,
    /// These users, and the members of these groups. If both are empty, no user.
    Members {
        /// Users.
        users: BTreeSet<String>,
        /// Groups.
        groups: BTreeSet<String>,
    },
}

/// Whether one may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Yes.
    Allowed,
    /// A name and a password would help (401).
    Unidentified,
    /// No (403).
    Refused,
}

/// A section of a rule file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The directory, as it is written.
    pub dir: PathBuf,
    /// There is no such directory: its name is a virtual service. What lies where it would be is
    /// guarded all the same.
    pub missing: bool,
    /// Where it is mounted below `/`. `None`: at `/`, or, below another section's directory, where
    /// that leads to.
    pub name: Option<RelPath>,
    /// The users that may read; all, if the file does not say.
    pub read: Who,
    /// The users that may write; none, if the file does not say.
    pub write: Who,
    /// The file it comes from, for messages; empty as it is read.
    pub file: PathBuf,
    /// The section's line, counted from 1.
    pub line: usize,
}

impl Who {
    /// Admits no user.
    pub fn nobody() -> Self {
        Self::Members { users: BTreeSet::new(), groups: BTreeSet::new() }
    }

    /// True if no user is admitted.
    pub fn is_nobody(&self) -> bool {
        matches!(self, Self::Members { users, groups } if users.is_empty() && groups.is_empty())
    }

    /// May this user, whose password was right? `None`: one without a name.
    pub fn verdict(&self, user: Option<&str>, all: &Users) -> Access {
        let (users, groups) = match self {
            Self::Everybody => return Access::Allowed,
            Self::Members { users, groups } => (users, groups),
        };
        match user {
            None if self.is_nobody() => Access::Refused,
            None => Access::Unidentified,
            Some(user)
                if users.contains(user)
                    || groups.iter().any(|group| all.is_member(user, group)) =>
            {
                Access::Allowed
            }
            Some(_) => Access::Refused,
        }
    }
}

impl Rule {
    /// Where it stands: `FILE line N`.
    pub fn place(&self) -> String {
        format!("{} line {}", self.file.display(), self.line)
    }

    /// Reads a rule file: the sections that concern this server.
    ///
    /// # Errors
    /// The first line that cannot be obeyed.
    pub fn parse(text: &str) -> Result<Vec<Self>, Fault> {
        let mut rules: Vec<Self> = Vec::new();
        let sections = ini::parse(text)?;
        // Read while it is being written, a file can end so; its last section would be open to
        // readers.
        if let Some(last) = sections.last().filter(|last| last.keys.is_empty()) {
            let problem = format!("[{}] has no keys, and the file ends there", last.name);
            let help = "write what is missing (ru=$ALL lets everybody read), and replace a rule file in one step, by \
                        renaming a complete one";
            return Err(Fault { line: last.line, problem, help });
        }
        for section in sections {
            if let Some(rule) = read_section(&section)? {
                if let (Some(name), Some(other)) =
                    (&rule.name, rules.iter().find(|other| other.name == rule.name))
                {
                    let problem =
                        format!("/{name} is the name of the section on line {} too", other.line);
                    return Err(Fault { line: rule.line, problem, help: "give it another name" });
                }
                rules.push(rule);
            }
        }
        if rules.is_empty() {
            let problem = "the rule file has no section for this server".into();
            return Err(Fault {
                line: 0,
                problem,
                help: "write [DIRECTORY], and under it name=, ru=, wu= …",
            });
        }
        Ok(rules)
    }
}

/// `None`: it is for others.
fn read_section(section: &Section<'_>) -> Result<Option<Rule>, Fault> {
    for key in &section.keys {
        if !KEYS.contains(&key.name) {
            let near = nearest(key.name, KEYS.into_iter());
            let problem = match near {
                Some(near) => format!("unknown key {}; did you mean {near}?", key.name),
                None => format!("unknown key {}", key.name),
            };
            let help = "the keys are name, ru, rg, wu, wg, filters";
            return Err(Fault { line: key.line, problem, help });
        }
    }
    let key = |name| section.keys.iter().find(|key| key.name == name);
    if key("filters").is_some_and(|filters| !is_for_us(filters.value)) {
        return Ok(None);
    }
    Ok(Some(Rule {
        dir: section.name.into(),
        missing: false,
        name: key("name").map(read_name).transpose()?.flatten(),
        read: who(key("ru"), key("rg"))?.unwrap_or(Who::Everybody),
        write: who(key("wu"), key("wg"))?.unwrap_or_else(Who::nobody),
        file: PathBuf::new(),
        line: section.line,
    }))
}

fn is_for_us(filters: &str) -> bool {
    filters.is_empty()
        || filters.split(',').any(|filter| matches!(filter.trim(), "*" | "all" | "httpout"))
}

/// `None`: empty, which is as if it were not there.
fn read_name(key: &Key<'_>) -> Result<Option<RelPath>, Fault> {
    let name = RelPath::new(key.value.trim_matches('/')).ok_or_else(|| Fault {
        line: key.line,
        problem: format!("{} is no path of a URL", key.value),
        help: "write one or several names with / between them",
    })?;
    if name.is_reserved() {
        let problem = format!("{} is a name that the server keeps for itself", key.value);
        return Err(Fault { line: key.line, problem, help: "give it another name" });
    }
    Ok(Some(name).filter(|name| !name.is_root()))
}

/// The union of both; `None` if neither is there.
fn who(users: Option<&Key<'_>>, groups: Option<&Key<'_>>) -> Result<Option<Who>, Fault> {
    let (mut everybody, mut named) = (false, [BTreeSet::new(), BTreeSet::new()]);
    for (key, names) in [users, groups].into_iter().zip(&mut named) {
        let Some(key) = key else { continue };
        let words: Vec<_> = key.value.split(',').map(str::trim).collect();
        match words.as_slice() {
            [ALL] => everybody = true,
            [NONE] => {}
            words if words.contains(&ALL) || words.contains(&NONE) => {
                let problem = format!("{} names {ALL} or {NONE} beside others", key.name);
                return Err(Fault {
                    line: key.line,
                    problem,
                    help: "name it alone, or leave it out",
                });
            }
            words if words.contains(&"") => {
                let problem = format!("{} names nobody", key.name);
                return Err(Fault { line: key.line, problem, help: "write $NONE for nobody" });
            }
            words => {
                if let Some(word) = words.iter().find(|word| word.starts_with('$')) {
                    let problem = format!("{} has the unknown word {word}", key.name);
                    let help =
                        "write $ALL for everybody or $NONE for nobody; no name begins with $";
                    return Err(Fault { line: key.line, problem, help });
                }
                names.extend(words.iter().map(|&word| word.to_owned()));
            }
        }
    }
    if users.is_none() && groups.is_none() {
        return Ok(None);
    }
    let [users, groups] = named;
    Ok(Some(if everybody { Who::Everybody } else { Who::Members { users, groups } }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule_of(text: &str) -> Rule {
        Rule::parse(text).unwrap().remove(0)
    }

    fn members(users: &[&str], groups: &[&str]) -> Who {
        let set = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Who::Members { users: set(users), groups: set(groups) }
    }

    #[test]
    fn what_is_not_said_is_read_by_all_and_written_by_nobody() {
        let rule = rule_of("[a]\nname=a");
        assert_eq!((rule.read, rule.write), (Who::Everybody, Who::nobody()));
    }

    #[test]
    fn keys_of_a_section() {
        let rule = rule_of("[/srv/a b]\nname=/live/tv/\nru=alice, bob\nrg=staff\nwu=$ALL\nmcast=x");
        assert_eq!(rule.dir, PathBuf::from("/srv/a b"));
        assert_eq!(rule.name.unwrap().as_str(), "live/tv");
        assert_eq!(rule.read, members(&["alice", "bob"], &["staff"]));
        assert_eq!(rule.write, Who::Everybody);
        assert_eq!(rule_of("[a]\nru=$NONE").read, Who::nobody());
        assert_eq!(rule_of("[a]\nru=$NONE\nrg=g").read, members(&[], &["g"]));
        assert_eq!(rule_of("[a]\nru=x\nrg=$ALL").read, Who::Everybody);
    }

    #[test]
    fn sections_for_other_filters_are_left_out() {
        let dirs = |text| Rule::parse(text).map(|rules| rules.len());
        assert_eq!(
            dirs("[a]\nfilters=rtspout\n[b]\nfilters=rtspout,httpout\n[c]\nfilters=*"),
            Ok(2)
        );
        assert_eq!(dirs("[a]\nfilters=rtspout").unwrap_err().line, 0);
    }

    #[test]
    fn faults_name_their_line() {
        for (text, line) in [
            ("", 0),
            ("[a]\nrx=alice", 2),
            ("[a]\nru=", 2),
            ("[a]\nru=alice,", 2),
            ("[a]\nru=alice,$ALL", 2),
            ("[a]\n\nwg=$NONE,g", 3),
            ("[a]\nru=$AL", 2),
            ("[a]\nru=alice,$all", 2),
            ("[a]\nwg=$ALLE", 2),
            ("[a]", 1),
            ("[a]\nru=$ALL\n[b]\n", 3),
            ("[a]\nname=../b", 2),
            ("[a]\nname=.httpout", 2),
            ("[a]\nname=x/.HTTPOUT-1", 2),
            ("[a]\nname=x\n[b]\nname=/x/", 3),
        ] {
            assert_eq!(Rule::parse(text).unwrap_err().line, line, "{text:?}");
        }
        let fault = Rule::parse("[a]\nfilter=x").unwrap_err();
        assert!(fault.problem.contains("did you mean filters"), "{fault}");
    }

    #[test]
    fn verdicts() {
        let users = Users::parse("[alice]\n[bob]\n[carol]\n[groups]\nstaff=bob\n").unwrap();
        let who = members(&["alice"], &["staff"]);
        for (user, verdict) in [
            (None, Access::Unidentified),
            (Some("alice"), Access::Allowed),
            (Some("bob"), Access::Allowed),
            (Some("carol"), Access::Refused),
        ] {
            assert_eq!(who.verdict(user, &users), verdict, "{user:?}");
            assert_eq!(Who::Everybody.verdict(user, &users), Access::Allowed);
            assert_eq!(Who::nobody().verdict(user, &users), Access::Refused);
        }
    }
}
