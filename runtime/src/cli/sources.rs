//! Where options come from besides the command line: variables, and a file. A flag goes before a
//! variable, a variable before the file, the file before the default. All of it follows from clap's
//! table of options.

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
    path::Path,
};

use clap::{
    Arg, ArgMatches, Command, Error,
    error::{ContextKind, ContextValue, ErrorKind},
};

use httpout_proto::push::redact;

use super::{auth, file, normalize};

/// The option that names the file.
pub(super) const FILE: &str = "config";
/// What the variables' names begin with.
pub(super) const PREFIX: &str = "HTTPOUT_";

/// What is to be told of the sources.
#[derive(Clone, Debug, Default)]
pub(super) struct Sources {
    /// By option, for those that are not from the command line: the variable, or the file, line and
    /// key.
    origins: BTreeMap<String, String>,
    /// Variables that look like options and are none.
    pub(super) warnings: Vec<String>,
}

/// Parses flags, which [`normalize::expand`] has rewritten, together with the variables, and with
/// the file that one of them names.
///
/// # Errors
/// Clap's, with its source first where that is not the command line; a file that cannot be read or
/// has an unknown key.
pub(super) fn parse(
    flags: Vec<OsString>,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
    mut command: Command,
) -> Result<(ArgMatches, Sources), Error> {
    // Help is answered whatever the other sources say. What an option requires may come from them.
    if let Err(error) = command.clone().try_get_matches_from(&flags)
        && error.kind() != ErrorKind::MissingRequiredArgument
    {
        return Err(without_secrets(error));
    }
    let mut sources = Sources::default();
    let mut given: BTreeSet<String> =
        flags.iter().filter_map(|flag| Some(split(flag)?.0.to_owned())).collect();
    let mut weaker = Vec::new();
    for (name, value) in own(variables) {
        let Some(arg) = command.get_arguments().find(|arg| variable(arg) == name) else {
            sources.warnings.push(unknown(&command, &name));
            continue;
        };
        let long = normalize::long(arg).to_owned();
        if given.insert(long.clone()) {
            weaker.push(normalize::option(arg, value.as_bytes()));
            sources.origins.insert(long, name);
        }
    }
    let file =
        weaker.iter().chain(&flags).filter_map(|arg| split(arg)).find(|(name, _)| *name == FILE);
    // An empty name is refused by clap.
    if let Some((_, path)) = file
        && !path.is_empty()
    {
        for setting in file::read(Path::new(path), &command)? {
            if given.contains(&setting.long) {
                continue;
            }
            if setting.is_array {
                // Its items are separate already, and one may hold the delimiter.
                command = command.mut_arg(&setting.id, |arg| arg.value_delimiter(None));
            }
            let long = setting.long;
            weaker.extend(setting.values.iter().map(|value| format!("--{long}={value}").into()));
            sources.origins.insert(long, setting.origin);
        }
    }
    let mut flags = flags.into_iter();
    let args = flags.next().into_iter().chain(weaker).chain(flags);
    match command.try_get_matches_from(args) {
        Ok(matches) => Ok((matches, sources)),
        Err(error) => Err(sources.attribute(without_secrets(error))),
    }
}

/// The option with the name most like this one, as it is written in a file.
pub(super) fn nearest(command: &Command, name: &str) -> Option<String> {
    let arg = normalize::find(command, name.as_bytes()).or_else(|| {
        // Clap keeps its measure to itself, but tells what it would have taken.
        let error = command.clone().try_get_matches_from(["", &format!("--{name}=")]).err()?;
        let Some(ContextValue::String(suggested)) = error.get(ContextKind::SuggestedArg) else {
            return None;
        };
        normalize::find(command, suggested.strip_prefix("--")?.as_bytes())
    })?;
    Some(normalize::long(arg).replace('-', "_"))
}

impl Sources {
    /// Where the value of an option is from, if not from the command line.
    pub(super) fn origin(&self, name: &str) -> Option<&str> {
        self.origins.get(name).map(String::as_str)
    }

    /// Puts the source of the option that an error is about before it.
    fn attribute(&self, error: Error) -> Error {
        let origin = match error.get(ContextKind::InvalidArg) {
            // As in `--name <VALUE>` and `--name[=<VALUE>]`.
            Some(ContextValue::String(arg)) => arg
                .strip_prefix("--")
                .and_then(|arg| arg.split([' ', '=', '[']).next())
                .and_then(|name| self.origin(name)),
            Some(_) | None => None,
        };
        let Some(origin) = origin else { return error };
        let text = error.to_string();
        let text = text.strip_prefix("error: ").unwrap_or(&text);
        Error::raw(error.kind(), format!("{origin}: {text}"))
    }
}

/// The error without the password and the signature that the value of an option may hold.
fn without_secrets(mut error: Error) -> Error {
    if let Some(ContextValue::String(value)) = error.get(ContextKind::InvalidValue) {
        let shown = redact(value);
        error.insert(ContextKind::InvalidValue, ContextValue::String(shown));
    }
    error
}

/// The variables that begin as ours do, in order.
fn own(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> impl Iterator<Item = (String, OsString)> {
    let mut own: Vec<_> = variables
        .into_iter()
        .filter(|(name, _)| {
            name.as_bytes().starts_with(PREFIX.as_bytes())
                && name.as_bytes() != auth::VARIABLE.as_bytes()
        })
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value))
        .collect();
    own.sort();
    own.into_iter()
}

/// The name of the variable for an option.
pub(super) fn variable(arg: &Arg) -> String {
    PREFIX.to_owned() + &normalize::long(arg).replace('-', "_").to_ascii_uppercase()
}

fn unknown(command: &Command, name: &str) -> String {
    let key = name.strip_prefix(PREFIX).unwrap_or(name).to_ascii_lowercase();
    match nearest(command, &key) {
        Some(near) => {
            format!("{name} is no option; did you mean {PREFIX}{}?", near.to_ascii_uppercase())
        }
        None => format!("{name} is no option; --help lists them"),
    }
}

/// The name and value of `--name=value` and `--name`.
fn split(arg: &OsStr) -> Option<(&str, &OsStr)> {
    let (name, value) = normalize::split(arg.as_bytes().strip_prefix(b"--")?);
    Some((str::from_utf8(name).ok()?, OsStr::from_bytes(value.unwrap_or_default())))
}
