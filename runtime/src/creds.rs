//! `httpout creds`: users and groups, shown and changed from the command line.

mod args;
mod edit;
mod file;
mod prompt;

use std::{
    ffi::OsString,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use httpout_proto::auth::{Secret, UsersFileEditor};

pub(crate) use self::file::default_users_file;
use self::{
    args::{Line, Word},
    edit::Edit,
    file::Lock,
};

fn help() -> String {
    let (least, most) = (prompt::LEAST, prompt::MOST);
    format!("\
Shows and changes the users of httpout and their groups

Usage: httpout creds [--users FILE] [ARG]...

Arguments, obeyed one after the other; if one fails, nothing is changed:
  show                     Show all users and groups; the same without any argument
  reset                    Remove all users and groups
  NAME                     Show a user
  +NAME                    Add a user; the password is asked for
  +NAME:KEY=VALUE,...      Add a user, or set values of one who is there: email, company, any other
                           word; password: it is not asked for then
  -NAME                    Remove a user
  _NAME                    Change a password; it is asked for
  _NAME:password=PASSWORD  Change a password
  @NAME                    Show a group
  @+NAME[:USER,...]        Add a group, or say who is in it
  @-NAME:USER,...          Take users out of a group
  @-NAME                   Remove a group

Options:
      --users FILE  The users file [default: $HTTPOUT_USERS, else users.cfg in
                    $CONFIGURATION_DIRECTORY, $XDG_CONFIG_HOME/httpout or $HOME/.config/httpout]
      --help        Print help

A password has {least} to {most} bytes. Where standard input is no terminal, its next line is the password.
While the command runs, other users of this machine can see the passwords among its arguments.
")
}

/// Does what the words behind `creds` say. The exit status is 0; 1 if it could not be done, 2 if
/// the words are wrong.
pub(crate) fn run(words: &[OsString]) -> ExitCode {
    let done = match args::parse(words) {
        Ok(Line::Help) => Ok(Told { shown: help(), note: None }),
        Ok(Line::Run { users, words }) => {
            users_file(users).and_then(|file| execute(&file, words, prompt::ask))
        }
        Err(problem) => {
            complain(&problem);
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(Told { shown, note }) => {
            // A closed standard output is no failure: what was to be done is done.
            let _ = io::stdout().lock().write_all(shown.as_bytes());
            if let Some(note) = note {
                let _ = writeln!(io::stderr().lock(), "note: {note}");
            }
            ExitCode::SUCCESS
        }
        Err(problem) => {
            complain(&problem);
            ExitCode::FAILURE
        }
    }
}

fn users_file(given: Option<PathBuf>) -> Result<PathBuf, String> {
    given.or_else(default_users_file).ok_or_else(|| {
        "where the users file is cannot be told: write --users FILE, or set HTTPOUT_USERS or HOME".into()
    })
}

/// What a command says when it is done.
struct Told {
    /// For standard output.
    shown: String,
    /// For standard error: why there is nothing to show.
    note: Option<String>,
}

/// Does what the words say.
fn execute(
    file: &Path,
    words: Vec<Word>,
    ask: impl FnMut(&str) -> Result<Secret, String>,
) -> Result<Told, String> {
    let failed =
        |what: &str, error: io::Error| format!("cannot {what} {}: {error}", file.display());
    let changes = words.iter().any(Word::changes);
    // Held until the file is written: what others change meanwhile is not undone.
    let _lock = if changes {
        Some(Lock::new(file).map_err(|error| failed("make or open the directory of", error))?)
    } else {
        None
    };
    // A file that is replaced whole need not be readable.
    let anew = words.first() == Some(&Word::Reset);
    let text =
        if anew { String::new() } else { file::load(file).map_err(|e| failed("read", e))? };
    let book =
        UsersFileEditor::parse(&text).map_err(|fault| format!("{}: {fault}", file.display()))?;
    let shows = words.contains(&Word::Show);
    let mut edit = Edit::new(book, ask);
    for word in words {
        edit.apply(word)?;
    }
    let (book, shown) = edit.into_parts();
    if changes {
        match book.to_string() {
            text if text.is_empty() => {
                file::remove(file).map_err(|error| failed("remove", error))?
            }
            text => file::save(file, &text).map_err(|error| failed("write", error))?,
        }
    }
    let note = (shows && book.users().is_empty()).then(|| {
        let is = if file.exists() { "holds no users" } else { "does not exist" };
        format!("{} {is}: to add a user, write httpout creds +NAME", file.display())
    });
    Ok(Told { shown, note })
}

fn complain(problem: &str) {
    let _ = writeln!(io::stderr().lock(), "error: {problem}");
}

#[cfg(test)]
mod tests;
