"""Before anything else starts: are the volumes writable, and are there a token and an admin password?

What is there stays; what is missing is made. Standard library only.
"""

import os
import secrets
import sys
from collections.abc import Callable
from pathlib import Path

STATE = Path("/var/lib/joulemark")
SECRETS = Path("/run/joulemark/secrets")
GRAFANA = Path("/run/joulemark/grafana")


def main() -> int:
    for folder in (STATE, SECRETS, GRAFANA):
        problem = _unwritable(folder)
        if problem:
            sys.stderr.write(f"joulemark: volume at {folder} is not writable ({problem}).\n")
            sys.stderr.write(
                f"joulemark: it must belong to user {os.getuid()}: 'chown -R {os.getuid()}:{os.getgid()}' what is "
                "mounted there, or use a named volume, which takes the owner by itself.\n"
            )
            return 1
    token = _kept(SECRETS / "token", lambda: secrets.token_hex(32))
    # NAME:TOKEN lines for the exporter; more names may be added by hand, so an existing file is left as it is.
    _kept(SECRETS / "tokens", lambda: f"compose:{token}\n")
    password = os.environ.get("GRAFANA_ADMIN_PASSWORD") or ""
    if password:
        _write(GRAFANA / "admin_password", password)
    else:
        _kept(GRAFANA / "admin_password", lambda: secrets.token_urlsafe(18))
    # Grafana runs as another user; nobody but it has this volume.
    GRAFANA.chmod(0o755)
    (GRAFANA / "admin_password").chmod(0o444)
    return 0


def _unwritable(folder: Path) -> str:
    """Why a file cannot be written there; empty when it can."""
    probe = folder / ".writable"
    try:
        probe.write_text("")
        probe.unlink()
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _kept(path: Path, make: Callable[[], str]) -> str:
    if not path.exists():
        _write(path, make())
    return path.read_text().strip()


def _write(path: Path, text: str) -> None:
    """Appears whole or not at all, and for its owner alone."""
    partial = path.with_suffix(".new")
    partial.unlink(missing_ok=True)
    os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    partial.write_text(text)
    partial.rename(path)


if __name__ == "__main__":
    sys.exit(main())
