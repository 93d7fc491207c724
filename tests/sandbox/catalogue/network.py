"""Group D: network and IPC. Sockets of a live Ray: tests/ray/test_sandbox_beside_ray.py."""

from __future__ import annotations

from tests.sandbox.catalogue.row import KILLED, PASSED, Row, layers
from tests.sandbox.catalogue.snippets import ATTEMPT, REFUSED, tripping

# A refusal must come from the first call: without a route, connecting fails anywhere.
CONNECT = f"""{ATTEMPT}
import socket
host, port = input().split()
def connect():
    with socket.socket() as client:
        client.settimeout(1)
        client.connect((host, int(port)))
print(attempt(socket.socket), attempt(connect))
"""
DATAGRAM = f"""{ATTEMPT}
import socket
print(attempt(socket.socket, socket.AF_INET, socket.SOCK_DGRAM))
print(attempt(socket.socket, socket.AF_INET6, socket.SOCK_DGRAM))
"""
# Not one that a file of the machine may know.
NAMES = f"""{REFUSED}
import socket
print(refused(lambda: socket.getaddrinfo("example.com", 80),
              lambda: socket.create_connection(("localhost", 80), timeout=1)))
"""
UNIX = f"""{ATTEMPT}
import socket
def connect(kind, address):
    with socket.socket(socket.AF_UNIX, kind) as client:
        client.settimeout(1)
        client.connect(address)
address = input().replace("%", chr(0))
print(*(attempt(connect, kind, address) for kind in
        (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET)))
"""
# A pair is all that a program gets (asyncio needs one), and it must not lead out.
PAIR = f"""{REFUSED}
import socket
address = input().replace("%", chr(0))
def pair():
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0]
print(refused(
    lambda: pair().connect(address), lambda: pair().bind(chr(0) + "codeprm-marker"),
    lambda: pair().sendto(b"x", address), lambda: pair().sendmsg([b"x"], (), 0, address),
))
"""
FAMILY = f"""{ATTEMPT}
import socket
family, kind, protocol = map(int, input().split())
print(attempt(socket.socket, family, kind, protocol))
"""
SERVE = f"""{ATTEMPT}
import socket
def serve(family, address):
    with socket.socket(family) as server:
        server.bind(address)
        server.listen()
print(attempt(serve, socket.AF_INET, ("127.0.0.1", 0)))
print(attempt(serve, socket.AF_UNIX, chr(0) + "codeprm-marker"))
"""
TERMINAL = f"""{REFUSED}
import fcntl
print(refused(
    lambda: os.open("/dev/tty", os.O_RDWR), lambda: os.ttyname(0), lambda: os.ttyname(2),
    *(lambda number=number: fcntl.ioctl(number, 0x5412, b"x") for number in range(64)),
))
"""

ROWS = (
    Row(
        id="45a",
        name="connects to the internet",
        program=CONNECT,
        cases=(("1.1.1.1 80", "EPERM EPERM"),),
        expected=PASSED,
        layers=layers("seccomp net"),
        works_outside=True,
    ),
    Row(
        id="45b",
        name="datagrams",
        program=DATAGRAM,
        cases=(("", "EPERM\nEPERM"),),
        expected=PASSED,
        layers=layers("seccomp net"),
        works_outside=True,
    ),
    Row(
        id="45c",
        name="names",
        program=NAMES,
        cases=(("", "refused"),),
        expected=PASSED,
        layers=layers("seccomp net"),
    ),
    Row(
        id="46",
        name="connects to a service of this machine",
        program=CONNECT,
        cases=(("127.0.0.1 @port@", "EPERM EPERM"),),
        expected=PASSED,
        layers=layers("seccomp net landlock"),
        works_outside=True,
    ),
    Row(
        id="47",
        name="connects to a cloud's metadata",
        program=CONNECT,
        cases=(("169.254.169.254 80", "EPERM EPERM"),),
        expected=PASSED,
        layers=layers("seccomp net"),
        works_outside=True,
    ),
    Row(
        id="48a",
        name="connects to a socket by path",
        program=UNIX,
        cases=(("@unix@", "EPERM EPERM EPERM"),),
        expected=PASSED,
        layers=layers("seccomp mnt"),
        works_outside=True,
    ),
    Row(
        id="48b",
        name="connects to an abstract socket",
        program=UNIX,
        cases=(("%@abstract@", "EPERM EPERM EPERM"),),
        expected=PASSED,
        layers=layers("seccomp net landlock"),
        works_outside=True,
    ),
    *(
        Row(
            id=f"48{letter}",
            name=f"a socket pair that leads out: {name}",
            program=PAIR,
            cases=((address, "refused"),),
            expected=PASSED,
            layers=layers(f"seccomp landlock {namespace}"),
            works_outside=True,
        )
        for letter, name, address, namespace in (
            ("c", "by path", "@arena@/datagrams", "mnt"),
            ("d", "by name", "%@abstract@-datagrams", "net"),
        )
    ),
    *(
        Row(
            id=f"49{letter}",
            name=name,
            program=FAMILY,
            cases=((arguments, "EPERM"),),
            expected=PASSED,
            layers=layers("seccomp net"),
        )
        for letter, name, arguments in (
            ("a", "virtual machine socket", "40 1 0"),
            ("b", "netlink", "16 3 0"),
            ("c", "the kernel's ciphers", "38 5 0"),
            ("d", "raw packets", "2 3 1"),
            ("e", "packets of a device", "17 3 0"),
            ("f", "bluetooth", "31 3 0"),
        )
    ),
    Row(
        id="50",
        name="serves",
        program=SERVE,
        cases=(("", "EPERM\nEPERM"),),
        expected=PASSED,
        layers=layers("seccomp net landlock"),
        works_outside=True,
    ),
    Row(
        id="51",
        name="io_uring",
        program=tripping("io_uring_setup", "8", "ctypes.create_string_buffer(512)"),
        expected=KILLED,
        layers=layers("seccomp"),
    ),
    Row(
        id="52",
        name="descriptors of the parent",
        check="inherited_descriptors",
        expected=PASSED,
        layers=layers("zygote"),
    ),
    Row(
        id="53a",
        name="types into the terminal",
        program=TERMINAL,
        cases=(("", "refused"),),
        expected=PASSED,
        layers=layers("zygote seccomp mnt"),
    ),
    Row(
        id="53b",
        name="types into the terminal that its parent has",
        check="terminal_of_the_parent",
        expected=PASSED,
        layers=layers("zygote seccomp mnt"),
    ),
)
