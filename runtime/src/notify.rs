//! What systemd, or whoever else set `NOTIFY_SOCKET`, is told of the server's state
//! (`sd_notify(3)`). Without the variable, nothing.

use sd_notify::NotifyState;

/// The server takes connections: after the start, and after a reload.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The options are being read again. [`ready`] must follow, whether that succeeds or not.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "cannot read the clock"),
    }
}

/// The server takes no more connections and is about to end.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "the service manager cannot be told; see NOTIFY_SOCKET");
    }
}

#[cfg(test)]
mod tests {
    use std::{env, fs, os::unix::net::UnixDatagram, process, process::Command, time::Duration};

    use super::*;

    /// The variable can be set for another process only, so the test runs itself.
    #[test]
    fn a_reload_is_told_with_its_time() {
        if env::var_os("HTTPOUT_TEST_CHILD").is_some() {
            reloading();
            ready();
            return;
        }
        let path = env::temp_dir().join(format!("httpout-notify-{}", process::id()));
        let manager = UnixDatagram::bind(&path).unwrap();
        manager.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut child = Command::new(env::current_exe().unwrap());
        child.args(["--exact", "notify::tests::a_reload_is_told_with_its_time"]);
        child.env("NOTIFY_SOCKET", &path).env("HTTPOUT_TEST_CHILD", "1");
        assert!(child.output().unwrap().status.success());
        let heard = [(); 2].map(|()| {
            let mut room = [0; 1000];
            let length = manager.recv(&mut room).unwrap();
            String::from_utf8_lossy(&room[..length]).into_owned()
        });
        fs::remove_file(path).unwrap();
        let time = heard[0].strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap().trim_end();
        assert!(time.parse::<u64>().unwrap() > 0);
        assert_eq!(heard[1], "READY=1\n");
    }
}
