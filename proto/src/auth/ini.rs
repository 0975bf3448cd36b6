//! GPAC's INI files: `[section]`, `key=value`, lines of comment that begin with `#` or `;`.

use super::Fault;

/// A section, in the order of the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Section<'a> {
    pub(super) name: &'a str,
    pub(super) line: usize,
    pub(super) keys: Vec<Key<'a>>,
}

/// A key and its value, without white space at their ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Key<'a> {
    pub(super) name: &'a str,
    pub(super) value: &'a str,
    pub(super) line: usize,
}

/// What a line is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    Nothing,
    Section(&'a str),
    Key(&'a str, &'a str),
}

impl<'a> Line<'a> {
    /// Reads a line, its end left off. `number` is for the fault.
    pub(super) fn read(text: &'a str, number: usize) -> Result<Self, Fault> {
        let fault = |problem: &str, help| Fault { line: number, problem: problem.into(), help };
        let text = text.trim_matches([' ', '\t', '\r']);
        if text.contains(|c: char| c.is_control() && c != '\t') {
            return Err(fault("holds a control character", "remove it"));
        }
        if text.is_empty() || text.starts_with(['#', ';']) {
            return Ok(Self::Nothing);
        }
        if let Some(rest) = text.strip_prefix('[') {
            let name = rest.strip_suffix(']').map(str::trim).filter(|name| !name.is_empty());
            return name.map(Self::Section).ok_or_else(|| {
                fault("is no section", "write [NAME], with nothing behind the bracket")
            });
        }
        match text.split_once('=').map(|(name, value)| (name.trim(), value.trim())) {
            Some((name, value)) if !name.is_empty() => Ok(Self::Key(name, value)),
            Some(_) | None => Err(fault("is neither a section nor a key", "write KEY=VALUE")),
        }
    }
}

/// The lines of a file, numbered from 1, without a mark of byte order in front.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.strip_prefix('\u{feff}')
        .unwrap_or(text)
        .split('\n')
        .enumerate()
        .map(|(at, line)| (at + 1, line))
}

/// Reads a file.
///
/// # Errors
/// A line that is nothing known, a key outside of any section, a section or a key of a section
/// twice.
pub(super) fn parse(text: &str) -> Result<Vec<Section<'_>>, Fault> {
    let mut sections: Vec<Section<'_>> = Vec::new();
    for (line, text) in lines(text) {
        match Line::read(text, line)? {
            Line::Nothing => {}
            Line::Section(name) => {
                if let Some(other) = sections.iter().find(|other| other.name == name) {
                    let problem = format!("section [{name}] stands on line {} already", other.line);
                    return Err(Fault { line, problem, help: "put both together" });
                }
                sections.push(Section { name, line, keys: Vec::new() });
            }
            Line::Key(name, value) => {
                let Some(section) = sections.last_mut() else {
                    let problem = format!("{name} stands in no section");
                    return Err(Fault { line, problem, help: "write [SECTION] above it" });
                };
                if let Some(other) = section.keys.iter().find(|other| other.name == name) {
                    let problem = format!("{name} stands on line {} already", other.line);
                    return Err(Fault { line, problem, help: "leave one of them" });
                }
                section.keys.push(Key { name, value, line });
            }
        }
    }
    Ok(sections)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_keys_and_comments() {
        let text = "\u{feff}# a\n; b\n\n [ one ] \r\n k = v=w \n\n[two]\nk=\n";
        let sections = parse(text).unwrap();
        let one = Key { name: "k", value: "v=w", line: 5 };
        let two = Key { name: "k", value: "", line: 8 };
        assert_eq!(
            sections,
            [
                Section { name: "one", line: 4, keys: vec![one] },
                Section { name: "two", line: 7, keys: vec![two] },
            ]
        );
    }

    #[test]
    fn faults_name_their_line() {
        for (text, line) in [
            ("k=v", 1),
            ("[a]\nnothing", 2),
            ("[a]\n=v", 2),
            ("[a", 1),
            ("[]", 1),
            ("[a] b", 1),
            ("[a]\nk=1\nk=2", 3),
            ("[a]\n[b]\n[a]", 3),
            ("[a]\nk=\u{1}", 2),
        ] {
            assert_eq!(parse(text).unwrap_err().line, line, "{text:?}");
        }
    }
}
