//! Times in milliseconds, as the world counts them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use junban_world::Ms;

pub(crate) fn ms(span: Duration) -> Ms {
    Ms::try_from(span.as_millis()).unwrap_or(Ms::MAX)
}

/// Since 1970, by the clock of this machine. The API servers use the same clock.
pub(crate) fn now() -> Ms {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, ms)
}
