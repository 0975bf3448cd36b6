//! Elsewhere than on Linux.

use std::path::Path;

use super::{FollowError, News};

/// A directory that cannot be followed.
#[derive(Debug)]
pub(super) enum Watch {}

impl Watch {
    /// # Errors
    /// Always.
    pub(super) async fn begin(_: &Path) -> Result<Self, FollowError> {
        Err(FollowError::new("cannot be followed: only Linux tells what happens in a directory"))
    }

    pub(super) async fn next(&mut self) -> Result<Option<Vec<News>>, FollowError> {
        match *self {}
    }

    pub(super) async fn wait(&mut self) {
        match *self {}
    }

    pub(super) fn is_behind(&self) -> bool {
        match *self {}
    }

    pub(super) fn come(&mut self) -> Vec<News> {
        match *self {}
    }
}
