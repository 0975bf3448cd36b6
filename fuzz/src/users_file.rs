//! Users files, read and edited.

use httpout_proto::auth::{Book, Credential, Users};

const HASH: &str = "$argon2id$v=19$m=1,t=1,p=1$c2FsdA$aGFzaA";

/// One input: the text of a users file.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let users = Users::parse(text);
    if let Err(fault) = &users {
        assert!(fault.line <= text.split('\n').count() && !fault.problem.is_empty());
    }
    let Ok(mut book) = Book::parse(text) else { return };
    let users = users.expect("what can be edited can be read");
    let written = book.to_string();
    assert_eq!(Users::parse(&written).as_ref(), Ok(&users));
    assert_eq!(Book::parse(&written).expect("it was written so").to_string(), written);
    for user in book.users() {
        assert!(users.has_user(user));
    }
    for group in book.groups() {
        for member in book.members(&group).expect("it is listed") {
            assert!(users.is_member(&member, &group));
        }
    }
    edit(&mut book);
}

fn edit(book: &mut Book) {
    let first = book.users().first().map(|&name| name.to_owned());
    let added = book.add_user("\u{e9}", HASH, 1).is_ok();
    if let Some(user) = &first {
        book.set_hash(user, HASH, 2).expect("there is this user");
    }
    let users = Users::parse(&book.to_string()).expect("an edit leaves a file that can be read");
    let is_ours = |credential| credential == Some(&Credential::Argon2(HASH.into()));
    assert!(!added || is_ours(users.credential("\u{e9}")) && users.is_member("\u{e9}", "users"));
    let Some(user) = &first else { return };
    assert!(is_ours(users.credential(user)));
    book.remove_user(user).expect("there is this user");
    let users = Users::parse(&book.to_string()).expect("an edit leaves a file that can be read");
    assert!(!users.has_user(user));
    assert!(book.groups().iter().all(|group| !users.is_member(user, group)));
}
