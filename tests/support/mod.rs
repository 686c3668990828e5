//! Real components for tests: a Kafka broker and a schema registry, each gone with its handle.
#![allow(dead_code, reason = "every test binary uses its own part")]

pub mod audit;
pub mod bare_consumer;
pub mod cluster;
pub mod expected;
pub mod feed;
pub mod input;
pub mod instance;
pub mod local;
pub mod on_cores;
pub mod printed;
pub mod proof;
pub mod proxy;

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use gpad_live::adapters::kafka::KafkaLog;
use gpad_live::config;
use rdkafka::ClientConfig;
use rdkafka::consumer::BaseConsumer;
use tempfile::TempDir;

/// A committed reader that is handed records as soon as they are there; assigned to nothing yet.
pub fn prompt_reader(brokers: &str, group: &str) -> BaseConsumer {
    ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", group)
        .set("isolation.level", "read_committed")
        .set("fetch.wait.max.ms", "5")
        .set("enable.auto.commit", "false")
        .create()
        .unwrap()
}

/// A process that ends with this handle, and with this test process however that ends.
pub struct Service {
    child: Child,
    log: PathBuf,
}

impl Service {
    fn start(name: &str, dir: &Path, command: &[&str]) -> Self {
        let log = dir.join(format!("{name}.log"));
        let output = fs::File::create(&log).unwrap();
        let child = Command::new("bash")
            // Standard input closes with us; what we started goes then. A word on it is the signal to end by.
            .args([
                "-c",
                "\"$@\" & pid=$!; read -r word; kill -${word:-9} $pid; wait $pid",
                "service",
            ])
            .args(command)
            .stdin(Stdio::piped())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        Self { child, log }
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// SIGTERM, and waits for the end.
    fn stop(mut self) {
        if let Some(input) = &mut self.child.stdin {
            input.write_all(b"TERM\n").unwrap();
        }
        let _ = self.child.wait();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

pub fn component(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(".cache")
        .join(name);
    assert!(
        path.join("complete").exists(),
        "{} is missing: run tests/components",
        path.display()
    );
    path
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    free_ports::<1>()[0]
}

/// Ports that were free a moment ago, each another.
pub fn free_ports<const N: usize>() -> [u16; N] {
    // All are held until the last is found.
    let held = [(); N].map(|()| TcpListener::bind(("127.0.0.1", 0)).unwrap());
    held.map(|listener| listener.local_addr().unwrap().port())
}

/// Runs one of Kafka's own tools; it must succeed.
pub fn tool(class: &str, arguments: &[&str]) {
    let output = Command::new("java")
        .args(java(SOON, &[&[class], arguments].concat()))
        .output()
        .unwrap();
    let (out, error) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{class}: {out}{error}");
}

/// Starts soon, and stays small.
const SOON: &[&str] = &["-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"];
/// What Kafka's own start script asks for.
const MEASURED: &[&str] = &[
    "-server",
    "-Xms1g",
    "-Xmx1g",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
];

fn java(options: &[&str], arguments: &[&str]) -> Vec<String> {
    let libs = component("kafka").join("libs").join("*");
    let mut all: Vec<String> = [options, &["-Xshare:auto", "-cp"]]
        .concat()
        .into_iter()
        .map(str::to_owned)
        .collect();
    all.push(libs.display().to_string());
    all.extend(arguments.iter().map(|&argument| argument.to_owned()));
    all
}

/// Makes a broker's log directory.
fn format(properties: &Path) {
    let formatted = Command::new("java")
        .args(java(
            SOON,
            &[
                "kafka.tools.StorageTool",
                "format",
                "-t",
                "Z3BhZC1saXZlLXRlc3RzIQ",
                "-c",
            ],
        ))
        .arg(properties)
        .output()
        .unwrap();
    assert!(
        formatted.status.success(),
        "{}",
        String::from_utf8_lossy(&formatted.stderr)
    );
}

/// One Apache Kafka broker, its own controller.
pub struct Kafka {
    service: Option<Service>,
    properties: PathBuf,
    dir: TempDir,
    port: u16,
    machine: &'static [&'static str],
}

impl Kafka {
    pub fn start() -> Self {
        Self::start_with(|_, properties| properties)
    }

    /// One to measure with: its Java machine is set as Kafka's own start script sets it.
    pub fn start_measured() -> Self {
        Self::start_on(MEASURED, |_, properties| properties)
    }

    /// With other properties; they are given those of every test, and the controller's port.
    pub fn start_with(change: impl FnOnce(u16, String) -> String) -> Self {
        Self::start_on(SOON, change)
    }

    fn start_on(
        machine: &'static [&'static str],
        change: impl FnOnce(u16, String) -> String,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let [port, controller] = free_ports();
        let properties = dir.path().join("server.properties");
        let text = change(controller, Self::properties(dir.path(), port, controller));
        fs::write(&properties, text).unwrap();
        format(&properties);
        let mut kafka = Self {
            service: None,
            properties,
            dir,
            port,
            machine,
        };
        kafka.resume();
        kafka
    }

    fn properties(dir: &Path, port: u16, controller: u16) -> String {
        format!(
            "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@127.0.0.1:{controller}\n\
             listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{port}\ncontroller.listener.names=CONTROLLER\n\
             log.dirs={}\nauto.create.topics.enable=false\ngroup.initial.rebalance.delay.ms=0\n\
             offsets.topic.replication.factor=1\noffsets.topic.num.partitions=2\n\
             transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n\
             transaction.state.log.num.partitions=2\nshare.coordinator.state.topic.replication.factor=1\n\
             log.segment.bytes=104857600\nlog.cleaner.dedupe.buffer.size=4194304\n",
            dir.join("log").display()
        )
    }

    /// Kills the broker where it stands.
    pub fn kill(&mut self) {
        self.service = None;
    }

    /// Starts the broker (again), on the same port and log.
    pub fn resume(&mut self) {
        let arguments = java(self.machine, &["kafka.Kafka"]);
        let properties = self.properties.display().to_string();
        let mut command = vec!["java"];
        command.extend(arguments.iter().map(String::as_str));
        command.push(&properties);
        let service = Service::start("kafka", self.dir.path(), &command);
        if let Err(error) = KafkaLog::open(&self.settings("waiting")) {
            panic!("{error}\n{}", service.log());
        }
        self.service = Some(service);
    }

    pub fn brokers(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The broker's own process.
    pub fn pid(&self) -> u32 {
        let properties = self.properties.display().to_string();
        let is_ours = |pid: &u32| {
            let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let mut words = command.split(|byte| *byte == 0);
            words.next().is_some_and(|word| word.ends_with(b"java"))
                && words.any(|word| word == properties.as_bytes())
        };
        let all = fs::read_dir("/proc").unwrap().flatten();
        let mut all = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        all.find(is_ours).expect("the broker is at work")
    }

    /// Where it keeps its topics.
    pub fn log_directory(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    pub fn settings(&self, group: &str) -> config::Kafka {
        settings(&self.brokers(), group)
    }

    pub fn open(&self, group: &str) -> KafkaLog {
        open(&self.brokers(), group)
    }
}

fn settings(brokers: &str, group: &str) -> config::Kafka {
    config::Kafka {
        brokers: brokers.to_owned(),
        group: group.to_owned(),
        patience: Duration::from_mins(1),
        ..config::Settings::default().kafka
    }
}

/// The log at these brokers.
pub fn open(brokers: &str, group: &str) -> KafkaLog {
    KafkaLog::open(&settings(brokers, group)).unwrap()
}

/// The real Apicurio registry, its Confluent API.
pub struct Registry {
    _service: Service,
    _dir: TempDir,
    pub url: String,
}

impl Registry {
    pub fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let [port, management] = free_ports();
        let jar = component("apicurio").join("apicurio-registry-app-3.0.9-runner.jar");
        let (port_option, management_option) = (
            format!("-Dquarkus.http.port={port}"),
            format!("-Dquarkus.management.port={management}"),
        );
        let jar = jar.display().to_string();
        let service = Service::start(
            "registry",
            dir.path(),
            &[
                "java",
                "-Xmx512m",
                "-XX:TieredStopAtLevel=1",
                "-Dquarkus.http.host=127.0.0.1",
                &port_option,
                &management_option,
                "-jar",
                &jar,
            ],
        );
        let url = format!("http://127.0.0.1:{port}/apis/ccompat/v7");
        wait_for("the registry", Duration::from_secs(90), || {
            ureq::get(format!("{url}/subjects")).call().is_ok()
        });
        Self {
            _service: service,
            _dir: dir,
            url,
        }
    }
}

/// Held by tests that need the machine for themselves: they measure time, or start a dozen processes.
pub fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits until `condition` holds; panics with `what` when it does not in time.
pub fn wait_for(what: &str, within: Duration, mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(
            began.elapsed() < within,
            "still waiting for {what} after {} s",
            within.as_secs()
        );
        sleep(Duration::from_millis(50));
    }
}

/// A web server that is no registry: answers 404 to everything.
pub struct WrongRegistry {
    pub url: String,
}

pub fn wrong_registry() -> WrongRegistry {
    use std::io::Read;
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let _ = stream.write_all(
                b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            );
        }
    });
    WrongRegistry { url }
}
