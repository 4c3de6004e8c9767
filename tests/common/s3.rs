//! A server of objects of the test's own: moto's S3, on 127.0.0.1, with its objects in memory.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::repository;

/// What every request says: the server wants to see credentials, and accepts any.
const SIGNED: &str = "AWS4-HMAC-SHA256 Credential=test/20200101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=none";
/// The key and the secret that the program gets.
pub const KEY: &str = "AKIATESTTESTTEST";
pub const SECRET: &str = "a-secret-that-nobody-may-see";

/// The server, ended when dropped.
pub struct Server {
    child: Child,
    port: u16,
    log: tempfile::NamedTempFile,
}

impl Server {
    /// A server with the bucket `archive`; None where moto is not installed.
    pub fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    /// The same with variables for it.
    pub fn start_with(variables: &[(&str, &str)]) -> Option<Self> {
        let program = repository("target/test-venv/bin/moto_server");
        if !program.is_file() {
            return None;
        }
        let free = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = free.local_addr().expect("its number").port();
        drop(free);
        let log = tempfile::NamedTempFile::new().expect("a file for its log");
        let child = Command::new(program)
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.reopen().expect("a handle"))
            .spawn()
            .expect("the server starts");
        let server = Self { child, port, log };
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(
                began.elapsed() < Duration::from_secs(120),
                "it never listens"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        server.request("PUT", "archive", &[]);
        Some(server)
    }

    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The variables by which `command` finds the server.
    pub fn known_to<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("AWS_") {
                command.env_remove(name);
            }
        }
        command
            .env("AWS_ENDPOINT_URL", self.endpoint())
            .env("AWS_ACCESS_KEY_ID", KEY)
            .env("AWS_SECRET_ACCESS_KEY", SECRET)
            .env("AWS_REGION", "us-east-1")
            .env("NO_PROXY", "127.0.0.1")
    }

    /// Stores an object: `bucket/key`.
    pub fn put(&self, path: &str, content: &[u8]) {
        let (status, _) = self.request("PUT", path, content);
        assert_eq!(status, 200, "{path}");
    }

    /// The content of an object; None when there is none.
    pub fn get(&self, path: &str) -> Option<Vec<u8>> {
        let (status, content) = self.request("GET", path, &[]);
        (status == 200).then_some(content)
    }

    /// Removes an object.
    pub fn remove(&self, path: &str) {
        self.request("DELETE", path, &[]);
    }

    /// The keys in `bucket`, in order.
    pub fn keys(&self, bucket: &str) -> Vec<String> {
        self.named(&format!("{bucket}?list-type=2"))
    }

    /// The keys of uploads in `bucket` that are neither complete nor aborted.
    pub fn uploads(&self, bucket: &str) -> Vec<String> {
        self.named(&format!("{bucket}?uploads"))
    }

    /// The requests so far that write, or begin to: method, path and answer, as the server logs them.
    pub fn writes(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.log.path()).expect("its log");
        let writes = |line: &&str| line.contains("\"PUT /") || line.contains("\"POST /");
        log.lines().filter(writes).map(str::to_owned).collect()
    }

    /// How many parts of unfinished uploads in `bucket` have arrived.
    pub fn parts(&self, bucket: &str) -> usize {
        let page = self.page(&format!("{bucket}?uploads"));
        let keys = between(&page, "Key");
        let uploads = between(&page, "UploadId");
        let of = |(key, upload): (&String, &String)| {
            let page = self.page(&format!("{bucket}/{key}?uploadId={upload}"));
            between(&page, "PartNumber").len()
        };
        keys.iter().zip(&uploads).map(of).sum()
    }

    fn named(&self, path: &str) -> Vec<String> {
        between(&self.page(path), "Key")
    }

    fn page(&self, path: &str) -> String {
        let (_, page) = self.request("GET", path, &[]);
        String::from_utf8(page).expect("text")
    }

    fn request(&self, method: &str, path: &str, content: &[u8]) -> (u16, Vec<u8>) {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .build()
            .into();
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}/{path}", self.endpoint()))
            .header("Authorization", SIGNED)
            .body(content)
            .expect("a request");
        let mut answer = agent.run(request).expect("an answer");
        let content = answer
            .body_mut()
            .with_config()
            .limit(1 << 30)
            .read_to_vec()
            .expect("content");
        (answer.status().as_u16(), content)
    }
}

/// What is inside of every element `name` of `page`.
fn between(page: &str, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    page.split(&open)
        .skip(1)
        .filter_map(|rest| rest.split(&close).next())
        .map(str::to_owned)
        .collect()
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
