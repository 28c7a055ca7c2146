//! `junban reboot`: sets a goal for all nodes, or creates an entry for each node that was named.

mod all;
mod asked;
mod dry_run;
mod named;
mod notes;
mod refusal;

use self::asked::Asked;
use super::printer::Printer;
use super::problem::{Exit, Problem};
use super::session::Session;
use super::wait;
use crate::cli::Reboot;

pub(crate) async fn run(
    session: &Session,
    arguments: &Reboot,
    printer: &mut Printer,
) -> Result<Exit, Problem> {
    let asked = if arguments.all {
        Asked::All
    } else {
        Asked::Nodes(named::chosen(session, arguments).await?)
    };
    if arguments.dry_run {
        return dry_run::run(session, &asked, arguments.again, printer).await;
    }
    let target = match &asked {
        Asked::All => all::run(session, arguments, printer).await?,
        Asked::Nodes(nodes) => named::run(session, arguments, nodes, printer).await?,
    };
    if arguments.wait {
        return wait::run(session, &target, arguments.timeout, printer).await;
    }
    Ok(Exit::Done)
}
