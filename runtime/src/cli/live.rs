//! Options of live inputs.

use std::{
    ffi::OsString,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use clap::{ArgAction, Args, builder::NonEmptyStringValueParser};
use httpout_proto::{
    ConfigError,
    fs::RelPath,
    live::{BroadcastOptions, Description, LiveOptions, framing::Format},
    semantics::media::is_media_type,
};

use super::values::{Destination, boolean, size};
use crate::input::{Input, Source};

/// What is read, and how it is sent to listeners.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Live inputs")]
pub(super) struct Live {
    /// Read a file, a FIFO or (-) standard input and send it to everybody who asks for the path of
    /// its -o; without one, for the file's name. DIR/ with --rdirs: every file that is written into
    /// DIR, while it is written. With --hmode push: upload it. More than one: as many -o, in the
    /// same order. FILE:#NAME=VALUE sets a property, as --prop does for all
    #[arg(short = 'i', long, value_name = "FILE|DIR/|-", value_parser = NonEmptyStringValueParser::new())]
    pub(super) input: Vec<String>,

    /// Say of the inputs: ServiceName, StreamTitle, ice-NAME or icy-NAME, which --ice shows; any
    /// number of times. Text in UTF-8 or Latin-1 is passed on as it is
    #[arg(long, value_name = "NAME=VALUE")]
    prop: Vec<OsString>,

    /// Take the inputs for this, e.g. mp3, where neither the path nor the file's name says it
    #[arg(long, value_name = "EXTENSION", value_parser = NonEmptyStringValueParser::new())]
    ext: Option<String>,

    /// Media type of the inputs, e.g. video/mp2t, instead of what their names and their format say
    #[arg(long, value_name = "TYPE/SUBTYPE", value_parser = NonEmptyStringValueParser::new())]
    pub(super) mime: Option<String>,

    /// Read a file as fast as it plays
    #[arg(long, value_name = "BOOL", value_parser = boolean, num_args = 0..=1, require_equals = true,
        default_missing_value = "true", default_value = "false", action = ArgAction::Set)]
    rt: bool,

    /// Begin to read when the first client asks. Else what comes while nobody listens is dropped
    #[arg(long, value_name = "BOOL", value_parser = boolean, num_args = 0..=1, require_equals = true,
        default_missing_value = "true", default_value = "false", action = ArgAction::Set)]
    hold: bool,

    /// Send an input that is over again, from its beginning, to who asks for it then
    #[arg(long, value_name = "BOOL", value_parser = boolean, num_args = 0..=1, require_equals = true,
        default_missing_value = "true", default_value = "false", action = ArgAction::Set)]
    reopen: bool,

    /// Disconnect a client that is so many bytes behind; or with k, M
    #[arg(long = "max_async_buf", value_name = "SIZE", value_parser = size, default_value = "100000")]
    max_async_buf: u64,

    /// Slow the input down instead. So it is for files that are not read with --rt
    #[arg(long, value_name = "BOOL", value_parser = boolean, num_args = 0..=1, require_equals = true,
        default_missing_value = "true", default_value = "false", action = ArgAction::Set)]
    blockio: bool,

    /// Begin with up to so many bytes of what was sent before, so that a player starts at once; or
    /// with k, M
    #[arg(long, value_name = "SIZE", value_parser = size, default_value = "64k")]
    burst: u64,

    /// Take live resources from clients, too, as Icecast does (ffmpeg icecast://, SOURCE): each is
    /// sent to everybody who asks for its path. Where there are rules, these say who may send
    #[arg(long, value_name = "BOOL", value_parser = boolean, num_args = 0..=1, require_equals = true,
        default_missing_value = "true", default_value = "false", action = ArgAction::Set)]
    pub(super) icecast: bool,

    /// Say what is played: icy- and ice- fields, and titles inside the stream for clients that ask
    /// for them
    #[arg(long, value_name = "BOOL", value_parser = boolean, num_args = 0..=1, require_equals = true,
        default_missing_value = "true", default_value = "false", action = ArgAction::Set)]
    pub(super) ice: bool,
}

