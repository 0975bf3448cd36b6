//! What is shown when the server starts.

use std::fmt::Write as _;

use httpout_proto::Site;

/// What is served, where, and within which limits.
pub fn banner(urls: &[String], site: &Site) -> String {
    let mut lines = vec![concat!("httpout ", env!("CARGO_PKG_VERSION")).to_owned()];
    lines.extend(urls.iter().map(|url| format!("  {url}")));
    for (name, root) in site.mounts() {
        let slash = if name.is_empty() { "" } else { "/" };
        lines.push(format!("reads {} as /{name}{slash}", site.roots()[root.index()].display()));
    }
    if let Some(root) = site.write_root() {
        lines.push(format!("writes {}, {}", site.roots()[root.index()].display(), uploads(site)));
        if urls.iter().any(|url| !is_loopback(url)) {
            lines.push(
                "warning: whoever reaches these addresses may upload and remove files; \
                 --ifce localhost keeps them to this machine"
                    .into(),
            );
        }
    }
    lines.join("\n") + "\n"
}

fn uploads(site: &Site) -> String {
    let config = site.config();
    let mut text = match config.limits.upload {
        Some(bytes) => format!("uploads up to {}", size(bytes)),
        None => "uploads of any size".into(),
    };
    if config.durable {
        text.push_str(", flushed to the disk");
    }
    if !config.wait_missing.is_zero() {
        // Writing to a string does not fail.
        let _ = write!(text, ", awaited for {} s", config.wait_missing.as_secs_f64());
    }
    text
}

fn is_loopback(url: &str) -> bool {
    url.starts_with("http://127.") || url.starts_with("http://[::1]")
}

/// As the option is written.
fn size(bytes: u64) -> String {
    let units = [(40, "T"), (30, "G"), (20, "M"), (10, "k")];
    let unit = units.iter().find(|(shift, _)| bytes > 0 && bytes.trailing_zeros() >= *shift);
    unit.map_or_else(
        || format!("{bytes} bytes"),
        |(shift, name)| format!("{}{name}", bytes >> shift),
    )
}
