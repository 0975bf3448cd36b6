//! The words of `httpout creds`, as GPAC spells them.

use std::{ffi::OsString, path::PathBuf};

use httpout_proto::auth::Secret;

/// The command line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    Help,
    Run { users: Option<PathBuf>, words: Vec<Word> },
}

/// One thing to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// `show`: all users and groups.
    Show,
    /// `reset`: forget all.
    Reset,
    /// `NAME`: what is known of a user.
    User(String),
    /// `+NAME`, `+NAME:k=v,…`: a new user, or new values for one that is there.
    SetUser { name: String, password: Option<Secret>, info: Vec<(String, String)> },
    /// `-NAME`.
    RemoveUser(String),
    /// `_NAME`, `_NAME:password=x`.
    SetPassword { name: String, password: Option<Secret> },
    /// `@NAME`: the members of a group.
    Group(String),
    /// `@+NAME`, `@+NAME:u1,u2`: a new group, or new members for one that is there.
    SetGroup { group: String, members: Option<Vec<String>> },
    /// `@-NAME:u1,u2`: these are members no longer.
    RemoveMembers { group: String, members: Vec<String> },
    /// `@-NAME`.
    RemoveGroup(String),
}

/// What stands behind the colon of a user.
#[derive(Default)]
struct Values {
    password: Option<Secret>,
    info: Vec<(String, String)>,
}

impl Word {
    /// True if it changes the users file.
    pub(super) fn changes(&self) -> bool {
        !matches!(self, Self::Show | Self::User(_) | Self::Group(_))
    }
}

/// Reads the words behind `creds`; none are `show`. Errors say what to write instead.
pub(super) fn parse(words: &[OsString]) -> Result<Line, String> {
    let (mut users, mut parsed) = (None, Vec::new());
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let Some(text) = word.to_str() else {
            return Err(format!("{} is not UTF-8", word.display()));
        };
        match text.split_once('=').unwrap_or((text, "")) {
            ("--help", "") => return Ok(Line::Help),
            ("--users", _) => {
                let file = match text.strip_prefix("--users=") {
                    Some(file) => Some(PathBuf::from(file)),
                    None => words.next().map(PathBuf::from),
                };
                users = Some(
                    file.filter(|file| !file.as_os_str().is_empty())
                        .ok_or("--users names no file: write --users FILE")?,
                );
            }
            (option, _) if option.starts_with("--") => {
                return Err(format!("there is no option {option}: try --help"));
            }
            _ => parsed.push(parse_word(text)?),
        }
    }
    if parsed.is_empty() {
        parsed.push(Word::Show);
    }
    Ok(Line::Run { users, words: parsed })
}

fn parse_word(word: &str) -> Result<Word, String> {
    let (head, values) = match word.split_once(':') {
        Some((head, values)) => (head, Some(values)),
        None => (word, None),
    };
    let sigils = ["@+", "@-", "@", "+", "-", "_"];
    let sigil = sigils.into_iter().find(|sigil| head.starts_with(sigil)).unwrap_or("");
    let name = head[sigil.len()..].to_owned();
    if name.is_empty() || name.contains(['=', ',']) {
        return Err(format!("{head:?} names no user and no group: try --help"));
    }
    Ok(match (sigil, values) {
        ("", None) if name == "show" => Word::Show,
        ("", None) if name == "reset" => Word::Reset,
        ("+", None) => Word::SetUser { name, password: None, info: Vec::new() },
        ("+", Some(values)) => {
            let Values { password, info } = parse_values(values)?;
            Word::SetUser { name, password, info }
        }
        ("-", None) => Word::RemoveUser(name),
        ("_", None) => Word::SetPassword { name, password: None },
        ("_", Some(values)) => match parse_values(values)? {
            Values { password: Some(password), info } if info.is_empty() => {
                Word::SetPassword { name, password: Some(password) }
            }
            Values { .. } => {
                return Err(format!("_{name} takes a password only: write +{name}:KEY=VALUE"));
            }
        },
        ("@", None) => Word::Group(name),
        ("@+", values) => {
            Word::SetGroup { group: name, members: values.map(parse_list).transpose()? }
        }
        ("@-", None) => Word::RemoveGroup(name),
        ("@-", Some(members)) => Word::RemoveMembers { group: name, members: parse_list(members)? },
        (_, None) => Word::User(name),
        (_, Some(_)) => {
            return Err(format!("{head} takes no values: to set them, write +{name}:KEY=VALUE"));
        }
    })
}

/// Reads `k=v,k=v`; the password apart.
fn parse_values(values: &str) -> Result<Values, String> {
    let mut read = Values::default();
    for value in values.split(',') {
        // Not shown in the error: it may be a part of a password.
        match value.split_once('=') {
            Some(("password", value)) => read.password = Some(Secret::new(value.into())),
            Some((key, value)) if !key.is_empty() => read.info.push((key.into(), value.into())),
            Some(_) | None => {
                return Err("a value is not of the form KEY=VALUE; a VALUE holds no comma".into());
            }
        }
    }
    Ok(read)
}

