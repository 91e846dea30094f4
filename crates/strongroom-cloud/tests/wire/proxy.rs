//! A proxy between a client and a real server, on which requests and answers get lost.

use std::io::{self, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::TcpSocket;

use crate::fault::{Break, Fault, Plan, Which};
use crate::http::{Answer, Head};

/// A proxy; it takes no more connections when it is dropped.
pub struct Proxy {
    shared: Arc<Shared>,
    address: SocketAddr,
}

struct Shared {
    server: SocketAddr,
    plan: Mutex<Plan>,
    /// The server looks whether there is an object and then puts it; a real service has one step for both.
    turn: Mutex<()>,
    /// How many requests are on their way to the server.
    under_way: Mutex<u64>,
    arrived: Condvar,
    is_over: AtomicBool,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Proxy {
    /// One before `server`, on which nothing gets lost yet.
    pub fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let shared = Arc::new(Shared {
            server,
            plan: Mutex::default(),
            turn: Mutex::default(),
            under_way: Mutex::default(),
            arrived: Condvar::new(),
            is_over: AtomicBool::new(false),
        });
        let serving = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if serving.is_over.load(Ordering::SeqCst) {
                    return;
                }
                let serving = serving.clone();
                // How a connection ends is the client's matter.
                std::thread::spawn(move || serving.serve(stream).unwrap_or_default());
            }
        });
        Self { shared, address }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn plan(&self) -> MutexGuard<'_, Plan> {
        locked(&self.shared.plan)
    }

    /// Waits until all has reached the server, also what is late or of somebody who does not wait for it any more.
    pub fn wait_for_late_ones(&self) {
        let under_way = self.shared.arrived.wait_while(locked(&self.shared.under_way), |under_way| *under_way > 0);
        drop(under_way.unwrap_or_else(PoisonError::into_inner));
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        // Whoever waits for a connection gets one.
        TcpStream::connect(self.address).map(drop).unwrap_or_default();
    }
}

/// The client's end of a connection.
struct Client(BufReader<TcpStream>);

impl Client {
    /// Up to `length` bytes of a body.
    fn body(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        Ok(body)
    }

    fn answer(&mut self, asked: &Head, answer: &Answer) -> io::Result<()> {
        let (head, body) = answer.encoded(asked);
        self.0.get_mut().write_all(&head)?;
        self.0.get_mut().write_all(body)
    }

    /// Half of the body, or of what stands before it if there is none.
    fn answer_half(&mut self, asked: &Head, answer: &Answer) -> io::Result<()> {
        let (head, body) = answer.encoded(asked);
        let half =
            if body.is_empty() { head[..head.len() / 2].to_vec() } else { [&head, &body[..body.len() / 2]].concat() };
        self.0.get_mut().write_all(&half)
    }

    /// Half of the body, and nothing that says how long it is.
    fn answer_short(&mut self, asked: &Head, answer: &Answer) -> io::Result<()> {
        let (head, body) = answer.encoded(asked);
        let head = String::from_utf8_lossy(&head).replace("Content-Length:", "Former-Length:");
        let head = head.replacen("\r\n", "\r\nConnection: close\r\n", 1);
        self.0.get_mut().write_all(&[head.as_bytes(), &body[..body.len() / 2]].concat())
    }

    fn end(self, how: Break) -> io::Result<()> {
        let stream = self.0.into_inner();
        match how {
            Break::Closed => stream.shutdown(Shutdown::Both),
            Break::Reset => TcpSocket::from_std_stream(stream).set_zero_linger(),
        }
    }

    /// Waits for the client to give up.
    fn wait(mut self) -> io::Result<()> {
        io::copy(&mut self.0, &mut io::sink()).map(drop)
    }
}

impl Shared {
    fn serve(self: Arc<Self>, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut client = Client(BufReader::new(stream));
        while let Some(head) = Head::read(&mut client.0)? {
            let _under_way = UnderWay::begin(&self);
            let fault = locked(&self.plan).strike(&head);
            match fault {
                Some(fault) => match self.befall(fault, &head, client)? {
                    Some(kept) => client = kept,
                    None => return Ok(()),
                },
                None => {
                    let body = client.body(head.length())?;
                    client.answer(&head, &self.forward(&head, &body)?)?;
                }
            }
        }
        Ok(())
    }

    fn forward(&self, head: &Head, body: &[u8]) -> io::Result<Answer> {
        let _turn = locked(&self.turn);
        head.forward(self.server, body)
    }

    /// Returns the client if the connection stands.
    fn befall(self: &Arc<Self>, fault: Fault, head: &Head, mut client: Client) -> io::Result<Option<Client>> {
        if let Fault::RequestCut(how) = fault {
            let half = client.body(head.length() / 2)?;
            if !half.is_empty() {
                // What the server makes of it, nobody hears.
                self.forward(head, &half).map(drop).unwrap_or_default();
            }
            return client.end(how).map(|()| None);
        }
        let body = client.body(head.length())?;
        let answer = match fault {
            Fault::RequestLost(how) | Fault::RequestCut(how) => return client.end(how).map(|()| None),
            Fault::Delayed(time) => {
                std::thread::sleep(time);
                self.forward(head, &body)?
            }
            Fault::After(other, its) => {
                self.forward(&other, &its)?;
                self.forward(head, &body)?
            }
            Fault::Refused(answer) => answer,
            Fault::Replaced(answer) => {
                self.forward(head, &body)?;
                answer
            }
            Fault::Twice(which) => {
                let answers = [self.forward(head, &body)?, self.forward(head, &body)?];
                let [first, second] = answers;
                if which == Which::First { first } else { second }
            }
            Fault::AnswerLost(how) => {
                self.forward(head, &body)?;
                return client.end(how).map(|()| None);
            }
            Fault::AnswerCut(how) => {
                client.answer_half(head, &self.forward(head, &body)?)?;
                return client.end(how).map(|()| None);
            }
            Fault::Shortened => {
                client.answer_short(head, &self.forward(head, &body)?)?;
                return client.end(Break::Closed).map(|()| None);
            }
            Fault::Silence { done } => {
                if done {
                    self.forward(head, &body)?;
                }
                return client.wait().map(|()| None);
            }
            Fault::Late(time) => {
                self.deliver_late(time, head.clone(), body);
                return client.end(Break::Reset).map(|()| None);
            }
        };
        client.answer(head, &answer)?;
        Ok(Some(client))
    }

    fn deliver_late(self: &Arc<Self>, time: Duration, head: Head, body: Vec<u8>) {
        let under_way = UnderWay::begin(self);
        std::thread::spawn(move || {
            std::thread::sleep(time);
            under_way.0.forward(&head, &body).map(drop).unwrap_or_default();
        });
    }
}

/// A request on its way.
struct UnderWay(Arc<Shared>);

impl UnderWay {
    fn begin(shared: &Arc<Shared>) -> Self {
        *locked(&shared.under_way) += 1;
        Self(shared.clone())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        *locked(&self.0.under_way) -= 1;
        self.0.arrived.notify_all();
    }
}
