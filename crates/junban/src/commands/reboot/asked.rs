//! Which nodes `junban reboot` is asked to reboot.

use junban_core::ids::NodeName;

pub(crate) enum Asked {
    All,
    Nodes(Vec<NodeName>),
}
