//! stub
use std::{env, path::PathBuf};
pub(crate) fn default_users_file() -> Option<PathBuf> {
    env::var_os("HOME").map(|home| PathBuf::from(home).join(".config/httpout/users.cfg"))
}
