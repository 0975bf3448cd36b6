//! Where passwords come from.

use std::io::{self, BufRead, IsTerminal as _};

use httpout_proto::auth::Secret;

/// Fewest bytes of a password.
pub(super) const LEAST: usize = 8;
/// Most bytes of a password.
pub(super) const MOST: usize = 768;

/// Asks for a user's new password: twice at a terminal, without showing it; else it is the next
/// line of standard input.
pub(super) fn ask(user: &str) -> Result<Secret, String> {
    let password = if io::stdin().is_terminal() {
        let prompt = |text: String| {
            rpassword::prompt_password(text)
                .map_err(|error| format!("cannot ask for a password: {error}"))
        };
        let password = prompt(format!("Password of {user}: "))?;
        if prompt(format!("Once more, password of {user}: "))? != password {
            return Err("these are two different passwords: try again".into());
        }
        password
    } else {
        read_line(&mut io::stdin().lock())
            .map_err(|error| format!("cannot read the password of {user}: {error}"))?
    };
    Ok(Secret::new(password))
}

/// Refuses a password that is too short, or that no client could send.
pub(super) fn check(password: &Secret) -> Result<(), String> {
    let text = password.reveal();
    if !(LEAST..=MOST).contains(&text.len()) {
        return Err(format!(
            "the password has {} bytes: choose one of {LEAST} to {MOST}",
            text.len()
        ));
    }
    // RFC 7617 §2 takes these from passwords.
    if text.contains(char::is_control) {
        return Err("the password has a control character: choose one without".into());
    }
    Ok(())
}

/// Reads a line, without its end.
fn read_line(input: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    if input.read_line(&mut line)? == 0 {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "standard input has no more lines",
        ));
    }
    if line.ends_with('\n') {
        line.pop();
        if line.ends_with('\r') {
            line.pop();
        }
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_of_a_password() {
        let check = |text: &str| check(&Secret::new(text.into()));
        for good in ["12345678", "€€€", "a b:c=d,e", &"x".repeat(768)] {
            assert_eq!(check(good), Ok(()));
        }
        let long = "x".repeat(769);
        for bad in ["", "1234567", "12345678\n", "1234\u{7f}5678", "1234\u{85}5678", &long] {
            let problem = check(bad).unwrap_err();
            assert!(bad.is_empty() || !problem.contains(bad), "{problem}");
        }
    }

    #[test]
    fn each_line_is_a_password() {
        let mut input: &[u8] = b"one\ntwo \r\n\nlast";
        let lines = [(); 4].map(|()| read_line(&mut input).unwrap());
        assert_eq!(lines, ["one", "two ", "", "last"]);
        assert_eq!(read_line(&mut input).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert!(read_line(&mut &b"\xff\n"[..]).is_err());
    }
}
