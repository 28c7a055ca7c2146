//! A testbed for this check, and kubectl under several accounts.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Result, bail};
use junban_testbed::Testbed;

use crate::bed;

pub(super) struct Server {
    pub(super) bed: Testbed,
}

/// The account that sends a request.
pub(super) enum Account<'a> {
    /// The group system:masters.
    Admin,
    /// A node, by the certificate of its kubelet.
    Node(&'a str),
    /// A user without groups.
    User(&'a str),
    /// The service account NAMESPACE/NAME, by a token.
    Token(&'a str),
}

/// What kubectl printed, and whether it succeeded.
pub(super) struct Answer {
    pub(super) ok: bool,
    pub(super) text: String,
}

impl Answer {
    /// What it printed, or an error if it failed.
    pub(super) fn require(self) -> Result<String> {
        if !self.ok {
            bail!("kubectl: {}", self.text.trim());
        }
        Ok(self.text)
    }
}

impl Server {
    pub(super) fn start() -> Result<Self> {
        let bed = bed::up(&["--nodes=1"], Stdio::inherit())?;
        Ok(Self { bed })
    }

    pub(super) fn admin(&self, arguments: &[&str]) -> Result<Answer> {
        self.admin_with(arguments, "")
    }

    /// Runs kubectl as the administrator, with an object on its standard input.
    pub(super) fn admin_with(&self, arguments: &[&str], input: &str) -> Result<Answer> {
        let output = self.bed.ask(arguments, input)?;
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        Ok(Answer {
            ok: output.status.success(),
            text,
        })
    }

    /// Runs kubectl under the credentials of an account, with an object on its standard input.
    pub(super) fn by(&self, account: &Account<'_>, arguments: &[&str], input: &str) -> Result<Answer> {
        let kubeconfig = self.kubeconfig(account)?;
        let flags = ["--kubeconfig", &kubeconfig.to_string_lossy()];
        self.admin_with(&[arguments, &flags].concat(), input)
    }

    fn kubeconfig(&self, account: &Account<'_>) -> Result<PathBuf> {
        match account {
            Account::Admin => Ok(self.bed.ready.kubeconfig.clone()),
            Account::Node(name) => self.bed.kubeconfig(&["--node", name]),
            Account::User(name) => self.bed.kubeconfig(&["--user", name]),
            Account::Token(name) => self.bed.kubeconfig(&["--service-account", name]),
        }
    }
}
