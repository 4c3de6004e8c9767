//! A Slurm cluster of its own: one controller and some nodes on this machine, started for a test and stopped with it.

use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::temp_dir;

/// The programs that a cluster is made of.
const PROGRAMS: [&str; 3] = ["slurmctld", "slurmd", "munged"];

/// A running cluster.
pub struct Cluster {
    folder: tempfile::TempDir,
    daemons: Vec<Child>,
    nodes: Vec<Option<Child>>,
}

fn free_ports(count: usize) -> Vec<u16> {
    let listeners: Vec<TcpListener> = (0..count)
        .map(|_| TcpListener::bind(("127.0.0.1", 0)).expect("a free port"))
        .collect();
    let port = |listener: &TcpListener| listener.local_addr().expect("an address").port();
    listeners.iter().map(port).collect()
}

fn text(command: &mut Command) -> String {
    String::from_utf8_lossy(&command.output().expect("it runs").stdout)
        .trim()
        .to_owned()
}

/// The program, also where only root's path has it.
fn program(name: &str) -> PathBuf {
    let places = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"];
    let found = places
        .iter()
        .map(|place| Path::new(place).join(name))
        .find(|path| path.exists());
    found.unwrap_or_else(|| name.into())
}

/// What is missing for a cluster on this machine; None when nothing is.
pub fn lacks() -> Option<String> {
    let missing: Vec<_> = PROGRAMS
        .into_iter()
        .filter(|name| !program(name).is_absolute())
        .collect();
    (!missing.is_empty()).then(|| missing.join(", "))
}

/// The process of Slurm's that started `task` and reports its end, if it is still there.
fn watcher(task: rustix::process::Pid) -> Option<rustix::process::Pid> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", task.as_raw_nonzero())).ok()?;
    let parent = status
        .lines()
        .find_map(|line| line.strip_prefix("PPid:"))?
        .trim();
    let name = std::fs::read_to_string(format!("/proc/{parent}/comm")).ok()?;
    let id = parent.parse().ok()?;
    (name.trim() == "slurmstepd")
        .then(|| rustix::process::Pid::from_raw(id))
        .flatten()
}

