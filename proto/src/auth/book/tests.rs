use proptest::prelude::*;

use super::*;
use crate::auth::Credential;

const HASH: &str = "$argon2id$v=19$m=1,t=1,p=1$c2FsdA$aGFzaA";

fn book(text: &str) -> Book {
    Book::parse(text).unwrap()
}

#[test]
fn users_come_and_go() {
    let mut users = book("");
    users.add_user("alice", HASH, 5).unwrap();
    users.add_user("bob", HASH, 6).unwrap();
    assert_eq!(users.users(), ["alice", "bob"]);
    assert_eq!(users.members("users").unwrap(), ["alice", "bob"]);
    assert_eq!(users.user_info("alice").unwrap(), [("created", "5"), ("pass_date", "5")]);
    assert!(users.add_user("bob", HASH, 7).is_err());
    assert!(users.add_user("groups", HASH, 7).is_err());
    assert!(users.add_user("a:b", HASH, 7).is_err());
    users.set_group("staff", &["alice", "bob", "alice"]).unwrap();
    assert_eq!(users.members("staff").unwrap(), ["alice", "bob"]);
    users.remove_user("alice").unwrap();
    assert_eq!(users.users(), ["bob"]);
    assert_eq!(users.members("staff").unwrap(), ["bob"]);
    assert!(users.remove_user("alice").is_err());
    let read = Users::parse(&users.to_string()).unwrap();
    assert_eq!(read.credential("bob"), Some(&Credential::Argon2(HASH.into())));
    assert!(read.is_member("bob", "staff"));
}

#[test]
fn groups_come_and_go() {
    let mut users = book("[alice]\n[bob]\n");
    assert!(users.set_group("staff", &["carol"]).is_err());
    users.set_group("staff", &["alice", "bob"]).unwrap();
    users.remove_member("staff", "alice").unwrap();
    assert!(users.remove_member("staff", "alice").is_err());
    assert!(users.remove_member("nobody", "alice").is_err());
    users.remove_group("staff").unwrap();
    assert!(users.remove_group("staff").is_err());
    assert!(users.remove_group("users").is_err());
    assert!(users.groups().is_empty());
}

#[test]
fn a_new_password_takes_the_place_of_the_originals() {
    let hex = "ab".repeat(32);
    let mut users = book(&format!("[alice]\npassword={hex}\nemail=a@b\nsalt={hex}\n"));
    users.set_hash("alice", HASH, 9).unwrap();
    assert_eq!(users.to_string(), format!("[alice]\nemail=a@b\nhash={HASH}\npass_date=9\n"));
}

#[test]
fn information_is_kept_and_secrets_are_not_set_by_hand() {
    let mut users = book("[alice]\n");
    users.set_info("alice", "email", "a@b").unwrap();
    for (key, value) in [
        ("salt", "00"),
        ("hash", "x"),
        ("a=b", "c"),
        ("[a]", "b"),
        ("#a", "b"),
        ("a", "b\nc"),
        ("a", " b"),
    ] {
        assert!(users.set_info("alice", key, value).is_err(), "{key}={value}");
    }
    assert!(users.set_info("bob", "email", "x").is_err());
    assert_eq!(users.to_string(), "[alice]\nemail=a@b\n");
}

#[test]
fn what_is_not_concerned_stays() {
    let text = "# top\n\n[alice]\n; of alice\nx=1\n\n# of bob\n[bob]\ny = 2\n\n[groups]\nusers=alice\n# end\n";
    let mut users = book(text);
    assert_eq!(users.to_string(), text.replace("y = 2", "y=2"));
    users.set_info("alice", "z", "3").unwrap();
    assert_eq!(users.to_string(), text.replace("y = 2", "y=2").replace("x=1\n", "x=1\nz=3\n"));
    users.remove_user("alice").unwrap();
    let left = "# top\n\n\n# of bob\n[bob]\ny=2\n\n[groups]\nusers=\n# end\n";
    assert_eq!(users.to_string(), left);
}

#[test]
fn a_file_of_htpasswd_is_left_to_htpasswd() {
    let fault = Book::parse("alice:{SHA}AAAAAAAAAAAAAAAAAAAAAAAAAAA=\n").unwrap_err();
    assert!(fault.help.contains("htpasswd"), "{fault}");
}

proptest! {
    #[test]
    fn what_was_edited_can_be_read_and_edited_again(
        edits in prop::collection::vec((0..6_u8, "[a-c]", "[a-c]"), 0..12),
    ) {
        let mut users = book("");
        for (edit, one, other) in &edits {
            // Those that cannot be done change nothing.
            let before = users.clone();
            let done = match edit {
                0 => users.add_user(one, HASH, 1),
                1 => users.remove_user(one),
                2 => users.set_group(other, &[one]),
                3 => users.remove_member(other, one),
                4 => users.remove_group(other),
                _ => users.set_info(one, "email", other),
            };
            prop_assert!(done.is_ok() || users == before);
        }
        let text = users.to_string();
        let read = book(&text);
        prop_assert_eq!(read.to_string(), text.clone());
        prop_assert_eq!(read.users(), users.users());
        let all = Users::parse(&text).unwrap();
        for user in users.users() {
            prop_assert!(all.has_user(user));
        }
        for group in users.groups() {
            for member in users.members(&group).unwrap() {
                prop_assert!(all.is_member(&member, &group) && all.has_user(&member));
            }
        }
    }
}
