"""The process that outlives `up` and holds a cluster together."""

import contextlib
import os
import selectors
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from . import CLUSTERS, HOST, Failure, last_lines
from .cgroups import remove_cgroup
from .clusters import FAILED, READY, STARTING, remove, write_state
from .control_plane import Component, as_admin, components, write_files
from .node import ADDRESS, Node, enter_network, enter_processes, inside
from .processes import dies_with_us, identity

START_SECONDS, STOP_SECONDS = 90, 30


class Ended(Exception):
    """The cluster is to end: in peace, unless a component failed."""

    def __init__(self, reason: str, failed: str = ""):
        super().__init__(reason)
        self.failed = failed


class Supervisor:
    """One thread and one event loop. Whatever ends the cluster comes out of watch() as an exception.

    `viewer` is the `up` that waits for us: it gets lines of progress, READY as the last one of a good start.
    `owner` is a pidfd. `keep_logs` is a folder that gets the logs of a cluster that does not come up."""

    def __init__(
        self,
        name: str,
        programs: dict[str, str],
        viewer: socket.socket,
        owner: int | None,
        with_node: bool = False,
        keep_logs: Path | None = None,
    ):
        self.folder, self.viewer, self.began = CLUSTERS / name, viewer, time.monotonic()
        self.keep_logs = keep_logs
        self.components: dict[str, Component] = {}
        self.running: dict[str, subprocess.Popen] = {}
        self.stopping = ""  # the component whose end is no failure
        self.requests: list[socket.socket] = []

        # Bound but never listening, these keep the ports ours while a component is down. It can bind the
        # same port beside us because Go, too, sets SO_REUSEADDR. With a node, the component is in another
        # network, and the API server's port listens here for the forwarder.
        self.ports = [reserve_port(), reserve_port()]
        etcd_port, server_port = (port.getsockname()[1] for port in self.ports)
        self.node: Node | None = None
        if with_node:
            self.ports[1].listen(128)
            self.node = Node(self.folder, programs, self.ports[1].fileno(), server_port)

        def describe_components() -> list[Component]:
            api = as_admin(self.folder, server_port)
            if not self.node:
                return components(self.folder, programs, etcd_port, api)
            control_plane = components(self.folder, programs, etcd_port, api, ADDRESS)
            return [*self.node.foundation(), *control_plane, *self.node.components(api)]

        self.describe_components = describe_components

        self.state = {
            "name": name,
            "state": STARTING,
            "reason": "",
            "created": time.time(),
            "folder": str(self.folder),
            "server": f"https://{HOST}:{server_port}",
            "etcd": f"http://{HOST}:{etcd_port}",
            "kubeconfig": f"{self.folder}/admin.kubeconfig",
            "auditLog": f"{self.folder}/audit.log",
            "caFile": f"{self.folder}/pki/ca.crt",
            "caKeyFile": f"{self.folder}/pki/ca.key",
            "kubectl": programs["kubectl"],
            "supervisor": identity(os.getpid()),
            "components": {},
        }
        if self.node:
            self.state["cgroup"] = self.node.cgroup

        self.selector = selectors.DefaultSelector()
        self.on(viewer, lambda: self.end("`up` was interrupted"))  # it never writes: readable means closed
        if owner is not None:
            self.on(owner, lambda: self.end("its owner has gone"))
        self.signals, wakeup = socket.socketpair()
        wakeup.setblocking(False)
        signal.set_wakeup_fd(wakeup.detach())
        signal.signal(signal.SIGTERM, lambda *_: None)
        self.on(self.signals, lambda: self.end("it was brought down"))

    def run(self) -> None:
        try:
            self.claim_folder()
        except Failure as taken:
            self.tell(str(taken))
            return
        try:
            self.bring_up()
            self.serve()
        except Ended as ended:
            self.finish(str(ended), ended.failed)
        except Failure as failure:
            self.finish(str(failure), "supervisor")
        except Exception:
            traceback.print_exc()
            self.finish("its supervisor failed", "supervisor")

    def claim_folder(self) -> None:
        """A folder has its state from the first moment on, and of two `up` with one name one gets it."""
        fresh = Path(tempfile.mkdtemp(prefix=".new-", dir=CLUSTERS))
        write_state(fresh, self.state)
        try:
            fresh.rename(self.folder)
        except OSError:
            remove(fresh)
            raise Failure(f"another cluster named {self.folder.name} is coming up") from None
        os.chdir(self.folder)
        log = os.open("supervisor.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)

    def bring_up(self) -> None:
        write_files(self.folder, self.state["name"], self.state["server"])
        if self.node:
            enter_network()
            self.node.write_files(self.state["server"])
            enter_processes()
        self.components = {component.name: component for component in self.describe_components()}
        for name in self.components:
            try:
                self.start(name)
            except TimeoutError as late:
                raise Ended(str(late), failed=name) from None
            self.tell(f"  {time.monotonic() - self.began:4.1f} s  {name} is ready")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind("control.sock")  # relative, as such a path may not be longer than 107 bytes
        listener.listen()
        self.on(listener, lambda: self.requests.append(listener.accept()[0]))
        self.state["state"] = READY
        self.save()
        self.tell(READY)
        self.selector.unregister(self.viewer)
        self.viewer.close()

    def serve(self) -> None:
        while True:
            self.watch()
            while self.requests:
                with self.requests.pop(0) as client:
                    self.answer(client)

    def answer(self, client: socket.socket) -> None:
        """A request is `VERB COMPONENT`; the answer is READY, or what went wrong."""
        client.settimeout(5)
        with contextlib.suppress(OSError, ValueError):  # a client that went away, or talks nonsense
            verb, name = client.recv(200).decode().split()
            try:
                if verb not in ("stop", "kill", "start", "restart") or name not in self.components:
                    raise ValueError(f"there is no {verb} of a component {name}")
                if verb in ("stop", "kill", "restart"):
                    self.stop(name, at_once=verb == "kill")
                if verb in ("start", "restart"):
                    self.start(name)
                answer = READY
            except (TimeoutError, ValueError) as problem:
                answer = str(problem)
            client.sendall(answer.encode())

    def start(self, name: str) -> None:
        if name not in self.running:
            component = self.components[name]
            view = inside(self.node.namespaces) if self.node and component.inside else []
            with open(f"{name}.log", "ab") as log:
                process = subprocess.Popen(
                    [*view, *component.command],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=component.descriptors,
                    umask=0o022 if self.node else -1,  # containers are not ours alone
                    preexec_fn=dies_with_us(signal.SIGKILL),
                )
            self.running[name] = process
            if self.node and not self.node.namespaces:
                self.node.namespaces = process.pid
            ended = os.pidfd_open(process.pid)
            self.on(ended, lambda: self.component_ended(name, ended))
            self.save()
        self.wait_until(self.components[name].ready, START_SECONDS, f"{name} did not become ready")

    def stop(self, name: str, at_once: bool) -> None:
        if name not in self.running:
            return
        self.stopping = name
        if at_once:
            self.running[name].kill()
        else:
            self.running[name].terminate()
        try:
            self.wait_until(lambda: name not in self.running, STOP_SECONDS, f"{name} did not end")
        except TimeoutError:
            self.running[name].kill()
            self.wait_until(
                lambda: name not in self.running, STOP_SECONDS, f"{name} did not end, though killed,"
            )
        self.stopping = ""

    def component_ended(self, name: str, pidfd: int) -> None:
        self.selector.unregister(pidfd)
        os.close(pidfd)
        status = self.running.pop(name).wait()
        self.save()
        if name != self.stopping:
            raise Ended(
                f"{name} ended " + (f"with status {status}" if status >= 0 else f"by signal {-status}"), name
            )

    def end(self, reason: str) -> None:
        raise Ended(reason)

    def on(self, source: object, action: Callable[[], None]) -> None:
        self.selector.register(source, selectors.EVENT_READ, action)

    def watch(self, seconds: float | None = None) -> None:
        for key, _ in self.selector.select(seconds):
            key.data()

    def wait_until(self, condition: Callable[[], bool], seconds: float, otherwise: str) -> None:
        """Asks again and again, with an eye on everything that ends the cluster meanwhile."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{otherwise} within {seconds} s")
            self.watch(0.05)

    def save(self) -> None:
        self.state["components"] = {
            name: identity(self.running[name].pid) if name in self.running else None
            for name in self.components
        }
        write_state(self.folder, self.state)

    def finish(self, reason: str, failed: str) -> None:
        """Ends what runs. A cluster that failed after a good start leaves its logs to whoever asks why."""
        for process in self.running.values():
            process.kill()  # an orderly end would save data that is thrown away
        for process in reversed(self.running.values()):  # the first of a PID namespace ends as its last
            process.wait()
        if self.node:
            remove_cgroup(self.node.cgroup)
        log = Path(f"{failed}.log")
        tail = last_lines(log.read_bytes()) if failed and log.exists() else ""
        self.tell(reason + (f"; the last lines of {failed}'s log:\n{tail}" if tail else ""))
        if failed and self.state["state"] == READY:
            self.state |= {"state": FAILED, "reason": reason, "components": {}}
            write_state(self.folder, self.state)
        else:
            if failed and self.keep_logs:
                self.keep_logs.mkdir(parents=True, exist_ok=True)
                for log in Path().glob("*.log"):
                    shutil.copy(log, self.keep_logs)
            remove(self.folder)

    def tell(self, text: str) -> None:
        print(text, flush=True)
        with contextlib.suppress(OSError):  # it has gone, or waits no longer
            self.viewer.sendall(text.encode() + b"\n")


def reserve_port() -> socket.socket:
    port = socket.socket()
    port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    port.bind((HOST, 0))
    return port
