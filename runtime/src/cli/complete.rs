//! Completion in shells.

use clap::{Arg, Command, ValueHint};
use clap_complete::Shell;

use super::normalize;

/// A script for a shell, which completes the options of the program with this name.
pub(super) fn script(shell: Shell, command: Command, program: &str) -> Vec<u8> {
    let mut command = command.mut_args(with_values);
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, program, &mut script);
    if shell == Shell::Bash {
        // Of a name with a hyphen, clap writes the tasks' labels in one way and looks for them in
        // another.
        let (written, sought) = (program.replace('-', "__subcmd__"), program.replace('-', "__"));
        script = String::from_utf8_lossy(&script).replace(&written, &sought).into_bytes();
    }
    script
}

/// Tells the shell what values an option takes, where clap does not know.
fn with_values(arg: Arg) -> Arg {
    if normalize::is_boolean(&arg) {
        return arg.value_parser(["true", "false"]);
    }
    let names = arg.get_value_names().unwrap_or_default();
    let hint = match names.first().map(|name| name.as_str()) {
        Some("DIR") => ValueHint::DirPath,
        Some("FILE") => ValueHint::FilePath,
        Some(_) | None if arg.get_possible_values().is_empty() => ValueHint::Other,
        Some(_) | None => return arg,
    };
    arg.value_hint(hint)
}
