//! What the program does besides serving.

use std::{
    ffi::{OsStr, OsString},
    path::Path,
};

use clap::{Args as _, Command, Error, FromArgMatches as _, Subcommand};
use clap_complete::Shell;

use super::{Options, complete, man};

/// Something else than serving, asked for by the first word of the command line.
#[derive(Clone, Debug, Subcommand)]
pub enum Task {
    /// Show or change the file of users and groups
    #[command(disable_help_flag = true)]
    Creds {
        /// What to do with them
        #[arg(value_name = "WORD", trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<OsString>,
    },
    /// Print what makes a shell complete the options: bash, zsh, fish, elvish or powershell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page
    Man,
}

impl Task {
    /// Reads a command line, the program's name first; `None` if it asks to serve.
    ///
    /// # Errors
    /// What is wrong with the words behind the task; or its help, as in [`Options::parse_args`].
    pub fn parse_args(args: &[OsString]) -> Option<Result<Self, Error>> {
        // Without the options, which take time to describe.
        let tasks = Self::augment_subcommands(Command::new("httpout"));
        tasks.find_subcommand(args.get(1)?)?;
        let mut command = command();
        let task = command
            .try_get_matches_from_mut(args)
            .and_then(|matches| Self::from_arg_matches(&matches));
        Some(task.map_err(|error| error.format(&mut command)))
    }
}

/// What the program prints that is asked for nothing: a command that works without rights, and
/// where to read on.
pub fn usage(program: &OsStr, version: &str) -> String {
    let program = name(program);
    format!(
        "httpout {version} serves files over HTTP, and takes uploads. Nothing was named to be served.\n\
         To serve the directory you are in at http://localhost:8080/, write: {program} . --port 8080\n\
         For uploads, live streams and all other options, see: {program} --help\n"
    )
}

/// All that clap is to know: the options and the tasks.
pub(super) fn command() -> Command {
    // The options go last, for the text on both is theirs.
    Options::augment_args(Task::augment_subcommands(Command::new("httpout")))
        .disable_help_subcommand(true)
        .subcommand_help_heading("Instead of serving")
}

/// The script that makes a shell complete the options of the program with this name.
pub fn completions(shell: Shell, program: &OsStr) -> Vec<u8> {
    complete::script(shell, command(), &name(program))
}

/// The manual page of the program with this name.
///
/// # Errors
/// None, in memory.
pub fn manual(program: &OsStr) -> std::io::Result<Vec<u8>> {
    man::page(command(), &name(program))
}

/// A name that needs no quotes in any shell: that of the program's file, if it is such a one.
fn name(program: &OsStr) -> String {
    let file = Path::new(program).file_name().and_then(OsStr::to_str).unwrap_or_default();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !file.is_empty() && !file.starts_with(['-', '.']) && file.chars().all(is_plain) {
        file.to_owned()
    } else {
        "httpout".to_owned()
    }
}
