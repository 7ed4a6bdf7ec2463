//! `coder-operator crds`.

use super::{Failure, print};
use crate::crds;

pub(super) fn run() -> Result<(), Failure> {
    print(&crds::bundle()?)
}