impl Cluster {
    /// Starts a cluster of `nodes` nodes with one core each.
    pub fn start(nodes: usize) -> Self {
        let folder = temp_dir();
        let path = folder.path();
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o755))
            .expect("a folder of our own");
        let uid = std::fs::metadata(path).expect("it is there").uid();
        let user = text(Command::new("id").args(["-nu", &uid.to_string()]));
        let host = text(Command::new("hostname").arg("-s"));
        let key: Vec<u8> = (0u8..=255).cycle().take(1024).collect();
        let key_file = path.join("munge.key");
        std::fs::write(&key_file, key).expect("written");
        std::fs::set_permissions(&key_file, PermissionsExt::from_mode(0o400))
            .expect("a file of our own");
        let inside = |name: &str| path.join(name).display().to_string();
        let munge = Command::new(program("munged"))
            .args(["--foreground", "--force"])
            .arg(format!("--socket={}", inside("munge.socket")))
            .arg(format!("--key-file={}", inside("munge.key")))
            .arg(format!("--pid-file={}", inside("munge.pid")))
            .arg(format!("--seed-file={}", inside("munge.seed")))
            .arg(format!("--log-file={}", inside("munge.log")))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("munged starts");
        let mut cluster = Self {
            daemons: vec![munge],
            nodes: Vec::new(),
            folder,
        };
        let path = cluster.folder.path().to_owned();
        cluster.wait("munged", || path.join("munge.socket").exists());
        let ports = free_ports(nodes + 1);
        let mut settings = format!(
            "ClusterName=floutage\nSlurmctldHost={host}(127.0.0.1)\nSlurmctldPort={}\nSlurmUser={user}\nSlurmdUser={user}\n\
             AuthType=auth/munge\nAuthInfo=socket={socket}\nCredType=cred/munge\nMpiDefault=none\n\
             ProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\nSelectType=select/cons_tres\nSelectTypeParameters=CR_Core\n\
             SlurmdParameters=config_overrides\nStateSaveLocation={state}\nSlurmdSpoolDir={root}/spool-%n\n\
             SlurmctldPidFile={root}/slurmctld.pid\nSlurmdPidFile={root}/%n.pid\nSlurmctldLogFile={root}/slurmctld.log\n\
             SlurmdLogFile={root}/%n.log\nReturnToService=2\nJobRequeue=1\nSlurmdTimeout=30\nKillWait=5\nSchedulerType=sched/backfill\n\
             SchedulerParameters=sched_interval=1,bf_interval=1\nJobCompType=jobcomp/none\nAccountingStorageType=accounting_storage/none\n",
            ports[0],
            socket = path.join("munge.socket").display(),
            state = path.join("state").display(),
            root = path.display(),
        );
        std::fs::create_dir(path.join("state")).expect("made");
        for (index, port) in ports[1..].iter().enumerate() {
            let name = format!("n{}", index + 1);
            std::fs::create_dir(path.join(format!("spool-{name}"))).expect("made");
            settings.push_str(&format!(
                "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=1 RealMemory=4000 State=UNKNOWN\n"
            ));
        }
        settings.push_str("PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP\n");
        std::fs::write(path.join("slurm.conf"), settings).expect("written");
        let controller = cluster
            .command("slurmctld")
            .args(["-D", "-c"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("slurmctld starts");
        cluster.daemons.push(controller);
        cluster.nodes.resize_with(nodes, || None);
        for node in 0..nodes {
            cluster.start_node(node);
        }
        let all = format!("{nodes}");
        cluster.wait("the nodes", || {
            text(
                cluster
                    .command("sinfo")
                    .args(["-h", "-t", "idle", "-o", "%D"]),
            ) == all
        });
        cluster
    }

    /// A program of Slurm that talks to this cluster.
    pub fn command(&self, name: &str) -> Command {
        let mut command = Command::new(program(name));
        command.env("SLURM_CONF", self.folder.path().join("slurm.conf"));
        command
    }

    /// Starts node `node`, from 0.
    pub fn start_node(&mut self, node: usize) {
        let child = self
            .command("slurmd")
            .args(["-D", "-N", &format!("n{}", node + 1)])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("slurmd starts");
        self.nodes[node] = Some(child);
    }

    /// Kills node `node`, from 0, with everything that runs on it, and has the controller see it.
    pub fn kill_node(&mut self, node: usize) {
        let name = format!("n{}", node + 1);
        if let Some(mut daemon) = self.nodes[node].take() {
            daemon.kill().expect("it is ours");
            daemon.wait().expect("it ends");
        }
        // First what watches over a task: it would tell the controller that the task had failed, as no lost machine does.
        let tasks = self.processes(Some(&name));
        let watchers = tasks.iter().filter_map(|id| watcher(*id));
        for id in watchers.collect::<Vec<_>>().into_iter().chain(tasks) {
            // It may be over already.
            let _ = rustix::process::kill_process(id, rustix::process::Signal::KILL);
        }
        let mut down = self.command("scontrol");
        super::run_tool(down.args([
            "update",
            &format!("nodename={name}"),
            "state=down",
            "reason=killed",
        ]));
    }

    /// The processes of jobs, or those that keep them, on `node` or on any.
    fn processes(&self, node: Option<&str>) -> Vec<rustix::process::Pid> {
        let configuration = format!(
            "SLURM_CONF={}",
            self.folder.path().join("slurm.conf").display()
        );
        let on_node = node.map(|node| format!("SLURMD_NODENAME={node}"));
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc")
            .expect("there are processes")
            .flatten()
        {
            let Some(id) = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse::<i32>().ok())
            else {
                continue;
            };
            let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
            let has = |wanted: &str| {
                environment
                    .split(|byte| *byte == 0)
                    .any(|line| line == wanted.as_bytes())
            };
            let ours = has(&configuration) && on_node.as_deref().is_none_or(has);
            let command = std::fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            let daemon = PROGRAMS.iter().any(|name| command.trim() == *name);
            if ours && !daemon {
                found.extend(rustix::process::Pid::from_raw(id));
            }
        }
        found
    }

    /// Waits for `what`.
    pub fn wait(&self, what: &str, mut there: impl FnMut() -> bool) {
        // Whatever takes longer has failed.
        for _ in 0..1800 {
            if there() {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let log =
            |name: &str| std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        let tail = |text: String| text.lines().rev().take(15).collect::<Vec<_>>().join("\n");
        panic!(
            "{what}: it does not come\n{}\n{}\n{}",
            tail(log("munge.log")),
            tail(log("slurmctld.log")),
            tail(log("n1.log"))
        );
    }

    /// Waits until no job is left. Slurm keeps a job that it requeued for two minutes; here it need not.
    pub fn drain(&self) {
        self.wait("the end of all jobs", || {
            let left = text(
                self.command("squeue")
                    .args(["-h", "-a", "-r", "-o", "%i %T %r"]),
            );
            for line in left.lines().filter(|line| line.ends_with("BeginTime")) {
                let id = line.split(' ').next().unwrap_or_default();
                let mut now = self.command("scontrol");
                let _ = now
                    .args(["update", &format!("JobId={id}"), "StartTime=now"])
                    .output();
            }
            left.is_empty()
        });
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for daemon in self.nodes.iter_mut().flatten() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
        for id in self.processes(None) {
            let _ = rustix::process::kill_process(id, rustix::process::Signal::KILL);
        }
        for daemon in self.daemons.iter_mut().rev() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}
