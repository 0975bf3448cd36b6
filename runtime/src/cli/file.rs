//! A TOML file of options: flat, `NAME = VALUE`.

use std::{
    any::TypeId,
    collections::BTreeMap,
    ffi::OsString,
    fs,
    ops::Range,
    path::{Path, PathBuf},
};

use clap::{Arg, Command, Error, Id, error::ErrorKind};
use toml::{
    Spanned,
    de::{DeInteger, DeTable, DeValue},
};

use super::{
    normalize,
    sources::{FILE, nearest},
};

/// One option of a file.
#[derive(Debug)]
pub(super) struct Setting {
    pub(super) id: Id,
    /// The option's name on the command line.
    pub(super) long: String,
    /// Its values, as on the command line.
    pub(super) values: Vec<String>,
    /// Whether it was written as an array.
    pub(super) is_array: bool,
    /// The file, line and key, for messages.
    pub(super) origin: String,
}

/// Reads a file of options.
///
/// # Errors
/// A file that cannot be read or is not TOML, a table, an unknown key, a key given twice, a value
/// of a wrong type. Whether a value is right is not looked at.
pub(super) fn read(path: &Path, command: &Command) -> Result<Vec<Setting>, Error> {
    let bytes = fs::read(path).map_err(|error| {
        let problem = format!("{}: cannot be read: {error}", path.display());
        raw(ErrorKind::Io, &problem, "name a file that exists with --config or HTTPOUT_CONFIG")
    })?;
    let text = str::from_utf8(&bytes).map_err(|error| {
        let line = line(&bytes, error.valid_up_to());
        let problem = format!("{} line {line}: this is not UTF-8", path.display());
        raw(ErrorKind::InvalidUtf8, &problem, "save the file in that encoding")
    })?;
    let source = Source { path, text };
    let table = DeTable::parse(text).map_err(|error| source.not_toml(&error))?;
    let mut entries: Vec<_> = table.get_ref().iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    let mut lines = BTreeMap::new();
    let mut settings = Vec::new();
    for (key, value) in entries {
        let setting = source.setting(key, value.get_ref(), command)?;
        let line = line(source.text.as_bytes(), key.span().start);
        if let Some(before) = lines.insert(setting.long.clone(), line) {
            let problem = format!("{}: given on line {before} already", setting.origin);
            return Err(raw(ErrorKind::ArgumentConflict, &problem, "keep one of them"));
        }
        settings.push(setting);
    }
    Ok(settings)
}

/// What a value in the file may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// `true` or `false`.
    Boolean,
    /// A string only.
    Text,
    /// A number, or a string that says more, such as `50M` or `auto`.
    Other,
}

impl Kind {
    fn of(arg: &Arg) -> Self {
        if normalize::is_boolean(arg) {
            Self::Boolean
        } else if is_text(arg) {
            Self::Text
        } else {
            Self::Other
        }
    }

    /// What to write.
    fn hint(self) -> &'static str {
        match self {
            Self::Boolean => "write true or false",
            Self::Text => "write it in quotes",
            Self::Other => "write a number, or a string in quotes",
        }
    }
}

