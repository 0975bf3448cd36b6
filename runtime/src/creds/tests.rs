use std::fs;

use httpout_proto::auth::Users;

use super::*;
use crate::{files::tests::Scratch, passwords};

/// Nobody is there to be asked.
fn nobody(_: &str) -> Result<Secret, String> {
    Err("nobody answers".into())
}

/// A users file of a test's own.
struct Desk {
    _scratch: Scratch,
    file: PathBuf,
}

impl Desk {
    fn new() -> Self {
        let scratch = Scratch::new();
        let file = scratch.path().join("httpout/users.cfg");
        Self { _scratch: scratch, file }
    }

    /// Runs the command; `password` is what is answered to each question.
    fn creds_asked(&self, line: &str, password: Option<&str>) -> Result<String, String> {
        self.told(line, password).map(|told| told.shown)
    }

    fn told(&self, line: &str, password: Option<&str>) -> Result<Told, String> {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let Line::Run { words, .. } = args::parse(&words)? else { panic!("{line}") };
        match password {
            Some(password) => execute(&self.file, words, |_| Ok(Secret::new(password.into()))),
            None => execute(&self.file, words, nobody),
        }
    }

    fn creds(&self, line: &str) -> Result<String, String> {
        self.creds_asked(line, None)
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.file).unwrap()
    }

    fn has_password(&self, user: &str, password: &str) -> bool {
        let users = Users::parse(&self.text()).unwrap();
        let credential = users.credential(user);
        credential.is_some() && passwords::verify(credential, &Secret::new(password.into()))
    }
}

#[test]
fn a_user_comes_changes_the_password_and_goes() {
    let desk = Desk::new();
    assert_eq!(desk.creds("show").unwrap(), "");
    assert!(!desk.file.exists(), "showing makes nothing");
    assert_eq!(desk.creds_asked("+alice", Some("12345678")).unwrap(), "added user alice\n");
    assert!(desk.has_password("alice", "12345678"));
    assert_eq!(desk.creds("show").unwrap(), "alice\n@users:alice\n");
    let done = desk.creds("_alice:password=another!").unwrap();
    assert_eq!(done, "changed the password of user alice\n");
    assert!(desk.has_password("alice", "another!") && !desk.has_password("alice", "12345678"));
    desk.creds_asked("_alice", Some("the third")).unwrap();
    assert!(desk.has_password("alice", "the third"));
    assert_eq!(desk.creds("-alice").unwrap(), "removed user alice\n");
    assert_eq!(desk.creds("show").unwrap(), "@users:\n");
}

#[test]
fn a_file_without_users_is_said_to_have_none() {
    let desk = Desk::new();
    let told = |line: &str| desk.told(line, None).unwrap();
    let file = desk.file.display();
    let note = told("show").note.unwrap();
    assert_eq!(note, format!("{file} does not exist: to add a user, write httpout creds +NAME"));
    fs::create_dir(desk.file.parent().unwrap()).unwrap();
    for (text, shown) in [("", ""), ("# nothing\n", ""), ("[groups]\nusers=\n", "@users:\n")] {
        fs::write(&desk.file, text).unwrap();
        let Told { shown: listed, note } = told("show");
        assert_eq!(listed, shown);
        let expected = format!("{file} holds no users: to add a user, write httpout creds +NAME");
        assert_eq!(note, Some(expected), "{text:?}");
    }
    assert!(told("+alice:password=12345678 show").note.is_none());
    assert!(told("show").note.is_none());
    // It was not asked for the users.
    assert!(told("-alice").note.is_none());
}

#[test]
fn values_of_a_user_are_set_and_shown_without_secrets() {
    let desk = Desk::new();
    desk.creds("+bob:password=12345678,email=b@example.org").unwrap();
    let done = desk.creds("+bob:company=Acme,email=").unwrap();
    assert_eq!(done, "set company of user bob\nset email of user bob\n");
    assert!(desk.has_password("bob", "12345678"));
    desk.creds("+bob:password=87654321,company=Other @+staff:bob").unwrap();
    assert!(desk.has_password("bob", "87654321"));
    let shown = desk.creds("bob").unwrap();
    let lines: Vec<&str> = shown.lines().map(str::trim).collect();
    assert_eq!(lines[0], "bob");
    assert!(lines.contains(&"company=Other") && lines.contains(&"email="), "{shown}");
    assert_eq!(*lines.last().unwrap(), "groups=users,staff");
    let created = lines.iter().find_map(|line| line.strip_prefix("created=")).unwrap();
    humantime::parse_rfc3339(created).unwrap();
    assert!(!shown.contains("argon2") && !shown.contains("hash"), "{shown}");
}

