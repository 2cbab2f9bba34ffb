//! An S3 store of a test's own: `VersityGW` over a folder, so that a test can look at the objects, and change them, behind its back.
//!
//! `WEIR_TEST_STORE` names the program; `cargo xtask test` sets it.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

/// A running store; it ends with this value.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    port: u16,
    process: Option<Child>,
}

impl Store {
    /// Starts a store over an existing folder, with one bucket.
    ///
    /// # Panics
    /// When it cannot be started: a component that is missing is a failure.
    pub fn start(folder: &Path) -> Self {
        fs::create_dir_all(folder.join(BUCKET)).expect("a folder for the bucket");
        for (name, text) in [(ID_FILE, ID), (SECRET_FILE, SECRET)] {
            let mut open = OpenOptions::new();
            let file = open.write(true).create(true).truncate(true).mode(0o600).open(folder.join(name));
            file.expect("a file").write_all(text.as_bytes()).expect("a file takes it");
        }
        // Free a moment ago; nobody else on this machine takes ports that fast.
        let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port").port();
        let mut store = Self { folder: folder.to_owned(), port, process: None };
        store.start_again();
        store
    }

    /// Returns its address.
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Returns the folder whose files are the bucket's objects.
    pub fn bucket(&self) -> PathBuf {
        self.folder.join(BUCKET)
    }

    /// Returns the file of the access key.
    pub fn id_file(&self) -> PathBuf {
        self.folder.join(ID_FILE)
    }

    /// Returns the file of its secret.
    pub fn secret_file(&self) -> PathBuf {
        self.folder.join(SECRET_FILE)
    }

    /// Kills it; its objects stay.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            drop(process.kill());
            drop(process.wait());
        }
    }

    /// Starts it again where it was, and waits until it answers.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_again(&mut self) {
        let log = self.folder.join("log");
        let output = File::create(&log).expect("a file");
        let address = format!("127.0.0.1:{}", self.port);
        let mut command = Command::new(program());
        command.args(["--region", REGION, "--quiet", "--port", &address, "--health", "/health"]);
        // Files that a test puts there have no tag.
        command.args(["posix", "--default-etag", "00000000000000000000000000000000"]).arg(&self.folder);
        command.env("ROOT_ACCESS_KEY", ID).env("ROOT_SECRET_KEY", SECRET).env_remove("VGW_WEBUI_PORT");
        command.stdin(Stdio::null()).stdout(output.try_clone().expect("a file")).stderr(output);
        self.process = Some(command.spawn().expect("VersityGW starts"));
        for _ in 0..ATTEMPTS {
            if answers(&address) {
                return;
            }
            thread::sleep(STEP);
        }
        panic!("the store does not start:\n{}", fs::read_to_string(log).unwrap_or_default());
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.kill();
    }
}

fn answers(address: &str) -> bool {
    let Ok(mut socket) = TcpStream::connect(address) else { return false };
    let asked = socket.write_all(b"GET /health HTTP/1.1\r\nHost: store\r\nConnection: close\r\n\r\n");
    let mut answer = [0; 12];
    asked.is_ok() && socket.read_exact(&mut answer).is_ok() && answer.ends_with(b" 200")
}

fn program() -> PathBuf {
    std::env::var_os("WEIR_TEST_STORE").expect("WEIR_TEST_STORE names VersityGW; `cargo xtask test` sets it").into()
}

/// The bucket that there is.
pub const BUCKET: &str = "weir-test";
/// The region that requests are signed for.
pub const REGION: &str = "eu-test-1";
/// The access key.
pub const ID: &str = "weir-test-id";
/// Its secret.
pub const SECRET: &str = "weir-test-secret-that-no-log-may-quote";
const ID_FILE: &str = "access-key";
const SECRET_FILE: &str = "secret-key";
/// Ten seconds in all.
const ATTEMPTS: u32 = 500;
const STEP: Duration = Duration::from_millis(20);
