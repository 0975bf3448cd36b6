//! The files that a manifest names: HLS playlists (RFC 8216) and DASH (ISO 23009-1).

use percent_encoding::percent_decode_str;
use roxmltree::{Document, Node, ParsingOptions};

use super::quality;

/// Most names of one manifest.
const MOST_NAMES: usize = 20_000;
/// Most bytes of a name. A path in a request has no more either.
const LONGEST: usize = 4096;
/// Most elements and texts of an MPD.
const MOST_NODES: u32 = 500_000;
/// Most directories above the store in a path that is counted from the root of a server.
const DEEPEST: usize = 4;
/// Most digits that a template can ask for.
const WIDEST: usize = 20;

/// What a manifest names, as paths from the root of the store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    pub(super) files: Vec<String>,
    /// So many segments of a quality: its directory, the quality, the number.
    pub(super) windows: Vec<(String, String, usize)>,
}

impl Manifest {
    /// Reads the manifest that is stored as `path`; `None` for what is none.
    pub fn parse(path: &str, text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?.trim_start_matches('\u{FEFF}');
        let base = Url { absolute: false, path: path.to_owned() };
        let mut found = Self::default();
        if text.starts_with("#EXTM3U") {
            found.read_playlist(&base, text);
        } else if text.trim_start().starts_with('<') {
            found.read_mpd(&base, text)?;
        } else {
            return None;
        }
        found.files.retain(|file| file != path);
        found.files.sort_unstable();
        found.files.dedup();
        Some(found)
    }

    fn read_playlist(&mut self, base: &Url, text: &str) {
        for line in text.lines().map(str::trim) {
            match line.strip_prefix("#EXT") {
                Some(tag) => {
                    let uris = tag
                        .match_indices("URI=\"")
                        .filter(|(at, _)| tag[..*at].ends_with([':', ',', ' ']));
                    for (at, key) in uris {
                        let uri = &tag[at + key.len()..];
                        self.name(base.join(uri.split('"').next().unwrap_or(uri)));
                    }
                }
                None if line.is_empty() || line.starts_with('#') => {}
                None => self.name(base.join(line)),
            }
        }
    }

    fn read_mpd(&mut self, base: &Url, text: &str) -> Option<()> {
        let options = ParsingOptions { nodes_limit: MOST_NODES, ..ParsingOptions::default() };
        let document = Document::parse_with_options(text, options).ok()?;
        let mpd = document.root_element();
        if mpd.tag_name().name() != "MPD" {
            return None;
        }
        let depth = mpd.attribute("timeShiftBufferDepth").and_then(seconds);
        // Without a depth, no segment ever leaves the stream.
        let depth = depth.filter(|_| mpd.attribute("type") == Some("dynamic"));
        let base = base.below(mpd);
        for period in children(mpd, "Period") {
            let base = base.below(period);
            for set in children(period, "AdaptationSet") {
                let base = base.below(set);
                for representation in children(set, "Representation") {
                    let levels = [period, set, representation];
                    self.read_representation(&base.below(representation), levels, depth);
                }
            }
        }
        Some(())
    }

