//! Rule files and users files, written from what they shall mean, against a model that asks the
//! meaning alone.

use std::fmt::Write as _;

use proptest::{prelude::*, sample::select};

use super::*;

const USERS: [&str; 4] = ["alice", "bob", "carol", "dave"];
const GROUPS: [&str; 3] = ["staff", "encoders", "void"];

/// What a key that lists users or groups says.
#[derive(Clone, Debug)]
enum List {
    Absent,
    All,
    None,
    Names(Vec<&'static str>),
}

/// A section: who reads and writes it, as users and groups.
#[derive(Clone, Debug)]
struct Sketch {
    read: (List, List),
    write: (List, List),
    name: Option<String>,
    filters: Option<&'static str>,
    mcast: bool,
    /// Comments, white space, line ends, the order of keys: what changes nothing.
    manner: Vec<u8>,
}

/// What spoils a file, and what its fault speaks of.
const SPOILT: [(&str, &str); 16] = [
    ("ru=", "$NONE"),
    ("rg=staff,", "$NONE"),
    ("wu=alice,$ALL", "$ALL"),
    ("wg=$NONE,staff", "$NONE"),
    ("ru=$NONE,$ALL", "$ALL"),
    ("rgs=staff", "did you mean rg"),
    ("filter=httpout", "did you mean filters"),
    ("whatever=x", "whatever"),
    ("name=a/../b", "a/../b"),
    ("name=.", "."),
    ("name=a//b", "a//b"),
    ("alice", "neither"),
    ("=x", "neither"),
    ("[void", "section"),
    ("[void]\nmcast=x\nmcast=x", "already"),
    ("[void]\nwu=a\u{1}b", "control"),
];

fn list(names: &'static [&'static str]) -> impl Strategy<Value = List> {
    prop_oneof![
        3 => Just(List::Absent),
        1 => Just(List::All),
        1 => Just(List::None),
        3 => prop::collection::vec(select(names), 1..4).prop_map(List::Names),
    ]
}

fn sketch() -> impl Strategy<Value = Sketch> {
    (
        (list(&USERS), list(&GROUPS)),
        (list(&USERS), list(&GROUPS)),
        prop::option::of("[a-c]{1,2}(/[a-c]){0,2}"),
        prop::option::of(select(&[
            "",
            "*",
            "all",
            "httpout",
            "rtspout, httpout",
            "rtspout",
            "httpouts",
        ])),
        any::<bool>(),
        prop::collection::vec(any::<u8>(), 8),
    )
        .prop_map(|(read, write, name, filters, mcast, manner)| Sketch {
            read,
            write,
            name,
            filters,
            mcast,
            manner,
        })
}

impl Sketch {
    fn write(&self, dir: usize, out: &mut String) {
        let text = |list: &List| match list {
            List::Absent => None,
            List::All => Some("$ALL".to_owned()),
            List::None => Some("$NONE".to_owned()),
            List::Names(names) => {
                Some(names.join([",", ", ", "\t,"][usize::from(self.manner[0] % 3)]))
            }
        };
        let mut keys = vec![
            ("ru", text(&self.read.0)),
            ("rg", text(&self.read.1)),
            ("wu", text(&self.write.0)),
            ("wg", text(&self.write.1)),
            (
                "name",
                self.name.clone().map(|name| if self.mcast { format!("/{name}/") } else { name }),
            ),
            ("filters", self.filters.map(str::to_owned)),
            ("mcast", self.mcast.then(|| "anything at all".to_owned())),
        ];
        if keys.iter().all(|(_, value)| value.is_none()) {
            // A file must not end with a section that has no keys.
            keys[6].1 = Some("something".to_owned());
        }
        keys.rotate_left(usize::from(self.manner[1] % 7));
        let end = if self.manner[2].is_multiple_of(2) { "\n" } else { "\r\n" };
        write!(out, "[dir{dir}]{end}").unwrap();
        let keys = keys.into_iter().filter_map(|(name, value)| Some((name, value?)));
        for ((name, value), manner) in keys.zip(self.manner.iter().cycle()) {
            match manner % 5 {
                0 => write!(out, "{name}={value}{end}"),
                1 => write!(out, "  {name} = {value}\t{end}"),
                2 => write!(out, "# ru=$ALL{end}{name}={value}{end}"),
                3 => write!(out, "{end}{name}= {value}{end};[void]{end}"),
                _ => write!(out, "\t{name}\t={value} {end}"),
            }
            .unwrap();
        }
    }

