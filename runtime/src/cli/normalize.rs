//! The words of a command line, before clap reads them: both spellings of names become one, and the
//! original's one-string form becomes options.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::Path,
};

use clap::{Arg, Command, Error, error::ErrorKind};

use super::{one_string, values::boolean};

/// Rewrites all arguments behind the program's name to `--name=value`, `--name` and `-n`. An option
/// that is unknown is left, to be refused by clap, which tells the nearest name.
pub(super) fn expand(
    args: impl IntoIterator<Item = OsString>,
    command: &mut Command,
) -> Result<Vec<OsString>, Error> {
    let mut args = args.into_iter();
    let mut out: Vec<OsString> = args.next().into_iter().collect();
    let mut args = args.peekable();
    let mut directories = Vec::new();
    while let Some(arg) = args.next() {
        let bytes = arg.as_bytes();
        if !bytes.starts_with(b"-") {
            match Word::read(&arg, command).map_err(|text| refused(command, text))? {
                Word::Options(options) => out.extend(options),
                Word::Directory => directories.push(arg),
            }
            continue;
        }
        let (found, value) = match bytes.strip_prefix(b"--") {
            Some(long) => {
                let (name, value) = split(long);
                (find(command, name), value)
            }
            None => find_short(command, &bytes[1..]),
        };
        match (found, value) {
            (None, _) => {
                // The words behind it may be its values: only the unknown name shall be complained
                // of.
                out.push(arg);
                out.extend(args);
                break;
            }
            (Some(found), Some(value)) => {
                let given = given(found, value, command);
                out.extend(given.map_err(|text| refused(command, text))?);
            }
            (Some(found), None) if is_boolean(found) => {
                let literal =
                    args.next_if(|next| next.to_str().is_some_and(|next| boolean(next).is_ok()));
                out.push(
                    literal
                        .map_or_else(|| bare(found), |literal| option(found, literal.as_bytes())),
                );
            }
            (Some(found), None) => match args.next_if(|next| is_value(next.as_bytes())) {
                Some(value) => {
                    let given = given(found, value.as_bytes(), command);
                    out.extend(given.map_err(|text| refused(command, text))?);
                }
                None => out.push(bare(found)),
            },
        }
    }
    add_directories(&directories, &mut out, command);
    Ok(out)
}

/// An option with its value; and, if the value is a URL with options behind it, these too.
fn given(arg: &Arg, value: &[u8], command: &Command) -> Result<Vec<OsString>, String> {
    if long(arg) != "dst" || !value.windows(3).any(|window| window == b"://") {
        return Ok(vec![option(arg, value)]);
    }
    let (url, rest) = one_string::url(value, command)?;
    let mut options = vec![option(arg, url)];
    options.extend(one_string::options(rest, command, value)?);
    Ok(options)
}

/// What an argument that begins with no hyphen is.
enum Word {
    Options(Vec<OsString>),
    /// A directory to serve.
    Directory,
}

impl Word {
    fn read(arg: &OsStr, command: &Command) -> Result<Self, String> {
        let bytes = arg.as_bytes();
        if bytes == b"httpout" {
            return Ok(Self::Options(Vec::new()));
        }
        let options = |text| one_string::options(text, command, bytes).map(Self::Options);
        if let Some(text) = bytes.strip_prefix(b"httpout:") {
            return options(text);
        }
        let first = &bytes[..bytes.iter().position(|&b| b == b':').unwrap_or(bytes.len())];
        let exists = || Path::new(arg).exists();
        match split(first) {
            // The name of an option, or one of its values.
            (name, None)
                if find(command, name).is_some()
                    || !one_string::chosen_by(command, name).is_empty() =>
            {
                if first.len() == bytes.len() && exists() {
                    let name = arg.display();
                    return Err(format!(
                        "'{name}' is an option and there is a directory of this name: write httpout:{name} or ./{name}"
                    ));
                }
                options(bytes)
            }
            (name, Some(_)) if is_name(name) => options(bytes),
            _ if bytes.starts_with(b"::") || bytes.starts_with(b"!") => options(bytes),
            _ if bytes.starts_with(b":") => options(&bytes[1..]),
            _ if exists() => Ok(Self::Directory),
            (name, None) if first.len() == bytes.len() => {
                let near = if is_name(name) { one_string::near(command, arg) } else { None };
                match near {
                    Some(near) => Err(format!(
                        "unexpected '{0}': there is neither a directory of this name to be served (--rdirs {0}), \
                         nor an option; did you mean {near}?",
                        arg.display()
                    )),
                    None => Ok(Self::Directory),
                }
            }
            // A directory with options behind it.
            _ => options(&[b"rdirs=", bytes].concat()),
        }
    }
}