#[test]
fn groups() {
    let desk = Desk::new();
    desk.creds("+a:password=12345678 +b:password=12345678 @+staff:a,b @+none").unwrap();
    assert_eq!(desk.creds("@staff").unwrap(), "@staff:a,b\n");
    assert_eq!(desk.creds("@+staff @staff").unwrap(), "group staff is there already\n@staff:a,b\n");
    let done = desk.creds("@+staff:b @staff @none").unwrap();
    assert_eq!(done, "set the members of group staff\n@staff:b\n@none:\n");
    let done = desk.creds("@-staff:b @staff").unwrap();
    assert_eq!(done, "removed b from group staff\n@staff:\n");
    let done = desk.creds("@-staff @-none show").unwrap();
    assert_eq!(done, "removed group staff\nremoved group none\na\nb\n@users:a,b\n");
    assert!(desk.creds("@-users").is_err());
}

#[test]
fn if_one_word_fails_nothing_is_changed() {
    let desk = Desk::new();
    desk.creds("+alice:password=12345678").unwrap();
    let before = desk.text();
    let wrong = [
        "-bob",
        "bob",
        "_bob:password=12345678",
        "+alice",
        "+bob",
        "+bob:password=1234567",
        "_alice:password=",
        "+alice:hash=x",
        "@staff",
        "@-staff",
        "@-staff:alice",
        "@+staff:bob",
        "@-users:bob",
        "+groups:password=12345678",
    ];
    for word in wrong {
        let line = format!("@+new {word}");
        assert!(desk.creds(&line).is_err(), "{line}");
        assert_eq!(desk.text(), before, "{line}");
    }
}

#[test]
fn who_is_not_there_is_not_asked_for_a_password() {
    let desk = Desk::new();
    let problem = desk.creds("_alice").unwrap_err();
    assert_eq!(problem, "there is no user alice: to add one, write +alice");
    desk.creds("+alice:password=12345678").unwrap();
    let problem = desk.creds("+alice").unwrap_err();
    assert_eq!(problem, "there is a user alice already: to change the password, write _alice");
}

#[test]
fn reset_forgets_all_even_what_cannot_be_read() {
    let desk = Desk::new();
    desk.creds("+alice:password=12345678").unwrap();
    desk.creds("reset").unwrap();
    assert!(!desk.file.exists());
    desk.creds("reset").unwrap();
    fs::write(&desk.file, b"[\xff").unwrap();
    assert!(desk.creds("show").is_err());
    desk.creds("reset +bob:password=12345678").unwrap();
    assert_eq!(desk.creds("show").unwrap(), "bob\n@users:bob\n");
}

#[test]
fn a_broken_file_is_named_with_its_line() {
    let desk = Desk::new();
    desk.creds("+alice:password=12345678").unwrap();
    let broken = desk.text() + "[bob\n";
    fs::write(&desk.file, &broken).unwrap();
    let problem = desk.creds("-alice").unwrap_err();
    let line = broken.lines().count();
    assert!(problem.starts_with(&format!("{}: line {line}: ", desk.file.display())), "{problem}");
    assert_eq!(desk.text(), broken);
}

#[test]
fn a_file_of_gpac_is_carried_on() {
    let desk = Desk::new();
    let salt: String = (0..32).map(|byte| format!("{byte:02x}")).collect();
    let gpac = format!(
        "[alice]\npassword=80ee8a70cd65fcc6e6988d3bb25ab9ccb2a4b9f4f93fd6aa13494fcb9a5c1f2e\nsalt={salt}\n\
         created=1700000000000\nlast_auth=18446744073709551615\n\n[groups]\nusers=alice\n"
    );
    fs::create_dir(desk.file.parent().unwrap()).unwrap();
    fs::write(&desk.file, gpac).unwrap();
    assert!(desk.has_password("alice", "correct horse"));
    let shown = desk.creds("alice").unwrap();
    assert!(shown.contains("created=2023-11-14T22:13:20Z\n"), "{shown}");
    assert!(shown.contains("last_auth=18446744073709551615\n"), "{shown}");
    desk.creds("+bob:password=12345678").unwrap();
    assert!(desk.has_password("alice", "correct horse") && desk.has_password("bob", "12345678"));
    desk.creds("_alice:password=12345678").unwrap();
    assert!(desk.has_password("alice", "12345678"));
    assert!(!desk.text().contains("salt"), "the old password is gone");
}

#[test]
fn the_help_tells_the_lengths_that_are_checked() {
    let help = help();
    let line = help.lines().find(|line| line.contains("bytes")).unwrap();
    let bounds: Vec<usize> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
    let check = |len: usize| prompt::check(&Secret::new("x".repeat(len)));
    assert_eq!(bounds.len(), 2, "{line}");
    assert!(check(bounds[0]).is_ok() && check(bounds[0] - 1).is_err(), "{line}");
    assert!(check(bounds[1]).is_ok() && check(bounds[1] + 1).is_err(), "{line}");
}
