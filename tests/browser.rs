//! The dashboard in a real browser, over a demonstration: `tests/browser/walk.mjs` looks, this starts and restarts the service.
#![allow(clippy::unwrap_used, reason = "a test ends there")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use gpad_live::adapters::clock::monotonic;

struct Demo {
    child: Child,
    address: SocketAddr,
}

impl Demo {
    fn start(directory: &Path, address: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_gpad-live"))
            .args(["demo", "--scale", "0.0006", "--speed", "240"])
            .args(["--address", address, "--dir"])
            .arg(directory)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        let address = line.split("http://").nth(1).unwrap();
        let address = address.trim().trim_end_matches('/').parse().unwrap();
        // Whoever prints into a closed pipe would end.
        std::thread::spawn(move || said.read_to_string(&mut String::new()));
        let demo = Self { child, address };
        demo.wait_for_figures();
        demo
    }

    fn get(&self, path: &str) -> String {
        let mut answer = String::new();
        if let Ok(mut stream) = TcpStream::connect(self.address) {
            let asked = format!("GET {path} HTTP/1.1\r\nHost: demo\r\nConnection: close\r\n\r\n");
            stream.write_all(asked.as_bytes()).unwrap();
            // What is not whole does not say what is waited for.
            let _ = stream.read_to_string(&mut answer);
        }
        answer
    }

    fn wait_for_figures(&self) {
        let began = monotonic();
        let is_there = || {
            let ready = self.get("/readyz").starts_with("HTTP/1.1 200");
            let places = self.get("/api/v1/totals/activity?level=region&from=2022-02-01");
            ready && places.contains("\"is_complete\":true") && places.contains("\"code\":")
        };
        while !is_there() {
            let waited = began.elapsed();
            assert!(
                waited < Duration::from_mins(2),
                "no figures within two minutes"
            );
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn kill(mut self) -> SocketAddr {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.address
    }
}

/// A test that fails leaves no process behind.
impl Drop for Demo {
    fn drop(&mut self) {
        // It has mostly ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Of `tests/components`.
fn modules() -> PathBuf {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/browser");
    assert!(
        home.join("complete").exists(),
        "{} is missing: tests/components fetches it",
        home.display()
    );
    home
}

#[test]
fn people_find_their_answers_in_a_browser() {
    let directory = tempfile::tempdir().unwrap();
    let mut demo = Some(Demo::start(directory.path(), "127.0.0.1:0"));
    let address = demo.as_ref().unwrap().address;
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut walk = Command::new("node")
        .arg(here.join("tests/browser/walk.mjs"))
        .arg(format!("http://{address}"))
        .arg(modules())
        .arg(here.join("target/browser"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("node starts");
    let mut said = walk.stderr.take().unwrap();
    let story = std::thread::spawn(move || {
        let mut story = String::new();
        said.read_to_string(&mut story).unwrap();
        story
    });
    let mut orders = walk.stdin.take().unwrap();
    for line in BufReader::new(walk.stdout.take().unwrap()).lines() {
        assert_eq!(line.unwrap(), "restart");
        let address = demo.take().unwrap().kill();
        // The page must have seen it gone.
        std::thread::sleep(Duration::from_secs(1));
        demo = Some(Demo::start(directory.path(), &address.to_string()));
        orders.write_all(b"back\n").unwrap();
    }
    let ended = walk.wait().unwrap();
    let story = story.join().unwrap();
    assert!(ended.success(), "{story}");
    assert_eq!(
        story.lines().filter(|line| line.starts_with("ok ")).count(),
        10,
        "{story}"
    );
}
