//! Users files, read and edited.

use httpout_proto::auth::{UsersFileEditor, Credential, Users};

const HASH: &str = "$argon2id$v=19$m=1,t=1,p=1$c2FsdA$aGFzaA";

/// A name that is hardly ever there.
const NEW: &str = "\u{e9}";

/// One input: the text of a users file.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let users = Users::parse(text);
    if let Err(fault) = &users {
        assert!(fault.line <= text.split('\n').count() && !fault.problem.is_empty());
    }
    let Ok(book) = UsersFileEditor::parse(text) else {
        // What cannot be edited is htpasswd's, or cannot be read either.
        let first = text.trim_start_matches('\u{feff}').lines().map(str::trim);
        let first =
            first.filter(|line| !line.is_empty()).find(|line| !line.starts_with(['#', ';']));
        assert!(users.is_err() || first.is_some_and(|line| !line.starts_with('[')));
        return;
    };
    assert_eq!(book.to_string(), text, "nothing was edited");
    if let Ok(users) = &users {
        compare(&book, users);
    }
    edit(book, users.is_ok());
}

/// Two readings of one text.
fn compare(book: &UsersFileEditor, users: &Users) {
    let (mut names, mut groups) = (book.users(), book.groups());
    names.sort_unstable();
    groups.sort_unstable();
    assert!(users.names().eq(names.iter().copied()));
    assert!(users.groups().eq(groups.iter().map(String::as_str)));
    for group in &groups {
        let members = book.members(group).expect("it is listed");
        assert!(members.iter().all(|member| users.is_member(member, group)));
        assert!(names.iter().all(|&name| {
            users.is_member(name, group) == members.iter().any(|member| member == name)
        }));
    }
}

/// Edits of one user at a time. `usable`: the file can be used as it is.
fn edit(mut book: UsersFileEditor, usable: bool) {
    let names: Vec<_> = book.users().into_iter().map(str::to_owned).collect();
    if book.add_user(NEW, HASH, 1).is_ok() {
        let users = check(&book, usable);
        assert!(users.is_none_or(|users| is_ours(&users, NEW) && users.is_member(NEW, "users")));
        assert!(book.members("users").is_some_and(|members| members.iter().any(|m| m == NEW)));
    } else {
        assert!(names.iter().any(|name| name == NEW));
    }
    let Some(name) = names.first() else { return };
    let others: Vec<_> = names[1..].iter().map(|name| (name, info(&book, name))).collect();
    let unharmed = |book: &UsersFileEditor| others.iter().all(|(name, before)| info(book, name) == *before);

    book.set_hash(name, HASH, 2).expect("there is this user");
    assert!(check(&book, usable).is_none_or(|users| is_ours(&users, name)));
    book.set_info(name, "email", "a@b").expect("there is this user");
    let email = ("email".to_owned(), "a@b".to_owned());
    assert!(info(&book, name).is_some_and(|info| info.contains(&email)));
    // A file that cannot be used may have names that are not taken.
    let before = book.clone();
    if book.set_group("g", &[name, name]).is_ok() {
        assert_eq!(book.members("g").as_deref(), Some(&[name.clone()][..]));
    } else {
        assert!(!usable && book == before);
    }
    check(&book, usable);
    assert!(unharmed(&book));

    book.remove_user(name).expect("there is this user");
    check(&book, usable);
    assert!(unharmed(&book) && info(&book, name).is_none());
    for group in book.groups() {
        assert!(book.members(&group).is_some_and(|members| !members.contains(name)));
    }
}

type Info = Option<Vec<(String, String)>>;

fn info(book: &UsersFileEditor, name: &str) -> Info {
    let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
    book.user_info(name).map(|info| info.into_iter().map(owned).collect())
}

fn is_ours(users: &Users, name: &str) -> bool {
    users.credential(name) == Some(&Credential::Argon2(HASH.into()))
}

/// An edit leaves a file that is read as it is written, and that can be used if it could before.
fn check(book: &UsersFileEditor, usable: bool) -> Option<Users> {
    let text = book.to_string();
    assert_eq!(UsersFileEditor::parse(&text).as_ref(), Ok(book));
    let users = Users::parse(&text);
    assert!(users.is_ok() || !usable, "{users:?}");
    let users = users.ok()?;
    compare(book, &users);
    Some(users)
}
