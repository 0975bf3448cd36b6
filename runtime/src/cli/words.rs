//! The words of a command line, before clap reads them: both spellings of names become one, and the
//! original's one-string form becomes options.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
};

use clap::{Arg, Command, Error, error::ErrorKind};

use super::values::boolean;

/// Rewrites all arguments behind the program's name to `--name=value`, `--name` and `-n`. What is unknown is left, to
/// be refused by clap, which tells the nearest name.
pub(super) fn expand(
    args: impl IntoIterator<Item = OsString>,
    command: &mut Command,
) -> Result<Vec<OsString>, Error> {
    let mut args = args.into_iter();
    let mut out: Vec<OsString> = args.next().into_iter().collect();
    let mut args = args.peekable();
    while let Some(arg) = args.next() {
        let bytes = arg.as_bytes();
        if !bytes.starts_with(b"-") {
            expand_word(&arg, command, &mut out)?;
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
                // The words behind it may be its values: only the unknown name shall be complained of.
                out.push(arg);
                out.extend(args);
                break;
            }
            (Some(found), Some(value)) => out.push(option(found, value)),
            (Some(found), None) if is_boolean(found) => {
                let literal =
                    args.next_if(|next| next.to_str().is_some_and(|next| boolean(next).is_ok()));
                out.push(
                    literal
                        .map_or_else(|| bare(found), |literal| option(found, literal.as_bytes())),
                );
            }
            (Some(found), None) => match args.next_if(|next| is_value(next.as_bytes())) {
                Some(value) => out.push(option(found, value.as_bytes())),
                None => out.push(bare(found)),
            },
        }
    }
    Ok(out)
}

/// `httpout:NAME=value:NAME:NAME=value`. What is neither `NAME` nor `NAME=…` belongs to the value before it, in
/// which case it held a colon.
fn expand_word(word: &OsStr, command: &mut Command, out: &mut Vec<OsString>) -> Result<(), Error> {
    let bytes = word.as_bytes();
    if bytes == b"httpout" {
        return Ok(());
    }
    let mut value: Option<OsString> = None;
    for segment in bytes.strip_prefix(b"httpout:").unwrap_or(bytes).split(|&b| b == b':') {
        let next = match (split(segment), find(command, split(segment).0)) {
            ((_, Some(value)), Some(found)) => Some(option(found, value)),
            ((_, None), Some(found)) => Some(bare(found)),
            // A misspelled name, rather than a path with a colon and an equals sign.
            ((name, Some(_)), None) if is_name(name) => {
                Some(OsString::from_vec([b"--", segment].concat()))
            }
            ((_, _), None) => None,
        };
        match (next, &mut value) {
            (Some(next), _) => out.extend(value.replace(next)),
            (None, Some(value)) if split(value.as_bytes()).1.is_some() => {
                value.push(":");
                value.push(OsStr::from_bytes(segment));
            }
            (None, _) => {
                let (word, segment) =
                    (word.to_string_lossy(), OsStr::from_bytes(segment).to_string_lossy());
                let problem = format!(
                    "unexpected '{segment}' in '{word}': write --NAME VALUE or NAME=VALUE, e.g. --rdirs {segment}"
                );
                return Err(command.error(ErrorKind::UnknownArgument, problem));
            }
        }
    }
    out.extend(value);
    Ok(())
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

fn is_name(text: &[u8]) -> bool {
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
fn bare(arg: &Arg) -> OsString {
    format!("--{}", long(arg)).into()
}

pub(super) fn option(arg: &Arg, value: &[u8]) -> OsString {
    OsString::from_vec([b"--", long(arg).as_bytes(), b"=", value].concat())
}

/// The option's name, in the spelling that clap knows.
pub(super) fn long(arg: &Arg) -> &str {
    arg.get_long().unwrap_or_default()
}
