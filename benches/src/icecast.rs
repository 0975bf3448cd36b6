//! icecast2: the server of live streams that is known best.

use std::{
    fs,
    io::Write,
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
};

use crate::{
    client::Client,
    error::{Context, Error, Result},
    measure,
    peers::free_port,
};

/// How far a listener may be behind: its default.
const QUEUE: usize = 512 << 10;
/// Old bytes for a listener's start: its default, and ours is one more.
const BURST: usize = (64 << 10) - 1;

pub(crate) fn start(dir: &Path, log: &Path) -> Result<(Child, SocketAddr)> {
    let addr = free_port()?;
    let conf = dir.join("icecast.xml");
    fs::write(&conf, configuration(addr)).context(conf.display())?;
    let stderr = fs::File::create(log).context(log.display())?;
    let child = Command::new("icecast2")
        .arg("-c")
        .arg(&conf)
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(stderr)
        .spawn();
    Ok((child.map_err(|error| measure::missing("icecast2", "icecast2", &error))?, addr))
}

/// Becomes the source of `/name`: what is written to it from now on is the stream.
pub(crate) fn source(addr: SocketAddr, name: &str) -> Result<impl Write + Send + use<>> {
    let mut client = Client::connect(addr)?;
    // `source:secret`, in base64. The type is one whose bytes are passed on as they are.
    let head = format!(
        "PUT /{name} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic c291cmNlOnNlY3JldA==\r\n\
         Content-Type: audio/mpeg\r\nIce-Public: 0\r\n\r\n"
    );
    client.send(head.as_bytes())?;
    let (head, _) = client.read_head(&mut vec![0; 16 << 10])?;
    match head.status {
        200 => Ok(client.0),
        status => Err(Error::new(format!("PUT /{name}: status {status}"))),
    }
}

/// As Debian has it, but for more clients.
fn configuration(addr: SocketAddr) -> String {
    // It refuses to be root.
    let owner = if rustix::process::geteuid().is_root() {
        "<changeowner><user>icecast2</user><group>icecast</group></changeowner>"
    } else {
        ""
    };
    format!(
        "<icecast>
<limits>
    <clients>20000</clients>
    <sources>2</sources>
    <queue-size>{QUEUE}</queue-size>
    <source-timeout>30</source-timeout>
    <burst-size>{BURST}</burst-size>
</limits>
<authentication>
    <source-password>secret</source-password>
    <admin-user>admin</admin-user>
    <admin-password>secret</admin-password>
</authentication>
<hostname>localhost</hostname>
<listen-socket>
    <bind-address>{ip}</bind-address>
    <port>{port}</port>
</listen-socket>
<paths>
    <basedir>.</basedir>
    <logdir>.</logdir>
    <webroot>/usr/share/icecast2/web</webroot>
    <adminroot>/usr/share/icecast2/admin</adminroot>
</paths>
<logging>
    <accesslog>-</accesslog>
    <errorlog>-</errorlog>
    <loglevel>2</loglevel>
</logging>
<security>
    <chroot>0</chroot>
    {owner}
</security>
</icecast>
",
        ip = addr.ip(),
        port = addr.port()
    )
}
