#!/usr/bin/env python3
"""What `make install` and `make deb` put where, and that uninstall takes all of it away. Prints TAP."""
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests/support"))
from freehold import PROGRAM, Tap


def run(*words, **environment):
    done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, **environment}, timeout=120)
    assert done.returncode == 0, done.stderr or done.stdout
    return done.stdout


def files(root):
    return {"/" + str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()}


def main():
    if not PROGRAM.is_file():
        Tap.skip_all(f"{PROGRAM} is not built: run make")
    tap = Tap()
    with tempfile.TemporaryDirectory(prefix="fh-install-") as folder:
        build, root = Path(folder) / "build", Path(folder) / "root"
        build.mkdir()
        (build / "freehold").symlink_to(PROGRAM)

        def the_service_has_a_user():
            for prefix, units, users in (("/usr", "/usr/lib/systemd/system", "/usr/lib/sysusers.d"), ("/usr/local", "/etc/systemd/system", "/etc/sysusers.d")):
                run(str(TOP / "tools/install"), BUILD=str(build), DESTDIR=str(root), PREFIX=prefix)
                unit, conf = (root / (units + "/freehold.service")[1:]).read_text(), (root / (users + "/freehold.conf")[1:]).read_text()
                user = next(l.split("=")[1] for l in unit.splitlines() if l.startswith("User="))
                assert f"\nu {user} " in conf and f"ExecStart={prefix}/bin/freehold " in unit, (unit, conf)
                run(str(TOP / "tools/uninstall"), DESTDIR=str(root), PREFIX=prefix)
                assert files(root) == set(), files(root)

        def the_package():
            made = TOP / run(str(TOP / "tools/deb"), BUILD=str(build)).strip()
            run("dpkg-deb", "-R", str(made), str(root / "deb"))
            has = files(root / "deb")
            for path in ("/usr/bin/freehold", "/usr/share/doc/freehold/copyright", "/usr/lib/sysusers.d/freehold.conf", "/usr/lib/systemd/system/freehold.service", "/usr/share/man/man1/freehold.1.gz"):
                assert path in has, (path, sorted(has))
            for script in ("postinst", "prerm", "postrm"):
                text = (root / "deb/DEBIAN" / script).read_text()
                run("sh", "-n", str(root / "deb/DEBIAN" / script))
                assert script == "prerm" or "systemctl daemon-reload" in text, text
            assert "systemd-sysusers freehold.conf" in (root / "deb/DEBIAN/postinst").read_text()

        tap.check("install gives the service the user that it runs as; uninstall leaves nothing", the_service_has_a_user)
        if shutil.which("dpkg-shlibdeps"):
            tap.check("the package has a copyright file, makes the user, and tells systemd", the_package)
        else:
            tap.skip("the package has a copyright file, makes the user, and tells systemd", "dpkg-shlibdeps (package dpkg-dev) is not here")
    tap.end()


if __name__ == "__main__":
    main()
