//! An OpenBao of a test's own: TLS with a certificate of its own CA, in memory, with its transit engine and the ways to log in.
//!
//! `WEIR_TEST_VAULT` names the program; `cargo xtask test` sets it. Whoever administers it does so by the program's own commands, so
//! that what weir sends is not checked against what weir thinks.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use serde_json::Value;
use tempfile::TempDir;

/// A running vault; it ends with this value.
#[derive(Debug)]
pub struct Vault {
    folder: TempDir,
    port: u16,
    process: Child,
    unseal_key: String,
    root: String,
}

impl Vault {
    /// Starts a vault with a transit engine at `transit`, and AppRole, certificates and JWT to log in with.
    ///
    /// # Panics
    /// When it cannot be started: a component that is missing is a failure.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        certify(folder.path());
        // Free a moment ago; nobody else on this machine takes ports that fast.
        let free =
            || TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port").port();
        let (port, place) = (free(), folder.path().display());
        let config = format!(
            "storage \"inmem\" {{}}\napi_addr = \"https://127.0.0.1:{port}\"\nlistener \"tcp\" {{\n  address = \"127.0.0.1:{port}\"\n  \
             cluster_address = \"127.0.0.1:{}\"\n  tls_cert_file = \"{place}/server.pem\"\n  tls_key_file = \"{place}/server-key.pem\"\n  \
             tls_client_ca_file = \"{place}/ca.pem\"\n}}\n",
            free()
        );
        fs::write(folder.path().join("server.hcl"), config).expect("a file");
        let log = File::create(folder.path().join("log")).expect("a file");
        let process = Command::new(program())
            .args(["server", "-config"])
            .arg(folder.path().join("server.hcl"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file"))
            .stderr(log)
            .spawn()
            .expect("OpenBao starts");
        let mut vault = Self { folder, port, process, unseal_key: String::new(), root: String::new() };
        let keys: Value = serde_json::from_str(&vault.initialise()).expect("the keys of a vault");
        let text = |value: &Value| value.as_str().expect("a key is text").to_owned();
        (vault.unseal_key, vault.root) = (text(&keys["unseal_keys_b64"][0]), text(&keys["root_token"]));
        vault.unseal();
        vault.bao(["secrets", "enable", "transit"]);
        vault.bao(["auth", "enable", "approle"]);
        vault
    }

    /// Returns its address.
    pub fn address(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// Returns the path of a file of its folder: `ca.pem`, `client.pem`, `client-key.pem`, or what a test puts there.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs one of its commands as its root; returns what it printed.
    ///
    /// # Panics
    /// When the command fails.
    pub fn bao<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> String {
        let output = self.command(arguments).output().expect("OpenBao's program starts");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        said
    }

    /// Makes a role with a policy; returns its id and the file of its secret id.
    pub fn role(&self, name: &str, policy: &str, ttl: &str) -> (String, PathBuf) {
        self.policy(name, policy);
        let policies = format!("token_policies={name}");
        self.bao(["write", &format!("auth/approle/role/{name}"), &policies, &format!("token_ttl={ttl}")]);
        let id = self.bao(["read", "-field=role_id", &format!("auth/approle/role/{name}/role-id")]);
        let secret = self.bao(["write", "-f", "-field=secret_id", &format!("auth/approle/role/{name}/secret-id")]);
        (id.trim().to_owned(), self.secret(&format!("{name}-secret-id"), secret.trim()))
    }

    /// Puts a policy in place of the one of that name.
    pub fn policy(&self, name: &str, policy: &str) {
        let file = self.path("policy.hcl");
        fs::write(&file, policy).expect("a file");
        self.bao(["policy".as_ref(), "write".as_ref(), OsStr::new(name), file.as_os_str()]);
    }

    /// Writes a file that only its owner may read.
    pub fn secret(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        let mut open = OpenOptions::new();
        let file = open.write(true).create(true).truncate(true).mode(0o600).open(&path);
        file.expect("a file").write_all(text.as_bytes()).expect("a file takes it");
        path
    }

    /// Seals it: it answers nothing any more.
    pub fn seal(&self) {
        self.bao(["operator", "seal"]);
    }

    /// Unseals it.
    pub fn unseal(&self) {
        self.bao(["operator", "unseal", &self.unseal_key]);
        // Its engines are up a moment after it says so.
        for _ in 0..ATTEMPTS {
            if self.command(["token", "lookup"]).output().is_ok_and(|output| output.status.success()) {
                return;
            }
            thread::sleep(STEP);
        }
        panic!("the vault does not come up after it was unsealed");
    }

    /// Stops it where it is, or lets it go on: connections are taken, and nothing is answered.
    pub fn freeze(&self, is_frozen: bool) {
        let signal = if is_frozen { "STOP" } else { "CONT" };
        let sent = Command::new("kill").args(["-s", signal, &self.process.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "{signal} was not sent");
    }

    fn initialise(&self) -> String {
        for _ in 0..ATTEMPTS {
            let asked =
                self.command(["operator", "init", "-key-shares=1", "-key-threshold=1", "-format=json"]).output();
            let output = asked.expect("OpenBao's program starts");
            if output.status.success() {
                return String::from_utf8_lossy(&output.stdout).into_owned();
            }
            thread::sleep(STEP);
        }
        panic!("the vault does not start:\n{}", fs::read_to_string(self.path("log")).unwrap_or_default());
    }

    fn command<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(program());
        command.args(arguments).env("BAO_ADDR", self.address()).env("BAO_CACERT", self.path("ca.pem"));
        command.env("BAO_TOKEN", &self.root).env("HOME", self.folder.path()).stdin(Stdio::null());
        command
    }
}

impl Drop for Vault {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Makes a CA, and the certificates of the vault and of a client.
fn certify(folder: &Path) {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a certificate");
    fs::write(folder.join("ca.pem"), ca.pem()).expect("a file");
    for (name, host, usage) in [
        ("server", "127.0.0.1", ExtendedKeyUsagePurpose::ServerAuth),
        ("client", "weir.example", ExtendedKeyUsagePurpose::ClientAuth),
    ] {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new([host.to_owned()]).expect("a name");
        params.extended_key_usages = vec![usage];
        fs::write(folder.join(format!("{name}.pem")), params.signed_by(&key, &ca).expect("a certificate").pem())
            .expect("a file");
        let mut open = OpenOptions::new();
        let file =
            open.write(true).create(true).truncate(true).mode(0o600).open(folder.join(format!("{name}-key.pem")));
        file.expect("a file").write_all(key.serialize_pem().as_bytes()).expect("a file takes it");
    }
}

fn program() -> PathBuf {
    std::env::var_os("WEIR_TEST_VAULT").expect("WEIR_TEST_VAULT names OpenBao; `cargo xtask test` sets it").into()
}

/// Ten seconds in all.
const ATTEMPTS: u32 = 100;
const STEP: Duration = Duration::from_millis(100);
