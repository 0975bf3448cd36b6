//! Options in one string, as GPAC writes them: `NAME=VALUE:NAME:!NAME:VALUE`.
//!
//! ```text
//! options = [ option *( ":" option ) ]
//! option  = NAME "=" VALUE        ends at the next colon with an option behind it
//!         / NAME                  a BOOL, true
//!         / "!" NAME              a BOOL, false
//!         / VALUE                 of the one option that has such a choice: push is hmode=push
//!         / "::" option           taken as it is, up to the next "::"
//!         / "gpac"                ends the value before it
//! ```

use std::ffi::{OsStr, OsString};

use clap::{Arg, Command, builder::PossibleValue};
use httpout_proto::{auth, push::redact};

use super::{
    normalize::{bare, find, is_boolean, is_name, long, option, split},
    sources::nearest,
    values::boolean,
};

/// Options of GPAC's filters and filter graph, which have no meaning here.
const GRAPH: [&str; 14] = [
    "FID", "SID", "RSID", "N", "FS", "FBT", "FBU", "DL", "TAG", "ITAG", "clone", "gfreg", "gfloc",
    "gfopt",
];

/// Shorter words are nearly an option too often.
const SHORTEST: usize = 4;

/// Ends a value, so that what stands behind it is an option.
const END: &[u8] = b":gpac";

/// Rewrites options to `--name=value`. `whole` is the argument that they are a part of, for errors.
///
/// # Errors
/// What is no option, and how to write what may be meant.
pub(super) fn options(
    text: &[u8],
    command: &Command,
    whole: &[u8],
) -> Result<Vec<OsString>, String> {
    let parser = Parser { command, whole };
    let mut rest = text;
    let mut options = Vec::new();
    while !rest.is_empty() {
        let (option, next) =
            if rest.starts_with(b":") { parser.quoted(rest)? } else { parser.next(rest)? };
        options.extend(option);
        rest = next;
    }
    Ok(options)
}

/// Divides the value of `dst` into a URL and the options behind it.
///
/// # Errors
/// Something behind the URL that looks like an option and is none.
pub(super) fn url<'a>(url: &'a [u8], command: &Command) -> Result<(&'a [u8], &'a [u8]), String> {
    Parser { command, whole: url }.url(url)
}

/// The options that have this value among few, which names them where their own name is left out.
pub(super) fn chosen_by<'a>(command: &'a Command, value: &[u8]) -> Vec<&'a Arg> {
    let Ok(value) = str::from_utf8(value) else { return Vec::new() };
    let has_choice = |arg: &&Arg| {
        !is_boolean(arg)
            && arg.get_possible_values().iter().any(|choice| choice.matches(value, false))
    };
    command.get_arguments().filter(has_choice).collect()
}

struct Parser<'a> {
    command: &'a Command,
    whole: &'a [u8],
}

/// What a text begins with.
enum Head {
    /// An option.
    Option,
    /// A word that looks like an option.
    Unknown,
    /// A property, `#NAME=VALUE`.
    Property,
    /// Something else.
    Other,
}