    fn read_representation(&mut self, base: &Url, levels: [Node<'_, '_>; 3], depth: Option<f64>) {
        // A base that is a file is the whole representation.
        self.name(Some(base.clone()));
        let [.., representation] = levels;
        let of = |name| Inherited(levels.map(|level| children(level, name).next()));
        let sources = ["Initialization", "RepresentationIndex", "BitstreamSwitching"];
        let (list, template) = (of("SegmentList"), of("SegmentTemplate"));
        for kind in [of("SegmentBase"), list, template] {
            for source in sources.iter().filter_map(|name| kind.child(name)) {
                self.name(source.attribute("sourceURL").and_then(|url| base.join(url)));
            }
        }
        for segment in
            list.nearest("SegmentURL").into_iter().flat_map(|it| children(it, "SegmentURL"))
        {
            for url in ["media", "index"].iter().filter_map(|name| segment.attribute(*name)) {
                self.name(base.join(url));
            }
        }
        let expand = |name: &str, number, time| {
            let id = representation.attribute("id").unwrap_or_default();
            let bandwidth = representation.attribute("bandwidth").unwrap_or_default();
            expand(template.attribute(name)?, id, bandwidth.parse().unwrap_or(0), number, time)
        };
        for name in ["initialization", "index", "bitstreamSwitching"] {
            self.name(expand(name, 0, 0).and_then(|url| base.join(&url)));
        }
        let number = |name: &str| template.attribute(name)?.parse::<u64>().ok();
        let timescale = number("timescale").unwrap_or(1).max(1);
        let window = |found: &mut Self, duration: u64| {
            let length = duration as f64 / timescale as f64;
            // One more has not left, where the edges of the segments are not those of the depth.
            let most = depth
                .map_or(usize::MAX, |depth| ((depth / length).ceil() as usize).saturating_add(1));
            let urls = [0, 1].map(|at| base.join(&expand("media", at, at)?));
            found.window(urls, most);
        };
        let Some(timeline) = template.child("SegmentTimeline") else {
            if let Some(duration) = number("duration").filter(|&duration| duration > 0) {
                window(self, duration);
            }
            return;
        };
        let (mut at, mut time) = (number("startNumber").unwrap_or(1), 0);
        let mut runs = children(timeline, "S").peekable();
        while let Some(run) = runs.next() {
            let of = |node: Node<'_, '_>, name| node.attribute(name)?.parse::<u64>().ok();
            time = of(run, "t").unwrap_or(time);
            at = of(run, "n").unwrap_or(at);
            let duration = of(run, "d").unwrap_or(0);
            let next = runs.peek().and_then(|next| of(*next, "t"));
            let more = match (run.attribute("r").unwrap_or("0").parse::<i64>(), next) {
                (Ok(more), _) if more >= 0 => more.unsigned_abs(),
                (Ok(_), Some(next)) if duration > 0 => {
                    (next.saturating_sub(time) / duration).saturating_sub(1)
                }
                // To the end, which is not known.
                (Ok(_), _) if duration > 0 => {
                    window(self, duration);
                    return;
                }
                (Ok(_) | Err(_), _) => 0,
            };
            for _ in 0..=more {
                if self.is_full() {
                    return;
                }
                self.name(expand("media", at, time).and_then(|url| base.join(&url)));
                at = at.saturating_add(1);
                time = time.saturating_add(duration);
            }
        }
    }

    /// What it takes to remember this, about.
    pub(super) fn bytes(&self) -> usize {
        const EACH: usize = 64;
        let files = self.files.iter().map(|file| file.len() + EACH).sum::<usize>();
        let window = |(dir, quality, _): &(String, String, usize)| dir.len() + quality.len() + EACH;
        EACH + files + self.windows.iter().map(window).sum::<usize>()
    }

    fn is_full(&self) -> bool {
        self.files.len() + self.windows.len() >= MOST_NAMES
    }

    fn name(&mut self, url: Option<Url>) {
        for path in url.into_iter().flat_map(|url| url.paths()) {
            if !self.is_full() && !path.ends_with('/') {
                self.files.push(path);
            }
        }
    }

    /// The segments whose names differ in their number only, of which two are these.
    fn window(&mut self, [first, second]: [Option<Url>; 2], most: usize) {
        let paths = |url: Option<Url>| url.map(|url| url.paths()).unwrap_or_default();
        for (first, second) in paths(first).iter().zip(&paths(second)) {
            let ((dir, first), (_, second)) = (super::split(first), super::split(second));
            let Some(quality) = quality(first).filter(|_| !self.is_full()) else { continue };
            if super::quality(second).as_ref() == Some(&quality) {
                self.windows.push((dir.to_owned(), quality, most));
            }
        }
    }
}

/// An element at each level that may have it: what a lower one says goes before.
#[derive(Clone, Copy)]
struct Inherited<'a, 'input>([Option<Node<'a, 'input>>; 3]);

impl<'a, 'input> Inherited<'a, 'input> {
    fn lowest_first(self) -> impl Iterator<Item = Node<'a, 'input>> {
        self.0.into_iter().rev().flatten()
    }

    fn attribute(self, name: &str) -> Option<&'a str> {
        self.lowest_first().find_map(|node| node.attribute(name))
    }

    /// The lowest one that has a child of this name.
    fn nearest(self, name: &str) -> Option<Node<'a, 'input>> {
        self.lowest_first().find(|node| children(*node, name).next().is_some())
    }

    fn child(self, name: &str) -> Option<Node<'a, 'input>> {
        children(self.nearest(name)?, name).next()
    }
}

fn children<'a, 'input>(
    node: Node<'a, 'input>,
    name: &str,
) -> impl Iterator<Item = Node<'a, 'input>> {
    node.children().filter(move |child| child.tag_name().name() == name)
}

/// A reference, resolved as far as the store knows.
#[derive(Clone, Debug)]
struct Url {
    /// It is counted from the root of a server, and not from the manifest.
    absolute: bool,
    /// Without a slash at the front; a slash at the end is a directory's.
    path: String,
}

