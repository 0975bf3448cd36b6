//! With strace, which shows system calls and makes them fail.

mod faults;