impl Parser<'_> {
    /// An option behind a double colon, and what is behind the next one.
    fn quoted<'t>(&self, text: &'t [u8]) -> Result<(Option<OsString>, &'t [u8]), String> {
        let start = text.iter().position(|&b| b != b':').unwrap_or(text.len());
        let text = &text[start..];
        let end = position(text, b"::").unwrap_or(text.len());
        let rest = text.get(end + 2..).unwrap_or_default();
        if end == 0 {
            return Ok((None, rest));
        }
        let option = match split(&text[..end]) {
            (name, Some(value)) => Some(self.valued(name, value)?),
            (word, None) => self.word(word)?,
        };
        Ok((option, rest))
    }

    /// The first option, and what is behind it.
    fn next<'t>(&self, text: &'t [u8]) -> Result<(Option<OsString>, &'t [u8]), String> {
        let end = text.iter().position(|&b| b == b':').unwrap_or(text.len());
        let (name, Some(_)) = split(&text[..end]) else {
            return Ok((self.word(&text[..end])?, after_colon(text, end)));
        };
        let value = &text[name.len() + 1..];
        let found = self.find(name)?;
        let (value, rest) = if long(found) == "dst" && position(value, b"://").is_some() {
            self.url(value)?
        } else {
            self.value(found, value)?
        };
        Ok((Some(self.valued(name, value)?), rest))
    }

    /// Where the value of an option ends: at a colon with an option behind it. A colon inside of a
    /// value is one that has something behind it that cannot be an option.
    fn value<'t>(&self, arg: &Arg, text: &'t [u8]) -> Result<(&'t [u8], &'t [u8]), String> {
        let mut from = 0;
        while let Some(at) = text[from..].iter().position(|&b| b == b':').map(|at| at + from) {
            let behind = &text[at + 1..];
            if let Some(rest) = after_end(&text[at..]) {
                return Ok((&text[..at], rest));
            }
            match self.head(behind) {
                Head::Option => return Ok((&text[..at], behind)),
                Head::Unknown if !may_follow(arg, word(behind)) => {
                    return Err(self.unknown(word(behind), Some((arg, text))));
                }
                Head::Property if long(arg) != "input" => return Err(self.misplaced(behind)),
                Head::Unknown | Head::Property | Head::Other => from = at + 1,
            }
        }
        Ok((text, b""))
    }

    /// Where a URL ends: at `:gpac`, else at a colon with an option behind it. In a query, a colon
    /// is usual: there, a word is refused only if it is nearly an option.
    fn url<'t>(&self, text: &'t [u8]) -> Result<(&'t [u8], &'t [u8]), String> {
        let root = position(text, b"://").map_or(0, |at| at + 3);
        let mut from = root + authority(&text[root..]);
        let end = (from..text.len()).find_map(|at| Some((at, after_end(&text[at..])?)));
        let most = end.map_or(text.len(), |(at, _)| at);
        while let Some(at) = text[from..most].iter().position(|&b| b == b':').map(|at| at + from) {
            let behind = &text[at + 1..];
            let is_double = behind.starts_with(b":");
            let is_path = !text[..at].contains(&b'?');
            match self.head(behind) {
                Head::Option if is_double => return Ok((&text[..at], &behind[1..])),
                Head::Option if end.is_none() => return Ok((&text[..at], behind)),
                Head::Unknown
                    if end.is_none()
                        && !begins_with_digit(behind)
                        && (is_path || self.is_slip(word(behind))) =>
                {
                    return Err(self.unknown(word(behind), None));
                }
                Head::Property if end.is_none() => return Err(self.misplaced(behind)),
                Head::Option | Head::Unknown | Head::Property | Head::Other => {
                    from = (at + 1 + usize::from(is_double)).min(most);
                }
            }
        }
        Ok(end.map_or((text, b""), |(at, rest)| (&text[..at], rest)))
    }

    /// What stands behind a colon.
    fn head(&self, text: &[u8]) -> Head {
        let text = text.strip_prefix(b":").unwrap_or(text);
        let segment = word(text);
        let (name, value) = split(segment);
        let plain = name.strip_prefix(b"!").unwrap_or(name);
        let is_known = find(self.command, plain).is_some()
            || value.is_none() && !chosen_by(self.command, name).is_empty();
        let is_graph = GRAPH.iter().any(|own| own.as_bytes() == plain);
        if is_known || is_graph || text.is_empty() || segment == &END[1..] {
            return Head::Option;
        }
        if value.is_some() && name.strip_prefix(b"#").is_some_and(is_name) {
            return Head::Property;
        }
        let is_word = match value {
            Some(_) => is_name(plain),
            None => !plain.is_empty() && plain.iter().copied().all(is_of_word),
        };
        if is_word { Head::Unknown } else { Head::Other }
    }

    /// `NAME`, `!NAME` or `VALUE`.
    fn word(&self, word: &[u8]) -> Result<Option<OsString>, String> {
        if word.is_empty() || word == &END[1..] {
            return Ok(None);
        }
        if let Some(name) = word.strip_prefix(b"!") {
            let found = self.find(name)?;
            return self.negated(found, b"true").map(Some);
        }
        if let Some(found) = find(self.command, word) {
            return Ok(Some(bare(found)));
        }
        let chosen = chosen_by(self.command, word);
        match chosen[..] {
            [] => Err(self.unknown(word, None)),
            [arg] => Ok(Some(option(arg, word))),
            [..] => {
                let word = show(word);
                let ways: Vec<_> =
                    chosen.iter().map(|arg| format!("{}={word}", long(arg))).collect();
                Err(format!("'{word}' is a value of several options: write {}", ways.join(" or ")))
            }
        }
    }

    /// `NAME=VALUE` or `!NAME=VALUE`.
    fn valued(&self, name: &[u8], value: &[u8]) -> Result<OsString, String> {
        match name.strip_prefix(b"!") {
            Some(name) => self.negated(self.find(name)?, value),
            None => Ok(option(self.find(name)?, value)),
        }
    }

    fn negated(&self, arg: &Arg, value: &[u8]) -> Result<OsString, String> {
        let name = long(arg);
        if !is_boolean(arg) {
            let whole = self.whole();
            return Err(format!(
                "'!{name}' in '{whole}': {name} is neither true nor false; write {name}=VALUE"
            ));
        }
        let value = str::from_utf8(value).ok().and_then(|value| boolean(value).ok());
        match value {
            Some(value) => Ok(option(arg, if value { b"false" } else { b"true" })),
            None => Err(format!("'!{name}' has a value that is neither true nor false")),
        }
    }

    fn find(&self, name: &[u8]) -> Result<&Arg, String> {
        let plain = name.strip_prefix(b"!").unwrap_or(name);
        find(self.command, plain).ok_or_else(|| self.unknown(name, None))
    }

    /// `within`: the option, and the text of its value, that the word would otherwise be a part of.
    fn unknown(&self, word: &[u8], within: Option<(&Arg, &[u8])>) -> String {
        let (name, value) = split(word);
        let name = show(name.strip_prefix(b"!").unwrap_or(name));
        let (whole, is_url) = (self.whole(), position(self.whole, b"://").is_some());
        let mut text = format!("there is no option '--{name}', named in '{whole}'");
        if GRAPH.contains(&&*name) {
            return format!("{text}: it is one of GPAC's filter graph; leave it out");
        }
        text += &match (near(self.command, OsStr::new(&name)), value) {
            (Some(near), _) => format!("; did you mean {near}?"),
            (None, None) if within.is_none() && !is_url => {
                format!("; to serve a directory, write --rdirs {name}")
            }
            (None, _) => "; --help lists them".into(),
        };
        if let Some((arg, value)) = within {
            let (name, value) = (long(arg), redact(&show(value)));
            text += &format!(
                "\nIf it belongs to the value of {name}, write '::{name}={value}::' or --{name} '{value}'"
            );
        } else if is_url {
            text +=
                "\nIf the colon belongs to the URL, write it as %3A, or write :gpac behind the URL";
        }
        text
    }

    /// A property stands where it has no meaning.
    fn misplaced(&self, text: &[u8]) -> String {
        let property = show(word(text).strip_prefix(b"#").unwrap_or_default());
        format!(
            "'#{property}' in '{}' is a property of an input: write -i FILE:#{property} or --prop {property}",
            self.whole()
        )
    }

    /// True if a word is an option or its value but for one letter.
    fn is_slip(&self, word: &[u8]) -> bool {
        let (name, _) = split(word);
        let Ok(name) = str::from_utf8(name.strip_prefix(b"!").unwrap_or(name)) else {
            return false;
        };
        let name = name.replace('-', "_");
        let names = self.command.get_arguments().map(|arg| long(arg).replace('-', "_"));
        let arguments = self.command.get_arguments().filter(|arg| !is_boolean(arg));
        let choices = arguments.flat_map(Arg::get_possible_values);
        let choices = choices.map(|choice| choice.get_name().to_owned());
        let known: Vec<_> = names.chain(choices).collect();
        name.len() >= SHORTEST && auth::is_slip(&name, known.iter().map(String::as_str))
    }

    fn whole(&self) -> String {
        redact(&show(self.whole))
    }
}

