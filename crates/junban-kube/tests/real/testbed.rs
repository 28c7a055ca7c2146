//! The testbed on which the ports are tested, with the manifests installed.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::Value;

/// A testbed: the one that JUNBAN_TESTBED names, or one of our own.
pub(crate) struct Testbed {
    kubectl: String,
    binary: String,
    dir: String,
    pub(crate) api_server: String,
    pub(crate) etcd: Etcd,
    own: Option<Child>,
}

/// An etcd member that wants a client certificate, and the files of a certificate that it accepts.
pub(crate) struct Etcd {
    pub(crate) url: String,
    pub(crate) certificate: String,
    pub(crate) key: String,
    pub(crate) authorities: String,
}

impl Drop for Testbed {
    fn drop(&mut self) {
        // The kernel kills the testbed's servers with it.
        if let Some(own) = &mut self.own {
            let _ = own.kill();
            let _ = own.wait();
        }
    }
}

impl Testbed {
    pub(crate) fn find() -> Self {
        let (line, own) = match std::env::var("JUNBAN_TESTBED") {
            Ok(line) => (line, None),
            Err(_) => {
                let (line, own) = Self::up();
                (line, Some(own))
            }
        };
        let json: Value = serde_json::from_str(&line).unwrap();
        let text = |key: &str| json[key].as_str().unwrap().to_owned();
        Self {
            kubectl: text("kubectl"),
            binary: text("binary"),
            dir: text("dir"),
            api_server: json["apiServers"][0].as_str().unwrap().to_owned(),
            etcd: Etcd {
                url: json["etcd"]["endpoints"][0].as_str().unwrap().to_owned(),
                certificate: json["etcd"]["certFile"].as_str().unwrap().to_owned(),
                key: json["etcd"]["keyFile"].as_str().unwrap().to_owned(),
                authorities: json["etcd"]["caFile"].as_str().unwrap().to_owned(),
            },
            own,
        }
    }

    /// Starts a testbed. It prints in one line where it is, and runs until it is killed.
    fn up() -> (String, Child) {
        let path = output(Command::new("cargo").args(["xtask", "testbed", "path"]));
        let mut own = Command::new(path.trim())
            .args(["up", "--foreground", "--output", "json", "--nodes", "3"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(own.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        (line, own)
    }

    pub(crate) fn kubectl(&self, arguments: &[&str]) -> String {
        output(Command::new(&self.kubectl).args(arguments))
    }

    pub(crate) fn patch(&self, kind: &str, name: &str, json: &str) {
        self.kubectl(&["patch", kind, name, "--type=merge", "-p", json]);
    }

    pub(crate) fn apply(&self, path: &Path) {
        let path = path.to_str().unwrap();
        self.kubectl(&["apply", "--server-side", "--force-conflicts", "-f", path]);
    }

    /// Applies all manifests except the controller's Deployment.
    pub(crate) fn install(&self) {
        let manifests = manifests();
        self.apply(&manifests.join("crds"));
        let label = "app.kubernetes.io/name=junban";
        let established = "--for=condition=Established";
        self.kubectl(&["wait", established, "--timeout=60s", "crd", "-l", label]);
        let mut files: Vec<_> = std::fs::read_dir(manifests.join("junban"))
            .unwrap()
            .map(|file| file.unwrap().path())
            .collect();
        files.sort();
        files
            .iter()
            .filter(|path| !path.to_str().unwrap().contains("controller"))
            .for_each(|path| self.apply(path));
        self.apply(&manifests.join("defaults"));
    }

    /// The controller's own credentials.
    pub(crate) async fn config(&self) -> Config {
        let kubeconfig = output(Command::new(&self.binary).args([
            "kubeconfig",
            "--dir",
            &self.dir,
            "--service-account",
            "junban/junban",
        ]));
        let kubeconfig = Kubeconfig::from_yaml(&kubeconfig).unwrap();
        Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
            .await
            .unwrap()
    }
}

pub(crate) fn manifests() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../manifests")
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}