/// Reads `u1,u2`.
fn parse_list(list: &str) -> Result<Vec<String>, String> {
    let names: Vec<String> = list.split(',').map(str::to_owned).collect();
    if names.iter().any(String::is_empty) {
        return Err(format!("{list:?} is not a list of users: write u1,u2"));
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &[&str]) -> Result<Vec<Word>, String> {
        let line = parse(&line.iter().map(OsString::from).collect::<Vec<_>>())?;
        let Line::Run { users: None, words } = line else { panic!("{line:?}") };
        Ok(words)
    }

    fn word(word: &str) -> Word {
        let mut words = words(&[word]).unwrap();
        assert_eq!(words.len(), 1);
        words.remove(0)
    }

    fn secret(password: &str) -> Option<Secret> {
        Some(Secret::new(password.into()))
    }

    #[test]
    fn users() {
        let (name, info) = (|| "alice".to_owned(), Vec::new());
        assert_eq!(word("alice"), Word::User(name()));
        assert_eq!(word("-alice"), Word::RemoveUser(name()));
        assert_eq!(word("_alice"), Word::SetPassword { name: name(), password: None });
        assert_eq!(
            word("_alice:password=a:b=c"),
            Word::SetPassword { name: name(), password: secret("a:b=c") }
        );
        assert_eq!(word("+alice"), Word::SetUser { name: name(), password: None, info });
        assert_eq!(
            word("+alice:email=a@b.c,password=secret,company="),
            Word::SetUser {
                name: name(),
                password: secret("secret"),
                info: vec![("email".into(), "a@b.c".into()), ("company".into(), String::new())],
            }
        );
    }

    #[test]
    fn groups() {
        let (group, members) = (|| "staff".to_owned(), || vec!["a".to_owned(), "b".to_owned()]);
        assert_eq!(word("@staff"), Word::Group(group()));
        assert_eq!(word("@+staff"), Word::SetGroup { group: group(), members: None });
        let members_set = Word::SetGroup { group: group(), members: Some(members()) };
        assert_eq!(word("@+staff:a,b"), members_set);
        let removed = Word::RemoveMembers { group: group(), members: members() };
        assert_eq!(word("@-staff:a,b"), removed);
        assert_eq!(word("@-staff"), Word::RemoveGroup(group()));
    }

    #[test]
    fn all() {
        assert_eq!(words(&[]).unwrap(), [Word::Show]);
        assert_eq!(words(&["show"]).unwrap(), [Word::Show]);
        assert_eq!(words(&["reset"]).unwrap(), [Word::Reset]);
        let removals = [Word::RemoveUser("show".into()), Word::RemoveUser("reset".into())];
        assert_eq!(words(&["-show", "-reset"]).unwrap(), removals);
    }

    #[test]
    fn options() {
        let parse = |line: &[&str]| parse(&line.iter().map(OsString::from).collect::<Vec<_>>());
        let run = |file: &str, words| Ok(Line::Run { users: Some(file.into()), words });
        let removal = || vec![Word::RemoveUser("users".into())];
        assert_eq!(parse(&["--users", "-f", "-users"]), run("-f", removal()));
        assert_eq!(parse(&["-users", "--users=a=b"]), run("a=b", removal()));
        assert_eq!(parse(&["--users", "f"]), run("f", vec![Word::Show]));
        assert_eq!(parse(&["+a", "--help"]), Ok(Line::Help));
        for wrong in [&["--users"][..], &["--users="], &["--users", ""], &["--user", "f"], &["--"]]
        {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn what_is_not_understood() {
        let wrong = [
            "",
            "+",
            "-",
            "_",
            "@",
            "@+",
            "@-",
            ":",
            "+:a=b",
            "alice:a=b",
            "-alice:a=b",
            "@staff:a",
            "+alice:",
            "+alice:a",
            "+alice:=b",
            "+alice:a=b,",
            "+alice:password=a,b",
            "_alice:",
            "_alice:email=a",
            "_alice:password=a,email=b",
            "@+staff:",
            "@+staff:a,",
            "@-staff:,a",
            "-users=file",
            "a,b",
        ];
        for word in wrong {
            assert!(words(&[word]).is_err(), "{word:?}");
        }
        use std::os::unix::ffi::OsStringExt as _;
        assert!(parse(&[OsString::from_vec(vec![b'a', 0xff])]).is_err());
    }

    #[test]
    fn no_error_shows_a_password() {
        for word in [
            "+alice:password=top,secret",
            "_alice:password=top,secret",
            "_alice:password=top,email=secret",
            "alice:password=secret",
            "-alice:password=secret",
            "+:password=secret",
            "+a=b:password=secret",
        ] {
            let problem = words(&[word]).unwrap_err();
            assert!(!problem.contains("top") && !problem.contains("secret"), "{problem}");
        }
    }
}
