//! Rule files: no text is taken for more than it says.

use std::collections::BTreeSet;

use httpout_proto::auth::{Rule, Users, Access, Who};

/// One input: the text of a rule file.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let lines = text.split('\n').count();
    let rules = match Rule::parse(text) {
        Ok(rules) => rules,
        Err(fault) => {
            assert!(fault.line <= lines && !fault.problem.is_empty() && !fault.help.is_empty());
            return;
        }
    };
    assert!(!rules.is_empty());
    let mut names = BTreeSet::new();
    for rule in &rules {
        let head = text.split('\n').nth(rule.line - 1).unwrap_or_default();
        assert!(head.contains(&*rule.dir.to_string_lossy()), "{head:?} is not {:?}", rule.dir);
        if let Some(name) = &rule.name {
            assert!(!name.is_root() && text.contains(name.as_str()));
            assert!(names.insert(name.as_str().to_owned()), "{name} twice");
        }
        for who in [&rule.read, &rule.write] {
            check(who, text);
        }
        // To write, somebody must be named.
        assert!(rule.write.is_nobody() || text.contains("wu") || text.contains("wg"));
    }
    write(&rules);
}

/// What is written from what was read means the same.
fn write(rules: &[Rule]) {
    let mut text = String::new();
    for rule in rules {
        text += &format!("[{}]\n", rule.dir.display());
        if let Some(name) = &rule.name {
            text += &format!("name=/{name}/\n");
        }
        text += &keys(&rule.read, ["ru", "rg"]);
        text += &keys(&rule.write, ["wu", "wg"]);
    }
    let mut again = Rule::parse(&text).expect("it is well-formed");
    assert_eq!(again.len(), rules.len());
    for (again, rule) in again.iter_mut().zip(rules) {
        again.line = rule.line;
    }
    assert_eq!(again, rules);
}

fn keys(who: &Who, [users, groups]: [&str; 2]) -> String {
    let list = |names: &BTreeSet<String>| match names.iter().map(String::as_str).collect::<Vec<_>>()
    {
        names if names.is_empty() => "$NONE".to_owned(),
        names => names.join(","),
    };
    match who {
        Who::Everybody => format!("{users}=$ALL\n"),
        Who::Members { users: u, groups: g } => {
            format!("{users}={}\n{groups}={}\n", list(u), list(g))
        }
    }
}

fn check(who: &Who, text: &str) {
    let nobody = Users::default();
    match who {
        Who::Everybody => {
            assert_eq!(who.verdict(None, &nobody), Access::Allowed);
            assert_eq!(who.verdict(Some("x"), &nobody), Access::Allowed);
        }
        Who::Members { users, groups } => {
            assert!(users.iter().chain(groups).all(|name| !name.is_empty() && text.contains(name)));
            let expected = if who.is_nobody() { Access::Refused } else { Access::Unidentified };
            assert_eq!(who.verdict(None, &nobody), expected);
            assert!(users.iter().all(|user| who.verdict(Some(user), &nobody) == Access::Allowed));
            assert_eq!(who.verdict(Some("\u{1}"), &nobody), Access::Refused);
        }
    }
}
