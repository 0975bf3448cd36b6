use proptest::prelude::*;

use super::*;
use crate::auth::{Credential, Users};

const HASH: &str = "$argon2id$v=19$m=1,t=1,p=1$c2FsdA$aGFzaA";

fn book(text: &str) -> UsersFileEditor {
    UsersFileEditor::parse(text).unwrap()
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
    let text = "# top\n\n[alice]\n; of alice\nx=1\n\n# of bob\n[ bob ]\ny = 2\n\n[groups]\nusers=alice\n# end";
    let mut users = book(text);
    assert_eq!(users.to_string(), text);
    users.set_info("alice", "z", "3").unwrap();
    assert_eq!(users.to_string(), text.replace("x=1\n", "x=1\nz=3\n"));
    users.remove_user("alice").unwrap();
    let left = "# top\n\n\n# of bob\n[ bob ]\ny = 2\n\n[groups]\nusers=\n# end";
    assert_eq!(users.to_string(), left);
}

#[test]
fn the_form_of_the_file_stays() {
    for text in
        ["", "\n", "\u{feff}", "\u{feff}[a]\r\nk = v\r\n", "[a]", "[a]\nk=v", "\t[a]\t\n\n\n"]
    {
        assert_eq!(book(text).to_string(), text, "{text:?}");
    }
    let mut users = book("[alice]\r\nx=1");
    users.set_info("alice", "y", "2").unwrap();
    users.set_group("staff", &["alice"]).unwrap();
    assert_eq!(users.to_string(), "[alice]\r\nx=1\r\ny=2\r\n\r\n[groups]\r\nstaff=alice\r\n");
}

#[test]
fn what_cannot_be_used_can_be_mended() {
    let mut users = book("[alice]\nhash=oops\n[bob]\npassword=12\n");
    assert!(Users::parse(&users.to_string()).is_err());
    users.set_hash("alice", HASH, 1).unwrap();
    users.remove_user("bob").unwrap();
    assert!(Users::parse(&users.to_string()).unwrap().credential("alice").is_some());
}

#[test]
fn what_could_not_be_read_again_is_not_written() {
    let mut users = book("[alice]\n");
    for name in ["", " bob", "bob\u{a0}", "bo\nb", "b,c", "[b", "b]", "b=c", "groups"] {
        assert!(users.add_user(name, HASH, 1).is_err(), "{name:?}");
    }
    for hash in ["", "secret", "{SHA}x", "$argon2id$x\n[bob]", "$argon2id$x "] {
        assert!(users.add_user("bob", hash, 1).is_err(), "{hash:?}");
        assert!(users.set_hash("alice", hash, 1).is_err(), "{hash:?}");
    }
    let mut spoilt = book("[alice],[bob]\n");
    assert_eq!(spoilt.users(), ["alice],[bob"]);
    assert!(spoilt.set_group("staff", &["alice],[bob"]).is_err());
    assert!(spoilt.groups().is_empty());
    for group in ["", "#g", ";g", "[g", "a=b", "a,b", " g"] {
        assert!(users.set_group(group, &["alice"]).is_err(), "{group:?}");
    }
    assert_eq!(users.to_string(), "[alice]\n");
}

#[test]
fn a_file_of_htpasswd_is_left_to_htpasswd() {
    for hash in ["{SHA}AAAAAAAAAAAAAAAAAAAAAAAAAAA=", HASH, "$2y$05$abc"] {
        let fault = UsersFileEditor::parse(&format!("\u{feff}\n# x\nalice:{hash}\n")).unwrap_err();
        assert_eq!(fault.line, 0);
        assert!(fault.help.contains("htpasswd"), "{fault}");
    }
}

#[test]
fn faults_name_their_line() {
    for (text, line) in [("[a]\nx", 2), ("[a]\nk=1\nk=2", 3), ("[a]\n\n[a]", 3), ("[a", 1)] {
        assert_eq!(UsersFileEditor::parse(text).unwrap_err().line, line, "{text:?}");
    }
}

#[test]
fn secrets_are_not_shown() {
    let users = book("[alice]\nhash=$argon2id$hush\nsalt=hush\npassword=hush\n");
    assert!(users.user_info("alice").unwrap().is_empty());
    assert!(!format!("{users:?}").contains("hush"), "{users:?}");
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

    /// Sections written in any manner: what is done to one user leaves the bytes of the others.
    #[test]
    fn other_sections_survive_byte_for_byte(
        (order, at) in Just(vec!["a", "b", "c", "d"]).prop_shuffle().prop_flat_map(|order| (Just(order), 0..4_usize)),
        bodies in prop::collection::vec(
            prop::collection::vec("[ \t]{0,2}(k[0-9]{1,3}[ \t]?=[ \t]?[ -~é]{0,5}|[#;][ -~]{0,6}|)[ \t]{0,2}", 0..4), 4),
        bom: bool,
        crlf: bool,
        ended: bool,
        edits in prop::collection::vec(0..4_u8, 1..5),
    ) {
        let end = if crlf { "\r\n" } else { "\n" };
        let blocks: Vec<_> = order.iter().zip(&bodies).map(|(name, body)| {
            let mut seen = BTreeSet::new();
            let key = |line: &str| line.split('=').next().unwrap().trim().to_owned();
            let body = body.iter().filter(|line| seen.insert(key(line)) || !line.contains("k"));
            std::iter::once(format!("[{name}] ")).chain(body.cloned()).collect::<Vec<_>>()
        }).collect();
        let mut text = blocks.concat().join(end);
        if ended {
            text.push_str(end);
        }
        if bom {
            text.insert(0, '\u{feff}');
        }
        let mut users = book(&text);
        prop_assert_eq!(users.to_string(), text);
        let one = order[at];
        for edit in edits {
            let done = match edit {
                0 => users.set_hash(one, HASH, 7),
                1 => users.set_info(one, "email", "x@y"),
                2 => users.set_group("staff", &[one]),
                _ => users.remove_user(one),
            };
            prop_assert!(done.is_ok() || users.user_info(one).is_none());
        }
        let text = users.to_string();
        for (_, block) in blocks.iter().enumerate().filter(|(index, _)| *index != at) {
            prop_assert!(text.contains(&block.join(end)), "{:?} is not in {:?}", block, text);
        }
        prop_assert_eq!(book(&text), users);
    }
}