impl Url {
    /// RFC 3986 §5.2, of the path; `None` where it is not HTTP.
    fn join(&self, reference: &str) -> Option<Self> {
        let reference = reference.trim();
        let reference = reference.split(['?', '#']).next().unwrap_or_default();
        let rest = match reference.split_once(':') {
            Some((scheme, rest)) if ["http", "https"].contains(&&*scheme.to_ascii_lowercase()) => {
                rest
            }
            Some((scheme, _)) if scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
                return None;
            }
            Some(_) | None => reference,
        };
        let (absolute, dir, rest) = match (rest.strip_prefix("//"), rest.strip_prefix('/')) {
            (Some(authority), _) => (true, "", authority.split_once('/').map_or("", |(_, at)| at)),
            (None, Some(path)) => (true, "", path),
            (None, None) if rest.is_empty() => return Some(self.clone()),
            (None, None) => {
                let dir = self.path.rfind('/').map_or("", |at| &self.path[..=at]);
                (self.absolute, dir, rest)
            }
        };
        let mut absolute = absolute;
        let mut segments: Vec<&str> = dir.split('/').filter(|name| !name.is_empty()).collect();
        let decoded = rest
            .split('/')
            .map(|name| percent_decode_str(name).decode_utf8().ok())
            .collect::<Option<Vec<_>>>()?;
        for name in &decoded {
            match &**name {
                "" | "." => {}
                // Above the root of the store is the server.
                ".." => absolute |= segments.pop().is_none(),
                name if name.contains('/') => return None,
                name => segments.push(name),
            }
        }
        let is_directory = matches!(rest.rsplit('/').next(), Some("" | "." | ".."));
        let mut path = segments.join("/");
        if is_directory && !path.is_empty() {
            path.push('/');
        }
        (path.len() <= LONGEST).then_some(Self { absolute, path })
    }

    /// What the first `BaseURL` of an element makes of it.
    fn below(&self, element: Node<'_, '_>) -> Self {
        let base = children(element, "BaseURL").next().and_then(|base| base.text());
        base.and_then(|base| self.join(base)).unwrap_or_else(|| self.clone())
    }

    /// Where it may be in the store. The store's own place among the paths of a server is not
    /// known, nor is the server's own name: a path counts, whatever its host, at the root and with
    /// its first directories left out.
    fn paths(self) -> Vec<String> {
        let most = if self.absolute { DEEPEST } else { 0 };
        let below = std::iter::successors(Some(&*self.path), |path| Some(path.split_once('/')?.1));
        below.take(1 + most).filter(|path| !path.is_empty()).map(str::to_owned).collect()
    }
}

/// Fills a template (ISO 23009-1 §5.3.9.4.4); `None` where it cannot be told.
fn expand(template: &str, id: &str, bandwidth: u64, number: u64, time: u64) -> Option<String> {
    let mut expanded = String::new();
    let mut parts = template.split('$');
    expanded.push_str(parts.next()?);
    while let Some(identifier) = parts.next() {
        let (name, width) = match identifier.split_once('%') {
            Some((name, format)) => {
                let width = format.strip_suffix('d')?.parse::<usize>().ok()?;
                (name, width.min(WIDEST))
            }
            None => (identifier, 1),
        };
        let value = match name {
            "" => "$".to_owned(),
            "RepresentationID" => id.to_owned(),
            "Bandwidth" => format!("{bandwidth:0width$}"),
            "Number" => format!("{number:0width$}"),
            "Time" => format!("{time:0width$}"),
            _ => return None,
        };
        expanded.push_str(&value);
        expanded.push_str(parts.next()?);
        if expanded.len() > LONGEST {
            return None;
        }
    }
    Some(expanded)
}

/// A duration of XML Schema, in seconds; about, where it has years or months.
fn seconds(text: &str) -> Option<f64> {
    const DAY: f64 = 86_400.0;
    let (date, time) = match text.strip_prefix('P')?.split_once('T') {
        Some((date, time)) => (date, time),
        None => (text.strip_prefix('P')?, ""),
    };
    let mut total = 0.0;
    let units = [
        [('Y', 365.0 * DAY), ('M', 30.0 * DAY), ('D', DAY)],
        [('H', 3600.0), ('M', 60.0), ('S', 1.0)],
    ];
    for (mut rest, units) in [date, time].into_iter().zip(units) {
        for (unit, length) in units {
            if let Some((number, after)) = rest.split_once(unit) {
                total += number.parse::<f64>().ok()? * length;
                rest = after;
            }
        }
        if !rest.is_empty() {
            return None;
        }
    }
    (total.is_finite() && total >= 0.0).then_some(total)
}

#[cfg(test)]
mod tests;