/// Adds directories to those of `rdirs`. The comma of one that is there is a part of its name.
fn add_directories(directories: &[OsString], out: &mut Vec<OsString>, command: &mut Command) {
    let has_comma = |path: &OsString| path.as_bytes().contains(&b',');
    let is_one = directories.iter().any(|path| has_comma(path) && Path::new(path).exists());
    let Some(rdirs) = find(command, b"rdirs").cloned() else { return };
    if is_one {
        // No list is divided any more where one name has a comma.
        *command = command.clone().mut_arg(rdirs.get_id(), |arg| arg.value_delimiter(None));
        for arg in std::mem::take(out) {
            match arg.as_bytes().strip_prefix(b"--rdirs=") {
                Some(list) => out.extend(list.split(|&b| b == b',').map(|dir| option(&rdirs, dir))),
                None => out.push(arg),
            }
        }
    }
    out.extend(directories.iter().map(|directory| option(&rdirs, directory.as_bytes())));
}

fn refused(command: &mut Command, text: String) -> Error {
    command.error(ErrorKind::UnknownArgument, text)
}

/// The option of this name, however it is spelled.
pub(super) fn find<'a>(command: &'a Command, name: &[u8]) -> Option<&'a Arg> {
    let same = |a: u8, b: u8| a == b || matches!((a, b), (b'-', b'_') | (b'_', b'-'));
    command.get_arguments().find(|arg| {
        arg.get_long().is_some_and(|long| {
            long.len() == name.len() && long.bytes().zip(name).all(|(a, &b)| same(a, b))
        })
    })
}

/// The option of this letter, and the value that stands right behind it.
fn find_short<'a, 'b>(command: &'a Command, text: &'b [u8]) -> (Option<&'a Arg>, Option<&'b [u8]>) {
    let Some((&letter, rest)) = text.split_first() else { return (None, None) };
    let found = command.get_arguments().find(|arg| arg.get_short() == Some(letter.into()));
    let value = rest.strip_prefix(b"=").unwrap_or(rest);
    (found, (!rest.is_empty()).then_some(value))
}

pub(super) fn is_boolean(arg: &Arg) -> bool {
    arg.get_num_args().is_some_and(|number| number.min_values() == 0)
}

/// A dash is standard input or output, with properties perhaps.
fn is_value(text: &[u8]) -> bool {
    !text.starts_with(b"-") || text == b"-" || text.starts_with(b"-:#")
}

pub(super) fn is_name(text: &[u8]) -> bool {
    text.first().is_some_and(u8::is_ascii_alphabetic)
        && text.iter().all(|&b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

pub(super) fn split(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    match text.iter().position(|&b| b == b'=') {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    }
}

/// Clap takes it for true, or says that the value is missing.
pub(super) fn bare(arg: &Arg) -> OsString {
    format!("--{}", long(arg)).into()
}

pub(super) fn option(arg: &Arg, value: &[u8]) -> OsString {
    OsString::from_vec([b"--", long(arg).as_bytes(), b"=", value].concat())
}

/// The option's name, in the spelling that clap knows.
pub(super) fn long(arg: &Arg) -> &str {
    arg.get_long().unwrap_or_default()
}
