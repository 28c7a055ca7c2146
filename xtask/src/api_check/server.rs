//! A testbed of its own and kubectl under several accounts.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Result, bail};
use junban_testbed::Testbed;

use crate::bed;

pub(super) struct Server {
    pub(super) bed: Testbed,
}

/// Whose credentials a request carries.
pub(super) enum Account<'a> {
    /// system:masters.
    Admin,
    /// A kubelet's own certificate.
    Node(&'a str),
    /// A user without groups.
    User(&'a str),
    /// NAMESPACE/NAME, by a token.
    Token(&'a str),
}

/// What kubectl said.
pub(super) struct Answer {
    pub(super) ok: bool,
    pub(super) text: String,
}

impl Answer {
    /// Its output; a refusal is an error.
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

    /// kubectl with an object on its standard input.
    pub(super) fn admin_with(&self, arguments: &[&str], input: &str) -> Result<Answer> {
        let output = self.bed.ask(arguments, input)?;
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        Ok(Answer {
            ok: output.status.success(),
            text,
        })
    }

    /// kubectl under an account's own credentials.
    pub(super) fn by(
        &self,
        account: &Account<'_>,
        arguments: &[&str],
        input: Option<&str>,
    ) -> Result<Answer> {
        let kubeconfig = self.kubeconfig(account)?;
        let flags = ["--kubeconfig", &kubeconfig.to_string_lossy()];
        self.admin_with(&[arguments, &flags].concat(), input.unwrap_or_default())
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
