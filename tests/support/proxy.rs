//! A TCP proxy in front of one broker that makes bad weather: late EndTxn, resets, jitter, half-open connections.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use socket2::SockRef;

/// Of Kafka's protocol: the request that commits or aborts a transaction.
const END_TXN: u16 = 26;
/// Longer than any request or response of the tests.
const MOST_BYTES: usize = 64 << 20;

/// What the proxies of a cluster do to what passes through them.
#[derive(Default)]
pub struct Weather {
    /// How many EndTxn requests are still to be held back, and for how long, in milliseconds.
    late: AtomicU64,
    late_by: AtomicU64,
    /// Longest pause before each frame, in milliseconds.
    jitter: AtomicU64,
    /// Connections made up to this one pass nothing on, either way.
    deaf: AtomicU64,
    made: AtomicU64,
    open: Mutex<Vec<(Arc<Link>, [TcpStream; 2])>>,
    /// Error codes in answers to requests that were held back; 0 is success.
    answers: Mutex<Vec<i16>>,
    held: AtomicU64,
}

impl Weather {
    /// Holds the next `count` EndTxn back for `by`; they are delivered then, whether the client still waits or not.
    pub fn delay_end_txn(&self, count: u64, by: Duration) {
        self.late_by.store(by.as_millis() as u64, Ordering::Release);
        self.late.store(count, Ordering::Release);
    }

    /// Requests that were held back so far.
    pub fn held(&self) -> u64 {
        self.held.load(Ordering::Acquire)
    }

    /// What the broker answered to those that were.
    pub fn answers(&self) -> Vec<i16> {
        self.answers.lock().unwrap().clone()
    }

    pub fn jitter(&self, most: Duration) {
        self.jitter
            .store(most.as_millis() as u64, Ordering::Release);
    }

    /// RST on every connection, but for those that hold something back: that is still to be delivered.
    pub fn reset(&self) {
        let mut open = self.open.lock().unwrap();
        for (_, ends) in open.extract_if(.., |(link, _)| link.late.lock().unwrap().is_empty()) {
            for stream in ends {
                // No time for what is on the way: the peer sees a reset, not an end.
                let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
    }

    /// Connections that are open now stay so, and nothing comes through them any more. New ones are well.
    pub fn half_open(&self) {
        self.deaf
            .store(self.made.load(Ordering::Acquire), Ordering::Release);
    }
}

/// Listens on `port` for the broker at `broker`, as long as the test process lives.
pub fn start(port: u16, broker: u16, weather: &Arc<Weather>) {
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let weather = weather.clone();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            // A broker that is away: the client sees its connection end.
            let Ok(server) = TcpStream::connect(("127.0.0.1", broker)) else {
                continue;
            };
            connect(&client, &server, &weather);
        }
    });
}

fn connect(client: &TcpStream, server: &TcpStream, weather: &Arc<Weather>) {
    let number = weather.made.fetch_add(1, Ordering::AcqRel) + 1;
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let link = Arc::new(Link {
        number,
        weather: weather.clone(),
        late: Mutex::default(),
        is_over: AtomicBool::default(),
        chance: Mutex::new(ChaCha8Rng::seed_from_u64(number)),
    });
    let ends = |stream: &TcpStream| stream.try_clone().unwrap();
    let both = [ends(client), ends(server)];
    weather.open.lock().unwrap().push((link.clone(), both));
    let (from, to, of) = (ends(client), ends(server), link.clone());
    std::thread::spawn(move || of.requests(from, to));
    let (from, to) = (ends(server), ends(client));
    std::thread::spawn(move || link.responses(from, to));
}

/// One connection through the proxy.
struct Link {
    number: u64,
    weather: Arc<Weather>,
    /// Correlation ids of requests that were held back.
    late: Mutex<HashSet<[u8; 4]>>,
    is_over: AtomicBool,
    chance: Mutex<ChaCha8Rng>,
}

impl Link {
    fn requests(&self, mut from: TcpStream, mut to: TcpStream) {
        while let Some(frame) = read(&mut from) {
            if self.is_deaf() {
                continue;
            }
            self.pause();
            // length 4 | key 2 | version 2 | correlation id 4
            if frame.len() >= 12
                && u16::from_be_bytes([frame[4], frame[5]]) == END_TXN
                && self.is_late()
            {
                self.late
                    .lock()
                    .unwrap()
                    .insert([frame[8], frame[9], frame[10], frame[11]]);
                self.weather.held.fetch_add(1, Ordering::AcqRel);
                sleep(Duration::from_millis(
                    self.weather.late_by.load(Ordering::Acquire),
                ));
            }
            if to.write_all(&frame).is_err() {
                break;
            }
        }
        // Answers to what was delivered late are still read: a client that has gone must not hide them.
        if !self.late.lock().unwrap().is_empty() {
            sleep(Duration::from_secs(1));
        }
        self.is_over.store(true, Ordering::Release);
        let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    }

    fn responses(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut is_client_there = true;
        while let Some(frame) = read(&mut from) {
            // length 4 | correlation id 4 | throttle 4 | error 2
            if frame.len() >= 14
                && self
                    .late
                    .lock()
                    .unwrap()
                    .remove(&[frame[4], frame[5], frame[6], frame[7]])
            {
                let answer = i16::from_be_bytes([frame[12], frame[13]]);
                self.weather.answers.lock().unwrap().push(answer);
            }
            if self.is_deaf() || !is_client_there {
                continue;
            }
            self.pause();
            is_client_there = to.write_all(&frame).is_ok();
        }
        if self.late.lock().unwrap().is_empty() || self.is_over.load(Ordering::Acquire) {
            let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
        }
    }

    fn is_deaf(&self) -> bool {
        self.number <= self.weather.deaf.load(Ordering::Acquire)
    }

    fn is_late(&self) -> bool {
        let take = |left: u64| left.checked_sub(1);
        self.weather
            .late
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, take)
            .is_ok()
    }

    fn pause(&self) {
        let most = self.weather.jitter.load(Ordering::Acquire);
        if most > 0 {
            let pause = self.chance.lock().unwrap().random_range(0..=most);
            sleep(Duration::from_millis(pause));
        }
    }
}

/// One request or response with its length; `None` at the end of the connection.
fn read(from: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length).ok()?;
    let bytes = u32::from_be_bytes(length) as usize;
    assert!(bytes <= MOST_BYTES, "a frame of {bytes} bytes");
    let mut frame = length.to_vec();
    frame.resize(4 + bytes, 0);
    from.read_exact(&mut frame[4..]).ok()?;
    Some(frame)
}
