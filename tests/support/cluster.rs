//! Three Kafka brokers, each also a controller: replication factor 3, two in sync at least.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use tempfile::TempDir;

use super::proxy::{self, Weather};
use super::{Service, format, free_ports, java, open, wait_for};

pub const BROKERS: usize = 3;

struct Node {
    service: Option<Service>,
    properties: PathBuf,
    /// For the test itself; instances come through the proxy.
    port: u16,
}

pub struct Cluster {
    nodes: Vec<Node>,
    dir: TempDir,
    /// Where instances find it, through proxies.
    pub proxied: String,
    pub weather: Arc<Weather>,
}

impl Cluster {
    pub fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ports: Vec<[u16; 5]> = {
            let all = free_ports::<15>();
            all.chunks_exact(5)
                .map(|ports| ports.try_into().unwrap())
                .collect()
        };
        let voters: Vec<String> = (ports.iter().enumerate())
            .map(|(at, ports)| format!("{}@127.0.0.1:{}", at + 1, ports[2]))
            .collect();
        let weather = Arc::new(Weather::default());
        let nodes: Vec<Node> = (ports.iter().enumerate())
            .map(|(at, ports)| {
                let properties = dir.path().join(format!("{at}.properties"));
                let log = dir.path().join(format!("log-{at}"));
                let [direct, internal, controller, behind, front] = ports;
                let text = format!(
                    "process.roles=broker,controller\nnode.id={}\ncontroller.quorum.voters={}\n\
                     listeners=DIRECT://127.0.0.1:{direct},INTERNAL://127.0.0.1:{internal},\
                     CONTROLLER://127.0.0.1:{controller},PROXIED://127.0.0.1:{behind}\n\
                     advertised.listeners=DIRECT://127.0.0.1:{direct},INTERNAL://127.0.0.1:{internal},\
                     PROXIED://127.0.0.1:{front}\n\
                     listener.security.protocol.map=DIRECT:PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT,PROXIED:PLAINTEXT\n\
                     controller.listener.names=CONTROLLER\ninter.broker.listener.name=INTERNAL\n\
                     log.dirs={}\nauto.create.topics.enable=false\ngroup.initial.rebalance.delay.ms=0\n\
                     default.replication.factor=3\nmin.insync.replicas=2\n\
                     offsets.topic.replication.factor=3\noffsets.topic.num.partitions=1\n\
                     transaction.state.log.replication.factor=3\ntransaction.state.log.min.isr=2\n\
                     transaction.state.log.num.partitions=1\nshare.coordinator.state.topic.replication.factor=1\n\
                     log.segment.bytes=104857600\nlog.cleaner.dedupe.buffer.size=4194304\n",
                    at + 1,
                    voters.join(","),
                    log.display(),
                );
                fs::write(&properties, text).unwrap();
                format(&properties);
                proxy::start(*front, *behind, &weather);
                Node { service: None, properties, port: *direct }
            })
            .collect();
        let proxied = ports
            .iter()
            .map(|ports| format!("127.0.0.1:{}", ports[4]))
            .collect::<Vec<_>>();
        let mut cluster = Self {
            nodes,
            dir,
            proxied: proxied.join(","),
            weather,
        };
        for at in 0..BROKERS {
            cluster.launch(at);
        }
        drop(open(&cluster.brokers(), "waiting"));
        wait_for("three brokers", Duration::from_mins(1), || {
            cluster.alive() == BROKERS
        });
        cluster
    }

    /// Where the test itself finds it.
    pub fn brokers(&self) -> String {
        let ports = self
            .nodes
            .iter()
            .map(|node| format!("127.0.0.1:{}", node.port));
        ports.collect::<Vec<_>>().join(",")
    }

    fn launch(&mut self, at: usize) {
        let arguments = java(super::SOON, &["kafka.Kafka"]);
        let properties = self.nodes[at].properties.display().to_string();
        let mut command = vec!["java"];
        command.extend(arguments.iter().map(String::as_str));
        command.push(&properties);
        let service = Service::start(&format!("kafka-{at}"), self.dir.path(), &command);
        self.nodes[at].service = Some(service);
    }

    /// SIGKILL.
    pub fn kill(&mut self, at: usize) {
        self.nodes[at].service = None;
    }

    /// SIGTERM: the broker hands its partitions over first.
    pub fn stop(&mut self, at: usize) {
        if let Some(service) = self.nodes[at].service.take() {
            service.stop();
        }
    }

    /// Starts a broker again, and waits until it has caught up with the others.
    pub fn resume(&mut self, at: usize) {
        self.launch(at);
        wait_for("every replica in sync", Duration::from_mins(2), || {
            self.is_in_sync()
        });
    }

    /// Brokers that the cluster knows.
    pub fn alive(&self) -> usize {
        self.metadata(|metadata| metadata.brokers().len())
            .unwrap_or(0)
    }

    fn is_in_sync(&self) -> bool {
        let all = |metadata: &rdkafka::metadata::Metadata| {
            let mut partitions = metadata
                .topics()
                .iter()
                .flat_map(rdkafka::metadata::MetadataTopic::partitions);
            metadata.brokers().len() == BROKERS
                && partitions.all(|partition| partition.isr().len() == partition.replicas().len())
        };
        self.metadata(all).unwrap_or(false)
    }

    /// The broker, by its index, that coordinates every transaction: the internal topic has one partition.
    pub fn coordinator(&self) -> usize {
        let leader = self.metadata(|metadata| {
            let topic = metadata
                .topics()
                .iter()
                .find(|topic| topic.name() == "__transaction_state");
            topic
                .and_then(|topic| topic.partitions().first())
                .map_or(-1, rdkafka::metadata::MetadataPartition::leader)
        });
        usize::try_from(leader.unwrap_or(-1) - 1).expect("the transactions have a coordinator")
    }

    fn metadata<T>(&self, look: impl FnOnce(&rdkafka::metadata::Metadata) -> T) -> Option<T> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", self.brokers())
            .create()
            .unwrap();
        consumer
            .fetch_metadata(None, Duration::from_secs(5))
            .ok()
            .map(|metadata| look(&metadata))
    }
}
