//! The user and password for another server, from where other users of the machine cannot see them.

use std::{
    fs::File,
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use httpout_proto::{ConfigError, auth::Secret, push::Credentials};

/// The variable that holds `USER:PASSWORD`.
pub(super) const VARIABLE: &str = "HTTPOUT_AUTH";
/// No file of credentials is larger.
const MOST: u64 = 64 << 10;

/// Reads the first line of a file.
pub(super) fn read(path: &Path) -> Result<Credentials, ConfigError> {
    let failed = |why: io::Error| {
        error(
            format!("{} cannot be read: {why}", path.display()),
            "name a file with USER:PASSWORD on its first line",
        )
    };
    let file = File::open(path).map_err(failed)?;
    let meta = file.metadata().map_err(failed)?;
    if meta.is_file() && meta.mode() & 0o044 != 0 {
        tracing::warn!(
            "{} can be read by other users of this machine: chmod 600 it",
            path.display()
        );
    }
    let mut bytes = Vec::new();
    file.take(MOST).read_to_end(&mut bytes).map_err(failed)?;
    let line = bytes.split(|&b| b == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let origin = path.display().to_string();
    let text = str::from_utf8(line)
        .map_err(|_| error(format!("{origin} is not UTF-8"), "save it in that encoding"))?;
    parse(text, &origin)
}

/// Reads `USER:PASSWORD`. `origin` is where it stands.
pub(super) fn parse(text: &str, origin: &str) -> Result<Credentials, ConfigError> {
    // Not shown in the errors: it may be the password.
    let Some((user, password)) = text.split_once(':') else {
        return Err(error(format!("{origin} holds no colon"), "write USER:PASSWORD"));
    };
    if text.contains(char::is_control) {
        return Err(error(
            format!("{origin} holds a character that Basic authentication cannot carry"),
            "write USER:PASSWORD without control characters",
        ));
    }
    Ok(Credentials { user: user.into(), password: Secret::new(password.into()) })
}

fn error(problem: String, help: &'static str) -> ConfigError {
    ConfigError { option: "auth-file", problem, help }
}
