//! A cable between a server and a database, which a test can cut.
//!
//! Promises: what was sent before `stall` arrives after `mend`, in order; after `cut` nothing of an old connection
//! arrives any more, and a new one ends as soon as it is made.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// A forwarding port of the loopback.
#[derive(Debug)]
pub struct Link {
    shared: Arc<Shared>,
    address: SocketAddr,
}

#[derive(Debug)]
struct Shared {
    target: String,
    wires: Mutex<Wires>,
    changed: Condvar,
}

#[derive(Debug)]
struct Wires {
    mode: Mode,
    next: u64,
    open: BTreeMap<u64, [TcpStream; 2]>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Open,
    Stalled,
    Cut,
    Gone,
}

impl Link {
    /// A link to `target`, `host:port` or a URL that holds it.
    ///
    /// # Panics
    /// When no port is free.
    pub fn to(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound port has an address");
        let wires = Wires { mode: Mode::Open, next: 0, open: BTreeMap::new() };
        let target = crate::home::address_of(target).to_owned();
        let shared = Arc::new(Shared { target, wires: Mutex::new(wires), changed: Condvar::new() });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if accepting.wires().mode == Mode::Gone {
                    return;
                }
                if let Ok(stream) = stream {
                    // Both ends of what can't be connected are dropped, which closes them.
                    connect(&accepting, stream).ok();
                }
            }
        });
        Self { shared, address }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends every connection, and each new one at once.
    pub fn cut(&self) {
        self.shared.turn(Mode::Cut);
    }

    /// Lets nothing pass any more, and says so to nobody: connections stay, and new ones are taken.
    pub fn stall(&self) {
        self.shared.turn(Mode::Stalled);
    }

    /// Lets everything pass again.
    pub fn mend(&self) {
        self.shared.turn(Mode::Open);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.shared.turn(Mode::Gone);
        // Wakes the thread that accepts, which then ends.
        TcpStream::connect(self.address).ok();
    }
}

impl Shared {
    fn wires(&self) -> MutexGuard<'_, Wires> {
        self.wires.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(&self, mode: Mode) {
        let mut wires = self.wires();
        wires.mode = mode;
        if matches!(mode, Mode::Cut | Mode::Gone) {
            for stream in std::mem::take(&mut wires.open).into_values().flatten() {
                stream.shutdown(Shutdown::Both).ok();
            }
        }
        drop(wires);
        self.changed.notify_all();
    }

    /// Waits while stalled; whether this connection still is one.
    fn passes(&self, id: u64) -> bool {
        let mut wires = self.wires();
        while wires.mode == Mode::Stalled {
            wires = self.changed.wait(wires).unwrap_or_else(PoisonError::into_inner);
        }
        wires.open.contains_key(&id)
    }

    fn end(&self, id: u64) {
        if let Some(streams) = self.wires().open.remove(&id) {
            for stream in streams {
                stream.shutdown(Shutdown::Both).ok();
            }
        }
    }
}

fn connect(shared: &Arc<Shared>, near: TcpStream) -> std::io::Result<()> {
    if shared.wires().mode == Mode::Cut {
        return Ok(());
    }
    let far = TcpStream::connect(&shared.target)?;
    for stream in [&near, &far] {
        stream.set_nodelay(true)?;
    }
    let kept = [near.try_clone()?, far.try_clone()?];
    let back = (far.try_clone()?, near.try_clone()?);
    let id = {
        let mut wires = shared.wires();
        // It may have been cut since.
        if matches!(wires.mode, Mode::Cut | Mode::Gone) {
            return Ok(());
        }
        wires.next += 1;
        let id = wires.next;
        wires.open.insert(id, kept);
        id
    };
    for (from, to) in [(near, far), back] {
        let shared = Arc::clone(shared);
        std::thread::spawn(move || {
            carry(&shared, id, from, to).ok();
            shared.end(id);
        });
    }
    Ok(())
}

fn carry(shared: &Shared, id: u64, mut from: TcpStream, mut to: TcpStream) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = from.read(&mut buffer)?;
        if !shared.passes(id) || count == 0 {
            return Ok(());
        }
        to.write_all(buffer.get(..count).unwrap_or_default())?;
    }
}
