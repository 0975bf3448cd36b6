//! Processes that are stopped for a while.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};

use crate::until;

/// Does something while a process stands still.
#[track_caller]
pub fn while_stopped<T>(pid: Pid, what: impl FnOnce() -> T) -> T {
    kill_process(pid, Signal::STOP).expect("it is there to be stopped");
    until("each thread stands still", || is_still(pid).then_some(()));
    let done = what();
    kill_process(pid, Signal::CONT).expect("it is there to go on");
    done
}

/// Whether the kernel says of each thread that it is stopped.
fn is_still(pid: Pid) -> bool {
    let tasks = format!("/proc/{}/task", pid.as_raw_nonzero());
    let tasks = fs::read_dir(&tasks).unwrap_or_else(|e| panic!("{tasks}: {e}"));
    tasks.map_while(Result::ok).all(|task| {
        // A thread that has ended meanwhile does nothing either.
        let Ok(stat) = fs::read_to_string(task.path().join("stat")) else { return true };
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
    })
}