    fn is_ours(&self) -> bool {
        !matches!(self.filters, Some("rtspout" | "httpouts"))
    }
}

/// Nothing said: `otherwise`. Else one passes who is meant by either list; one without a name is
/// asked for it if any name could help.
fn model(
    (users, groups): &(List, List),
    otherwise: Access,
    who: Option<&str>,
    members: &[(&str, &str)],
) -> Access {
    let said: Vec<_> =
        [users, groups].into_iter().filter(|list| !matches!(list, List::Absent)).collect();
    if said.is_empty() {
        return otherwise;
    }
    if said.iter().any(|list| matches!(list, List::All)) {
        return Access::Allowed;
    }
    if said.iter().all(|list| matches!(list, List::None)) {
        return Access::Refused;
    }
    let Some(who) = who else { return Access::Unidentified };
    let by_name = matches!(users, List::Names(names) if names.contains(&who));
    let by_group = matches!(groups, List::Names(names) if names.iter().any(|group| members.contains(&(group, who))));
    if by_name || by_group { Access::Allowed } else { Access::Refused }
}

fn file(sketches: &[Sketch]) -> String {
    let mut text = String::new();
    for (dir, sketch) in sketches.iter().enumerate() {
        sketch.write(dir, &mut text);
    }
    text
}

fn has_a_name_twice(sketches: &[Sketch]) -> bool {
    let names: Vec<_> = sketches
        .iter()
        .filter(|sketch| sketch.is_ours())
        .filter_map(|sketch| sketch.name.as_ref())
        .collect();
    (1..names.len()).any(|at| names[..at].contains(&names[at]))
}

proptest! {
    #[test]
    fn verdicts_are_those_of_the_model(
        sketches in prop::collection::vec(sketch(), 1..5),
        members in prop::collection::vec((select(&GROUPS[..2]), select(&USERS)), 0..6),
    ) {
        // `dave` is in groups, perhaps, but no user any more.
        let mut text = "[alice]\n[bob]\n[carol]\n[groups]\n".to_owned();
        for group in &GROUPS[..2] {
            let names: Vec<_> =
                members.iter().filter(|(of, _)| of == group).map(|(_, name)| *name).collect();
            writeln!(text, "{group} = {}", names.join(" , ")).unwrap();
        }
        let users = Users::parse(&text).unwrap();
        let ours: Vec<_> =
            sketches.iter().enumerate().filter(|(_, sketch)| sketch.is_ours()).collect();
        let read = Rule::parse(&file(&sketches));
        if ours.is_empty() || has_a_name_twice(&sketches) {
            prop_assert!(read.is_err());
            return Ok(());
        }
        let rules = read.unwrap();
        prop_assert_eq!(rules.len(), ours.len());
        for (rule, (dir, sketch)) in rules.iter().zip(ours) {
            prop_assert_eq!(&rule.dir, &std::path::PathBuf::from(format!("dir{dir}")));
            prop_assert_eq!(rule.name.as_ref().map(ToString::to_string), sketch.name.clone());
            for who in [None, Some("alice"), Some("bob"), Some("carol"), Some("dave"), Some("eve")] {
                let (read, write) = (rule.read.verdict(who, &users), rule.write.verdict(who, &users));
                prop_assert_eq!(read, model(&sketch.read, Access::Allowed, who, &members), "read {:?}", who);
                prop_assert_eq!(write, model(&sketch.write, Access::Refused, who, &members), "write {:?}", who);
            }
        }
    }

    /// One line spoils the file, and is the one that is named.
    #[test]
    fn a_fault_is_found_where_it_is(
        before in prop::collection::vec(sketch(), 0..3),
        after in sketch(),
        (spoilt, says) in select(&SPOILT),
    ) {
        prop_assume!(!has_a_name_twice(&before));
        let mut text = file(&before);
        if !spoilt.starts_with('[') {
            text.push_str("[void]\n");
        }
        text.push_str(spoilt);
        let line = text.lines().count();
        text.push('\n');
        after.write(9, &mut text);
        // A name of the last section's own can only be wrong behind the fault.
        let fault = Rule::parse(&text).unwrap_err();
        prop_assert_eq!(fault.line, line, "{}", fault);
        prop_assert!(fault.to_string().contains(says), "{}", fault);
    }
}