/// The option or the value that a word may be meant to be, as it is to be written.
pub(super) fn near(command: &Command, word: &OsStr) -> Option<String> {
    let word = word.to_str()?;
    if let Some(near) = nearest(command, word)
        && let Some(arg) = find(command, near.as_bytes())
    {
        return Some(format!("'--{}'", long(arg)));
    }
    let choices = command.get_arguments().filter(|arg| !is_boolean(arg));
    let choices: Vec<_> = choices.flat_map(Arg::get_possible_values).collect();
    let near = auth::nearest(word, choices.iter().map(PossibleValue::get_name))?;
    Some(format!("'{near}'"))
}

/// Length of `USER:PASSWORD@HOST:PORT` at the beginning of a text.
fn authority(text: &[u8]) -> usize {
    let end = text.iter().position(|b| b"/?#".contains(b)).unwrap_or(text.len());
    let host = text[..end].iter().rposition(|&b| b == b'@').map_or(0, |at| at + 1);
    let name = match text[host..end].iter().position(|&b| b == b']') {
        Some(at) if text[host] == b'[' => host + at + 1,
        Some(_) | None => {
            text[host..end].iter().position(|&b| b == b':').map_or(end, |at| host + at)
        }
    };
    let Some(port) = text[name..end].strip_prefix(b":") else { return name };
    let digits = port.iter().take_while(|b| b.is_ascii_digit()).count();
    let is_port = matches!(port.get(digits), None | Some(b':'));
    if is_port && (digits > 0 || port.is_empty()) { name + 1 + digits } else { name }
}

/// An address has colons of its own.
fn may_follow(arg: &Arg, word: &[u8]) -> bool {
    matches!(long(arg), "admin" | "ifce")
        && split(word).1.is_none()
        && word.iter().all(u8::is_ascii_hexdigit)
}

/// What is behind `:gpac`, if the text begins with that.
fn after_end(text: &[u8]) -> Option<&[u8]> {
    match text.strip_prefix(END)? {
        [] => Some(b""),
        [b':', rest @ ..] => Some(rest),
        [..] => None,
    }
}

/// What is behind the colon at `end`. Of a double colon, one is left, which quotes the option
/// behind it.
fn after_colon(text: &[u8], end: usize) -> &[u8] {
    text.get(end + 1..).unwrap_or_default()
}

/// Up to the next colon.
fn word(text: &[u8]) -> &[u8] {
    let text = text.strip_prefix(b":").unwrap_or(text);
    &text[..text.iter().position(|&b| b == b':').unwrap_or(text.len())]
}

fn begins_with_digit(text: &[u8]) -> bool {
    word(text).first().is_some_and(u8::is_ascii_digit)
}

fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

fn position(text: &[u8], sought: &[u8]) -> Option<usize> {
    text.windows(sought.len()).position(|window| window == sought)
}

fn show(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}
