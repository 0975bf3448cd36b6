//! Rule files and users files, from the disk to [`Config`](crate::Config).

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use httpout_proto::{
    ConfigError,
    auth::{Fault, Rule, Users, Who},
    site::is_memory,
};

/// Larger files are refused: they are something else.
const LARGEST: u64 = 1 << 20;

/// Takes the rule files out of a list of read directories: what is left of it, and their sections,
/// whose directories are made absolute, by the file's own directory, and free of symbolic links.
///
/// # Errors
/// The first fault: which file, which line, what to do.
pub(crate) fn take_rules(rdirs: &[PathBuf]) -> Result<(Vec<PathBuf>, Vec<Rule>), ConfigError> {
    let (mut files, mut dirs) = (Vec::new(), Vec::new());
    for path in rdirs {
        if is_memory(path) {
            dirs.push(path.clone());
            continue;
        }
        match fs::metadata(path) {
            Ok(found) if found.is_file() => files.push(path.clone()),
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                let problem = format!("{} cannot be looked at: {error}", path.display());
                let help = "check its permissions, or name another";
                return Err(ConfigError { option: "rdirs", problem, help });
            }
            Ok(_) | Err(_) => dirs.push(path.clone()),
        }
    }
    let rules: Vec<_> = files.iter().map(|file| read_rules(file)).collect::<Result<_, _>>()?;
    Ok((dirs, rules.into_iter().flatten().collect()))
}

fn read_rules(file: &Path) -> Result<Vec<Rule>, ConfigError> {
    let text = read("rdirs", file)?;
    let rules = Rule::parse(&text).map_err(|fault| in_file("rdirs", file, &fault))?;
    let base = file.parent().unwrap_or_else(|| Path::new(""));
    let place = |mut rule: Rule| {
        rule.file = file.to_owned();
        let dir = base.join(&rule.dir);
        rule.dir = match fs::canonicalize(&dir) {
            Ok(real) if real.is_dir() => real,
            Ok(_) => {
                let problem = format!("{} is not a directory", dir.display());
                let help = "name a directory in the section's brackets";
                return Err(in_file("rdirs", file, &Fault { line: rule.line, problem, help }));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && rule.name.is_some() => {
                rule.missing = true;
                would_be(&dir)
            }
            Err(error) => {
                let problem = format!("{} cannot be had: {error}", dir.display());
                let help = "make the directory, or correct the section's name";
                return Err(in_file("rdirs", file, &Fault { line: rule.line, problem, help }));
            }
        };
        Ok(rule)
    };
    rules.into_iter().map(place).collect()
}

/// Where a directory would be that does not exist: absolute, without symbolic links as far as there
/// is something.
fn would_be(dir: &Path) -> PathBuf {
    let absolute = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    let known =
        absolute.ancestors().find_map(|above| fs::canonicalize(above).ok().zip(Some(above)));
    match known {
        Some((real, above)) => real.join(absolute.strip_prefix(above).unwrap_or(&absolute)),
        None => absolute.clone(),
    }
}

/// Reads the users that the rules speak of.
///
/// # Errors
/// The file cannot be read, or a line of it; or it is missed.
pub(crate) fn read_users(
    file: Option<&Path>,
    rules: &[Rule],
    certificates: bool,
) -> Result<Users, ConfigError> {
    let Some(file) = file else {
        let needs_users = |who: &Who| !matches!(who, Who::Everybody) && !who.is_nobody();
        let named = || rules.iter().any(|rule| needs_users(&rule.read) || needs_users(&rule.write));
        if !certificates && named() {
            return Err(ConfigError {
                option: "users",
                problem: "the rules name users, and there is no users file".into(),
                help: "make one with httpout creds +NAME, or name one with --users FILE",
            });
        }
        return Ok(Users::default());
    };
    let users =
        Users::parse(&read("users", file)?).map_err(|fault| in_file("users", file, &fault))?;
    for rule in rules.iter().filter(|_| !certificates) {
        for who in [&rule.read, &rule.write] {
            warn_of_unknown(who, &users, file);
        }
    }
    Ok(users)
}

/// A rule may name a user that is added later; mostly it is a slip.
fn warn_of_unknown(who: &Who, users: &Users, file: &Path) {
    let file = file.display();
    if let Who::Members { users: named, groups } = who {
        for name in named.iter().filter(|name| !users.has_user(name)) {
            tracing::warn!(user = ?name, "a rule names a user that {file} does not have");
        }
        for name in groups.iter().filter(|name| !users.has_group(name)) {
            tracing::warn!(group = ?name, "a rule names a group that {file} does not have");
        }
    }
}

fn read(option: &'static str, file: &Path) -> Result<String, ConfigError> {
    let error = |problem: String, help| ConfigError { option, problem, help };
    let shown = file.display();
    let mut text = Vec::new();
    File::open(file).and_then(|open| open.take(LARGEST + 1).read_to_end(&mut text)).map_err(
        |why| error(format!("{shown} cannot be read: {why}"), "check the path and its permissions"),
    )?;
    if text.len() as u64 > LARGEST {
        return Err(error(format!("{shown} is too large"), "name a text file"));
    }
    String::from_utf8(text)
        .map_err(|_| error(format!("{shown} is not UTF-8"), "name a text file in UTF-8"))
}

fn in_file(option: &'static str, file: &Path, fault: &Fault) -> ConfigError {
    let problem = match fault.line {
        0 => format!("{}: {}", file.display(), fault.problem),
        line => format!("{} line {line}: {}", file.display(), fault.problem),
    };
    ConfigError { option, problem, help: fault.help }
}
