//! The form of what is said where the options are wrong, so that they cannot tell it.

use std::ffi::OsString;

use super::sources::PREFIX;
use crate::LogFormat;

/// The form that a command line and variables ask for, as far as it can be seen.
pub fn wanted(
    args: &[OsString],
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> LogFormat {
    let plain = |text: &OsString| text.to_string_lossy().replace('_', "-").to_lowercase();
    let args: Vec<_> = args.iter().map(plain).collect();
    let is_value = |(at, arg): (usize, &String)| {
        arg == "json" && at > 0 && args[at - 1] == "--log-format"
            || arg.split(':').any(|word| word.trim_start_matches("--") == "log-format=json")
    };
    let by_variable = || {
        let name = format!("{PREFIX}LOG_FORMAT");
        variables.into_iter().any(|(own, value)| own == *name && value == "json")
    };
    if args.iter().enumerate().any(is_value) || by_variable() {
        LogFormat::Json
    } else {
        LogFormat::Text
    }
}