struct Source<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Source<'_> {
    fn setting(
        &self,
        key: &Spanned<impl AsRef<str>>,
        value: &DeValue<'_>,
        command: &Command,
    ) -> Result<Setting, Error> {
        let (line, _) = self.position(&key.span());
        let key = key.get_ref().as_ref();
        let origin = format!("{} line {line}: {}", self.path.display(), key.escape_debug());
        if is_table(value) {
            let problem = format!("{origin}: there are no tables in this file");
            return Err(raw(
                ErrorKind::InvalidValue,
                &problem,
                "write NAME = VALUE, outside of any",
            ));
        }
        let Some(arg) = normalize::find(command, key.as_bytes()) else {
            let place = format!("{} line {line}", self.path.display());
            return Err(unknown(&place, key, command));
        };
        let long = normalize::long(arg).to_owned();
        if long == FILE {
            let problem = format!("{origin}: a file cannot name another");
            return Err(raw(ErrorKind::UnknownArgument, &problem, "leave it out"));
        }
        let wrong = |problem: String, help: &str| {
            Err(raw(ErrorKind::InvalidValue, &format!("{origin}: {problem}"), help))
        };
        let (kind, is_array) = (Kind::of(arg), value.is_array());
        if is_array && !is_list(arg) {
            return wrong("this option has one value, not an array".into(), kind.hint());
        }
        let items = match value.as_array() {
            Some(items) => items.iter().map(Spanned::get_ref).collect(),
            None => vec![value],
        };
        let mut values = Vec::new();
        for item in items {
            match text_of(item, kind) {
                Some(text) => values.push(text),
                None => return wrong(format!("{} is wrong here", name_of(item)), kind.hint()),
            }
        }
        Ok(Setting { id: arg.get_id().clone(), long, values, is_array, origin })
    }

    fn not_toml(&self, error: &toml::de::Error) -> Error {
        let place = error.span().map_or_else(String::new, |span| {
            let (line, column) = self.position(&span);
            format!(" line {line}, column {column}")
        });
        let problem =
            format!("{}{place}: this is not TOML: {}", self.path.display(), error.message());
        raw(ErrorKind::InvalidValue, &problem, "write NAME = VALUE, with text and paths in quotes")
    }

    /// Line and column of the start, from 1; the column in characters.
    fn position(&self, span: &Range<usize>) -> (usize, usize) {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let in_line = before.rsplit('\n').next().unwrap_or_default();
        (line(self.text.as_bytes(), before.len()), in_line.chars().count() + 1)
    }
}

/// Number of the line, from 1.
fn line(text: &[u8], offset: usize) -> usize {
    text.iter().take(offset).filter(|&&byte| byte == b'\n').count() + 1
}

fn unknown(place: &str, key: &str, command: &Command) -> Error {
    let problem = format!("{place}: unknown option {}", key.escape_debug());
    let help = nearest(command, key)
        .map_or_else(|| "--help lists them".into(), |near| format!("did you mean {near}?"));
    raw(ErrorKind::UnknownArgument, &problem, &help)
}

fn is_table(value: &DeValue<'_>) -> bool {
    value.is_table()
        || value.as_array().is_some_and(|items| items.iter().any(|item| item.get_ref().is_table()))
}

/// Whether the values of an option are any text, or paths.
pub(super) fn is_text(arg: &Arg) -> bool {
    let texts = [TypeId::of::<String>(), TypeId::of::<PathBuf>(), TypeId::of::<OsString>()];
    texts.iter().any(|text| arg.get_value_parser().type_id() == *text)
}

/// Whether an option may have several values.
fn is_list(arg: &Arg) -> bool {
    arg.get_value_delimiter().is_some() || matches!(arg.get_action(), clap::ArgAction::Append)
}

/// The value as on the command line, if its type may stand there.
fn text_of(value: &DeValue<'_>, kind: Kind) -> Option<String> {
    match (value, kind) {
        (DeValue::Boolean(value), Kind::Boolean) => Some(value.to_string()),
        (DeValue::String(text), Kind::Text | Kind::Other) => Some(text.to_string()),
        (DeValue::Integer(number), Kind::Other) => Some(decimal(number)),
        (DeValue::Float(number), Kind::Other) => Some(number.as_str().to_owned()),
        (
            DeValue::Boolean(_)
            | DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_),
            _,
        ) => None,
    }
}

/// In decimal digits, if it is not too large for that.
fn decimal(number: &DeInteger<'_>) -> String {
    i128::from_str_radix(number.as_str(), number.radix())
        .map_or_else(|_| number.to_string(), |number| number.to_string())
}

fn name_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::Boolean(_) => "a boolean",
        DeValue::String(_) => "a string",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

fn raw(kind: ErrorKind, problem: &str, help: &str) -> Error {
    Error::raw(kind, format!("{problem}; {help}\n"))
}