impl Live {
    /// The inputs, each with its destination.
    ///
    /// # Errors
    /// An option that cannot be obeyed.
    pub(super) fn inputs(&self, dst: &[Destination]) -> Result<Vec<Input>, ConfigError> {
        if self.input.len() > 1 && dst.len() != self.input.len() {
            let problem = format!("{} inputs and {} destinations", self.input.len(), dst.len());
            let help = "give each -i its -o, in the same order";
            return Err(ConfigError { option: "input", problem, help });
        }
        let options = self.options();
        let format = self.ext.as_deref().map(|ext| {
            Format::from_extension(&ext.trim_start_matches('.').to_ascii_lowercase()).ok_or_else(
                || ConfigError {
                    option: "ext",
                    problem: format!("{ext} is the extension of no format that is known"),
                    help: "write mp3, aac, ts, mp4, ogg or webm; leave it out for anything else",
                },
            )
        });
        let format = format.transpose()?;
        let mut inputs: Vec<Input> = Vec::new();
        for (at, text) in self.input.iter().enumerate() {
            let mut words = text.split(":#");
            let source = Source::parse(words.next().unwrap_or_default());
            let path = path(&source, dst.get(at))?;
            if let Some(other) = inputs.iter().find(|other| other.path == path) {
                let problem =
                    format!("{} and {} are both /{path}", other.source.name(), source.name());
                let help = "give one of them another path with its -o";
                return Err(ConfigError { option: "input", problem, help });
            }
            if let Some(mime) = self.mime.as_ref().filter(|mime| !is_media_type(mime.as_bytes())) {
                let problem = format!("{mime:?} is no media type");
                let help = "write, say, --mime video/mp2t";
                return Err(ConfigError { option: "mime", problem, help });
            }
            let mut description = Description::new(self.mime.clone().unwrap_or_default());
            let given = self.prop.iter().map(|prop| prop.as_bytes());
            for property in given.chain(words.map(str::as_bytes)) {
                let refused = |problem| ConfigError {
                    option: "prop",
                    problem,
                    help: "write, say, --prop ServiceName=Radio",
                };
                let shown = String::from_utf8_lossy(property);
                let (name, value) = property
                    .iter()
                    .position(|&byte| byte == b'=')
                    .map(|at| (&property[..at], &property[at + 1..]))
                    .ok_or_else(|| refused(format!("{shown} has no value")))?;
                let name = String::from_utf8_lossy(name);
                description = description
                    .property(name.trim(), value.trim_ascii())
                    .map_err(|why| refused(why.to_string()))?;
            }
            inputs.push(Input {
                description,
                format,
                rt: self.rt,
                options,
                ..Input::new(source, path)
            });
        }
        Ok(inputs)
    }

    /// How live resources are treated.
    pub(super) fn options(&self) -> LiveOptions {
        let Self { max_async_buf, burst, blockio, hold, reopen, .. } = *self;
        LiveOptions { broadcast: BroadcastOptions { max_async_buf, burst, blockio, hold }, reopen }
    }
}

/// The path of an input's resource.
fn path(source: &Source, dst: Option<&Destination>) -> Result<RelPath, ConfigError> {
    if let Some(path) = dst.and_then(|dst| dst.path.clone()) {
        return Ok(path);
    }
    let own = |path: &PathBuf| RelPath::new(Path::new(path).file_name()?.to_str()?);
    let named = match source {
        Source::Stdin => None,
        Source::File(path) => own(path),
        Source::Directory(_) => Some(RelPath::root()),
    };
    named.ok_or_else(|| ConfigError {
        option: "dst",
        problem: format!("{} has no name that could be its path", source.name()),
        help: "write one with -o, e.g. -o http://localhost:8080/live.mp3",
    })
}
