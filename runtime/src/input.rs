//! Inputs: what is read from a file, a pipe or standard input and becomes a resource of the server.

mod directory;
mod pump;
mod recording;
mod source;

use std::{
    fs::{self, Metadata},
    io,
    path::{Path, PathBuf},
};

use httpout_proto::{
    ConfigError, Site,
    fs::RelPath,
    live::{Description, LiveOptions, framing::Format},
    semantics::media,
};

#[cfg(feature = "push")]
pub(crate) use self::{
    directory::{Begun, Dir, FollowError, Sink, Watched, read_at, serve},
    source::Reader,
};
pub(crate) use self::{
    pump::{announce, feed},
    recording::{Kept, Recording},
};

/// An input of the server.
#[derive(Clone, Debug)]
pub struct Input {
    /// Where it comes from.
    pub source: Source,
    /// The path of its resource, in the URL.
    pub path: RelPath,
    /// What its resource says of itself. Without a media type, that is told by the path, or by the
    /// format.
    pub description: Description,
    /// How it is cut into packets. `None`: told by the path, the source's name, the media type, or
    /// else by its first bytes.
    pub format: Option<Format>,
    /// Read as fast as it plays, not as fast as it comes (`rt`).
    pub rt: bool,
    /// How its resource is treated.
    pub options: LiveOptions,
}

/// Where an input comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Standard input.
    Stdin,
    /// A file, or a pipe with a name.
    File(PathBuf),
    /// A directory that somebody writes into: each of its files is a resource below the input's
    /// path, while it is written and after.
    Directory(PathBuf),
}

impl Source {
    /// Reads `-`, `DIR/` or a file's name, as the option `--input` does.
    pub fn parse(text: &str) -> Self {
        match text {
            "-" => Self::Stdin,
            path if path.ends_with('/') || Path::new(path).is_dir() => Self::Directory(path.into()),
            path => Self::File(path.into()),
        }
    }

    /// How it is called in messages.
    pub fn name(&self) -> String {
        match self {
            Self::Stdin => "standard input".into(),
            Self::File(path) | Self::Directory(path) => path.display().to_string(),
        }
    }

    /// What is there. `None`: nothing to look at, or a directory that is going to be made: its
    /// parent is there.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn look(&self) -> io::Result<Option<Metadata>> {
        let Some(path) = self.path() else { return Ok(None) };
        match fs::metadata(path) {
            Err(why) if why.kind() == io::ErrorKind::NotFound && self.may_come() => Ok(None),
            found => found.map(Some),
        }
    }

    fn may_come(&self) -> bool {
        let Self::Directory(path) = self else { return false };
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        parent.is_none_or(Path::is_dir)
    }

    fn path(&self) -> Option<&Path> {
        match self {
            Self::Stdin => None,
            Self::File(path) | Self::Directory(path) => Some(path),
        }
    }
}

impl Input {
    /// From this source to this path, with nothing special.
    pub fn new(source: Source, path: RelPath) -> Self {
        Self {
            source,
            path,
            description: Description::default(),
            format: None,
            rt: false,
            options: LiveOptions::default(),
        }
    }

    /// Checks what can be checked before it is read, and settles what its name tells.
    ///
    /// # Errors
    /// A description that no response can carry; a file that is not there, or is a directory; a
    /// directory that is none, or whose files have nowhere to go.
    pub(crate) fn settle(mut self, site: &Site) -> Result<Self, ConfigError> {
        self.description.check().map_err(|why| ConfigError {
            option: "input",
            problem: format!("what is said of /{}: {why}", self.path),
            help: "leave it out, or use printable ASCII",
        })?;
        if let Some(path) = self.source.path() {
            let error = |problem, help| ConfigError { option: "input", problem, help };
            let found = self.source.look().map_err(|why| {
                error(
                    format!("{} cannot be read: {why}", path.display()),
                    "name a file, a FIFO or -",
                )
            })?;
            let shown = path.display();
            let is_dir = found.as_ref().is_none_or(Metadata::is_dir);
            match &self.source {
                Source::Directory(_) if !is_dir => {
                    let problem = format!("{shown} is no directory");
                    return Err(error(problem, "leave the slash at its end out"));
                }
                Source::Directory(_) if site.recorded(&self.path).is_none() => {
                    let problem = format!("{shown} is a directory");
                    let help = "add --rdirs DIR, into which its files go; it may be the same one";
                    return Err(error(problem, help));
                }
                Source::File(_) if is_dir => {
                    let problem = format!("{shown} is a directory");
                    return Err(error(problem, "write a slash at its end to have it followed"));
                }
                Source::Directory(_) | Source::File(_) | Source::Stdin => {}
            }
            if found.is_some_and(|found| found.is_file()) && !self.rt {
                // It would be read at once, and every listener be left behind.
                self.options.broadcast.blockio = true;
            }
        }
        // What came from there cannot be read again.
        self.options.reopen &= self.source != Source::Stdin;
        let extension = |path: &Path| {
            let extension = path.extension()?.to_str()?.to_ascii_lowercase();
            Format::from_extension(&extension)
        };
        self.format = self
            .format
            .or_else(|| extension(Path::new(self.path.as_str())))
            .or_else(|| extension(self.source.path()?))
            .or_else(|| Format::from_media_type(&self.description.media_type));
        if self.description.media_type.is_empty() {
            let told = media::media_type(self.path.as_str()).map(Into::into);
            let told = told.or_else(|| Some(self.format?.media_type().to_owned()));
            self.description.media_type = told.unwrap_or_default();
        }
        Ok(self)
    }
}
