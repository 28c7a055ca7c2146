//! Drivers perform power actions, each in its own way. A new driver is a file, a field of [`Drivers`] and an arm below.
//!
//! A driver knows nothing of Kubernetes. The engine has already decided that the action may be performed. A driver only
//! refuses an order that is too late.

mod command;

use std::time::Duration;

use junban_core::effect::{PowerAnswer, PowerOrder};
use junban_core::policy::Step;
use junban_engine::ports::PowerPort;

pub use command::{CommandDriver, Variables};

/// All drivers, each with its time limit and its credentials.
pub struct Drivers {
    pub command: CommandDriver,
}

impl PowerPort for Drivers {
    fn longest(&self) -> Duration {
        self.command.longest()
    }

    async fn power(&self, order: PowerOrder) -> PowerAnswer {
        match &order.step {
            Step::Command { command } => self.command.run(command, &order).await,
        }
    }
}
